"""Answers to open gates: found, checked, and turned into events.

An answer that the machine would have to request again is refused here, where the person can still
get the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.drive.guard import holds
from engine.errors import UsageError
from engine.events import Answer, GateAnswered
from engine.redaction import Redactor
from engine.runtime import forks
from engine.runtime.changed import is_of_plan
from engine.runtime.plan_review import bare_plan, edit_problems
from engine.runtime.state import Gate, RunState, Step, Task
from engine.runtime.task_paths import path_in_loop
from engine.sema.plans.selection import number_text
from engine.sema.suggest import closest
from engine.sema.types.contract import Contract
from engine.sizes import size_of, size_words

__all__ = ["Reply", "addressed", "answers", "check_answer", "find_gate", "meant", "refuse_secrets"]

#: What a person can answer.
_ANSWERS = ("approve", "reject", "not_done")


@dataclass
class Reply:
    """What a person says to an open gate.

    Attributes:
        answer: `approve`, `reject`, or `not_done` for a `once` task of unknown outcome.
        gate: The gate's key, or the id of its task or step; None where only one gate is open. The
            id of one item, such as `r[3]`, means only that item: the others stay open.
        note: Words for the orchestrator and the journal.
        output: What a `once` task gave, or the result to finish with; None if not given.
        edit: The task's input, or the plan, changed by the person; None if it stays.
        by: Who answers.
        items: The items that it is about, by number or label, where the gate lists items of a
            step: `["0", "3"]`. None: all of them.
        keep_others: Items that are not named stay open. Otherwise an approval refuses them.
    """

    answer: Answer
    gate: str | None = None
    note: str = ""
    output: Any = None
    edit: dict[str, Any] | None = None
    by: str = ""
    items: list[str] | None = None
    keep_others: bool = False


def answers(state: RunState, reply: Reply | None, wall_ms: int) -> list[GateAnswered]:
    """The events of a reply and of the gates that timed out."""
    late = [
        gate
        for gate in state.gates.values()
        if gate.timeout_ms is not None
        and gate.opened_ms is not None
        and gate.opened_ms + gate.timeout_ms <= wall_ms
    ]
    events = [
        GateAnswered(at=state.now, key=gate.key, answer="timeout", wall_ms=wall_ms) for gate in late
    ]
    if reply is None:
        return events
    gate = find_gate(state, reply.gate)
    if gate in late:
        raise UsageError(f"gate `{gate.key}` was not answered in time; use `orch resume`")
    if is_of_plan(gate):
        reply = replace(reply, edit=bare_plan(reply.edit))
    reply = addressed(gate, reply.gate, replace(reply, items=_numbers(gate, reply.items)))
    _check(state, gate, reply)
    events.append(
        GateAnswered(
            at=state.now,
            key=gate.key,
            answer=reply.answer,
            note=reply.note,
            output=reply.output,
            edit=reply.edit,
            by=reply.by,
            wall_ms=wall_ms,
            items=reply.items,
            keep_others=reply.keep_others,
        )
    )
    return events


def refuse_secrets(said: Reply | str | Mapping[str, str], redactor: Redactor) -> None:
    """Refuse words of a person, or an answer, with a secret in them: all of it is written down.

    Args:
        said: An answer to a gate, the reason for a cancel, or other words by what they are.

    Raises:
        UsageError: With the part that holds one.
    """
    parts: Mapping[str, Any] = {"the reason": said} if isinstance(said, str) else {}
    if isinstance(said, Mapping):
        parts = said
    elif isinstance(said, Reply):
        parts = {
            "the note": said.note,
            "the name of who answers": said.by,
            "the output": said.output,
            "the edited input or plan": said.edit,
        }
    for part, value in parts.items():
        found = redactor.found(value)
        if found is not None:
            raise UsageError(f"{part} {holds(found)}")


def find_gate(state: RunState, name: str | None) -> Gate:
    """The open gate of a name (its key, or what it is about), or the only one.

    Raises:
        UsageError: None is open, none has that name, or several are open and none is named.
    """
    gates = list(state.gates.values())
    if name is not None:
        # An id inside a plan is short for its path, unless another gate has exactly that path.
        named = [gate for gate in gates if gate.key == name or name in _subjects(gate)]
        gates = named or [gate for gate in gates if name in _short_subjects(gate)]
    if len(gates) == 1:
        return gates[0]
    known = ", ".join(f"`{gate.key}`" for gate in state.gates.values())
    if not known:
        raise UsageError(f"run {state.run} has no open gate")
    if not gates:
        raise UsageError(f"there is no open gate `{name}` (open: {known})")
    raise UsageError(f"several gates are open; name one of: {known}")


def addressed(gate: Gate, name: str | None, reply: Reply) -> Reply:
    """A reply to a gate by its key, about one item only if the gate was named by that item.

    Args:
        gate: What `find_gate` gave for the name.
        name: How the gate was named.
        reply: The reply, whose `gate` does not count.

    Raises:
        UsageError: The name is an item's, and the reply lists items besides.
    """
    item = _item_named(gate, name)
    if item is None:
        return replace(reply, gate=gate.key)
    if reply.items is not None:
        raise UsageError(f"`{name}` is one item: name the step to list items of it")
    return replace(reply, gate=gate.key, items=[item], keep_others=True)


def meant(gate: Gate, items: list[str] | None) -> list[Task] | None:
    """The items that a reply is about; None: all that the gate is about."""
    if items is None:
        return None
    named = set(items)
    return [task for task in gate.tasks if number_text(task.number) in named]


def _item_named(gate: Gate, name: str | None) -> str | None:
    """The number of the item that a name means; None if it means the whole gate."""
    if gate.step is None or name is None or name == gate.key:
        return None
    if name in (path_in_loop(gate.step), gate.step.id):
        return None
    for task in gate.tasks:
        if name in (path_in_loop(task), task.id):
            return number_text(task.number)
    return None


def _subjects(gate: Gate) -> set[str]:
    """The paths of what a gate is about: a task, or a step and its items."""
    return {path_in_loop(entry) for entry in _about(gate)}


def _short_subjects(gate: Gate) -> set[str]:
    """The same without the plans that it is in."""
    return {entry.id for entry in _about(gate)}


def _about(gate: Gate) -> list[Task | Step]:
    return [*gate.tasks, *(entry for entry in (gate.task, gate.step) if entry is not None)]


def check_answer(state: RunState, answer: GateAnswered) -> None:
    """Refuse an answer to a gate that is not open (any more), or that does not fit it.

    Raises:
        UsageError: With the reason.
    """
    gate = state.gates.get(answer.key)
    if gate is None:
        raise UsageError(f"gate `{answer.key}` is not open")
    _check(state, gate, answer)


def _check(state: RunState, gate: Gate, reply: Reply | GateAnswered) -> None:
    """Refuse what the machine would have to ask again for.

    Raises:
        UsageError: With the reason.
    """
    if reply.answer not in _ANSWERS:
        # A gate's `timeout` is the engine's to say, and nothing else is an answer.
        raise UsageError(f"`{reply.answer}` is not an answer: `approve`, `reject` or `not_done`")
    if reply.answer == "not_done" and gate.kind != "outcome":
        raise UsageError(f"gate `{gate.key}` asks for an approval, not for an outcome")
    _check_items(gate, reply.items)
    if reply.keep_others and reply.items is None:
        raise UsageError("`keep_others` needs `items`: which items the answer is about")
    if gate.kind == "outcome" and reply.answer == "approve":
        if reply.output is None and forks.offers(gate, meant(gate, reply.items)):
            return
        acting = (gate.task or gate.tasks[0]).worker
        _fits(acting.output, reply.output, f"the output of `{acting.name}`", acting.max_bytes)
    elif reply.output is not None:
        if gate.kind != "escalation":
            raise UsageError(f"gate `{gate.key}` takes no output")
        orchestrator = gate.loop.orchestrator
        _fits(orchestrator.output, reply.output, "the result", orchestrator.max_bytes)
    if reply.edit is not None and gate.kind == "approval" and is_of_plan(gate):
        problems = edit_problems(state, gate.loop, reply.edit)
        if problems:
            raise UsageError(f"the plan cannot run: {'; '.join(problems)}")
    elif reply.edit is not None:
        if gate.kind == "outcome" or gate.task is None or gate.task.status != "checking":
            raise UsageError(f"gate `{gate.key}` has no input to edit")
        worker = gate.task.worker
        edited = worker.inputs.with_defaults(reply.edit)
        most = gate.loop.orchestrator.policy.max_input_bytes
        _fits(worker.inputs, edited, f"`{worker.name}`'s input", most)


def _numbers(gate: Gate, items: list[str] | None) -> list[str] | None:
    """The numbers of items that may be named by their labels or ids.

    Raises:
        UsageError: Several have that label.
    """
    if items is None:
        return None
    by_name: dict[str, list[str]] = {}
    for task in gate.tasks:
        for name in {task.label, task.id} - {""}:
            by_name.setdefault(name, []).append(number_text(task.number))
    known = {number_text(task.number) for task in gate.tasks}
    found = []
    for item in items:
        named = [item] if item in known else by_name.get(item, [item])
        if len(named) > 1:
            raise UsageError(f"several items have the label `{item}`: {', '.join(named[:20])}")
        found += named
    return found


def _check_items(gate: Gate, items: list[str] | None) -> None:
    if items is None:
        return
    if not gate.tasks:
        raise UsageError(f"gate `{gate.key}` does not list items")
    known = {number_text(task.number) for task in gate.tasks}
    for item in items:
        if item not in known:
            near = closest(item, [task.label for task in gate.tasks if task.label])
            hint = f"; did you mean `{near}`?" if near else ""
            raise UsageError(f"gate `{gate.key}` has no item {item}{hint}")


def _fits(contract: Contract, value: Any, what: str, most: int) -> None:
    if size_of(value, most) > most:
        raise UsageError(f"{what} does not fit: it takes more than {size_words(most)}")
    problems = contract.problems(value)
    if problems:
        raise UsageError(f"{what} does not fit: {'; '.join(problems)}")
