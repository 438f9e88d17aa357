"""The wire schemas: those of decisions and outputs, in the subset that providers accept.

The subset is defined in `engine.sema.types.strict_schema`. Here it is put together: one root
object, `$defs` at its top, a reference to an earlier output instead of each input. What the
subset cannot express makes these functions return None, and the schema goes into the prompt
instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.runtime.prompts import calls
from engine.sema.model import Orchestrator, Worker
from engine.sema.types.contract import Contract
from engine.sema.types.strict_schema import Inexpressible, nullable, strict_schema

__all__ = ["from_wire", "wire_decision", "wire_output"]

#: Name of the property that wraps an output that is not an object.
WRAPPED = "result"

_REFERENCE = {
    "type": "object",
    "description": calls.REFERENCE,
    "properties": {
        "$from": {"type": "string", "description": calls.REFERENCE_TASK},
        "at": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": calls.REFERENCE_AT},
    },
    "required": ["$from", "at"],
    "additionalProperties": False,
}


def _hoist(schema: dict[str, Any], prefix: str, defs: dict[str, Any]) -> dict[str, Any]:
    """Move a schema's `$defs` to the root under a prefix: strict mode resolves refs there only."""

    def rename(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: (
                    f"#/$defs/{prefix}{item.removeprefix('#/$defs/')}"
                    if key == "$ref" and isinstance(item, str) and item.startswith("#/$defs/")
                    else rename(item)
                )
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [rename(item) for item in value]
        return value

    schema = dict(schema)
    for name, item in schema.pop("$defs", {}).items():
        defs[f"{prefix}{name}"] = rename(item)
    renamed: dict[str, Any] = rename(schema)
    return renamed


def wire_decision(
    orchestrator: Orchestrator, workers: Mapping[str, Worker | Orchestrator]
) -> dict[str, Any] | None:
    """The wire schema of an orchestrator's decisions, or None where it cannot be expressed."""
    defs: dict[str, Any] = {"reference": _REFERENCE}
    try:
        tasks = []
        for index, (name, worker) in enumerate(workers.items()):
            strict = _hoist(strict_schema(worker.inputs.schema), f"w{index}_", defs)
            properties = {
                key: {"anyOf": [value, {"$ref": "#/$defs/reference"}]}
                for key, value in strict["properties"].items()
            }
            tasks.append(
                {
                    "type": "object",
                    "properties": {
                        "worker": {"type": "string", "const": name},
                        "id": {"type": "string"},
                        "input": {**strict, "properties": properties},
                    },
                    "required": ["worker", "id", "input"],
                    "additionalProperties": False,
                }
            )
        output = _hoist(strict_schema(orchestrator.output.schema), "out_", defs)
    except Inexpressible:
        return None
    return {
        "type": "object",
        "properties": {
            "assessment": {"type": "string"},
            "tasks": {"anyOf": [{"type": "array", "items": {"anyOf": tasks}}, {"type": "null"}]},
            "finish": nullable(output),
        },
        "required": ["assessment", "tasks", "finish"],
        "additionalProperties": False,
        "$defs": defs,
    }


def wire_output(contract: Contract) -> dict[str, Any] | None:
    """The wire schema of a worker's output (wrapped if it is not an object), or None."""
    defs: dict[str, Any] = {}
    try:
        strict = _hoist(strict_schema(contract.schema), "", defs)
    except Inexpressible:
        return None
    if strict.get("type") != "object":
        strict = {
            "type": "object",
            "properties": {WRAPPED: strict},
            "required": [WRAPPED],
            "additionalProperties": False,
        }
    if defs:
        strict["$defs"] = defs
    return strict


def from_wire(value: Any, schema: Mapping[str, Any], *, unwrap: bool = False) -> Any:
    """Undo what the wire schema asked for: the wrapper, and nulls for absent values.

    Args:
        value: What the model gave.
        schema: The contract's schema, which says where null is a value of its own.
        unwrap: Whether the output may be wrapped.
    """
    if (
        unwrap
        and schema.get("type") != "object"
        and isinstance(value, dict)
        and set(value) == {WRAPPED}
    ):
        value = value[WRAPPED]
    return _drop_nulls(value, schema, schema)


def _drop_nulls(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    if not isinstance(value, (dict, list)):
        return value
    schema = _branch(value, schema, root)
    if isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, dict):
            return [_drop_nulls(item, items, root) for item in value]
        return value
    if set(value) == {"$from", "at"} and value["at"] is None and isinstance(value["$from"], str):
        return {"$from": value["$from"]}
    properties = schema.get("properties")
    if properties is None:
        return value
    required = schema.get("required", ())
    return {
        key: _drop_nulls(item, properties.get(key, {}), root)
        for key, item in value.items()
        if item is not None
        or key in required
        or key not in properties
        or _admits_null(properties[key], root)
    }


def _branch(
    value: dict[str, Any] | list[Any], schema: Mapping[str, Any], root: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The schema that says what a value holds: of a union, the first branch it can belong to."""
    schema = _target(schema, root)
    for option in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        found = _branch(value, option, root)
        if isinstance(value, list):
            if isinstance(found.get("items"), dict):
                return found
        elif _can_be(value, found, root):
            return found
    return schema


def _can_be(value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    """Whether an object can belong to a record: by its keys, and the constants among them."""
    properties = schema.get("properties")
    if properties is None or not set(value) <= set(properties):
        return False
    for key, item in value.items():
        wanted = _target(properties[key], root)
        if "const" in wanted and item is not None and item != wanted["const"]:
            return False
    return True


def _target(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    seen = 0
    while "$ref" in schema and seen < 32:
        name = str(schema["$ref"]).removeprefix("#/$defs/")
        schema = root.get("$defs", {}).get(name, {})
        seen += 1
    return schema


def _admits_null(schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    schema = _target(schema, root)
    kind = schema.get("type")
    if kind == "null" or (isinstance(kind, list) and "null" in kind):
        return True
    if "enum" in schema and None in schema["enum"]:
        return True
    return any(_admits_null(option, root) for option in schema.get("anyOf", ()))
