"""The tasks and steps of a frame: made, connected, let in when what they need is over.

A frame is one run of a `via plan` worker, or one pass of a `repeat`. The steps of a decision are
made and connected by `engine.runtime.planning`, and let in here like all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from engine.errors import Failure
from engine.runtime import dispatch
from engine.runtime.state import Frame, RunState, Step, Task, Todo
from engine.runtime.steps import each, limits, selecting
from engine.runtime.steps.filling import find, names_of
from engine.sema.model import Orchestrator, Worker
from engine.sema.plans.steps import RepeatStep, TaskStep, selection_of, step_leaves
from engine.sema.plans.steps import Step as Spec
from engine.sema.plans.values import FromStep

__all__ = ["connect", "enter", "producers_of"]


def enter(state: RunState, frame: Frame, specs: Sequence[Spec]) -> None:
    """Make the tasks and steps of a frame and let in those that wait for nothing."""
    plain = [spec for spec in specs if isinstance(spec, TaskStep)]
    entries: list[Task | Step] = [_made(state, frame, spec) for spec in specs]
    frame.open = len(entries)
    failure = limits.take_tasks(frame.loop, frame, [spec.worker for spec in plain])
    for entry, spec in zip(entries, specs, strict=True):
        connect(entry, spec, lambda name: find(frame.loop, frame, name))
    for entry in entries:
        if failure is not None:
            fail(state, entry, failure)
        elif entry.waits == 0:
            let_in(state, entry)


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
    return owner.decided_tainted and not owner.cleared


def producers_of(spec: Spec) -> Iterator[str]:
    """The names that a step needs to be over, those of its sources included."""
    yield from spec.after
    for _, leaf in step_leaves(spec):
        yield from names_of(leaf)
    selection = selection_of(spec)
    if selection is not None:
        for source in selection.sources:
            yield from names_of(source)
    if isinstance(spec, RepeatStep):
        inside = {inner.id for inner in spec.steps}
        for inner in spec.steps:
            yield from (name for name in producers_of(inner) if name not in inside)


def connect(entry: Task | Step, spec: Spec, lookup: Callable[[str], Task | Step | None]) -> None:
    """Let a task or step wait for what it needs; a source that streams is not waited for."""
    streamed = set(_streamed(entry, spec, lookup))
    for name in dict.fromkeys(producers_of(spec)):
        # An item is made later than this: its step is waited for.
        producer = lookup(name) or lookup(name.partition("[")[0])
        if producer is None or producer is entry or producer.over or name in streamed:
            continue
        producer.feeds.append(entry)
        entry.waits += 1


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
