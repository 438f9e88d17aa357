"""What can be said of the `when` of a hook before a run: that it looks whenever a task is tainted.

`clears` (`engine.sema.trust`) counts a hook only if it looks at every task that could carry a
stranger's words. This proves it for `tainted`, `task.tainted`, and tests built from them by `or`,
`and` and `not`; anything else proves nothing. A test that cannot be evaluated makes the hook look
(`engine.runtime.relevance`), so the other side of an `or` cannot take the proof away.
"""

from __future__ import annotations

from engine.sema.expressions.template import EvaluationError, Expression
from engine.sema.model import Hook
from engine.syntax import ast

__all__ = ["asks_for_taint", "looks_if_tainted", "needs_taint", "reads_nothing"]


def looks_if_tainted(hook: Hook) -> bool:
    """Whether a hook provably looks at whatever is tainted."""
    if hook.when is None:
        return True
    if not hook.when.names:
        return reads_nothing(hook.when) is not False
    return _holds(hook.when.expr)


def reads_nothing(when: Expression) -> bool | None:
    """The truth of a test that reads no names; None where it reads some, or has no value."""
    if when.names:
        return None
    try:
        return bool(when.evaluate({}))
    except EvaluationError:
        return None


def asks_for_taint(expr: ast.Expr) -> bool:
    """Whether an expression is `tainted` or `task.tainted`."""
    match expr:
        case ast.Variable(name="tainted"):
            return True
        case ast.Attribute(object=ast.Variable(name="task"), name="tainted"):
            return True
    return False


def needs_taint(expr: ast.Expr) -> bool:
    """Whether an expression is provably false of all that is not tainted."""
    match expr:
        case ast.Binary(operator="and", left=left, right=right):
            return needs_taint(left) or needs_taint(right)
        case ast.Binary(operator="or", left=left, right=right):
            return needs_taint(left) and needs_taint(right)
    return asks_for_taint(expr)


def _holds(expr: ast.Expr) -> bool:
    """Whether an expression is true of all that is tainted, or cannot be evaluated."""
    match expr:
        case ast.Boolean(value=value):
            return value
        case ast.Binary(operator="or", left=left, right=right):
            return _holds(left) or _holds(right)
        case ast.Binary(operator="and", left=left, right=right):
            return _holds(left) and _holds(right)
        case ast.Unary(operator="not", operand=operand):
            return _fails(operand)
    return asks_for_taint(expr)


def _fails(expr: ast.Expr) -> bool:
    """Whether an expression is false of all that is tainted, or cannot be evaluated."""
    match expr:
        case ast.Boolean(value=value):
            return not value
        case ast.Binary(operator="or", left=left, right=right):
            return _fails(left) and _fails(right)
        case ast.Binary(operator="and", left=left, right=right):
            return _fails(left) or _fails(right)
        case ast.Unary(operator="not", operand=operand):
            return _holds(operand)
    return False
