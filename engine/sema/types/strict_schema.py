"""The subset of JSON Schema that providers accept for structured output.

Providers in strict mode want every property required (null where absent), no open objects, and
know few keywords. What the subset cannot say (lengths, patterns, defaults) is left out here and
checked by the contract after the call; what it cannot express at all (open JSON, external schemas
with conditions) is `Inexpressible`. The machine makes its requests of it (`engine.runtime.wire`),
the linter tells where it ends.

Source of the subset: OpenAI's guide to structured outputs, which Anthropic's and Google's own
modes accept too.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Inexpressible", "nullable", "strict_schema"]

#: Keywords that say how a value is annotated or limited: dropped, for the contract checks them.
_DROPPED = frozenset(
    [
        "$schema",
        "$id",
        "$comment",
        "title",
        "default",
        "examples",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minItems",
        "maxItems",
        "uniqueItems",
        "deprecated",
        "readOnly",
        "writeOnly",
        "minProperties",
        "maxProperties",
        "contentEncoding",
        "contentMediaType",
    ]
)


class Inexpressible(Exception):
    """A schema that the subset cannot express.

    Attributes:
        place: Where, as the names of fields on the way joined by dots; "" for the whole.
    """

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__()
        self.place = ".".join(path)


def strict_schema(schema: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """A schema in the subset, its `$defs` next to it.

    Raises:
        Inexpressible: It cannot be said there.
    """
    if not isinstance(schema, dict) or not schema:
        raise Inexpressible(path)
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _DROPPED or key.startswith("x-"):
            continue
        if key in ("anyOf", "oneOf"):
            result["anyOf"] = [strict_schema(option, path) for option in value]
        elif key in ("items",):
            result["items"] = strict_schema(value, path)
        elif key == "$defs":
            result["$defs"] = {n: strict_schema(item, (*path, n)) for n, item in value.items()}
        elif key in ("type", "enum", "const", "description", "$ref"):
            result[key] = value
        elif key in ("properties", "required", "additionalProperties"):
            continue
        else:
            raise Inexpressible(path)
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties") is not False:
            raise Inexpressible(path)
        required = schema.get("required", ())
        properties = {}
        for name, item in schema.get("properties", {}).items():
            strict = strict_schema(item, (*path, name))
            properties[name] = strict if name in required else nullable(strict)
        result["type"] = "object"
        result["properties"] = properties
        result["required"] = list(properties)
        result["additionalProperties"] = False
    if not set(result) & {"type", "enum", "const", "anyOf", "$ref"}:
        raise Inexpressible(path)
    return result


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema, with null allowed."""
    options = schema.get("anyOf")
    if options is not None and any(option.get("type") == "null" for option in options):
        return schema
    return {"anyOf": [schema, {"type": "null"}]}
