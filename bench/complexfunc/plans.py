"""A goal's recorded calls as a plan: calls that differ only by an item of a list become an `each`.

A list in what an earlier call answered is the source, `where` keeps the items that the record has
calls for, and what differs between the calls is taken from the item. Or the calls follow the items
of an earlier `each`, one call an item. What cannot be said so stays a task. Nothing here is the
engine's: the plan is searched for in the record, and the engine then has to make the same calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.complexfunc.data import Call, Goal, pointer_of, reference_of, resolved
from bench.complexfunc.program import worker_name


@dataclass
class Plan:
    """A goal as one decision.

    Attributes:
        entries: Its tasks and steps.
        ids: The id of each recorded call's task: its label, or that of an item.
        steps: How many entries are an `each`.
    """

    entries: list[dict[str, Any]]
    ids: dict[str, str]
    steps: int


@dataclass
class _Found:
    """Where the items of a group are from: a source, and the number of each call's item in it."""

    selection: dict[str, Any]
    pointers: dict[str, str]
    numbers: list[int]


def plan_of(goal: Goal) -> Plan:
    """The plan of a goal; its entries are in the order in which each call's group first appears."""
    making = _Making(goal)
    for call in goal.output:
        if call.label not in making.ids:
            making.add(call)
    return Plan(making.entries, making.ids, making.steps)


class _Making:
    def __init__(self, goal: Goal) -> None:
        self.goal = goal
        self.responses = {call.label: call.response for call in goal.output}
        self.arguments = {call.label: resolved(goal, call) for call in goal.output}
        self.entries: list[dict[str, Any]] = []
        self.ids: dict[str, str] = {}
        self.members: dict[str, list[Call]] = {}
        self.steps = 0

    def add(self, call: Call) -> None:
        group = [
            other
            for other in self.goal.output
            if other.name == call.name
            and other.label not in self.ids
            and self._needs(other) <= self.ids.keys()
            and other.arguments.keys() == call.arguments.keys()
        ]
        found = self._items_of(group) if len(group) > 1 else None
        name, worker = call.label, worker_name(call.name)
        if found is None:
            self.ids[name] = name
            self.entries.append({"id": name, "worker": worker, "input": self._input(call, {})})
            return
        step = f"all_{name}"
        for member, number in zip(group, found.numbers, strict=True):
            self.ids[member.label] = f"{step}[{number}]"
        self.members[step] = group
        values = {argument: {"$item": pointer} for argument, pointer in found.pointers.items()}
        entry = {"id": step, "worker": worker, "each": found.selection}
        self.entries.append({**entry, "input": self._input(call, values)})
        self.steps += 1

    def _needs(self, call: Call) -> set[str]:
        references = map(reference_of, call.arguments.values())
        return {reference.label for reference in references if reference is not None}

    def _input(self, call: Call, values: dict[str, Any]) -> dict[str, Any]:
        filled = {}
        for name, value in call.arguments.items():
            reference = reference_of(value)
            if name in values:
                value = values[name]
            elif reference is not None:
                at = pointer_of(reference, self.responses[reference.label])
                value = {"$from": self.ids[reference.label], "at": at}
            filled[name] = value
        return filled

    def _items_of(self, group: list[Call]) -> _Found | None:
        """A list whose items have all that differs between the calls of a group."""
        given = [self.arguments[call.label] for call in group]
        differs = [
            name for name in given[0] if any(not _same(one[name], given[0][name]) for one in given)
        ]
        if not differs:
            return None
        for step, members in self.members.items():
            found = self._of_step(step, members, given, differs)
            if found is not None:
                return found
        for label in self.ids:
            for at, values in _lists(self.responses[label], ""):
                found = self._of_list(label, at, values, given, differs)
                if found is not None:
                    return found
        return None

    def _of_step(
        self, step: str, members: list[Call], given: list[dict[str, Any]], differs: list[str]
    ) -> _Found | None:
        """One call an item of an earlier step."""
        if len(members) != len(given):
            return None
        found = _matched([call.response for call in members], given, differs)
        if found is None or sorted(found[1]) != list(range(len(members))):
            return None
        numbers = [self.ids[members[place].label] for place in found[1]]
        inside = [int(number.partition("[")[2][:-1]) for number in numbers]
        return _Found({"$from": step}, found[0], inside)

    def _of_list(
        self,
        label: str,
        at: str,
        values: list[Any],
        given: list[dict[str, Any]],
        differs: list[str],
    ) -> _Found | None:
        """Some items of a list, told apart by one of the arguments."""
        found = _matched(values, given, differs)
        if found is None or len(set(found[1])) != len(given):
            return None
        pointers, places = found
        for name in differs:
            wanted = [one[name] for one in given]
            kept = [
                place
                for place, value in enumerate(values)
                if any(_same(_at(value, pointers[name]), one) for one in wanted)
            ]
            if kept == sorted(places):
                test = {"value": {"$item": pointers[name]}, "is": "in", "than": wanted}
                selection: dict[str, Any] = {"$from": self.ids[label], "where": [[test]]}
                return _Found({**selection, **({"at": at} if at else {})}, pointers, places)
        return None


_NOTHING = object()


def _matched(
    values: list[Any], given: list[dict[str, Any]], differs: list[str]
) -> tuple[dict[str, str], list[int]] | None:
    """Pointers into the values that give what differs, and the place of each call's value."""
    options: list[dict[str, str]] = []
    first = given[0]
    for value in values:
        at_each = {
            name: [p for p, part in _scalars(value, "") if _same(part, first[name])]
            for name in differs
        }
        if all(at_each.values()):
            options.append({name: pointers[0] for name, pointers in at_each.items()})
            if len(options) == 3:
                break
    for pointers in options:
        places = []
        for one in given:
            fits = [
                place
                for place, value in enumerate(values)
                if all(_same(_at(value, pointers[name]), one[name]) for name in differs)
            ]
            if len(fits) != 1:
                break
            places += fits
        else:
            return pointers, places
    return None


def _same(value: Any, other: Any) -> bool:
    # As text, for Python holds 1, 1.0 and True for equal.
    return value is not _NOTHING and json.dumps(value) == json.dumps(other)


def _at(value: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        else:
            return _NOTHING
    return value


def _scalars(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    """The texts and numbers in a value that no list leads to, with their pointers."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _scalars(part, f"{at}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield at, value


def _lists(value: Any, at: str) -> Iterator[tuple[str, list[Any]]]:
    """The lists of objects in a value, with their pointers."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _lists(part, f"{at}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list) and value:
        if all(isinstance(item, dict) for item in value):
            yield at, value
        for place, item in enumerate(value):
            yield from _lists(item, f"{at}/{place}")
