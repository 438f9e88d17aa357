"""Numbers with units and strings: from the text of one token to the value it means.

Knows nothing of trees. A literal that cannot be read never stops a parse: the functions hand
back the best value they can and say what is wrong as a `Fault`, relative to the token.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

__all__ = ["Fault", "NumberValue", "read_number", "read_string", "read_text_block"]


class Fault(msgspec.Struct, frozen=True):
    """What is wrong inside a token: a range relative to its beginning, and the words."""

    start: int
    end: int
    message: str
    help: str | None = None
    replacement: str | None = None


class NumberValue(msgspec.Struct, frozen=True):
    """A number read: `unit` is None for a plain one, else as in `ast.Quantity`."""

    unit: str | None
    value: int | float


_PLAIN = re.compile(r"\d+(?:_\d+)*(?P<float>(?:\.\d+(?:_\d+)*)?(?:[eE][+-]?\d+)?)\Z")
_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?"
    r"(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?\Z"
)
_DURATION_MS = (86_400_000, 3_600_000, 60_000, 1_000, 1)
_WITH_UNIT = re.compile(r"(\d+(?:_\d+)*(?:\.\d+)?)([A-Za-z]+)\Z")
_COUNTS = {"k": 1_000, "M": 1_000_000}
_SIZES = {
    "B": 1,
    "KB": 1_000,
    "MB": 1_000_000,
    "GB": 1_000_000_000,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
_MONEY = re.compile(r"\$(\d+(?:_\d+)*(?:\.\d{1,6})?)\Z")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%\Z")
#: Spellings people try, and the unit they mean.
_MEANT = {
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "min": "m",
    "mins": "m",
    "minute": "m",
    "minutes": "m",
    "hr": "h",
    "hrs": "h",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "msec": "ms",
    "K": "k",
    "kb": "KB",
    "Kb": "KB",
    "kB": "KB",
    "mb": "MB",
    "Mb": "MB",
    "gb": "GB",
    "Gb": "GB",
    "kib": "KiB",
    "mib": "MiB",
    "gib": "GiB",
    "KIB": "KiB",
    "MIB": "MiB",
}
_UNITS_HELP = "units are ms s m h d, k M, B KB MB GB KiB MiB GiB, % and a leading $"
#: Whole numbers have to fit 64 bits, as in the journal and in most JSON readers.
_LARGEST = 2**63 - 1


def read_number(text: str) -> tuple[NumberValue, Fault | None]:
    """Read a number token: `3`, `0.8`, `1_000`, `1h30m`, `$2.50`, `200k`, `20KiB`, `60%`.

    Returns:
        The value (durations in ms, money in micro-dollars, sizes in bytes, percent as a share)
        and what is wrong with it, if anything.
    """
    try:
        found = _read_number(text)
    except (ValueError, OverflowError):
        return NumberValue(None, 0), Fault(
            0, len(text), f"the number `{_short(text)}` is too large"
        )
    if isinstance(found, NumberValue):
        return found, None
    unit = _WITH_UNIT.match(text)
    meant = _MEANT.get(unit[2]) if unit else None
    if unit and meant:
        better = unit[1] + meant
        value = _read_number(better)
        if isinstance(value, NumberValue):
            return value, Fault(
                0, len(text), f"unknown unit in `{text}`", f"write `{better}`", better
            )
    return NumberValue(None, 0), Fault(0, len(text), found, _UNITS_HELP)


def _read_number(text: str) -> NumberValue | str:
    if plain := _PLAIN.match(text):
        if plain["float"]:
            value = float(text)
            if value == float("inf"):
                raise OverflowError
            return NumberValue(None, value)
        return NumberValue(None, _whole(Decimal(text)))
    if money := _MONEY.match(text):
        return NumberValue("money", _whole(Decimal(money[1]) * 1_000_000))
    if percent := _PERCENT.match(text):
        return NumberValue("percent", float(Decimal(percent[1]) / 100))
    if unit := _WITH_UNIT.match(text):
        scale, kind = _COUNTS.get(unit[2]), "count"
        if scale is None:
            scale, kind = _SIZES.get(unit[2]), "size"
        if scale is not None:
            exact = Decimal(unit[1]) * scale
            if exact != exact.to_integral_value():
                return f"`{_short(text)}` is not a whole number"
            return NumberValue(kind, _whole(exact))
    if duration := _DURATION.match(text):
        total = sum(
            (
                Decimal(part) * ms
                for part, ms in zip(duration.groups(), _DURATION_MS, strict=True)
                if part
            ),
            Decimal(0),
        )
        if total != total.to_integral_value():
            return f"`{_short(text)}` is finer than a millisecond"
        return NumberValue("duration", _whole(total))
    if text.startswith("$"):
        return f"`{_short(text)}` is not an amount of money"
    return f"`{_short(text)}` is not a number"


def _whole(value: Decimal) -> int:
    if value > _LARGEST:
        raise OverflowError
    return int(value)


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:27] + "..."


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SIMPLE = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}


def read_string(token: str, start: int) -> tuple[str, tuple[tuple[int, int], ...], list[Fault]]:
    """Read a quoted string with JSON's escapes.

    Args:
        token: The token with its quotes.
        start: Where the token begins in the source file.

    Returns:
        The value, its offset map (see `ast.String`), and the faults found in it.
    """
    if "\\" not in token:
        return token[1:-1], ((0, start + 1),), []
    pieces: list[str] = []
    offsets = [(0, start + 1)]
    faults: list[Fault] = []
    length = 0
    at = 1
    end = len(token) - 1
    while found := _ESCAPE.search(token, at, end):
        pieces.append(token[at : found.start()])
        length += found.start() - at
        offsets.append((length, start + found.start()))
        at = found.end()
        if found[1]:
            code = int(found[1], 16)
            low = _ESCAPE.match(token, at, end) if 0xD800 <= code < 0xDC00 else None
            if low and low[1] and 0xDC00 <= int(low[1], 16) < 0xE000:
                code = 0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00
                at = low.end()
            elif 0xD800 <= code < 0xE000:
                faults.append(
                    Fault(
                        found.start(),
                        found.end(),
                        f"`{found[0]}` is half of a surrogate pair, not a character",
                    )
                )
                code = 0xFFFD
            character = chr(code)
        elif found[2] in _SIMPLE:
            character = _SIMPLE[found[2]]
        else:
            faults.append(
                Fault(
                    found.start(),
                    found.end(),
                    f"unknown escape `{found[0]}` in a string",
                    'escapes are those of JSON: \\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX;'
                    " write `\\\\` for a backslash",
                    "\\\\" + found[2] if found[2] != "u" else None,
                )
            )
            character = found[0]
        pieces.append(character)
        length += len(character)
        offsets.append((length, start + at))
    pieces.append(token[at:end])
    return "".join(pieces), tuple(offsets), faults


def read_text_block(token: str, start: int) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Read a triple-quoted text block: the value and its offset map.

    The line end after the opening quotes goes, and so does the indentation that all non-blank
    lines share; a line of blanks only becomes empty; line ends become a line feed.
    """
    body = token[3:-3]
    skipped = 3
    for line_end in ("\r\n", "\n"):
        if body.startswith(line_end):
            body = body[len(line_end) :]
            skipped += len(line_end)
            break
    lines = body.split("\n")
    indent: str | None = None
    for line in lines:
        stripped = line.lstrip(" \t")
        if not stripped.strip():
            continue
        margin = line[: len(line) - len(stripped)]
        if indent is None:
            indent = margin
        while not margin.startswith(indent):
            indent = indent[:-1]
        if not indent:
            break
    margin_size = len(indent or "")
    if not margin_size and "\r" not in body and not any(line.isspace() for line in lines):
        return body, ((0, start + skipped),)
    pieces: list[str] = []
    offsets: list[tuple[int, int]] = []
    length = 0
    source = start + skipped
    for line in lines:
        kept = line[margin_size:].removesuffix("\r") if line.strip() else ""
        offsets.append((length, source + (margin_size if kept else 0)))
        pieces.append(kept)
        length += len(kept) + 1
        source += len(line) + 1
    return "\n".join(pieces), tuple(offsets)
