"""Makes calls of workers without a program around them."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine.runtime.ports import WorkerRequest
from engine.sema.check import check_file
from engine.sema.expressions.compiler import Expression
from engine.sema.kinds import bodies
from engine.sema.model import Program, Verifier, Worker
from engine.sema.settings.table import defaults_of
from engine.sema.types.contract import Contract
from engine.source import SourceFile, Span
from engine.syntax import ast
from engine.workers.registry import close_port, worker_port


def _load_support(name: str) -> ModuleType:
    # The tests are no package (import mode `importlib`), so the file is loaded by its path.
    path = Path(__file__).parents[2] / "support" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


http_server = _load_support("http_server")

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
        ready = defaults_of(bodies()[f"{kind} {'verifier' if verifier else 'worker'}"])
        ready |= {k: expression(v) if k in COMPUTED else v for k, v in settings.items()}
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


@pytest.fixture
def site() -> Iterator[Any]:
    """A web server of the test's own."""
    with http_server.Site() as running:
        yield running


@pytest.fixture
def other_site() -> Iterator[Any]:
    """Another one."""
    with http_server.Site() as running:
        yield running


@pytest.fixture(scope="session")
def mcp_servers() -> ModuleType:
    """The module `mcp_servers`, which takes a second to import."""
    return _load_support("mcp_servers")


@pytest.fixture(scope="session")
def fakes() -> ModuleType:
    """The module `mcp_fakes`."""
    return _load_support("mcp_fakes")


@pytest.fixture
def declare(tmp_path: Path) -> Callable[..., Program]:
    """Checks declarations, which have to be right, and gives the program."""

    def declare(source: str, name: str = "main.orch") -> Program:
        path = tmp_path / name
        path.write_text(f"orch 1\nsecret TOKEN\n{textwrap.dedent(source)}\n")
        result = check_file(str(path), env={})
        assert result.program is not None, [item.message for item in result.diagnostics]
        return result.program

    return declare


def _request_to(
    program: Program, worker: str, input: dict[str, Any] | None = None
) -> WorkerRequest:
    """A call of a declared worker, as the machine would ask for it."""
    declared = program.workers[worker]
    scope = {"task": {"key": "key-1"}, "secret": {"TOKEN": "s3cret-value"}}
    filled = declared.inputs.with_defaults(input or {})
    return WorkerRequest(
        "round 1 / task a",
        "key-1",
        declared,
        filled,
        declared.base_dir,
        scope,
        timeout_ms=declared.timeout_ms,
    )


@pytest.fixture
def request_to() -> Callable[..., WorkerRequest]:
    """Makes the request of a call of a declared worker."""
    return _request_to


@pytest.fixture
def carry_out() -> Callable[..., Any]:
    """Calls workers of a program, each given as (name, input) or a name, over one port.

    Gives the value of one call, or a list of values and failures of several made at once.
    """

    def carry_out(program: Program, *calls: Any, together: bool = False) -> Any:
        asked = [call if isinstance(call, tuple) else (call, {}) for call in calls]

        async def run() -> list[Any]:
            port = worker_port(program.workers[asked[0][0]].kind, program)
            requests = [_request_to(program, name, input) for name, input in asked]
            try:
                if together:
                    made = [port.call(request) for request in requests]
                    return await asyncio.gather(*made, return_exceptions=True)
                results = []
                for request in requests:
                    results += await asyncio.gather(port.call(request), return_exceptions=True)
                return results
            finally:
                await close_port(port)

        results = asyncio.run(run())
        if len(results) == 1 and isinstance(results[0], BaseException):
            raise results[0]
        values = [r if isinstance(r, BaseException) else r.value for r in results]
        return values[0] if len(values) == 1 else values

    return carry_out


@pytest.fixture
def watchers_of() -> Callable[[int], list[int]]:
    """Finds the watchers among the children of a process."""
    found: Callable[[int], list[int]] = _load_support("watchers").watchers_of
    return found
