"""Steps of a run that is taken up after its end: items that are done stay, the others run again.

What has failed is tried again, with the same keys as before but for the number of the retry. Where
that changes the output of a step that was done, what had read it is done again if it changes
nothing outside; a `write` or `once` keeps its result. Values that are equal at the same number keep
their items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from engine.runtime import dispatch
from engine.runtime.moves import move, move_step
from engine.runtime.state import Frame, RunState, Step, Task, Todo
from engine.runtime.steps import each, frames, limits
from engine.runtime.steps.filling import fill_input, scope_of
from engine.sema.model import Worker
from engine.sema.plans.selection import index_of
from engine.sema.plans.steps import EachStep, RepeatStep

__all__ = ["may_retry", "recount", "reopen_frame", "take_up", "unfinished"]

Entry = Task | Step


def may_retry(task: Task) -> bool:
    """Whether a task that has failed is worth another try."""
    if task.failure is None or task.failure.mode == "denied":
        return False
    once = any(isinstance(w, Worker) and w.effect == "once" for w in (task.worker, task.acting))
    return not (once and task.attempts)


def unfinished(entries: Sequence[Entry]) -> list[Entry]:
    """Those that are to be taken up, in order: cut off by the end, failed, or to be done again."""
    found: list[Entry] = [entry for entry in entries if _is_open(entry)]
    changing = {entry.id for entry in found if entry.status == "done"}
    if not changing:
        return found
    taken = {id(entry) for entry in found}
    for entry in entries:
        # In the order of the plan, so what depends on something that is done again follows it.
        if id(entry) in taken or not entry.over or not _may_repeat(entry):
            continue
        if changing.intersection(_needs(entry)):
            taken.add(id(entry))
            changing.add(entry.id)
    return [entry for entry in entries if id(entry) in taken]


def _is_open(entry: Entry) -> bool:
    if not entry.over:
        return True
    if isinstance(entry, Task):
        return entry.rested or may_retry(entry)
    if entry.status == "skipped":
        return False
    if any(may_retry(task) for task in entry.items.values()) or entry.dropped:
        return True
    return entry.failure is not None and entry.failure.mode != "denied" and not entry.items


def _may_repeat(entry: Entry) -> bool:
    worker = entry.worker
    return not (isinstance(worker, Worker) and worker.effect in ("write", "once"))


def _needs(entry: Entry) -> Iterator[str]:
    if isinstance(entry, Step):
        yield from frames.producers_of(entry.spec)
    else:
        yield from (reference.task for reference in entry.references)


def take_up(
    state: RunState, entries: Iterable[Entry], retry: Callable[[RunState, Task], None]
) -> None:
    """Start tasks and steps that are to be done again; what each waits for has been counted.

    Args:
        retry: Carries a task on from where it was.
    """
    for entry in entries:
        if isinstance(entry, Step):
            _retry_step(state, entry, retry)
        elif entry.status == "done" and not entry.rested:
            _again(state, entry)
        else:
            retry(state, entry)


def _again(state: RunState, task: Task) -> None:
    """Do a task again whose input has changed."""
    task.again = state.retries
    task.call = None
    task.acting = task.worker
    task.output = task.ended_at = None
    task.cached = False
    move(task, "blocked", retried=True)
    if task.waits == 0:
        state.todo(Todo.TASK_READY, task)


def _retry_step(state: RunState, step: Step, retry: Callable[[RunState, Task], None]) -> None:
    spec = step.spec
    step.again = state.retries
    step.failure = step.output = step.partial = step.ended_at = None
    step.stopped = None
    step.part_bytes = None
    step.probing = False
    if isinstance(spec, RepeatStep) and step.passes:
        move_step(step, "running", retried=True)
        reopen_frame(state, step.passes[-1], retry)
        return
    begun = bool(step.items or step.pending or step.dropped)
    if isinstance(spec, EachStep) and begun and not step.waits:
        move_step(step, "running", retried=True)
        _resume_each(state, step, retry)
        return
    _restart(state, step)


def _restart(state: RunState, step: Step) -> None:
    """Begin a step from its front; a value that is equal at the same number keeps its item."""
    for flow in step.sources:
        if isinstance(flow.producer, Step):
            others = [one for one in flow.producer.flows if one[0] is not step]
            flow.producer.flows = others
    limits.give_back(step)
    step.kept, step.items = {**step.kept, **step.items}, {}
    step.sources = []
    step.scope = None
    step.open = 0
    step.pending.clear()
    step.dropped = []
    step.levels = []
    move_step(step, "blocked", retried=True)
    if step.waits == 0:
        state.todo(Todo.STEP_READY, step)


def _resume_each(state: RunState, step: Step, retry: Callable[[RunState, Task], None]) -> None:
    """Run what failed or was cut off, and what got no task."""
    dropped, step.dropped = step.dropped, []
    for flow in step.sources:
        flow.over = flow.producer is None or not flow.streams or flow.producer.over
    again = [task for task in step.items.values() if task.status != "done"]
    step.open = len(again)
    step.pending.extend((number, value) for number, value, _ in dropped)
    for task in again:
        retry_item(state, task, retry)
    each.make(state, step)


def retry_item(state: RunState, task: Task, retry: Callable[[RunState, Task], None]) -> None:
    """Run an item again; its input is filled again where that had failed."""
    step = task.step
    assert step is not None
    if task.failure is not None and task.failure.mode == "unmet_reference":
        scope = scope_of(step.loop, step.frame, state.params)
        scope.item = task.item
        scope.index = index_of(task.number)
        failure = fill_input(state, task, step.filler, scope)
        if failure is not None:
            move(task, "blocked", retried=True)
            dispatch.end_task(state, task, failure=failure)
            return
    retry(state, task)


def reopen_frame(state: RunState, frame: Frame, retry: Callable[[RunState, Task], None]) -> None:
    """Take up what is not finished in a plan or a pass; its end is looked at again."""
    entries: list[Entry] = [task for task in frame.tasks.values() if task.step is None]
    entries += frame.steps.values()
    open_entries = unfinished(entries)
    frame.open = len(open_entries)
    recount(open_entries)
    if not open_entries:
        state.todo(Todo.INNER_ENDED, frame)
        return
    take_up(state, open_entries, retry)


def recount(entries: Iterable[Entry]) -> None:
    """Count anew what each of these waits for: only what runs again will count down."""
    entries = list(entries)
    members = set(map(id, entries))
    for entry in entries:
        entry.waits = 0
    for entry in entries:
        for other in entry.feeds:
            if id(other) in members:
                other.waits += 1
