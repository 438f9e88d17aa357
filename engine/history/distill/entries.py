"""What a run decided, as entries: each task and step of the accepted decisions, with its output.

An entry keeps the id of the decision until the end; `Names` then gives names that a plan may use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.runtime.references import find_references
from engine.runtime.state import Loop, Round, Task
from engine.runtime.state import Step as RunningStep
from engine.sema.model import Orchestrator, Worker
from engine.sema.plans.json_form import read_step
from engine.sema.plans.orch_form import is_name
from engine.sema.plans.selection import Number
from engine.sema.plans.steps import EachStep, Step, TaskStep
from engine.sema.plans.values import FromStep, read_value

__all__ = ["Entry", "Names", "entries_of"]

_RESERVED = frozenset(
    {"item", "index", "parts", "last", "param", "secret", "true", "false", "null", "none", "loop"}
)
_TRAILING = re.compile(r"[\W\d_]+$")


@dataclass(eq=False)
class Entry:
    """A task or step of an accepted decision, or several tasks that became an `each`.

    Attributes:
        id: As the decision gave it; unique in the run.
        round: The round that decided it.
        order: Its place among all entries of the run, from 1.
        step: As a record whose references have the ids of decisions.
        given: The input of a plain task with its references replaced, as far as it was written.
        output: What it gave; None if nothing.
        items: Of an `each`: the item and the output of each item that is done, in order.
        numbers: Of an `each`: their numbers.
        comments: What a reader of the plan is told about it.
    """

    id: str
    round: int
    order: int
    step: Step
    worker: Worker | Orchestrator
    status: str
    given: dict[str, Any] = field(default_factory=dict)
    output: Any = None
    items: list[tuple[Any, Any]] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    @property
    def changes_something(self) -> bool:
        """Whether its tasks change something outside, so that it counts though nothing reads it."""
        return isinstance(self.worker, Worker) and self.worker.changes_something

    @property
    def commutes(self) -> bool:
        """Whether its effects may come in any order."""
        return isinstance(self.worker, Worker) and self.worker.commutes

    @property
    def pairs(self) -> list[dict[str, Any]]:
        """Its items with their outputs."""
        return [{"item": item, "output": output} for item, output in self.items]


def entries_of(loop: Loop) -> list[Entry]:
    """The entries of all accepted decisions of an orchestrator, in order."""
    found: list[Entry] = []
    for one in loop.rounds:
        if one.decision is None:
            continue
        made = {entry.id: entry for entry in one.entries}
        for spec in one.decision.get("tasks", ()):
            node = made.get(spec["id"])
            if node is not None:
                found.append(_entry(loop, one, spec, node, len(found) + 1))
    return found


def _entry(
    loop: Loop, one: Round, spec: dict[str, Any], node: Task | RunningStep, order: int
) -> Entry:
    step = read_step(spec) if loop.decisions.steps else _plain_task(spec)
    assert node.worker is not None  # only a `repeat` has none, and no decision has that
    entry = Entry(node.id, one.number, order, step, node.worker, node.status)
    if isinstance(node, Task):
        _take_task(entry, node)
    else:
        done = [(n, task) for n, task in sorted(node.items.items()) if task.status == "done"]
        entry.output = node.output
        if isinstance(step, EachStep):
            entry.numbers = [number for number, _ in done]
            entry.items = [(task.item, task.output) for _, task in done]
    return entry


def _take_task(entry: Entry, task: Task) -> None:
    assert isinstance(entry.step, TaskStep)
    entry.output = task.output if task.status == "done" else None
    written = set(entry.step.input)
    if task.edits:
        # A person has approved another input than the planner's: that one was good.
        written = set(task.resolved)
        entry.step = msgspec.structs.replace(entry.step, input=dict(task.resolved))
        entry.comments.append("its input was changed by a person, who approved it")
    entry.given = {name: value for name, value in task.resolved.items() if name in written}
    if task.status != "done" and task.resolved is task.input and find_references(task.input)[0]:
        entry.given = {}  # it never began: its references were not replaced


def _plain_task(spec: dict[str, Any]) -> TaskStep:
    """A task of a decision without steps, where only whole outputs and their parts are references.

    What would be an item of a step there is a plain value here.
    """

    def read(value: Any) -> Any:
        if isinstance(value, list):
            return [read(item) for item in value]
        if not isinstance(value, dict):
            return value
        tree = read_value(value)
        if isinstance(tree, FromStep) and tree.view == "outputs":
            return tree
        if len(value) == 1 and "$literal" in value:
            return value["$literal"]
        return {key: read(item) for key, item in value.items()}

    input = {name: read(value) for name, value in spec["input"].items()}
    return TaskStep(id=spec["id"], worker=spec["worker"], input=input)


class Names:
    """Names that a plan may use, each given once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {*_RESERVED, *taken}

    def take(self, wanted: str, instead: str) -> str:
        """A name as near to the wanted one as can be.

        Args:
            instead: What it is called if nothing in the wanted name can be a name.
        """
        base = re.sub(r"\W+", "_", wanted).strip("_") or instead
        if not is_name(base) or base in _RESERVED:
            base = f"{instead}_{base}"
        name, number = base, 2
        while name in self._taken:
            name, number = f"{base}_{number}", number + 1
        self._taken.add(name)
        return name


def common_name(ids: list[str], instead: str) -> str:
    """What several ids have in common at their beginning, or another name."""
    first, last = min(ids), max(ids)
    length = next((i for i, char in enumerate(first) if char != last[i : i + 1]), len(first))
    base = _TRAILING.sub("", first[:length])
    return base or instead
