"""The shape of a value: what may be told of it without any of its words.

Parts whose type cannot hold words keep their values: numbers, booleans, members of an enum, dates.
Another text is told by its length, a list or an object of no declared type by its size. Names of
fields are words of the program and are kept; keys that the type does not declare are the worker's
words, and only counted. What a part may hold is asked of the schema as taint asks it
(`engine.sema.trust`), so what is kept here is what a reference would carry no taint from.

A shape is JSON. It is never longer than its bound: where it would be, lists are cut, then fields.
Nothing here knows who may see what; that is `engine.runtime.shown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.sema.trust import carries_at
from engine.sema.types.schema_facts import field_names, subschema_at

__all__ = ["list_of", "shape_of", "size_only"]

_encode = msgspec.json.Encoder().encode

#: How many items of a list are told, first of all; fewer where there is no room.
_ITEMS = (20, 5, 2, 1, 0)
#: Deeper values are counted only.
_MOST_DEEP = 32


class _TooLarge(Exception):
    """More parts than there is room for."""


def shape_of(value: Any, schema: Mapping[str, Any], most_bytes: int) -> Any:
    """The shape of a value, in at most `most_bytes` of JSON (or the few that a count takes).

    A text is `{"$text": characters}`, a list that is not told whole `{"$list": length, "items":
    [...]}`, an object `{"$object": size}`; the fields of a record are told by name, and keys that
    are not declared are counted in `$more`.

    Args:
        value: A value that is valid for the schema.
        schema: Its self-contained JSON Schema.
    """
    for items in _ITEMS:
        try:
            shape = _Shaping(schema, items, most_bytes).of(value, "", False, 0)
        except _TooLarge:
            continue
        if len(_encode(shape)) <= most_bytes:
            return shape
    return _counted(value)


def list_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of lists of a self-contained schema's values."""
    item = {key: value for key, value in schema.items() if key != "$defs"}
    return {"type": "array", "items": item, "$defs": schema.get("$defs", {})}


def size_only(value: Any) -> dict[str, int]:
    """The size of a value, in bytes of JSON, where nothing else may be told."""
    return {"$bytes": len(_encode(value))}


def _counted(value: Any) -> Any:
    if isinstance(value, str):
        return {"$text": len(value)}
    if isinstance(value, list):
        return {"$list": len(value)}
    if isinstance(value, dict):
        return {"$object": len(value)}
    return value if value is None or isinstance(value, bool) else {"$number": True}


class _Shaping:
    """One attempt at a shape."""

    def __init__(self, schema: Mapping[str, Any], items: int, parts: int) -> None:
        self._schema = schema
        self._items = items
        self._left = parts

    def of(self, value: Any, at: str, wordless: bool, deep: int) -> Any:
        """The shape of a part.

        Args:
            at: Where it is, as a JSON Pointer.
            wordless: What it is in cannot hold words.
            deep: How many values it is in.
        """
        self._left -= 1
        if self._left < 0:
            raise _TooLarge
        if value is None or isinstance(value, bool | int | float):
            return value
        if deep > _MOST_DEEP:
            return _counted(value)
        wordless = wordless or not carries_at(self._schema, at)
        if isinstance(value, str):
            return value if wordless else _counted(value)
        if isinstance(value, list):
            return self._list(value, at, wordless, deep)
        return self._object(value, at, wordless, deep)

    def _list(self, value: list[Any], at: str, wordless: bool, deep: int) -> Any:
        if not wordless and value and subschema_at(self._schema, f"{at}/0") == "unknown":
            return _counted(value)
        told = [
            self.of(item, f"{at}/{index}", wordless, deep + 1)
            for index, item in enumerate(value[: self._items])
        ]
        if len(told) == len(value):
            return told
        return {"$list": len(value), "items": told} if told else _counted(value)

    def _object(self, value: dict[str, Any], at: str, wordless: bool, deep: int) -> Any:
        place = subschema_at(self._schema, at)
        declared = set(field_names(place)) if isinstance(place, dict) else set()
        told = {
            key: self.of(value[key], f"{at}/{_token(key)}", wordless, deep + 1)
            for key in value
            if wordless or key in declared
        }
        if not told:
            return _counted(value) if value else {}
        return told if len(told) == len(value) else {**told, "$more": len(value) - len(told)}


def _token(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
