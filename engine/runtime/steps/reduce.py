"""A `reduce`: a tree of calls that combine values until one is left.

It waits for its list. Groups are contiguous, of at most `size` values; a group starts as soon as
its own values are there, so one slow call does not hold up its level. A single value of a group
passes up without a call. How many calls the tree takes is known from the number of values.
"""

from __future__ import annotations

from typing import Any

from engine.errors import Failure
from engine.runtime import sizes, taint
from engine.runtime.causes import Cause
from engine.runtime.moves import move_step
from engine.runtime.state import RunState, Step, Task
from engine.runtime.steps import each, items, limits, selecting
from engine.runtime.steps.filling import Unmet, scope_of
from engine.sema.expressions.template import EvaluationError
from engine.sema.plans.counts import reduce_calls
from engine.sema.plans.steps import ReduceStep
from engine.sema.plans.values import ABSENT, NothingThere, fill

__all__ = ["begin", "item_ended", "make"]


def begin(state: RunState, step: Step) -> None:
    """Take the list in and start the first groups."""
    spec = step.spec
    assert isinstance(spec, ReduceStep)
    assert step.worker is not None
    entries, failure, skipped = selecting.opened(state, step)
    if skipped:
        each.end(state, step, "skipped")
        return
    step.started_at = state.now
    move_step(step, "running")
    if failure is None:
        entries, failure = selecting.whole(state, step, entries)
    values = [value for _, value in entries]
    if failure is None and not values:
        _finish_empty(state, step, spec)
        return
    if failure is None:
        number = max(reduce_calls(len(values), spec.size), 0 if _fits(step, values[0]) else 1)
        failure = limits.take(step.loop, step.frame, step.worker.name, number)
        step.allowed = number if failure is None else 0
    if failure is not None:
        _fail(state, step, failure)
        return
    step.levels = [values]
    step.collected = entries
    if len(values) == 1 and _fits(step, values[0]):
        step.output = values[0]
        taint.mark_passed_on(state, step)
        each.end(state, step, "done")
        return
    size = len(values)
    while size > 1:
        size = -(-size // spec.size)
        step.levels.append([ABSENT] * size)
    if len(step.levels) == 1:  # one value of another type than the result: it takes a call
        step.levels.append([ABSENT])
    for group in range(len(step.levels[1])):
        _offer(step, 1, group)
    make(state, step)


def _fits(step: Step, value: Any) -> bool:
    """Whether a single value can be the result as it is."""
    assert step.worker is not None
    return step.worker.output.is_valid(value)


def _finish_empty(state: RunState, step: Step, spec: ReduceStep) -> None:
    assert step.worker is not None
    if spec.empty is ABSENT:
        said = "there is nothing to reduce; `empty` would say what it gives then"
        _fail(state, step, Failure("unmet_reference", said, cause=Cause(step.worker)))
        return
    try:
        value = fill(spec.empty, scope_of(step.loop, step.frame, state.params))
    except Unmet as error:
        _fail(state, step, error.failure)
        return
    except (NothingThere, EvaluationError) as error:
        said = sizes.cut(state, f"`empty` cannot be made: {error}")
        _fail(state, step, Failure("unmet_reference", said, cause=Cause(step.worker)))
        return
    step.output = value
    taint.mark_passed_on(state, step)
    each.end(state, step, "done")


def _offer(step: Step, level: int, group: int) -> None:
    """Let a group wait for its call if its values are there, or pass a single one up."""
    spec = step.spec
    assert isinstance(spec, ReduceStep)
    below = step.levels[level - 1]
    parts = below[group * spec.size : (group + 1) * spec.size]
    if any(part is ABSENT for part in parts):
        return
    if len(parts) > 1 or len(below) == 1:
        step.pending.append((level, group))
        return
    _gave(step, level, group, parts[0])


def _gave(step: Step, level: int, group: int, value: Any) -> None:
    spec = step.spec
    assert isinstance(spec, ReduceStep)
    step.levels[level][group] = value
    if level + 1 < len(step.levels):
        _offer(step, level + 1, group // spec.size)


def make(state: RunState, step: Step) -> None:
    """Make the calls whose values are there, as far ahead as slots can use them."""
    if step.loop.over:
        return
    most = 2 * step.loop.orchestrator.policy.max_parallel
    while step.pending and step.open < most and step.stopped is None:
        if items.made_enough(state, step):
            return
        level, group = step.pending.popleft()
        _make_call(state, step, level, group)
    if step.open:
        return
    if step.stopped is not None:
        _fail(state, step, step.stopped)
    elif step.levels[-1][0] is not ABSENT:
        step.output = step.levels[-1][0]
        each.end(state, step, "done")


def _make_call(state: RunState, step: Step, level: int, group: int) -> None:
    spec, worker = step.spec, step.worker
    assert isinstance(spec, ReduceStep)
    assert worker is not None
    # Levels are numbered from 0 outside: the first calls are `m[0.0]`, `m[0.1]` and so on.
    task = items.added(state, step, worker, (level - 1, group))
    scope = scope_of(step.loop, step.frame, state.params)
    scope.parts = step.levels[level - 1][group * spec.size : (group + 1) * spec.size]
    each.let_in(state, step, task, scope)


def item_ended(state: RunState, task: Task) -> None:
    """A call is over: its value goes up, or the step has failed."""
    step = task.step
    assert step is not None
    step.open -= 1
    task.counted = True
    step.tainted = step.tainted or task.tainted
    if task.failure is not None:
        if step.stopped is None:
            said = f"call `{task.id}` failed: {task.failure.message}"
            step.stopped = task.failure.replace(message=said)
    else:
        level, group = task.number
        _gave(step, level + 1, group, task.output)
    make(state, step)


def _fail(state: RunState, step: Step, failure: Failure) -> None:
    step.failure = failure
    step.pending.clear()
    # What was combined is not lost: the highest values that are there.
    done = [task.output for task in step.items.values() if task.status == "done"]
    step.partial = done or None
    each.end(state, step, "failed")
