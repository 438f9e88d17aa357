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
from engine.runtime.places import place_of
from engine.runtime.report import gate_reports, run_report
from engine.runtime.state import GateKind, Loop, RunState, Task, TaskStatus
from engine.source import Place

__all__ = [
    "Gate",
    "Replay",
    "Run",
    "RunInfo",
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
            has it, with `effect`, `least`, `most` and `cost_most`, and its `estimate`.
        opened_ms: When it opened; None if that is not known.
        timeout_ms: How long it stays open, from `opened_ms`; None for as long as it takes.
        offers: Whether approving it may take over what the parent run's task gave.
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


class TaskReport(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one task.

    Attributes:
        id: As the decision named it.
        key: Its place in the run: `round 3 / decision 1 / task a2`.
        worker: Who it was for.
        round: The round it belongs to, from 1.
        status: `done`, `failed`, or what it was doing when the run ended or began to wait.
        attempts: How many calls were made for it.
        input: As the decision gave it.
        output: What it gave, if it is done.
        partial: The best that a failed sub-orchestrator had, or None.
        failure: Why it failed, or None.
        duration_ms: How long it took; None if it did not start or has not ended.
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
    journal: Journal = field(repr=False, compare=False)
    _state: RunState = field(repr=False, compare=False)

    @classmethod
    def of(cls, state: RunState, journal: Journal) -> Run:
        """The record of a state that its journal tells."""
        loop = state.loop
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
            failures=tuple(found for task in _tasks(loop) if (found := _failure_of(state, task))),
            gates=tuple(
                gate_of(gate, state.run, state.program.path) for gate in gate_reports(state)
            ),
            warnings=tuple(state.warnings),
            journal=journal,
            _state=state,
        )

    @property
    def tasks(self) -> tuple[TaskReport, ...]:
        """Every task, those of sub-orchestrators included, in order."""
        return tuple(_task_of(self._state, task) for task in _tasks(self._state.loop))

    def report(self, *, details: bool = True) -> dict[str, Any]:
        """Everything as plain data, as `orch show --format json` gives it."""
        return run_report(self._state, details=details)


def gate_of(report: Mapping[str, Any], run: str, workflow: str) -> Gate:
    """The record of a gate, from `gate_report`."""
    options = tuple(report["options"])
    return Gate(**{**report, "run": run, "workflow": workflow, "options": options})


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
    """The tasks of a loop, each followed by those of its sub-orchestrator."""
    todo = list(reversed(loop.tasks.values()))
    while todo:
        task = todo.pop()
        yield task
        if task.child is not None:
            todo += reversed(task.child.tasks.values())


def _failure_of(state: RunState, task: Task) -> Failure | None:
    failure = task.failure
    if failure is None:
        return None
    return Failure(
        failure.mode,
        failure.message,
        retryable=failure.retryable,
        task=task.id,
        worker=task.worker.name,
        round=task.round,
        key=task.key,
        place=place_of(state, failure.cause),
    )


def _task_of(state: RunState, task: Task) -> TaskReport:
    began, ended = task.started_at, task.ended_at
    return TaskReport(
        id=task.id,
        key=task.key,
        worker=task.worker.name,
        round=task.round,
        status=task.status,
        attempts=task.attempts,
        input=task.input,
        output=task.output if task.status == "done" else None,
        partial=task.partial,
        failure=_failure_of(state, task),
        duration_ms=None if began is None or ended is None else ended - began,
    )
