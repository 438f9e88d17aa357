"""What is known to be wrong with the steps of a decision before any of it starts.

Unknown names, items of what has none, failed sources, lists that are not lists, pointers to what
cannot be there, tests that compare what cannot be compared, inputs that cannot fit, effects that a
`reduce` may not have, cycles. All of it is pure, over records and shapes (`engine.sema.plans`).
What is outside the decision is asked for by name. The form of an entry was checked before, in
`engine.runtime.step_contract`; what only values can tell is found when the step runs.

Only what is certain is denied. Null does not count when types are compared: a step with `when` may
give none, and then what needs it is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec

from engine.runtime.prompts import rejections
from engine.runtime.prompts import step_rejections as said
from engine.runtime.step_contract import place_of
from engine.sema.model import Orchestrator, Worker
from engine.sema.plans.conditions import Condition, Test
from engine.sema.plans.selection import Selection
from engine.sema.plans.shapes import (
    UNKNOWN,
    ListShape,
    SchemaShape,
    Shape,
    any_of,
    at,
    element,
    fits,
    item_of,
    kinds,
    near,
    view_of_step,
)
from engine.sema.plans.steps import (
    EachStep,
    ReduceStep,
    RepeatStep,
    Step,
    StepKind,
    TaskStep,
    base_of,
    kind_of,
    names_read,
    selection_of,
    step_leaves,
)
from engine.sema.plans.values import ABSENT, FromItem, FromStep, Index, Leaf, Parts, leaves
from engine.sema.suggest import closest
from engine.sema.types.json_schema import subschema_at

__all__ = ["Producer", "StepChecks", "depends_on"]

#: An item of a step by its number, such as `r[3]` or `r[3.0]`.
_ITEM = re.compile(r"(?P<base>[^\[\]]+)\[(?P<number>[^\[\]]*)\]")
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})*")
_ORDERED = ("<", "<=", ">", ">=")
_KIND_WORDS = {
    "boolean": "true or false",
    "number": "a number",
    "string": "a text",
    "array": "a list",
    "object": "an object",
}


class Producer(msgspec.Struct, frozen=True):
    """What is known of a task or step that others may refer to.

    Attributes:
        worker: The name of its worker.
        output: The shape of its output; of an `each`, of the output of one item.
        item: Of an `each`: the shape of one item.
        nested: Of an `each`: whether its numbers have several parts, as in `3.0`; None: unknown.
        failure: The mode that it failed with; None while it may have an output.
    """

    kind: StepKind
    worker: str
    output: Shape
    item: Shape = UNKNOWN
    nested: bool | None = None
    failure: str | None = None


class StepChecks:
    """The checks of one decision, whose entries may refer to each other in any order.

    Args:
        steps: Its entries.
        workers: What may be dispatched, by name.
        earlier: What is known of a task or step of an earlier decision, by name; it is asked for
            items (`r[3]`) too, and need not know them. None: there is none.
        names: The names that `earlier` knows, for suggestions.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        workers: Mapping[str, Worker | Orchestrator],
        earlier: Callable[[str], Producer | None] = lambda name: None,
        names: Iterable[str] = (),
    ) -> None:
        self._steps = {step.id: step for step in steps}
        self.workers = workers
        self._earlier = earlier
        self._names = names
        self._made: dict[str, Producer] = {}
        order, self._cycle = _ordered(self._steps)
        if self._cycle:
            # What is in a circle has no shape, and looking for it would not end.
            self._made = {step.id: _unknown(step) for step in steps}
        # One after the other: a long chain of steps must not become a deep recursion.
        for name in order:
            if not isinstance(self._steps[name], TaskStep):
                self._own(name)

    # ------------------------------------------------------------ what is asked

    def problems(self) -> Iterator[str]:
        """Everything that is wrong, entry by entry, one sentence each; cycles come last."""
        for step in self._steps.values():
            yield from self.problems_of(step)
        if self._cycle:
            yield said.cycle(self._cycle[:5])

    def problems_of(self, step: Step) -> Iterator[str]:
        """What is wrong with one entry, cycles aside."""
        found = _Findings(self, step)
        found.look()
        for problem in dict.fromkeys(found.problems):
            yield rejections.problem_of(step.id, problem)

    def finish_problems(self, tree: Any, output: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with the references of a result.

        Args:
            output: The schema that the result has to fit.
        """
        for path, leaf in leaves(tree):
            if not isinstance(leaf, FromStep):
                continue
            shape = self.shape_of(leaf, f"finish{path}", None)
            if isinstance(shape, str):
                yield shape
                continue
            wanted = subschema_at(output, path)
            if isinstance(wanted, dict) and not fits(_without_null(shape), wanted):
                yield said.finish_does_not_fit(path, _name_of(leaf))

    def producer(self, name: str) -> Producer | None:
        """What is known of a task, a step or an item; None if there is no such one."""
        found = self._own(name) or self._earlier(name)
        if found is not None:
            return found
        split = _ITEM.fullmatch(name)
        if split is None or not _NUMBER.fullmatch(split["number"]):
            return None
        base = self._own(split["base"]) or self._earlier(split["base"])
        if base is None or base.kind not in ("each", "reduce"):
            return None
        return Producer("task", base.worker, base.output)

    # ------------------------------------------------------------ shapes

    def shape_of(self, leaf: FromStep, place: str, step: Step | None) -> Shape | str:
        """The shape of what a reference leads to, or what is wrong with it.

        Args:
            place: Where the reference is, as messages name it.
            step: The entry that holds it.
        """
        if step is not None and base_of(leaf.name) == step.id:
            return said.refers_to_itself(place)
        producer = self.producer(leaf.name)
        if producer is None:
            return self._no_producer(leaf.name, place)
        if leaf.view != "outputs" and producer.kind != "each":
            return said.no_view(place, leaf.name, leaf.view)
        # What has finished of a step that failed can still be read.
        if producer.failure is not None and leaf.view == "outputs":
            return said.refers_to_failed(place, leaf.name, producer.failure)
        whole = producer.output
        if producer.kind == "each":
            whole = view_of_step(leaf.view, producer.item, producer.output)
        found = at(whole, leaf.at)
        if found is None:
            what = _name_of(FromStep(leaf.name, view=leaf.view))
            return said.nothing_at(
                place, f"{what} ({producer.worker})", leaf.at, near(whole, leaf.at)
            )
        return found

    def _no_producer(self, name: str, place: str) -> str:
        split = _ITEM.fullmatch(name)
        base = name if split is None else split["base"]
        if split is not None:
            known = self._own(base) or self._earlier(base)
            if known is not None and known.kind not in ("each", "reduce"):
                return said.no_items(place, name, base)
            if known is not None:
                return said.not_a_number(place, name[:60])
        close = closest(base, [*self._steps, *self._names])
        named = base if re.fullmatch(r"[A-Za-z0-9_.\-]{1,64}", base) else None
        return said.no_such_source(place, named, close)

    def _own(self, name: str) -> Producer | None:
        step = self._steps.get(name)
        if step is None:
            return None
        if name not in self._made:
            # Until more is known: it may refer to itself.
            self._made[name] = _unknown(step)
            self._made[name] = self._make(step)
        return self._made[name]

    def _make(self, step: Step) -> Producer:
        if isinstance(step, RepeatStep) or step.worker not in self.workers:
            return self._made[step.id]
        output: Shape = SchemaShape(self.workers[step.worker].output.schema)
        selection = selection_of(step)
        if selection is None:
            return Producer("task", step.worker, output)
        item, _ = self.selected(selection, step)
        if isinstance(step, EachStep):
            return Producer("each", step.worker, output, item, self._nested(selection))
        # A single value passes through without a call.
        given: list[Shape] = [item, output]
        if isinstance(step, ReduceStep) and step.empty is not ABSENT:
            plain = not any(leaves(step.empty))
            given.append(SchemaShape({"const": step.empty}) if plain else UNKNOWN)
        return Producer("reduce", step.worker, SchemaShape(any_of(given)))

    def _nested(self, selection: Selection) -> bool | None:
        if selection.several or selection.flatten is not None:
            return True
        source = selection.sources[0]
        if not isinstance(source, FromStep) or source.at or selection.entries:
            return False
        producer = self.producer(source.name)
        if producer is None:
            return None
        return producer.nested if producer.kind == "each" else False

    def selected(self, selection: Selection, step: Step) -> tuple[Shape, list[str]]:
        """The shape of one value of a selection, before `where`, and what is wrong with it."""
        head = "each" if isinstance(step, EachStep) else "reduce"
        problems: list[str] = []
        shapes: dict[int, Shape] = {}
        for source in selection.sources:
            if not isinstance(source, FromStep):
                continue
            shape = self.shape_of(source, head, step)
            if isinstance(shape, str):
                problems.append(shape)
                continue
            shapes[id(source)] = shape
            one = msgspec.structs.replace(selection, sources=(source,))
            _, wrong = item_of(one, lambda given: shapes[id(given)])
            match wrong:
                case "no list":
                    problems.append(said.not_a_list(head, _name_of(source)))
                case "no map":
                    problems.append(said.not_a_map(head, _name_of(source)))
                case "no flatten":
                    problems.append(_not_flattened(head, selection.flatten or "", shape))
        if problems:
            return UNKNOWN, problems
        return item_of(selection, lambda given: shapes.get(id(given), UNKNOWN))[0], []


def _not_flattened(head: str, pointer: str, source: Shape) -> str:
    """What is said of values in which `flatten` finds no list."""
    inner = element(source)
    close = None if inner is None or not pointer else near(inner, pointer)
    found = None if inner is None or close is None else at(inner, close)
    is_list = found is not None and element(found) is not None
    return said.nothing_to_flatten(head, pointer, close if is_list else None)


def _unknown(step: Step) -> Producer:
    return Producer(kind_of(step), "" if isinstance(step, RepeatStep) else step.worker, UNKNOWN)


class _Findings:
    """The problems of one entry, while it is looked at."""

    def __init__(self, checks: StepChecks, step: Step) -> None:
        self.problems: list[str] = []
        self._checks = checks
        self._step = step
        self._item: Shape = UNKNOWN

    def look(self) -> None:
        step = self._step
        selection = selection_of(step)
        if selection is not None:
            self._item, problems = self._checks.selected(selection, step)
            self.problems += problems
            self._shapers(selection, "each" if isinstance(step, EachStep) else "reduce")
        if step.when is not None:
            self._test(step.when, "when")
        for name in step.after:
            # The end of a failed one has come: it can be waited for.
            if base_of(name) == step.id:
                self.problems.append(said.refers_to_itself("after"))
            elif self._checks.producer(name) is None:
                found = self._checks.shape_of(FromStep(name), "after", step)
                assert isinstance(found, str)
                self.problems.append(found)
        if not isinstance(step, RepeatStep):
            self._input(step)
        for path, leaf in step_leaves(step):
            if path.startswith(("/label", "/empty")):
                self._shape(leaf, place_of(path))

    # ------------------------------------------------------------ inputs

    def _input(self, step: TaskStep | EachStep | ReduceStep) -> None:
        worker = self._checks.workers[step.worker]
        has_parts = False
        for path, leaf in leaves(step.input):
            place = f"input{path}"
            wanted = subschema_at(worker.inputs.schema, path)
            if isinstance(leaf, Parts):
                has_parts = True
                self._parts(worker, place, wanted)
                continue
            shape = self._shape(leaf, place)
            if shape is None or not isinstance(wanted, dict):
                continue
            if not fits(_without_null(shape), wanted):
                self.problems.append(said.does_not_fit(place, worker.name, _name_of(leaf)))
        if isinstance(step, ReduceStep):
            if not has_parts:
                self.problems.append(said.parts_unused(f"`{step.worker}`"))
            if isinstance(worker, Worker) and worker.changes_something:
                problem = said.reduce_with_effect("reduce", worker.name, worker.effect)
                self.problems.append(problem)

    def _parts(self, worker: Worker | Orchestrator, place: str, wanted: Any) -> None:
        """Whether the values, and what the calls give of them, can be in a list of parts."""
        if not isinstance(wanted, dict):
            return
        one = element(SchemaShape(wanted))
        if one is None:
            self.problems.append(said.does_not_fit(place, worker.name, "a list of parts"))
            return
        assert isinstance(one, SchemaShape)
        output = SchemaShape(worker.output.schema)
        for shape, what in ((self._item, "the selected values"), (output, "its own output")):
            if not fits(_without_null(shape), one.schema):
                self.problems.append(said.parts_do_not_fit(place, worker.name, what))

    # ------------------------------------------------------------ shapers and tests

    def _shapers(self, selection: Selection, head: str) -> None:
        if selection.where is not None:
            self._test(selection.where, f"{head}/where")
        for name in ("unique_by", "sort_by"):
            pointer = getattr(selection, name)
            if not isinstance(pointer, str):
                continue
            shape = self._shape(FromItem(pointer), f"{head}/{name}")
            if name == "sort_by" and shape is not None:
                found = kinds(shape) - {"null"}
                if found and not found & {"number", "string", "boolean"}:
                    self.problems.append(said.cannot_be_sorted(f"{head}/sort_by", pointer))

    def _test(self, test: Test, place: str) -> None:
        for i, group in enumerate(test.any_of):
            for j, condition in enumerate(group):
                self._condition(condition, f"{place}/{i}/{j}")

    def _condition(self, condition: Condition, place: str) -> None:
        operator, value = condition.operator, condition.value
        if operator in ("ok", "failed"):
            if not isinstance(value, FromStep) or value.at or value.view != "outputs":
                self.problems.append(said.not_an_end(place, operator))
            elif self._checks.producer(value.name) is None or base_of(value.name) == self._step.id:
                self._shape(value, place)
            return
        left = self._shape(value, place)
        if operator == "empty":
            return
        than = condition.than
        right = self._shape(than, place) if isinstance(than, Leaf) else SchemaShape({"const": than})
        if left is None or right is None:
            return
        lefts, rights = kinds(left) - {"null"}, kinds(right) - {"null"}
        if not lefts or not rights:
            return
        if operator in _ORDERED and not lefts & rights & {"number", "string"}:
            problem = said.not_comparable(place, _kind_words(lefts), operator, _kind_words(rights))
            self.problems.append(problem)
        elif operator == "in":
            holds = {"array"} | ({"string", "object"} if "string" in lefts else set())
            if not rights & holds:
                self.problems.append(said.not_searchable(place, _kind_words(rights)))

    # ------------------------------------------------------------ leaves

    def _shape(self, leaf: Leaf, place: str) -> Shape | None:
        """The shape of a leaf's value; None, and a problem, if it can have none."""
        match leaf:
            case FromStep():
                shape = self._checks.shape_of(leaf, place, self._step)
                if isinstance(shape, str):
                    self.problems.append(shape)
                    return None
                return shape
            case FromItem():
                found = at(self._item, leaf.at)
                if found is None:
                    close = near(self._item, leaf.at)
                    self.problems.append(said.nothing_at(place, "the item", leaf.at, close))
                return found
            case Index():
                own = self._checks.producer(self._step.id)
                nested = None if own is None else own.nested
                names = {None: ["integer", "string"], True: ["string"], False: ["integer"]}
                return SchemaShape({"type": names[nested]})
            case Parts():
                return ListShape(self._item)
        return UNKNOWN


def _name_of(leaf: Leaf) -> str:
    """What a leaf leads to, in words."""
    match leaf:
        case FromStep():
            what = "the output" if leaf.view == "outputs" else f"the {leaf.view}"
            where = f" at `{leaf.at}`" if leaf.at else ""
            return f"{what} of `{leaf.name}`{where}"
        case FromItem():
            return f"the item at `{leaf.at}`" if leaf.at else "the item"
        case Index():
            return "the number of the item"
    return "the parts"


def _kind_words(found: Iterable[str]) -> str:
    return " or ".join(word for kind, word in _KIND_WORDS.items() if kind in set(found))


def _without_null(shape: Shape) -> Shape:
    """The values of a shape that are not null, where it says which those are."""
    if not isinstance(shape, SchemaShape):
        return shape
    schema = dict(shape.schema)
    for key in ("anyOf", "oneOf"):
        rest = [option for option in schema.get(key, ()) if option != {"type": "null"}]
        if rest and len(rest) < len(schema[key]):
            schema[key] = rest
    if isinstance(schema.get("type"), list):
        schema["type"] = [kind for kind in schema["type"] if kind != "null"] or schema["type"]
    return SchemaShape(schema)


# ---------------------------------------------------------------- dependencies


def depends_on(step: Step) -> dict[str, None]:
    """The tasks and steps that an entry waits for, each once, in the order they are named."""
    return dict.fromkeys(map(base_of, [*names_read(step), *step.after]))


def _ordered(steps: Mapping[str, Step]) -> tuple[list[str], list[str]]:
    """The entries so that each comes after what it waits for; or those that form a circle."""
    # An entry that waits for itself is told about where it does.
    waits = {}
    for name, step in steps.items():
        found = [one for one in depends_on(step) if one in steps and one != name]
        if found or not isinstance(step, TaskStep):
            waits[name] = found
    try:
        return list(TopologicalSorter(waits).static_order()), []
    except CycleError as error:
        circle: list[str] = error.args[1]
        return [], circle[:-1]
