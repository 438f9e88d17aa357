"""Measures the size of JSON values, and defines the default bounds on sizes.

The size of a value is the larger of two numbers: the bytes of its JSON, and about the memory it
uses. The second is 32 bytes for each value in it, 96 for a list and 192 for an object, because a
million of `{}` is short as JSON and large in memory. Below 2 KiB it is an estimate. A size is
measured once, when a value arrives, and is stored in the journal next to the value
(`CallFinished.bytes`). So the sum of what a run keeps does not depend on how sizes are measured.

docs/reference/bounds.md describes the bounds and their effects. This module enforces none of them.
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
    "WIDE_BYTES",
    "beginning",
    "held_bytes",
    "roughly",
    "size_of",
    "size_words",
]

_MIB = 1024 * 1024

#: Which bounds hold for a run that begins now (`RunStarted.bounds`): 0 is none at all, 1 those on
#: sizes, 2 also the one on addresses that strangers choose (`engine.runtime.ways_out`). From 2 on,
#: a plan needs no check if all inside it have one (`engine.runtime.clearance`).
BOUNDS = 2

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

#: What each value counts at least; a number or a short text with its place takes 40 to 60 bytes.
_VALUE_BYTES = 32
#: What a list and an object count besides.
_LIST_BYTES = 64
_OBJECT_BYTES = 160
#: What is smaller is estimated: by its texts, and by what is around each value.
_SMALL = 2048
_PUNCTUATION = 6
_FIELD_BYTES = 24
#: In what is smaller, the width of texts does not matter.
WIDE_BYTES = 64 * 1024

_encode = msgspec.json.Encoder().encode


def size_of(value: Any, most: int = 1 << 62) -> int:
    """The size of a JSON value in bytes; as soon as it is known to be above `most`, that is enough.

    A microsecond or two for a small value. Nothing is copied of one that is too large.
    """
    if value.__class__ is dict:
        # The most frequent answer, a small flat object, is not worth more than a look.
        guess = _FIELD_BYTES * len(value)
        for item in value.values():
            kind = item.__class__
            if kind is str:
                guess += len(item)
            elif kind is dict or kind is list:
                break
        else:
            if guess <= _SMALL:
                return guess
    # What takes that much memory is not small, whatever is still to be counted.
    least, guess = _counted(value, max(most, _SMALL * (_VALUE_BYTES + _OBJECT_BYTES)))
    if guess <= _SMALL:
        return guess
    return least if least > most else max(len(_encode(value)), least)


def _counted(value: Any, most: int) -> tuple[int, int]:
    """What a value takes in memory, or its texts if they take more, until that is more than `most`;
    and what its JSON takes, about."""
    if value.__class__ is str:
        return len(value), len(value) + _PUNCTUATION
    memory, text, values = _VALUE_BYTES, 0, 1
    pending = [value] if isinstance(value, (dict, list)) else []
    while pending and text <= most and memory <= most:
        top = pending.pop()
        items: Iterable[Any] = top
        if top.__class__ is dict:
            text += len("".join(top))
            items = top.values()
            memory += _OBJECT_BYTES
        else:
            memory += _LIST_BYTES
        values += len(top)
        memory += len(top) * _VALUE_BYTES
        for item in items:
            kind = item.__class__
            if kind is str:
                text += len(item)
            elif kind is dict or kind is list:
                pending.append(item)
    return max(memory, text), text + values * _PUNCTUATION


def held_bytes(value: Any, size_bytes: int) -> int:
    """What a value of a known size takes while it is kept: its size, and what wide texts add.

    A text with a single character beyond the first 65,536, an emoji say, takes four bytes for
    each of its characters. Below `WIDE_BYTES` that is not worth asking.
    """
    pending = [value]
    while pending:
        top = pending.pop()
        if isinstance(top, str):
            if not top.isascii() and len(top.encode("utf-16-le")) > 2 * len(top):
                size_bytes += 4 * len(top)
        elif isinstance(top, dict):
            pending.extend(top.values())
        elif isinstance(top, list):
            pending.extend(top)
    return size_bytes


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
