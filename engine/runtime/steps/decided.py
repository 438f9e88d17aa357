"""From a decision with steps to tasks and steps: everything that its schema cannot say.

Used where the policy has `max_items`; `engine.runtime.planning` makes the tasks of every other
decision. Nothing starts, and nothing is counted, unless the whole decision is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from graphlib import CycleError, TopologicalSorter
from itertools import chain, islice
from typing import Any

from engine.runtime.decision import MAX_PROBLEMS, DecisionError
from engine.runtime.plain_tasks import is_same, resolve_written, unwire
from engine.runtime.prompts import rejections
from engine.runtime.prompts import step_rejections as said
from engine.runtime.references import Reference
from engine.runtime.state import Loop, Step, Task
from engine.runtime.step_checks import Producer, StepChecks, depends_on
from engine.runtime.steps import frames
from engine.sema.plans.json_form import read_step
from engine.sema.plans.shapes import UNKNOWN, SchemaShape, Shape
from engine.sema.plans.steps import RepeatStep, TaskStep, kind_of
from engine.sema.plans.steps import Step as Spec
from engine.sema.plans.values import FromStep, leaves

__all__ = ["MAX_WIRES", "known", "make_entries"]

#: How often the tasks of a decision may wait for another one, in all.
MAX_WIRES = 300_000
#: How many entries of a circle are told.
MAX_TOLD = 5


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
        unwire(loop, making.made.values())
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
        #: What each entry waits for: references, and workers that its limit puts before it.
        self.needs: dict[str, list[str]] = {}

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
            if begun is not None and name not in self.made and is_same(begun, entry):
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
                problems += resolve_written(made, bounded=self.bounded)
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

    # ------------------------------------------------------------ connecting

    def connect(self) -> list[str]:
        """Connect the entries, and say what cannot be connected."""
        loop = self.loop
        names = chain(loop.tasks, loop.steps)
        checks = StepChecks(
            list(self.specs.values()), loop.decisions.workers, partial(known, loop), names
        )
        problems = list(islice(checks.problems(), MAX_PROBLEMS))
        if problems:
            return problems
        named: dict[str, list[Task | Step]] = {}
        for entry in self.made.values():
            assert entry.worker is not None
            named.setdefault(entry.worker.name, []).append(entry)
        wires = 0
        for name, spec in self.specs.items():
            entry = self.made[name]
            frames.connect(entry, spec, self.find)
            problems += self._after_limit(name, named)
            self.needs[name] = [*depends_on(spec), *self._put_before(name, named)]
            wires += entry.waits
            if wires > MAX_WIRES:
                problems.append(rejections.WAITS_TOO_OFTEN)
            if len(problems) >= MAX_PROBLEMS or wires > MAX_WIRES:
                break
        if problems:
            return problems
        cycle = self._cycle()
        if cycle:
            return [said.cycle(cycle)]
        frames.keep_writes_in_order(self._writes())
        return []

    def _cycle(self) -> list[str]:
        """Entries that wait for each other because of a limit; references were looked at before."""
        needs = {
            name: [other for other in others if other in self.specs and other != name]
            for name, others in self.needs.items()
        }
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            found: list[str] = error.args[1]
            return found[:-1][:MAX_TOLD]
        return []

    def _writes(self) -> list[Task | Step]:
        """The entries that change something, as they were written; each after what it needs."""
        found: list[Task | Step] = []
        seen: set[str] = set()
        for first in self.specs:
            if not frames.keeps_order(self.made[first]):
                continue
            # Depth first, with a stack of its own: a decision may be a long chain.
            stack = [(first, iter(self.needs[first]))]
            while stack:
                name, others = stack[-1]
                following = None if name in seen else next(others, None)
                if following is not None:
                    if following in self.specs and following not in seen:
                        stack.append((following, iter(self.needs[following])))
                    continue
                stack.pop()
                if name not in seen and frames.keeps_order(self.made[name]):
                    found.append(self.made[name])
                seen.add(name)
        return found

    def _after_limit(self, name: str, named: Mapping[str, list[Task | Step]]) -> list[str]:
        """Make an entry wait for the workers that its limit puts before it."""
        entry = self.made[name]
        assert entry.worker is not None
        problems = []
        for worker in frames.put_before(entry):
            earlier = named.get(worker, [])
            if not earlier:
                problems.append(rejections.only_after(name, entry.worker.name, worker))
            for other in earlier:
                frames.wait(entry, other)
        return problems

    def _put_before(self, name: str, named: Mapping[str, list[Task | Step]]) -> list[str]:
        before = self.made[name].after
        return [
            other.id for worker in before for other in named.get(worker, ()) if other.id != name
        ]


def known(loop: Loop, name: str) -> Producer | None:
    """What the checks of later steps may know of a task or step, one that began early too."""
    entry = loop.entry(name)
    if entry is None:
        return None
    worker = entry.worker
    assert worker is not None
    failure = None if entry.failure is None else entry.failure.mode
    output: Shape = SchemaShape(worker.output.schema)
    if not isinstance(entry, Step):
        return Producer("task", worker.name, output, failure=failure)
    kind = kind_of(entry.spec)
    if kind == "reduce" and not entry.items:
        output = UNKNOWN  # it made no call: it gave `empty`, which may be of any type
    numbers = {len(number) > 1 for number in entry.items}
    nested = numbers.pop() if len(numbers) == 1 else None
    return Producer(kind, worker.name, output, nested=nested, failure=failure)
