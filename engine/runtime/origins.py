"""Where the values of a task's input came from: which outputs, and which parts of them.

A decision's references say so themselves. An item's values lead through its step: to the output
that its step selected from, or to the item of an earlier step, whose values lead on in turn. What
is asked of an origin (is it tainted, may it be shown) is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from engine.runtime.state import Frame, Loop, Step, Task
from engine.runtime.steps.filling import find
from engine.runtime.steps.selecting import selection_of
from engine.sema.plans.conditions import ENDS, Test
from engine.sema.plans.selection import Number, Selection
from engine.sema.plans.steps import EachStep, ReduceStep, RepeatStep
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
    names_of,
)

__all__ = ["Origin", "control_origins", "finish_origins", "origins", "passed_on"]


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


def finish_origins(loop: Loop, tree: Any) -> Iterator[Origin]:
    """Each origin of a result that refers to outputs."""
    for path, leaf in leaves(tree):
        if not isinstance(leaf, FromStep):
            continue
        producer = find(loop, None, leaf.name)
        if producer is None:
            continue
        outputs = leaf.view == "outputs"
        yield Origin(path, producer, leaf.at if outputs else None)
        if not outputs and isinstance(producer, Step):
            # The other views show its items, too.
            yield from _of_sources(producer, path)


def _has_input(step: Step | None) -> bool:
    return step is not None and hasattr(step.spec, "input")


def control_origins(entry: Task | Step) -> Iterator[Origin]:
    """The origins of what decides whether, how often or in what order something runs."""
    step = entry.step if isinstance(entry, Task) else entry
    if step is not None:
        yield from _of_control(step)
    elif isinstance(entry, Task) and entry.when is not None:
        yield from _of_test(entry, "/when", entry.when)
    frame = entry.frame
    while frame is not None:
        owner = frame.owner
        if isinstance(owner, Step):
            yield from _of_control(owner)
        frame = frame.outer


def _of_control(step: Step) -> Iterator[Origin]:
    """What decides how often a step runs its worker, or its passes."""
    spec = step.spec
    if spec.when is not None:
        yield from _of_test(step, "/when", spec.when)
    if isinstance(spec, RepeatStep):
        for frame in step.passes:
            for leaf in _looked_at(spec.until):
                yield from _of_name_leaf(step, "/until", leaf, frame)
        return
    selection = selection_of(step)
    yield from _of_sources(step, "/each")
    if selection.where is not None:
        yield from _of_test(step, "/each/where", selection.where)
    for shaper in (selection.unique_by, selection.sort_by, selection.take):
        for _, leaf in leaves(shaper):
            yield from _of_name_leaf(step, "/each", leaf)


def _of_test(entry: Task | Step, path: str, test: Test) -> Iterator[Origin]:
    for leaf in _looked_at(test):
        yield from _of_name_leaf(entry, path, leaf)


def _looked_at(test: Test) -> Iterator[Leaf]:
    """The leaves of a test whose values it reads; how something ended is not one."""
    if test.computed is not None:
        yield test.computed
    for group in test.any_of:
        for condition in group:
            if condition.operator not in ENDS:
                for tree in (condition.value, condition.than):
                    yield from (leaf for _, leaf in leaves(tree))


def _of_sources(step: Step, path: str) -> Iterator[Origin]:
    for source in selection_of(step).sources:
        yield from _of_name_leaf(step, path, source)


def _of_name_leaf(
    entry: Task | Step, path: str, leaf: Any, frame: Frame | None = None
) -> Iterator[Origin]:
    """What a leaf leads to that is not an item's: names, inputs of a plan, `last`."""
    frame = frame or entry.frame
    if isinstance(leaf, FromInput):
        yield from _plan_inputs(frame, path)
        return
    outputs = isinstance(leaf, FromStep) and leaf.view == "outputs"
    for name in names_of(leaf):
        producer = find(entry.loop, frame, name)
        if producer is None:
            continue
        yield Origin(path, producer, leaf.at if outputs else None)
        if not outputs and isinstance(producer, Step) and isinstance(producer.spec, EachStep):
            # The other views show its items too, and an expression may look at those.
            yield from _of_sources(producer, path)
    if isinstance(leaf, Computed):
        yield from _plan_inputs(frame, path)
    if isinstance(leaf, FromLast | Computed):
        yield from _of_last(frame, path)


def _of_leaf(task: Task, path: str, leaf: Leaf) -> Iterator[Origin]:
    step = task.step
    match leaf:
        case FromItem():
            if step is not None:
                yield from _of_item(step, task.number, path, leaf.at)
        case FromStep() | FromInput() | FromLast():
            yield from _of_name_leaf(task, path, leaf)
        case Parts():
            if step is not None:
                yield from _of_parts(task, path)
        case Computed():
            yield from _of_name_leaf(task, path, leaf)
            if step is not None:
                if isinstance(step.spec, EachStep):
                    yield from _of_item(step, task.number, path, None)
                else:
                    yield from _of_parts(task, path)
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
    while frame is not None and isinstance(frame.owner, Task):
        frame = frame.outer
    if frame is None:
        return
    step = frame.owner
    assert isinstance(step, Step)
    spec: Any = step.spec
    for earlier in step.passes:
        given = earlier.tasks.get(spec.gives) or earlier.steps.get(spec.gives)
        if given is not None and given.over:
            yield Origin(path, given, "")
    for _, leaf in leaves(spec.start):
        yield from _of_name_leaf(step, path, leaf)


def _of_parts(task: Task, path: str) -> Iterator[Origin]:
    """The parts of a call of a `reduce`: values of its sources, or what its calls gave."""
    step = task.step
    assert step is not None
    assert isinstance(step.spec, ReduceStep)
    level, group = task.number
    size = step.spec.size
    for place in range(group * size, min((group + 1) * size, len(step.levels[level]))):
        yield from _of_part(step, level, place, path)


def _of_part(step: Step, level: int, place: int, path: str) -> Iterator[Origin]:
    """One value of a level of a `reduce`."""
    assert isinstance(step.spec, ReduceStep)
    while level:
        call = step.items.get((level - 1, place))
        if call is not None:
            yield Origin(path, call, "")
            return
        level, place = level - 1, place * step.spec.size  # it was passed up without a call
    yield from _of_item(step, step.collected[place][0], path, "")


def passed_on(step: Step) -> Iterator[Origin]:
    """The origins of a value that a `reduce` gives without a call: its only one, or `empty`."""
    assert isinstance(step.spec, ReduceStep)
    if step.collected:
        yield from _of_part(step, 0, 0, "")
    else:
        for path, leaf in leaves(step.spec.empty):
            yield from _of_name_leaf(step, path, leaf)


def _of_item(step: Step, number: Number, path: str, at: str | None) -> Iterator[Origin]:
    """(A part of) a value of a selection: a part of an output, or of an item of a step before."""
    selection = selection_of(step)
    source = selection.sources[number[0] if selection.several else 0]
    if not isinstance(source, FromStep):
        yield from _of_name_leaf(step, path, source)
        return
    producer = find(step.loop, step.frame, source.name)
    if producer is None:
        return
    rest = number[1:] if selection.several else number
    if isinstance(producer, Step) and isinstance(producer.spec, EachStep):
        if source.at:
            yield from _of_name_leaf(step, path, source)
        else:
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
    """A value of a view of an earlier step; one that got no task has said nothing."""
    inner = ""
    if selection.flatten is not None:
        inner = f"{selection.flatten}/{number[-1]}"
        number = number[:-1]
    item = producer.items.get(number)
    where = None if at is None else inner + at
    if source.view == "outputs":
        if item is not None:
            yield Origin(path, item, where)
        return
    field, rest = (None, None) if not where else (where.split("/")[1], _without_first(where))
    if field in (None, "item"):
        yield from _of_item(producer, number, path, rest)
    if item is None:
        return
    if source.view == "pairs" and field in (None, "output"):
        yield Origin(path, item, rest)
    elif source.view == "failures" and field in (None, "message"):
        yield Origin(path, item, None)


def _without_first(pointer: str) -> str:
    """A JSON Pointer after its first token."""
    rest = pointer[1:].partition("/")
    return f"/{rest[2]}" if rest[1] else ""
