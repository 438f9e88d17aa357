"""From a decision with steps to tasks and steps: everything that its schema cannot say.

Used where the policy has `max_items`; `engine.runtime.planning` makes the tasks of every other
decision. Nothing starts, and nothing is counted, unless the whole decision is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

from engine.runtime.decision import MAX_PROBLEMS, DecisionError, is_id
from engine.runtime.prompts import rejections
from engine.runtime.references import Reference
from engine.runtime.state import Loop, Step, Task
from engine.runtime.steps import frames
from engine.sema.model import Worker
from engine.sema.plans.json_form import read_step
from engine.sema.plans.steps import (
    EachStep,
    ReduceStep,
    RepeatStep,
    TaskStep,
    selection_of,
    step_leaves,
)
from engine.sema.plans.steps import Step as Spec
from engine.sema.plans.values import FromStep, leaves
from engine.sema.suggest import closest
from engine.sizes import size_of, size_words

__all__ = ["make_entries"]


def make_entries(
    loop: Loop, decision: Mapping[str, Any], key: str, *, bounded: bool
) -> list[Task | Step]:
    """The tasks and steps of a decision, connected to those they wait for.

    Raises:
        DecisionError: The decision cannot run; nothing has changed then.
    """
    making = _Making(loop, key, bounded)
    specs = decision["tasks"]
    problems = making.make(specs)
    if not problems:
        problems = making.connect()
    if problems:
        making.undo()
        raise DecisionError(problems[:MAX_PROBLEMS])
    return list(making.made.values())


class _Making:
    """The entries of one decision while they are made."""

    def __init__(self, loop: Loop, key: str, bounded: bool) -> None:
        self.loop = loop
        self.key = key
        self.bounded = bounded
        self.made: dict[str, Task | Step] = {}
        self.specs: dict[str, Spec] = {}

    def find(self, name: str) -> Task | Step | None:
        """What a name of the decision means."""
        return self.made.get(name) or self.loop.entry(name)

    # ------------------------------------------------------------ making

    def make(self, entries: list[dict[str, Any]]) -> list[str]:
        """Make each entry, alone."""
        loop = self.loop
        policy = loop.orchestrator.policy
        new = [entry for entry in entries if entry["id"] not in loop.early]
        problems: list[str] = []
        if len(new) + len(loop.early) > policy.max_per_round:
            most = policy.max_per_round
            problems.append(rejections.too_many_with_early(len(new), len(loop.early), most))
        for entry in entries:
            if len(problems) >= MAX_PROBLEMS:
                break
            name = entry["id"]
            begun = loop.early.get(name)
            if begun is not None and name not in self.made and _same(begun, entry):
                self.made[name] = begun
                continue
            if name in self.made or name in loop.taken:
                problems.append(rejections.id_taken(name))
                continue
            spec = read_step(entry)
            self.specs[name] = spec
            made = self._made(spec, entry)
            self.made[name] = made
            if isinstance(made, Task) and made.tree is None:
                problems += self._resolve(made)
        return problems

    def _made(self, spec: Spec, entry: Mapping[str, Any]) -> Task | Step:
        loop = self.loop
        assert not isinstance(spec, RepeatStep)
        worker = loop.decisions.workers[spec.worker]
        key = f"{self.key} / task {spec.id}"
        references = [
            Reference(leaf.name, leaf.at, path)
            for path, leaf in leaves(spec.input)
            if isinstance(leaf, FromStep)
        ]
        if not isinstance(spec, TaskStep):
            step = Step(spec, worker, loop, key, spec.id)
            step.references = references
            return step
        special = spec.input != entry["input"]
        task = Task(spec.id, worker, loop, entry["input"], key, special, references)
        task.when = spec.when
        if special:
            task.tree = spec.input
        return task

    def _resolve(self, task: Task) -> list[str]:
        """Fill in the defaults of an input without references, and say what is wrong with it."""
        worker = task.worker
        contract = worker.inputs
        task.resolved = contract.with_defaults(task.input)
        policy = self.loop.orchestrator.policy
        if self.bounded and (policy.writes_large or contract.multiplies):
            most = policy.max_input_bytes
            if size_of(task.resolved, most) > most:
                return [rejections.input_too_large(task.id, worker.name, size_words(most))]
        if contract.is_valid(task.resolved):
            return []
        where = rejections.task_named(task.id)
        return [
            rejections.input_problem(where, worker.name, problem)
            for problem in contract.problems(task.resolved)
        ]

    # ------------------------------------------------------------ connecting

    def connect(self) -> list[str]:
        """Connect the entries, and say what cannot be connected."""
        problems: list[str] = []
        for name, spec in self.specs.items():
            problems += self._unknown(name, spec)
            if len(problems) >= MAX_PROBLEMS:
                return problems
        if problems:
            return problems
        order = self._ordered()
        if isinstance(order, str):
            return [order]
        for name, spec in self.specs.items():
            frames.connect(self.made[name], spec, self.find)
            problems += self._after_limit(name)
        self._keep_writes_in_order(order)
        return problems

    def _unknown(self, name: str, spec: Spec) -> list[str]:
        """References to what is not there, or has failed."""
        problems = []
        for path, leaf in step_leaves(spec):
            if isinstance(leaf, FromStep):
                problem = self._wrong(name, leaf, path, required=path.startswith("/input"))
                problems += [rejections.problem_of(name, problem)] if problem else []
        selection = selection_of(spec)
        for source in selection.sources if selection is not None else ():
            if isinstance(source, FromStep):
                kind = "/each" if isinstance(spec, EachStep) else "/reduce"
                problem = self._wrong(name, source, kind, required=True)
                problems += [rejections.problem_of(name, problem)] if problem else []
        for other in spec.after:
            if self.find(other) is None:
                problem = self._wrong(name, FromStep(other), "/after", required=False)
                problems += [rejections.problem_of(name, problem)] if problem else []
        if isinstance(spec, ReduceStep):
            worker = self.loop.decisions.workers[spec.worker]
            if isinstance(worker, Worker) and worker.effect in ("write", "once"):
                said = rejections.reduce_has_effects(spec.worker, worker.effect)
                problems.append(rejections.problem_of(name, said))
        return problems

    def _wrong(self, name: str, leaf: FromStep, path: str, *, required: bool) -> str | None:
        if leaf.name == name:
            return rejections.refers_to_itself(path)
        producer = self.find(leaf.name)
        if producer is None:
            head = leaf.name.partition("[")[0]
            step = self.find(head)
            if isinstance(step, Step) and head != leaf.name:
                return rejections.no_such_item(path, leaf.name, head)
            known = chain(self.made, self.loop.tasks, self.loop.steps)
            close = closest(leaf.name, known)
            named = leaf.name if is_id(leaf.name) else None
            return rejections.no_such_task(path, named, close)
        if required and producer.failure is not None and leaf.view != "failures":
            return rejections.refers_to_failed(path, producer.id, producer.failure.mode)
        return None

    def _ordered(self) -> list[str] | str:
        """The entries so that each follows what it needs, else as written; or that they cannot."""
        needs = {
            name: {other for other in frames.producers_of(spec) if other in self.specs}
            for name, spec in self.specs.items()
        }
        order: list[str] = []
        left = dict(needs)
        while left:
            free = [name for name, others in left.items() if not others & left.keys()]
            if not free:
                return rejections.cycle(list(left)[:5])
            # One at a time where that matters: what is free first in the written order.
            order += free
            for name in free:
                del left[name]
        return order

    def _after_limit(self, name: str) -> list[str]:
        """Make an entry wait for the workers that its limit puts before it."""
        loop, entry = self.loop, self.made[name]
        assert entry.worker is not None
        limit = loop.orchestrator.limits.get(entry.worker.name)
        if limit is None or not limit.after:
            return []
        missing = [worker for worker in limit.after if not loop.outputs.get(worker)]
        if isinstance(entry, Task):
            entry.after = tuple(missing)
        problems = []
        for worker in missing:
            earlier = [
                other
                for other in self.made.values()
                if other.worker is not None and other.worker.name == worker
            ]
            if not earlier:
                problems.append(rejections.only_after(name, entry.worker.name, worker))
            for other in earlier:
                _wait(entry, other)
        return problems

    def _keep_writes_in_order(self, order: list[str]) -> None:
        """Let each entry that changes something wait for the one written before it.

        The order is one in which no entry comes before what it needs, so it makes no cycle.
        """
        before: Task | Step | None = None
        for name in order:
            entry = self.made[name]
            worker = entry.worker
            if not isinstance(worker, Worker) or worker.effect not in ("write", "once"):
                continue
            if worker.commutes:
                continue
            if before is not None:
                _wait(entry, before)
            before = entry

    def undo(self) -> None:
        """Leave nothing of a rejected decision behind in what runs already."""
        new = {id(entry) for name, entry in self.made.items() if name in self.specs}
        producers: list[Task | Step] = [*self.loop.tasks.values(), *self.loop.steps.values()]
        for entry in producers:
            if not entry.over and entry.feeds:
                entry.feeds = [other for other in entry.feeds if id(other) not in new]


def _wait(entry: Task | Step, other: Task | Step) -> None:
    if other is entry or other.over or any(fed is entry for fed in other.feeds):
        return
    other.feeds.append(entry)
    entry.waits += 1


def _same(task: Task, entry: Mapping[str, Any]) -> bool:
    return bool(
        task.worker.name == entry["worker"]
        and task.input == entry["input"]
        and entry.keys() == {"id", "worker", "input"}
    )
