"""How many tasks the entries of a plan become, before any of them starts.

A plain task is one. A step over a list that exists is counted exactly, with its shapers.
A step whose list is still to come has no number yet: it is none at least, and at most what bounds
it. What has a `when` may be none.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.runtime.estimate import Entry
from engine.runtime.inside import inside, runs
from engine.runtime.state import Loop, RunState, Step, Task
from engine.runtime.steps import selecting
from engine.runtime.steps.most import Most, tasks_of
from engine.sema.plans.values import FromStep

__all__ = ["entries_of"]


def entries_of(state: RunState, loop: Loop, planned: Iterable[Task | Step]) -> list[Entry]:
    """The entries of a plan that has not begun, in its order."""
    found: list[Entry] = []
    entries = list(planned)
    specs = {one.id: one.spec for one in entries if isinstance(one, Step)}
    bounds = Most(loop, specs, loop.round) if specs else None
    for one in entries:
        assert one.worker is not None
        fewest, most = _range(state, loop, one, bounds)
        if _has_test(one):
            fewest = 0
        steps = inside(state, loop, one.worker, one if isinstance(one, Task) else None)
        found.append(Entry(one.id, one.worker, fewest, most, steps, runs(loop, one.worker)))
    return found


def _has_test(one: Task | Step) -> bool:
    return (one.spec.when if isinstance(one, Step) else one.when) is not None


def _range(
    state: RunState, loop: Loop, one: Task | Step, bounds: Most | None
) -> tuple[int, int | None]:
    if not isinstance(one, Step):
        return 1, 1
    values = _values(state, loop, one)
    if values is not None:
        number = tasks_of(one.spec, values)
        return number, number
    assert bounds is not None
    return 0, bounds.of(one.id)


def _values(state: RunState, loop: Loop, step: Step) -> int | None:
    """How many values are selected; None where a part of the list is still to come."""
    selection = selecting.selection_of(step)
    for source in selection.sources:
        producer = loop.entry(source.name) if isinstance(source, FromStep) else None
        if producer is None or not producer.over:
            return None
    # A step of its own for the look: the one of the plan begins with nothing.
    return selecting.number_of(state, Step(step.spec, step.worker, loop, step.key, step.id))
