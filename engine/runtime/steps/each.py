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
from engine.runtime.commands import SetTimer
from engine.runtime.moves import move_step
from engine.runtime.state import RunState, Step, Task, Todo
from engine.runtime.steps import breaker, limits, selecting
from engine.runtime.steps.filling import Unmet, fill_input, scope_of
from engine.sema.expressions.template import EvaluationError
from engine.sema.model import Orchestrator, Worker
from engine.sema.plans.selection import Entry, Number, index_of, number_text
from engine.sema.plans.steps import EachStep
from engine.sema.plans.values import FromStep, NothingThere, Scope, fill

__all__ = ["arrive", "begin", "item_ended", "make", "source_over", "timer_name"]

#: The most tasks that one machine step makes: a longer one would hold up every other run.
_MOST_AT_ONCE = 500
#: The longest label, in characters.
_MAX_LABEL = 80


def begin(state: RunState, step: Step) -> None:
    """Open the sources of a step whose turn it is."""
    entries, failure, skipped = selecting.opened(state, step)
    if skipped:
        end(state, step, "skipped")
        return
    step.started_at = state.now
    move_step(step, "running")
    if failure is not None:
        stop(state, step, failure)
        return
    if all(flow.over for flow in step.sources):
        entries, failure = selecting.whole(state, step, entries)
    if failure is None:
        failure = _take_in(step, entries)
    if failure is not None:
        _drop(step, entries, failure)
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


def arrive(state: RunState, step: Step, place: int, entry: Entry) -> None:
    """A value has come from a source that streams."""
    if step.status != "running" or step.stopped is not None:
        return
    entries, failure = selecting.arrived(state, step, place, entry)
    if failure is None:
        failure = _take_in(step, entries)
    if failure is not None:
        _drop(step, entries, failure)
        stop(state, step, failure)
    else:
        make(state, step)


def source_over(state: RunState, step: Step, place: int) -> None:
    """A source that streams has ended."""
    if step.status != "running":
        return
    flow = step.sources[place]
    flow.over = True
    producer = flow.producer
    if producer is not None and producer.failure is not None and step.stopped is None:
        said = f"it needs the output of `{producer.id}`, which failed ({producer.failure.mode})"
        cause = producer.failure.cause
        stop(state, step, Failure("unmet_reference", said, cause=cause))
        return
    if producer is not None and producer.status == "skipped" and not step.items:
        end(state, step, "skipped")
        return
    make(state, step)


def stop(state: RunState, step: Step, failure: Failure) -> None:
    """Make no more tasks; what runs is finished, and then the step has failed."""
    step.stopped = failure
    _drop(step, list(step.pending), failure)
    step.pending.clear()
    make(state, step)


def _drop(step: Step, entries: list[Entry], failure: Failure) -> None:
    step.dropped.extend((number, value, failure) for number, value in entries)


def make(state: RunState, step: Step) -> None:
    """Make as many tasks as slots can use; end the step if nothing is left to be done."""
    spec, worker, loop = step.spec, step.worker, step.loop
    assert isinstance(spec, EachStep)
    assert worker is not None
    if loop.over:
        return
    if step.probing and step.open == 0 and step.items:
        step.probing = False
        breaker.probe_failed(step)
    if loop.breakers and step.pending and step.stopped is None:
        denied = breaker.opened(loop, worker.name)
        if denied is not None:
            _drop(step, list(step.pending), denied)
            step.pending.clear()
    most = step.most_open = step.most_open or _most_open(step)
    while step.pending and step.open < most:
        if state.made >= _MOST_AT_ONCE:
            if step.open == 0:
                timer = SetTimer(timer_name(step), state.now)
                state.timers[timer.timer] = timer
                state.commands.append(timer)
            return
        if _waits_for_canary(step):
            return
        _make_item(state, step, spec, worker, step.pending.popleft())
    if not step.pending and step.open == 0 and all(flow.over for flow in step.sources):
        _finish(state, step)


def timer_name(step: Step) -> str:
    """The timer that continues a step that has made as many tasks as one machine step may."""
    return f"{step.path} / more"


def _most_open(step: Step) -> int:
    """How many items may be made and not over."""
    spec, policy = step.spec, step.loop.orchestrator.policy
    assert isinstance(spec, EachStep)
    if spec.in_order:
        return 1
    if spec.parallel is not None:
        return spec.parallel
    # What runs inside an orchestrator or a plan takes slots of its own, so here each holds one.
    return policy.max_parallel * (1 if _has_inside(step) else 2)


def _has_inside(step: Step) -> bool:
    worker = step.worker
    return isinstance(worker, Orchestrator) or getattr(worker, "plan", None) is not None


def _waits_for_canary(step: Step) -> bool:
    """Whether the first items still run alone; marks the step while they do."""
    canary = step.loop.orchestrator.policy.breaker.canary
    made = len(step.items)
    if not canary or made > canary or step.again:
        return False
    if made < canary:
        step.probing = True
        return False
    return step.probing


def _make_item(
    state: RunState, step: Step, spec: EachStep, worker: Worker | Orchestrator, entry: Entry
) -> None:
    number, value = entry
    place = f"[{number_text(number)}]"
    task = Task(step.id + place, worker, step.loop, {}, step.key + place, False, [])
    task.step, task.number, task.item, task.frame = step, number, value, step.frame
    task.round = step.round
    task.decided_tainted = step.decided_tainted
    step.items[number] = task
    step.open += 1
    state.made += 1
    register(task)
    scope = _item_scope(state, step, number, value)
    if spec.label is not None:
        task.label = _label(spec.label, scope)
    failure = fill_input(state, task, step.filler, scope)
    if step.kept and keep(state, task, failure):
        return
    if failure is not None:
        dispatch.end_task(state, task, failure=failure)
    else:
        state.todo(Todo.TASK_READY, task)


def keep(state: RunState, task: Task, failure: Failure | None) -> bool:
    """Let a task that is done stand for one with the same input, or that may not be repeated."""
    step = task.step
    assert step is not None
    old = step.kept.get(task.number)
    if old is None or not old.over or (old.failure is not None and old.attempts == 0):
        return False
    effect = getattr(old.worker, "effect", "read")
    same = failure is None and old.status == "done" and old.resolved == task.resolved
    if not same and not (effect in ("write", "once") and old.status == "done"):
        if task.failure is None:
            task.again = step.again
        return False
    step.items[task.number] = old
    register(old)
    state.todo(Todo.ITEM_ENDED, old)
    return True


def register(task: Task) -> None:
    """Let a task be found by its id: `r[3]`."""
    frame = task.frame
    if frame is None:
        # No decision can give such an id, so none has to be kept from it.
        task.loop.tasks[task.id] = task
    else:
        frame.tasks[task.id.removeprefix(frame.prefix)] = task


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
    step.tainted = step.tainted or task.tainted
    breaker.count(task)
    if step.flows:
        for consumer, place in step.flows:
            source = selecting.selection_of(consumer).sources[place]
            assert isinstance(source, FromStep)
            entry = selecting.entry_in(task, source.view)
            if entry is not None:
                arrive(state, consumer, place, entry)
    make(state, step)


def _finish(state: RunState, step: Step) -> None:
    """All items are over: the step is done, or has failed of too many of them."""
    failure = step.stopped or _too_many_failed(step)
    if failure is not None:
        step.failure = failure
        step.partial = _outputs(step) or None
        end(state, step, "failed")
        return
    step.output = _outputs(step)
    end(state, step, "done")


def _outputs(step: Step) -> list[Any]:
    items = step.items
    return [items[number].output for number in sorted(items) if items[number].status == "done"]


def _too_many_failed(step: Step) -> Failure | None:
    """Why a step whose items have ended has failed, or None."""
    assert isinstance(step.spec, EachStep)
    failures = [task.failure for task in step.items.values() if task.failure is not None]
    failures += [failure for _, _, failure in step.dropped]
    total = len(step.items) + len(step.dropped)
    failed = len(failures)
    if not failed:
        return None
    tolerate = step.spec.tolerate
    if tolerate is None:
        most = float(total - 1)
    else:
        most = tolerate * total if isinstance(tolerate, float) and tolerate < 1 else tolerate
    if failed <= most and failed < total:
        return None
    mode, often = Counter(failure.mode for failure in failures).most_common(1)[0]
    first = next(failure for failure in failures if failure.mode == mode)
    what = f"{failed} of {total} items failed"
    if often < failed:
        what += f", {often} of them so"
    return first.replace(message=f"{what}: {first.message}")


def end(state: RunState, step: Step, status: Any) -> None:
    """The step is over: tell those that wait for it, and the round or plan that it is in."""
    move_step(step, status)
    step.ended_at = state.now
    for consumer, place in step.flows:
        source_over(state, consumer, place)
    dispatch.entry_ended(state, step)
