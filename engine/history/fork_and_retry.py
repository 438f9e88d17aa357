"""Forks, upgrades and retries: starts driving a recorded run again.

A run continues with another program, from an earlier point, or after its end. Everything that may
fail is checked before anything is written, so a run is never left in between. Each of these begins
with an event that the machine folds like any other, so the journal still describes the whole run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec

from engine import clock
from engine.drive import launch
from engine.drive.active import Drive, alone
from engine.drive.answers import answers
from engine.drive.guard import redactor_of, refuse_written
from engine.drive.launch import Options
from engine.drive.loading import compile_record
from engine.errors import JournalError, OrchError, UsageError
from engine.events import (
    CallStarted,
    Event,
    HeldTask,
    ModelInfo,
    RunEnded,
    RunForked,
    RunResumed,
    RunRetried,
    RunStatus,
)
from engine.history.current import against, current_program, models_of
from engine.history.replay import Divergence, replay
from engine.history.seen_failures import SeenFailures, seen_failures
from engine.journal import Journal, Ownership, RunRecord
from engine.runtime.forks import input_hash
from engine.runtime.machine import fold, step
from engine.runtime.state import RunState, Task
from engine.sema.model import Program, Worker
from engine.sizes import BOUNDS
from engine.version import __version__

__all__ = ["Diverged", "Move", "NotRetried", "fork", "held_tasks", "retry_failed", "upgrade"]

_ENDED = frozenset(get_args(RunStatus)) - {"running", "waiting"}


class Diverged(OrchError):
    """A run cannot be moved to a changed program: its journal does not fit that.

    Attributes:
        run: The run.
        divergence: The first event that does not fit.
    """

    def __init__(self, run: str, divergence: Divergence) -> None:
        self.run = run
        self.divergence = divergence
        super().__init__(
            f"run {run} cannot continue with the changed program: event {divergence.seq} "
            f"({divergence.has}): {divergence.why}"
        )


class NotRetried(UsageError):
    """A run is not retried: nothing of it may be, or it would end again at once.

    Attributes:
        seen: What failed in it and only a fork can retry.
    """

    def __init__(self, message: str, seen: list[SeenFailures]) -> None:
        self.seen = seen
        super().__init__(message)


class Move(msgspec.Struct, frozen=True):
    """Whether a run continues with the program in its file as that is now.

    Attributes:
        upgrade: It does, where the journal fits the changed program.
        keep_results: What was answered is kept also where the changed program would have asked
            for the same thing in other words.
    """

    upgrade: bool = False
    keep_results: bool = False


class _Course(msgspec.Struct, frozen=True):
    """The program a run continues with; `changed` if it is not the one it had."""

    program: Program
    changed: bool
    hash: str = ""
    models: Mapping[str, ModelInfo] = {}


def _course(record: RunRecord, events: Sequence[Event], move: Move) -> _Course:
    """Find out which program a run continues with, and that its journal fits.

    Raises:
        Diverged: It does not.
        UnreadableFile, CompileError, UsageError: There is no such program.
        InputError: It holds a secret.
    """
    if not move.upgrade:
        return _Course(compile_record(record), changed=False)
    recorded = compile_record(record)
    program = current_program(record, to_run=True)
    if dict(program.files) == dict(record.files):
        return _Course(recorded, changed=False)
    changed_record = msgspec.structs.replace(record, files=dict(program.files))
    refuse_written(redactor_of(program), changed_record)
    infos = models_of(record, program)
    if move.keep_results:
        found = replay(program, events, models=infos).divergence
    else:
        found = against(record, events, program).replay.divergence
    if found is not None:
        raise Diverged(record.run, found)
    changed = {
        name: info
        for name, info in infos.items()
        # A replacement by `--model` is kept.
        if name not in record.models and _who(recorded, name) != _who(program, name)
    }
    return _Course(program, True, launch.program_hash(program), changed)


def _who(program: Program, name: str) -> object:
    """Of a model's declaration: what decides who is asked and what is known of it."""
    model = program.models.get(name)
    return model and (model.id, model.price, model.context, model.structured)


def _read(journal: Journal, run: str) -> tuple[RunRecord, list[Event]]:
    record = journal.record(run)
    events = journal.read(run)
    if not events:
        raise JournalError(f"run {run} has no events: it ended before it began")
    return record, events


async def upgrade(
    run: str, journal: Journal, options: Options | None = None, *, keep_results: bool = False
) -> RunState:
    """Resume a run with the current program of its file.

    Args:
        keep_results: See `Move`.

    Raises:
        Diverged: The journal does not fit that program; nothing has been changed.
        UsageError: The run has ended.
        JournalError: It is being driven.
    """
    with alone(journal, journal.find(run)) as drive:
        return await _upgrade(drive, options or Options(), keep_results)


async def _upgrade(drive: Drive, options: Options, keep_results: bool) -> RunState:
    run = drive.run
    owned = drive.own(await drive.journal.claim(run))
    record, events = _read(drive.journal, run)
    course = _course(record, events, Move(True, keep_results))
    state = fold(course.program, _knowing(events, course))
    if state.ended:
        raise UsageError(
            f"run {run} has ended ({state.status}): --upgrade goes with --retry-failed or --from"
        )
    wall_ms = _wall_ms()
    late = answers(state, None, wall_ms)
    await _change_program(owned, course, wall_ms)

    def first(models: dict[str, ModelInfo]) -> list[Event]:
        lost = launch.in_flight(state)
        resumed = RunResumed(
            at=state.now,
            lost=lost,
            models=models,
            program=course.hash,
            wall_ms=wall_ms,
            bounds=BOUNDS,
        )
        return [resumed, *late]

    return await launch.take_up(record, state, drive, options, first, known=course.models)


async def retry_failed(
    run: str, journal: Journal, options: Options | None = None, move: Move | None = None
) -> RunState:
    """Take a run that has ended up again where it ended; see `engine.runtime.retry_run`.

    Raises:
        UsageError: It has not ended.
        NotRetried: It has finished, or it would end again at once.
        Diverged: The journal does not fit the program it is to be moved to.
        JournalError: It is being driven.
    """
    with alone(journal, journal.find(run)) as drive:
        return await _retry(drive, options or Options(), move or Move())


async def _retry(drive: Drive, options: Options, move: Move) -> RunState:
    run = drive.run
    owned = drive.own(await drive.journal.claim(run))
    record, events = _read(drive.journal, run)
    if record.status not in _ENDED:
        raise UsageError(
            f"run {run} has not ended ({record.status}): `orch resume` continues with it"
        )
    if record.status == "finished":
        raise _finished(record, events)
    # The end itself is what is to be undone, so a program under which it is none fits.
    history = events[:-1] if isinstance(events[-1], RunEnded) else events
    course = _course(record, history, move)
    wall_ms = _wall_ms()
    retried = RunRetried(
        models=dict(course.models),
        program=course.hash,
        wall_ms=wall_ms,
        bounds=BOUNDS,
        unused=True,
    )
    probe = fold(course.program, _knowing(events, course))
    step(probe, msgspec.structs.replace(retried, at=probe.now))
    late = any(timer.at <= probe.now for timer in probe.timers.values())
    if probe.status in _ENDED or late:
        why = ": ".join(part for part in (record.status, record.bound, record.reason) if part)
        raise NotRetried(
            f"run {run} would end again at once ({why}); raise the bound in the file and give "
            "--upgrade --keep-results, or begin a fork with --from SEQ",
            seen_failures(fold(compile_record(record), events), events),
        )
    state = fold(course.program, _knowing(events, course))
    await _change_program(owned, course, wall_ms)

    def first(models: dict[str, ModelInfo]) -> list[Event]:
        return [msgspec.structs.replace(retried, at=state.now, models=models)]

    return await launch.take_up(record, state, drive, options, first, known=course.models)


def _finished(record: RunRecord, events: Sequence[Event]) -> NotRetried:
    """Why a run that has finished is not retried."""
    seen = seen_failures(fold(compile_record(record), events), events)
    said = f"run {record.run} has finished"
    if not seen:
        return NotRetried(f"{said}: nothing in it has failed that may be retried", seen)
    which = "; ".join(one.text() for one in seen[:3])
    return NotRetried(f"{said}: its planner saw what failed ({which}) and decided after it", seen)


async def fork(
    run: str,
    seq: int,
    journal: Journal,
    options: Options | None = None,
    *,
    move: Move | None = None,
    allow_effects: bool = False,
    retry: bool = False,
) -> RunState:
    """Begin a new run with the events of another one up to a number, and drive it on.

    The other run is only read. What it has finished by then is not done again; what was under way
    is done again with the same idempotency key. A `write` or `once` task that it started later
    waits for a person where the fork comes to it.

    Args:
        seq: The number of the last event that both runs share, from 1.
        allow_effects: Start such tasks again without asking.
        retry: Retry what had failed by then, as far as no decision was accepted after it.

    Raises:
        UsageError: There is no such event, or the run was over by then.
        Diverged: The events do not fit the program the fork is to have.
        JournalError: The run cannot be read, or is not this user's.
    """
    run = journal.find(run)
    record = journal.record(run)
    if not record.trusted:
        # The fork would be the user's own, and what it does the stranger's.
        raise JournalError(
            f"run {run} is in a journal that is not known to be yours",
            help="a journal can run programs: if you trust it, `orch journal trust`",
        )
    events, damage = journal.salvage(run)
    if damage is not None and not allow_effects:
        raise JournalError(
            f"the journal of run {run} is damaged: {damage}",
            help="what the run has changed outside since is not known; --allow-effects with a "
            "SEQ before the damage starts a fork anyway",
        )
    if not 1 <= seq <= len(events):
        raise UsageError(
            f"run {run} has no event {seq}: --from takes 1 to {len(events)} "
            f"(`orch show {run} --events` lists them)"
        )
    shared = events[:seq]
    course = _course(record, shared, move or Move())
    state = fold(course.program, _knowing(shared, course))
    if state.status in _ENDED:
        raise UsageError(
            f"after event {seq} run {run} was over ({state.status}): nothing would be left to do; "
            f"choose an earlier one (`orch show {run} --events` lists them)"
        )
    wall_ms = _wall_ms()
    name = launch.new_run_id()
    held = [] if allow_effects else held_tasks(compile_record(record), events, seq)
    forked = RunForked(
        at=state.now,
        run=name,
        parent=run,
        seq=seq,
        held=held,
        models=dict(course.models),
        program=course.hash,
        wall_ms=wall_ms,
    )
    begins: list[Event] = [forked]
    step(state, forked)
    if retry:
        begins.append(RunRetried(at=state.now, wall_ms=wall_ms, bounds=BOUNDS, unused=True))
        step(state, begins[-1])
        _check_retried(state, run, seq)
    files = course.program.files if course.changed else record.files
    child = msgspec.structs.replace(
        record,
        run=name,
        started_ms=wall_ms,
        status="running",
        ended_ms=None,
        reason="",
        bound=None,
        parent=run,
        parent_seq=seq,
        files=dict(files),
        earlier=(),
        engine=__version__,
    )

    def first(models: dict[str, ModelInfo]) -> list[Event]:
        lost = launch.in_flight(state)
        return [RunResumed(at=state.now, lost=lost, models=models, wall_ms=wall_ms, bounds=BOUNDS)]

    with alone(journal, name) as drive:
        # In one piece: without its last event the fork would go by its parent's name.
        drive.own(await journal.create(child, [*shared, *begins]))
        return await launch.take_up(
            child, state, drive, options or Options(), first, known=course.models
        )


def _check_retried(state: RunState, run: str, seq: int) -> None:
    """Refuse a fork that is retried while something may happen only once, or that ends at once."""
    # No process drives it yet: the one that takes it over hears what is open (`RunResumed`).
    state.commands.clear()
    phase = state.loop.phase
    if phase in ("ending", "over"):
        why = "a task that may not be repeated was under way" if phase == "ending" else state.reason
        raise UsageError(
            f"after event {seq} run {run} cannot be retried: {why}; leave out --retry-failed, or "
            "choose another event"
        )


def held_tasks(program: Program, events: Sequence[Event], seq: int) -> list[HeldTask]:
    """The `write` and `once` tasks that a run started after an event, in order."""
    state = RunState(program)
    found: dict[str, HeldTask] = {}
    tasks: dict[str, Task] = {}
    known_before: set[str] = set()
    for number, event in enumerate(events, 1):
        step(state, event)
        if isinstance(event, RunForked) and number > seq:
            # What this run was not to repeat, its fork is not to repeat either.
            found.update({held.key: held for held in event.held})
        if not isinstance(event, CallStarted):
            continue
        call = state.calls.get(event.key)
        task = call.subject if call is not None else None
        if not isinstance(task, Task) or not isinstance(task.acting, Worker):
            continue
        if number <= seq:
            known_before.add(task.key)
        elif (
            task.acting.changes_something and task.key not in known_before and task.key not in tasks
        ):
            names = list(dict.fromkeys([task.worker.name, task.acting.name]))
            tasks[task.key] = task
            found[task.key] = HeldTask(
                task.key, names, input_hash(task.resolved), number, "unknown"
            )
    for key, task in tasks.items():
        if task.status == "done":
            found[key] = msgspec.structs.replace(found[key], outcome="done", output=task.output)
        elif task.status == "failed":
            found[key] = msgspec.structs.replace(found[key], outcome="failed")
    return list(found.values())


def _knowing(events: Sequence[Event], course: _Course) -> list[Event]:
    """The events as the fold of a changed program needs them; see `machine.known_models`."""
    start = events[0]
    if not course.models or not hasattr(start, "models"):
        return list(events)
    models = {**course.models, **start.models}
    return [msgspec.structs.replace(start, models=models), *events[1:]]


async def _change_program(owned: Ownership, course: _Course, wall_ms: int) -> None:
    if course.changed:
        await owned.change_program(course.program.files, wall_ms)


def _wall_ms() -> int:
    return clock.wall_ms()
