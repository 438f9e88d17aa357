"""Where an honest planner gets a value from that it may not have read.

A planner that obeys `show` may type a value that is in the request, that it was shown, or that it
makes up. Everything else it hands on by reference: the place in an earlier output that has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: The keys that lead to a part of a value.
Keys = tuple[str | int, ...]

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_WORD = re.compile(r"\w+")
DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Known:
    """The output of a task that is done."""

    task: str
    worker: str
    output: Any


@dataclass(frozen=True)
class Place:
    """A part of an output: its keys, from the outside in."""

    known: Known
    keys: Keys

    @property
    def reference(self) -> dict[str, str]:
        parts = (str(key).replace("~", "~0").replace("/", "~1") for key in self.keys)
        at = "".join(f"/{part}" for part in parts)
        return {"$from": self.known.task, **({"at": at} if at else {})}

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(key for key in self.keys if isinstance(key, str))

    def choices(self) -> Iterator[tuple[Keys, int]]:
        """The lists on the way of which an item has to be chosen, and which one it is."""
        value = self.known.output
        for depth, key in enumerate(self.keys):
            if isinstance(key, int) and len(value) > 1:
                yield self.keys[:depth], key
            value = value[key]


def leaves(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """A value, and every part of it, each with its keys."""
    yield keys, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*keys, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*keys, index))


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same as JSON: `1` is `1.0`, and not `true`."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def places(value: Any, known: list[Known]) -> Iterator[Place]:
    """The places that have a value, those of the latest output first."""
    for output in reversed(known):
        for keys, part in leaves(output.output):
            if same(part, value):
                yield Place(output, keys)


def in_text(value: Any, text: str) -> bool:
    """Whether a text says a value, as whole words; a number by what it comes to."""
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int | float):
        return any(float(found.replace(",", "")) == value for found in _NUMBER.findall(text))
    if not isinstance(value, str):
        return not value
    return written(value, text) is not None


def written(value: str, text: str) -> str | None:
    """A value as a text spells it, where the text says it as whole words; else None."""
    if not value:
        return value
    for one, other in ((value, text), (value.casefold(), text.casefold())):
        at = other.find(one)
        while at >= 0:
            end = at + len(value)
            if not (_is_inside(text, at) or _is_inside(text, end)):
                return text[at:end]
            at = other.find(one, at + 1)
    return None


def _is_inside(text: str, at: int) -> bool:
    return 0 < at < len(text) and bool(_WORD.match(text[at - 1]) and _WORD.match(text[at]))


def texts(known: list[Known]) -> Iterator[tuple[Place, str]]:
    """The texts of outputs that more than one word fits in, those of the latest output first."""
    for output in reversed(known):
        for keys, part in leaves(output.output):
            if isinstance(part, str) and " " in part:
                yield Place(output, keys), part


def holds(value: Any, words: list[str]) -> bool:
    """Whether a value holds a text, however that is quoted or broken into lines."""
    text = _plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return any(_plain(one) in text for one in words)


def _plain(text: str) -> str:
    return re.sub(r"\W+", "", re.sub(r"\\+[nt]", " ", text))
