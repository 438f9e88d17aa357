"""Expressions of a plan as the machine runs them: leaves, trees and tests.

A path is a leaf, a comparison of paths and constants a condition: these cost next to nothing.
Everything else stays an expression (`Computed`). Both mean the same, but for what tests forgive: a
comparison with null is false there, not an error.
"""

from __future__ import annotations

from typing import Any

from engine.diagnostics import diagnostic
from engine.sema.declarations.plans.names import VIEWS, PlanNames, escaped
from engine.sema.declarations.plans.typing import PlanTyper, ended_test, kinds_of, rewritten
from engine.sema.expressions.compiler import Expression, NotConstantError, constant
from engine.sema.plans.conditions import Condition, End, Operator, Test
from engine.sema.plans.values import (
    ABSENT,
    Computed,
    FromInput,
    FromItem,
    FromLast,
    FromStep,
    Index,
    Leaf,
    Parts,
)
from engine.sema.settings.constants import NotConstant, constant_value
from engine.sema.templates.typing_rules import not_null
from engine.sema.types.definitions import StepOutputs
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["computed", "leaf_of", "test_of", "value_of"]

#: A test with more groups than this stays an expression.
_MOST_GROUPS = 32
_FLIPPED: dict[str, Operator] = {
    "==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<=",
}  # fmt: skip
_ORDERED = ("==", "!=", "<", "<=", ">", ">=")

Groups = list[tuple[Condition, ...]]


# ---------------------------------------------------------------- values


def leaf_of(expr: ast.Expr, names: PlanNames) -> Leaf | None:
    """A path as a leaf; None for anything else."""
    tokens: list[str] = []
    dotted: list[bool] = []
    current = expr
    while not isinstance(current, ast.Variable):
        if isinstance(current, ast.Attribute):
            tokens.append(current.name)
            dotted.append(True)
            current = current.object
        elif isinstance(current, ast.Index) and isinstance(current.index, ast.String):
            tokens.append(current.index.value)
            dotted.append(False)
            current = current.object
        elif isinstance(current, ast.Index) and _is_place(current.index):
            assert isinstance(current.index, ast.Number)
            tokens.append(str(current.index.value))
            dotted.append(False)
            current = current.object
        else:
            return None
    tokens.reverse()
    root = names.leaf(current.name)
    is_view = tokens and dotted[-1] and tokens[0] in VIEWS and _has_views(current.name, names)
    if isinstance(root, FromStep) and is_view:
        root = FromStep(root.name, view=VIEWS[tokens.pop(0)])
    if root is None:
        return None
    return _at(root, "".join(f"/{escaped(token)}" for token in tokens))


def _is_place(index: ast.Node) -> bool:
    return isinstance(index, ast.Number) and isinstance(index.value, int)


def _has_views(name: str, names: PlanNames) -> bool:
    return name in names.steps and isinstance(not_null(names.steps[name].type), StepOutputs)


def _at(root: Leaf, pointer: str) -> Leaf | None:
    match root:
        case FromStep():
            return FromStep(root.name, pointer, root.view)
        case FromInput():
            return FromInput(root.at + pointer)
        case FromItem():
            return FromItem(root.at + pointer)
        case FromLast():
            return FromLast(root.at + pointer)
        case Index() | Parts():
            return root if pointer == "" else None
    return None


def value_of(expr: ast.Expr, names: PlanNames, typer: PlanTyper) -> Any:
    """A value of an input or a result: a tree of plain values and leaves."""
    try:
        return constant_value(expr)
    except NotConstant:
        pass
    leaf = leaf_of(expr, names)
    if leaf is not None:
        return leaf
    if isinstance(expr, ast.ListExpr):
        return [value_of(item, names, typer) for item in expr.items]
    if isinstance(expr, ast.MapExpr):
        return {entry.key.text: value_of(entry.value, names, typer) for entry in expr.entries}
    return computed(expr, names, typer)


def computed(expr: ast.Expr, names: PlanNames, typer: PlanTyper) -> Computed:
    """An expression that is evaluated when the plan runs."""
    views: dict[str, FromStep] = {}

    def change(node: ast.Node) -> ast.Node | None:
        if ended_test(node, names) is not None:
            typer.report(
                diagnostic(
                    "ORC202",
                    "how a step ended can only be a condition of its own here",
                    node.span,
                    help="write it in `when`, `where` or `until`, joined with `and` and `or`",
                )
            )
            return ast.Boolean(node.span, True)
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.object, ast.Variable)
            and node.name in VIEWS
            and _has_views(node.object.name, names)
        ):
            step = node.object.name
            variable = f"_orch_{node.name}_{step}"  # no name of a file looks like it
            views[variable] = FromStep(step, view=VIEWS[node.name])
            return ast.Variable(node.span, variable)
        return None

    plain = rewritten(expr, change)
    read = {node.name for node in walk(plain) if isinstance(node, ast.Variable)}
    own = {name for name in read if names.has(name)} | {view.name for view in views.values()}
    return Computed(
        Expression(plain, typer.texts.values), frozenset(own), tuple(sorted(views.items()))
    )


# ---------------------------------------------------------------- tests


def test_of(expr: ast.Expr, names: PlanNames, typer: PlanTyper) -> Test:
    """A condition as a test, where a test can say it."""
    groups = _groups(expr, names, typer, True)
    if groups is not None and 0 < len(groups) <= _MOST_GROUPS:
        return Test(tuple(groups))
    return Test(computed=computed(expr, names, typer))


def _groups(expr: ast.Expr, names: PlanNames, typer: PlanTyper, holds: bool) -> Groups | None:
    """Any of all of conditions under which an expression is true (or false); None if unsayable."""
    match expr:
        case ast.Unary(operator="not"):
            return _groups(expr.operand, names, typer, not holds)
        case ast.Binary(operator="and" | "or"):
            left = _groups(expr.left, names, typer, holds)
            right = _groups(expr.right, names, typer, holds)
            if left is None or right is None:
                return None
            if (expr.operator == "or") == holds:
                return left + right
            if len(left) * len(right) > _MOST_GROUPS:
                return None
            return [(*a, *b) for a in left for b in right]
        case ast.Comparison() if len(expr.rest) > 1:
            pairs = _chain(expr)
            joined: ast.Expr = pairs[0]
            for pair in pairs[1:]:
                joined = ast.Binary(expr.span, "and", joined, pair)
            return _groups(joined, names, typer, holds)
    condition = _condition(expr, names, typer, holds)
    return None if condition is None else [(condition,)]


def _chain(expr: ast.Comparison) -> list[ast.Comparison]:
    """`a < b < c` as its comparisons of two."""
    left = expr.first
    pairs = []
    for operator, right in expr.rest:
        pairs.append(ast.Comparison(expr.span, left, ((operator, right),)))
        left = right
    return pairs


def _condition(expr: ast.Expr, names: PlanNames, typer: PlanTyper, holds: bool) -> Condition | None:
    if isinstance(expr, ast.Comparison):
        return _comparison(expr, names, holds)
    ended = ended_test(expr, names)
    if ended is not None:
        step, end, so = ended
        # A step that was skipped is neither `ok` nor `failed`, so they are not opposites.
        denied: End = "not ok" if end == "ok" else "not failed"
        return Condition(FromStep(step), end if so == holds else denied)
    if isinstance(expr, ast.TestCall) and expr.name.text == "none" and not expr.args:
        leaf = leaf_of(expr.operand, names)
        is_null = holds != expr.negated
        return None if leaf is None else Condition(leaf, "==" if is_null else "!=", None)
    leaf = leaf_of(expr, names)
    if leaf is None:
        return None
    kinds = kinds_of(typer.quiet(expr, names))
    if kinds <= {"boolean", "null"}:
        return Condition(leaf, "==" if holds else "!=", True)
    if kinds <= {"string", "array", "object", "null"} and not holds:
        return Condition(leaf, "empty")
    return None


def _comparison(expr: ast.Comparison, names: PlanNames, holds: bool) -> Condition | None:
    ((operator, right),) = expr.rest
    if not holds:
        # Only these have an opposite: with null, neither `<` nor `>=` holds.
        if operator not in ("==", "!="):
            return None
        operator = "!=" if operator == "==" else "=="
    value, than = _side(expr.first, names), _side(right, names)
    if value is ABSENT or than is ABSENT:
        return None
    if not isinstance(value, Leaf):
        if operator not in _FLIPPED or not isinstance(than, Leaf):
            return None
        return Condition(than, _FLIPPED[operator], value)
    if operator == "in" or operator in _ORDERED:
        return Condition(value, operator, than)  # type: ignore[arg-type]
    return None


def _side(expr: ast.Expr, names: PlanNames) -> Any:
    """One side of a comparison: a leaf or a constant; `ABSENT` for anything else."""
    leaf = leaf_of(expr, names)
    if leaf is not None:
        return leaf
    try:
        return constant(expr)
    except NotConstantError:
        return ABSENT
