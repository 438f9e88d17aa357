"""Taint: what came from outside must not reach an effect unlooked-at.

A task's output is tainted if its worker is untrusted or read something tainted. A planner that
has seen tainted text, or a goal made from it, makes tainted decisions. A tainted task of a `write`
or `once` worker starts only after a verifier or gate has let it pass, and so does one that only
reads, but from where tainted text leads it (`engine.runtime.ways_out`). Values of literal-union,
int and bool type carry no taint: a stranger cannot write instructions in them. Which types and
which hooks are meant is in `engine.sema.trust`; the linter tells before a run what may happen.

A sub-orchestrator returns what it has read whatever way it ends. Where it decides to finish,
that is what its planner had seen. Any other end (escalated, aborted, exhausted, failed, cancelled)
passes on words of its tasks without a planner between: partial results, verifiers' feedback,
`on_escalate`; then each of its tasks counts, those of the last round too.

Everything here is a function of the folded state, so it is the same after a resume.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from engine.runtime import ways_out
from engine.runtime.origins import Origin, control_origins, origins, passed_on
from engine.runtime.state import Frame, HookRun, Loop, RunState, Step, Task
from engine.sema.model import Orchestrator, Worker
from engine.sema.plans.steps import EachStep
from engine.sema.trust import (
    Facts,
    carries,
    carries_at,
    facts_of,
    untrusted_fields,
    untrusted_params,
)

__all__ = [
    "denial",
    "hears_strangers",
    "loop_begins_tainted",
    "mark_output",
    "mark_passed_on",
    "needs_clearance",
    "reads_taint",
    "shown_path",
]

#: How many steps of a way are told, from its end.
MOST_STEPS = 8
#: What a hook offers that may hold words of other tasks than the one it is about.
_OF_OTHERS = frozenset({"goal", "log", "outputs", "plan", "result", "rounds", "tasks"})


def loop_begins_tainted(state: RunState, loop: Loop) -> bool:
    """Whether an orchestrator is told tainted text before it decides anything."""
    task = loop.task
    if task is not None and (task.told or reads_taint(state, task)):
        return True
    return _tainted_input(loop) is not None or _tainted_param(state) is not None


def shown_path(loop: Loop) -> str:
    """A loop's path as workers and checks see it, in `task.key`.

    Ids of tasks are words of planners. An orchestrator that is given no words by one that has read
    strangers must not find them in the keys of its own tasks either.
    """
    task = loop.task
    if task is None:
        return ""
    if task.decided_tainted and not loop.tainted:
        return f"{blake2b(loop.path.encode(), digest_size=10).hexdigest()} / "
    return task.loop.shown(loop.path)


def reads_taint(state: RunState, task: Task) -> bool:
    """Whether a task's input holds tainted text: written by a tainted planner, or referred to."""
    if task.decided_tainted and not _facts(state, task.worker).hears.isdisjoint(task.input):
        return True
    if task.step is None and task.tree is None:
        return bool(task.references) and _tainted_producer(state, task) is not None
    return _tainted_producer(state, task) is not None


def mark_output(state: RunState, task: Task, *, verified: bool) -> None:
    """Set whether what a task returns is tainted; a verifier that passed it cleans it."""
    facts = _facts(state, task.worker)
    if verified or (task.failure is None and not facts.speaks):
        task.tainted = False
    elif (
        task.acting is task.worker
        and not (task.told or facts.source or task.decided_tainted or task.references)
        and task.child is None
        and task.plan is None
        and task.step is None
        and task.tree is None
    ):
        task.tainted = False  # no way for a stranger's words: nearly every task
    else:
        task.tainted = _is_source(state, task)
        if task.tainted:
            task.loop.has_tainted = True


def mark_passed_on(state: RunState, step: Step) -> None:
    """Set whether a value is tainted that a `reduce` gives without a call."""
    loop = step.loop
    if loop.tainted or loop.has_tainted:
        step.tainted = _first_tainted(state, passed_on(step)) is not None


def needs_clearance(state: RunState, task: Task) -> bool:
    """Whether a task may start only after a verifier or gate has let it pass."""
    worker = task.worker
    if task.cleared or not isinstance(worker, Worker):
        return False
    if not worker.changes_something:
        return _goes_to_strangers(state, task)
    return task.decided_tainted or reads_taint(state, task) or _steered(state, task) is not None


def denial(state: RunState, task: Task) -> str:
    """Why a task that needs clearance and has none may not start, with the way of the text."""
    worker = task.worker
    assert isinstance(worker, Worker)
    if not worker.changes_something:
        address = _facts(state, worker).address
        producer = _first_tainted(state, ways_out.address_origins(task, address))
        return ways_out.refusal(worker, address, _way(state, producer or task.loop))
    producer = _tainted_producer(state, task) or _steered(state, task)
    way = _way(state, producer or task.loop)
    return f"untrusted text can reach it, and no verifier or gate has let it pass: {way}"


def hears_strangers(state: RunState, run: HookRun) -> bool:
    """Whether what the verifiers of a hook say may be words of strangers, for they saw such."""
    task, loop = run.task, run.loop
    if task is not None:
        done = task.status == "verifying"
        if _is_source(state, task) if done else reads_taint(state, task):
            return True
    for name in run.hook.verifiers:
        verifier = state.program.verifiers[name]
        inputs = verifier.inputs.schema.get("properties", {})
        # The goal is at the head of an `llm` verifier's prompt.
        if verifier.kind == "llm" or not _OF_OTHERS.isdisjoint(inputs):
            if loop.tainted or not loop.has_tainted:
                return loop.tainted
            return any(other.tainted for other in loop.every_task())
    return False


def _is_source(state: RunState, task: Task) -> bool:
    """Whether a task's words are a stranger's: its output, or why it failed."""
    if task.told:
        return True
    # One that was never started has said nothing: its failure is in the engine's words.
    if task.failure is None or task.attempts:
        worker, acting = task.worker, task.acting
        if _facts(state, worker).source:
            return True
        if acting is not worker and _facts(state, acting).source:
            return True
    if task.child is not None:
        return _gives_back_taint(state, task.child)
    if task.plan is not None and any(_has_said(state, other) for other in _inside(task)):
        return True
    return reads_taint(state, task)


def _inside(task: Task) -> Iterator[Task]:
    """The tasks of a plan worker's run, those of its passes too."""
    frames: list[Frame] = [] if task.plan is None else [task.plan]
    for frame in frames:
        yield from frame.tasks.values()
        for step in frame.steps.values():
            frames.extend(step.passes)


def _gives_back_taint(state: RunState, loop: Loop) -> bool:
    """Whether what a sub-orchestrator returns is tainted; see the module's text."""
    if loop.tainted:
        return True
    if loop.status == "finished" and not loop.escalated:
        return False
    return any(_has_said(state, task) for task in loop.every_task())


def _has_said(state: RunState, task: Task) -> bool:
    """Whether a stranger's words have come back from a task.

    What a hook is looking at is not marked yet, and its verifiers may have quoted it.
    """
    return task.tainted or (task.status == "verifying" and _is_source(state, task))


def _facts(state: RunState, worker: Worker | Orchestrator) -> Facts:
    facts = state.facts.get(worker.name)
    if facts is None:
        facts = state.facts[worker.name] = facts_of(state.program, worker)
    return facts


def _tainted_producer(state: RunState, task: Task) -> Task | Step | None:
    """A task or step whose tainted words are in this one's input."""
    loop = task.loop
    if not loop.tainted and not loop.has_tainted:
        return None
    return _first_tainted(state, origins(task))


def _steered(state: RunState, task: Task) -> Task | Step | None:
    """A task or step whose tainted words decide whether, how often or in what order it runs."""
    loop = task.loop
    if not (loop.tainted or loop.has_tainted):
        return None
    return _first_tainted(state, control_origins(task))


def _goes_to_strangers(state: RunState, task: Task) -> bool:
    """Whether a task that only reads goes where tainted text leads it; see `ways_out`."""
    address = _facts(state, task.worker).address
    if not address:
        return False
    if task.decided_tainted and ways_out.is_written(task, address):
        return True
    loop = task.loop
    if not (loop.tainted or loop.has_tainted):
        return False
    return _first_tainted(state, ways_out.address_origins(task, address)) is not None


def _first_tainted(state: RunState, found: Iterable[Origin]) -> Task | Step | None:
    for origin in found:
        producer = origin.producer
        if origin.inside:
            assert isinstance(producer, Task)
            if not producer.cleared and reads_taint(state, producer):
                return producer
        elif producer.tainted and _carries(producer, origin.at):
            return producer
    return None


def _carries(producer: Task | Step, at: str | None) -> bool:
    """Whether (a part of) what something gave can hold words."""
    worker = producer.worker
    if at is None or worker is None:
        return True
    if isinstance(producer, Step) and isinstance(producer.spec, EachStep):
        at = "/" + at[1:].partition("/")[2] if "/" in at[1:] else ""
    elif isinstance(producer, Step) and not producer.items:
        return True  # a `reduce` that made no call: it gave `empty`, which may be of any type
    return carries_at(worker.output.schema, at)


def _tainted_input(loop: Loop) -> str | None:
    """An input of an orchestrator that is marked `@untrusted` and can hold words."""
    schema = loop.orchestrator.inputs.schema
    properties = schema.get("properties", {})
    fields = getattr(loop.orchestrator.inputs.type, "fields", ())
    for field in untrusted_fields(fields):
        if carries(properties.get(field.name), schema):
            return field.name
    return None


def _tainted_param(state: RunState) -> str | None:
    return next(untrusted_params(state.program), None)


# ---------------------------------------------------------------- words for a denial


def _way(state: RunState, at: Task | Step | Loop | None) -> str:
    """The way untrusted text may have come so far, from its source on, as a person reads it."""
    way: list[str] = []
    seen: set[int] = set()
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        if len(way) == MOST_STEPS:
            way.append("...")
            break
        if isinstance(at, Loop):
            way.append(f"a decision of `{at.orchestrator.name}`")
            marked = _marked(state, at)
            way += [marked] if marked else []
            at = None if marked else _before_loop(state, at)
        elif isinstance(at, Step):
            way.append(f"step `{at.id}`")
            at = next((task for task in at.items.values() if task.tainted), None)
        else:
            way.append(f"task `{at.id}` (`{at.worker.name}`)")
            at = _before_task(state, at)
    return " -> ".join(reversed(way))


def _marked(state: RunState, loop: Loop) -> str:
    """The input or param that makes an orchestrator's decisions tainted by itself, in words."""
    name = _tainted_input(loop)
    if name is not None:
        return f"input `{name}`"
    param = _tainted_param(state)
    return f"param `{param}`" if param is not None else ""


def _before_loop(state: RunState, loop: Loop) -> Task | Step | Loop | None:
    """What an orchestrator has read: its input, or what came back from a task."""
    parent = loop.task
    if parent is not None and (parent.told or reads_taint(state, parent)):
        return _tainted_producer(state, parent) or parent.loop
    return next(
        (task for task in loop.every_task() if task.tainted and task.round < loop.round), None
    )


def _before_task(state: RunState, task: Task) -> Task | Step | Loop | None:
    """What a task's words were made from; None where they are a stranger's own."""
    if _facts(state, task.worker).source or _facts(state, task.acting).source:
        return None
    if task.child is not None:
        read = (other for other in task.child.every_task() if _has_said(state, other))
        return next(read, task.child)
    if task.plan is not None:
        said = next((other for other in _inside(task) if _has_said(state, other)), None)
        if said is not None:
            return said
    return _tainted_producer(state, task) or task.loop
