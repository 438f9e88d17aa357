"""Texts with places to fill in: `"{} of {}".format(a, b)` and `"%s of %s" % (a, b)`.

Both are filled in piece by piece, each paid for (`engine.sema.expressions.metering`) before the
next one, so that a short format that names a long text many times over cannot make a huge one.
Widths are bounded as they are everywhere else. What a format reads it reads as a template does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2.environment import Environment
from jinja2.sandbox import SandboxedFormatter

from engine.sema.expressions.metering import EvaluationError, check_text, take, take_text
from engine.sema.expressions.text_methods import check_width, plain_text

__all__ = ["fill_braces", "fill_percents"]

#: What a character may become in `repr`.
_ESCAPED = 10
#: What a place costs by itself, in steps.
_PLACE = 4
#: `%s`, with a key, flags, a width and a precision if it has them.
_PLACES = re.compile(
    r"%(?:\((?P<key>[^()]*)\))?(?P<how>[-+ #0]*(?:\*|\d*)(?:\.(?:\*|\d*))?)[hlL]?(?P<kind>.)", re.S
)
_KINDS = "diouxXeEfFgGcrsa"
_NUMBER = re.compile(r"\d+")


def fill_braces(environment: Environment, text: str, args: Sequence[Any], kwargs: Any) -> str:
    """`text.format(*args, **kwargs)`."""
    take_text(len(text))
    return _Formatter(environment).vformat(text, args, kwargs)


class _Formatter(SandboxedFormatter):
    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._size = 0

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        take(_PLACE + field_name.count(".") + field_name.count("["))
        return super().get_field(field_name, args, kwargs)

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return value if conversion is None else _converted(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> str:
        _check_widths(format_spec)
        piece = format(_simple(value), format_spec)
        self._size += len(piece)
        check_text(self._size)
        take_text(len(piece))
        return piece


def fill_percents(text: str, values: Any) -> str:
    """`text % values`: a tuple fills one place after the other, a map those with a key."""
    take_text(len(text))
    items = list(values) if isinstance(values, tuple) else [values]
    pieces: list[str] = []
    at = size = used = 0
    for found in _PLACES.finditer(text):
        take(_PLACE)
        between = text[at : found.start()]
        at = found.end()
        if found["kind"] == "%":
            piece = "%"
        elif found["key"] is not None:
            if not isinstance(values, Mapping):
                raise EvaluationError(f"`{found[0]}` needs a map to read from")
            piece = _place(found, values[found["key"]])
        elif used < len(items):
            piece = _place(found, items[used])
            used += 1
        else:
            raise EvaluationError(f"the format has more places than values ({len(items)})")
        _check_rest(between)
        pieces += (between, piece)
        size += len(between) + len(piece)
        check_text(size)
        take_text(len(piece))
    if used < len(items) and not isinstance(values, Mapping):
        raise EvaluationError(f"the format has fewer places than values ({len(items)})")
    _check_rest(text[at:])
    return "".join([*pieces, text[at:]])


def _place(found: re.Match[str], value: Any) -> str:
    kind = found["kind"]
    if kind not in _KINDS:
        raise EvaluationError(f"a format has no `%{kind}`")
    if "*" in found["how"]:
        raise EvaluationError("a format may not ask for a computed width")
    _check_widths(found["how"])
    if kind in "rsa":
        value, kind = _converted(value, kind), "s"
    formatted: str = f"%{found['how']}{kind}" % (value,)
    return formatted


def _check_rest(text: str) -> None:
    if "%" in text:
        raise EvaluationError("a format ends in the middle of a place; write `%%` for a `%`")


def _check_widths(how: str) -> None:
    for number in _NUMBER.findall(how):
        check_width(int(number[:12]))


def _simple(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else plain_text(value)


def _converted(value: Any, conversion: str) -> Any:
    text = plain_text(value)
    if conversion == "s" or not isinstance(value, str):
        return text
    take_text(_ESCAPED * len(text))
    return repr(text) if conversion == "r" else ascii(text)
