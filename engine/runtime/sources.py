"""Where each part of a task's input came from, and whether it may hold a stranger's words.

A part was typed by a planner, is (a part of) an output, was written in the program, is an input of
the run, or was entered by a person. The origins of references and items are told by
`engine.runtime.origins`, and which outputs are tainted by `engine.runtime.taint`; here they are put
together with what is not from a reference. Inputs of a plan worker are followed to the sources of
its own task. A sub-orchestrator's inputs are those of the task above; what its planner types is
typed.

**The sources of a part are those with the longest path that covers it** (`sources_of`): a source
at `/order` is of all of that input but the parts that have sources of their own.

Everything is computed from the folded state when it is asked for, and nothing is kept: a run that
never asks pays nothing, and a resume or a replay gives the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import msgspec

from engine.runtime import taint
from engine.runtime.endorsed import is_endorsed
from engine.runtime.origins import Origin, is_under, leaf_origins, tree_of, under
from engine.runtime.state import Loop, RunState, Step, Task
from engine.runtime.task_paths import path_in_loop
from engine.sema.plans.conditions import equal
from engine.sema.plans.values import (
    ABSENT,
    Computed,
    FromLast,
    FromStep,
    Leaf,
    at_pointer,
    leaves,
    read_value,
)
from engine.sema.trust import carries_at, untrusted_fields, untrusted_params
from engine.sema.types.schema_facts import field_names, pointer_tokens, subschema_at

__all__ = [
    "Source",
    "SourceKind",
    "loop_sources",
    "record_of",
    "sources",
    "sources_of",
    "tainted_sources",
]

SourceKind = Literal["planner", "output", "program", "caller", "person"]


class Source(msgspec.Struct, frozen=True):
    """Where a part of a task's input came from.

    Attributes:
        path: The part, as a JSON Pointer into the resolved input.
        kind: `planner`: the planner of the task's orchestrator typed it, before or after it had
            read strangers' text (`tainted`). `output`: it is from what `task` gave. `program`: the
            file has it, as a value in a plan or as a default. `caller`: it is an input of the run.
            `person`: a person entered it at a gate, or in a plan.
        task: The id of the task or step that gave it, as planners name it (`a2`, `a2/r[3]`).
        worker: The worker of that task or step; None for a `repeat`.
        at: The part of its output, as a JSON Pointer; None: any part, or why it failed, or what an
            expression made from it.
        tainted: The part holds a stranger's words, or may.
        producer: That task or step.
    """

    path: str
    kind: SourceKind
    task: str | None = None
    worker: str | None = None
    at: str | None = None
    tainted: bool = False
    producer: Task | Step | None = None


def record_of(source: Source) -> dict[str, Any]:
    """A source as plain data, for hooks and reports."""
    return {
        "path": source.path,
        "kind": source.kind,
        "task": source.task,
        "worker": source.worker,
        "at": source.at,
        "tainted": source.tainted,
    }


def sources(state: RunState, task: Task) -> tuple[Source, ...]:
    """The sources of a task's input: each leaf of it is covered by at least one.

    Of a task whose input is not filled yet, they are those of what the decision says.
    """
    return _Reading(state).of(task)


def tainted_sources(state: RunState, task: Task) -> dict[str, list[Source]]:
    """The tainted sources of a task's input, by the input that they are in."""
    found: dict[str, list[Source]] = {}
    for source in sources(state, task):
        if source.tainted:
            name = (pointer_tokens(source.path) or [""])[0]
            found.setdefault(name, []).append(source)
    return found


def loop_sources(state: RunState, loop: Loop) -> tuple[Source, ...]:
    """The sources of an orchestrator's own inputs: its caller's, or those of its task."""
    if loop.task is not None:
        return sources(state, loop.task)
    inputs = loop.orchestrator.inputs
    marked = {field.name for field in untrusted_fields(getattr(inputs.type, "fields", ()))}
    return tuple(
        Source(
            path := under("", name),
            "caller",
            tainted=name in marked and carries_at(inputs.schema, path),
        )
        for name in loop.input
    )


def sources_of(found: Iterable[Source], pointer: str) -> tuple[Source, ...]:
    """The sources of one part of an input: those with the longest path that covers it."""
    best: list[Source] = []
    for source in found:
        if is_under(pointer, source.path):
            longer = len(source.path) - len(best[0].path) if best else 0
            if longer > 0:
                best = []
            if longer >= 0:
                best.append(source)
    return tuple(best)


# ---------------------------------------------------------------- how an input was filled


class _Reading:
    """One look at the sources of a task, which may lead through tasks of plan workers."""

    def __init__(self, state: RunState) -> None:
        self.state = state
        self._known: dict[int, tuple[Source, ...]] = {}

    def of(self, task: Task) -> tuple[Source, ...]:
        """All sources of a task's input, each once."""
        found = self._known.get(id(task))
        if found is None:
            found = tuple(dict.fromkeys(self._read(task)))
            if self.state.known.endorsed:
                found = tuple(self._as_endorsed(task, source) for source in found)
            self._known[id(task)] = found
        return found

    def _as_endorsed(self, task: Task, source: Source) -> Source:
        """A source of a part whose text hooks have endorsed: it is clean."""
        if source.tainted and is_endorsed(self.state, at_pointer(task.resolved, source.path)):
            return msgspec.structs.replace(source, tainted=False)
        return source

    @cached_property
    def _has_strange_params(self) -> bool:
        return any(True for _ in untrusted_params(self.state.program))

    def _read(self, task: Task) -> Iterator[Source]:
        edited = self.state.edited.get(task.key)
        if edited is None or edited[1] is not task.resolved:
            yield from self._filled(task, task.resolved)
            return
        before, after = edited
        found = tuple(self._filled(task, before))
        for path, old in _compared("", before, "", after):
            if old is None:
                yield Source(path, "person")
            else:
                yield from _moved(found, old, path)

    def _filled(self, task: Task, value: Mapping[str, Any]) -> Iterator[Source]:
        """The sources of an input as it was filled, before a person changed it."""
        tree = tree_of(task)
        typed = _Typed(task)
        written = task.input if tree is None else tree
        inputs = task.worker.inputs
        given: dict[str, Any] = {}
        for name, node in written.items():
            path = under("", name)
            found = list(_references(task, path) if tree is None else leaves(node, path))
            given.update((at, ABSENT) for at, _ in found)
            if not found or _has_typed(node, path, given, inputs.schema):
                yield from typed.at(path)
            for at, leaf in found:
                yield from self._of_leaf(task, at, leaf, typed, given)
        if inputs.has_defaults:
            for path in _added(written, value, "", given, raw=tree is None):
                yield Source(path, "program")

    def _of_leaf(
        self, task: Task, path: str, leaf: Leaf, typed: _Typed, given: dict[str, Any]
    ) -> Iterator[Source]:
        """The sources of one leaf; `given` gets what it refers to, where that is one value."""
        found = list(leaf_origins(task, path, leaf))
        for origin in found:
            yield from self._of_origin(origin)
            if origin.path == path and origin.at is not None and not origin.made:
                producer = origin.producer
                value = producer.resolved if origin.inside else producer.output  # type: ignore[union-attr]
                given[path] = at_pointer(value, origin.at)
        if typed.kind == "program":
            # An expression of the file may have words of its own, or print a param.
            made = {origin.path for origin in found if origin.made}
            made |= {path} if isinstance(leaf, Computed) else set()
            for place in sorted(made):
                yield Source(place, "program", tainted=self._has_strange_params)
        if not found or (isinstance(leaf, FromLast) and all(one.path != path for one in found)):
            # What the engine or the file gives: a number, what the passes start with.
            yield Source(path, typed.kind)

    def _of_origin(self, origin: Origin) -> Iterator[Source]:
        producer = origin.producer
        if not origin.inside:
            yield Source(
                origin.path,
                "output",
                path_in_loop(producer),
                None if producer.worker is None else producer.worker.name,
                origin.at,
                taint.is_tainted(self.state, origin),
                producer,
            )
            return
        assert isinstance(producer, Task)
        for source in _moved(self.of(producer), origin.at or "", origin.path):
            changes: dict[str, Any] = {"path": origin.path, "at": None} if origin.made else {}
            name = (pointer_tokens(origin.at or "") or [""])[0]
            if not producer.looked_at.leaves_open([name] if name else [*producer.resolved]):
                changes["tainted"] = False
            yield msgspec.structs.replace(source, **changes)


def _references(task: Task, path: str) -> Iterator[tuple[str, Leaf]]:
    """The references in an input of a decision without steps, as leaves."""
    for reference in task.references:
        if is_under(reference.path, path):
            yield reference.path, FromStep(reference.task, reference.at)


def _moved(found: Iterable[Source], at: str, path: str) -> Iterator[Source]:
    """The sources of the part of an input that is the part at `path` of another one."""
    found = tuple(found)
    for source in sources_of(found, at):
        rest = at[len(source.path) :]
        where = source.at
        yield msgspec.structs.replace(
            source, path=path, at=where if where is None else where + rest
        )
    for source in found:
        if source.path != at and is_under(source.path, at):
            yield msgspec.structs.replace(source, path=path + source.path[len(at) :])


def _has_typed(node: Any, path: str, given: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """Whether whoever wrote a value with references in it wrote words besides them.

    Args:
        given: By path, at least the references in it.
    """
    if path in given:
        return False
    if isinstance(node, dict) and node:
        if any(_has_typed(one, under(path, key), given, schema) for key, one in node.items()):
            return True
        place = subschema_at(schema, path)
        return not isinstance(place, dict) or not node.keys() <= set(field_names(place))
    if isinstance(node, list) and node:
        return any(_has_typed(one, under(path, i), given, schema) for i, one in enumerate(node))
    return True


def _added(
    before: Any, value: Any, path: str, given: Mapping[str, Any], *, raw: bool
) -> Iterator[str]:
    """The paths of what a value has that was not written, nor given by a reference.

    Args:
        given: What the references in it gave, by path; `ABSENT` where that is not known.
        raw: Whether `before` is as a decision has it, with `$literal`.
    """
    if path in given:
        before, raw = given[path], False
    elif raw and isinstance(before, dict) and before.keys() == {"$literal"}:
        before, raw = before["$literal"], False
    if isinstance(before, dict) and isinstance(value, dict):
        for key, inner in value.items():
            if key in before:
                yield from _added(before[key], inner, under(path, key), given, raw=raw)
            else:
                yield under(path, key)
    elif isinstance(before, list) and isinstance(value, list):
        for i, (old, new) in enumerate(zip(before, value, strict=False)):
            yield from _added(old, new, under(path, i), given, raw=raw)


# ---------------------------------------------------------------- who wrote it


class _Typed:
    """Who wrote what is not from a reference: a planner, the program, or a person."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.kind: SourceKind = "program" if task.frame is not None else "planner"

    def at(self, path: str) -> Iterator[Source]:
        """The sources of an input that has no references, or of what it has besides them."""
        if self.kind == "program":
            yield Source(path, "program")
            return
        task = self.task
        tainted = task.decided_tainted and carries_at(task.worker.inputs.schema, path)
        planner = Source(path, "planner", tainted=tainted)
        parts = list(self._by_hand(path))
        if "" not in parts:
            yield planner
        for part in parts:
            yield Source(path + part, "person")

    def _by_hand(self, path: str) -> Iterator[str]:
        """The parts of an input that a person changed in the planner's plan."""
        mine, others = self._plans
        if mine is None:
            return
        yield from _new_parts(at_pointer(mine, path), [at_pointer(one, path) for one in others])

    @cached_property
    def _plans(self) -> tuple[Any, list[Any]]:
        """The input as a person wrote it in the planner's place, and what the planner had for the
        same worker; None where the plan is the planner's."""
        task = self.task
        rounds = task.loop.rounds
        current = rounds[task.round - 1] if task.round <= len(rounds) else None
        if current is None or current.proposed is None or current.decision is None:
            return None, []
        name = task.id if task.step is None else task.step.id
        mine = next((one for one in current.decision["tasks"] if one["id"] == name), None)
        if mine is None:  # it began before the person saw the plan
            return None, []
        # Of the same worker, under any name: a person may have given the entry another one.
        others = [
            read_value(one["input"])
            for one in current.proposed.get("tasks", ())
            if one["worker"] == mine["worker"]
        ]
        return read_value(mine["input"]), others


def _new_parts(value: Any, others: Sequence[Any], path: str = "") -> Iterator[str]:
    """The parts of a value that none of the others has at the same place, as large as possible.

    An element of a list is not new if one of the others has it anywhere in its list.
    """
    if any(equal(one, value) for one in others):
        return
    if isinstance(value, dict) and value:
        maps = [one for one in others if isinstance(one, dict)]
        for key, inner in value.items():
            yield from _new_parts(inner, [one[key] for one in maps if key in one], under(path, key))
    elif isinstance(value, list) and value:
        lists = [one for one in others if isinstance(one, list)]
        known = {repr(element) for one in lists for element in one}
        for place, inner in enumerate(value):
            if repr(inner) not in known:
                before = [one[place] for one in lists if place < len(one)]
                yield from _new_parts(inner, before, under(path, place))
    else:
        yield path


def _compared(old_path: str, old: Any, path: str, new: Any) -> Iterator[tuple[str, str | None]]:
    """What a person changed: each part as large as possible, with where it was before.

    An element of a list may have been moved; of anything else, what is at the same place counts.
    """
    if equal(old, new):
        yield path, old_path
    elif isinstance(old, dict) and isinstance(new, dict) and new:
        for key, inner in new.items():
            at = under(path, key)
            if key in old:
                yield from _compared(under(old_path, key), old[key], at, inner)
            else:
                yield at, None
    elif isinstance(old, list) and isinstance(new, list) and new:
        yield from _compared_lists(old_path, old, path, new)
    else:
        yield path, None


def _compared_lists(
    old_path: str, old: list[Any], path: str, new: list[Any]
) -> Iterator[tuple[str, str | None]]:
    places = {repr(one): place for place, one in reversed(list(enumerate(old)))}
    for place, one in enumerate(new):
        at = under(path, place)
        before = place if place < len(old) and equal(old[place], one) else places.get(repr(one))
        if before is not None:
            yield at, under(old_path, before)
        elif place < len(old):
            yield from _compared(under(old_path, place), old[place], at, one)
        else:
            yield at, None
