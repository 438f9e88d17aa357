"""Types as JSON Schema 2020-12, and what the engine needs to know about schemas.

`schema_of` writes a type down, `tolerant` lets references stand for values, `subschema_at`
follows a JSON Pointer, `may_fit` tells when one schema's values can never satisfy another.
Nothing here validates a value: that is `engine.sema.contract`. The schemas this module takes are
self-contained (every `$ref` is `#/$defs/NAME`, or local to the document).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from engine.sema.types import (
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

#: What may stand in an input instead of a value.
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
            raise TypeError("a template is no value of a contract")
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
    kinds = {_type_name(value) for value in values}
    if kinds == {"null"}:
        return {"type": "null"}
    schema: Schema = {"type": kinds.pop()} if len(kinds) == 1 else {}
    if len(values) == 1:
        schema["const"] = values[0]
    else:
        schema["enum"] = values
    return schema


def _type_name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case list() | tuple():
            return "array"
    return "object"


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


def pointer_tokens(pointer: str) -> list[str] | None:
    """The parts of a JSON Pointer; None if it is none."""
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        return None
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def follow(root: Any, reference: str) -> Any:
    """The schema a local `$ref` means, or None if it is not there."""
    if not reference.startswith("#"):
        return None
    tokens = pointer_tokens(reference[1:])
    if tokens is None:
        return None
    current = root
    for token in tokens:
        if isinstance(current, Mapping) and token in current:
            current = current[token]
        elif isinstance(current, list) and token.isdigit() and int(token) < len(current):
            current = current[int(token)]
        else:
            return None
    return current


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


def tolerant(schema: Mapping[str, Any]) -> Schema:
    """The schema of the same object where, inside it, a reference may stand for any value.

    A reference is `{"$from": "a1", "at": "/items"}` or `{"$literal": ...}`. The root itself stays
    an object. What cannot be decided while parts are missing (invariants, `not`, `if`, sizes of
    the whole) is left for the check of the resolved value.
    """
    result: Schema = _tolerate(schema)
    result.setdefault("$defs", {})
    result["$defs"] = {**result["$defs"], _REFERENCE_NAME: REFERENCE}
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


# ---------------------------------------------------------------- following a pointer

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def subschema_at(schema: Mapping[str, Any], pointer: str) -> Schema | Literal["unknown"] | None:
    """What is known of the values at a JSON Pointer inside values of a schema.

    Returns:
        A self-contained schema; None if no valid value has such a place; `"unknown"` if the
        schema does not say.
    """
    tokens = pointer_tokens(pointer)
    if tokens is None:
        return None
    places: list[Any] = [schema]
    for token in tokens:
        found: list[Any] = []
        for place in places:
            for inner in _step(schema, place, token, 0):
                if inner == "unknown":
                    return "unknown"
                found.append(inner)
        if not found:
            return None
        places = found
    if any(place is True or place == {} for place in places):
        return "unknown"
    result: Schema = dict(places[0]) if len(places) == 1 else {"anyOf": places}
    if "$defs" in schema:
        result["$defs"] = schema["$defs"]
    return result


def _step(root: Any, place: Any, token: str, depth: int) -> Iterator[Any]:
    """The schemas one pointer part leads to from one place; nothing if it cannot be there."""
    if place is False:
        return
    if not isinstance(place, Mapping) or depth > 32:
        yield "unknown"
        return
    if "$ref" in place:
        target = follow(root, place["$ref"])
        if target is None:
            yield "unknown"
        else:
            yield from _step(root, target, token, depth + 1)
        return
    for key in ("anyOf", "oneOf"):
        if key in place:
            for branch in place[key]:
                yield from _step(root, branch, token, depth + 1)
            return
    if "allOf" in place or "$dynamicRef" in place:
        yield "unknown"
        return
    kinds = _types(root, place, 0)
    if "object" in kinds:
        yield from _step_object(place, token)
    if "array" in kinds and _INDEX.fullmatch(token):
        yield from _step_array(place, int(token))


def _step_object(place: Mapping[str, Any], token: str) -> Iterator[Any]:
    properties = place.get("properties", {})
    if token in properties:
        inner = properties[token]
        if inner is not False:
            yield "unknown" if inner is True or inner == {} else inner
        return
    if place.get("patternProperties"):
        yield "unknown"
        return
    rest = place.get("additionalProperties", place.get("unevaluatedProperties", True))
    if rest is not False:
        yield "unknown" if rest is True or rest == {} else rest


def _step_array(place: Mapping[str, Any], index: int) -> Iterator[Any]:
    if index >= place.get("maxItems", index + 1):
        return
    prefix = place.get("prefixItems", [])
    inner = prefix[index] if index < len(prefix) else place.get("items", True)
    if inner is not False:
        yield "unknown" if inner is True or inner == {} else inner


# ---------------------------------------------------------------- compatibility

_ALL = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


def may_fit(producer: Mapping[str, Any] | bool, consumer: Mapping[str, Any] | bool) -> bool:
    """False only if no value of `producer` can ever be a value of `consumer`."""
    return _may_fit(producer, producer, consumer, consumer, 0)


def _may_fit(p_root: Any, producer: Any, c_root: Any, consumer: Any, depth: int) -> bool:
    if producer is False or consumer is False:
        return False
    if not isinstance(producer, Mapping) or not isinstance(consumer, Mapping) or depth > 24:
        return True
    if "$ref" in producer:
        return _may_fit(p_root, follow(p_root, producer["$ref"]), c_root, consumer, depth + 1)
    if "$ref" in consumer:
        return _may_fit(p_root, producer, c_root, follow(c_root, consumer["$ref"]), depth + 1)
    for key in ("anyOf", "oneOf"):
        if key in producer:
            return any(_may_fit(p_root, b, c_root, consumer, depth + 1) for b in producer[key])
    for key in ("anyOf", "oneOf"):
        if key in consumer:
            return any(_may_fit(p_root, producer, c_root, b, depth + 1) for b in consumer[key])
    kinds = _types(p_root, producer, 0) & _types(c_root, consumer, 0)
    if not kinds:
        return False
    if not _values_meet(producer, consumer):
        return False
    if kinds == {"object"}:
        return _objects_fit(p_root, producer, c_root, consumer, depth)
    if kinds == {"array"}:
        needed = max(producer.get("minItems", 0), consumer.get("minItems", 0)) > 0
        return not needed or _may_fit(
            p_root, producer.get("items", True), c_root, consumer.get("items", True), depth + 1
        )
    return True


def _objects_fit(
    p_root: Any, producer: Mapping[str, Any], c_root: Any, consumer: Mapping[str, Any], depth: int
) -> bool:
    p_properties, c_properties = producer.get("properties", {}), consumer.get("properties", {})
    p_required, c_required = set(producer.get("required", ())), set(consumer.get("required", ()))
    if _is_closed(producer) and not c_required <= set(p_properties):
        return False
    if _is_closed(consumer) and not p_required <= set(c_properties):
        return False
    return all(
        _may_fit(p_root, p_properties[name], c_root, c_properties[name], depth + 1)
        for name in p_required | c_required
        if name in p_properties and name in c_properties
    )


def _is_closed(schema: Mapping[str, Any]) -> bool:
    return schema.get("additionalProperties") is False and not schema.get("patternProperties")


def _values_meet(producer: Mapping[str, Any], consumer: Mapping[str, Any]) -> bool:
    """Whether the constants either side allows have one in common, as far as they are listed."""
    left, right = _constants(producer), _constants(consumer)
    if left is None or right is None:
        return True
    return any(_same(a, b) for a in left for b in right)


def _constants(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _same(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def json_types(root: Any, schema: Any) -> frozenset[str]:
    """The JSON types the values of a schema can have; `integer` and `number` come together."""
    return _types(root, schema, 0)


def _types(root: Any, schema: Any, depth: int) -> frozenset[str]:
    """The JSON types a schema's values can have; `number` stands for `integer` too."""
    if schema is False:
        return frozenset()
    if not isinstance(schema, Mapping) or depth > 24:
        return _ALL
    found = _ALL
    declared = schema.get("type")
    if isinstance(declared, str):
        found &= _widened([declared])
    elif isinstance(declared, list):
        found &= _widened(declared)
    constants = _constants(schema)
    if constants is not None:
        found &= _widened([_type_name(value) for value in constants])
    if "$ref" in schema:
        found &= _types(root, follow(root, schema["$ref"]), depth + 1)
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            found &= frozenset().union(*(_types(root, b, depth + 1) for b in schema[key]))
    for branch in schema.get("allOf", ()):
        found &= _types(root, branch, depth + 1)
    return found


def _widened(names: Iterable[str]) -> frozenset[str]:
    """`number` and `integer` have values in common: 1.0 is an integer."""
    result = set(names)
    if result & {"number", "integer"}:
        result |= {"number", "integer"}
    return frozenset(result)
