"""The schemas that go out with a call, in the dialect of the model that is asked.

One form for decisions, made for the strictest dialect. A task's input is a list of named values
whose element is one union for the whole decision:

    {"name": "path", "value": "a.py"}          one branch for each distinct type of value
    {"json": "{\\"a\\": [1]}", "name": "rows"}   a value whose type the dialect cannot express
    {"from": "a1", "at": "/items/0", "name": "text"}   (a part of) an earlier output

What is omitted is absent, so no key is null; `finish` is a list of no or one result, so no key is
optional; nothing refers to itself. The form no longer ties an input to its worker: the contract
does, when the decision is read. So a decision over forty workers has a single union.

With `policy { max_items }` an entry of `tasks` also says whether it is a step
(`engine.runtime.wire_steps`), inputs may refer to items, and the result may be given field by field
with references. Then any value may be JSON text, which can hold references at any depth.

Branches begin with different keys or with disjoint enumerations, for OpenAI refuses a union whose
objects begin alike. What does not fit a dialect's limits becomes JSON text, the largest type first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.dialects.dialect import Dialect
from engine.dialects.problems import over_limits
from engine.dialects.say import Inexpressible, say
from engine.dialects.table import known
from engine.runtime.prompts import calls
from engine.runtime.wire_steps import PARTS, VALUES, closed
from engine.sema.model import Orchestrator, Worker
from engine.sema.types.contract import Contract

__all__ = ["JSON_KEY", "WRAPPED", "WireDecision", "wire_decision", "wire_output", "wrapper_of"]

#: Name of the property that wraps an output that is not an object.
WRAPPED = "result"
#: Name of the property that carries a value as JSON text.
JSON_KEY = "json"


class WireDecision:
    """The wire form of one orchestrator's decisions in one dialect.

    Attributes:
        schema: The JSON Schema to send.
        as_json: Inputs whose value is written as JSON text, by name, in order.
        finish_as_json: Whether the result is written so.
        steps: Whether entries of `tasks` may be steps.
        wrapped: Whether a result that is written as a whole is in `{"result": ...}`.
        fields: Fields of the result whose value can be written; others are JSON text.
    """

    __slots__ = ("as_json", "fields", "finish_as_json", "schema", "steps", "wrapped")

    def __init__(
        self,
        schema: dict[str, Any],
        as_json: list[str],
        finish_as_json: bool,
        steps: bool = False,
        wrapped: bool = False,
        fields: frozenset[str] = frozenset(),
    ) -> None:
        self.schema = schema
        self.as_json = as_json
        self.finish_as_json = finish_as_json
        self.steps = steps
        self.wrapped = wrapped
        self.fields = fields


def wire_decision(
    orchestrator: Orchestrator, workers: Mapping[str, Worker | Orchestrator], dialect: str
) -> WireDecision | None:
    """The wire form of an orchestrator's decisions; None where the dialect takes no schema."""
    return _Form(orchestrator, workers, known(dialect)).fitted()


def wire_output(contract: Contract, dialect: str) -> dict[str, Any] | None:
    """The wire schema of a model's output, wrapped if it is not an object; None if it has none.

    It is the same for every call of a dialect, and kept with the contract.
    """
    if dialect not in contract.wires:
        contract.wires[dialect] = _output(contract, known(dialect))
    return contract.wires[dialect]


def wrapper_of(contract: Contract) -> str:
    """The property that wraps an output that is not an object; not a field of its own records.

    With a field of that name, `{"result": null}` could be the record, or null in its wrapper.
    """
    name = WRAPPED
    while _has_property(contract.schema, name):
        name += "_"
    return name


def _has_property(schema: Any, name: str) -> bool:
    if isinstance(schema, list):
        return any(_has_property(inner, name) for inner in schema)
    if not isinstance(schema, Mapping):
        return False
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and name in properties:
        return True
    return any(_has_property(inner, name) for inner in schema.values())


def _output(contract: Contract, dialect: Dialect) -> dict[str, Any] | None:
    try:
        said = say(contract.schema, dialect, whole=False)
    except Inexpressible:
        return None
    defs = said.pop("$defs", {})
    if "$ref" in said:  # providers want the root itself, not a reference to it
        said = dict(defs[said["$ref"].rpartition("/")[2]])
    if said.get("type") != "object":
        said = closed({wrapper_of(contract): said})
    if defs:
        said["$defs"] = defs
    return None if over_limits(said, dialect) else said


class _Form:
    """A decision's schema while it is made to fit."""

    def __init__(
        self,
        orchestrator: Orchestrator,
        workers: Mapping[str, Worker | Orchestrator],
        dialect: Dialect,
    ) -> None:
        self._dialect = dialect
        self._workers = list(workers)
        self._defs: dict[str, Any] = {}
        #: The same by name, as each was before its references were renamed.
        self._written: dict[str, Any] = {}
        #: Names of inputs by the schema of their value, as JSON; "" for those as JSON text.
        self._names: dict[str, list[str]] = {"": []}
        for worker in workers.values():
            for name, schema in worker.inputs.schema.get("properties", {}).items():
                self._add(name, schema, worker.inputs.schema)
        self._finish = self._said(orchestrator.output.schema)
        self._steps = orchestrator.policy.max_items is not None
        #: Names of fields of the result by the schema of their value, as JSON.
        self._fields: dict[str, list[str]] = {}
        if self._steps:
            self._add_fields(orchestrator.output.schema)

    def _add_fields(self, output: Mapping[str, Any]) -> None:
        record: Mapping[str, Any] = output
        if "$ref" in output:
            record = output.get("$defs", {}).get(str(output["$ref"]).rpartition("/")[2], {})
        for name, schema in record.get("properties", {}).items():
            said = self._said({**schema, "$defs": output.get("$defs", {})})
            if said is not None:
                self._fields.setdefault(json.dumps(said), []).append(name)

    def _add(self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any]) -> None:
        if name not in root.get("required", ()) and schema.get("default", 0) is None:
            schema = _without_null(schema)
        said = self._said({**schema, "$defs": root.get("$defs", {})})
        names = self._names.setdefault("" if said is None else json.dumps(said), [])
        if name not in names:
            names.append(name)

    def _said(self, schema: Mapping[str, Any]) -> dict[str, Any] | None:
        """A value's schema in the dialect, its definitions moved to the decision's root."""
        try:
            said = say(schema, self._dialect, whole=False, bare=True)
        except Inexpressible:
            return None
        defs = said.pop("$defs", {})
        names = {name: self._free_name(name, body) for name, body in defs.items()}
        for name, body in defs.items():
            self._defs[names[name]] = _renamed(body, names)
        moved: dict[str, Any] = _renamed(said, names)
        return moved

    def _free_name(self, name: str, body: dict[str, Any]) -> str:
        """A name for a definition: the types of two files may share one."""
        new, number = name, 2
        while self._written.setdefault(new, body) != body:
            new, number = f"{name}_{number}", number + 1
        return new

    def fitted(self) -> WireDecision | None:
        """The form within the dialect's limits, with as few values as JSON text as it takes."""
        if not self._dialect.native:
            return None
        if self._steps and over_limits(self._finish_alone(), self._dialect):
            self._finish = None  # all other values as JSON text would not make it fit
        schema = self._schema()
        while over_limits(schema, self._dialect):
            largest = max((key for key in self._names if key), key=len, default=None)
            field = max(self._fields, key=len, default=None)
            if field is not None and len(field) >= len(largest or ""):
                del self._fields[field]
            elif largest is not None:
                self._names[""] += [
                    name for name in self._names.pop(largest) if name not in self._names[""]
                ]
            elif self._finish is not None:
                self._finish = None
            else:
                return None
            schema = self._schema()
        wrapped = self._steps and self._finish is not None and self._begins_alike(self._finish)
        fields = frozenset(name for names in self._fields.values() for name in names)
        return WireDecision(
            schema, self._names[""], self._finish is None, self._steps, wrapped, fields
        )

    def _finish_alone(self) -> dict[str, Any]:
        """A decision that has a result and nothing else."""
        schema = closed({"finish": {"type": "array", "items": self._whole_finish()}})
        used = _used({"schema": schema}, self._defs)
        return {**schema, "$defs": used} if used else schema

    def _schema(self) -> dict[str, Any]:
        finish = self._finish if self._finish is not None else closed({JSON_KEY: _JSON})
        step = {"step": {"type": "array", "items": {"anyOf": list(PARTS)}}} if self._steps else {}
        task = closed(
            {
                **step,
                "worker": {"type": "string", "enum": self._workers},
                "id": {"type": "string"},
                "input": {"type": "array", "items": self._entry()},
            }
        )
        if self._steps:
            finish = self._finish_entry()
        schema = closed(
            {
                "assessment": {"type": "string"},
                "tasks": {"type": "array", "items": task},
                "finish": {"type": "array", "items": finish},
            }
        )
        used = _used({"schema": schema}, self._defs)
        if used:
            schema["$defs"] = used
        return schema

    def _entry(self) -> dict[str, Any]:
        branches = self._values(self._names)
        if self._steps:
            branches += [_ANY_AS_JSON, _REFERENCE, *VALUES]
            return {"anyOf": branches}
        if self._names[""]:
            branches.append(closed({JSON_KEY: _JSON, "name": _one_of(self._names[""])}))
        branches.append(_REFERENCE)
        return {"anyOf": branches} if len(branches) > 1 else branches[0]

    def _finish_entry(self) -> dict[str, Any]:
        """The whole result, or a part of it: as for inputs, with "" for the name of the whole."""
        branches = [] if self._finish is None else [self._whole_finish()]
        views = [value for value in VALUES if "at" in value["properties"]]
        branches += [*self._values(self._fields), _ANY_AS_JSON, _REFERENCE, *views]
        return {"anyOf": branches}

    def _whole_finish(self) -> dict[str, Any]:
        if self._finish is None:
            return closed({JSON_KEY: _JSON})
        alike = self._begins_alike(self._finish)
        return closed({WRAPPED: self._finish}) if alike else self._finish

    def _values(self, names: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        return [
            closed({"name": _one_of(found), "value": json.loads(key)})
            for key, found in names.items()
            if key
        ]

    def _begins_alike(self, schema: Mapping[str, Any]) -> bool:
        """Whether a result may be taken for another branch of the union that it is in."""
        while "$ref" in schema:
            schema = self._defs[schema["$ref"].rpartition("/")[2]]
        if "anyOf" in schema:
            return any(self._begins_alike(option) for option in schema["anyOf"])
        if schema.get("type") != "object":
            return "type" not in schema
        first = next(iter(schema.get("properties", ())), None)
        return first in (None, "name", "from", "pairs", "failures", JSON_KEY, WRAPPED)


def _one_of(names: list[str]) -> dict[str, Any]:
    return {"type": "string", "enum": names}


_JSON = {"type": "string", "description": calls.AS_JSON}
_REFERENCE = closed(
    {
        "from": {"type": "string", "description": calls.REFERENCE_TASK},
        "at": {"type": "string", "description": calls.REFERENCE_AT},
        "name": {"type": "string"},
    }
)
#: What no other branch can say: types that the dialect has no word for, references inside values.
_ANY_AS_JSON = closed({JSON_KEY: _JSON, "name": {"type": "string"}})


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """An input that may be left out: leaving it out says null."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == len(schema.get("anyOf", ())):
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**options[0], **rest} if len(options) == 1 else {**rest, "anyOf": options}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """The same schema with its references led to the definitions' new names."""
    if isinstance(value, dict):
        return {
            key: f"#/$defs/{names[item.rpartition('/')[2]]}"
            if key == "$ref" and isinstance(item, str)
            else _renamed(item, names)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return value


def _used(schema: Any, defs: Mapping[str, Any]) -> dict[str, Any]:
    """Those definitions that a schema leads to."""
    found: dict[str, Any] = {}
    todo = [schema]
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo += value
        elif isinstance(value, dict):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name in defs and name not in found:
                found[name] = defs[name]
                todo.append(defs[name])
            todo += value.values()
    return found
