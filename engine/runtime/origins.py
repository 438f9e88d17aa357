"""Where the values of a task's input came from: which outputs, and which parts of them.

A decision's references say so themselves. An item's values lead through its step: to the output
that its step selected from, or to the item of an earlier step, whose values lead on in turn. What
is asked of an origin (is it tainted, may it be shown) is not decided here. What no output gave,
such as what a planner typed, has no origin; `engine.runtime.sources` tells that too.
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
    ABSENT,
    Computed,
    FromInput,
    FromItem,
    FromLast,
    FromStep,
    Index,
    Leaf,
    Parts,
    at_pointer,
    leaves,
    names_of,
)

__all__ = [
    "Origin",
    "control_origins",
    "is_under",
    "leaf_origins",
    "origins",
    "passed_on",
    "result_origins",
    "tree_of",
    "under",
]


class Origin(msgspec.Struct, frozen=True):
    """One place that a part of an input came from.

    Attributes:
        path: The part of the input, as a JSON Pointer.
        producer: The task, or the step as a whole; where it is a plan worker's task in whose plan
            the input is filled, that task's own input.
        at: The part of the producer's output (or input), as a JSON Pointer; None: any part of it,
            or of why it failed.
        inside: Whether `producer` is the plan worker's task around it.
        words: Whether it can hold words; the number of an item cannot.
        made: Whether an expression made the part from what is there.
    """

    path: str
    producer: Task | Step
    at: str | None = ""
    inside: bool = False
    words: bool = True
    made: bool = False


def origins(task: Task) -> Iterator[Origin]:
    """Each origin of a task's input."""
    if task.step is None and task.tree is None:
        for reference in task.references:
            producer = task.loop.entry(reference.task)
            if producer is not None:
                yield Origin(reference.path, producer, reference.at)
        return
    for path, leaf in leaves(tree_of(task)):
        yield from leaf_origins(task, path, leaf)


def tree_of(task: Task) -> Any:
    """What a task's input is filled from; None where the decision has it as it is."""
    step = task.step
    return step.spec.input if _has_input(step) else task.tree  # type: ignore[union-attr]


def result_origins(loop: Loop, tree: Any) -> Iterator[Origin]:
    """Each origin of a result that an orchestrator has decided on.

    Args:
        tree: The result, with its references as records.
    """
    for path, leaf in leaves(tree):
        yield from _of_name_leaf(loop, None, path, leaf)


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
    spec, loop, frame = step.spec, step.loop, step.frame
    if spec.when is not None:
        yield from _of_test(step, "/when", spec.when)
    if isinstance(spec, RepeatStep):
        for each_pass in step.passes:
            for leaf in _looked_at(spec.until):
                yield from _of_name_leaf(loop, each_pass, "/until", leaf)
        return
    selection = selection_of(step)
    yield from _of_sources(step, "/each")
    if selection.where is not None:
        yield from _of_test(step, "/each/where", selection.where)
    for shaper in (selection.unique_by, selection.sort_by, selection.take):
        for _, leaf in leaves(shaper):
            yield from _of_name_leaf(loop, frame, "/each", leaf)


def _of_test(entry: Task | Step, path: str, test: Test) -> Iterator[Origin]:
    for leaf in _looked_at(test):
        yield from _of_name_leaf(entry.loop, entry.frame, path, leaf)


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
        yield from _of_name_leaf(step.loop, step.frame, path, source)


def _of_name_leaf(loop: Loop, frame: Frame | None, path: str, leaf: Any) -> Iterator[Origin]:
    """What a leaf leads to that is not an item's: names, inputs of a plan, `last`."""
    if isinstance(leaf, FromInput):
        yield from _plan_input(frame, path, leaf.at)
        return
    made = isinstance(leaf, Computed)
    outputs = isinstance(leaf, FromStep) and leaf.view == "outputs"
    for name in names_of(leaf):
        producer = find(loop, frame, name)
        if producer is None:
            continue
        yield Origin(path, producer, leaf.at if outputs else None, made=made)
        if not outputs and isinstance(producer, Step) and isinstance(producer.spec, EachStep):
            # The other views show its items too, and an expression may look at those.
            for origin in _of_sources(producer, path):
                yield msgspec.structs.replace(origin, at=_any_part(origin), made=True)
    if isinstance(leaf, Computed):
        yield from _read_inputs(frame, path, leaf)
    if isinstance(leaf, FromLast):
        yield from _of_last(frame, path, leaf.at)
    elif isinstance(leaf, Computed) and "last" in leaf.expression.names:
        for origin in _of_last(frame, path, ""):
            yield msgspec.structs.replace(origin, path=path, at=_any_part(origin), made=True)


def _any_part(origin: Origin) -> str | None:
    """Where what an expression read was: which input of a plan, but no part of an output."""
    return origin.at if origin.inside else None


def leaf_origins(task: Task, path: str, leaf: Leaf) -> Iterator[Origin]:
    """The origins of one leaf of the tree that a task's input is filled from."""
    step = task.step
    match leaf:
        case FromItem():
            if step is not None:
                yield from _of_item(step, task.number, path, leaf.at)
        case FromStep() | FromInput() | FromLast():
            yield from _of_name_leaf(task.loop, task.frame, path, leaf)
        case Parts():
            if step is not None:
                yield from _of_parts(task, path)
        case Computed():
            yield from _of_name_leaf(task.loop, task.frame, path, leaf)
            if step is not None:
                yield from _read_items(step, task, path)
        case Index():
            return


def _read_items(step: Step, task: Task, path: str) -> Iterator[Origin]:
    """What an expression may read of the item, or of the parts, that a task is about."""
    if isinstance(step.spec, EachStep):
        found = _of_item(step, task.number, path, None)
    else:
        found = _of_parts(task, path)
    for origin in found:
        yield msgspec.structs.replace(origin, path=path, at=_any_part(origin), made=True)


def _plan_of(frame: Frame | None) -> Frame | None:
    """The frame of the plan worker that a frame is in."""
    while frame is not None and not isinstance(frame.owner, Task):
        frame = frame.outer
    return frame


def _plan_input(frame: Frame | None, path: str, at: str | None) -> Iterator[Origin]:
    """(A part of) the inputs of the plan worker around a task."""
    plan = _plan_of(frame)
    if plan is not None:
        assert isinstance(plan.owner, Task)
        yield Origin(path, plan.owner, at, inside=True)


def _read_inputs(frame: Frame | None, path: str, leaf: Computed) -> Iterator[Origin]:
    """The inputs of the plan worker around a task that an expression reads."""
    plan = _plan_of(frame)
    if plan is None:
        return
    assert isinstance(plan.owner, Task)
    for name in sorted(leaf.expression.names & plan.inputs.keys()):
        yield Origin(path, plan.owner, under("", name), inside=True, made=True)


def _of_last(frame: Frame | None, path: str, at: str) -> Iterator[Origin]:
    """(A part of) what the pass before gave; for the first one, what the passes start with."""
    while frame is not None and isinstance(frame.owner, Task):
        frame = frame.outer
    if frame is None:
        return
    step = frame.owner
    assert isinstance(step, Step)
    spec: Any = step.spec
    number = step.passes.index(frame) if frame in step.passes else None
    if number is None:  # a retry of the run has taken the pass back
        yield Origin(path, step, None)
    elif number:
        earlier = step.passes[number - 1]
        given = earlier.tasks.get(spec.gives) or earlier.steps.get(spec.gives)
        if given is not None:
            yield Origin(path, given, at)
    if number:
        return
    tree, rest = _part_of_tree(spec.start, at)
    for inner, leaf in leaves(tree):
        if rest and isinstance(leaf, FromStep | FromInput | FromLast):
            leaf = msgspec.structs.replace(leaf, at=leaf.at + rest)
        yield from _of_name_leaf(step.loop, step.frame, path + inner, leaf)


def _part_of_tree(tree: Any, at: str) -> tuple[Any, str]:
    """What is at a JSON Pointer in a tree, and the rest of the pointer where a leaf is above it."""
    tokens = at.split("/")[1:]
    for place, token in enumerate(tokens):
        found = at_pointer(tree, f"/{token}")
        if found is ABSENT:
            is_leaf = any(path == "" for path, _ in leaves(tree))
            return (tree, "".join(f"/{one}" for one in tokens[place:])) if is_leaf else (None, "")
        tree = found
    return tree, ""


def _of_parts(task: Task, path: str) -> Iterator[Origin]:
    """The parts of a call of a `reduce`: values of its sources, or what its calls gave."""
    step = task.step
    assert step is not None
    assert isinstance(step.spec, ReduceStep)
    level, group = task.number
    if level >= len(step.levels):  # a retry of the run has taken the step's values back
        yield from _of_sources(step, path)
        return
    first = group * step.spec.size
    for place in range(first, min(first + step.spec.size, len(step.levels[level]))):
        yield from _of_part(step, level, place, f"{path}/{place - first}")


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
            yield from _of_name_leaf(step.loop, step.frame, path, leaf)


def _of_item(step: Step, number: Number, path: str, at: str | None) -> Iterator[Origin]:
    """(A part of) a value of a selection: a part of an output, or of an item of a step before."""
    selection = selection_of(step)
    source = selection.sources[number[0] if selection.several else 0]
    rest = number[1:] if selection.several else number
    if isinstance(source, FromInput):
        where = _pointer(source, selection, rest, at)
        made = where is None
        yield from (
            msgspec.structs.replace(origin, made=made)
            for origin in _plan_input(step.frame, path, source.at if made else where)
        )
        return
    if not isinstance(source, FromStep):
        yield from _of_name_leaf(step.loop, step.frame, path, source)
        return
    producer = find(step.loop, step.frame, source.name)
    if producer is None:
        return
    if isinstance(producer, Step) and isinstance(producer.spec, EachStep) and not source.at:
        yield from _through(producer, source, selection, rest, path, at)
        return
    if source.view != "outputs":
        yield from _of_name_leaf(step.loop, step.frame, path, source)
        return
    yield Origin(path, producer, _pointer(source, selection, rest, at))


def _pointer(
    source: FromStep | FromInput, selection: Selection, number: Number, at: str | None
) -> str | None:
    """Where in an output, or in the inputs of a plan, an item is from."""
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
    gave = "output" if source.view == "pairs" else "message"
    fields: dict[str, tuple[str, str | None]]
    if where:
        fields = {where.split("/")[1]: (path, _without_first(where))}
    else:  # all of it: each field at its place, or all at one where an expression read it
        names = ("index", "item", gave, *(("mode",) if gave == "message" else ()))
        fields = {name: (path, None) if where is None else (f"{path}/{name}", "") for name in names}
    for name, (place, rest) in fields.items():
        if name == "item":
            yield from _of_item(producer, number, place, rest)
        elif name != gave:
            yield Origin(place, producer, None, words=False)
        elif item is not None:
            yield Origin(place, item, rest if gave == "output" else None)
        else:
            yield Origin(place, producer, None, words=False)


def _without_first(pointer: str) -> str:
    """A JSON Pointer after its first token."""
    rest = pointer[1:].partition("/")
    return f"/{rest[2]}" if rest[1] else ""


def under(pointer: str, token: str | int) -> str:
    """The JSON Pointer of a key or index inside what a pointer leads to."""
    return f"{pointer}/{token if token.__class__ is int else escaped(str(token))}"


def is_under(pointer: str, path: str) -> bool:
    """Whether a JSON Pointer is a path, or leads into what the path leads to."""
    return pointer.startswith(path) and pointer[len(path) : len(path) + 1] in ("", "/")


def escaped(token: str) -> str:
    """A key as a token of a JSON Pointer."""
    return token.replace("~", "~0").replace("/", "~1")
