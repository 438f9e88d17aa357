"""The public API: what `import orch` provides, as functions and the class `Workflow`.

    workflow = orch.load("report.orch")                 # CompileError if it has errors
    run = workflow.run(topic="sodium-ion batteries")    # or: await workflow.arun(...)
    run.status, run.output, run.failures, run.usage

Everything here is a thin layer over `launch`. `orch show` finds a run that was started here, and
the functions here find runs that were started on the command line. The records are in
`engine.records`, and the handle to an active run is in `engine.handle`.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from engine.diagnostics import Diagnostic
from engine.drive import launch, telling
from engine.drive.answers import Reply
from engine.drive.launch import Options
from engine.errors import UsageError
from engine.events import Event
from engine.handle import Place, RunHandle, cancelled, opened
from engine.history.waiting_runs import gates_of, gates_of_all
from engine.history.whole_replay import replay_run
from engine.journal import Journal, MemoryJournal
from engine.journal.listing import STATUSES, ShownStatus, list_runs
from engine.linter.admission import admit
from engine.linter.rules import lint as lint_file
from engine.linter.rules import lint_result
from engine.records import Gate, Replay, Run, RunInfo, gate_of, info_of, replay_of
from engine.sema.check import check_file
from engine.sema.model import Program

if TYPE_CHECKING:
    import networkx

__all__ = [
    "Gate",
    "Replay",
    "Reply",
    "Run",
    "RunHandle",
    "RunInfo",
    "Workflow",
    "acancel",
    "aresume",
    "atell",
    "cancel",
    "gates",
    "lint",
    "load",
    "replay",
    "resume",
    "runs",
    "start_resume",
    "tell",
]


class Workflow:
    """A program that checks, ready to run.

    Attributes:
        program: The checked program.
        warnings: The warnings and infos that `lint` finds.
    """

    def __init__(self, program: Program, warnings: list[Diagnostic]) -> None:
        self.program = program
        self.warnings = warnings

    def __repr__(self) -> str:
        return f"Workflow({self.program.path!r})"

    @property
    def graph(self) -> networkx.DiGraph[str]:
        """The program as a networkx graph of orchestrators, workers, verifiers and models."""
        from engine.graph.build import to_networkx  # networkx costs 110 to 440 ms to import

        return to_networkx(self.program)

    async def start(
        self,
        orchestrator: str | None = None,
        /,
        *,
        models: Mapping[str, Any] | None = None,
        journal: Journal | str | os.PathLike[str] | None = None,
        record: str | os.PathLike[str] | None = None,
        labels: Mapping[str, str] | None = None,
        input: Mapping[str, Any] | None = None,
        **inputs: Any,
    ) -> RunHandle:
        """Start a run and give a handle to it, once its first event is durable.

        Args:
            orchestrator: Which orchestrator; the one that no other uses if left out.
            models: Replacements of declared models, by name: an id, `Scripted([...])`, a function
                of a `PolicyState`, or an object with `complete` and `close`.
            journal: A folder for the journal, or a journal; in memory if left out.
            record: A folder to record the models' answers in.
            labels: What the run is labelled with, such as `{"team": "search"}`.
            input: Inputs as a mapping, for names that are not Python identifiers.
            inputs: Inputs by name.

        Raises:
            InputError: The inputs do not fit.
            UsageError: It cannot be run as asked.
            JournalError: The journal cannot be written.
        """
        place = MemoryJournal() if journal is None else journal
        drive = self._to_drive(orchestrator, {**(input or {}), **inputs}, place)
        return await RunHandle.begin(place, _options(models, record, labels), drive)

    def _to_drive(
        self, orchestrator: str | None, values: Mapping[str, Any], place: Place
    ) -> Callable[[Options], Awaitable[Run]]:
        """What starts and drives a run, with the options it is given."""
        chosen = launch.choose(self.program, orchestrator)

        async def drive(options: Options) -> Run:
            with opened(place) as found:
                state = await launch.start(self.program, chosen, values, found, options)
                return Run.of(state, found)

        return drive

    async def arun(
        self,
        orchestrator: str | None = None,
        /,
        *,
        models: Mapping[str, Any] | None = None,
        journal: Journal | str | os.PathLike[str] | None = None,
        record: str | os.PathLike[str] | None = None,
        labels: Mapping[str, str] | None = None,
        input: Mapping[str, Any] | None = None,
        **inputs: Any,
    ) -> Run:
        """Run to the end, or until a person is needed. Arguments and errors are those of `start`.

        Cancelling the call interrupts the run, which can be resumed.
        """
        place = MemoryJournal() if journal is None else journal
        drive = self._to_drive(orchestrator, {**(input or {}), **inputs}, place)
        return await drive(_options(models, record, labels))

    def run(
        self,
        orchestrator: str | None = None,
        /,
        *,
        models: Mapping[str, Any] | None = None,
        journal: Journal | str | os.PathLike[str] | None = None,
        record: str | os.PathLike[str] | None = None,
        labels: Mapping[str, str] | None = None,
        input: Mapping[str, Any] | None = None,
        **inputs: Any,
    ) -> Run:
        """`arun`, for callers without an event loop. Same arguments, same errors."""
        _no_loop("run", "arun")
        return asyncio.run(
            self.arun(
                orchestrator,
                models=models,
                journal=journal,
                record=record,
                labels=labels,
                input=input,
                **inputs,
            )
        )

    async def stream(
        self,
        orchestrator: str | None = None,
        /,
        *,
        models: Mapping[str, Any] | None = None,
        journal: Journal | str | os.PathLike[str] | None = None,
        record: str | os.PathLike[str] | None = None,
        labels: Mapping[str, str] | None = None,
        input: Mapping[str, Any] | None = None,
        **inputs: Any,
    ) -> AsyncGenerator[Event | Run, None]:
        """Run, and give each event once it is durable, and the `Run` in the end.

        Leaving the loop interrupts the run, which can be resumed. Arguments and errors are those
        of `start`.
        """
        handle = await self.start(
            orchestrator,
            models=models,
            journal=journal,
            record=record,
            labels=labels,
            input=input,
            **inputs,
        )
        try:
            async for event in handle.events():
                yield event
            yield await handle.result()
        finally:
            await handle.interrupt()


def _options(
    models: Mapping[str, Any] | None,
    record: str | os.PathLike[str] | None,
    labels: Mapping[str, str] | None,
) -> Options:
    return Options(
        models=models or {},
        record_dir=None if record is None else os.fspath(record),
        labels=labels or {},
    )


def load(path: str | os.PathLike[str], *, params: Mapping[str, Any] | None = None) -> Workflow:
    """Read and check a program.

    Args:
        path: The `.orch` file.
        params: Values for its `param` declarations.

    Raises:
        CompileError: It has errors, those that the linter alone finds included.
        InputError: A param does not fit.
        UnreadableFile: The file cannot be read.
    """
    result = check_file(os.fspath(path), params=params)
    return Workflow(admit(result), lint_result(result))


def lint(path: str | os.PathLike[str]) -> list[Diagnostic]:
    """Everything the linter finds in a file, in order of position.

    Raises:
        UnreadableFile: The file cannot be read.
    """
    return lint_file(os.fspath(path))


async def start_resume(
    run: str,
    *,
    journal: Journal | str | os.PathLike[str] = ".orch",
    models: Mapping[str, Any] | None = None,
    reply: Reply | None = None,
) -> RunHandle:
    """Resume a run and give a handle to it. Arguments and errors are those of `aresume`.

    The events of the handle are those from here on. Where this process drives the run already, the
    handle has its result only.
    """
    with opened(journal) as found:
        run = found.find(run)

    async def drive(options: Options) -> Run:
        return await _resumed(run, journal, options, reply)

    return await RunHandle.begin(journal, Options(models=models or {}), drive, run)


async def aresume(
    run: str,
    *,
    journal: Journal | str | os.PathLike[str] = ".orch",
    models: Mapping[str, Any] | None = None,
    reply: Reply | None = None,
) -> Run:
    """Resume a run where it stopped, and drive it to its end or until a person is needed.

    Where this process drives the run already, nothing starts: the reply goes to that drive, and
    the call waits for its result.

    Args:
        run: Its id, an unambiguous beginning of it, or `last`.
        journal: The journal that holds it, or that journal's folder.
        models: Replacements of declared models; those of the first start are kept. Not used
            where the run is driven already.
        reply: The answer to an open gate, for a run that waits for a person.

    Raises:
        JournalError: Another process drives it, or it cannot be read.
        UsageError: There is no such run, or the reply fits no open gate.
    """
    return await _resumed(run, journal, Options(models=models or {}), reply)


async def _resumed(
    run: str,
    journal: Journal | str | os.PathLike[str],
    options: Options,
    reply: Reply | None,
) -> Run:
    with opened(journal) as found:
        return Run.of(await launch.resume(run, found, options, reply), found)


def resume(
    run: str,
    *,
    journal: Journal | str | os.PathLike[str] = ".orch",
    models: Mapping[str, Any] | None = None,
    reply: Reply | None = None,
) -> Run:
    """`aresume`, for callers without an event loop. Same arguments, same errors."""
    _no_loop("resume", "aresume")
    return asyncio.run(aresume(run, journal=journal, models=models, reply=reply))


async def acancel(
    run: str,
    *,
    journal: Journal | str | os.PathLike[str] = ".orch",
    reason: str = "cancelled",
) -> Run:
    """End a run, wherever it is driven: nothing of it is done any more.

    Args:
        run: Its id, an unambiguous beginning of it, or `last`.
        journal: The journal that holds it, or that journal's folder.
        reason: Why, for the journal.

    Returns:
        The run, cancelled. It is still `waiting` or `running` where a `once` task is under way: it
        is cancelled when the outcome of that is known.

    Raises:
        JournalError: The process that drives it does not answer.
        UsageError: There is no such run, or it has ended already.
    """
    with opened(journal) as found:
        return await cancelled(run, found, reason)


def cancel(
    run: str,
    *,
    journal: Journal | str | os.PathLike[str] = ".orch",
    reason: str = "cancelled",
) -> Run:
    """`acancel`, for callers without an event loop. Same arguments, same errors."""
    _no_loop("cancel", "acancel")
    return asyncio.run(acancel(run, journal=journal, reason=reason))


async def atell(
    run: str,
    note: str,
    *,
    to: str = "",
    by: str = "",
    journal: Journal | str | os.PathLike[str] = ".orch",
) -> None:
    """Tell a run's planner something, wherever the run is driven; in the journal on return.

    The planner reads the note with its next decision. The goal stays as it is. A run that waits for
    a person continues to wait.

    Args:
        run: Its id, an unambiguous beginning of it, or `last`.
        note: What the planner is told.
        to: The id or key of the task whose orchestrator is meant; the root's by default.
        by: Who says it.
        journal: The journal that holds it, or that journal's folder.

    Raises:
        JournalError: The process that drives it does not answer.
        UsageError: There is no such run or task, the run has ended, or it is in its last decision.
    """
    with opened(journal) as found:
        await telling.tell(found.find(run), found, telling.Words(note, to, by))


def tell(
    run: str,
    note: str,
    *,
    to: str = "",
    by: str = "",
    journal: Journal | str | os.PathLike[str] = ".orch",
) -> None:
    """`atell`, for callers without an event loop. Same arguments, same errors."""
    _no_loop("tell", "atell")
    asyncio.run(atell(run, note, to=to, by=by, journal=journal))


def runs(
    journal: Journal | str | os.PathLike[str] = ".orch",
    *,
    status: ShownStatus | None = None,
    limit: int | None = 20,
    labels: Mapping[str, str] | None = None,
) -> list[RunInfo]:
    """The runs in a journal, latest first.

    Args:
        journal: A journal, or its folder.
        status: Only those of this status.
        limit: The maximum number; None for all.
        labels: Only those that have all of these.

    Raises:
        UsageError: There is no such status, or the limit is not a number from 1 on.
        JournalError: The journal cannot be read.
    """
    if status is not None and status not in STATUSES:
        known = ", ".join(STATUSES)
        raise UsageError(f"there is no status {status!r}; there are {known}")
    if limit is not None and limit < 1:
        raise UsageError(f"`limit` must be at least 1, or None for all, not {limit}")
    with opened(journal) as found:
        return [info_of(summary) for summary in list_runs(found, status, limit, labels)]


def gates(
    journal: Journal | str | os.PathLike[str] = ".orch", *, run: str | None = None
) -> list[Gate]:
    """The open gates of all runs in a journal, or of one, oldest first.

    A run that cannot be read is left out where all are asked for; a warning names it.

    Args:
        journal: A journal, or its folder.
        run: A run's id, an unambiguous beginning of it, or `last`; None for all runs.

    Raises:
        JournalError: It cannot be read.
        UsageError: There is no such run.
    """
    with opened(journal) as found:
        one = None if run is None else found.find(run)
        told = gates_of_all(found, _unreadable) if one is None else gates_of(found, one)
    return [gate_of(gate, gate["run"], gate["workflow"]) for gate in told]


def replay(
    run: str = "last",
    *,
    journal: Journal | str | os.PathLike[str] = ".orch",
    file: str | os.PathLike[str] | None = None,
) -> Replay:
    """Drive a run once more from its journal, without any call, and say where that does not fit.

    First with the program in the journal; then, if its file has changed, with that in the file.

    Args:
        run: Its id, an unambiguous beginning of it, or `last`.
        journal: The journal that holds it, or that journal's folder.
        file: The file to compare with; that of the run if left out.

    Raises:
        JournalError: It cannot be read.
        CompileError: The program in the file has errors.
        UnreadableFile: The file cannot be read.
        UsageError: There is no such run, or its params do not fit the file.
    """
    with opened(journal) as found:
        path = None if file is None else os.fspath(file)
        return replay_of(replay_run(found, found.find(run), path))


def _unreadable(run: str, problem: Exception) -> None:
    warnings.warn(f"run {run} cannot be read: {problem}", RuntimeWarning, stacklevel=4)


def _no_loop(name: str, instead: str) -> None:
    """Refuse to block the event loop of whoever calls, as a notebook would.

    Raises:
        UsageError: There is one.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError(f"`{name}` cannot be called inside an event loop; await `{instead}` there")
