"""A `repeat`: passes over its steps until a test holds, at most `max`; authors only.

Each pass is a frame of its own. What the steps of a pass do not find in it they find around it.
Only what `gives` gave is seen outside.
"""

from __future__ import annotations

from engine.errors import Failure
from engine.runtime import sizes
from engine.runtime.causes import Cause
from engine.runtime.moves import move_step
from engine.runtime.state import Frame, RunState, Step, Task
from engine.runtime.steps import each
from engine.runtime.steps.filling import Unmet, holds, scope_of, value_of
from engine.runtime.steps.frames import enter, own_failure
from engine.sema.expressions.template import EvaluationError
from engine.sema.plans.steps import RepeatStep
from engine.sema.plans.values import NothingThere, fill

__all__ = ["begin", "pass_ended"]


def begin(state: RunState, step: Step) -> None:
    """Make `last` for the first pass, and begin it."""
    spec = step.spec
    assert isinstance(spec, RepeatStep)
    step.started_at = state.now
    move_step(step, "running")
    try:
        last = fill(spec.start, scope_of(step.loop, step.frame, state.params))
    except Unmet as error:
        _fail(state, step, error.failure)
        return
    except (NothingThere, EvaluationError) as error:
        said = sizes.cut(state, f"`start` cannot be made: {error}")
        cause = Cause(step.loop.orchestrator, span=spec.span)
        _fail(state, step, Failure("unmet_reference", said, cause=cause))
        return
    _begin_pass(state, step, last)


def _begin_pass(state: RunState, step: Step, last: object) -> None:
    spec = step.spec
    assert isinstance(spec, RepeatStep)
    number = len(step.passes)
    inputs = step.frame.inputs if step.frame is not None else {}
    frame = Frame(
        step,
        inputs,
        f"{step.path}[{number}] / ",
        outer=step.frame,
        prefix=f"{step.id}[{number}].",
        last=last,
    )
    step.passes.append(frame)
    step.loop.frames.append(frame)
    enter(state, frame, spec.steps)


def pass_ended(state: RunState, frame: Frame) -> None:
    """All steps of a pass are over: end, or begin the next pass."""
    step = frame.owner
    assert isinstance(step, Step)
    spec = step.spec
    assert isinstance(spec, RepeatStep)
    # Its steps too: a `reduce` may pass a value on, and the tasks of a `repeat` are in its passes.
    entries: list[Task | Step] = [*frame.tasks.values(), *frame.steps.values()]
    for entry in entries:
        step.tainted = step.tainted or entry.tainted
    try:
        given = frame.tasks.get(spec.gives) or frame.steps[spec.gives]
        value = value_of(given)
        scope = scope_of(step.loop, frame, state.params)
        done = holds(spec.until, scope)
    except Unmet as error:
        _fail(state, step, own_failure(frame, error.failure))
        return
    step.partial = value
    if done or (spec.settle and len(step.passes) >= spec.max):
        step.output = value
        step.partial = None
        each.end(state, step, "done")
    elif len(step.passes) >= spec.max:
        said = f"`until` did not hold after max = {spec.max} passes"
        cause = Cause(step.loop.orchestrator, span=spec.span)
        _fail(state, step, Failure("exhausted", said, cause=cause))
    else:
        _begin_pass(state, step, value)


def _fail(state: RunState, step: Step, failure: Failure) -> None:
    step.failure = failure
    each.end(state, step, "failed")
