"""Where a value that a planner wrote came from: an input, or (a part of) an earlier output.

A value counts only if it cannot well be there by chance: long texts, large numbers, whole objects
and lists. A short text or a small number counts where the names on both sides agree. `true`, `0`,
`1`, null and what is empty only count for an input of the same name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from engine.sema.declarations.plans.names import escaped
from engine.sema.plans.orch_form import Joined
from engine.sema.plans.values import FromInput, FromStep

__all__ = ["Origins", "Place", "canonical", "is_common"]

#: How many values of a run are looked at; later ones count as written by the planner.
_MOST_PLACES = 300_000
#: Larger lists and objects are compared part by part only.
_MOST_BYTES = 64 * 1024
#: From this length on, a text is an origin whatever its name.
_LONG_TEXT = 4
#: The same for a text inside another one.
_LONG_PART = 6
_LARGE = 1000
#: How many texts are looked for in a text.
_MOST_TEXTS = 20_000
_WORD = re.compile(r"\w")
#: The words of a name: `place`, `id` of `place_id` and of `placeId`.
_WORDS = re.compile(r"[A-Z]?[^\W_A-Z]+|[A-Z]+(?![a-z])")
#: What paths, addresses, dates and ids have, and names and other words of a language do not.
_NO_WORDS = re.compile(r"[\d/@:_]")


class Place(msgspec.Struct, frozen=True):
    """A place that a value has.

    Attributes:
        order: Which of the run's entries it is an output of, from 1; 0 for inputs.
        round: When that entry was decided; 0 for inputs.
        key: The last name on the way to it.
    """

    leaf: FromInput | FromStep
    order: int
    round: int
    key: str


def canonical(value: Any) -> bytes:
    """The same bytes for two values that are the same, and for no others."""
    return msgspec.json.encode(value, order="deterministic")


def is_common(value: Any) -> bool:
    """Whether a value says nothing about where it came from."""
    return value is None or isinstance(value, bool) or value in ("", 0, 1, -1, [], {})


def _stands_out(value: Any) -> bool:
    """Whether a value is an origin without a name that is the same."""
    if isinstance(value, str):
        return len(value) >= _LONG_TEXT
    if isinstance(value, int | float):
        return abs(value) >= _LARGE or value != int(value)
    return True


class Origins:
    """The values that a planner has seen, by what they are.

    Attributes:
        lists: The lists among them that have at least two values, each with its place.
    """

    def __init__(self) -> None:
        self.lists: list[tuple[Place, list[Any]]] = []
        self._places: dict[bytes, list[Place]] = {}
        self._inputs: dict[str, bytes] = {}
        self._texts: dict[str, None] = {}
        self._count = 0

    def add_input(self, name: str, value: Any) -> None:
        """Add an input of the plan."""
        self._inputs[name] = canonical(value)
        self._add(value, FromInput(f"/{escaped(name)}"), 0, 0, name)

    def add_output(self, name: str, value: Any, order: int, number: int) -> None:
        """Add the output of a task or step of a round."""
        self._add(value, FromStep(name), order, number, "")

    def _add(
        self, value: Any, leaf: FromInput | FromStep, order: int, number: int, key: str
    ) -> None:
        pending: list[tuple[Any, FromInput | FromStep, str]] = [(value, leaf, key)]
        while pending and self._count < _MOST_PLACES:
            value, leaf, key = pending.pop()
            self._count += 1
            place = Place(leaf, order, number, key)
            if isinstance(value, list) and len(value) > 1:
                self.lists.append((place, value))
            inner = _children(value)
            pending += [(one, _below(leaf, token), name or key) for token, one, name in inner]
            if is_common(value):
                continue
            code = canonical(value)
            if not inner or len(code) <= _MOST_BYTES:
                self._places.setdefault(code, []).append(place)
            if isinstance(value, str) and len(value) >= _LONG_TEXT:
                self._texts[value] = None

    def find(self, value: Any, name: str, before: int, *, choice: bool = False) -> Place | None:
        """The origin of a value, or None.

        An input comes first, for an output only repeats it; then the latest output.

        Args:
            name: The name of the input that the value was written for.
            before: The round of the decision: only earlier rounds had been seen.
            choice: Whether the input takes only a few values, so that equal ones say little.
        """
        if self._inputs.get(name) == canonical(value):
            return Place(FromInput(f"/{escaped(name)}"), 0, 0, name)
        if is_common(value):
            return None
        found = [p for p in self._places.get(canonical(value), ()) if p.round < before]
        if choice or not _stands_out(value):
            found = [place for place in found if _agree(place.key, name)]
        return max(found, key=lambda place: _rank(place, name), default=None)

    def joined(self, text: str, name: str, before: int) -> Joined | None:
        """A text as one that contains inputs or outputs word for word, or None.

        Only where that is beyond doubt: inputs, and long parts of outputs that contain more than
        words of a language, such as paths and ids; both as whole words.
        """
        if len(text) <= _LONG_PART or len(self._texts) > _MOST_TEXTS:
            return None
        parts: list[Any] = [text]
        inside = [t for t in self._texts if len(t) < len(text) and t in text]
        for part in sorted(inside, key=len, reverse=True):
            place = self.find(part, name, before)
            if place is None or not _is_certain(part, place):
                continue
            parts = [piece for one in parts for piece in _split(one, part, place.leaf)]
        parts = [part for part in parts if part != ""]
        if len(parts) < 2:
            return None
        # The first operand is a text, so that the whole is one whatever the others are.
        return Joined(tuple(parts))


def _children(value: Any) -> list[tuple[str, Any, str]]:
    """The parts of a value: token, part, and the name if it has one."""
    if isinstance(value, dict):
        return [(key, inner, key) for key, inner in value.items()]
    if isinstance(value, list):
        return [(str(place), inner, "") for place, inner in enumerate(value)]
    return []


def _below(leaf: FromInput | FromStep, token: str) -> FromInput | FromStep:
    return msgspec.structs.replace(leaf, at=f"{leaf.at}/{escaped(token)}")


def _rank(place: Place, name: str) -> tuple[bool, int, bool, int, str]:
    depth = place.leaf.at.count("/")
    # Of equal ones the first in a list counts, so that the choice is always the same.
    return place.order == 0, place.order, place.key == name, -depth, _descending(place.leaf.at)


def _descending(text: str) -> str:
    return "".join(chr(0x10FFFF - ord(char)) for char in text[:200])


def _agree(key: str, name: str) -> bool:
    """Whether two names say the same: `id` is also the `place_id` and the `placeId`."""
    if key == name:
        return True
    words, others = ([w.lower() for w in _WORDS.findall(one)] for one in (key, name))
    return bool(words) and others[-len(words) :] == words


def _is_certain(part: str, place: Place) -> bool:
    if place.order == 0:
        return True
    return len(part) >= _LONG_PART and _NO_WORDS.search(part) is not None


def _split(piece: Any, part: str, leaf: FromInput | FromStep) -> Iterator[Any]:
    """A piece of a text in which a part is replaced by a leaf, where it is whole words."""
    if not isinstance(piece, str):
        yield piece
        return
    at = piece.find(part)
    end = at + len(part)
    while at >= 0 and (_joins(piece, at) or _joins(piece, end)):
        at = piece.find(part, at + 1)
        end = at + len(part)
    if at < 0:
        yield piece
        return
    yield piece[:at]
    yield leaf
    yield from _split(piece[end:], part, leaf)


def _joins(text: str, at: int) -> bool:
    """Whether an offset is inside a word."""
    inside = 0 < at < len(text)
    return inside and bool(_WORD.match(text[at - 1]) and _WORD.match(text[at]))
