"""Expressions of a `.orch` file: run by Jinja2, compiled from our own syntax tree.

The tree is turned into Jinja2's nodes, not into text, so nothing is ever quoted or parsed twice
and a position is never lost. Compiling waits for the first evaluation: a file is linted without
compiling anything. `constant` reads literals without Jinja2 at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import jinja2
from jinja2 import nodes

from engine.errors import OrchError
from engine.sema.expressions.environment import OrchTemplate, explain, shared_environment
from engine.sema.expressions.metering import UNBOUNDED, EvaluationError, counted, current, take
from engine.sema.expressions.tracing import Written, innermost
from engine.source import Span
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["Expression", "NotConstantError", "constant", "free_names", "is_constant", "to_nodes"]

_BINARY: dict[str, type[nodes.BinExpr]] = {
    "or": nodes.Or,
    "and": nodes.And,
    "+": nodes.Add,
    "-": nodes.Sub,
    "*": nodes.Mul,
    "/": nodes.Div,
    "//": nodes.FloorDiv,
    "%": nodes.Mod,
    "**": nodes.Pow,
}
_COMPARISON = {
    "==": "eq",
    "!=": "ne",
    "<": "lt",
    "<=": "lteq",
    ">": "gt",
    ">=": "gteq",
    "in": "in",
    "not in": "notin",
}
#: What an evaluation costs that is part of another one, in steps.
_PART = 15
#: The name the value is kept under while an expression runs; no `.orch` name looks like it.
_RESULT = "_orch_value"


class NotConstantError(OrchError):
    """An expression that is not a constant; `span` is the part that is not."""

    def __init__(self, span: Span) -> None:
        self.span = span
        super().__init__(f"`{span.text}` is not a constant")


def constant(expr: ast.Expr) -> Any:
    """The value of literals, lists, maps, quantities and signed numbers.

    Raises:
        NotConstantError: With the span of the first part that is computed.
    """
    match expr:
        case ast.Number() | ast.Quantity() | ast.String() | ast.Boolean():
            return expr.value
        case ast.Null():
            return None
        case ast.ListExpr():
            return [constant(item) for item in expr.items]
        case ast.MapExpr():
            return {entry.key.text: constant(entry.value) for entry in expr.entries}
        case ast.Unary(operator="-" | "+", operand=ast.Number() | ast.Quantity() as operand):
            return -operand.value if expr.operator == "-" else operand.value
    raise NotConstantError(expr.span)


def is_constant(expr: ast.Expr) -> bool:
    """Whether `constant` can read it."""
    try:
        constant(expr)
    except NotConstantError:
        return False
    return True


def to_nodes(expr: ast.Expr) -> nodes.Expr:
    """The same expression in Jinja2's nodes.

    Each node carries `orch_span`, the span of what it is about (of an attribute, filter or test:
    its name alone), for `engine.sema.templates.check_template`.
    """
    node = _convert(expr)
    match expr:
        case ast.Attribute():
            node.__dict__["orch_span"] = expr.name_span
        case ast.FilterCall() | ast.TestCall():
            inner = node.node if isinstance(node, nodes.Not) else node
            inner.__dict__["orch_span"] = expr.name.span
            node.__dict__.setdefault("orch_span", expr.span)
        case _:
            node.__dict__["orch_span"] = expr.span
    return node


def _convert(expr: ast.Expr) -> nodes.Expr:
    match expr:
        case ast.Number() | ast.Quantity() | ast.String() | ast.Boolean():
            return nodes.Const(expr.value)
        case ast.Null():
            return nodes.Const(None)
        case ast.Variable():
            return nodes.Name(expr.name, "load")
        case ast.Attribute():
            return nodes.Getattr(to_nodes(expr.object), expr.name, "load")
        case ast.Index():
            return nodes.Getitem(to_nodes(expr.object), _index(expr.index), "load")
        case ast.Call():
            args, kwargs = _arguments(expr.args, expr.kwargs)
            return nodes.Call(to_nodes(expr.function), args, kwargs, None, None)
        case ast.FilterCall():
            args, kwargs = _arguments(expr.args, expr.kwargs)
            return nodes.Filter(to_nodes(expr.operand), expr.name.text, args, kwargs, None, None)
        case ast.TestCall():
            args, kwargs = _arguments(expr.args, ())
            test = nodes.Test(to_nodes(expr.operand), expr.name.text, args, kwargs, None, None)
            return nodes.Not(test) if expr.negated else test
        case ast.Unary():
            return _unary(expr)
        case ast.Binary(operator="~"):
            return nodes.Concat([to_nodes(expr.left), to_nodes(expr.right)])
        case ast.Binary():
            return _BINARY[expr.operator](to_nodes(expr.left), to_nodes(expr.right))
        case ast.Comparison():
            return nodes.Compare(
                to_nodes(expr.first),
                [nodes.Operand(_COMPARISON[op], to_nodes(right)) for op, right in expr.rest],
            )
        case ast.Conditional():
            return nodes.CondExpr(
                to_nodes(expr.test), to_nodes(expr.then), to_nodes(expr.otherwise)
            )
        case ast.ListExpr():
            return nodes.List([to_nodes(item) for item in expr.items])
        case ast.MapExpr():
            return nodes.Dict(
                [
                    nodes.Pair(nodes.Const(entry.key.text), to_nodes(entry.value))
                    for entry in expr.entries
                ]
            )


def _index(index: ast.Expr | ast.Slice) -> nodes.Expr:
    if not isinstance(index, ast.Slice):
        return to_nodes(index)
    parts = (index.start, index.stop, index.step)
    return nodes.Slice(*(None if part is None else to_nodes(part) for part in parts))


def _arguments(
    args: tuple[ast.Expr, ...], kwargs: tuple[tuple[ast.Name, ast.Expr], ...]
) -> tuple[list[nodes.Expr], list[nodes.Keyword]]:
    return (
        [to_nodes(arg) for arg in args],
        [nodes.Keyword(key.text, to_nodes(value)) for key, value in kwargs],
    )


def _unary(expr: ast.Unary) -> nodes.Expr:
    operand = to_nodes(expr.operand)
    if expr.operator == "not":
        return nodes.Not(operand)
    return nodes.Neg(operand) if expr.operator == "-" else nodes.Pos(operand)


def free_names(expr: ast.Expr) -> frozenset[str]:
    """Every name the expression reads."""
    return frozenset(node.name for node in walk(expr) if isinstance(node, ast.Variable))


class Expression:
    """One expression, ready to be evaluated any number of times.

    Args:
        expr: The syntax tree.
        variables: Names every evaluation sees besides its scope, such as `param`.

    Attributes:
        text: The source as written.
        span: Where it is.
        names: The names it reads.
    """

    def __init__(self, expr: ast.Expr, variables: Mapping[str, Any] | None = None) -> None:
        self.expr = expr
        self.span = expr.span
        self.text = expr.span.text
        self._variables = dict(variables or {})

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    @cached_property
    def names(self) -> frozenset[str]:
        """The names it reads."""
        return free_names(self.expr)

    @cached_property
    def _is_computed(self) -> bool:
        """Whether the value may hold more than what the scope held: then it is settled."""
        expr = self.expr
        while isinstance(expr, ast.Attribute | ast.Index):
            expr = expr.object
        return not isinstance(
            expr,
            ast.Number
            | ast.Quantity
            | ast.String
            | ast.Boolean
            | ast.Null
            | ast.Comparison
            | ast.Variable,
        )

    @cached_property
    def _compiled(self) -> OrchTemplate:
        environment = shared_environment()
        code = environment.compile(self._tree(), filename=None)
        return OrchTemplate.of(environment, code, self._variables)

    def _tree(self) -> nodes.Template:
        body = nodes.Assign(nodes.Name(_RESULT, "store"), to_nodes(self.expr), lineno=1)
        tree = nodes.Template([body], lineno=1)
        tree.set_environment(shared_environment())
        return tree

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        """The value in a scope.

        Raises:
            EvaluationError: If a name or field is not there, an operation is not possible, or it
                takes too many steps.
        """
        meter = current.meter
        begins = meter.begin()
        value = None
        try:
            if not begins:
                take(_PART)
            template = self._compiled
            context = template.in_scope(scope)
            for _ in template.root_render_func(context):
                pass
            value = context.vars[_RESULT]
            if self._is_computed or isinstance(value, jinja2.Undefined) or callable(value):
                return _settle(value)
            return value
        # Whatever Jinja2 or a filter raises is the program's fault, told in its words.
        except Exception as error:
            told = _in(self.text, explain(error))
            told.span = self._place(error, value)
            raise told from None
        finally:
            if begins:
                meter.left = UNBOUNDED

    def _place(self, error: BaseException, value: Any) -> Span:
        """The part of it that an exception came from; `value` is what it gave, if it got so far."""
        if isinstance(error, EvaluationError) and error.span is not None:
            return error.span  # of a template that it calls
        way = innermost(error)
        if way is None:
            return _undefined_part(self.expr, value).span
        node = Written(self._tree()).node_of(way[0])
        span: Span | None = None if node is None else node.__dict__.get("orch_span")
        return span or self.span


def _undefined_part(expr: ast.Expr, value: Any) -> ast.Expr:
    """The first part of a list or map as written whose value is not there; else all of it."""
    parts: list[tuple[ast.Expr, Any]] = []
    if isinstance(expr, ast.ListExpr) and isinstance(value, list):
        parts = list(zip(expr.items, value, strict=False))
    elif isinstance(expr, ast.MapExpr) and isinstance(value, dict):
        parts = [(entry.value, value.get(entry.key.text)) for entry in expr.entries]
    for part, given in parts:
        if isinstance(given, jinja2.Undefined):
            return part
        if isinstance(given, list | dict):
            inner = _undefined_part(part, given)
            if inner is not part:
                return inner
    return expr


def _settle(value: Any) -> Any:
    """Plain data: generators and views of filters and methods become lists.

    Raises for what is undefined, also inside lists and maps.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises with the reason
    if isinstance(value, Mapping):
        take(1 + len(value) // 2)
        return {key: _settle(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        take(1 + len(value) // 2)
        return [_settle(item) for item in value]
    if isinstance(value, Iterable):
        return [_settle(item) for item in counted(value)]
    raise EvaluationError("a function is not a value; call it with `()`")


def _in(text: str, error: EvaluationError) -> EvaluationError:
    shown = " ".join(text.split())
    if len(shown) > 80:
        shown = shown[:77] + "..."
    return EvaluationError(f"{error} (in `{shown}`)")
