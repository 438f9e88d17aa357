"""Runs on a cluster, for the commands that start, answer, call off and follow them.

The other half of `engine.cli.drive_run`: the same views, the same last words and the same exit
codes, but the run is driven elsewhere, so leaving it does not stop it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from engine.cli.drive_run import RunOptions, show_cursor, watch_for
from engine.cli.end_report import EXITS, note, tell_end, write_report
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.gate_text import tell_questions
from engine.cli.journals import find_run, open_journal, resume_command
from engine.cli.signals import Interrupted, run_interruptible
from engine.distributed.address import connect, parse_address
from engine.distributed.programs import program_of
from engine.distributed.remote import RemoteRun, start_run
from engine.drive import launch
from engine.drive.answers import Reply, addressed, find_gate, refuse_secrets
from engine.drive.driver import Observer
from engine.drive.guard import redactor_of
from engine.drive.launch import Options
from engine.drive.spending import refuse_windows
from engine.drive.telling import Words, event_of
from engine.errors import UsageError
from engine.runtime.machine import fold
from engine.runtime.report import run_report
from engine.runtime.state import Gate, RunState
from engine.sema.model import Orchestrator, Program
from engine.workers.output import reserved_stdout

__all__ = ["answer_there", "cancel_there", "follow_there", "start_there", "tell_there"]

#: Begins (or finds) a run, and gives it with its state and how many events that is folded from.
_Begin = Callable[[], Coroutine[Any, Any, tuple[RemoteRun, RunState, int]]]


def start_there(
    program: Program,
    orchestrator: Orchestrator,
    values: Mapping[str, Any],
    run_options: RunOptions,
    extra: Mapping[str, Any],
) -> int:
    """Start a run on a cluster, and follow it.

    Raises:
        InputError, UsageError: It cannot be started like that.
        JournalError: The cluster cannot be reached.
    """
    if run_options.record_dir is not None:
        raise UsageError("--record keeps what models answer here, and they are asked elsewhere")
    address = parse_address(_place(run_options))
    # Most secrets are known on the hosts alone; those that are set here must not travel either.
    known = {name: os.environ[name] for name in program.secrets if os.environ.get(name)}
    refuse_windows(program, os.environ)
    options = Options(models=run_options.models, labels=run_options.labels)
    record, began = launch.prepare(program, orchestrator, values, options, known)

    async def begin() -> tuple[RemoteRun, RunState, int]:
        run = await start_run(await connect(address), address, record, began)
        return run, RunState(program), 0

    return _follow(begin, run_options, extra)


def follow_there(name: str, run_options: RunOptions) -> int:
    """Follow a run to its end, or until it waits for a person.

    Raises:
        CommandError: There is no such run.
        JournalError: The cluster cannot be reached, or no host there can answer for the run.
    """
    run, state, seen, extra = _found(name, _place(run_options))
    if state.ended and not run_options.quiet:
        note(f"run {run} has ended: {state.status}")
    return _follow(_reopened(run, state, seen, _place(run_options)), run_options, extra)


def answer_there(
    name: str, run_options: RunOptions, which: str | None, reply_to: Callable[[Gate], Reply]
) -> int:
    """Answer a gate of a run, and follow the run.

    Args:
        which: The gate's key, or the id of its task, as it was typed.

    Raises:
        CommandError, UsageError: There is no such gate (any more), or the reply does not fit it.
        JournalError: The cluster cannot be reached, or no host there can answer for the run.
    """
    run, state, seen, extra = _found(name, _place(run_options))
    if state.ended:
        raise CommandError(f"run {run} has ended ({state.status}): no gate is open", Exit.USAGE)
    meant = find_gate(state, which)
    reply = addressed(meant, which, reply_to(meant))
    refuse_secrets(reply, redactor_of(state.program))
    reopened = _reopened(run, state, seen, _place(run_options))

    async def begin() -> tuple[RemoteRun, RunState, int]:
        remote, _, _ = await reopened()
        await remote.answer(reply)
        return remote, state, seen

    return _follow(begin, run_options, extra)


def cancel_there(name: str, run_options: RunOptions, reason: str) -> int:
    """Call a run off, whether it waits or is under way, and follow it to its end.

    Raises:
        CommandError, UsageError: There is no such run, or it has ended.
        JournalError: The cluster cannot be reached, or no host there can answer for the run.
    """
    run, state, seen, extra = _found(name, _place(run_options))
    refuse_secrets(reason, redactor_of(state.program))
    reopened = _reopened(run, state, seen, _place(run_options))

    async def begin() -> tuple[RemoteRun, RunState, int]:
        remote, _, _ = await reopened()
        await remote.cancel(reason)
        return remote, state, seen

    return _follow(begin, run_options, extra)


def tell_there(name: str, words: Words, place: str) -> str:
    """Give a note to a run's planner; returns the run's id once the note is in the journal.

    Raises:
        NotTaken: The run takes no note any more.
        CommandError, UsageError: There is no such run or task, or the note itself is refused.
        JournalError: The cluster cannot be reached, or no host there can answer for the run.
    """
    run, state, _, _ = _found(name, place)
    event_of(state, words)
    address = parse_address(place)

    async def work() -> None:
        await RemoteRun(await connect(address), address, run).tell(words)

    asyncio.run(work())
    return run


def _place(run_options: RunOptions) -> str:
    """The address of the cluster, as it was typed."""
    assert run_options.directory is not None
    return run_options.directory


def _found(name: str, place: str) -> tuple[str, RunState, int, dict[str, Any]]:
    """A run as it is now: its id, its state, how many events it has, what reports say of it."""
    journal = open_journal(place)
    try:
        run = find_run(journal, name)
        record = journal.record(run)
        events = journal.read(run)
    finally:
        journal.close()
    extra = {
        "workflow": record.workflow,
        "orchestrator": record.orchestrator,
        "journal": place,
    }
    return run, fold(program_of(record), events), len(events), extra


def _reopened(run: str, state: RunState, seen: int, place: str) -> _Begin:
    address = parse_address(place)

    async def begin() -> tuple[RemoteRun, RunState, int]:
        return RemoteRun(await connect(address), address, run), state, seen

    return begin


def _follow(begin: _Begin, run_options: RunOptions, extra: Mapping[str, Any]) -> int:
    """Follow a run and tell its end; returns the exit code."""
    with reserved_stdout() as stream:
        watch = watch_for(quiet=run_options.quiet, color=run_options.color)
        begun: list[tuple[str, RunState]] = []

        def tell(line: str) -> None:
            if not run_options.quiet:
                note(line)

        async def work() -> RunState:
            remote, state, seen = await begin()
            begun.append((remote.run, state))
            tell(f"run {remote.run}")
            observers: list[Observer] = watch.observers
            return await remote.follow(state, seen, observers, tell)

        try:
            with watch:
                state = run_interruptible(work(), show_cursor)
        except Interrupted as stop:
            if not begun:
                raise CommandError("interrupted", Exit(stop.code)) from None
            run, state = begun[0]
            again = resume_command(run, _place(run_options))
            note(f"left; the run continues where it is being driven. Follow it with: {again}")
            if run_options.style == "json" and state.root is not None:
                write_report({**run_report(state), **extra, "status": "running"}, stream)
            return stop.code
        tell_end(
            state,
            stream,
            style=run_options.style,
            quiet=run_options.quiet,
            color=run_options.color,
            full=run_options.full,
            extra=extra,
        )
        if state.status == "waiting" and not run_options.quiet:
            tell_questions(state, run_options.directory)
        sys.stderr.flush()
        return EXITS[state.status]
