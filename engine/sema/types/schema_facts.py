"""What is known of schemas without a value: places, types, compatibility.

`subschema_at` follows a JSON Pointer, `may_fit` tells when one schema's values can never satisfy
another, `follow` resolves a local reference. All answers are careful: what a schema does not say
is "unknown", and only what is certain is denied. The schemas are self-contained (every `$ref` is
`#/...`, local to the document).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

__all__ = [
    "field_names",
    "follow",
    "json_types",
    "may_fit",
    "pointer_tokens",
    "subschema_at",
    "type_name",
]

Schema = dict[str, Any]


def type_name(value: Any) -> str:
    """The JSON Schema type of a value."""
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


# ---------------------------------------------------------------- following a pointer

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
#: No value is nested so deeply.
_MAX_TOKENS = 256


def subschema_at(schema: Mapping[str, Any], pointer: str) -> Schema | Literal["unknown"] | None:
    """What is known of the values at a JSON Pointer inside values of a schema.

    Returns:
        A self-contained schema; None if no valid value has such a place; `"unknown"` if the
        schema does not say.
    """
    tokens = pointer_tokens(pointer)
    if tokens is None:
        return None
    if len(tokens) > _MAX_TOKENS:
        return "unknown"
    places: list[Any] = [schema]
    for token in tokens:
        # Several branches of a union may lead to one schema: it is followed once.
        found: dict[int, Any] = {}
        for place in places:
            for inner in _step(schema, place, token, 0):
                if inner == "unknown":
                    return "unknown"
                found[id(inner)] = inner
        if not found:
            return None
        places = list(found.values())
    if any(place is True or place == {} for place in places):
        return "unknown"
    result: Schema = dict(places[0]) if len(places) == 1 else {"anyOf": places}
    if "$defs" in schema:
        result["$defs"] = schema["$defs"]
    return result


def field_names(schema: Mapping[str, Any]) -> list[str]:
    """The keys that a schema names for the objects among its values, for suggestions."""
    found: dict[str, None] = {}
    seen: set[int] = set()
    places: list[Any] = [schema]
    while places:
        place = places.pop()
        if not isinstance(place, Mapping) or id(place) in seen:
            continue
        seen.add(id(place))
        if "$ref" in place:
            places.append(follow(schema, place["$ref"]))
        found.update(dict.fromkeys(place.get("properties", {})))
        places += [branch for key in ("anyOf", "oneOf") for branch in place.get(key, ())]
    return list(found)


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
    kinds = _types(root, place)
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
    # What `unevaluatedProperties` is about depends on keywords that are not followed here.
    rest = place.get("additionalProperties", True)
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
    return _Fitting(producer, consumer).may(producer, consumer, 0)


class _Fitting:
    """One comparison of two schemas; each pair of places in them is compared once."""

    def __init__(self, producer: Any, consumer: Any) -> None:
        self._p_root = producer
        self._c_root = consumer
        self._known: dict[tuple[int, int], bool] = {}

    def may(self, producer: Any, consumer: Any, depth: int) -> bool:
        if producer is False or consumer is False:
            return False
        if not isinstance(producer, Mapping) or not isinstance(consumer, Mapping) or depth > 24:
            return True
        pair = (id(producer), id(consumer))
        if pair not in self._known:
            self._known[pair] = True  # until the contrary is found: a schema may hold itself
            self._known[pair] = self._compared(producer, consumer, depth + 1)
        return self._known[pair]

    def _compared(
        self, producer: Mapping[str, Any], consumer: Mapping[str, Any], depth: int
    ) -> bool:
        if "$ref" in producer:
            return self.may(follow(self._p_root, producer["$ref"]), consumer, depth)
        if "$ref" in consumer:
            return self.may(producer, follow(self._c_root, consumer["$ref"]), depth)
        for key in ("anyOf", "oneOf"):
            if key in producer:
                return any(self.may(branch, consumer, depth) for branch in producer[key])
        for key in ("anyOf", "oneOf"):
            if key in consumer:
                return any(self.may(producer, branch, depth) for branch in consumer[key])
        kinds = _types(self._p_root, producer) & _types(self._c_root, consumer)
        if not kinds:
            return False
        if not _values_meet(producer, consumer):
            return False
        if kinds == {"object"}:
            return self._objects(producer, consumer, depth)
        if kinds == {"array"}:
            if "prefixItems" in producer or "prefixItems" in consumer:
                return True  # `items` says nothing of the first ones
            needed = max(producer.get("minItems", 0), consumer.get("minItems", 0)) > 0
            items = producer.get("items", True), consumer.get("items", True)
            return not needed or self.may(*items, depth)
        return True

    def _objects(
        self, producer: Mapping[str, Any], consumer: Mapping[str, Any], depth: int
    ) -> bool:
        p_properties, c_properties = producer.get("properties", {}), consumer.get("properties", {})
        p_required = set(producer.get("required", ()))
        c_required = set(consumer.get("required", ()))
        if _is_closed(producer) and not c_required <= set(p_properties):
            return False
        if _is_closed(consumer) and not p_required <= set(c_properties):
            return False
        return all(
            self.may(p_properties[name], c_properties[name], depth)
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
    return _types(root, schema)


def _types(
    root: Any, schema: Any, known: dict[int, frozenset[str]] | None = None
) -> frozenset[str]:
    """The JSON types a schema's values can have; `number` includes `integer`.

    Args:
        known: What is known already of the schemas on the way, each looked at once.
    """
    if schema is False:
        return frozenset()
    if not isinstance(schema, Mapping):
        return _ALL
    known = {} if known is None else known
    if id(schema) not in known:
        known[id(schema)] = _ALL  # until more is known: a schema may hold itself
        known[id(schema)] = _types_inside(root, schema, known)
    return known[id(schema)]


def _types_inside(
    root: Any, schema: Mapping[str, Any], known: dict[int, frozenset[str]]
) -> frozenset[str]:
    found = _ALL
    declared = schema.get("type")
    if isinstance(declared, str):
        found &= _widened([declared])
    elif isinstance(declared, list):
        found &= _widened(declared)
    constants = _constants(schema)
    if constants is not None:
        found &= _widened([type_name(value) for value in constants])
    if "$ref" in schema:
        found &= _types(root, follow(root, schema["$ref"]), known)
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            found &= frozenset().union(*(_types(root, b, known) for b in schema[key]))
    for branch in schema.get("allOf", ()):
        found &= _types(root, branch, known)
    return found


def _widened(names: Iterable[str]) -> frozenset[str]:
    """`number` and `integer` have values in common: 1.0 is an integer."""
    result = set(names)
    if result & {"number", "integer"}:
        result |= {"number", "integer"}
    return frozenset(result)
