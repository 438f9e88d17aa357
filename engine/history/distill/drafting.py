"""From the entries of a run to the draft of a plan: inputs, steps, result.

Every value that a planner wrote is looked for in what it had seen. What is found becomes a
reference, what is not becomes an input of the plan with the value as its default: a call without it
repeats the run, and a call with another value is a second goal. Null and what is empty stay as they
are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.history.distill.entries import Entry, Names, common_name
from engine.history.distill.gathering import Gatherer, add_output
from engine.history.distill.origins import Origins, canonical
from engine.history.distill.rewriting import has_leaf, map_step, map_tree
from engine.history.distill.types import (
    Types,
    is_choice,
    type_at,
    type_of_value,
)
from engine.sema.model import Orchestrator
from engine.sema.plans.orch_form import Chained, value_text
from engine.sema.plans.selection import number_text
from engine.sema.plans.steps import EachStep, ReduceStep, Step, TaskStep
from engine.sema.plans.values import ABSENT, FromInput, FromStep, Leaf
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
        types: Writes types.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        given: dict[str, Any],
        entries: list[Entry],
        chosen: frozenset[int],
        types: Types,
    ) -> None:
        self.orchestrator = orchestrator
        self.types = types
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
            add_output(self.origins, entry)

    def gather(self) -> None:
        """Replace tasks whose inputs walk over a list by one `each`."""
        gatherer = Gatherer(self.entries, self.by_id, self.origins, self._written_list)
        gatherer.gather()
        self.entries, self._items = gatherer.entries, gatherer.items

    def _written_list(self, entry: Entry, name: str, values: list[Any]) -> FromInput:
        """An input of the plan with the values that the planner wrote, one for each task."""
        type_ = self._input_type(entry, name)
        text = type_of_value(values) if type_ is None else self.types.list_text(_not_null(type_))
        most = max(self.orchestrator.policy.max_per_round, len(values))
        own = self._names.take(name if name.endswith("s") else f"{name}s", "values")
        self._add_written(own, f"{text} @items(max: {most})", values)
        return FromInput(f"/{own}")

    # ------------------------------------------------------------ values

    def bind(self) -> None:
        """Replace the values that the planner wrote, and the references of its decisions."""
        for entry in self.entries:
            step = map_step(self._bound(entry), self._moved)
            assert isinstance(step, TaskStep | EachStep | ReduceStep)
            input = {name: self._whole(tree) for name, tree in step.input.items()}
            after = tuple(dict.fromkeys(self._step_of(id) for id in step.after))
            entry.step = msgspec.structs.replace(step, input=input, after=after)
            if isinstance(entry.step, ReduceStep | EachStep):
                entry.step = _gathered_sources(entry.step, self.by_id)

    def _step_of(self, id: str) -> str:
        """The id of the step that a task has become, or its own."""
        return self._items[id][0].id if id in self._items else id

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
        own = None if has_leaf(tree) else self._written.get((name, canonical(tree)))
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
        if not has_leaf(tree):
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
        text = type_of_value(value) if type_ is None else self.types.text(_not_null(type_))
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
            type_ = entry.worker.output.type
            each = isinstance(entry.step, EachStep)
            output = self.types.list_text(type_) if each else self.types.text(type_)
            if leaf.view == "pairs":
                output = f"{{ index: json, item: json, output: {self.types.text(type_)} }}[]"
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
        if not has_leaf(tree):
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
                text = self.types.field_text(msgspec.structs.replace(one, name=own))
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


def _not_null(type_: Type) -> Type:
    return type_.item if isinstance(type_, Optional) else type_


def _gathered_sources(step: ReduceStep | EachStep, by_id: dict[str, Entry]) -> Step:
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
