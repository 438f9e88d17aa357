"""Selections: which values of earlier outputs a step is about, shaped by the engine.

    {"$from": "survey", "at": "/files", "where": [[...]], "sort_by": "/commits", "desc": true,
     "take": 20}

The shapers are applied in a fixed order: `at`, `pairs` or `failures`, `entries`, `flatten`,
`where`, `unique_by`, `sort_by` with `desc`, `take`. The first five look at one value at a time, so
what they let through flows on while the source still grows; the others need the whole list.

A value keeps its number: its place in the source before any shaper, as a tuple of whole numbers.
`flatten` adds one, and a selection from several sources begins with the source's number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from engine.sema.plans.conditions import Test, order_key
from engine.sema.plans.values import (
    ABSENT,
    Computed,
    FromInput,
    FromStep,
    Leaf,
    Scope,
    View,
    at_pointer,
    leaf_value,
)

__all__ = [
    "MAX_SOURCE",
    "Entry",
    "Number",
    "Selection",
    "SelectionError",
    "arranged",
    "entries_of",
    "expanded",
    "number_text",
    "width",
]

#: The most values that a source may have, and all sources of a selection together.
MAX_SOURCE = 100_000

#: The number of a value: its place in the source, before any shaper.
Number = tuple[int, ...]
Entry = tuple[Number, Any]


class SelectionError(Exception):
    """A selection cannot be made of these values; the message says why, in half a sentence."""


class Selection(msgspec.Struct, frozen=True):
    """A reference with shapers.

    Attributes:
        sources: Where the values are from; more than one are read one after the other.
        several: Whether they were written as a list, so that numbers begin with the source's.
        entries: Whether a map becomes a list of `{"key", "value"}`.
        flatten: The JSON Pointer of the list in each value that takes the value's place; None
            keeps the value.
        unique_by: A JSON Pointer or an expression: of equal values, the first is kept.
        sort_by: A JSON Pointer or an expression.
        take: How many are kept, at most: a number, or a leaf that gives one.
    """

    sources: tuple[FromStep | FromInput | Computed, ...]
    several: bool = False
    entries: bool = False
    flatten: str | None = None
    where: Test | None = None
    unique_by: str | Computed | None = None
    sort_by: str | Computed | None = None
    desc: bool = False
    take: int | Leaf | None = None

    @property
    def flows(self) -> bool:
        """Whether each value can be used before the whole list is there."""
        return self.unique_by is None and self.sort_by is None and self.take is None

    @property
    def view(self) -> View:
        """The view of the first source."""
        first = self.sources[0]
        return first.view if isinstance(first, FromStep) else "outputs"


def entries_of(value: Any, selection: Selection, source: int, what: str) -> list[Entry]:
    """The values of one whole source, numbered.

    Args:
        source: The number of the source in the selection.
        what: What messages call it.

    Raises:
        SelectionError: It is not a list (or map), or too long.
    """
    head: Number = (source,) if selection.several else ()
    if selection.entries:
        if not isinstance(value, dict):
            raise SelectionError(f"{what} is not a map")
        value = [{"key": key, "value": item} for key, item in value.items()]
    if not isinstance(value, list):
        raise SelectionError(f"{what} is not a list")
    if len(value) > MAX_SOURCE:
        raise SelectionError(f"{what} has {len(value)} values; at most {MAX_SOURCE} are allowed")
    return [((*head, place), item) for place, item in enumerate(value)]


def width(selection: Selection, entry: Entry) -> int:
    """How many values one value of a source becomes, before `where` looks at them."""
    if selection.flatten is None:
        return 1
    found = at_pointer(entry[1], selection.flatten)
    return len(found) if isinstance(found, list) else 1


def expanded(selection: Selection, entry: Entry, scope: Scope) -> Iterator[Entry]:
    """What one value of a source becomes: `flatten` and `where` applied.

    Raises:
        SelectionError: `flatten` finds no list in it.
        EvaluationError: An expression cannot be evaluated.
    """
    number, value = entry
    inner: Iterable[Entry] = (entry,)
    if selection.flatten is not None:
        found = at_pointer(value, selection.flatten)
        if not isinstance(found, list):
            at = f" at `{selection.flatten}`" if selection.flatten else ""
            raise SelectionError(f"value {number_text(number)} has no list{at} to flatten")
        inner = [((*number, place), item) for place, item in enumerate(found)]
    if selection.where is None:
        yield from inner
        return
    for one in inner:
        if selection.where.holds(_for_item(scope, one)):
            yield one


def arranged(selection: Selection, entries: list[Entry], scope: Scope) -> list[Entry]:
    """The whole list after `unique_by`, `sort_by` and `take`.

    Raises:
        SelectionError: `take` is not a whole number of 0 or more.
        EvaluationError: An expression cannot be evaluated.
    """
    if selection.unique_by is not None:
        entries = _unique(selection.unique_by, entries, scope)
    if selection.sort_by is not None:
        keyed = [(_key(selection.sort_by, one, scope), one) for one in entries]
        known = [pair for pair in keyed if pair[0] is not None]
        known.sort(key=lambda pair: order_key(pair[0]), reverse=selection.desc)
        # Nulls come last in both directions.
        entries = [one for _, one in known] + [one for key, one in keyed if key is None]
    if selection.take is not None:
        most = selection.take
        if not isinstance(most, int):
            most = leaf_value(most, scope)
        if isinstance(most, float) and most.is_integer():
            most = int(most)
        if not isinstance(most, int) or isinstance(most, bool) or most < 0:
            raise SelectionError("`take` is not a whole number of 0 or more")
        entries = entries[:most]
    return entries


def _unique(by: str | Computed, entries: list[Entry], scope: Scope) -> list[Entry]:
    kept: list[Entry] = []
    seen: set[Any] = set()
    for one in entries:
        key = _hashable(_key(by, one, scope))
        if key not in seen:
            seen.add(key)
            kept.append(one)
    return kept


def _hashable(value: Any) -> Any:
    """What is the same for two values that are `equal`, and for no others."""
    if not isinstance(value, bool | list | dict):
        return value
    # Flat: a value may be nested as deep as it likes.
    flat: list[Any] = []
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, list):
            flat.append(("list", len(one)))
            stack.extend(one)
        elif isinstance(one, dict):
            keys = sorted(one)
            flat.append(("dict", *keys))
            stack.extend(one[key] for key in keys)
        else:
            flat.append((isinstance(one, bool), one))
    return tuple(flat)


def _key(by: str | Computed, entry: Entry, scope: Scope) -> Any:
    if isinstance(by, str):
        found = at_pointer(entry[1], by)
        return None if found is ABSENT else found
    return leaf_value(by, _for_item(scope, entry))


def _for_item(scope: Scope, entry: Entry) -> Scope:
    number, value = entry
    return Scope(
        scope.output,
        scope.inputs,
        value,
        index_of(number),
        scope.parts,
        scope.last,
        scope.names,
        scope.ended,
    )


def number_text(number: Number) -> str:
    """A number as it is in ids: `3`, or `3.0` after `flatten`."""
    if len(number) == 1:
        return str(number[0])
    return ".".join(map(str, number))


def index_of(number: Number) -> int | str:
    """What `{"$index": true}` gives."""
    return number[0] if len(number) == 1 else number_text(number)
