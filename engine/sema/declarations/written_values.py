"""The constants in a written value against the contract it has to keep.

An expression such as `{ queue: "tech", summary: run.reason }` is known in parts: its shape and its
literals are, what it computes is not. Each part that is known is checked where it is; what is
computed is only told by its type, which is checked elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.sema.settings.constants import NotConstant, constant_value
from engine.sema.settings.params import ROOT
from engine.sema.types.contract import Contract
from engine.sema.types.schema_facts import subschema_at
from engine.source import Span
from engine.syntax import ast

__all__ = ["parts_of", "wrong_constants"]


def wrong_constants(expr: ast.Expr, schema: Mapping[str, Any]) -> Iterator[tuple[str, Span]]:
    """What is wrong with the constants of an expression whose value must fit a schema, and where.

    Args:
        schema: A self-contained JSON Schema.
    """
    try:
        value = constant_value(expr)
    except NotConstant:
        for key, part in parts_of(expr):
            inner = subschema_at(schema, f"/{key.replace('~', '~0').replace('/', '~1')}")
            if isinstance(inner, Mapping):
                yield from wrong_constants(part, inner)
        return
    for problem in Contract.of_schema(schema).problems(value)[:1]:
        yield problem.removeprefix(ROOT), expr.span


def parts_of(expr: ast.Expr) -> Iterator[tuple[str, ast.Expr]]:
    """The parts of a list or map as written, each with its key; nothing for anything else."""
    if isinstance(expr, ast.MapExpr):
        for entry in expr.entries:
            yield entry.key.text, entry.value
    elif isinstance(expr, ast.ListExpr):
        for number, item in enumerate(expr.items):
            yield str(number), item
