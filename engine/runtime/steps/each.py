"""An `each`: one task for each value of a selection, made lazily, in any number.

The step holds its values and makes tasks only as far ahead as slots can use them, so a wide step
costs what its running tasks cost. An item is a task like any other: hooks, budgets, retries and
idempotency keys are its own. The step ends when all sources are over and all items have ended.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from engine.errors import Failure
from engine.runtime import dispatch
from engine.runtime.moves import move_step
from engine.runtime.state import RunState, Step, Task, Todo
from engine.runtime.steps import asking, breaker, items, limits, selecting
from engine.runtime.steps.filling import (
    Unmet,
    dropped_entry,
    entry_in,
    fill_input,
    scope_of,
)
from engine.sema.expressions.template import EvaluationError
from engine.sema.model import Orchestrator, Worker
from engine.sema.plans.selection import MAX_SOURCE, Entry, Number, index_of
from engine.sema.plans.steps import EachStep
from engine.sema.plans.values import NothingThere, Scope, fill

__all__ = ["arrive", "begin", "end", "item_ended", "let_in", "make", "source_over"]

#: The longest label, in characters.
_MAX_LABEL = 80


def begin(state: RunState, step: Step) -> None:
    """Open the sources of a step whose turn it is."""
    entries, failure, skipped = selecting.opened(state, step)
    if skipped:
        end(state, step, "skipped")
        return
    step.started_at = state.now
    step.gathers = asking.gathers(state, step)
    step.most_open = 0
    move_step(step, "running")
    if failure is not None:
        stop(state, step, failure)
        return
    if all(flow.over for flow in step.sources):
        entries, failure = selecting.whole(state, step, entries)
    if failure is None:
        failure = _take_in(step, entries)
    if failure is not None:
        _drop(state, step, entries, failure)
        stop(state, step, failure)
        return
    make(state, step)


def _take_in(step: Step, entries: list[Entry]) -> Failure | None:
    """Count values in the bounds and let them wait for their tasks."""
    if not entries:
        return None
    assert step.worker is not None
    failure = limits.take(step.loop, step.frame, step.worker.name, len(entries))
    if failure is None:
        step.allowed += len(entries)
        step.pending.extend(entries)
    return failure


def arrive(state: RunState, step: Step, place: int, came: list[Entry]) -> None:
    """Values have come from a source that streams."""
    if step.status != "running":
        return
    entries: list[Entry] = []
    failure: Failure | None = None
    for entry in came:
        some, failure = selecting.arrived(state, step, place, entry)
        entries += some
        if failure is not None:
            break
    if step.stopped is not None:
        _drop(state, step, entries, step.stopped)
        return
    if failure is None:
        failure = _take_in(step, entries)
    if failure is not None:
        _drop(state, step, entries, failure)
        stop(state, step, failure)
    else:
        make(state, step)


def source_over(state: RunState, step: Step, place: int) -> None:
    """A source that streams has ended."""
    if step.status != "running":
        return
    flow = step.sources[place]
    flow.over = True
    failure = selecting.failure_of(step, place)
    if failure is not None and step.stopped is None:
        stop(state, step, failure)
    else:
        make(state, step)


def stop(state: RunState, step: Step, failure: Failure) -> None:
    """Make no more tasks; what runs is finished, and then the step has failed."""
    step.stopped = failure
    _drop_pending(state, step, failure)
    make(state, step)


def _drop_pending(state: RunState, step: Step, failure: Failure) -> None:
    entries = list(step.pending)
    step.pending.clear()
    _drop(state, step, entries, failure)


def _drop(state: RunState, step: Step, entries: list[Entry], failure: Failure) -> None:
    """Let values have no task, and tell those that take the failures of the step."""
    if not entries:
        return
    dropped = [(number, value, failure) for number, value in entries]
    step.dropped += dropped
    for consumer, place in step.flows:
        if selecting.view_at(consumer, place) == "failures":
            came = [dropped_entry(one) for one in dropped]
            state.todo(Todo.VALUES_CAME, (consumer, place, came))


def make(state: RunState, step: Step, *, at_most: int = MAX_SOURCE) -> None:
    """Make as many tasks as slots can use; end the step if nothing is left to be done.

    Args:
        at_most: How many tasks are made now.
    """
    spec, worker, loop = step.spec, step.worker, step.loop
    assert isinstance(spec, EachStep)
    assert worker is not None
    if loop.over:
        return
    held = asking.held(state, step)
    canary = loop.orchestrator.policy.breaker.canary + held
    if step.probing and step.open == 0 and len(step.items) >= canary:
        step.probing = False
        breaker.probed(step)
    if loop.breakers and step.pending and step.stopped is None:
        denied = breaker.opened(loop, worker.name)
        if denied is not None:
            _drop_pending(state, step, denied)
    step.most_open = step.most_open or _most_open(step)
    most = min(step.most_open + held, step.open + at_most)
    while step.pending and step.open < most:
        if items.made_enough(state, step):
            return
        if (step.probing or len(step.items) < canary) and _waits_for_canary(step, canary):
            return
        _make_item(state, step, spec, worker, step.pending.popleft())
    if step.asking:
        state.todo(Todo.STEP_ASKS, step)
    if not step.pending and step.open == 0 and all(flow.over for flow in step.sources):
        _finish(state, step)


def _most_open(step: Step) -> int:
    """How many items may be made and not over."""
    spec, policy = step.spec, step.loop.orchestrator.policy
    assert isinstance(spec, EachStep)
    if step.gathers:
        return MAX_SOURCE
    if spec.in_order:
        return 1
    # What runs inside an orchestrator or a plan takes slots of its own, so here each holds one.
    most = policy.max_parallel * (1 if _has_inside(step) else 2)
    return most if spec.parallel is None else min(spec.parallel, most)


def _has_inside(step: Step) -> bool:
    worker = step.worker
    return isinstance(worker, Orchestrator) or getattr(worker, "plan", None) is not None


def _waits_for_canary(step: Step, canary: int) -> bool:
    """Whether the first items still run alone; marks the step while they do."""
    made = len(step.items)
    if made > canary or step.again or step.gathers:
        return False
    if made < canary:
        step.probing = True
        return False
    return step.probing


def _make_item(
    state: RunState, step: Step, spec: EachStep, worker: Worker | Orchestrator, entry: Entry
) -> None:
    number, value = entry
    task = items.added(state, step, worker, number)
    task.item = value
    scope = _item_scope(state, step, number, value)
    if spec.label is not None:
        task.label = _label(spec.label, scope)
    let_in(state, step, task, scope)


def let_in(state: RunState, step: Step, task: Task, scope: Scope) -> None:
    """Fill the input of a new task of a step and let it begin, or keep the one from before."""
    failure = fill_input(state, task, step.filler, scope)
    if step.kept and items.keep(state, task, failure):
        return
    if failure is not None:
        dispatch.end_task(state, task, failure=failure)
    else:
        state.todo(Todo.TASK_READY, task)


def _item_scope(state: RunState, step: Step, number: Number, value: Any) -> Scope:
    scope = step.scope
    if scope is None:
        scope = step.scope = scope_of(step.loop, step.frame, state.params)
    scope.item = value
    scope.index = index_of(number)
    return scope


def _label(tree: Any, scope: Scope) -> str:
    """The text of a label; "" where it cannot be made, for an item does not fail of that."""
    try:
        value = fill(tree, scope)
    except (Unmet, NothingThere, EvaluationError):
        return ""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    text = " ".join(text.split())
    return text if len(text) <= _MAX_LABEL else text[: _MAX_LABEL - 3] + "..."


def item_ended(state: RunState, task: Task) -> None:
    """An item is over: pass it on, and make the next."""
    step = task.step
    assert step is not None
    step.open -= 1
    task.counted = True
    step.tainted = step.tainted or task.tainted
    for consumer, place in step.flows:
        entry = entry_in(task, selecting.view_at(consumer, place))
        if entry is not None:
            state.todo(Todo.VALUES_CAME, (consumer, place, [entry]))
    # While a timer makes more, hundreds of items may end at once: one makes way for one.
    make(state, step, at_most=1 if state.timers and step.timer in state.timers else MAX_SOURCE)


def _finish(state: RunState, step: Step) -> None:
    """All items are over: the step is done, or has failed of too many of them."""
    if step.stopped is None and selecting.all_skipped(step):
        end(state, step, "skipped")
        return
    failure = step.stopped or _too_many_failed(step)
    if failure is not None:
        step.failure = failure
        step.partial = _outputs(step) or None
        end(state, step, "failed")
        return
    step.output = _outputs(step)
    end(state, step, "done")


def _outputs(step: Step) -> list[Any]:
    made = step.items
    return [made[number].output for number in sorted(made) if made[number].status == "done"]


def _too_many_failed(step: Step) -> Failure | None:
    """Why a step whose items have ended has failed, or None."""
    assert isinstance(step.spec, EachStep)
    # By number, not as they ended: of two that are as frequent it is always the same one.
    numbered = [(n, task.failure) for n, task in step.items.items() if task.failure is not None]
    numbered += [(number, failure) for number, _, failure in step.dropped]
    failures = [failure for _, failure in sorted(numbered, key=lambda one: one[0])]
    total = len(step.items) + len(step.dropped)
    failed = len(failures)
    if not failed:
        return None
    if failed < total and _tolerates(step.spec.tolerate, failed, total):
        return None
    mode, often = Counter(failure.mode for failure in failures).most_common(1)[0]
    first = next(failure for failure in failures if failure.mode == mode)
    what = f"{failed} of {total} items failed"
    if often < failed:
        what += f", {often} of them so"
    return first.replace(message=f"{what}: {first.message}")


def _tolerates(tolerate: int | float | None, failed: int, total: int) -> bool:
    if tolerate is None:
        return True
    if isinstance(tolerate, float) and tolerate < 1:
        # Divided, not multiplied: 29 of 100 must be as much as 0.29.
        return failed / total <= tolerate
    return failed <= tolerate


def _with_effects(state: RunState, step: Step, status: Any) -> Any:
    """Let a retried step keep what it has changed outside, though it selects it no more.

    Returns:
        How it ends with that: what has been done was not skipped.
    """
    assert step.worker is not None
    rest = {
        number: task
        for number, task in step.kept.items()
        if number not in step.items and task.status == "done" and items.changes(task.acting)
    }
    if not rest or not isinstance(step.spec, EachStep):
        return status
    if limits.take(step.loop, step.frame, step.worker.name, len(rest)) is None:
        step.allowed += len(rest)
    for number, task in rest.items():
        step.items[number] = step.kept.pop(number)
        items.register(task)
        step.loop.done.setdefault(step.worker.name, []).append(task)
        step.tainted = step.tainted or task.tainted
        for consumer, place in step.flows:
            entry = entry_in(task, selecting.view_at(consumer, place))
            if entry is not None:
                state.todo(Todo.VALUES_CAME, (consumer, place, [entry]))
    if status == "failed":
        step.partial = _outputs(step)
        return status
    if step.status == "blocked":
        move_step(step, "running")
    step.output = _outputs(step)
    return "done"


def end(state: RunState, step: Step, status: Any) -> None:
    """The step is over: tell those that wait for it, and the round or plan that it is in."""
    if step.kept:
        status = _with_effects(state, step, status)
    move_step(step, status)
    step.ended_at = state.now
    # By the agenda, after the values that are on it: a long chain of steps must not recurse.
    for flow in step.flows:
        state.todo(Todo.SOURCE_OVER, flow)
    dispatch.entry_ended(state, step)
