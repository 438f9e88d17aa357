"""From the entries of a run to the draft of a plan: inputs, steps, result.

Every value that a planner wrote is looked for in what it had seen. What is found becomes a
reference, what is not becomes an input of the plan with the value as its default: a call without it
repeats the run, and a call with another value is a second goal. Null and what is empty stay as they
are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.history.distill.entries import Entry, Names, common_name
from engine.history.distill.ordering import reach
from engine.history.distill.origins import Origins, Place, canonical, is_common
from engine.history.distill.rewriting import map_step, map_tree, tree_leaves
from engine.history.distill.types import (
    field_text,
    is_choice,
    type_at,
    type_of_value,
    type_text,
)
from engine.history.distill.walks import FEWEST, Walk, find_walk
from engine.sema.model import Orchestrator
from engine.sema.plans.orch_form import Chained, value_text
from engine.sema.plans.selection import Selection, number_text
from engine.sema.plans.steps import EachStep, ReduceStep, Step, TaskStep
from engine.sema.plans.values import ABSENT, FromInput, FromItem, FromStep, Leaf, at_pointer
from engine.sema.types.definitions import Optional, Record, Type

__all__ = ["Draft", "Drafter", "Input"]

#: `r[3]`, an item of a step.
_ITEM = re.compile(r"(.+)\[(\d+(?:\.\d+)*)\]")


@dataclass(eq=False)
class Input:
    """An input of the plan.

    Attributes:
        text: As it is written in the signature.
        written: Whether it is a value that the planner wrote.
    """

    name: str
    text: str
    written: bool = False


@dataclass(eq=False)
class Draft:
    """A plan that is not checked yet; references have the names of steps.

    Attributes:
        entries: Its steps, in an order in which each reads earlier ones only.
        result: A tree.
        output: The type of the result, as text; for a record by the name of each field.
        notes: What a reader is told about the whole.
    """

    inputs: list[Input]
    entries: list[Entry]
    result: Any
    output: str | dict[str, str]
    notes: list[str] = field(default_factory=list)


class Drafter:
    """Drafts the steps of one plan.

    Args:
        orchestrator: Who decided.
        given: Its input in the run.
        entries: Everything that was decided, in order.
        chosen: The rounds that the plan is made of.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        given: dict[str, Any],
        entries: list[Entry],
        chosen: frozenset[int],
    ) -> None:
        self.orchestrator = orchestrator
        self.entries = [entry for entry in entries if entry.round in chosen]
        self.by_id = {entry.id: entry for entry in entries}
        self.origins = Origins()
        self.notes: list[str] = []
        self._outside = {entry.id for entry in entries if entry.round not in chosen}
        record = orchestrator.inputs.type
        assert isinstance(record, Record)
        self._fields = {one.name: one for one in record.fields}
        self._names = Names()
        self._renamed = {name: self._names.take(name, "input") for name in self._fields}
        self._inputs: dict[str, Input] = {}
        self._written: dict[tuple[str, bytes], str] = {}
        #: Of a task that has become an item: the entry and its place among those that are done.
        self._items: dict[str, tuple[Entry, int | None]] = {}
        for name, value in given.items():
            self.origins.add_input(self._renamed.get(name, name), value)
        for entry in entries:
            self._add_output(entry)

    def _add_output(self, entry: Entry) -> None:
        if entry.output is not None:
            self.origins.add_output(entry.id, entry.output, entry.order, entry.round)
        if len(entry.items) > 1:
            place = Place(FromStep(entry.id, view="pairs"), entry.order, entry.round, "")
            self.origins.lists.append((place, entry.pairs))

    # ------------------------------------------------------------ tasks that are one step

    def gather(self) -> None:
        """Replace tasks whose inputs walk over a list by one `each`."""
        for number in sorted({entry.round for entry in self.entries}):
            tasks: dict[str, list[Entry]] = {}
            for entry in self.entries:
                step = entry.step
                is_plain = isinstance(step, TaskStep) and step.when is None and not step.after
                if entry.round == number and is_plain and entry.given:
                    tasks.setdefault(entry.worker.name, []).append(entry)
            for together in tasks.values():
                for group in _alike(together):
                    self._gather(group)

    def _gather(self, group: list[Entry]) -> None:
        first = group[0]
        constants, names = _constants(group)
        if len(group) < 2 or not names or all(entry.status == "failed" for entry in group):
            return
        if any(reach(entry, self.by_id) & {one.id for one in group} for entry in group):
            return  # they need each other
        walk = find_walk([entry.given for entry in group], names, self._lists(group))
        if walk is None:
            walk = self._written_list(group, names)
        if walk is None:
            return
        assert isinstance(first.step, TaskStep)
        input = {name: walk.inputs.get(name, constants.get(name)) for name in first.step.input}
        id = f"\n{first.order}"  # no decision has such an id
        step = EachStep(id=id, worker=first.step.worker, input=input, each=walk.selection)
        done = [entry for entry in group if entry.status == "done"]
        made = Entry(id, first.round, first.order, step, first.worker, "done")
        made.output = [entry.output for entry in done]
        made.items = [(self._item_of(walk, entry), entry.output) for entry in done]
        made.comments = [f"in the run, {len(group)} tasks that the planner wrote one by one"]
        if not walk.whole:
            made.comments.append(
                "the planner chose these values of the list; the selection is a guess at why"
            )
        for entry in group:
            place = done.index(entry) if entry.status == "done" else None
            self._items[entry.id] = (made, place)
        at = self.entries.index(first)
        members = {entry.id for entry in group}
        self.entries = [entry for entry in self.entries if entry.id not in members]
        self.entries.insert(min(at, len(self.entries)), made)
        self.by_id[id] = made
        self._add_output(made)

    def _item_of(self, walk: Walk, entry: Entry) -> Any:
        """The item that a task was about, as far as its inputs tell."""
        if all(leaf.at == "" for leaf in walk.inputs.values()):
            return entry.given[next(iter(walk.inputs))]
        source = walk.selection.sources[0]
        values = self._value_of(source) if isinstance(source, FromStep) else None
        for value in values if isinstance(values, list) else ():
            if all(
                canonical(at_pointer(value, leaf.at) if leaf.at else value)
                == canonical(entry.given[name])
                for name, leaf in walk.inputs.items()
                if at_pointer(value, leaf.at) is not ABSENT
            ):
                return value
        return None

    def _value_of(self, leaf: FromStep) -> Any:
        return self.by_id[leaf.name].at(leaf.at, leaf.view)

    def _lists(self, group: list[Entry]) -> list[tuple[Place, list[Any]]]:
        """The lists that a group may walk over: those it refers to, inputs, then the latest."""
        named: set[str] = set()
        for entry in group:
            for leaf in tree_leaves(entry.step.input):  # type: ignore[union-attr]
                if isinstance(leaf, FromStep):
                    named.add(leaf.name)
        before = group[0].round

        def rank(one: tuple[Place, list[Any]]) -> tuple[bool, bool, int, int]:
            leaf = one[0].leaf
            said = isinstance(leaf, FromStep) and leaf.name in named
            return not said, one[0].order > 0, -one[0].order, leaf.at.count("/")

        known = [
            (place, values)
            for place, values in self.origins.lists
            if place.round < before
            or (isinstance(place.leaf, FromStep) and place.leaf.name in named)
        ]
        return sorted(known, key=rank)

    def _written_list(self, group: list[Entry], names: list[str]) -> Walk | None:
        """An input of the plan with the values that the planner wrote, one for each task."""
        name = names[0]
        values = [entry.given[name] for entry in group]
        if len(names) > 1 or len(group) < FEWEST or _refers(group, name):
            return None
        if any(isinstance(value, dict | list) or is_common(value) for value in values):
            return None
        if any(self.origins.find(value, name, group[0].round) for value in values):
            return None
        type_ = self._input_type(group[0], name)
        text = type_of_value(values) if type_ is None else f"{_element_text(type_)}[]"
        most = max(self.orchestrator.policy.max_per_round, len(values))
        own = self._names.take(name if name.endswith("s") else f"{name}s", "values")
        self._add_written(own, f"{text} @items(max: {most})", values)
        return Walk(Selection((FromInput(f"/{own}"),)), {name: FromItem()}, True)

    # ------------------------------------------------------------ values

    def bind(self) -> None:
        """Replace the values that the planner wrote, and references to what is no step here."""
        for entry in self.entries:
            step = map_step(self._bound(entry), self._moved)
            assert isinstance(step, TaskStep | EachStep | ReduceStep)
            input = {name: self._whole(tree) for name, tree in step.input.items()}
            entry.step = msgspec.structs.replace(step, input=input)
            if isinstance(entry.step, ReduceStep | EachStep):
                entry.step = _gathered_sources(entry.step, self._items, self.by_id)

    def _bound(self, entry: Entry) -> Step:
        step = entry.step
        assert isinstance(step, TaskStep | EachStep | ReduceStep)
        input = {
            name: self._bind(tree, name, entry, self._input_type(entry, name))
            for name, tree in step.input.items()
        }
        return msgspec.structs.replace(step, input=input)

    def _input_type(self, entry: Entry, name: str) -> Type | None:
        return type_at(entry.worker.inputs.type, name)

    def _bind(self, tree: Any, name: str, entry: Entry, type_: Type | None) -> Any:
        own = None if _has_leaf(tree) else self._written.get((name, canonical(tree)))
        if own is not None:
            return FromInput(f"/{own}")
        found = self._found(tree, name, entry, type_)
        if found is not None:
            return found
        if tree is None or tree in ("", [], {}):
            return tree
        return self._write(tree, name, type_)

    def _found(self, tree: Any, name: str, entry: Entry, type_: Type | None) -> Any:
        """A tree in which at least a part is a reference; None if nothing of it is known."""
        if isinstance(tree, Leaf):
            return tree
        if not any(True for _ in tree_leaves(tree)) and not _has_leaf(tree):
            place = self.origins.find(tree, name, entry.round, choice=is_choice(type_))
            if place is not None:
                return place.leaf
        if isinstance(tree, str):
            return self.origins.joined(tree, name, entry.round)
        if not isinstance(tree, dict | list) or not tree:
            return None
        parts = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree))
        inner = {key: type_at(type_, str(key)) for key, _ in parts}
        known = {
            key: self._found(value, key if isinstance(key, str) else name, entry, inner[key])
            for key, value in parts
        }
        if all(value is None for value in known.values()):
            return None
        bound = {
            key: self._bind(value, key if isinstance(key, str) else name, entry, inner[key])
            if known[key] is None
            else known[key]
            for key, value in parts
        }
        return bound if isinstance(tree, dict) else list(bound.values())

    def _write(self, value: Any, name: str, type_: Type | None) -> FromInput:
        """An input of the plan for a value that is in nothing that the planner had seen."""
        own = self._written[name, canonical(value)] = self._names.take(name, "value")
        text = type_of_value(value) if type_ is None else type_text(_not_null(type_))
        self._add_written(own, text, value)
        return FromInput(f"/{own}")

    def _add_written(self, own: str, text: str, value: Any) -> None:
        self._inputs[own] = Input(own, f"{own}: {text} = {value_text(value)}", True)

    # ------------------------------------------------------------ references

    def _moved(self, leaf: Leaf) -> Any:
        """A reference as it is in the plan: to the step that a task is in, or to an input."""
        if not isinstance(leaf, FromStep):
            return leaf
        leaf = self._item_reference(leaf)
        if leaf.name in self._items:
            made, place = self._items[leaf.name]
            at = "" if place is None else f"/{place}{leaf.at}"
            return FromStep(made.id, at)
        if leaf.name in self._outside:
            return self._outer(leaf)
        return leaf

    def _whole(self, tree: Any) -> Any:
        """A tree in which a list of all outputs of a step is the step."""
        if isinstance(tree, dict):
            return {key: self._whole(value) for key, value in tree.items()}
        if not isinstance(tree, list) or not tree:
            return tree
        parts: list[Any] = []
        rest = list(tree)
        while rest:
            size = self._size_at(rest)
            if size:
                parts.append(FromStep(rest[0].name))
            elif parts and isinstance(parts[-1], list):
                parts[-1].append(self._whole(rest[0]))
            else:
                parts.append([self._whole(rest[0])])
            rest = rest[size or 1 :]
        return parts[0] if len(parts) == 1 else Chained(tuple(parts))

    def _size_at(self, values: list[Any]) -> int:
        """How many values at the beginning of a list are all outputs of one step; 0 if not."""
        first = values[0]
        if not isinstance(first, FromStep) or first.name not in self.by_id:
            return 0
        size = len(self.by_id[first.name].items)
        every = [FromStep(first.name, f"/{place}") for place in range(size)]
        return size if size > 1 and values[:size] == every else 0

    def _item_reference(self, leaf: FromStep) -> FromStep:
        """`r[7]` as the place of that item among the outputs."""
        match = _ITEM.fullmatch(leaf.name)
        if leaf.name in self.by_id or match is None or match[1] not in self.by_id:
            return leaf
        numbers = [number_text(number) for number in self.by_id[match[1]].numbers]
        if match[2] not in numbers:
            return leaf
        return FromStep(match[1], f"/{numbers.index(match[2])}{leaf.at}")

    def _outer(self, leaf: FromStep) -> FromInput:
        """An input for what another round gave."""
        entry = self.by_id[leaf.name]
        view = "" if leaf.view == "outputs" else f"_{leaf.view}"
        key = f"\n{leaf.name}{view}"
        own = self._renamed.get(key)
        if own is None:
            own = self._renamed[key] = self._names.take(f"{leaf.name}{view}", "value")
            output = type_text(entry.worker.output.type)
            if isinstance(entry.step, EachStep):
                output = f"({output})[]" if " | " in output else f"{output}[]"
            if leaf.view == "pairs":
                output = f"{{ index: json, item: json, output: {output.removesuffix('[]')} }}[]"
            if leaf.view == "failures":
                output = "{ index: json, item: json, mode: string, message: string }[]"
            self._inputs[own] = Input(own, f"{own}: {output}")
        return FromInput(f"/{own}{leaf.at}")

    # ------------------------------------------------------------ the result

    def bind_result(self, tree: Any, number: int) -> Any:
        """The result as references only; `ABSENT` if the planner wrote a part of it."""
        return self._whole(map_tree(self._composed(tree, "", number), self._moved))

    def _composed(self, tree: Any, name: str, number: int) -> Any:
        if isinstance(tree, Leaf):
            return tree
        if not _has_leaf(tree):
            place = self.origins.find(tree, name, number)
            if place is not None:
                return place.leaf
        if isinstance(tree, dict) and tree:
            parts = {key: self._composed(value, key, number) for key, value in tree.items()}
            return ABSENT if ABSENT in parts.values() else parts
        if isinstance(tree, list) and tree:
            items = [self._composed(value, name, number) for value in tree]
            return ABSENT if any(item is ABSENT for item in items) else items
        return ABSENT

    # ------------------------------------------------------------ inputs

    def inputs(self, used: set[str]) -> list[Input]:
        """The inputs of the plan that something reads: of the orchestrator, then the others."""
        found = []
        for name, one in self._fields.items():
            own = self._renamed[name]
            if own in used:
                text = field_text(msgspec.structs.replace(one, name=own))
                found.append(Input(own, text))
        return found + [one for name, one in self._inputs.items() if name in used]

    def name_steps(self, entries: Iterable[Entry]) -> dict[str, str]:
        """The name of each step, by its id."""
        members: dict[str, list[str]] = {}
        for id, (made, _) in self._items.items():
            members.setdefault(made.id, []).append(id)
        named = {}
        for entry in entries:
            instead = entry.worker.name.rpartition(".")[2]
            wanted = entry.id
            if entry.id in members:
                wanted = common_name(members[entry.id], f"every_{instead}")
            named[entry.id] = self._names.take(wanted, "step")
        return named


# ---------------------------------------------------------------- helpers


def _has_leaf(tree: Any) -> bool:
    if isinstance(tree, Leaf):
        return True
    if isinstance(tree, dict):
        return any(map(_has_leaf, tree.values()))
    return isinstance(tree, list) and any(map(_has_leaf, tree))


def _refers(group: list[Entry], name: str) -> bool:
    return any(_has_leaf(entry.step.input.get(name)) for entry in group)  # type: ignore[union-attr]


def _not_null(type_: Type) -> Type:
    return type_.item if isinstance(type_, Optional) else type_


def _element_text(type_: Type) -> str:
    text = str(_not_null(type_))
    return f"({text})" if " | " in text else text


def _constants(group: list[Entry]) -> tuple[dict[str, Any], list[str]]:
    """The inputs that are the same in all tasks, and the names of the others."""
    first = group[0]
    assert isinstance(first.step, TaskStep)
    constants, names = {}, []
    for name, tree in first.step.input.items():
        codes = {canonical(entry.given.get(name)) for entry in group}
        if len(codes) == 1:
            constants[name] = tree
        else:
            names.append(name)
    return constants, names


def _alike(tasks: list[Entry]) -> list[list[Entry]]:
    """Tasks of one worker that may be one step: all of them, or those that differ in one input."""
    keys = Counter(frozenset(entry.given) for entry in tasks)
    found = []
    for key in keys:
        same = [entry for entry in tasks if frozenset(entry.given) == key]
        found.append(same)
    return found


def _gathered_sources(
    step: ReduceStep | EachStep,
    items: dict[str, tuple[Entry, int | None]],
    by_id: dict[str, Entry],
) -> Step:
    """A selection from all outputs of a step, one after the other, as one that opens its list."""
    selection = step.each if isinstance(step, EachStep) else step.reduce
    sources = selection.sources
    first = sources[0]
    if len(sources) < 2 or not isinstance(first, FromStep) or not first.at.startswith("/0"):
        return step
    rest = first.at[2:]
    made = by_id.get(first.name)
    whole = [FromStep(first.name, f"/{place}{rest}") for place in range(len(sources))]
    if list(sources) != whole or made is None or len(made.items) != len(sources):
        return step
    if selection.flatten is not None or selection.entries:
        return step
    one = msgspec.structs.replace(
        selection, sources=(FromStep(first.name),), several=False, flatten=rest
    )
    key = "each" if isinstance(step, EachStep) else "reduce"
    return msgspec.structs.replace(step, **{key: one})
