"""What steps share about their tasks: how many are made at once, found by id, kept in a retry.

A task of a step is registered in the loop or frame around it. When a run is retried, steps select
their values again; a task of before stays, or is carried on, where its input is the same.
"""

from __future__ import annotations

from engine.errors import Failure
from engine.runtime.commands import SetTimer
from engine.runtime.state import RunState, Step, Task, Todo
from engine.runtime.steps import breaker
from engine.sema.model import Orchestrator, Worker
from engine.sema.plans.selection import Number, number_text

__all__ = ["added", "begun_once", "changes", "keep", "made_enough", "may_retry", "register"]

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


def added(state: RunState, step: Step, worker: Worker | Orchestrator, number: Number) -> Task:
    """A new task of a step, without its input."""
    place = f"[{number_text(number)}]"
    task = Task(step.id + place, worker, step.loop, {}, step.key + place, False, [])
    task.step, task.number, task.frame = step, number, step.frame
    task.round = step.round
    task.decided_tainted = step.decided_tainted
    step.items[number] = task
    step.open += 1
    state.made += 1
    register(task)
    return task


def register(task: Task) -> None:
    """Let a task be found by its id: `r[3]`."""
    frame = task.frame
    if frame is None:
        # No decision can give such an id, so none has to be kept from it.
        task.loop.tasks[task.id] = task
    else:
        frame.tasks[task.id.removeprefix(frame.prefix)] = task


def may_retry(task: Task) -> bool:
    """Whether a task that has failed is worth another try.

    A plan makes no call itself, so its effect keeps it from nothing: what is in it is judged there.
    """
    if task.failure is None or (task.failure.mode == "denied" and not breaker.denied(task.failure)):
        return False
    return not (task.attempts and (_is_once(task.worker) or _is_once(task.acting)))


def _is_once(worker: Worker | Orchestrator) -> bool:
    return isinstance(worker, Worker) and worker.effect == "once" and worker.plan is None


def begun_once(task: Task) -> bool:
    """Whether a `once` task, or one that the plan of the task has made, has begun."""
    if task.attempts and (_is_once(task.worker) or _is_once(task.acting)):
        return True
    return task.plan is not None and any(map(begun_once, task.plan.every_task()))


def changes(worker: Worker | Orchestrator) -> bool:
    """Whether it changes something outside, so that what is done is not done again."""
    return isinstance(worker, Worker) and worker.changes_something


def keep(state: RunState, task: Task, failure: Failure | None) -> bool:
    """Let a task from before the retry take the place of one with the same input, or that may not
    be repeated; what is not done of it is done."""
    step = task.step
    assert step is not None
    old = step.kept.pop(task.number, None)
    if old is None:
        return False
    same = failure is None and old.input == task.input
    if old.status == "done":
        reopens = old.plan is not None and old.plan.reopens
        stays = changes(old.acting) or (same and not reopens)
    else:
        stays = old.over and (not may_retry(old) if same else begun_once(old))
    if not stays and not same and not begun_once(old):
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
