"""Forks: what a run keeps from its parent, and what it must not repeat.

Tasks that the parent had started before the fork keep their idempotency keys. So a `write` in
progress is finished and not done twice; later tasks get keys of the fork. A `write` or `once` task
that the parent started *after* that point has already had an effect, so it is held. If the fork
reaches the same task (the same key, or the same worker with the same input), a person decides:
reuse its result, do it again, or neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import msgspec

from engine.events import HeldTask, RunForked
from engine.runtime import ending, gates
from engine.runtime.commands import StartCall
from engine.runtime.ports import WorkerRequest
from engine.runtime.requests import worker_request
from engine.runtime.state import Check, Gate, RunState, Task, Todo
from engine.runtime.steps import asking
from engine.sema.model import Worker
from engine.sema.plans.steps import EachStep

__all__ = ["ask", "became", "begin", "held", "input_hash", "offers"]

_canonical = msgspec.json.Encoder(order="sorted").encode

_BECAME = {
    "done": "it is done",
    "failed": "it failed there",
    "unknown": "it is not known whether it was done",
}


def input_hash(value: Any) -> str:
    """A task's input as `HeldTask.input` has it."""
    return blake2b(_canonical(value), digest_size=20).hexdigest()


def begin(state: RunState, event: RunForked) -> None:
    """Become a run of its own."""
    parent = state.run
    if state.root is not None:
        for loop in ending.subtree(state.root):
            for task in loop.every_task():
                if task.attempts:
                    state.owners.setdefault(task.key, parent)
    for call in state.calls.values():
        if call.begun and isinstance(call.subject, Check):
            state.owners.setdefault(call.key, parent)
    state.run = event.run
    state.parent = event.parent
    for call in state.calls.values():
        # Its key is in the request, which was made under the parent's name.
        if call.command is not None and not call.begun and isinstance(call.request, WorkerRequest):
            isolated = call.request.isolated
            made = worker_request(state, call)
            call.request = msgspec.structs.replace(made, isolated=isolated)
            delay_ms = call.command.delay_ms
            call.command = StartCall(call.key, call.attempt, call.request, delay_ms)
    for gate in state.gates.values():
        gate.opened_ms = None  # its time begins again: it could not be answered here
    for task_held in event.held:
        state.held[task_held.key] = task_held
        state.held_inputs.setdefault(task_held.input, []).append(task_held)


def held(state: RunState, task: Task, workers: Iterable[str]) -> HeldTask | None:
    """What the parent did that starting this task might repeat, or None.

    Args:
        state: The run.
        task: A task that is about to start for the first time.
        workers: Its worker and those that may replace it.
    """
    if task.key in state.released:
        return None
    names = [name for name in workers if _changes(state.program.workers.get(name))]
    if not names:
        return None
    if task.key in state.held:
        return state.held[task.key]
    for other in state.held_inputs.get(input_hash(task.resolved), ()):
        if any(name in other.workers for name in names):
            return other
    return None


def _changes(worker: Worker | None) -> bool:
    return worker is not None and worker.changes_something


def offers(gate: Gate, tasks: Iterable[Task] | None = None) -> bool:
    """Whether an approval may reuse the outputs of the parent's tasks: they did exactly the same.

    Args:
        gate: An open gate.
        tasks: Those of its tasks that are approved; None: all.
    """
    if not gate.helds:
        return False
    every = gate.tasks if gate.task is None else [gate.task]
    return all(
        _may_reuse(task, gate.helds[task.key]) for task in (every if tasks is None else tasks)
    )


def _may_reuse(task: Task, known: HeldTask) -> bool:
    if known.outcome != "done" or known.input != input_hash(task.resolved):
        return False
    return task.worker.output.is_valid(known.output)


def became(gate: Gate, task: Task) -> dict[str, Any] | None:
    """What a fork's parent did with an item that a gate lists, as data; None outside a fork.

    `task` and `event` are the parent's, `outcome` is `done`, `failed` or `unknown`, and `offers` is
    whether an approval may take its output.
    """
    known = gate.helds.get(task.key)
    if known is None:
        return None
    return {
        "task": _name(known),
        "event": known.seq,
        "outcome": known.outcome,
        "offers": _may_reuse(task, known),
    }


def ask(state: RunState, task: Task, known: HeldTask) -> None:
    """Ask a person what is to become of a task that is held; of items, together."""
    if task.step is not None:
        message = (
            f"run {state.parent} has started these items of `{task.step.id}` "
            f"(`{task.worker.name}`) already. Take what they gave, or start them again?"
        )
        gate = asking.about_outcome(state, task, asking.IN_PARENT, message)
        gate.helds[task.key] = known
        if isinstance(task.step.spec, EachStep):
            state.todo(Todo.VALUES_CAME, (task.step, 0, []))  # none: but more items may be made
        return
    gate = Gate(
        f"{task.key} / outcome",
        "outcome",
        task.loop,
        f"run {state.parent} has started `{task.worker.name}` already, as task "
        f"`{_name(known)}` (event {known.seq}): {_BECAME[known.outcome]}. ",
        task=task,
    )
    gate.helds[task.key] = known
    gate.message += "Take what it gave, or start it again?" if offers(gate) else "Start it again?"
    gates.ask(state, gate)


def _name(known: HeldTask) -> str:
    return known.key.rpartition(" ")[2]
