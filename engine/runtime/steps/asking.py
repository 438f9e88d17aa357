"""One question to a person for all items of an `each`.

Where a `human` verifier looks at a worker before it starts, a step of that worker makes all of its
items first: other verifiers look at each of them, and then one gate lists those that are left. The
answer approves all, some or none. An item whose outcome is not known is asked about alike: together
with the others of its step.
"""

from __future__ import annotations

from engine.events import GateAnswered
from engine.runtime import gates
from engine.runtime.state import Check, Gate, HookRun, RunState, Step, Task, Todo
from engine.sema.plans.selection import number_text
from engine.sema.plans.steps import EachStep

#: The end of the key of a gate about what a fork's parent did.
IN_PARENT = "outcome in the parent"

__all__ = ["about_outcome", "chosen", "gathers", "held", "looked", "open_gates", "outcome", "park"]


def gathers(state: RunState, step: Step) -> bool:
    """Whether a step waits for all of its items before a person is asked."""
    if not _makes_all(step):
        return False
    assert step.worker is not None
    return any(
        state.program.verifiers[name].facts.done_by == "person"
        for hook in step.loop.hooks("before_dispatch", step.worker.name)
        for name in hook.every_verifier
    )


def _makes_all(step: Step) -> bool:
    """Whether the plan lets all items of a step be open at once."""
    spec = step.spec
    return isinstance(spec, EachStep) and not spec.in_order and spec.parallel is None


def park(state: RunState, step: Step, check: Check, message: str) -> None:
    """Let a check wait until all items of its step have been looked at by others."""
    step.asking.append((check, message))
    check.hook_run.parked += 1
    looked(state, step, check.hook_run)


def looked(state: RunState, step: Step, run: HookRun) -> None:
    """Count whether nothing but a person's word is waited for in a passage of an item.

    Each parked check and each verdict ends here, so it looks at one passage only.
    """
    ready = 0 < run.parked == run.waits
    if ready != run.ready:
        run.ready = ready
        step.ready += 1 if ready else -1
    if step.asking:
        state.todo(Todo.STEP_ASKS, step)


def open_gates(state: RunState, step: Step) -> list[Check]:
    """Open the gates of a step once nothing but a person's word is waited for.

    Returns:
        The checks that no person is asked about, because another verifier has refused the item.
    """
    if not step.asking or step.pending or not all(flow.over for flow in step.sources):
        return []
    if step.ready < step.open:
        return []
    by_verifier: dict[str, list[tuple[Check, str]]] = {}
    refused: list[Check] = []
    for check, message in step.asking:
        check.hook_run.parked, check.hook_run.ready = 0, False
        if check.hook_run.failed:
            refused.append(check)
        else:
            by_verifier.setdefault(check.verifier.name, []).append((check, message))
    step.asking, step.ready = [], 0
    if not by_verifier:
        return refused
    step.asked += 1
    number = f" {step.asked}" if step.asked > 1 else ""
    for name, asked in by_verifier.items():
        _ask(state, step, f"{step.path} / before{number} / verify {name}", asked)
    return refused


def _ask(state: RunState, step: Step, key: str, asked: list[tuple[Check, str]]) -> None:
    first, message = asked[0]
    verifier = first.verifier
    assert step.worker is not None
    if any(other != message for _, other in asked):
        message = verifier.doc or f"Approve these items of `{step.id}` (`{step.worker.name}`)?"
    gate = Gate(
        key,
        "approval",
        step.loop,
        message,
        check=first,
        options=tuple(verifier.settings.get("options") or ()),
        timeout_ms=verifier.timeout_ms,
    )
    gate.step = step
    gate.checks = [check for check, _ in asked]
    gate.questions = [question for _, question in asked]
    gate.tasks = [task for check in gate.checks if (task := check.hook_run.task) is not None]
    gates.ask(state, gate)


def outcome(state: RunState, task: Task, message: str) -> None:
    """Ask a person about an item of unknown outcome, together with those already asked about."""
    about_outcome(state, task, "outcome", message)


def held(state: RunState, step: Step) -> int:
    """How many items of a step wait for a word on what a fork's parent did with them.

    More items are made meanwhile, so that a person is asked about all of them at once; not where
    the plan bounds how many are open.
    """
    if not state.held or not _makes_all(step):
        return 0
    gate = state.gates.get(f"{step.path} / {IN_PARENT}")
    return 0 if gate is None else len(gate.tasks)


def about_outcome(state: RunState, task: Task, what: str, message: str) -> Gate:
    """The gate of a step that asks about outcomes, opened or joined by an item.

    Args:
        what: The end of its key: which outcomes it asks about.
        message: The question, which is the same for each item.
    """
    step = task.step
    assert step is not None
    key = f"{step.path} / {what}"
    gate = state.gates.get(key)
    if gate is None:
        gate = Gate(key, "outcome", step.loop, message)
        gate.step = step
        gates.ask(state, gate)
    gate.tasks.append(task)
    return gate


def chosen(gate: Gate, event: GateAnswered) -> tuple[list[int], list[int]]:
    """The places of the items that an answer names, and of the others, in the gate's order."""
    if event.items is None:
        return list(range(len(gate.tasks))), []
    wanted = set(event.items)
    named = [place for place, task in enumerate(gate.tasks) if number_text(task.number) in wanted]
    taken = set(named)
    others = [place for place in range(len(gate.tasks)) if place not in taken]
    return named, others
