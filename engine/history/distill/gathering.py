"""Tasks that a planner wrote one by one, as one `each` where their inputs walk over a list.

A task that becomes an item keeps its place among the items that are done, so that references to it
still lead to its output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from engine.history.distill.entries import Entry
from engine.history.distill.ordering import reach
from engine.history.distill.origins import Origins, Place, canonical, is_common
from engine.history.distill.rewriting import has_leaf, tree_leaves
from engine.history.distill.walks import FEWEST, Walk, find_walk
from engine.sema.plans.selection import Selection
from engine.sema.plans.steps import EachStep, TaskStep
from engine.sema.plans.values import FromInput, FromItem, FromStep

__all__ = ["Gatherer", "add_output"]


def add_output(origins: Origins, entry: Entry) -> None:
    """Add what an entry gave, and the pairs of its items."""
    if entry.output is not None:
        origins.add_output(entry.id, entry.output, entry.order, entry.round)
    if len(entry.items) > 1:
        place = Place(FromStep(entry.id, view="pairs"), entry.order, entry.round, "")
        origins.lists.append((place, entry.pairs))


class Gatherer:
    """Gathers the tasks of one plan.

    Args:
        write: Makes an input of the plan for values that the planner listed, one a task.

    Attributes:
        entries: What there is, with tasks replaced by the step that they have become.
        items: By the id of a gathered task: the step, and the place of its output, if it has one.
    """

    def __init__(
        self,
        entries: list[Entry],
        by_id: dict[str, Entry],
        origins: Origins,
        write: Callable[[Entry, str, list[Any]], FromInput],
    ) -> None:
        self.entries = list(entries)
        self.items: dict[str, tuple[Entry, int | None]] = {}
        self._by_id = by_id
        self._origins = origins
        self._write = write

    def gather(self) -> None:
        """Look at the plain tasks of each round, worker by worker."""
        for tasks in list(_alike(self.entries)):
            if len(tasks) < 2 or self._gather(tasks):
                continue
            for parts in _apart(tasks):
                # Whole lists, or nothing: parts of parts would be guesses.
                made = [self._gather(part) for part in parts if len(part) >= FEWEST]
                if any(made):
                    break

    def _gather(self, group: list[Entry]) -> bool:
        """Replace a group by one step; whether that was possible."""
        first = group[0]
        names = _different(group)
        if not names or not any(entry.status == "done" for entry in group):
            return False
        if any(reach(entry, self._by_id) & {one.id for one in group} for entry in group):
            return False  # they need each other
        walk = find_walk([entry.given for entry in group], names, self._lists(group))
        walk = walk or self._written(group, names)
        if walk is None:
            return False
        made = _as_step(group, walk)
        done = [entry.id for entry in group if entry.status == "done"]
        for entry in group:
            place = done.index(entry.id) if entry.status == "done" else None
            self.items[entry.id] = (made, place)
        at = self.entries.index(first)
        self.entries[at : at + 1] = [made]
        self.entries = [entry for entry in self.entries if entry.id not in self.items]
        self._by_id[made.id] = made
        add_output(self._origins, made)
        return True

    def _lists(self, group: list[Entry]) -> list[tuple[Place, list[Any]]]:
        """The lists that a group may walk over: those it refers to, inputs, then the latest."""
        named = {
            leaf.name
            for entry in group
            for leaf in tree_leaves(_input(entry))
            if isinstance(leaf, FromStep)
        }

        def is_named(place: Place) -> bool:
            return isinstance(place.leaf, FromStep) and place.leaf.name in named

        def rank(one: tuple[Place, list[Any]]) -> tuple[bool, bool, int, int]:
            place = one[0]
            return not is_named(place), place.order > 0, -place.order, place.leaf.at.count("/")

        before = group[0].round
        known = [one for one in self._origins.lists if one[0].round < before or is_named(one[0])]
        return sorted(known, key=rank)

    def _written(self, group: list[Entry], names: list[str]) -> Walk | None:
        """A walk over a list of the plan's own, if one value of each task is in nothing seen."""
        name = names[0]
        values = [entry.given[name] for entry in group]
        if len(names) > 1 or len(group) < FEWEST:
            return None
        if any(has_leaf(_input(entry).get(name)) for entry in group):
            return None
        if any(isinstance(value, dict | list) or is_common(value) for value in values):
            return None
        before = group[0].round
        if any(self._origins.find(value, name, before) for value in values):
            return None
        texts = [value for value in values if isinstance(value, str)]
        if any(self._origins.joined(text, name, before) for text in texts):
            return None
        selection = Selection((self._write(group[0], name, values),))
        return Walk(selection, {name: FromItem()}, True, values)


def _as_step(group: list[Entry], walk: Walk) -> Entry:
    """The step that a group becomes."""
    first = group[0]
    input = {name: walk.inputs.get(name, tree) for name, tree in _input(first).items()}
    id = f"\n{first.order}"  # no decision has such an id
    step = EachStep(
        id=id,
        worker=first.worker.name,
        input=input,
        each=walk.selection,
        # The effects of one decision keep the order in which they were written.
        in_order=first.changes_something and not first.commutes,
    )
    made = Entry(id, first.round, first.order, step, first.worker, "done")
    pairs = zip(group, walk.items, strict=True)
    made.items = [(item, entry.output) for entry, item in pairs if entry.status == "done"]
    made.output = [output for _, output in made.items]
    made.comments = [f"in the run, {len(group)} tasks that the planner wrote one by one"]
    if not walk.whole:
        made.comments.append(
            "the planner chose these values of the list; the selection is a guess at why"
        )
    return made


def _input(entry: Entry) -> dict[str, Any]:
    assert isinstance(entry.step, TaskStep)
    return entry.step.input


def _alike(entries: list[Entry]) -> Iterator[list[Entry]]:
    """The plain tasks of one round with the same worker and the same inputs by name."""
    groups: dict[tuple[int, str, frozenset[str]], list[Entry]] = {}
    for entry in entries:
        step = entry.step
        if isinstance(step, TaskStep) and step.when is None and not step.after and entry.given:
            key = (entry.round, entry.worker.name, frozenset(entry.given))
            groups.setdefault(key, []).append(entry)
    yield from groups.values()


def _apart(group: list[Entry]) -> Iterator[list[list[Entry]]]:
    """A group in parts that differ in one input only, for each input that may be that one."""
    names = _different(group)
    for name in names if len(names) > 1 else ():
        parts: dict[bytes, list[Entry]] = {}
        for entry in group:
            rest = {key: value for key, value in entry.given.items() if key != name}
            parts.setdefault(canonical(rest), []).append(entry)
        yield list(parts.values())


def _different(group: list[Entry]) -> list[str]:
    """The inputs that are not the same in all tasks."""
    return [
        name
        for name in _input(group[0])
        if len({canonical(entry.given.get(name)) for entry in group}) > 1
    ]
