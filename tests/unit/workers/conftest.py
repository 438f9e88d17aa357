"""Makes calls of workers without a program around them."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.runtime.ports import WorkerRequest
from engine.sema.contract import Contract
from engine.sema.expressions import Expression
from engine.sema.model import Verifier, Worker
from engine.source import SourceFile, Span
from engine.syntax import ast
from engine.workers.registry import worker_port

ANYTHING = Contract.of_schema({})
SPAN = Span(SourceFile("x.orch", ""), 0, 0)


class Var(str):
    """The name of an input, where a setting is computed from it."""


def expression(value: Any) -> Expression:
    """The expression that a setting with this value is; `Var("x")` reads the input `x`."""

    def node(value: Any) -> ast.Expr:
        match value:
            case Var():
                first, *rest = value.split(".")
                result: ast.Expr = ast.Variable(SPAN, first)
                for name in rest:
                    result = ast.Attribute(SPAN, result, name, SPAN)
                return result
            case None:
                return ast.Null(SPAN)
            case bool():
                return ast.Boolean(SPAN, value)
            case str():
                return ast.String(SPAN, value, False, ())
            case int() | float():
                return ast.Number(SPAN, value)
            case list():
                return ast.ListExpr(SPAN, tuple(node(item) for item in value))
            case dict():
                return ast.MapExpr(
                    SPAN,
                    tuple(ast.MapEntry(SPAN, ast.Name(SPAN, k), node(v)) for k, v in value.items()),
                )
        raise TypeError(value)

    return Expression(node(value))


COMPUTED = ("run", "stdin", "cwd", "env")


@pytest.fixture
def make_request(tmp_path: Path) -> Callable[..., WorkerRequest]:
    def make(
        kind: str,
        settings: dict[str, Any],
        input: dict[str, Any] | None = None,
        verifier: bool = False,
        secret: dict[str, str] | None = None,
    ) -> WorkerRequest:
        ready = {k: expression(v) if k in COMPUTED else v for k, v in settings.items()}
        declared: Worker | Verifier
        if verifier:
            declared = Verifier("check", kind, ANYTHING, ready, str(tmp_path), SPAN)
        else:
            declared = Worker(
                "work", kind, ANYTHING, ANYTHING, (), "read", "trusted", ready, str(tmp_path), SPAN
            )
        scope = {"param": {}, "task": {"key": "k"}, "secret": secret or {}}
        return WorkerRequest("round 1 / task a", "k", declared, input or {}, str(tmp_path), scope)

    return make


@pytest.fixture
def call(make_request: Callable[..., WorkerRequest]) -> Callable[..., Any]:
    """Calls a worker and gives its value."""

    def run(kind: str, settings: dict[str, Any], *args: Any, **options: Any) -> Any:
        request = make_request(kind, settings, *args, **options)
        return asyncio.run(worker_port(kind).call(request)).value

    return run


@pytest.fixture
def tools(tmp_path: Path) -> Callable[[str], None]:
    """Writes a module `tools` beside the `.orch` file."""

    def write(source: str) -> None:
        (tmp_path / "tools.py").write_text(textwrap.dedent(source))

    return write


@pytest.fixture
def var() -> type[Var]:
    """`var("x")` stands for the input `x` in a computed setting."""
    return Var
