"""Constants: what an expression is worth before anything runs.

A setting that bounds something may be a literal, a param, or a choice of these
(`8 if param.mode == "deep" else 3`). `Folder` finds the leaf that counts and hands *every* leaf
to the caller's reader, so that a branch not taken is checked too. Anything else is not constant
(ORC406). Params are folded to the values the caller gave.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.sema.suggest import closest
from engine.source import Span
from engine.syntax import ast

__all__ = [
    "JSON_NULL",
    "UNSET",
    "FileText",
    "Folder",
    "NotConstant",
    "constant_value",
    "describe",
    "describe_value",
    "param_name",
    "parse_duration_ms",
    "unwrapped",
]

T = TypeVar("T")


class _Unset(msgspec.Struct, frozen=True):
    """The value of a param that has none yet."""


#: Marks the value of a param without a default to which the caller gave no value.
UNSET: Final = _Unset()

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_ISO_DURATION = re.compile(
    r"P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?"
)
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class NotConstant(Exception):
    """An expression is not a constant. `span` is the part that is not."""

    def __init__(self, span: Span) -> None:
        self.span = span
        super().__init__(span.text)


def parse_duration_ms(text: str) -> int | None:
    """Milliseconds of `1h30m` or of an ISO 8601 duration such as `PT90S`; None if it is neither."""
    if text and _DURATION.sub("", text) == "":
        return round(sum(float(n) * _UNIT_MS[u] for n, u in _DURATION.findall(text)))
    found = _ISO_DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        return None
    weeks, days, hours, minutes, seconds = (float(g or 0) for g in found.groups())
    return round(((((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)


def describe(expr: ast.Expr) -> str:
    """What an expression is, for messages: "a duration", "a list"."""
    match expr:
        case ast.Number(value=value):
            return "an int" if isinstance(value, int) else "a float"
        case ast.Quantity(unit=unit):
            return {
                "duration": "a duration",
                "money": "an amount of money",
                "size": "a size",
                "count": "an int",
                "percent": "a percentage",
            }[unit]
        case ast.String():
            return "a string"
        case ast.Boolean():
            return "a bool"
        case ast.Null():
            return "null"
        case ast.ListExpr():
            return "a list"
        case ast.MapExpr():
            return "a map"
        case ast.Variable(name=name):
            return f"the name `{name}`"
        case ast.Unary(operator="-" | "+", operand=ast.Number() as operand):
            return describe(operand)
    return "an expression"


def describe_value(value: Any) -> str:
    """What a value of a param is, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a bool"
    for kind, word in (
        (int, "an int"),
        (float, "a float"),
        (str, "a string"),
        (list, "a list"),
        (dict, "a map"),
    ):
        if isinstance(value, kind):
            return word
    return "a value"


def constant_value(expr: ast.Expr, file: Callable[[ast.String], Any] | None = None) -> Any:
    """The JSON value of an expression made of literals, lists and maps.

    Args:
        file: What `file("x")` means, where it is allowed.

    Raises:
        NotConstant: If there is anything else in it.
    """
    match expr:
        case ast.Number(value=value) | ast.String(value=value) | ast.Boolean(value=value):
            return value
        case ast.Quantity(unit="duration", text=text):
            return text
        case ast.Quantity(unit="money", value=value):
            return value / 1_000_000
        case ast.Quantity(value=value):
            return value
        case ast.Null():
            return None
        case ast.Unary(operator="-" | "+" as sign, operand=ast.Number(value=value)):
            return -value if sign == "-" else value
        case ast.ListExpr(items=items):
            return [constant_value(item, file) for item in items]
        case ast.MapExpr(entries=entries):
            return {e.key.text: constant_value(e.value, file) for e in entries}
        case ast.Call(function=ast.Variable(name="file"), args=(ast.String() as path,)) if file:
            return file(path)
    raise NotConstant(expr.span)


class Folder:
    """Folds expressions of one module.

    Args:
        params: The module's params by local name, with their folded values (or `UNSET`).
        used: Called with the name of each param that is read.
        excused: Whether a param may be declared where the file could not be read.
        elsewhere: What helps where a param is one of an import.
        compare: Reports a test of a choice that its types make always true or false.
    """

    def __init__(
        self,
        params: Mapping[str, Any],
        report: Callable[[Diagnostic], None],
        used: Callable[[str], None],
        excused: Callable[[str], bool],
        elsewhere: Callable[[str], str | None],
        compare: Callable[[ast.Expr], None],
    ) -> None:
        self._params = params
        self._report = report
        self._used = used
        self._excused = excused
        self._elsewhere = elsewhere
        self._compare = compare

    def fold(
        self,
        expr: ast.Expr,
        read: Callable[[ast.Expr], T | None],
        read_value: Callable[[Any, Span], T | None],
    ) -> T | None:
        """The value of the leaf that counts; None if something was reported (or is unset).

        Args:
            read: Reads a literal; reports what is wrong with it and returns None then.
            read_value: The same for the value of a param.
        """
        if isinstance(expr, ast.Conditional):
            self._compare(expr.test)
            try:
                test = self._truth(expr.test)
            except NotConstant as error:
                self._report(
                    diagnostic(
                        "ORC406",
                        "this choice cannot be made before the run: it needs constants and params",
                        error.span,
                        help='compare a param with a constant: `8 if param.mode == "deep" else 3`',
                    )
                )
                return None
            chosen = self.fold(expr.then, read, read_value)
            other = self.fold(expr.otherwise, read, read_value)
            if test is UNSET:
                return chosen if chosen is not None else other
            return chosen if test else other
        name = param_name(expr)
        if name is not None:
            value = self.param(name, expr)
            return None if value is UNSET else read_value(value, expr.span)
        return read(expr)

    def param(self, name: str, expr: ast.Expr) -> Any:
        """The value of a param, or UNSET; reports a name that is not declared."""
        if name in self._params:
            self._used(name)
            return self._params[name]
        if not self._excused(name):
            span = expr.name_span if isinstance(expr, ast.Attribute) else expr.span
            near = closest(name, self._params)
            help = self._elsewhere(name) or f"declare it: `param {name}: int`"
            self._report(
                diagnostic(
                    "ORC101",
                    f"unknown param `{name}`",
                    span,
                    help=f"did you mean `{near}`?" if near else help,
                    fix=Fix(f"write `{near}`", (Edit(span, near),)) if near else None,
                )
            )
        return UNSET

    def value(self, expr: ast.Expr) -> Any:
        """The plain value of a constant expression with params in it; UNSET where one is unset.

        Raises:
            NotConstant: If there is anything else in it.
        """
        name = param_name(expr)
        if name is not None:
            return self.param(name, expr)
        if isinstance(expr, ast.Conditional):
            test = self._truth(expr.test)
            return self.value(expr.then if test else expr.otherwise)
        return constant_value(expr)

    def _truth(self, expr: ast.Expr) -> Any:
        match expr:
            case ast.Unary(operator="not", operand=operand):
                value = self._truth(operand)
                return UNSET if value is UNSET else not value
            case ast.Binary(operator="and" | "or" as word, left=left, right=right):
                a, b = self._truth(left), self._truth(right)
                if a is UNSET or b is UNSET:
                    return UNSET
                return (a and b) if word == "and" else (a or b)
            case ast.Comparison(first=first, rest=rest):
                left = self.value(first)
                for operator, operand in rest:
                    right = self.value(operand)
                    if left is UNSET or right is UNSET:
                        return UNSET
                    if not _compare(operator, left, right, expr.span):
                        return False
                    left = right
                return True
        return self.value(expr)


def param_name(expr: ast.Expr) -> str | None:
    """`x` for `param.x`, else None."""
    if isinstance(expr, ast.Attribute) and isinstance(expr.object, ast.Variable):
        return expr.name if expr.object.name == "param" else None
    return None


def _compare(operator: str, left: Any, right: Any, span: Span) -> bool:
    try:
        match operator:
            case "==":
                return bool(left == right)
            case "!=":
                return bool(left != right)
            case "<":
                return bool(left < right)
            case "<=":
                return bool(left <= right)
            case ">":
                return bool(left > right)
            case ">=":
                return bool(left >= right)
            case "in":
                return left in right
            case "not in":
                return left not in right
    except TypeError:
        pass
    raise NotConstant(span)


class FileText(str):
    """What `file("x")` means in a test: the path, and its text (None if unreadable)."""

    text: str | None

    def __new__(cls, path: str, text: str | None) -> FileText:
        """Make it; as a string it is the path."""
        made = super().__new__(cls, path)
        made.text = text
        return made


class _NullType:
    """Marks a constant `null`, which is a value and not an absence."""


#: See `_NullType`.
JSON_NULL = _NullType()


def unwrapped(value: Any) -> Any:
    """A constant as a JSON value: `null` again for its marker."""
    return None if value is JSON_NULL or value is UNSET else value
