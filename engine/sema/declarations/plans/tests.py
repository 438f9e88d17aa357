"""Tests of a plan: `when`, `where` and `until`, checked for what can never be true.

Tests raise no errors when they run: what cannot be compared is not equal, not less, not in. So a
comparison that its types forbid would silently skip a step; it is reported here instead.
"""

from __future__ import annotations

from engine.diagnostics import diagnostic
from engine.sema.declarations.plans.names import PlanNames
from engine.sema.declarations.plans.typing import PlanTyper, ended_test, kinds_of, rewritten
from engine.sema.expressions.compiler import to_nodes
from engine.sema.templates.flow_facts import facts
from engine.sema.templates.typing_rules import item_of
from engine.sema.types.definitions import ANY, Type
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["check_test", "proved"]

_NUMBER = frozenset({"number", "integer"})
_TEXT = frozenset({"string"})
_NULL = frozenset({"null"})


def check_test(expr: ast.Expr, names: PlanNames, typer: PlanTyper, setting: str) -> bool:
    """Check a condition; whether nothing is wrong with it."""
    if typer.type_of(expr, names) is None:
        return False
    sound = True
    for node in walk(expr):
        if not isinstance(node, ast.Comparison):
            continue
        left = node.first
        for operator, right in node.rest:
            types = typer.quiet(left, names), typer.quiet(right, names)
            if _never(operator, *types):
                sound = False
                _report(operator, (left, right), types, setting, typer)
            left = right
    return sound


def proved(expr: ast.Expr, names: PlanNames) -> frozenset[str]:
    """The paths that are not null where a condition holds."""

    def change(node: ast.Node) -> ast.Node | None:
        ended = ended_test(node, names)
        if ended is None:
            return None
        assert isinstance(node, ast.TestCall)
        _, end, so = ended
        if end != "ok" or not so:
            return ast.Boolean(node.span, True)
        return ast.TestCall(node.span, node.operand, ast.Name(node.span, "none"), (), True)

    return facts(to_nodes(rewritten(expr, change)), True)


def _never(operator: str, left_type: Type, right_type: Type) -> bool:
    """Whether a comparison is false for all values of two types."""
    left, right = kinds_of(left_type), kinds_of(right_type)
    if not left or not right or left == _NULL or right == _NULL:
        return False
    if operator == "==":
        return not left & right
    if operator in ("<", "<=", ">", ">="):
        return not any(kind <= left and kind <= right for kind in (_NUMBER, _TEXT))
    if operator != "in":
        return False
    if "array" in right:
        item = item_of(right_type)
        return (
            right <= {"array", "null"}
            and item is not None
            and not (item is ANY or kinds_of(item) & left)
        )
    return not ("string" in left and right & {"string", "object"})


def _report(
    operator: str,
    sides: tuple[ast.Expr, ast.Expr],
    types: tuple[Type, Type],
    setting: str,
    typer: PlanTyper,
) -> None:
    shown = [
        f"`{' '.join(side.span.text.split())}` (`{type_}`)"
        if isinstance(side, ast.Variable | ast.Attribute)
        else f"`{type_}`"
        for side, type_ in zip(sides, types, strict=True)
    ]
    how = {"==": "are never equal", "in": "is never in"}.get(operator)
    message = (
        f"{shown[0]} is never in {shown[1]}"
        if operator == "in"
        else f"{shown[0]} and {shown[1]} {how or 'cannot be compared'}"
    )
    span = sides[0].span
    typer.report(
        diagnostic(
            "ORC222",
            message,
            type(span)(span.source, span.start, sides[1].span.end),
            help=f"`{setting}` would never be true here",
        )
    )
