"""Single constants: literals and values of params, read by what the table says they are.

One `LeafReader` for a module. Each method gives the value in its canonical unit (milliseconds,
micro-dollars, bytes, a share), or reports one diagnostic and gives None. Messages say what was
needed and what is there; where the right spelling can be guessed there is a fix.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, Literal

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.sema.names.scope import Scope
from engine.sema.settings import values as table
from engine.sema.settings.constants import describe, describe_value, parse_duration_ms
from engine.sema.suggest import closest, names_list
from engine.source import Span
from engine.syntax import ast

__all__ = ["LeafReader"]

_LITERALS = (
    ast.Number, ast.Quantity, ast.String, ast.Boolean, ast.Null, ast.ListExpr, ast.MapExpr,
)  # fmt: skip
#: Settings by which an author answers for what a worker does.
_PROMISES = ("effect", "trust")
#: What a literal of each sort looks like: a string that does was quoted by habit.
_NUMBER = r"\d+(\.\d+)?"
_UNQUOTED: defaultdict[type, re.Pattern[str]] = defaultdict(
    lambda: re.compile(r"(?!)"),
    {
        table.Int: re.compile(r"\d+[kM]?"),
        table.NumberValue: re.compile(_NUMBER),
        table.Bool: re.compile(r"true|false"),
        table.Duration: re.compile(rf"({_NUMBER}(ms|s|m|h|d))+"),
        table.Money: re.compile(rf"\${_NUMBER}"),
        table.Size: re.compile(rf"{_NUMBER}([KMG]i?)?B"),
        table.Share: re.compile(rf"{_NUMBER}%"),
    },
)


class LeafReader:
    """Reads single constants of one module."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def leaf(self, name: str, value: table.Value, expr: ast.Expr) -> Any:
        """The value of a literal for a setting; None if it does not fit (reported)."""
        wanted = _wanted(value)
        if isinstance(value, (table.Choice, table.ChoiceOrStrings, table.Parse)):
            word = expr.name if isinstance(expr, ast.Variable) else None
            if isinstance(expr, ast.String) and isinstance(value, table.ChoiceOrStrings):
                return self.mismatch(
                    name, wanted, expr, help=f"write `{name} = [{expr.span.text}]`"
                )
            if isinstance(expr, ast.String):
                word = expr.value
            if word is None:
                return self.mismatch(name, wanted, expr)
            return self._word(name, value, word, expr.span)
        if not isinstance(expr, _LITERALS):
            if isinstance(expr, ast.Unary) and isinstance(expr.operand, (ast.Number, ast.Quantity)):
                return self._negative(name, value, expr)
            return self._not_constant(name, value, expr)
        match value, expr:
            case table.Int(), ast.Number(value=int(number)):
                return self._in_range(name, number, value.minimum, value.maximum, expr.span)
            case table.Int(), ast.Quantity(unit="count", value=number):
                return self._in_range(name, int(number), value.minimum, value.maximum, expr.span)
            case table.NumberValue(), (
                ast.Number(value=number) | ast.Quantity(unit="count", value=number)
            ):
                return self._in_range(name, number, value.minimum, value.maximum, expr.span)
            case table.Bool(), ast.Boolean(value=flag):
                return flag
            case ((table.Str() | table.CallPath()), ast.String(value=text)):
                return self._text_value(name, value, text, expr.span)
            case table.Duration(), ast.Quantity(unit="duration", value=number):
                return self._in_range(name, int(number), 1, None, expr.span, shown="1ms")
            case table.Money(minimum=minimum), ast.Quantity(unit="money", value=number):
                return self._in_range(
                    name, int(number), minimum, None, expr.span, shown="$0.000001"
                )
            case table.Size(), ast.Quantity(unit="size", value=number):
                return self._in_range(name, int(number), 1, None, expr.span, shown="1B")
            case table.Share(), ast.Quantity(unit="percent", value=number):
                if 0 < number <= 1:
                    return number
                return self._range_error(name, "between 1% and 100%", expr.span)
            case table.ShareOrNumber(), ast.Number(value=int(number)):
                return int(number)
            case table.ShareOrNumber(), ast.Number(value=number):
                return self._no_share(name, number, expr)
            case table.ShareOrNumber(), ast.Quantity(unit="percent", value=number):
                if 0 < number < 1:
                    return number
                return self._range_error(name, "between 1% and 99%, or a number", expr.span)
            case ((table.Duration() | table.Money() | table.Size() | table.Share()), ast.Number()):
                return self._missing_unit(name, value, expr)
        if isinstance(expr, ast.String) and _UNQUOTED[type(value)].fullmatch(expr.value):
            return self._quotes_too_many(name, value, expr)
        return self.mismatch(name, wanted, expr)

    def param_value(self, name: str, value: table.Value, given: Any, span: Span) -> Any:
        """The value of a param for a setting; None if it does not fit (reported)."""
        wanted = _wanted(value)
        number = isinstance(given, (int, float)) and not isinstance(given, bool)
        whole = number and float(given).is_integer()
        match value:
            case table.Choice() | table.ChoiceOrStrings() | table.Parse() if isinstance(given, str):
                return self._word(name, value, given, span)
            case table.Int() if whole:
                return self._in_range(name, int(given), value.minimum, value.maximum, span)
            case table.NumberValue() if number:
                return self._in_range(name, given, value.minimum, value.maximum, span)
            case table.Bool() if isinstance(given, bool):
                return given
            case table.Str() | table.CallPath() if isinstance(given, str):
                return self._text_value(name, value, given, span)
            case table.Duration() if isinstance(given, str):
                ms = parse_duration_ms(given)
                if ms:
                    return ms
            case table.Money(minimum=minimum) if number:
                return self._in_range(name, round(given * 1_000_000), minimum, None, span)
            case table.Size() if whole:
                return self._in_range(name, int(given), 1, None, span)
            case table.Share() if number and 0 < given <= 1:
                return given
            case table.ShareOrNumber() if number and given >= 0 and (whole or given < 1):
                return int(given) if whole else given
        self._report(
            diagnostic("ORC202", f"`{name}` needs {wanted}, got {describe_value(given)}", span)
        )
        return None

    def _word(
        self,
        name: str,
        value: table.Choice | table.ChoiceOrStrings | table.Parse,
        word: str,
        span: Span,
    ) -> Any:
        options = ("json", "lines", "text") if isinstance(value, table.Parse) else value.options
        if word in options or (isinstance(value, table.Parse) and ":" in word):
            return word
        if name == "on_timeout" and word == "approve":
            self._report(
                diagnostic(
                    "ORC606",
                    "a gate must not approve if there is no answer",
                    span,
                    help="write `on_timeout = abort`, `escalate` or `reject`",
                    fix=Fix("abort instead", (Edit(span, "abort"),), "unsafe"),
                )
            )
            return None
        near = closest(word, options)
        quoted = '"' if span.text.startswith('"') else ""
        # `effect = none` does not mean `once`, however near it is: only a slip of the hand is safe.
        slip = near is not None and (
            sorted(word) == sorted(near) or abs(len(word) - len(near)) == 1
        )
        safety: Literal["safe", "unsafe"] = "safe" if slip or name not in _PROMISES else "unsafe"
        self._report(
            diagnostic(
                "ORC202",
                f"`{name}` cannot be `{word}`",
                span,
                help=(f"did you mean `{near}`? " if near else "")
                + f"it is one of {names_list(options)}",
                fix=Fix(f"write `{near}`", (Edit(span, f"{quoted}{near}{quoted}"),), safety)
                if near
                else None,
            )
        )
        return None

    def _text_value(self, name: str, value: table.Value, text: str, span: Span) -> str | None:
        if not text.strip():
            self._report(diagnostic("ORC202", f"`{name}` must not be empty", span))
            return None
        if isinstance(value, table.CallPath) and not re.fullmatch(r"[\w.]+:[\w.]+", text):
            self._report(
                diagnostic(
                    "ORC202",
                    f"`{name}` needs a module and a function, got `{text}`",
                    span,
                    help='write `"package.module:function"`',
                )
            )
            return None
        return text

    def _negative(self, name: str, value: table.Value, expr: ast.Unary) -> Any:
        operand = expr.operand
        if isinstance(value, table.NumberValue) and isinstance(operand, ast.Number):
            number = -operand.value if expr.operator == "-" else operand.value
            return self._in_range(name, number, value.minimum, value.maximum, expr.span)
        if expr.operator == "+":
            return self.leaf(name, value, operand)
        least = f"at least {value.minimum}" if isinstance(value, table.Int) else "more than nothing"
        self._range_error(name, least, expr.span)
        return None

    def _in_range(
        self,
        name: str,
        number: float,
        minimum: float | None,
        maximum: float | None,
        span: Span,
        shown: str | None = None,
    ) -> float | None:
        if minimum is not None and number < minimum:
            self._range_error(name, f"at least {shown or f'{minimum:g}'}", span)
            return None
        if maximum is not None and number > maximum:
            self._range_error(name, f"at most {maximum:,}", span)
            return None
        return number

    def _range_error(self, name: str, rule: str, span: Span) -> None:
        self._report(diagnostic("ORC202", f"`{name}` must be {rule}, got {span.text}", span))

    def _no_share(self, name: str, number: float, expr: ast.Expr) -> None:
        """Report a number that is not whole: a share has a unit."""
        help, fix = "write a whole number, or a share such as `20%`", None
        if 0 < number < 1:
            share = f"{number * 100:.10g}%"
            help, fix = f"write `{share}`", Fix(f"write `{share}`", (Edit(expr.span, share),))
        self.mismatch(name, "an int or a percentage", expr, help=help, fix=fix)

    def _missing_unit(self, name: str, value: table.Value, expr: ast.Number) -> None:
        written = expr.span.text
        match value:
            case table.Duration():
                better = f"{written}s"
            case table.Money():
                better = f"${written}"
            case table.Size():
                better = f"{written}B"
            case _:
                share = expr.value * 100 if expr.value <= 1 else expr.value
                better = f"{share:g}%"
        self._report(
            diagnostic(
                "ORC203",
                f"`{name} = {written}` has no unit",
                expr.span,
                help=f"did you mean `{better}`?",
                fix=Fix(f"write `{better}`", (Edit(expr.span, better),)),
            )
        )

    def _not_constant(self, name: str, value: table.Value, expr: ast.Expr) -> None:
        text = expr.span.text
        if isinstance(expr, ast.Variable) and expr.name in self._scope.params:
            better = f"param.{expr.name}"
        elif isinstance(value, (table.Str, table.CallPath)) and '"' not in text:
            self._quotes_missing(name, value, expr)
            return
        elif isinstance(value, table.Bool) and text.lower() in ("true", "false", "yes", "no"):
            better = "true" if text.lower() in ("true", "yes") else "false"
        else:
            better = ""
        self._report(
            diagnostic(
                "ORC406",
                f"`{name}` must be a constant, a param or a choice of constants",
                expr.span,
                help=f"did you mean `{better}`?" if better else None,
                fix=Fix(f"write `{better}`", (Edit(expr.span, better),)) if better else None,
            )
        )

    def _quotes_missing(self, name: str, value: table.Value, expr: ast.Expr) -> None:
        quoted = f'"{" ".join(expr.span.text.split())}"'
        self.mismatch(
            name,
            _wanted(value),
            expr,
            help=f"write it in quotes: `{quoted}`",
            fix=Fix("put it in quotes", (Edit(expr.span, quoted),)),
        )

    def _quotes_too_many(self, name: str, value: table.Value, expr: ast.String) -> None:
        self.mismatch(
            name,
            _wanted(value),
            expr,
            help=f"write it without quotes: `{expr.value}`",
            fix=Fix("remove the quotes", (Edit(expr.span, expr.value),)),
        )

    def mismatch(
        self,
        name: str,
        wanted: str,
        expr: ast.Expr,
        *,
        help: str | None = None,
        fix: Fix | None = None,
    ) -> None:
        """Report that a setting needs something else (ORC202)."""
        self._report(
            diagnostic(
                "ORC202",
                f"`{name}` needs {wanted}, got {describe(expr)}",
                expr.span,
                help=help or _unit_help(wanted),
                fix=fix,
            )
        )

    def _report(self, found: Diagnostic) -> None:
        self._scope.diagnostics.append(found)


def _wanted(value: table.Value) -> str:
    match value:
        case table.Int():
            return "an int"
        case table.NumberValue():
            return "a number"
        case table.Bool():
            return "a bool"
        case table.Duration():
            return "a duration"
        case table.Money():
            return "an amount of money"
        case table.Size():
            return "a size"
        case table.Share():
            return "a percentage"
        case table.ShareOrNumber():
            return "an int or a percentage"
        case table.Choice(options=options):
            return f"one of {names_list(options)}"
        case table.ChoiceOrStrings(options=options):
            return f"{names_list(options)} or a list of strings"
        case table.Parse():
            return "`json`, `lines`, `text` or a function"
    return "a string"


def _unit_help(wanted: str) -> str | None:
    return {
        "a duration": "write it with a unit: `30s`, `5m`, `1h30m`",
        "an amount of money": "write dollars: `$2.50`",
        "a size": "write it with a unit: `2KiB`, `1MiB`",
        "a percentage": "write `60%`",
        "a bool": "write `true` or `false`",
        "a string": 'write it in quotes: `"..."`',
    }.get(wanted)
