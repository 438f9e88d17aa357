"""A worker `via plan` at work: its steps run under the task that was given to it.

Such a task has no call of its own and holds no slot. Everything in it is bounded, checked and paid
for by the orchestrator that it runs under: hooks, limits, budgets, slots.
"""

from __future__ import annotations

from engine.errors import BUILTIN_MODES, MODEL_MODES, Failure
from engine.runtime import dispatch, sizes
from engine.runtime.attempts import undeclared
from engine.runtime.causes import OUTPUT, Cause
from engine.runtime.state import Frame, RunState, Task
from engine.runtime.steps.filling import Unmet, scope_of, without_skipped
from engine.runtime.steps.frames import enter, own_failure
from engine.sema.expressions.template import EvaluationError
from engine.sema.model import Worker
from engine.sema.plans.values import NothingThere, fill

__all__ = ["ended", "start"]


def start(state: RunState, task: Task) -> None:
    """Let in the steps of a plan worker whose task has its turn."""
    worker = task.worker
    assert isinstance(worker, Worker)
    assert worker.plan is not None
    if task.loop.over:
        return
    frame = Frame(task, task.resolved, f"{_path(task)} / ")
    task.plan = frame
    task.loop.frames.append(frame)
    enter(state, frame, worker.plan.steps)


def _path(task: Task) -> str:
    """What the keys in it begin with: another each time the task runs."""
    return f"{task.path} / attempt {task.attempts}" if task.attempts > 1 else task.path


def ended(state: RunState, frame: Frame) -> None:
    """All steps of a plan are over: what its `result` gives is the task's output."""
    task = frame.owner
    assert isinstance(task, Task)
    worker = task.worker
    assert isinstance(worker, Worker)
    assert worker.plan is not None
    loop = task.loop
    if loop.over or task.status != "running":
        return
    try:
        tree = without_skipped(worker.plan.result, loop, frame)
        value = fill(tree, scope_of(loop, frame, state.params))
    except Unmet as error:
        dispatch.end_task(state, task, failure=_own(frame, worker, error.failure))
        return
    except (NothingThere, EvaluationError) as error:
        said = sizes.cut(state, f"its `result` cannot be made: {error}")
        failure = Failure("crashed", said, cause=Cause(worker, "result"))
        dispatch.end_task(state, task, failure=failure)
        return
    value = worker.output.with_defaults(value)
    problem = sizes.unfit(state, value, worker.output, worker.max_bytes)
    if problem:
        cause = Cause(worker, OUTPUT)
        dispatch.end_task(state, task, failure=Failure("invalid_output", problem, cause=cause))
        return
    dispatch.check_output(state, task, value)


def _own(frame: Frame, worker: Worker, failure: Failure) -> Failure:
    """The failure of a plan whose result needs something that failed: that one's own, if the
    worker declares its mode."""
    first = own_failure(frame, failure)
    known = BUILTIN_MODES | MODEL_MODES | set(worker.fails)
    return first if first.mode in known else undeclared(first)
