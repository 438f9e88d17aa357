"""How an orchestrator ends: finished, failed, exhausted, aborted, cancelled, or handed to a person.

Whenever a bound is hit the loop ends as `exhausted` with the bound's name and the best partial
result; a bound is never a silent success.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.events import RunStatus
from engine.runtime import attempts, gates, sizes, views
from engine.runtime.causes import Cause
from engine.runtime.commands import EndRun
from engine.runtime.moves import enter_phase
from engine.runtime.state import Gate, HookRun, Loop, RunState, Step, Task, Todo
from engine.sema.expressions.template import EvaluationError
from engine.sema.plans.steps import EachStep
from engine.sizes import size_words

__all__ = [
    "end",
    "escalate",
    "finish",
    "finish_escalated",
    "full",
    "given",
    "partial",
    "settle",
    "steps_inside_first",
    "subtree",
    "timer_name",
]


def finish(state: RunState, loop: Loop, output: Any) -> None:
    """The result is accepted."""
    loop.output = output
    end(state, loop, "finished")


def end(
    state: RunState,
    loop: Loop,
    status: RunStatus,
    reason: str = "",
    bound: str | None = None,
    *,
    cause: Cause | None = None,
) -> None:
    """End a loop and everything under it; at the root, the run.

    What may happen only once and is under way is waited for first: its outcome is worth more
    than a quick end.
    """
    if loop.over:
        return
    loop.held = (status, reason, bound)
    loop.cause = cause
    below = subtree(loop)
    for other in below:
        if not other.over:
            enter_phase(other, "ending")
            state.timers.pop(timer_name(other), None)
            for step in other.every_step():
                state.timers.pop(step.timer, None)
    attempts.cancel(state, below)
    gates.drop(state, below, keep_outcomes=True)
    settle(state, loop)


def full(state: RunState, loop: Loop) -> None:
    """End a loop that keeps more than it may."""
    most = size_words(loop.orchestrator.policy.max_kept_bytes)
    reason = f"max_kept_bytes = {most} is reached: what came back takes more in all"
    cause = Cause(loop.orchestrator, "policy.max_kept_bytes")
    end(state, loop, "exhausted", reason, "max_kept_bytes", cause=cause)


def settle(state: RunState, loop: Loop) -> None:
    """End the loops that were held back, from the outermost in, if nothing holds them now."""
    for other in reversed(list(loop.lineage())):
        if other.held is not None and other.phase == "ending" and not _unsettled(state, other):
            _end(state, other, *other.held)
            return


def _unsettled(state: RunState, loop: Loop) -> bool:
    members = set(map(id, subtree(loop)))
    return any(id(call.loop) in members for call in state.calls.values()) or any(
        id(gate.loop) in members for gate in state.gates.values()
    )


def _end(state: RunState, loop: Loop, status: RunStatus, reason: str, bound: str | None) -> None:
    for other in subtree(loop):
        if other.phase == "ending":
            enter_phase(other, "over")
            other.status = status if other is loop else "cancelled"
            other.reason = reason if other is not loop or reason else other.reason
        for note in other.notes:
            state.warnings.append(f"no decision was asked for after the note: {note.text}")
    loop.bound = bound
    if status != "finished" and loop.best is None:
        loop.best = partial(loop)
    if loop.task is not None:
        state.todo(Todo.LOOP_ENDED, loop)
        return
    state.status = status
    state.reason = reason
    state.bound = bound
    state.commands.append(EndRun(status, reason, bound))


def timer_name(loop: Loop) -> str:
    """The name of the timer of a loop's time budget."""
    return f"{loop.path}time"


def subtree(loop: Loop) -> list[Loop]:
    """A loop and the loops under it, outermost first."""
    found = [loop]
    for other in found:
        found.extend(task.child for task in other.every_task() if task.child is not None)
    return found


def partial(loop: Loop) -> Any:
    """The best there is: a result that was not let through, else an output of the result's type,
    else the last output of each worker by name; None if nothing has come back.

    A step gives what all of its items gave, also inside a plan. Its single items are not results.
    """
    if loop.best is not None:
        return loop.best
    # An empty schema (`json`) takes anything: then a lone output would say too little.
    if loop.orchestrator.output.schema.get("type"):
        for entry in _latest(loop):
            value = given(entry)
            if value is not None and loop.orchestrator.output.is_valid(value):
                return value
    outputs = loop.last_outputs()
    for step in steps_inside_first(loop):
        value = given(step)
        if value is not None and step.worker is not None and step.worker.name in outputs:
            outputs[step.worker.name] = value
    return outputs or None


def steps_inside_first(loop: Loop) -> Iterator[Step]:
    """Its steps, those of its own decisions last: these count where both call a worker."""
    for frame in loop.frames:
        yield from frame.steps.values()
    yield from loop.steps.values()


def _latest(loop: Loop) -> Iterator[Task | Step]:
    """What its decisions asked for, the latest first."""
    if not loop.steps:
        yield from reversed(loop.tasks.values())
        return
    yield from loop.early.values()
    for r in reversed(loop.rounds):
        yield from reversed(r.entries)


def given(entry: Task | Step) -> Any:
    """What a task or step has given so far; None if nothing.

    Of a step that has not ended or has failed, that is what its items have given.
    """
    if entry.status == "done":
        return entry.output
    if isinstance(entry, Task):
        return None
    if entry.partial is not None or not isinstance(entry.spec, EachStep):
        return entry.partial
    return [task.output for _, task in sorted(entry.items.items()) if task.status == "done"] or None


def escalate(state: RunState, loop: Loop, reason: str, run: HookRun | None = None) -> None:
    """Hand the decision over: to `on_escalate` if there is one, else to a person.

    Args:
        run: The hook that escalates, or None for a stall.
    """
    expression = loop.orchestrator.on_escalate
    if expression is None:
        where = run.key if run is not None else f"{loop.path}round {loop.round}"
        task = None if run is None else run.task
        gate = Gate(f"{where} / escalation", "escalation", loop, reason, task=task, resume=run)
        gates.ask(state, gate)
        return
    scope = {
        **loop.input,
        "param": state.params,
        "run": {
            "reason": reason,
            "rounds": loop.round,
            "status": "escalated",
            "goal": loop.goal,
        },
        "outputs": loop.last_outputs(),
        "tasks": {task.id: views.task_record(task) for task in loop.tasks.values()},
    }
    try:
        output = expression.evaluate(scope)
    except EvaluationError as error:
        cause = Cause(loop.orchestrator, "on_escalate.output", error.span)
        said = f"{reason}; on_escalate cannot be evaluated: {error}"
        end(state, loop, "aborted", said, cause=cause)
        return
    problem = finish_escalated(state, loop, output, reason)
    if problem:
        cause = Cause(loop.orchestrator, "on_escalate.output")
        end(state, loop, "aborted", f"{reason}; on_escalate: {problem}", cause=cause)


def finish_escalated(
    state: RunState, loop: Loop, output: Any, reason: str, *, by_person: bool = False
) -> str:
    """Finish with a result that did not come from the orchestrator.

    Args:
        by_person: Whether a person has entered it.

    Returns:
        Why it does not fit; "" if it does, and the loop has finished with it.
    """
    contract = loop.orchestrator.output
    output = contract.with_defaults(output)
    problem = sizes.unfit(state, output, contract, loop.orchestrator.max_bytes)
    if not problem:
        loop.escalated = True
        loop.by_person = by_person
        loop.reason = reason
        finish(state, loop, output)
    return problem
