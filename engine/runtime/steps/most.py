"""How many tasks the entries of a decision become, at most, as far as is known when it is accepted.

What earlier rounds gave is known; what the same decision gives is bounded by its own entries, by
`take`, and by `max_items`. Flattened lists and the outputs of tasks are bounded by `max_items`
only. How many there are exactly, where the lists exist, is in `engine.runtime.counting`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.runtime.state import Loop, Step, Task
from engine.runtime.steps.filling import view_of
from engine.sema.plans.counts import reduce_calls
from engine.sema.plans.json_form import read_step
from engine.sema.plans.selection import Selection
from engine.sema.plans.steps import EachStep, ReduceStep, kind_of
from engine.sema.plans.steps import Step as Spec
from engine.sema.plans.values import FromStep, at_pointer

__all__ = ["Most", "tasks_of", "with_kind_and_most"]


def with_kind_and_most(
    loop: Loop, entries: Sequence[Mapping[str, Any]], number: int
) -> list[dict[str, Any]]:
    """The entries of the decision of a round, each with its `kind` and its `most` tasks.

    Args:
        number: The number of the round.
    """
    specs = {entry["id"]: read_step(entry) for entry in entries}
    most = Most(loop, specs, number)
    return [
        {**entry, "kind": kind_of(specs[entry["id"]]), "most": most.of(entry["id"])}
        for entry in entries
    ]


def tasks_of(spec: Spec, values: int) -> int:
    """How many tasks a step makes of so many values."""
    if isinstance(spec, ReduceStep):
        # A single value of another type than the result takes a call, too.
        return max(reduce_calls(values, spec.size), values == 1)
    return values


class Most:
    """The numbers of one decision's entries, each once.

    Args:
        specs: The entries that are steps, by id.
        number: The number of the round.
    """

    def __init__(self, loop: Loop, specs: Mapping[str, Spec], number: int) -> None:
        assert loop.orchestrator.policy.max_items is not None
        self._loop = loop
        self._specs = specs
        self._number = number
        self._limit = loop.orchestrator.policy.max_items
        self._known: dict[str, int] = {}

    def of(self, name: str) -> int:
        """How many tasks an entry becomes, at most."""
        if name not in self._known:
            self._known[name] = self._limit  # while it is counted: what refers to itself
            spec = self._specs[name]
            found = 1
            if isinstance(spec, EachStep):
                found = self._values(spec.each)
            elif isinstance(spec, ReduceStep):
                found = self._values(spec.reduce)
            self._known[name] = min(tasks_of(spec, found), self._limit)
        return self._known[name]

    def _values(self, selection: Selection) -> int:
        taken = selection.take if isinstance(selection.take, int) else None
        if selection.flatten is not None:
            found = self._limit if taken is None else taken
        else:
            entries = selection.entries
            found = sum(self._source(source, entries) for source in selection.sources)
        return found if taken is None else min(found, taken)

    def _source(self, source: Any, entries: bool) -> int:
        if not isinstance(source, FromStep):
            return self._limit
        if isinstance(self._specs.get(source.name), EachStep) and not source.at and not entries:
            return self.of(source.name)
        entry = self._loop.entry(source.name)
        if entry is None or not entry.over or entry.round >= self._number:
            return self._limit
        value = at_pointer(_given(entry, source), source.at)
        return len(value) if isinstance(value, dict if entries else list) else 0


def _given(entry: Task | Step, source: FromStep) -> Any:
    if isinstance(entry, Step) and source.view != "outputs":
        return view_of(entry, source.view)
    return entry.output
