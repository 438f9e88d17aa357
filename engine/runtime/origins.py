"""Where the values of a task's input came from: which outputs, and which parts of them.

A decision's references say so themselves. An item's values lead through its step: to the output
that its step selected from, or to the item of an earlier step, whose values lead on in turn. What
is asked of an origin (is it tainted, may it be shown) is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from engine.runtime.state import Frame, Step, Task
from engine.runtime.steps.filling import find, names_of
from engine.runtime.steps.selecting import selection_of
from engine.sema.plans.selection import Number, Selection
from engine.sema.plans.steps import EachStep
from engine.sema.plans.values import (
    Computed,
    FromInput,
    FromItem,
    FromLast,
    FromStep,
    Index,
    Leaf,
    Parts,
    leaves,
)

__all__ = ["Origin", "control_origins", "origins"]


class Origin(msgspec.Struct, frozen=True):
    """One place that a part of an input came from.

    Attributes:
        path: The part of the input, as a JSON Pointer.
        producer: The task, or the step as a whole; where it is a plan worker's task in whose plan
            the input is filled, that task's own input.
        at: The part of the producer's output, as a JSON Pointer; None: any part of it, or of why
            it failed.
        inside: Whether `producer` is the plan worker's task around it.
    """

    path: str
    producer: Task | Step
    at: str | None = ""
    inside: bool = False


def origins(task: Task) -> Iterator[Origin]:
    """Each origin of a task's input."""
    if task.step is None and task.tree is None:
        for reference in task.references:
            producer = task.loop.entry(reference.task)
            if producer is not None:
                yield Origin(reference.path, producer, reference.at)
        return
    tree = task.step.spec.input if _has_input(task.step) else task.tree  # type: ignore[union-attr]
    for path, leaf in leaves(tree):
        yield from _of_leaf(task, path, leaf)


def _has_input(step: Step | None) -> bool:
    return step is not None and hasattr(step.spec, "input")


def control_origins(entry: Task | Step) -> Iterator[Origin]:
    """The origins of what decides whether, how often or in what order something runs."""
    step = entry.step if isinstance(entry, Task) else entry
    spec: Any = None if step is None else step.spec
    when = spec.when if spec is not None else getattr(entry, "when", None)
    if when is not None:
        for path, leaf in when.leaves():
            yield from _of_name_leaf(entry, f"/when{path}", leaf)
    if step is not None and hasattr(spec, "input"):
        for source in selection_of(step).sources:
            yield from _of_name_leaf(step, "/each", source)
        outer = step.frame
        if outer is not None and isinstance(outer.owner, Step):
            yield from control_origins(outer.owner)


def _of_name_leaf(entry: Task | Step, path: str, leaf: Any) -> Iterator[Origin]:
    if isinstance(leaf, FromInput):
        yield from _plan_inputs(entry.frame, path)
        return
    at = leaf.at if isinstance(leaf, FromStep) and leaf.view == "outputs" else None
    for name in names_of(leaf):
        producer = find(entry.loop, entry.frame, name)
        if producer is not None:
            yield Origin(path, producer, at)
    if isinstance(leaf, Computed):
        yield from _plan_inputs(entry.frame, path)


def _of_leaf(task: Task, path: str, leaf: Leaf) -> Iterator[Origin]:
    step = task.step
    match leaf:
        case FromItem():
            if step is not None:
                yield from _of_item(task, path, leaf.at)
        case FromStep() | FromInput():
            yield from _of_name_leaf(task, path, leaf)
        case Parts():
            if step is not None:
                yield from _of_parts(step, path)
        case FromLast():
            yield from _of_last(task.frame, path)
        case Computed():
            yield from _of_name_leaf(task, path, leaf)
            if step is not None:
                if isinstance(step.spec, EachStep):
                    yield from _of_item(task, path, None)
                else:
                    yield from _of_parts(step, path)
            yield from _of_last(task.frame, path)
        case Index():
            return


def _plan_inputs(frame: Frame | None, path: str) -> Iterator[Origin]:
    """The inputs of the plan worker around a task."""
    at = frame
    while at is not None:
        if isinstance(at.owner, Task):
            yield Origin(path, at.owner, None, inside=True)
        at = at.outer


def _of_last(frame: Frame | None, path: str) -> Iterator[Origin]:
    if frame is None or not isinstance(frame.owner, Step):
        return
    step = frame.owner
    spec: Any = step.spec
    for earlier in step.passes:
        given = earlier.tasks.get(spec.gives) or earlier.steps.get(spec.gives)
        if given is not None and given.over:
            yield Origin(path, given, "")
    for _, leaf in leaves(spec.start):
        yield from _of_name_leaf(step, path, leaf)


def _of_parts(step: Step, path: str) -> Iterator[Origin]:
    """The parts of a call of a `reduce`: values of its sources, or what its calls gave."""
    for source in selection_of(step).sources:
        yield from _of_name_leaf(step, path, source)
    for task in step.items.values():
        if task.over:
            yield Origin(path, task, "")


def _of_item(task: Task, path: str, at: str | None) -> Iterator[Origin]:
    """(A part of) an item: a part of an output, or of an item of the step before."""
    step = task.step
    assert step is not None
    selection = selection_of(step)
    number = task.number
    place = number[0] if selection.several else 0
    source = selection.sources[place]
    if not isinstance(source, FromStep):
        yield from _of_name_leaf(step, path, source)
        return
    producer = find(step.loop, step.frame, source.name)
    if producer is None:
        return
    rest = number[1:] if selection.several else number
    if isinstance(producer, Step) and isinstance(producer.spec, EachStep) and not source.at:
        yield from _through(producer, source, selection, rest, path, at)
        return
    yield Origin(path, producer, _pointer(source, selection, rest, at))


def _pointer(source: FromStep, selection: Selection, number: Number, at: str | None) -> str | None:
    """Where in an output an item is from."""
    if at is None or selection.entries:
        return None
    inner = f"{selection.flatten}/{number[1]}" if selection.flatten is not None else ""
    return f"{source.at}/{number[0]}{inner}{at}"


def _through(
    producer: Step,
    source: FromStep,
    selection: Selection,
    number: Number,
    path: str,
    at: str | None,
) -> Iterator[Origin]:
    """A value of a view of an earlier step."""
    inner = ""
    if selection.flatten is not None:
        inner = f"{selection.flatten}/{number[-1]}"
        number = number[:-1]
    item = producer.items.get(number)
    if item is None:
        return  # it was dropped, and has said nothing
    where = None if at is None else inner + at
    if source.view == "outputs":
        yield Origin(path, item, where)
    elif where is None or source.view == "failures":
        yield Origin(path, item, None)
        yield from _of_item(item, path, None)
    elif where == "" or where.startswith("/item"):
        if where == "":
            yield Origin(path, item, "")
        yield from _of_item(item, path, where.removeprefix("/item"))
    elif where.startswith("/output"):
        yield Origin(path, item, where.removeprefix("/output"))
