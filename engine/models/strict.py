"""Whether a JSON Schema is within the subset that providers accept with `strict`.

The subset is OpenAI's (the others' are near it): closed objects with every property required,
no combinations but `anyOf`, an object at the root. A schema outside of it is sent without
`strict`, and the contract is checked by the engine in either case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["is_strict"]

_ALLOWED = frozenset(
    {
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    }
)
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Whether a provider would take the schema with `strict: true`."""
    return schema.get("type") == "object" and "anyOf" not in schema and _is_inside(schema)


def _is_inside(schema: Any) -> bool:
    # `true` and `{}` admit anything, which no grammar of a provider does.
    if not isinstance(schema, Mapping) or not schema or not _ALLOWED.issuperset(schema):
        return False
    if schema.get("format", "date") not in _FORMATS:
        return False
    properties = schema.get("properties", {})
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False
        or set(schema.get("required", ())) != set(properties)
    ):
        return False
    parts = [*properties.values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ())]
    if schema.get("type") == "array" and "items" not in schema:
        return False
    if "items" in schema:
        parts.append(schema["items"])
    if not any(key in schema for key in ("type", "enum", "const", "anyOf", "$ref")):
        return False
    return all(_is_inside(part) for part in parts)
