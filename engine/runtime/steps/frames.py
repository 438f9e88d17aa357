"""The tasks and steps of a frame: made, connected, let in when what they need is over.

A frame is one run of a `via plan` worker, or one pass of a `repeat`. The steps of a decision are
made and connected by `engine.runtime.planning`, and let in here like all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from engine.errors import Failure
from engine.runtime import dispatch
from engine.runtime.state import Frame, RunState, Step, Task, Todo
from engine.runtime.steps import each, limits, selecting
from engine.runtime.steps.filling import find
from engine.runtime.steps.items import changes
from engine.sema.model import Orchestrator, Worker
from engine.sema.plans.steps import (
    RepeatStep,
    TaskStep,
    base_of,
    producers_of,
    selection_of,
    step_leaves,
)
from engine.sema.plans.steps import Step as Spec
from engine.sema.plans.values import FromStep, names_of

__all__ = [
    "connect",
    "count",
    "enter",
    "keep_writes_in_order",
    "keeps_order",
    "own_failure",
    "put_before",
    "wait",
]


def enter(state: RunState, frame: Frame, specs: Sequence[Spec]) -> None:
    """Make the tasks and steps of a frame and let in those that wait for nothing."""
    entries: list[Task | Step] = [_made(state, frame, spec) for spec in specs]
    frame.open = len(entries)
    failure = count(frame)
    before: dict[str, list[Task | Step]] = {}
    for entry, spec in zip(entries, specs, strict=True):
        connect(entry, spec, lambda name: find(frame.loop, frame, name))
        for worker in put_before(entry):
            for other in before.get(worker, ()):
                wait(entry, other)
        if entry.worker is not None:
            before.setdefault(entry.worker.name, []).append(entry)
    keep_writes_in_order(entry for entry in entries if keeps_order(entry))
    state.made += len(frame.tasks)
    if not entries:
        state.todo(Todo.INNER_ENDED, frame)
    for entry in entries:
        if failure is not None:
            fail(state, entry, failure)
        elif entry.waits == 0:
            let_in(state, entry)


def count(frame: Frame) -> Failure | None:
    """Count the plain tasks of a frame in the bounds, once: all of them or none."""
    if frame.counted:
        return None
    plain = [task.worker.name for task in frame.tasks.values() if task.step is None]
    failure = limits.take_tasks(frame.loop, frame, plain)
    frame.counted = failure is None
    return failure


def own_failure(frame: Frame, failure: Failure) -> Failure:
    """The first failure in a frame that is not only of something else's; else the one given."""
    ended = [task.failure for task in frame.tasks.values() if task.step is None]
    ended += [step.failure for step in frame.steps.values()]
    return next((f for f in ended if f is not None and f.mode != "unmet_reference"), failure)


def let_in(state: RunState, entry: Task | Step) -> None:
    """Put a task or step on the agenda whose producers are over."""
    state.todo(Todo.TASK_READY if isinstance(entry, Task) else Todo.STEP_READY, entry)


def fail(state: RunState, entry: Task | Step, failure: Failure) -> None:
    """End a task or step that has not begun."""
    if isinstance(entry, Task):
        dispatch.end_task(state, entry, failure=failure)
    else:
        from_blocked(state, entry, failure)


def from_blocked(state: RunState, step: Step, failure: Failure) -> None:
    """End a step that has not begun, as failed."""
    step.failure = failure
    each.end(state, step, "failed")


def _worker(state: RunState, name: str) -> Worker | Orchestrator:
    program = state.program
    return program.workers.get(name) or program.orchestrators[name]


def _made(state: RunState, frame: Frame, spec: Spec) -> Task | Step:
    key = f"{frame.path}step {spec.id}"
    name = frame.prefix + spec.id
    if isinstance(spec, TaskStep):
        task = Task(name, _worker(state, spec.worker), frame.loop, {}, key, False, [])
        task.frame, task.tree, task.when = frame, spec.input, spec.when
        task.decided_tainted = decided_tainted(frame)
        frame.tasks[spec.id] = task
        return task
    worker = None if isinstance(spec, RepeatStep) else _worker(state, spec.worker)
    step = Step(spec, worker, frame.loop, key, name, frame)
    step.decided_tainted = decided_tainted(frame)
    frame.steps[spec.id] = step
    return step


def decided_tainted(frame: Frame) -> bool:
    """Whether a planner that had read strangers' text decided that a plan runs, unlooked-at."""
    owner = frame.owner
    if isinstance(owner, Step):
        return owner.decided_tainted
    return owner.decided_tainted and not owner.looked_at.steers(owner.worker)


def connect(entry: Task | Step, spec: Spec, lookup: Callable[[str], Task | Step | None]) -> None:
    """Let a task or step wait for what it needs; a source that streams is not waited for."""
    streamed = set(_streamed(entry, spec, lookup))
    for name in dict.fromkeys(producers_of(spec)):
        # An item is made later than this: its step is waited for.
        producer = lookup(name) or lookup(base_of(name))
        if producer is None or producer is entry or producer.over or name in streamed:
            continue
        producer.feeds.append(entry)
        entry.waits += 1


def wait(entry: Task | Step, other: Task | Step) -> None:
    """Let an entry wait for the end of another one, once."""
    # An entry is connected at one go, so where it waits already, it is the last one.
    if other is entry or other.over or (other.feeds and other.feeds[-1] is entry):
        return
    other.feeds.append(entry)
    entry.waits += 1


def put_before(entry: Task | Step) -> tuple[str, ...]:
    """The workers that a limit puts before an entry (`limit W { after }`), as far as none of their
    tasks has succeeded; the entry looks again when it is ready."""
    if entry.worker is None:
        return ()
    loop = entry.loop
    limit = loop.orchestrator.limits.get(entry.worker.name)
    if limit is None or not limit.after:
        return ()
    entry.after = tuple(worker for worker in limit.after if not loop.done.get(worker))
    return entry.after


def keeps_order(entry: Task | Step) -> bool:
    """Whether it changes something outside, and not in any order."""
    worker = entry.worker
    return isinstance(worker, Worker) and changes(worker) and not worker.commutes


def keep_writes_in_order(entries: Iterable[Task | Step]) -> None:
    """Let each of these wait for the one before it; none comes before what it needs."""
    before: Task | Step | None = None
    for entry in entries:
        if before is not None and not before.over and entry not in before.feeds:
            before.feeds.append(entry)
            entry.waits += 1
        before = entry


def _streamed(
    entry: Task | Step, spec: Spec, lookup: Callable[[str], Task | Step | None]
) -> Iterator[str]:
    """The sources whose items a step takes as they end, unless it needs them otherwise too."""
    selection = selection_of(spec)
    if selection is None or not isinstance(entry, Step):
        return
    others = {name for _, leaf in step_leaves(spec) for name in names_of(leaf)} | {*spec.after}
    for source in selection.sources:
        if not isinstance(source, FromStep) or source.name in others:
            continue
        if selecting.streams(entry, source, lookup(source.name)):
            yield source.name
