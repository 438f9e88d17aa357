"""Types as JSON Schema 2020-12, and schemas in which references may replace values.

`schema_of` writes a type down, `tolerant` lets references replace values. What can be reported for
schemas themselves (pointers, compatibility) is in `engine.sema.types.schema_facts` and offered here
too. Nothing here validates a value: that is `engine.sema.types.contract`. The schemas this module
takes are self-contained (every `$ref` is `#/$defs/NAME`, or local to the document).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.sema.types.definitions import (
    MISSING,
    Array,
    Constant,
    Constrained,
    External,
    Field,
    Function,
    Json,
    Named,
    Optional,
    Record,
    Scalar,
    Type,
    Union,
)
from engine.sema.types.schema_facts import (
    follow,
    json_types,
    may_fit,
    pointer_tokens,
    subschema_at,
    type_name,
)

__all__ = [
    "REFERENCE",
    "REFERENCE_POINTER",
    "follow",
    "json_types",
    "map_subschemas",
    "may_fit",
    "pointer_tokens",
    "schema_of",
    "schema_of_fields",
    "subschema_at",
    "tolerant",
]

Schema = dict[str, Any]

_SCALARS: dict[str, Schema] = {
    "string": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "url": {"type": "string", "format": "uri", "pattern": "^https?://"},
    "path": {"type": "string", "format": "path"},
    "email": {"type": "string", "format": "email"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "duration": {"type": "string", "format": "duration"},
}
_MAPS = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLES = (
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)

#: What may be in an input instead of a value.
REFERENCE: Schema = {
    "title": "reference",
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "$from": {"type": "string", "minLength": 1},
                "at": {"type": "string"},
            },
            "required": ["$from"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"$literal": {}},
            "required": ["$literal"],
            "additionalProperties": False,
        },
    ],
}
_REFERENCE_NAME = "$reference"
REFERENCE_POINTER = f"#/$defs/{_REFERENCE_NAME}"


# ---------------------------------------------------------------- types to schemas


def schema_of(type_: Type) -> Schema:
    """The self-contained JSON Schema of a type."""
    definitions: Schema = {}
    schema = _write(type_, definitions)
    return {**schema, "$defs": definitions} if definitions else schema


def schema_of_fields(fields: Iterable[Field], title: str, doc: str | None = None) -> Schema:
    """The closed object schema of inputs or parameters, self-contained."""
    definitions: Schema = {}
    schema = {"title": title, **_write_record(Record(None, tuple(fields), doc=doc), definitions)}
    return {**schema, "$defs": definitions} if definitions else schema


def _write(type_: Type, definitions: Schema) -> Schema:
    match type_:
        case Json():
            return {}
        case Scalar():
            return dict(_SCALARS[type_.name])
        case Constant():
            return _write_literals([type_.value])
        case Array():
            return {"type": "array", "items": _write(type_.item, definitions)}
        case Optional():
            return {"anyOf": [_write(type_.item, definitions), {"type": "null"}]}
        case Union():
            return _write_union(type_, definitions)
        case Constrained():
            return {**_write(type_.item, definitions), **type_.keywords}
        case Named():
            return _write_named(type_, definitions)
        case Record():
            return _write_record(type_, definitions)
        case External():
            definitions.update(type_.definitions)
            schema: Schema = {"not": {}} if type_.schema is False else {}
            if not isinstance(type_.schema, bool):
                schema = dict(type_.schema)
            return {"x-external": True, **schema}
        case Function():
            raise TypeError("a template is not a value of a contract")
    raise TypeError(f"not a type: {type_!r}")


def _write_named(type_: Named, definitions: Schema) -> Schema:
    definition = type_.definition
    if definition.name not in definitions:
        definitions[definition.name] = {}  # for recursion
        body = _write(definition.type, definitions)
        head: Schema = {"title": definition.name}
        if definition.doc and "description" not in body:
            head["description"] = definition.doc
        definitions[definition.name] = {**head, **body}
    return {"$ref": f"#/$defs/{definition.name}"}


def _write_record(record: Record, definitions: Schema) -> Schema:
    schema: Schema = {"type": "object"}
    if record.doc:
        schema["description"] = record.doc
    properties: Schema = {}
    for field in record.fields:
        written = _write(field.type, definitions)
        if field.doc:
            written["description"] = field.doc
        if field.default is not MISSING:
            written["default"] = field.default
        elif not field.required:
            written["default"] = None  # leaving an optional out means null
        properties[field.name] = written
    schema["properties"] = properties
    schema["required"] = [field.name for field in record.fields if field.required]
    schema["additionalProperties"] = False
    if record.invariants:
        schema["x-asserts"] = {item.key: item.text for item in record.invariants}
    return schema


def _write_union(union: Union, definitions: Schema) -> Schema:
    literals = [option.value for option in union.options if isinstance(option, Constant)]
    branches: list[Schema] = []
    placed = False
    for option in union.options:
        if not isinstance(option, Constant):
            branches.append(_write(option, definitions))
        elif not placed:
            placed = True
            branches.append(_write_literals(literals))
    return branches[0] if len(branches) == 1 else {"anyOf": branches}


def _write_literals(values: list[Any]) -> Schema:
    kinds = {type_name(value) for value in values}
    if kinds == {"null"}:
        return {"type": "null"}
    schema: Schema = {"type": kinds.pop()} if len(kinds) == 1 else {}
    if len(values) == 1:
        schema["const"] = values[0]
    else:
        schema["enum"] = values
    return schema


# ---------------------------------------------------------------- walking


def map_subschemas(schema: Any, change: Callable[[Any], Any]) -> Any:
    """A copy with `change` applied to each schema directly inside; plain data is left alone."""
    if not isinstance(schema, Mapping):
        return schema
    result: Schema = dict(schema)
    for key in _MAPS:
        if isinstance(result.get(key), Mapping):
            result[key] = {name: change(inner) for name, inner in result[key].items()}
    for key in _LISTS:
        if isinstance(result.get(key), list):
            result[key] = [change(inner) for inner in result[key]]
    for key in _SINGLES:
        if isinstance(result.get(key), Mapping | bool):
            result[key] = change(result[key])
    return result


# ---------------------------------------------------------------- references in inputs


#: Keywords that say nothing about a value while parts of it are still references.
_UNDECIDABLE = (
    "contains",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "minContains",
    "not",
    "then",
    "uniqueItems",
    "x-asserts",
    "x-max-bytes",
)


def tolerant(
    schema: Mapping[str, Any], reference: Schema = REFERENCE, *, root: bool = False
) -> Schema:
    """The schema of the same object where, inside it, a reference may replace any value.

    A reference is `{"$from": "a1", "at": "/items"}` or `{"$literal": ...}`. The root itself stays
    an object. What cannot be decided while parts are missing (invariants, `not`, `if`, sizes of
    the whole) is left for the check of the resolved value.

    Args:
        reference: What may replace a value, where it is more than that.
        root: Whether it may replace the whole value too.
    """
    result: Schema = _tolerate(schema)
    if root:
        # Definitions stay at the root: that is where what refers to them looks.
        body = {key: value for key, value in schema.items() if key != "$defs"}
        replaceable = _replaceable(body)
        result = {**replaceable, "$defs": result.get("$defs", {})}
    result.setdefault("$defs", {})
    result["$defs"] = {**result["$defs"], _REFERENCE_NAME: reference}
    return result


def _tolerate(schema: Any) -> Any:
    """The same place, with the values inside it replaceable."""
    if not isinstance(schema, Mapping):
        return schema
    result: Schema = {key: value for key, value in schema.items() if key not in _UNDECIDABLE}
    if "oneOf" in result:
        # A reference may satisfy two branches at once.
        branches = {"anyOf": [_tolerate(branch) for branch in result.pop("oneOf")]}
        result["allOf"] = [*result.get("allOf", []), branches]
    for key in ("$defs", "definitions"):
        if isinstance(result.get(key), Mapping):
            result[key] = {name: _tolerate(inner) for name, inner in result[key].items()}
    for key in ("anyOf", "allOf"):
        if isinstance(result.get(key), list):
            result[key] = [_tolerate(inner) for inner in result[key]]
    for key in ("properties", "patternProperties"):
        if isinstance(result.get(key), Mapping):
            result[key] = {name: _replaceable(inner) for name, inner in result[key].items()}
    if isinstance(result.get("prefixItems"), list):
        result["prefixItems"] = [_replaceable(inner) for inner in result["prefixItems"]]
    for key in ("additionalProperties", "items", "unevaluatedItems", "unevaluatedProperties"):
        if isinstance(result.get(key), Mapping):
            result[key] = _replaceable(result[key])
    return result


def _replaceable(schema: Any) -> Any:
    if schema is False or schema is True or schema == {}:
        return schema
    inner = _tolerate(schema)
    outer = {key: inner.pop(key) for key in ("title", "description", "default") if key in inner}
    return {**outer, "anyOf": [inner, {"$ref": REFERENCE_POINTER}]}
