"""What is known before a run of the values of a plan: shapes over the schemas of its workers.

A shape is the JSON Schema of a worker's value, or a list or record of shapes; so the pairs of a
step need no schema that merges the definitions of two files. All answers are careful: what a schema
does not say is unknown, and only what is certain is denied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from engine.sema.plans.selection import Selection
from engine.sema.plans.values import View
from engine.sema.suggest import closest
from engine.sema.types.schema_facts import field_names, may_fit, pointer_tokens, subschema_at

__all__ = [
    "UNKNOWN",
    "ListShape",
    "RecordShape",
    "SchemaShape",
    "Shape",
    "any_of",
    "at",
    "element",
    "fits",
    "item_of",
    "kinds",
    "listed",
    "near",
    "schema_of_shape",
    "view_of_step",
]


class SchemaShape(msgspec.Struct, frozen=True):
    """Values of a self-contained JSON Schema; `{}` is unknown."""

    schema: Mapping[str, Any]


class ListShape(msgspec.Struct, frozen=True):
    """Lists whose values have a shape."""

    item: Shape


class RecordShape(msgspec.Struct, frozen=True):
    """Objects with exactly these fields."""

    fields: Mapping[str, Shape]


Shape = SchemaShape | ListShape | RecordShape
UNKNOWN = SchemaShape({})
_TEXT = SchemaShape({"type": "string"})
_NUMBER = SchemaShape({"type": ["integer", "string"]})


def view_of_step(view: View, item: Shape, output: Shape) -> Shape:
    """What a view of an `each` gives, from the shapes of its items and of its worker's output."""
    if view == "outputs":
        return ListShape(output)
    if view == "pairs":
        return ListShape(RecordShape({"index": _NUMBER, "item": item, "output": output}))
    fields = {"index": _NUMBER, "item": item, "mode": _TEXT, "message": _TEXT}
    return ListShape(RecordShape(fields))


def at(shape: Shape, pointer: str) -> Shape | None:
    """The shape at a JSON Pointer; None if no value has such a place."""
    tokens = pointer_tokens(pointer)
    if tokens is None:
        return None
    for place, token in enumerate(tokens):
        if isinstance(shape, SchemaShape):
            rest = "".join(
                "/" + part.replace("~", "~0").replace("/", "~1") for part in tokens[place:]
            )
            found = subschema_at(shape.schema, rest)
            if found is None:
                return None
            return UNKNOWN if found == "unknown" else SchemaShape(found)
        if isinstance(shape, ListShape):
            if not (token.isdecimal() and token.isascii()):
                return None
            shape = shape.item
        elif token in shape.fields:
            shape = shape.fields[token]
        else:
            return None
    return shape


def near(shape: Shape, pointer: str) -> str | None:
    """The JSON Pointer that was most likely meant by one that leads nowhere, or None."""
    written = (pointer if pointer.startswith("/") else f"/{pointer}").split("/")[1:]
    for place, token in enumerate(written):
        parent = "".join(f"/{part}" for part in written[:place])
        if at(shape, f"{parent}/{token}") is None:
            break
    else:  # at most its first `/` was missing
        found = "".join(f"/{part}" for part in written)
        return None if found == pointer else found
    inside = at(shape, parent)
    names = [] if inside is None else _names_in(inside)
    close = closest(token, names)
    heads = [close] if close is not None else [f"{name}/{token}" for name in names]
    rest = "".join(f"/{part}" for part in written[place + 1 :])
    return next(
        (found for head in heads if at(shape, found := f"{parent}/{head}{rest}") is not None), None
    )


def _names_in(shape: Shape) -> list[str]:
    """The names of an object's fields, as they are in a JSON Pointer."""
    if isinstance(shape, ListShape):
        return []
    names = list(shape.fields) if isinstance(shape, RecordShape) else field_names(shape.schema)
    return [name.replace("~", "~0").replace("/", "~1") for name in names]


def schema_of_shape(shape: Shape) -> dict[str, Any]:
    """A self-contained schema; what two files define differently under one name is unknown."""
    definitions: dict[str, Any] = {}

    def write(inner: Shape) -> dict[str, Any]:
        if isinstance(inner, ListShape):
            return {"type": "array", "items": write(inner.item)}
        if isinstance(inner, RecordShape):
            return {
                "type": "object",
                "properties": {name: write(value) for name, value in inner.fields.items()},
                "required": list(inner.fields),
                "additionalProperties": False,
            }
        own = inner.schema.get("$defs", {})
        if any(definitions.get(name, body) != body for name, body in own.items()):
            return {}
        definitions.update(own)
        return {key: value for key, value in inner.schema.items() if key != "$defs"}

    written = write(shape)
    return {**written, "$defs": definitions} if definitions else written


def fits(shape: Shape, wanted: Mapping[str, Any]) -> bool:
    """False only if no value of the shape can be a value of the schema."""
    return may_fit(schema_of_shape(shape), wanted)


def kinds(shape: Shape) -> frozenset[str]:
    """The JSON types that its values may have; all of them if that is unknown."""
    if isinstance(shape, ListShape):
        return frozenset({"array"})
    if isinstance(shape, RecordShape):
        return frozenset({"object"})
    return frozenset(kind for kind in _KINDS if may_fit(dict(shape.schema), {"type": kind}))


_KINDS = ("null", "boolean", "number", "string", "array", "object")


def element(shape: Shape) -> Shape | None:
    """The shape of the values in a list; None if it cannot be a list."""
    if isinstance(shape, ListShape):
        return shape.item
    if isinstance(shape, RecordShape):
        return None
    if "array" not in kinds(shape):
        return None
    found = subschema_at(shape.schema, "/0")
    return SchemaShape(found) if isinstance(found, dict) else UNKNOWN


def listed(shape: Shape) -> Shape:
    """Lists of these values."""
    return ListShape(shape)


def item_of(
    selection: Selection, source: Callable[[Any], Shape | None]
) -> tuple[Shape, Literal["", "no source", "no list", "no map", "no flatten"]]:
    """The shape of one value that a selection gives, before `where`.

    Args:
        source: The shape of one of its sources, with its pointer applied; None if there is no such
            place.

    Returns:
        The shape, and what is wrong: then the shape is unknown.
    """
    found: list[Shape] = []
    for one in selection.sources:
        shape = source(one)
        if shape is None:
            return UNKNOWN, "no source"
        if selection.entries:
            if "object" not in kinds(shape):
                return UNKNOWN, "no map"
            inner: Shape | None = RecordShape({"key": _TEXT, "value": _value_of_map(shape)})
        else:
            inner = element(shape)
        if inner is None:
            return UNKNOWN, "no list"
        if selection.flatten is not None:
            lists = at(inner, selection.flatten)
            inner = None if lists is None else element(lists)
            if inner is None:
                return UNKNOWN, "no flatten"
        found.append(inner)
    if len(found) == 1 or all(shape == found[0] for shape in found[1:]):
        return found[0], ""
    return SchemaShape(any_of(found)), ""


def any_of(found: list[Shape]) -> dict[str, Any]:
    """The schema of values that have one of these shapes."""
    schemas = [schema_of_shape(shape) for shape in found]
    definitions: dict[str, Any] = {}
    for schema in schemas:
        for name, body in schema.pop("$defs", {}).items():
            if definitions.setdefault(name, body) != body:
                return {}
    return {"anyOf": schemas, **({"$defs": definitions} if definitions else {})}


def _value_of_map(shape: Shape) -> Shape:
    if isinstance(shape, RecordShape):
        return UNKNOWN
    assert isinstance(shape, SchemaShape)
    rest = shape.schema.get("additionalProperties")
    if not shape.schema.get("properties") and isinstance(rest, dict):
        return SchemaShape({**rest, "$defs": shape.schema.get("$defs", {})})
    return UNKNOWN
