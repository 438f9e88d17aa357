"""How many tasks the entries of a plan become, before any of them starts.

A plain task is one. A step over a list that exists is counted exactly, with its shapers.
A step whose list is still to come has no number yet: it is none at least, and at most what bounds
it. What has a `when` may be none.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.bounds.amounts import least, plus
from engine.runtime.estimate import Entry
from engine.runtime.inside import inside, runs
from engine.runtime.state import Loop, RunState, Step, Task
from engine.runtime.steps import selecting
from engine.sema.plans.counts import reduce_calls
from engine.sema.plans.steps import ReduceStep
from engine.sema.plans.values import FromStep

__all__ = ["entries_of"]


def entries_of(state: RunState, loop: Loop, planned: Iterable[Task | Step]) -> list[Entry]:
    """The entries of a plan that has not begun, in its order."""
    found: dict[str, Entry] = {}
    for one in planned:
        assert one.worker is not None
        fewest, most = _range(state, loop, one, found)
        if _has_test(one):
            fewest = 0
        steps = inside(state, loop, one.worker, one if isinstance(one, Task) else None)
        found[one.id] = Entry(one.id, one.worker, fewest, most, steps, runs(loop, one.worker))
    return list(found.values())


def _has_test(one: Task | Step) -> bool:
    return (one.spec.when if isinstance(one, Step) else one.when) is not None


def _range(
    state: RunState, loop: Loop, one: Task | Step, before: dict[str, Entry]
) -> tuple[int, int | None]:
    if not isinstance(one, Step):
        return 1, 1
    values = _values(state, loop, one)
    if values is not None:
        number = _tasks(one, values)
        return number, number
    bound = _most_values(loop, one, before)
    return 0, None if bound is None else _tasks(one, bound)


def _tasks(step: Step, values: int) -> int:
    """How many tasks a step makes of so many values."""
    spec = step.spec
    return (
        max(reduce_calls(values, spec.size), values == 1)
        if isinstance(spec, ReduceStep)
        else values
    )


def _values(state: RunState, loop: Loop, step: Step) -> int | None:
    """How many values are selected; None where a part of the list is still to come."""
    selection = selecting.selection_of(step)
    for source in selection.sources:
        producer = loop.entry(source.name) if isinstance(source, FromStep) else None
        if producer is None or not producer.over:
            return None
    # A step of its own for the look: the one of the plan begins with nothing.
    return selecting.number_of(state, Step(step.spec, step.worker, loop, step.key, step.id))


def _most_values(loop: Loop, step: Step, before: dict[str, Entry]) -> int | None:
    """The most values that can be selected of a list that is still to come."""
    selection = selecting.selection_of(step)
    bounds = [loop.orchestrator.policy.max_items]
    if isinstance(selection.take, int):
        bounds.append(selection.take)
    sources = [
        before.get(source.name) if isinstance(source, FromStep) and not source.at else None
        for source in selection.sources
    ]
    if selection.flatten is None and all(s is not None and _is_each(loop, s) for s in sources):
        bounds.append(plus(*(source.most for source in sources if source is not None)))
    return least(*bounds)


def _is_each(loop: Loop, entry: Entry) -> bool:
    """Whether an entry of the plan gives one value for each of its tasks."""
    return any(
        isinstance(one, Step) and one.id == entry.id and not isinstance(one.spec, ReduceStep)
        for one in loop.current.planned
    )
