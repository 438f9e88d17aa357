"""Steps of a run that is taken up after its end: items that are done stay, the others run again.

What has failed is tried again, with the same keys as before but for the number of the retry. Where
that changes the output of a step that was done, what had read it is done again if it changes
nothing outside; a `write` or `once` keeps its result. Values that are equal at the same number keep
their items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from engine.runtime.moves import move, move_step
from engine.runtime.state import Frame, RunState, Step, Task, Todo
from engine.runtime.steps import frames, limits
from engine.runtime.steps.items import changes, may_retry
from engine.sema.plans.steps import EachStep, RepeatStep, base_of, names_read
from engine.sema.plans.values import names_in, names_of

__all__ = ["of_frame", "recount", "reopen_frame", "take_up", "unfinished"]

Entry = Task | Step


def unfinished(entries: Sequence[Entry]) -> list[Entry]:
    """Those that are to be taken up, in order: cut off by the end, failed, or to be done again."""
    taken = {_name(entry): entry for entry in entries if _is_open(entry)}
    readers: dict[str, list[Entry]] = {}
    for entry in entries if taken else ():
        for name in _reads(entry):
            readers.setdefault(name, []).append(entry)
    changing = list(taken)
    for name in changing:
        for reader in readers.get(name, ()):
            own = _name(reader)
            if own not in taken and _takes_changes(reader):
                taken[own] = reader
                changing.append(own)
    return [entry for entry in entries if _name(entry) in taken]


def _name(entry: Entry) -> str:
    """What the entries of the same plan call it."""
    return entry.id if entry.frame is None else entry.id.removeprefix(entry.frame.prefix)


def _is_open(entry: Entry) -> bool:
    if not entry.over:
        return True
    if isinstance(entry, Task):
        return entry.rested or may_retry(entry) or _reopens(entry)
    if entry.status == "skipped":
        return False
    if any(may_retry(task) or _reopens(task) for task in entry.items.values()) or entry.dropped:
        return True
    return entry.failure is not None and entry.failure.mode != "denied"


def of_frame(frame: Frame) -> list[Entry]:
    """The tasks and steps of a plan or a pass, without items."""
    entries: list[Entry] = [task for task in frame.tasks.values() if task.step is None]
    return [*entries, *frame.steps.values()]


def _has_begun(entry: Entry) -> bool:
    if isinstance(entry, Task):
        return entry.attempts > 0
    return bool(entry.items or entry.passes)


def _takes_changes(entry: Entry) -> bool:
    """Whether it is taken up where a value that it reads may have changed.

    The items of an `each` are judged one by one, and a new value has no item yet: so that may start
    whatever its worker does outside. Anything else that has begun must change nothing outside.
    """
    if isinstance(entry, Step) and isinstance(entry.spec, EachStep):
        return True
    return not _has_begun(entry) or _may_repeat(entry)


def _may_repeat(entry: Entry) -> bool:
    """Whether nothing outside changes if it is done again."""
    if isinstance(entry, Step) and isinstance(entry.spec, RepeatStep):
        inside = (task for frame in entry.passes for task in frame.every_task())
        return not any(changes(task.worker) for task in inside)
    return entry.worker is None or not changes(entry.worker)


def _reopens(task: Task) -> bool:
    """Whether a plan that is done is continued: something in it is worth another try, and nothing
    outside changes if its output does."""
    if task.status != "done" or task.plan is None or changes(task.worker):
        return False
    return bool(unfinished(of_frame(task.plan)))


def _reads(entry: Entry) -> Iterator[str]:
    """The names of what an entry's values are made from; waiting for an end does not read it."""
    if isinstance(entry, Step):
        names = names_read(entry.spec)
    else:
        leaves_of_test = () if entry.when is None else (leaf for _, leaf in entry.when.leaves())
        tested = (name for leaf in leaves_of_test for name in names_of(leaf))
        written = (reference.task for reference in entry.references)
        names = chain(written, names_in(entry.tree), tested)
    for name in names:
        yield name
        if name.endswith("]"):
            yield base_of(name)


def take_up(
    state: RunState, entries: Iterable[Entry], retry: Callable[[RunState, Task], None]
) -> None:
    """Start tasks and steps that are to be done again; what each waits for has been counted.

    Args:
        retry: Carries a task on from where it was.
    """
    entries = list(entries)
    _forget(entry for entry in entries if isinstance(entry, Task) and entry.status == "done")
    for entry in entries:
        if isinstance(entry, Step):
            _reset(state, entry)
    for entry in entries:
        if isinstance(entry, Step):
            _retry_step(state, entry, retry)
        elif entry.status == "done" and not entry.rested and not _reopens(entry):
            _again(state, entry)
        else:
            retry(state, entry)


def _forget(tasks: Iterable[Task]) -> None:
    """Take out of the outputs of workers what is to be given again; all of one loop."""
    old: dict[str, set[Task]] = {}
    for task in tasks:
        loop = task.loop
        old.setdefault(task.worker.name, set()).add(task)
    for name, known in old.items():
        loop.done[name] = [task for task in loop.done.get(name, ()) if task not in known]


def _again(state: RunState, task: Task) -> None:
    """Do a task again whose input may have changed."""
    state.kept[task.key] = (task.resolved, task.output, task.acting, task.tainted)
    task.again = state.retries
    task.call = None
    task.acting = task.worker
    task.output = task.ended_at = None
    task.cached = False
    task.feedback = ""
    move(task, "blocked", retried=True)
    if task.waits == 0:
        state.todo(Todo.TASK_READY, task)


def _reset(state: RunState, step: Step) -> None:
    """Let a step be as if it had not ended; a value that is equal keeps its item.

    Its values are selected again, for what they are from may change. This comes before any step
    continues, so that none takes the end of another for the one that is still to come.
    """
    resumes = isinstance(step.spec, RepeatStep) and not step.over
    resumes = resumes or (step.failure is not None and isinstance(step.spec, RepeatStep))
    step.again = state.retries
    step.failure = step.output = step.partial = step.ended_at = None
    step.stopped = None
    step.part_bytes = None
    step.probing = False
    if resumes and step.passes and not step.waits:
        move_step(step, "running", retried=True)
        return
    for flow in step.sources:
        if isinstance(flow.producer, Step):
            others = [one for one in flow.producer.flows if one[0] is not step]
            flow.producer.flows = others
    limits.give_back(step)
    _forget(task for task in step.items.values() if task.status == "done")
    for task in step.items.values():
        if task.plan is not None:
            task.plan.reopens = _reopens(task)
    step.kept, step.items = {**step.kept, **step.items}, {}
    step.sources, step.levels, step.collected, step.dropped = [], [], [], []
    step.passes, step.asking, step.ready = [], [], 0
    step.scope = None
    step.open = 0
    step.pending.clear()
    move_step(step, "blocked", retried=True)


def _retry_step(state: RunState, step: Step, retry: Callable[[RunState, Task], None]) -> None:
    if step.status == "running":
        reopen_frame(state, step.passes[-1], retry)
    elif step.waits == 0:
        state.todo(Todo.STEP_READY, step)


def reopen_frame(state: RunState, frame: Frame, retry: Callable[[RunState, Task], None]) -> None:
    """Take up what is not finished in a plan or a pass; its end is looked at again."""
    frame.reopens = False
    open_entries = unfinished(of_frame(frame))
    frame.open = len(open_entries)
    recount(open_entries)
    failure = frames.count(frame)
    if failure is not None:
        for entry in open_entries:
            entry.failure = failure
        frame.open = 0
        open_entries = []
    if not open_entries:
        state.todo(Todo.INNER_ENDED, frame)
        return
    take_up(state, open_entries, retry)


def recount(entries: Iterable[Entry]) -> None:
    """Count again what each of these waits for: only what runs again will count down."""
    entries = list(entries)
    members = set(map(id, entries))
    for entry in entries:
        entry.waits = 0
    for entry in entries:
        for other in entry.feeds:
            if id(other) in members:
                other.waits += 1
