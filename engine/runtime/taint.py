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
from typing import Any

from engine.runtime.endorsed import is_endorsed
from engine.runtime.origins import (
    Origin,
    control_origins,
    is_under,
    origins,
    passed_on,
    result_origins,
)
from engine.runtime.shown import OF_OTHERS, in_words, why_shown
from engine.runtime.state import Frame, HookRun, Loop, Remark, RunState, Step, Task
from engine.sema.model import Orchestrator, Worker
from engine.sema.plans.steps import EachStep
from engine.sema.plans.values import at_pointer
from engine.sema.trust import (
    Facts,
    carries,
    carries_at,
    facts_of,
    untrusted_fields,
    untrusted_params,
)
from engine.sema.types.schema_facts import pointer_tokens

__all__ = [
    "address_of",
    "gives_taint",
    "has_read",
    "has_said",
    "hears_strangers",
    "is_read",
    "is_steered",
    "is_stranger",
    "is_tainted",
    "loop_begins_tainted",
    "mark_output",
    "mark_passed_on",
    "reads_taint",
    "result_tree",
    "shown_path",
    "steering_producer",
    "tainted_input",
    "tainted_inputs",
    "tainted_param",
    "tainted_producer",
    "tasks_inside",
]

#: What a hook offers in words of its orchestrator: its planner's, and those of its input.
_OF_PLANNER = frozenset({"goal", "plan"})


def loop_begins_tainted(state: RunState, loop: Loop) -> bool:
    """Whether an orchestrator is told tainted text before it decides anything."""
    task = loop.task
    if task is not None and (task.told or reads_taint(state, task)):
        return True
    return tainted_input(loop) is not None or tainted_param(state) is not None


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
    if state.known.endorsed:
        return bool(tainted_inputs(state, task))
    if task.decided_tainted and not _facts(state, task.worker).hears.isdisjoint(task.input):
        return True
    if task.step is None and task.tree is None:
        return bool(task.references) and tainted_producer(state, task) is not None
    return tainted_producer(state, task) is not None


def tainted_inputs(state: RunState, task: Task) -> set[str]:
    """The inputs of a task that hold tainted text, without those whose text is all endorsed."""
    found: set[str] = set()
    if task.decided_tainted:
        found |= _facts(state, task.worker).hears & task.input.keys()
    loop = task.loop
    if loop.tainted or loop.has_tainted:
        for origin in origins(task):
            name = (pointer_tokens(origin.path) or [""])[0]
            if name not in found and is_tainted(state, origin):
                found.add(name)
    if state.known.endorsed:
        return {name for name in found if not is_endorsed(state, task.resolved.get(name))}
    return found


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


def gives_taint(state: RunState, task: Task) -> bool:
    """Whether what a task has given is a stranger's, unless a verifier lets it pass."""
    return _facts(state, task.worker).speaks and _is_source(state, task)


def mark_passed_on(state: RunState, step: Step) -> None:
    """Set whether a value is tainted that a `reduce` gives without a call."""
    loop = step.loop
    if loop.tainted or loop.has_tainted:
        step.tainted = _first_tainted(state, passed_on(step)) is not None


def address_of(state: RunState, worker: Worker) -> frozenset[str]:
    """The inputs that decide whom a worker talks to, and that no `@from` binds."""
    return _facts(state, worker).address


def is_steered(state: RunState, task: Task) -> bool:
    """Whether strangers may have decided that a task runs: a decision, its `when` or a `where`."""
    return task.decided_tainted or steering_producer(state, task) is not None


def is_stranger(state: RunState, task: Task) -> bool:
    """Whether what a task says is a stranger's own, whatever it was given."""
    return _facts(state, task.worker).source or _facts(state, task.acting).source


def is_read(brought: Iterable[Task | Step], feedback: Iterable[Remark]) -> bool:
    """Whether a planner reads words of strangers in what a round brought.

    What it does not see in words taints no decision; it stays tainted itself, and where a
    reference leads to it. A check is quoted in full (`told` is None) where the planner sees all
    words; elsewhere it is quoted only if all that it has seen is what the planner reads, too.
    """
    return any(entry.tainted and _is_read(entry) for entry in brought) or any(
        remark.untrusted and remark.told is None for remark in feedback
    )


def _is_read(entry: Task | Step) -> bool:
    """Whether a planner reads the words of a tainted task or step, or of what failed in it."""
    if isinstance(entry, Task):
        return in_words(entry) if entry.failure is None else why_shown(entry)
    if not in_words(entry):
        return False
    items = entry.items.values()
    given = any(task.tainted and task.status == "done" for task in items)
    return given or not items or why_shown(entry)


def hears_strangers(state: RunState, run: HookRun) -> bool:
    """Whether what the verifiers of a hook say may be words of strangers, for they saw such."""
    task, loop = run.task, run.loop
    if task is not None:
        done = task.status == "verifying"
        if _is_source(state, task) if done else reads_taint(state, task):
            return True
    for name in run.looked:
        verifier = state.program.verifiers[name]
        inputs = verifier.inputs.schema.get("properties", {})
        # The goal is at the head of an `llm` verifier's prompt.
        others = not OF_OTHERS.isdisjoint(inputs)
        if loop.tainted and (
            others or verifier.kind == "llm" or not _OF_PLANNER.isdisjoint(inputs)
        ):
            return True
        if others and loop.has_tainted and any(other.tainted for other in loop.every_task()):
            return True
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
    if task.plan is not None and any(has_said(state, other) for other in tasks_inside(task)):
        return True
    return reads_taint(state, task)


def tasks_inside(task: Task) -> Iterator[Task]:
    """The tasks of a plan worker's run, those of its passes too."""
    frames: list[Frame] = [] if task.plan is None else [task.plan]
    for frame in frames:
        yield from frame.tasks.values()
        for step in frame.steps.values():
            frames.extend(step.passes)


def _gives_back_taint(state: RunState, loop: Loop) -> bool:
    """Whether what a sub-orchestrator returns is tainted; see the module's text."""
    if loop.by_person:
        return False
    if loop.status == "finished" and not loop.escalated:
        # Without its planner having read it, by reference.
        return loop.tainted or (
            loop.has_tainted
            and _first_tainted(state, result_origins(loop, result_tree(loop))) is not None
        )
    return has_read(state, loop)


def has_read(state: RunState, loop: Loop) -> bool:
    """Whether a stranger's words have come to an orchestrator, or to one of its tasks."""
    return loop.tainted or any(has_said(state, task) for task in loop.every_task())


def result_tree(loop: Loop) -> Any:
    """The result that an orchestrator last decided on, its references as records; None if it has
    none."""
    for r in reversed(loop.rounds):
        if r.decision is not None and "finish" in r.decision:
            return loop.decisions.finish_tree(r.decision)
    return None


def has_said(state: RunState, task: Task) -> bool:
    """Whether a stranger's words have come back from a task.

    What a hook is looking at is not marked yet, and its verifiers may have quoted it.
    """
    return task.tainted or (task.status == "verifying" and _is_source(state, task))


def _facts(state: RunState, worker: Worker | Orchestrator) -> Facts:
    facts = state.facts.get(worker.name)
    if facts is None:
        facts = state.facts[worker.name] = facts_of(state.program, worker, older=not state.verdicts)
    return facts


def tainted_producer(state: RunState, task: Task) -> Task | Step | None:
    """A task or step whose tainted words are in this one's input."""
    loop = task.loop
    if not loop.tainted and not loop.has_tainted:
        return None
    return _first_tainted(state, origins(task))


def steering_producer(state: RunState, task: Task) -> Task | Step | None:
    """A task or step whose tainted words decide whether, how often or in what order it runs."""
    loop = task.loop
    if not (loop.tainted or loop.has_tainted):
        return None
    return _first_tainted(state, control_origins(task))


def _first_tainted(state: RunState, found: Iterable[Origin]) -> Task | Step | None:
    return next((origin.producer for origin in found if is_tainted(state, origin)), None)


def is_tainted(state: RunState, origin: Origin) -> bool:
    """Whether a stranger's words may have come from an origin."""
    producer = origin.producer
    if origin.inside:
        assert isinstance(producer, Task)
        name = (pointer_tokens(origin.at or "") or [""])[0]
        if not name:
            return bool(producer.looked_at.leaves_open(sorted(tainted_inputs(state, producer))))
        return bool(producer.looked_at.leaves_open([name])) and _part_is_tainted(
            state, producer, origin.at
        )
    return origin.words and producer.tainted and _carries(state, producer, origin.at)


def _part_is_tainted(state: RunState, task: Task, at: str | None) -> bool:
    """Whether (a part of) a task's input holds tainted text; see `reads_taint`."""
    if not at:
        return reads_taint(state, task)
    if state.known.endorsed and is_endorsed(state, at_pointer(task.resolved, at)):
        return False
    name = (pointer_tokens(at) or [""])[0]
    if task.decided_tainted and name in task.input and name in _facts(state, task.worker).hears:
        return True
    loop = task.loop
    if not loop.tainted and not loop.has_tainted:
        return False
    return any(
        is_tainted(state, origin)
        for origin in origins(task)
        if is_under(origin.path, at) or is_under(at, origin.path)
    )


def _carries(state: RunState, producer: Task | Step, at: str | None) -> bool:
    """Whether (a part of) what something gave can hold words."""
    worker = producer.worker
    if at is None or worker is None:
        return True
    if isinstance(producer, Step) and isinstance(producer.spec, EachStep):
        at = "/" + at[1:].partition("/")[2] if "/" in at[1:] else ""
    elif isinstance(producer, Step) and not producer.items:
        return True  # a `reduce` that made no call: it gave `empty`, which may be of any type
    return carries_at(worker.output.schema, at, older=not state.verdicts)


def tainted_input(loop: Loop) -> str | None:
    """An input of an orchestrator that is marked `@untrusted` and can hold words."""
    schema = loop.orchestrator.inputs.schema
    properties = schema.get("properties", {})
    fields = getattr(loop.orchestrator.inputs.type, "fields", ())
    for field in untrusted_fields(fields):
        if carries(properties.get(field.name), schema):
            return field.name
    return None


def tainted_param(state: RunState) -> str | None:
    """A param that is marked `@untrusted` and can hold words."""
    return next(untrusted_params(state.program), None)
