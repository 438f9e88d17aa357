"""How large a JSON value is, and the bounds on that where a program sets none of its own.

The size of a value is the bytes of its JSON, but at least 32 for each value in it: `[{},{},{}]` is
short to write, and each `{}` takes memory. Below 2 KiB it is an estimate. A size is measured once,
where a value comes in, and is in the journal beside it (`CallFinished.bytes`), so that the sum of
what a run keeps does not depend on how sizes are measured.

Which bound stops what, and how, is told in docs/reference/bounds.md. Nothing here enforces any.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

__all__ = [
    "BOUNDS",
    "MAX_DECISION_BYTES",
    "MAX_INPUT_BYTES",
    "MAX_KEPT_BYTES",
    "MAX_OUTPUT_BYTES",
    "MAX_PROMPT_BYTES",
    "VALUE_BYTES",
    "beginning",
    "roughly",
    "size_of",
    "size_words",
]

_MIB = 1024 * 1024

#: Which bounds hold for a run that begins now (`RunStarted.bounds`); 0 is none at all.
BOUNDS = 1

#: What a task's input may take, with what it refers to.
MAX_INPUT_BYTES = 16 * _MIB
#: What one answer of a worker may take, or an orchestrator's result.
MAX_OUTPUT_BYTES = 10 * _MIB
#: What one decision may take.
MAX_DECISION_BYTES = 8 * _MIB
#: What everything may take that comes back in a run.
MAX_KEPT_BYTES = 64 * _MIB
#: What the prompt of one call of a model may take.
MAX_PROMPT_BYTES = 4 * _MIB

#: What each value counts at least. An empty object takes 64 bytes, a number or a short text with
#: its place in a list 40 to 60.
VALUE_BYTES = 32
#: What is smaller is estimated: by its texts, and by what stands around each value.
_SMALL = 2048
_PUNCTUATION = 6

_encode = msgspec.json.Encoder().encode


def size_of(value: Any, most: int = 1 << 62) -> int:
    """The size of a JSON value in bytes; as soon as it is known to be above `most`, that is enough.

    A microsecond or two for a small value. Nothing is copied of one that is too large.
    """
    if value.__class__ is dict:
        guess = _PUNCTUATION
        for key, item in value.items():
            kind = item.__class__
            if kind is dict or kind is list:
                break
            guess += len(key) + (len(item) if kind is str else 0) + 2 * _PUNCTUATION
        else:
            if guess <= _SMALL:
                return guess
    values, text = _counted(value, most)
    guess = text + values * _PUNCTUATION
    if guess <= _SMALL:
        return guess
    least = max(text, values * VALUE_BYTES)
    return least if least > most else max(len(_encode(value)), values * VALUE_BYTES)


def _counted(value: Any, most: int) -> tuple[int, int]:
    """How many values there are in one, and the characters of its texts; until it is too much."""
    if value.__class__ is str:
        return 1, len(value)
    values, text = 1, 0
    pending = [value] if isinstance(value, (dict, list)) else []
    while pending and text <= most and values * VALUE_BYTES <= most:
        top = pending.pop()
        values += len(top)
        items: Iterable[Any] = top
        if top.__class__ is dict:
            text += len("".join(top))
            items = top.values()
        for item in items:
            kind = item.__class__
            if kind is str:
                text += len(item)
            elif kind is dict or kind is list:
                pending.append(item)
    return values, text


def beginning(value: Any, characters: int) -> str:
    """The first characters of a value's JSON; of a text, of the text itself."""
    if isinstance(value, str):
        return value[:characters]
    parts: list[str] = []
    room = characters
    for part in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        parts.append(part[:room])
        room -= len(part)
        if room <= 0:
            break
    return "".join(parts)


def size_words(size_bytes: int) -> str:
    """A size as a person would write it: `10 MiB`."""
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor} {unit}"
    return f"{size_bytes} bytes"


def roughly(size_bytes: int) -> str:
    """A size that was measured, in three digits: `3.81 GiB`, `840 bytes`."""
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.3g} {unit}"
    return f"{size_bytes} bytes"
