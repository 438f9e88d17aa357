"""Evaluates the assertions of a test, and says of one that fails what its parts were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.sema.expressions.template import EvaluationError, Expression
from engine.sema.model import Assertion
from engine.syntax import ast
from engine.testing.result import Finding

__all__ = ["check"]

#: The maximum number of parts of an expression that are shown.
_MAX_PARTS = 12


def check(assertion: Assertion, scope: Mapping[str, Any]) -> Finding | None:
    """None if the assertion holds in a scope, else what is wrong."""
    text = " ".join(assertion.test.text.split())
    try:
        if assertion.test.evaluate(scope):
            return None
        message = f"assert {text}"
        said = assertion.say(scope)
        if said:
            message = f"{said} ({message})"
    except EvaluationError as problem:
        message = f"assert {text}: it cannot be evaluated: {problem}"
    return Finding("assertion", message, assertion.test.span, _values(assertion.test.expr, scope))


def _values(expr: ast.Expr, scope: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """The parts of an expression that say something, each with its value."""
    found: dict[str, Any] = {}
    for part in _parts(expr):
        text = " ".join(part.span.text.split())
        if text in found or len(found) == _MAX_PARTS:
            continue
        try:
            found[text] = Expression(part).evaluate(scope)
        except EvaluationError:
            continue
    return tuple(found.items())


def _parts(expr: ast.Expr) -> Iterator[ast.Expr]:
    """The operands of comparisons and logic, from left to right, and what filters are fed with."""
    match expr:
        case ast.Binary():
            yield from _parts(expr.left)
            yield from _parts(expr.right)
        case ast.Comparison():
            yield from _parts(expr.first)
            for _, right in expr.rest:
                yield from _parts(right)
        case ast.Unary():
            yield from _parts(expr.operand)
        case ast.Conditional():
            yield from _parts(expr.test)
            yield from _parts(expr.then)
            yield from _parts(expr.otherwise)
        case ast.ListExpr():
            for item in expr.items:
                yield from _parts(item)
        case ast.FilterCall():
            yield from _parts(expr.operand)
            yield expr
        case ast.TestCall():
            yield from _parts(expr.operand)
        case ast.Variable() | ast.Attribute() | ast.Index() | ast.Call():
            yield expr
        case _:
            return
