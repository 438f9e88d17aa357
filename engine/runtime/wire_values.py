"""What a model wrote in the wire form, and the same in the contract's form; both ways.

Reading is tolerant where nothing can be misunderstood: a model may answer in the contract's form
although it was asked for the other one, or write null for what is absent. What the contract says
of the result is checked elsewhere; here a value is only put in its place. The form is described in
`engine.runtime.wire_schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.runtime.decision import DecisionContract, DecisionError
from engine.runtime.prompts import rejections
from engine.runtime.wire_schema import JSON_KEY, WRAPPED, WireDecision, wrapper_of
from engine.runtime.wire_steps import (
    PartError,
    holds_references,
    read_parts,
    read_value_of,
    without_null_keys,
    write_parts,
    write_value_of,
)
from engine.sema.types.contract import Contract

__all__ = ["read_decision", "read_output", "read_task", "write_decision"]


def read_output(value: Any, contract: Contract) -> Any:
    """A model's output without the wrapper, and without nulls that mean absent."""
    schema = contract.schema
    if isinstance(value, dict) and len(value) == 1:
        # Only what was wrapped is unwrapped: a map or `json` may have a key of that name.
        root = _target(schema, schema)
        if root.get("type") != "object" and not contract.is_valid(value):
            value = value.get(wrapper_of(contract), value)
    return _drop_nulls(value, schema, schema)


def read_decision(value: Any, decisions: DecisionContract, *, nulls: bool = True) -> Any:
    """A decision in the contract's form.

    Args:
        nulls: Whether there is a null anywhere in it; if not, none has to be looked for.

    Raises:
        DecisionError: An input is written in a way that neither form knows.
    """
    if not isinstance(value, dict):
        return value
    result = dict(value)
    if isinstance(result.get("tasks"), list):
        result["tasks"] = [read_task(task, decisions, nulls=nulls) for task in result["tasks"]]
    if "finish" in result:
        _read_finish(result, decisions)
    if result.get("tasks") == [] and "finish" in result:
        del result["tasks"]
    return result


def _read_finish(result: dict[str, Any], decisions: DecisionContract) -> None:
    """Take the result out of its list; an empty list says that there is none yet."""
    finish, output = result["finish"], decisions.orchestrator.output
    if isinstance(finish, list) and "tasks" in result:
        if not finish:
            del result["finish"]
            return
        bare = output.is_valid(finish) and not (len(finish) == 1 and output.is_valid(finish[0]))
        if not bare and decisions.steps and _are_parts(finish, output):
            finish = _read_entries(finish, {"id": "finish"}, steps=True)
            finish = finish.get("", finish) if len(finish) == 1 else finish
        elif not bare and len(finish) == 1:
            finish = _from_json(finish[0], output)
            if decisions.steps and isinstance(finish, dict) and set(finish) == {WRAPPED}:
                finish = finish if output.is_valid(finish) else finish[WRAPPED]
    if finish is not None:
        result["finish"] = _drop_nulls(finish, output.schema, output.schema)


def _are_parts(finish: list[Any], output: Contract) -> bool:
    """Whether a result is given as values with a name: of its fields, or "" for the whole."""
    if len(finish) == 1 and output.is_valid(finish[0]):
        # A record may have such keys of its own; where they name a field, they are parts.
        fields = _target(output.schema, output.schema).get("properties", {})
        if not isinstance(finish[0], dict) or finish[0].get("name") not in fields:
            return False
    return all(isinstance(part, dict) and _is_part(part) for part in finish)


def _is_part(part: Mapping[str, Any]) -> bool:
    if not isinstance(part.get("name"), str):
        return False
    keys = part.keys() - {"name"}
    known = ({"value"}, {JSON_KEY}, {"from"}, {"from", "at"})
    return keys in known or read_value_of(part) is not None


def _from_json(value: Any, output: Contract) -> Any:
    """A result that was written as JSON text; a record may have one field of that name itself."""
    if not isinstance(value, dict) or set(value) != {JSON_KEY}:
        return value
    try:
        decoded = _decoded(value[JSON_KEY], "finish")
    except DecisionError:
        if output.is_valid(value):
            return value
        raise
    return value if output.is_valid(value) and not output.is_valid(decoded) else decoded


def read_task(task: Any, decisions: DecisionContract, *, nulls: bool = True) -> Any:
    """One task of a decision in the contract's form; what is not a task is left as it is.

    Raises:
        DecisionError: An input is written in a way that neither form knows.
    """
    if not isinstance(task, dict):
        return task
    if decisions.steps:
        task = _read_step(task)
    if "input" not in task:
        return task
    given = task["input"]
    if isinstance(given, list):
        given = _read_entries(given, task, steps=decisions.steps)
    elif not nulls:
        return task
    name = task.get("worker")
    worker = decisions.workers.get(name) if isinstance(name, str) else None
    schema: Mapping[str, Any] = {} if worker is None else worker.inputs.schema
    return {**task, "input": _drop_nulls(given, schema, schema)}


def _read_step(task: dict[str, Any]) -> dict[str, Any]:
    """An entry with the keys of the contract's form in place of the list of parts."""
    if not isinstance(task.get("step"), list | dict):
        return without_null_keys(task)
    rest = {key: value for key, value in task.items() if key != "step"}
    try:
        return {**without_null_keys(rest), **read_parts(task["step"])}
    except PartError as error:
        label = rejections.task_named(str(task.get("id"))[:60])
        raise DecisionError([rejections.part_problem(label, str(error))]) from None


def _read_entries(
    entries: list[Any], task: Mapping[str, Any], *, steps: bool = False
) -> dict[str, Any]:
    label = rejections.task_named(str(task.get("id"))[:60])
    found: dict[str, Any] = {}
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise DecisionError([rejections.entry_not_named(label)])
        if name in found:
            raise DecisionError([rejections.given_twice(label, name[:60])])
        keys = set(entry) - {"name"}
        if keys == {"value"}:
            found[name] = entry["value"]
        elif keys == {JSON_KEY}:
            found[name] = _decoded(entry[JSON_KEY], f"{label}: `{name[:60]}`")
        elif keys == {"from"} or keys == {"from", "at"}:
            at = {"at": entry["at"]} if entry.get("at") else {}
            found[name] = {"$from": entry["from"], **at}
        elif steps and (value := read_value_of(entry)) is not None:
            found[name] = value
        else:
            raise DecisionError([rejections.entry_without_value(label, name[:60])])
    return found


def _decoded(text: Any, what: str) -> Any:
    if not isinstance(text, str):
        return text  # already a value: nothing to decode
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise DecisionError([rejections.not_json_text(what, error)]) from None


def write_decision(decision: Mapping[str, Any], form: WireDecision) -> dict[str, Any]:
    """A decision of the contract's form in the wire form, as a model would have written it."""
    finish = [decision["finish"]] if "finish" in decision else []
    if form.steps:
        finish = _write_finish(finish[0], form) if finish else []
    elif form.finish_as_json:
        finish = [{JSON_KEY: _encoded(value)} for value in finish]
    return {
        "assessment": decision.get("assessment", ""),
        "tasks": [
            {
                **({"step": write_parts(task)} if form.steps else {}),
                "worker": task["worker"],
                "id": task["id"],
                "input": [_entry(name, value, form) for name, value in task["input"].items()],
            }
            for task in decision.get("tasks", ())
        ],
        "finish": finish,
    }


def _write_finish(value: Any, form: WireDecision) -> list[Any]:
    """A result: whole if it is plain, by its fields if it holds references."""
    if not holds_references(value):
        if form.finish_as_json:
            return [{JSON_KEY: _encoded(value), "name": ""}]
        return [{WRAPPED: value} if form.wrapped else value]
    whole = write_value_of("", value)
    if whole is not None:
        return [whole]
    if not isinstance(value, dict) or "$literal" in value:
        return [{JSON_KEY: _encoded(value), "name": ""}]
    return [
        _entry(name, inner, form, as_json=name not in form.fields) for name, inner in value.items()
    ]


def _entry(
    name: str, value: Any, form: WireDecision, *, as_json: bool | None = None
) -> dict[str, Any]:
    if form.steps:
        reference = write_value_of(name, value)
        if reference is not None:
            return reference
        if holds_references(value):
            return {JSON_KEY: _encoded(value), "name": name}
    if isinstance(value, dict) and "$from" in value and set(value) <= {"$from", "at"}:
        return {"from": value["$from"], "at": value.get("at", ""), "name": name}
    if name in form.as_json if as_json is None else as_json:
        return {JSON_KEY: _encoded(value), "name": name}
    return {"name": name, "value": value}


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _drop_nulls(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """Leave out keys whose null says "absent": where null is not a value of its own."""
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
