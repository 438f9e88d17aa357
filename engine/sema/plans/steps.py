"""The steps of a plan: one core for what a model decides and what an author writes.

A decision contains them as JSON (`engine.sema.plans.reading`), a `via plan` worker as records made
from its file. The machine runs both in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from engine.sema.plans.conditions import Test
from engine.sema.plans.selection import Selection
from engine.sema.plans.values import ABSENT, Leaf, leaves, names_of
from engine.source import Span

__all__ = [
    "EachStep",
    "Plan",
    "ReduceStep",
    "RepeatStep",
    "Step",
    "StepKind",
    "TaskStep",
    "base_of",
    "kind_of",
    "names_read",
    "producers_of",
    "selection_of",
    "shaper_leaves",
    "step_leaves",
]

StepKind = Literal["task", "each", "reduce", "repeat"]


class _Step(msgspec.Struct, frozen=True, kw_only=True):
    """What all steps have.

    Attributes:
        id: Its name in the plan.
        when: It is skipped if this does not hold; None: never.
        after: Tasks and steps whose end it waits for, whatever the end was.
        span: Where it is written; None in a decision.
    """

    id: str
    when: Test | None = None
    after: tuple[str, ...] = ()
    span: Span | None = None


class TaskStep(_Step, frozen=True, kw_only=True):
    """One task. `input` is a tree by the name of the input (`engine.sema.plans.values`)."""

    worker: str
    input: dict[str, Any]


class EachStep(_Step, frozen=True, kw_only=True):
    """One task for each value of a selection.

    Attributes:
        label: A tree that gives the text shown for an item; None: none.
        parallel: How many items run at a time, at most; None: as many as the policy allows.
        in_order: Items run one at a time, in the order of the selection.
        tolerate: How many items may fail before the step does: a number, or a share below 1;
            None: all but one.
    """

    worker: str
    input: dict[str, Any]
    each: Selection
    label: Any = None
    parallel: int | None = None
    in_order: bool = False
    tolerate: int | float | None = None


class ReduceStep(_Step, frozen=True, kw_only=True):
    """A tree of calls that combine at most `size` values each, until one is left.

    `empty` is the value for a selection of nothing; without it (`ABSENT`) the step fails.
    """

    worker: str
    input: dict[str, Any]
    reduce: Selection
    size: int
    empty: Any = ABSENT


class RepeatStep(_Step, frozen=True, kw_only=True):
    """Passes over `steps` until a test holds, at most `max`; authors only.

    Attributes:
        gives: The step whose output a pass gives.
        start: A tree that gives the first `last`; None: null.
        settle: Whether the last pass is accepted if the test never holds.
    """

    steps: tuple[Step, ...]
    until: Test
    max: int
    gives: str
    start: Any = None
    settle: bool = False


Step = TaskStep | EachStep | ReduceStep | RepeatStep


class Plan(msgspec.Struct, frozen=True):
    """The body of a `via plan` worker.

    Attributes:
        steps: In the order of the file; a step refers to earlier ones only.
        result: A tree that gives its output.
        max_items: How many tasks its steps become, at most, in one run of it.
        most: How many tasks each step becomes, as far as the types say: None where they do not.
            By the name of the step; one inside a `repeat` has its name before it (`final.draft`),
            and the number is that of all passes.
    """

    steps: tuple[Step, ...]
    result: Any
    max_items: int
    most: Mapping[str, int | None] = {}

    def calls(self) -> Iterator[tuple[str, str]]:
        """Each step that calls a worker, by its name as in `most`, with the worker."""
        yield from _calls(self.steps, "")


def _calls(steps: tuple[Step, ...], head: str) -> Iterator[tuple[str, str]]:
    for step in steps:
        if isinstance(step, RepeatStep):
            yield from _calls(step.steps, f"{head}{step.id}.")
        else:
            yield f"{head}{step.id}", step.worker


def kind_of(step: Step) -> StepKind:
    """Which form a step has."""
    match step:
        case TaskStep():
            return "task"
        case EachStep():
            return "each"
        case ReduceStep():
            return "reduce"
        case RepeatStep():
            return "repeat"


def selection_of(step: Step) -> Selection | None:
    """The selection of an `each` or a `reduce`."""
    match step:
        case EachStep():
            return step.each
        case ReduceStep():
            return step.reduce
        case TaskStep() | RepeatStep():
            return None


def shaper_leaves(selection: Selection) -> Iterator[tuple[str, Leaf]]:
    """Each leaf of the shapers of a selection, with its place in the JSON form; not its sources."""
    if selection.where is not None:
        for path, leaf in selection.where.leaves():
            yield f"/where{path}", leaf
    for name in ("unique_by", "sort_by", "take"):
        yield from leaves(getattr(selection, name), f"/{name}")


def step_leaves(step: Step) -> Iterator[tuple[str, Leaf]]:
    """Each leaf of a step with the place it is written at, as a JSON Pointer in its JSON form.

    The sources of a selection are not leaves of it; those of a `repeat` are only its own, not
    those of the steps in it.
    """
    if step.when is not None:
        for path, leaf in step.when.leaves():
            yield f"/when{path}", leaf
    selection = selection_of(step)
    if selection is not None:
        head = "/each" if isinstance(step, EachStep) else "/reduce"
        for path, leaf in shaper_leaves(selection):
            yield head + path, leaf
    match step:
        case RepeatStep():
            for path, leaf in step.until.leaves():
                yield f"/until{path}", leaf
            yield from leaves(step.start, "/start")
        case TaskStep() | EachStep() | ReduceStep():
            yield from leaves(step.input, "/input")
    if isinstance(step, EachStep):
        yield from leaves(step.label, "/label")
    if isinstance(step, ReduceStep) and step.empty is not ABSENT:
        yield from leaves(step.empty, "/empty")


# ---------------------------------------------------------------- names


def producers_of(step: Step) -> Iterator[str]:
    """The names that a step needs to be over, those of its sources included."""
    yield from step.after
    if isinstance(step, RepeatStep):
        inside = {inner.id for inner in step.steps}
        for inner in step.steps:
            yield from (name for name in inner.after if base_of(name) not in inside)
    yield from names_read(step)


def base_of(name: str) -> str:
    """The step that an item belongs to: `r` of `r[3]`; any other name is its own."""
    return name.partition("[")[0] if name.endswith("]") else name


def names_read(step: Step) -> Iterator[str]:
    """The names that the values of a step are made from, those of its sources included."""
    selection = selection_of(step)
    for source in () if selection is None else selection.sources:
        yield from names_of(source)
    for _, leaf in step_leaves(step):
        yield from names_of(leaf)
    if isinstance(step, RepeatStep):
        inside = {inner.id for inner in step.steps}
        for inner in step.steps:
            yield from (name for name in names_read(inner) if base_of(name) not in inside)
