"""The records of the public API: a run as a program that embeds orch sees it.

All records are frozen, slotted, and hold plain values: numbers, text, JSON values, tuples of other
records. Money is in micro-dollars (a millionth of a dollar), durations are in milliseconds, and
timestamps in Unix milliseconds; the unit is part of the name.

Contains no behaviour. `Failure`, which workers also raise, is in `engine.errors`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.errors import Failure
from engine.events import RunStatus
from engine.history.changes import Change
from engine.history.replay import Divergence
from engine.history.whole_replay import WholeReplay
from engine.journal import Journal, RunSummary
from engine.journal.listing import ShownStatus, shown_status
from engine.runtime.budget import Ledger
from engine.runtime.ending import subtree
from engine.runtime.places import place_of
from engine.runtime.questions import gate_reports
from engine.runtime.report import run_report
from engine.runtime.sources import SourceKind
from engine.runtime.state import (
    Frame,
    GateKind,
    Loop,
    RunState,
    Step,
    StepStatus,
    Task,
    TaskStatus,
)
from engine.runtime.steps.summary import counts_of, failures_of, kind
from engine.runtime.tainted_result import tainted_parts
from engine.runtime.task_paths import path_in_loop
from engine.runtime.ways import Ways
from engine.sema.plans.steps import StepKind
from engine.source import Place

__all__ = [
    "Gate",
    "GateItem",
    "Replay",
    "Run",
    "RunInfo",
    "Source",
    "StepFailures",
    "StepReport",
    "TaskReport",
    "Usage",
    "gate_of",
    "info_of",
    "replay_of",
]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens and the money that a run has used.

    Attributes:
        input_tokens: Tokens of prompts, those read from a provider's cache included.
        output_tokens: Tokens of answers.
        cached_tokens: Tokens of prompts that a provider read from its cache.
        cache_write_tokens: Tokens of prompts that a provider wrote to its cache.
        reasoning_tokens: Tokens of answers that a model spent on its reasoning.
        cost_micro_usd: Micro-dollars; None if the price of a call is not known.
        estimated: Whether a provider left out what a call used, so that its reservation counts.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_micro_usd: int | None = 0
    estimated: bool = False
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a part of a task's input came from.

    Of a part with several sources, those with the longest path that covers it count.

    Attributes:
        path: The part, as a JSON Pointer into the input with its references resolved.
        kind: `planner` (typed by the orchestrator's model), `output` (of another task), `program`
            (a value or a default of the file), `caller` (an input of the run) or `person` (entered
            at a gate or in a plan).
        task: The id of the task or step that gave it, or None.
        worker: The worker of that task, or None.
        at: The part of its output, as a JSON Pointer; None if it may be any part, or why it failed.
        tainted: Whether it holds, or may hold, text of strangers.
        way: How it came here, in words, from the stranger on.
    """

    path: str
    kind: SourceKind
    task: str | None = None
    worker: str | None = None
    at: str | None = None
    tainted: bool = False
    way: str = ""


class GateItem(msgspec.Struct, frozen=True, kw_only=True):
    """One of the items of a step that a gate is about.

    Attributes:
        item: Its number, as `Reply.items` takes it: `3`, or `3.0` in a flattened list.
        task: The id of its task: `r[3]`.
        label: The text that the step gives it, or "".
        input: The input of its task.
        message: What is asked about it, where the items do not have one question; or "".
        parent: In a fork, what the parent run did with it: `task`, `event`, `outcome` (`done`,
            `failed` or `unknown`) and `offers`, whether an approval may take its output; or None.
        sources: Where the parts of its input came from, the first 8, the tainted before others.
    """

    item: str
    task: str
    label: str
    input: Any
    message: str = ""
    parent: Mapping[str, Any] | None = None
    sources: tuple[Source, ...] = ()


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """An open question to a person.

    Attributes:
        run: The id of the run that waits.
        workflow: The path of the run's file, as it was named at the start.
        key: The gate's name in its run, for `Reply.gate`.
        kind: `approval` (a `human` verifier asks), `outcome` (the outcome of a `once` task) or
            `escalation` (how the run is to end).
        orchestrator: Whose loop asks.
        message: The question.
        options: The answers that the program suggests.
        task: The id of the task it is about, or None.
        worker: The worker of that task, or None.
        input: The input of that task; None if there is no task.
        plan: The plan that it asks about (`before_round`), or None: `tasks`, each as the decision
            has it, with `effect`, `least`, `most`, `cost_most` and `tainted`, and its `estimate`.
        opened_ms: When it opened; None if that is not known.
        timeout_ms: How long it stays open, from `opened_ms`; None for as long as it takes.
        offers: Whether approving it may take over what the parent run's task gave; of items, all
            of them.
        step: The id of the step whose items it is about, in place of a task; or None.
        count: How many items that are.
        items: The first 1,000 of them, for `Reply.items`.
        sources: Where the parts of the task's input came from, the first 100, the tainted before
            others.
        changes: What differs from what was asked before about the same worker, the first 50: `at`,
            `is` (`added`, `removed` or `changed`), `was` and `now`; None where nothing was.
        why: For what the task would be denied without an approval, a sentence each; empty if it
            would not be.
    """

    run: str
    workflow: str
    key: str
    kind: GateKind
    orchestrator: str
    message: str
    options: tuple[str, ...] = ()
    task: str | None = None
    worker: str | None = None
    input: Any = None
    plan: Mapping[str, Any] | None = None
    opened_ms: int | None = None
    timeout_ms: int | None = None
    offers: bool = False
    step: str | None = None
    count: int = 0
    items: tuple[GateItem, ...] = ()
    sources: tuple[Source, ...] = ()
    changes: tuple[Mapping[str, Any], ...] | None = None
    why: tuple[str, ...] = ()


class TaskReport(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one task.

    Attributes:
        id: As the decision named it; inside a plan worker, after that one's: `a2/r[3]`.
        key: Its place in the run: `round 3 / decision 1 / task a2`.
        worker: Who it was for.
        round: The round it belongs to, from 1.
        status: `done`, `failed`, `skipped`, or what it was doing when the run ended or waits.
        attempts: How many calls were made for it.
        input: As the decision gave it.
        output: What it gave, if it is done.
        partial: The best that a failed sub-orchestrator had, or None.
        failure: Why it failed, or None.
        duration_ms: How long it took; None if it did not start or has not ended.
        step: The id of the step that it is an item of, or None.
        item: The value that an item of an `each` is about, or None.
        label: The label of an item, or "".
        sources: Where the parts of its input came from.
        tainted: Whether what it gave, or why it failed, holds text of strangers, or may.
    """

    id: str
    key: str
    worker: str
    round: int
    status: TaskStatus
    attempts: int
    input: Any = None
    output: Any = None
    partial: Any = None
    failure: Failure | None = None
    duration_ms: int | None = None
    step: str | None = None
    item: Any = None
    label: str = ""
    sources: tuple[Source, ...] = ()
    tainted: bool = False


class StepFailures(msgspec.Struct, frozen=True, kw_only=True):
    """The items of a step that failed in one mode.

    Attributes:
        mode: Their mode.
        count: How many there are.
        first: The id of the first: `r[3]`.
        label: Its label, or "".
        message: What it said.
    """

    mode: str
    count: int
    first: str
    label: str = ""
    message: str = ""


class StepReport(msgspec.Struct, frozen=True, kw_only=True):
    """How far a step has come: an `each`, a `reduce` or a `repeat`.

    Its items are among the tasks of the run, with `TaskReport.step`.

    Attributes:
        id: As the decision or the author named it, after the plan worker that it is in: `a2/r`.
        key: Its place in the run: `round 3 / decision 1 / task r`.
        kind: `each`, `reduce` or `repeat`.
        worker: Who its items are for; None for a `repeat`.
        round: The round it belongs to, from 1.
        status: `done`, `failed`, `skipped`, or what it was doing when the run ended or waits.
        total: How many items it has so far: tasks, and values that have none yet; of a `repeat`,
            passes.
        known: Whether no more items come.
        done: How many of them are done.
        failed: How many failed, or got no task.
        not_started: How many of the failed got no task.
        skipped: How many were not needed.
        running: How many are under way.
        waiting: How many wait for a slot.
        failures: The failed by mode, the most frequent first.
        output: What it gave, if it is done; of an `each`, the outputs in the order of its source.
        partial: What its items gave before it failed, or None.
        failure: Why it failed, or None.
        duration_ms: How long it took; None if it did not start or has not ended.
    """

    id: str
    key: str
    kind: StepKind
    worker: str | None
    round: int
    status: StepStatus
    total: int = 0
    known: bool = True
    done: int = 0
    failed: int = 0
    not_started: int = 0
    skipped: int = 0
    running: int = 0
    waiting: int = 0
    failures: tuple[StepFailures, ...] = ()
    output: Any = None
    partial: Any = None
    failure: Failure | None = None
    duration_ms: int | None = None


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A run in a list of runs.

    Attributes:
        id: The run's id.
        status: As `Run.status`; `running` if a process drives it, `interrupted` if none does.
        workflow: The path of its file, as it was named at the start.
        orchestrator: Which orchestrator runs.
        started_ms: When it started.
        ended_ms: When it ended; None if it has not.
        reason: Why it ended as it did.
        bound: The bound that was hit, or None.
        parent: The run it was forked from, or None.
        parent_seq: The number of the last event that it shares with its parent, or None.
        labels: What it was labelled with at the start, by name.
    """

    id: str
    status: ShownStatus
    workflow: str
    orchestrator: str
    started_ms: int
    ended_ms: int | None = None
    reason: str = ""
    bound: str | None = None
    parent: str | None = None
    parent_seq: int | None = None
    labels: Mapping[str, str] = {}


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What driving a run once more from its journal came to, without any call.

    Attributes:
        run: The run's id.
        status: The run's status.
        events: How many events its journal has.
        divergence: The first event that does not fit the program in the journal, or None.
        file: The file whose program was compared.
        changed: Whether that program is another one than that in the journal.
        changed_files: The paths whose text has changed.
        changes: The declarations that have changed.
        file_divergence: The first event that does not fit the changed program, or None.
        matters_from: The number of the first event that a change has a part in, or None.
        skipped: Why the file was not compared; empty if it was.
    """

    run: str
    status: RunStatus
    events: int
    divergence: Divergence | None = None
    file: str = ""
    changed: bool = False
    changed_files: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    file_divergence: Divergence | None = None
    matters_from: int | None = None
    skipped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that has ended, or that waits for a person.

    Attributes:
        id: For `orch.resume` and `orch show`.
        status: `finished`, `failed`, `exhausted`, `aborted`, `cancelled` or `waiting`; `running`
            where it was cancelled and something that may happen only once is under way.
        output: The result, if it finished.
        partial: The best partial result, if it did not.
        bound: The name of the bound that was hit, if it is `exhausted`.
        reason: Why it ended as it did, in a sentence; empty for a plain finish.
        place: Where in the source that comes from, or None; `str()` is `file:line:column`.
        escalated: Whether the result came from `on_escalate` or a person.
        rounds: How many rounds it took.
        usage: The tokens and the money it used.
        failures: The tasks that failed, those of sub-orchestrators included, in order.
        gates: The questions that wait for a person, oldest first.
        warnings: What was odd on the way, a sentence each.
        tainted: Whether the result (or the partial one) holds text of strangers, or may.
        tainted_parts: Which parts of it, as JSON Pointers; "" is all of it.
        journal: The journal that holds its events.
    """

    id: str
    status: RunStatus
    output: Any = None
    partial: Any = None
    bound: str | None = None
    reason: str = ""
    place: Place | None = None
    escalated: bool = False
    rounds: int = 0
    usage: Usage = field(default_factory=Usage)
    failures: tuple[Failure, ...] = ()
    gates: tuple[Gate, ...] = ()
    warnings: tuple[str, ...] = ()
    tainted: bool = False
    tainted_parts: tuple[str, ...] = ()
    journal: Journal = field(repr=False, compare=False)
    _state: RunState = field(repr=False, compare=False)

    @classmethod
    def of(cls, state: RunState, journal: Journal) -> Run:
        """The record of a state that its journal tells."""
        loop = state.loop
        parts = tainted_parts(state, loop)
        return cls(
            id=state.run,
            status=state.status,
            output=loop.output,
            partial=None if state.status == "finished" else loop.best,
            bound=state.bound,
            reason=state.reason or loop.reason,
            place=None if state.status == "finished" else place_of(state, loop.cause),
            escalated=loop.escalated,
            rounds=loop.round,
            usage=_usage_of(loop.ledger),
            failures=tuple(
                found
                for task in _tasks(loop)
                if task.failure is not None and (found := _failure_of(state, task))
            ),
            gates=tuple(
                gate_of(gate, state.run, state.program.path) for gate in gate_reports(state)
            ),
            warnings=tuple(state.warnings),
            tainted=bool(parts),
            tainted_parts=parts,
            journal=journal,
            _state=state,
        )

    @property
    def tasks(self) -> tuple[TaskReport, ...]:
        """Every task, those of sub-orchestrators, plan workers and steps included, in order."""
        ways = Ways(self._state)
        return tuple(_task_of(self._state, task, ways) for task in _tasks(self._state.loop))

    @property
    def steps(self) -> tuple[StepReport, ...]:
        """Every step, those of sub-orchestrators and plan workers included, in order."""
        return tuple(_step_of(self._state, step) for step in _steps(self._state.loop))

    def report(self, *, details: bool = True, items: bool = False) -> dict[str, Any]:
        """Everything as plain data, as `orch show --format json` gives it (with `--items`)."""
        return run_report(self._state, details=details, items=items)


def gate_of(report: Mapping[str, Any], run: str, workflow: str) -> Gate:
    """The record of a gate, from `gate_report`."""
    items = tuple(
        GateItem(**{**item, "sources": _sources_of(item)}) for item in report.get("items", ())
    )
    changes = report.get("changes")
    given = {
        "run": run,
        "workflow": workflow,
        "options": tuple(report["options"]),
        "items": items,
        "sources": _sources_of(report),
        "changes": None if changes is None else tuple(changes),
        "why": tuple(report.get("why", ())),
    }
    return Gate(**{**report, **given})


def _sources_of(report: Mapping[str, Any]) -> tuple[Source, ...]:
    # A journal of an earlier version has none.
    return tuple(Source(**source) for source in report.get("sources", ()))


def info_of(summary: RunSummary) -> RunInfo:
    """The record of a line of a listing."""
    return RunInfo(
        id=summary.run,
        status=shown_status(summary),
        workflow=summary.workflow,
        orchestrator=summary.orchestrator,
        started_ms=summary.started_ms,
        ended_ms=summary.ended_ms,
        reason=summary.reason,
        bound=summary.bound,
        parent=summary.parent,
        parent_seq=summary.parent_seq,
        labels=summary.labels,
    )


def replay_of(found: WholeReplay) -> Replay:
    """The record of a replay."""
    compared = found.compared
    return Replay(
        run=found.record.run,
        status=found.record.status,
        events=found.events,
        divergence=found.recorded.divergence,
        file=found.path,
        changed=compared is not None,
        changed_files=() if compared is None else tuple(compared.files),
        changes=() if compared is None else tuple(compared.changes),
        file_divergence=None if compared is None else compared.replay.divergence,
        matters_from=found.matters_from,
        skipped="" if found.skipped is None else found.skipped[0],
    )


def _usage_of(ledger: Ledger) -> Usage:
    return Usage(
        input_tokens=ledger.input_tokens,
        output_tokens=ledger.output_tokens,
        cached_tokens=ledger.cached_tokens,
        cost_micro_usd=None if ledger.unpriced_calls else ledger.cost_usd,
        estimated=bool(ledger.estimated),
        cache_write_tokens=ledger.cache_write_tokens,
        reasoning_tokens=ledger.reasoning_tokens,
    )


def _tasks(loop: Loop) -> Iterator[Task]:
    """The tasks of a loop, each followed by those of its sub-orchestrator or plan."""
    todo = list(reversed(loop.tasks.values()))
    while todo:
        task = todo.pop()
        yield task
        if task.child is not None:
            todo += reversed(task.child.tasks.values())
        if task.plan is not None:
            todo += reversed(list(_in_frame(task.plan)))


def _in_frame(frame: Frame) -> Iterator[Task]:
    """The tasks of a plan worker or a pass, those of its passes included."""
    yield from frame.tasks.values()
    for step in frame.steps.values():
        for one in step.passes:
            yield from _in_frame(one)


def _steps(loop: Loop) -> Iterator[Step]:
    for one in subtree(loop):
        yield from one.every_step()


def _failure_of(state: RunState, entry: Task | Step) -> Failure | None:
    failure = entry.failure
    if failure is None:
        return None
    return Failure(
        failure.mode,
        failure.message,
        retryable=failure.retryable,
        task=path_in_loop(entry),
        worker="" if entry.worker is None else entry.worker.name,
        round=entry.round,
        key=entry.key,
        place=place_of(state, failure.cause),
    )


def _duration_of(entry: Task | Step) -> int | None:
    began, ended = entry.started_at, entry.ended_at
    return None if began is None or ended is None else ended - began


def _step_of(state: RunState, step: Step) -> StepReport:
    counts = counts_of(step)
    return StepReport(
        id=path_in_loop(step),
        key=step.key,
        kind=kind(step),
        worker=None if step.worker is None else step.worker.name,
        round=step.round,
        status=step.status,
        total=counts.total,
        known=counts.known,
        done=counts.done,
        failed=counts.failed,
        not_started=counts.dropped,
        skipped=counts.skipped,
        running=counts.running,
        waiting=counts.waiting,
        failures=tuple(
            StepFailures(**msgspec.structs.asdict(found)) for found in failures_of(step)
        ),
        output=step.output if step.status == "done" else None,
        partial=step.partial,
        failure=_failure_of(state, step),
        duration_ms=_duration_of(step),
    )


def _task_of(state: RunState, task: Task, ways: Ways) -> TaskReport:
    return TaskReport(
        id=path_in_loop(task),
        key=task.key,
        worker=task.worker.name,
        round=task.round,
        status=task.status,
        attempts=task.attempts,
        input=task.input,
        output=task.output if task.status == "done" else None,
        partial=task.partial,
        failure=_failure_of(state, task),
        duration_ms=_duration_of(task),
        step=None if task.step is None else path_in_loop(task.step),
        item=task.item,
        label=task.label,
        sources=tuple(Source(**source) for source in ways.sources(task)),
        tainted=task.tainted,
    )
