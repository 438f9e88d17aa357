"""Static taint: where untrusted text may go, over the relations of `engine.graph`.

A `Flow` says of every place of a program whether a stranger's words may get that far, and by which
way. Places are an orchestrator's decisions (`loop`), the outputs of its tasks (`task`), and the
starts of effects (`effect`) and of reads whose address is an input (`way_out`) that
nothing checks. Each `dispatch` and `return` relation becomes an
edge between places, unless a type that can hold no text, or a hook that lets nothing pass
unlooked-at, cuts it.

It holds that whatever the machine taints in some run (`engine.runtime.taint`) is reached here. An
orchestrator that reads an untrusted output makes tainted decisions, and as the text of a failure
passes every `after_dispatch` hook, such a hook alone does not keep it from reading one. What a
planner is not shown in words (`show`) taints no decision of it: from there on edges lead to what
its outputs may be handed to by reference.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from engine.graph import collect
from engine.graph.plans import PlanStep, leaves_read, steps_of
from engine.sema.model import Orchestrator, Program, Worker, called_by, reached
from engine.sema.plans.steps import EachStep, ReduceStep
from engine.sema.plans.values import ABSENT, FromStep, Leaf
from engine.sema.starts import Start, acts, is_checked, unchecked_inside
from engine.sema.trust import (
    carries,
    carries_at,
    facts_of,
    may_hand_over,
    shown,
    untrusted_fields,
    untrusted_inside,
    untrusted_params,
)

__all__ = [
    "Flow",
    "Place",
    "flow_of",
    "hidden_from",
    "is_source",
    "strangers_of",
    "way_inside",
]


class Place(NamedTuple):
    """Where text may be.

    Attributes:
        kind: `input` is an `@untrusted` input, `param` such a param, `task` a task of `name` and
            what it returns, `loop` what the orchestrator decides. `effect` is a start of the
            worker `name` that nothing checks, `way_out` one that is told whom to talk to.
        name: A worker, an orchestrator, an input or a param; empty for `loop`.
    """

    kind: Literal["input", "param", "task", "loop", "effect", "way_out"]
    orchestrator: str
    name: str = ""

    def __str__(self) -> str:
        if self.kind == "loop":
            return f"orchestrator {self.orchestrator}"
        return f"{self.kind} {self.name}" if self.kind in ("input", "param") else self.name


class Flow:
    """Which places untrusted text may reach.

    Attributes:
        sources: Where it comes from.
        edges: From each place to those it flows on to.
    """

    def __init__(
        self, sources: tuple[Place, ...], edges: Mapping[Place, tuple[Place, ...]]
    ) -> None:
        self.sources = sources
        self.edges = edges
        self._before: dict[Place, Place | None] = dict.fromkeys(sources)
        waiting = deque(sources)
        while waiting:
            place = waiting.popleft()
            for following in edges.get(place, ()):
                if following not in self._before:
                    self._before[following] = place
                    waiting.append(following)

    def reaches(self, place: Place) -> bool:
        """Whether untrusted text may get that far."""
        return place in self._before

    @property
    def reached(self) -> tuple[Place, ...]:
        """Every place untrusted text may get to, nearest to a source first."""
        return tuple(self._before)

    def way(self, place: Place) -> list[Place]:
        """One of the shortest ways from a source to a place that is reached."""
        way: list[Place] = []
        at: Place | None = place
        while at is not None:
            way.append(at)
            at = self._before[at]
        return way[::-1]


def flow_of(program: Program) -> Flow:
    """The flow of untrusted text through a program."""
    sources = tuple(_sources(program))
    if not sources:
        return Flow((), {})
    edges: dict[Place, list[Place]] = {}
    for start, end in _edges(program):
        edges.setdefault(start, []).append(end)
    return Flow(sources, {start: tuple(dict.fromkeys(ends)) for start, ends in edges.items()})


def is_source(program: Program, worker: Worker | Orchestrator) -> bool:
    """Whether a worker, or one that replaces it, gives text from outside.

    A sub-orchestrator does so by itself where its output is marked `@untrusted`; what it reads is
    followed by the relations.
    """
    if isinstance(worker, Orchestrator):
        return untrusted_inside(worker.output.type)
    return any(True for _ in strangers_of(program, worker))


def strangers_of(program: Program, worker: Worker) -> Iterator[Worker]:
    """Those of a worker, all that replace it and all that its plan calls that give such text."""
    for other in _acting(program, worker):
        # The trust of a plan is that of what it calls.
        outside = other.trust == "untrusted" and other.plan is None
        if outside or untrusted_inside(other.output.type):
            yield other


def _acting(program: Program, worker: Worker) -> Iterator[Worker]:
    """A worker, all that may replace it, and all that its plan calls."""
    found: set[str] = set()
    waiting = [worker.name]
    while waiting:
        name = waiting.pop()
        if name not in found and name in program.workers:
            found.add(name)
            yield program.workers[name]
            waiting += called_by(program.workers[name])


def _sources(program: Program) -> Iterator[Place]:
    params = tuple(untrusted_params(program))
    for orchestrator in program.orchestrators.values():
        yield from (Place("input", orchestrator.name, name) for name in _marked(orchestrator))
        yield from (Place("param", orchestrator.name, name) for name in params)
        for name in orchestrator.workers:
            member = program.workers.get(name) or program.orchestrators.get(name)
            if member is not None and is_source(program, member):
                yield Place("task", orchestrator.name, name)


def _marked(orchestrator: Orchestrator) -> Iterator[str]:
    """The inputs of an orchestrator that are a stranger's words."""
    schema = orchestrator.inputs.schema
    for field in untrusted_fields(getattr(orchestrator.inputs.type, "fields", ())):
        if carries(schema.get("properties", {}).get(field.name), schema):
            yield field.name


def _edges(program: Program) -> Iterator[tuple[Place, Place]]:
    params = tuple(untrusted_params(program))
    for orchestrator in program.orchestrators.values():
        own = orchestrator.name
        for name in _marked(orchestrator):
            yield Place("input", own, name), Place("loop", own)
        for name in params:
            # Whoever prints a param prints it, whatever else it is given.
            yield Place("param", own, name), Place("loop", own)
            for member in orchestrator.workers:
                yield Place("param", own, name), Place("task", own, member)
    for edge in collect(program).edges:
        if edge.orchestrator is None:
            continue
        orchestrator = program.orchestrators[edge.orchestrator]
        if edge.kind == "return":
            # Whatever it gives: where it fails, the planner reads why.
            if not hidden_from(program, orchestrator, edge.source):
                yield (
                    Place("task", orchestrator.name, edge.source),
                    Place("loop", orchestrator.name),
                )
        elif edge.kind == "dispatch":
            yield from _into(program, orchestrator, edge.target)


def _into(program: Program, orchestrator: Orchestrator, name: str) -> Iterator[tuple[Place, Place]]:
    """What flows into a task: what the planner writes, and the outputs it refers to."""
    own = orchestrator.name
    target = program.workers.get(name) or program.orchestrators.get(name)
    if target is None:
        return
    begun = Place("task", own, name) if isinstance(target, Worker) else Place("loop", name)
    handed = [Place("task", own, other) for other in _handing(program, orchestrator, target)]
    yield from ((place, begun) for place in handed)
    if isinstance(target, Orchestrator):
        # What a child has read is in what it returns, and what it was not shown may be.
        yield Place("loop", name), Place("task", own, name)
        for other in target.workers:
            if hidden_from(program, target, other):
                yield Place("task", name, other), Place("task", own, name)
    inputs = target.inputs.schema
    if facts_of(program, target).hears:
        yield Place("loop", own), begun
    elif inputs.get("properties"):
        for other in orchestrator.workers:
            producer = program.workers.get(other) or program.orchestrators.get(other)
            if producer is not None and may_hand_over(producer.output.schema, inputs):
                yield Place("task", own, other), begun
    for hook in orchestrator.hooks:
        if hook.worker == name and {hook.on_fail, hook.then} & {"revise", "deny"}:
            # It is told what was wrong, by verifiers that have seen what others gave.
            yield Place("loop", own), begun
            for other in orchestrator.workers:
                if hidden_from(program, orchestrator, other):
                    yield Place("task", own, other), begun
    if isinstance(target, Worker):
        yield from _starts(program, orchestrator, target, "effect", handed)
        yield from _starts(program, orchestrator, target, "way_out", handed)


def _starts(
    program: Program,
    orchestrator: Orchestrator,
    target: Worker,
    kind: Start,
    handed: Sequence[Place],
) -> Iterator[tuple[Place, Place]]:
    """What leads to the start of an effect, or to the address that a way out goes to."""
    own, name = orchestrator.name, target.name
    inside = unchecked_inside(program, orchestrator, target, kind)
    starts = bool(inside) if target.plan is not None else acts(program, target, kind)
    if starts and not is_checked(program, orchestrator, target, kind):
        yield Place("loop", own), Place(kind, own, name)
        yield from ((place, Place(kind, own, name)) for place in handed)
    if inside and any(
        way_inside(program, program.workers[plan], inside)
        for plan in reached(program.workers, [name])
    ):
        # What one step of it reads reaches another, past the planner and the hooks on it.
        yield Place("task", own, name), Place(kind, own, name)


def hidden_from(program: Program, orchestrator: Orchestrator, name: str) -> bool:
    """Whether the planner of an orchestrator is shown no words of what a worker gives."""
    member = program.workers.get(name) or program.orchestrators.get(name)
    return member is not None and shown(orchestrator, member) in ("shape", "none")


def _handing(
    program: Program, orchestrator: Orchestrator, target: Worker | Orchestrator
) -> Iterator[str]:
    """The workers whose words its planner is not shown and may hand to another one by reference.

    Where there may be steps, they decide how often it runs, too, and failures can be referred to.
    """
    steps = orchestrator.policy.max_items is not None
    for other in orchestrator.workers:
        producer = program.workers.get(other) or program.orchestrators.get(other)
        if producer is None or not hidden_from(program, orchestrator, other):
            continue
        if steps or may_hand_over(producer.output.schema, target.inputs.schema):
            yield other


def way_inside(program: Program, plan: Worker, effects: set[str]) -> list[str]:
    """The steps by which text from outside gets from a step of a plan to one with an effect.

    What decides whether or how often a step runs counts as read. A step of a `repeat` may read
    whatever a pass has read. Empty: there is no such way.
    """
    steps = list(steps_of(plan))
    by_id = {step.id: step for step in steps}
    before: dict[str, str | None] = {}
    known = -1
    while len(before) > known:
        known = len(before)
        for step in steps:
            worker = program.workers.get(step.worker or "")
            if step.id not in before and worker is not None and is_source(program, worker):
                before[step.id] = None
            read = next((id for id in _read(program, step, by_id) if id in before), None)
            if read is not None:
                before.setdefault(step.id, read)
        # A `repeat` gives what a step of it gives.
        for step in steps:
            if step.id in before and step.owner in by_id:
                before.setdefault(step.owner, step.id)
    for step in steps:
        read = next((id for id in _read(program, step, by_id) if id in before), None)
        if step.worker in effects and read is not None:
            way = [step.id]
            while read is not None and read not in way:
                way.append(read)
                read = before[read]
            return way[::-1]
    return []


def _read(program: Program, step: PlanStep, steps: Mapping[str, PlanStep]) -> Iterator[str]:
    """The steps whose words a step may read: not those of which it reads only numbers."""
    wordless = set()
    for id in step.reads:
        producer = steps[id]
        worker = program.workers.get(producer.worker or "")
        if worker is not None and all(
            _wordless(worker, producer, leaf) for leaf in leaves_read(step.step, producer.step.id)
        ):
            wordless.add(id)
    yield from (id for id in step.reads if id not in wordless)
    yield step.owner


def _wordless(worker: Worker, producer: PlanStep, leaf: Leaf) -> bool:
    """Whether what a leaf leads to can hold no words, as the machine sees it (`runtime.taint`)."""
    if not isinstance(leaf, FromStep) or leaf.view != "outputs":
        return False
    if isinstance(producer.step, ReduceStep) and producer.step.empty is not ABSENT:
        return False  # `empty` may be of any type
    at = leaf.at
    if isinstance(producer.step, EachStep):
        at = "/" + at[1:].partition("/")[2] if "/" in at[1:] else ""
    return not carries_at(worker.output.schema, at)
