"""What the limits of dialects are about, counted in a schema.

A schema is walked as it is sent: each `$defs` entry once, and what a `$ref` leads to only for the
depth. Counting goes by what providers report in their refusals: a *union* is a place with `anyOf`
or with several types, an *optional* key one that its object does not require.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

__all__ = ["Measures", "is_recursive", "measure", "subschemas"]

#: An enumeration is long if it has more values than this (OpenAI's own limit on characters).
LONG_ENUM = 250


class Measures(msgspec.Struct):
    """The figures of one schema.

    Attributes:
        unions: Places with `anyOf` or several types.
        optional: Keys that their object does not require.
        depth: Levels of objects and arrays; a recursive schema counts each definition once.
        properties: Keys of objects, in all.
        enum: Values of enumerations, in all.
        long_enum: Characters of the longest text enumeration with more than 250 values.
        characters: Characters of key names, definition names, enumerations and constants.
    """

    unions: int = 0
    optional: int = 0
    depth: int = 0
    properties: int = 0
    enum: int = 0
    long_enum: int = 0
    characters: int = 0


def measure(schema: Mapping[str, Any]) -> Measures:
    """Count everything that a dialect may limit."""
    found = Measures(depth=_depth(schema, schema, frozenset()))
    for place in subschemas(schema):
        _count(place, found)
    found.characters += sum(len(name) for name in schema.get("$defs", ()))
    return found


def _count(place: Mapping[str, Any], found: Measures) -> None:
    if "anyOf" in place or isinstance(place.get("type"), list):
        found.unions += 1
    properties = place.get("properties", {})
    required = place.get("required", ())
    found.properties += len(properties)
    found.optional += sum(name not in required for name in properties)
    found.characters += sum(map(len, properties))
    if "const" in place:
        found.characters += len(str(place["const"]))
    values = place.get("enum", ())
    size = sum(len(str(value)) for value in values)
    found.enum += len(values)
    found.characters += size
    if len(values) > LONG_ENUM:
        found.long_enum = max(found.long_enum, size)


def subschemas(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The schema and every schema written inside it, each once; references are not followed."""
    yield schema
    for inner in _inside(schema):
        yield from subschemas(inner)


def _inside(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key in ("properties", "$defs"):
        values = schema.get(key)
        if isinstance(values, Mapping):
            yield from (value for value in values.values() if isinstance(value, Mapping))
    options = schema.get("anyOf")
    if isinstance(options, list):
        yield from (option for option in options if isinstance(option, Mapping))
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            yield schema[key]


def _depth(place: Mapping[str, Any], root: Mapping[str, Any], seen: frozenset[str]) -> int:
    reference = place.get("$ref")
    if isinstance(reference, str):
        name = reference.removeprefix("#/$defs/")
        target = root.get("$defs", {}).get(name)
        if target is None or name in seen:
            return 0
        return _depth(target, root, seen | {name})
    parts = _inside({key: part for key, part in place.items() if key != "$defs"})
    deepest = max((_depth(part, root, seen) for part in parts), default=0)
    return deepest + (place.get("type") in ("object", "array"))


def is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether a definition of the schema holds itself."""
    defs: Mapping[str, Any] = schema.get("$defs", {})
    leads = {
        name: {
            place["$ref"].removeprefix("#/$defs/")
            for place in subschemas(body)
            if isinstance(place.get("$ref"), str)
        }
        for name, body in defs.items()
    }
    # Whatever no longer leads anywhere is taken away; the rest goes round.
    while True:
        ends = {name for name, to in leads.items() if not to & leads.keys()}
        if not ends:
            return bool(leads)
        leads = {name: to for name, to in leads.items() if name not in ends}
