"""A step is ready: everything that it needs is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from engine.runtime.state import Frame, Loop, RunState, Step, Task
from engine.runtime.steps import each, frames, plan_worker, reduce, repeat
from engine.runtime.steps.filling import (
    Unmet,
    find,
    holds,
    scope_of,
    skipped_by,
    too_early,
    value_of,
    without_skipped,
)
from engine.sema.plans.steps import EachStep, ReduceStep, RepeatStep
from engine.sema.plans.values import Computed, FromStep, compiled, leaves

__all__ = ["frame_ended", "item_ended", "ready", "timer_fired"]


def ready(state: RunState, step: Step) -> None:
    """Skip a step whose test does not hold, fail it for what has failed, or begin it."""
    loop, frame, spec = step.loop, step.frame, step.spec
    if loop.over or step.status != "blocked" or loop.holds_back(step):
        return
    try:
        if spec.when is not None:
            scope = scope_of(loop, frame, state.params)
            if not holds(spec.when, scope):
                each.end(state, step, "skipped")
                return
        if not isinstance(spec, RepeatStep):
            assert step.worker is not None
            if skipped_by(loop, frame, spec.input, step.worker.inputs.schema) is not None:
                each.end(state, step, "skipped")
                return
            _check_leaves(step, spec.input)
            step.filler = compiled(without_skipped(spec.input, loop, frame))
    except Unmet as error:
        frames.fail(state, step, error.failure)
        return
    failure = too_early(step)
    if failure is not None:
        frames.fail(state, step, failure)
        return
    match spec:
        case EachStep():
            each.begin(state, step)
        case ReduceStep():
            reduce.begin(state, step)
        case RepeatStep():
            repeat.begin(state, step)
        case _:
            assert_never(spec)


def _check_leaves(step: Step, tree: Mapping[str, Any]) -> None:
    """Find what has failed before the first task is made.

    Raises:
        Unmet: The input needs it.
    """
    for _, leaf in leaves(tree):
        if isinstance(leaf, FromStep):
            read: tuple[FromStep, ...] = (leaf,)
        elif isinstance(leaf, Computed):
            plain = leaf.names & leaf.expression.names
            read = tuple(FromStep(name) for name in sorted(plain))
        else:
            continue
        for one in read:
            producer = find(step.loop, step.frame, one.name)
            if producer is not None:
                value_of(producer, one.view)


def item_ended(state: RunState, task: Task) -> None:
    """A task of a step is over."""
    step = task.step
    assert step is not None
    if step.loop.over:
        return
    if isinstance(step.spec, EachStep):
        each.item_ended(state, task)
    else:
        reduce.item_ended(state, task)


def frame_ended(state: RunState, frame: Frame) -> None:
    """All tasks and steps of a frame are over."""
    if frame.loop.over:
        return
    if isinstance(frame.owner, Step):
        repeat.pass_ended(state, frame)
    else:
        plan_worker.ended(state, frame)


def timer_fired(state: RunState, loop: Loop, name: str) -> bool:
    """Continue the step whose timer it was.

    Returns:
        Whether it was one of this loop.
    """
    for step in loop.every_step():
        if step.status == "running" and step.timer == name:
            if isinstance(step.spec, ReduceStep):
                reduce.make(state, step)
            else:
                each.make(state, step)
            return True
    return False
