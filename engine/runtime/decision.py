"""The decision: what an orchestrator says in a round, its schemas, and how it is read.

    {"assessment": "...", "tasks": [{"id": "a1", "worker": "search", "input": {...}}]}
    {"assessment": "...", "finish": {...output...}}

The *contract* schema is complete and generated from the orchestrator's workers: a discriminated
union over `worker`, with references allowed at any depth of an input. Every decision is
validated against it, whoever made it. The *wire* schema is the stricter subset that providers
accept for structured output; it is handed over with the call and never used to validate.

With `policy { max_items }` an entry of `tasks` may be a step (`engine.runtime.step_contract`), and
a result may hold references. Without it nothing here differs by a byte from plain tasks.

This module knows shapes. What a shape cannot say (ids taken before, limits used up, references
to tasks that failed) is checked by `planning.py`, which knows the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.runtime.answer_text import NotJSON, find_json
from engine.runtime.prompts import rejections, step_rejections
from engine.runtime.step_contract import (
    BASE_KEYS,
    entry_definitions,
    explain_entry,
    form_of,
    misplaced,
    misplaced_in_finish,
)
from engine.runtime.wire_schema import WireDecision, wire_decision
from engine.sema.model import Orchestrator, Program, Worker
from engine.sema.plans.json_form import PROPERTIES, REFERENCES
from engine.sema.plans.values import FromStep, Scope, fill, is_deeper, leaves, read_value
from engine.sema.suggest import closest
from engine.sema.types.contract import Contract
from engine.sema.types.json_schema import REFERENCE, tolerant

__all__ = ["DecisionContract", "DecisionError", "is_id", "read_json"]

#: The longest decision text that is read, in bytes of UTF-8: far above any model's answer.
MAX_DECISION_BYTES = 64 * 1024 * 1024
#: Problems listed in one answer to a bad decision.
MAX_PROBLEMS = 8
#: How deep a decision with steps may be nested: it is searched for references.
MAX_DEPTH = 200
#: How long each may be, in characters: it may quote the decision.
_MAX_PROBLEM = 1_000


#: What a tree without references is filled from.
_NOTHING = Scope(lambda name, view: None)


class DecisionError(Exception):
    """A decision is not acceptable; `problems` says why, one sentence each.

    `broken_off` says whether its JSON begins and does not end. `told` is what the planner reads of
    the problems where they quote what it has not seen; else None.
    """

    def __init__(
        self, problems: list[str], *, broken_off: bool = False, told: list[str] | None = None
    ) -> None:
        self.problems = [_clip(problem, _MAX_PROBLEM) for problem in problems]
        self.broken_off = broken_off
        self.told = None if told is None else [_clip(problem, _MAX_PROBLEM) for problem in told]
        super().__init__("; ".join(self.problems))


class DecisionContract:
    """The schemas of one orchestrator's decisions, compiled once a program.

    Attributes:
        workers: What may be dispatched, by name, in the order of the `workers` list.
        schema: The contract schema.
        steps: Whether decisions may have steps.
    """

    def __init__(self, program: Program, orchestrator: Orchestrator) -> None:
        self.orchestrator = orchestrator
        self.steps = orchestrator.policy.max_items is not None
        self.workers: dict[str, Worker | Orchestrator] = {
            name: program.workers.get(name) or program.orchestrators[name]
            for name in orchestrator.workers
        }
        self.schema = contract_schema(orchestrator, self.workers)
        self._contract = Contract.of_schema(self.schema)
        self._inputs: dict[str, Contract] = {}
        self._wires: dict[str, WireDecision | None] = {}

    def wire(self, dialect: str) -> WireDecision | None:
        """The wire form in a dialect, the same for every call; None where it takes no schema."""
        if dialect not in self._wires:
            self._wires[dialect] = wire_decision(self.orchestrator, self.workers, dialect)
        return self._wires[dialect]

    def tolerant_input(self, worker: str) -> Contract:
        """The contract of a worker's input with references allowed in it."""
        contract = self._inputs.get(worker)
        if contract is None:
            schema = self.workers[worker].inputs.schema
            contract = Contract.of_schema(tolerant(schema, _reference(self.orchestrator)))
            self._inputs[worker] = contract
        return contract

    def read(self, value: Any) -> dict[str, Any]:
        """Read a model's answer: JSON text, or the object that a policy returned.

        Returns:
            The decision, with `tasks` or `finish` (never both) and an `assessment`.

        Raises:
            DecisionError: It is not a decision of this orchestrator.
        """
        if isinstance(value, str):
            value = read_json(value)
        if not isinstance(value, dict):
            raise DecisionError([rejections.not_a_decision(_kind(value))])
        decision = _without_nulls(value)
        absent = "finish" in value and not decision.keys() & {"tasks", "finish"}
        if absent and self.orchestrator.output.is_valid(None):
            decision["finish"] = None  # here null is a result, not the absence of one
        if not self._contract.is_valid(decision):
            raise DecisionError(self._explain(decision))
        if self.steps and is_deeper(decision, MAX_DEPTH):
            raise DecisionError([step_rejections.too_deep(MAX_DEPTH)])
        if "finish" in decision:
            self._check_finish(decision)
        elif self.steps:
            problems = [
                problem
                for task in decision["tasks"]
                for problem in misplaced(task, rejections.task_named(task["id"]))
            ]
            if problems:
                raise DecisionError(problems[:MAX_PROBLEMS])
        return decision

    def finish_tree(self, decision: Mapping[str, Any]) -> Any | None:
        """The result of a decision as a tree (`engine.sema.plans.values`), if it is not plain.

        None if there is no result, or if `finish` is the result itself. The value of a tree is
        still to be checked, with its defaults, against the output's contract.
        """
        if not self.steps or "finish" not in decision:
            return None
        tree = read_value(decision["finish"])
        # Reading changes whatever is special: references and `$literal`.
        return None if tree == decision["finish"] else tree

    def _check_finish(self, decision: dict[str, Any]) -> None:
        """Put defaults into a result and check it; one with references can wait for its values.

        Raises:
            DecisionError: It is not a result of this orchestrator.
        """
        output = self.orchestrator.output
        tree = self.finish_tree(decision)
        if tree is not None:
            problems = misplaced_in_finish(tree)
            if problems:
                raise DecisionError(problems[:MAX_PROBLEMS])
            if any(leaves(tree)):
                return
        value = output.with_defaults(decision["finish"] if tree is None else fill(tree, _NOTHING))
        problems = output.problems(value)
        if problems:
            told = [rejections.finish_problem(problem) for problem in problems]
            raise DecisionError([*self._without_steps(value, "finish"), *told])
        if tree is None:
            decision["finish"] = value

    def _explain(self, decision: dict[str, Any]) -> list[str]:
        """Say what is wrong, worker by worker: the validator's own words on a union of forty
        workers would name all forty."""
        problems = []
        unknown = sorted(set(decision) - {"assessment", "tasks", "finish"})
        if unknown:
            problems.append(rejections.unknown_decision_key(_clip(unknown[0])))
        if "assessment" in decision and not isinstance(decision["assessment"], str):
            problems.append(rejections.ASSESSMENT_NOT_TEXT)
        has_tasks, has_finish = "tasks" in decision, "finish" in decision
        if has_tasks and has_finish:
            problems.append(rejections.BOTH_FORMS)
        elif has_finish:
            finish = decision["finish"]
            wrong = self._finish_problems(finish)
            problems += self._without_steps(finish, "finish") if wrong else []
            problems += [rejections.finish_problem(p) for p in wrong]
        elif not has_tasks:
            problems.append(rejections.NEITHER_FORM)
        else:
            problems += self._explain_tasks(decision["tasks"])
        # The schema is the authority: should the words above miss what it found, quote it.
        return problems[:MAX_PROBLEMS] or self._contract.problems(decision)

    def _without_steps(self, value: Any, where: str, *, whole: bool = True) -> list[str]:
        """What a value refers to in a form that only decisions with steps have.

        Args:
            where: What messages call the place.
            whole: Whether that holds for a whole output too, as in a result.
        """
        if self.steps or is_deeper(value, MAX_DEPTH):
            return []
        forms = [
            step_rejections.written(form_of(leaf), getattr(leaf, "view", "outputs"))
            for _, leaf in leaves(read_value(value))
            if whole or not isinstance(leaf, FromStep) or leaf.view != "outputs"
        ]
        return [step_rejections.needs_max_items(where, forms[0])] if forms else []

    def _finish_problems(self, finish: Any) -> list[str]:
        if self.steps:
            schema = finish_schema(self.orchestrator)
            return Contract.of_schema(schema).problems(finish)
        output = self.orchestrator.output
        return output.problems(output.with_defaults(finish))

    def _explain_tasks(self, tasks: Any) -> list[str]:
        if not isinstance(tasks, list):
            return [rejections.tasks_not_list(_kind(tasks))]
        if not tasks:
            return [rejections.NO_TASKS]
        limit = self.orchestrator.policy.max_per_round
        if len(tasks) > limit:
            return [rejections.too_many_tasks(len(tasks), limit)]
        problems: list[str] = []
        for index, task in enumerate(tasks):
            where = rejections.task_at(index)
            if not isinstance(task, dict):
                problems.append(rejections.not_an_object(where, _kind(task)))
                continue
            label = task.get("id") if isinstance(task.get("id"), str) else None
            if label:
                where = rejections.task_named(_clip(label))
            for key in ("id", "worker", "input"):
                if key not in task:
                    problems.append(rejections.key_missing(where, key))
            if self.steps:
                problems += explain_entry(task, where)
            else:
                problems += _unknown_keys(task, where)
            if "id" in task and not is_id(task["id"]):
                problems.append(rejections.bad_id(where))
            name = task.get("worker")
            if name is None:
                continue
            if not isinstance(name, str) or name not in self.workers:
                close = closest(str(name), self.workers)
                problems.append(
                    rejections.unknown_worker(where, _clip(str(name)), close, self.workers)
                )
                continue
            if "input" in task:
                if not isinstance(task["input"], dict):
                    problems.append(rejections.input_not_object(where, _kind(task["input"])))
                    continue
                found = self.tolerant_input(name).problems(task["input"])
                if found and not set(task) & set(PROPERTIES):
                    problems += self._without_steps(task["input"], where, whole=False)
                problems += [rejections.input_problem(where, name, p) for p in found]
            if len(problems) >= MAX_PROBLEMS:
                break
        return problems


def _unknown_keys(task: Mapping[str, Any], where: str) -> list[str]:
    """What is wrong with the keys of a plain task, where no entry may be a step."""
    extra = set(task) - set(BASE_KEYS)
    of_step = next((key for key in ("each", "reduce", *PROPERTIES) if key in extra), None)
    if of_step is not None:
        return [step_rejections.needs_max_items(where, f"`{of_step}`")]
    return [rejections.key_unknown(where, _clip(min(extra)))] if extra else []


def contract_schema(
    orchestrator: Orchestrator, workers: Mapping[str, Worker | Orchestrator]
) -> dict[str, Any]:
    """The contract schema of an orchestrator's decisions (JSON Schema 2020-12).

    Workers are told apart by `if worker == ... then ...`, so that a validator goes straight to
    the one branch that applies instead of trying all of them.
    """
    defs: dict[str, Any] = {}
    branches = []
    reference = _reference(orchestrator)
    steps = orchestrator.policy.max_items is not None
    for name, worker in workers.items():
        given = tolerant(worker.inputs.schema, reference)
        defs[f"input.{name}"] = _embedded(given, f"input.{name}")
        branches.append(
            {
                "if": {"properties": {"worker": {"const": name}}},
                "then": {"properties": {"input": {"$ref": f"#/$defs/input.{name}"}}},
            }
        )
    output = finish_schema(orchestrator) if steps else orchestrator.output.schema
    defs["output"] = _embedded(output, "output")
    task = {
        "type": "object",
        "properties": {
            "worker": {"enum": list(workers)},
            "id": {"type": "string", "pattern": r"^[A-Za-z0-9_.\-]{1,64}$"},
            "input": {"type": "object"},
        },
        "required": ["worker", "id", "input"],
        "additionalProperties": False,
        "allOf": branches,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "assessment": {"type": "string"},
            "tasks": {
                "type": "array",
                "minItems": 1,
                "maxItems": orchestrator.policy.max_per_round,
                "items": {"$ref": "#/$defs/task"},
            },
            "finish": {"$ref": "#/$defs/output"},
        },
        "additionalProperties": False,
        "oneOf": [{"required": ["tasks"]}, {"required": ["finish"]}],
        "$defs": {**(entry_definitions(task) if steps else {"task": task}), **defs},
    }


def finish_schema(orchestrator: Orchestrator) -> dict[str, Any]:
    """The schema of a result in which references may replace values, and the whole."""
    return tolerant(orchestrator.output.schema, _reference(orchestrator), root=True)


def _reference(orchestrator: Orchestrator) -> dict[str, Any]:
    """What may replace a value in an input."""
    return REFERENCE if orchestrator.policy.max_items is None else dict(REFERENCES)


def _embedded(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A self-contained schema as a resource of its own, so that its `#/$defs/...` stay its own."""
    inner = {key: value for key, value in schema.items() if key not in ("$schema", "$id")}
    return {"$id": f"orch:{name}", **inner}


def read_json(text: str) -> Any:
    """Read the JSON in a model's answer; thoughts, prose and fences around it are passed over.

    Raises:
        DecisionError: There is none; the message says where it breaks.
    """
    if not text.strip():
        raise DecisionError([rejections.EMPTY])
    if len(text) > MAX_DECISION_BYTES:
        raise DecisionError([rejections.answer_too_long(MAX_DECISION_BYTES)])
    try:
        return find_json(text)
    except NotJSON as error:
        said = rejections.BROKEN_OFF if error.broken_off else rejections.not_json(error)
        raise DecisionError([said], broken_off=error.broken_off) from None


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    """A model may write null for a key that is absent; the contract knows no null."""
    return {
        key: item
        for key, item in value.items()
        if not (item is None and key in ("assessment", "tasks", "finish"))
    }


def is_id(value: Any) -> bool:
    """Whether a value can be a task's id."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= 64
        and all(c.isascii() and (c.isalnum() or c in "_-.") for c in value)
    )


def _clip(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list):
        return "a list"
    return "an object"
