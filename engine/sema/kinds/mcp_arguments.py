"""What an MCP tool does with an argument that is null.

Null leaves an argument out, because most tools take a missing argument for their default and refuse
null. The exception is an argument that the tool needs and that may be null: it is sent. Which ones
these are is told from the tool's input schema alone, so the linter and a run agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.sema.types.json_schema import may_fit

__all__ = ["is_needed", "needs_null", "with_definitions"]


def is_needed(schema: Mapping[str, Any], name: str) -> bool:
    """Whether the tool refuses a call without the argument."""
    required = schema.get("required")
    return isinstance(required, list) and name in required


def needs_null(schema: Mapping[str, Any], name: str) -> bool:
    """Whether null is sent for an argument: it is needed, and null may be its value."""
    if not is_needed(schema, name):
        return False
    properties = schema.get("properties")
    wanted = properties.get(name, True) if isinstance(properties, dict) else True
    if isinstance(wanted, bool):
        return wanted
    if not isinstance(wanted, dict):
        return False
    # OpenAPI's word for it, which servers made from such files pass on.
    return wanted.get("nullable") is True or may_fit(
        {"type": "null"}, with_definitions(schema, wanted)
    )


def with_definitions(schema: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """A part of a schema, with the definitions that its references lead to."""
    shared = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
    return {**shared, **part}
