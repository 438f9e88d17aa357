"""What steps share about their tasks: how many are made at once, found by id, kept in a retry.

A task of a step is registered in the loop or frame around it. When a run is retried, steps select
their values again; a task of before stays, or is carried on, where its input is the same.
"""

from __future__ import annotations

from engine.errors import Failure
from engine.runtime.commands import SetTimer
from engine.runtime.state import RunState, Step, Task, Todo
from engine.runtime.steps import breaker
from engine.sema.model import Worker

__all__ = ["keep", "made_enough", "may_retry", "register"]

#: The most tasks that one machine step makes: a longer one would hold up every other run.
_MOST_AT_ONCE = 500


def made_enough(state: RunState, step: Step) -> bool:
    """Whether this machine step may make no more tasks; then a timer continues the step."""
    if state.made < _MOST_AT_ONCE:
        return False
    if step.timer not in state.timers:
        timer = SetTimer(step.timer, state.now)
        state.timers[timer.timer] = timer
        state.commands.append(timer)
    return True


def register(task: Task) -> None:
    """Let a task be found by its id: `r[3]`."""
    frame = task.frame
    if frame is None:
        # No decision can give such an id, so none has to be kept from it.
        task.loop.tasks[task.id] = task
    else:
        frame.tasks[task.id.removeprefix(frame.prefix)] = task


def may_retry(task: Task) -> bool:
    """Whether a task that has failed is worth another try."""
    if task.failure is None or (task.failure.mode == "denied" and not breaker.denied(task.failure)):
        return False
    once = any(isinstance(w, Worker) and w.effect == "once" for w in (task.worker, task.acting))
    return not (once and task.attempts)


def keep(state: RunState, task: Task, failure: Failure | None) -> bool:
    """Let a task from before the retry take the place of one with the same input, or that may not
    be repeated; what is not done of it is done."""
    step = task.step
    assert step is not None
    old = step.kept.pop(task.number, None)
    if old is None:
        return False
    effect = getattr(old.acting, "effect", "read")
    same = failure is None and old.input == task.input
    stays = old.over and (
        (effect in ("write", "once") and old.status == "done")
        or (effect == "once" and old.attempts > 0)
        or (same and (old.status == "done" or not may_retry(old)))
    )
    if not stays and not same:
        task.again = step.again
        return False
    step.items[task.number] = old
    old.item, old.label, old.counted = task.item, task.label, False
    register(old)
    if not stays or old.rested:
        state.todo(Todo.TASK_AGAIN, old)
        return True
    if old.status == "done":
        old.loop.done.setdefault(old.worker.name, []).append(old)
    state.todo(Todo.ITEM_ENDED, old)
    return True
