"""Whether a default is a value that its setting can have.

A default is never read from a file, so nothing else would notice a wrong one before a run. The
tables of this package are tested with it, and those of packages are checked when they are loaded.
Values are in their canonical units, as `engine.sema.settings.constant_settings` gives them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.sema.settings import values as sorts
from engine.sema.settings.table import KINDS

__all__ = ["wrong_default"]


def wrong_default(sort: sorts.Value, value: Any) -> str | None:
    """What a default of this sort has to be, where the value is not that; None where it fits."""
    match sort:
        case (
            sorts.Int(minimum=least, maximum=most) | sorts.NumberValue(minimum=least, maximum=most)
        ):
            return _number(sort, value, least, most)
        case sorts.Duration():
            return None if _is_whole(value, 1) else "a whole number of milliseconds, at least 1"
        case sorts.Money(minimum=minimum):
            wanted = f"a whole number of micro-dollars, at least {minimum}"
            return None if _is_whole(value, minimum) else wanted
        case sorts.Size():
            return None if _is_whole(value, 1) else "a whole number of bytes, at least 1"
        case sorts.Share():
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            return None if number and 0 < value <= 1 else "a number above 0 and at most 1"
        case sorts.ShareOrNumber():
            share = isinstance(value, float) and 0 < value < 1
            return (
                None if share or _is_whole(value, 0) else "an int, at least 0, or a share below 1"
            )
        case sorts.Bool():
            return None if isinstance(value, bool) else "a bool"
        case sorts.Choice(options=options):
            return None if value in options else f"one of {', '.join(options)}"
        case sorts.ChoiceOrStrings(options=options):
            texts = isinstance(value, tuple) and all(isinstance(item, str) for item in value)
            fits = texts or value in options
            return None if fits else f"one of {', '.join(options)}, or a tuple of strings"
        case sorts.Ints():
            whole = isinstance(value, tuple) and all(_is_whole(item, 0) for item in value)
            return None if whole else "a tuple of ints, none below 0"
        case sorts.Strings() | sorts.Modes() | sorts.Words():
            texts = isinstance(value, tuple) and all(isinstance(item, str) for item in value)
            return None if texts else "a tuple of strings"
        case sorts.BlockValue(kind=kind):
            return _block(kind, value)
        case sorts.Names() | sorts.Text() | sorts.Computed():
            return "None: only a file can say it"
        case sorts.Constant():
            return None if _is_json(value) else "a value of JSON"
    return _text(sort, value)


def _text(sort: sorts.Str | sorts.Mode | sorts.CallPath | sorts.Parse, value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return "a string that is not empty"
    is_path = re.fullmatch(r"[\w.]+:[\w.]+", value) is not None
    if isinstance(sort, sorts.CallPath) and not is_path:
        return "`package.module:function`"
    if isinstance(sort, sorts.Parse) and not is_path and value not in ("json", "lines", "text"):
        return "`json`, `lines`, `text` or `package.module:function`"
    return None


def _number(
    sort: sorts.Int | sorts.NumberValue, value: Any, least: float | None, most: float | None
) -> str | None:
    whole = isinstance(sort, sorts.Int)
    fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if fits and (least is None or least <= value) and (most is None or value <= most):
        return None
    wanted = "an int" if whole else "a number"
    wanted += "" if least is None else f", at least {least:g}"
    return wanted + ("" if most is None else f", at most {most:g}")


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_json(value: Any) -> bool:
    match value:
        case list():
            return all(map(_is_json, value))
        case dict():
            return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return isinstance(value, (str, int, float, bool))


def _block(kind: str, value: Any) -> str | None:
    """The settings of a block: each of them known, with a value that fits."""
    if not isinstance(value, Mapping):
        return f"a mapping of settings of `{kind}`"
    for name, inner in value.items():
        row = KINDS[kind].row(name)
        if row is None:
            return f"a mapping of settings of `{kind}`, which has no `{name}`"
        wanted = wrong_default(row.value, inner)
        if wanted is not None:
            return f"a mapping whose `{name}` is {wanted}"
    return None
