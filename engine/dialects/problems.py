"""What a provider would refuse in a schema, by what its dialect is known to accept.

This is the validator behind each row of the table: tests run it over every schema that the
repository sends, and the engine asks it before it sends one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.dialects.dialect import Dialect
from engine.dialects.measure import is_recursive, measure, subschemas

__all__ = ["over_limits", "problems"]

_BASE = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "description",
        "enum",
        "items",
        "properties",
        "required",
        "type",
    }
)


def problems(schema: Mapping[str, Any], dialect: Dialect) -> list[str]:
    """Say what the dialect does not accept in a schema; empty if there is nothing."""
    if not dialect.native:
        return [f"{dialect.title} takes no schema"]
    found = []
    if schema.get("type") != "object" or "anyOf" in schema:
        found.append("the root is not an object")
    for place in subschemas(schema):
        found += _of_place(place, dialect)
    if not dialect.recursion and is_recursive(schema):
        found.append("a definition holds itself")
    return [*dict.fromkeys(found), *over_limits(schema, dialect)]


def _of_place(place: Mapping[str, Any], dialect: Dialect) -> Iterator[str]:
    for key in sorted(place.keys() - _BASE - dialect.keywords):
        yield f"the keyword `{key}`"
    if "$ref" in place:
        if not dialect.refs:
            yield "a `$ref`"
        if len(place) > 1:
            yield "a `$ref` with other keywords next to it"
        return
    if not place.keys() & {"type", "anyOf"}:
        if "enum" in place:
            yield "an enumeration without a type"
        elif not dialect.any_value:
            yield "a place that takes any value"
    if not dialect.mixed_enum and not all(isinstance(v, str) for v in place.get("enum", ())):
        yield "an enumeration of other values than strings"
    if place.get("format", None) not in {None, *dialect.formats}:
        yield f"the format `{place['format']}`"
    if place.get("type") == "array" and "items" not in place and not dialect.any_value:
        yield "a list of any values"
    if place.get("type") == "object":
        yield from _of_object(place, dialect)


def _of_object(place: Mapping[str, Any], dialect: Dialect) -> Iterator[str]:
    if place.get("additionalProperties") is not False and not dialect.open_objects:
        yield "an object that may have other keys"
    names, required = set(place.get("properties", ())), set(place.get("required", ()))
    if not required <= names:
        yield "a required key that is not described"
    if dialect.optional == "nullable" and names - required:
        yield "an optional key"


def over_limits(schema: Mapping[str, Any], dialect: Dialect) -> list[str]:
    """Say which limits on numbers and sizes a schema passes."""
    figures = measure(schema)
    pairs = [
        ("unions", figures.unions, dialect.max_unions),
        ("optional keys", figures.optional, dialect.max_optional),
        ("levels of nesting", figures.depth, dialect.max_depth),
        ("keys of objects", figures.properties, dialect.max_properties),
        ("values of enumerations", figures.enum, dialect.max_enum),
        ("characters in one enumeration", figures.long_enum, dialect.max_long_enum),
        ("characters of names and constants", figures.characters, dialect.max_characters),
    ]
    return [
        f"{count} {what}, where {dialect.title} takes {most}"
        for what, count, most in pairs
        if most is not None and count > most
    ]
