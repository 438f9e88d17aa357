"""The public face: `load`, `lint`, `resume`, and a `Run` to look at.

    workflow = engine.load("report.orch")               # CompileError when it does not check
    run = workflow.run(topic="sodium-ion batteries")    # or: await workflow.arun(...)
    run.status, run.output, run.failures, run.usage

Everything here is a thin shell over `launch`; a run that was started here is found again by
`orch show`, and the other way round.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from engine.diagnostics import Diagnostic
from engine.drive import launch
from engine.drive.answers import Reply
from engine.drive.launch import Options
from engine.errors import UsageError
from engine.events import Event, RunStatus
from engine.journal import Journal, MemoryJournal, SqliteJournal
from engine.linter.admission import admit
from engine.linter.rules import lint as lint_file
from engine.linter.rules import lint_result
from engine.runtime.places import place_of
from engine.runtime.report import failures, gate_reports, run_report, usage_report
from engine.runtime.state import RunState
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.source import Place

if TYPE_CHECKING:
    import networkx

__all__ = ["Reply", "Run", "Workflow", "aresume", "lint", "load", "resume"]


class Run:
    """A run that has ended, or that waits for a person.

    Attributes:
        id: The run's id, for `engine.resume` and `orch show`.
        status: `finished`, `failed`, `exhausted`, `aborted`, `cancelled` or `waiting`.
        output: The result, if it finished.
        partial: The best partial result, if it did not.
        bound: The name of the bound that was hit, if it is `exhausted`.
        reason: Why it ended as it did, in a sentence; empty for a plain finish.
        place: Where in the source that comes from, or None; `str()` is `file:line:column`.
        rounds: How many rounds it took.
        journal: Where its events stand.
    """

    def __init__(self, state: RunState, journal: Journal) -> None:
        loop = state.loop
        self._state = state
        self.journal = journal
        self.id: str = state.run
        self.status: RunStatus = state.status
        self.output: Any = loop.output
        self.partial: Any = None if state.status == "finished" else loop.best
        self.bound: str | None = state.bound
        self.reason: str = state.reason or loop.reason
        self.place: Place | None = (
            None if state.status == "finished" else place_of(state, loop.cause)
        )
        self.escalated: bool = loop.escalated
        self.rounds: int = loop.round
        self.warnings: list[str] = list(state.warnings)

    def __repr__(self) -> str:
        return f"Run({self.id!r}, status={self.status!r}, rounds={self.rounds})"

    @property
    def gates(self) -> list[dict[str, Any]]:
        """The open gates: `{key, kind, message, task, worker, input, options, ...}` each."""
        return gate_reports(self._state)

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The tasks that failed: `{task, worker, round, key, mode, message, place}` each."""
        return failures(self._state)

    @property
    def usage(self) -> dict[str, Any]:
        """Tokens and money: `{input_tokens, output_tokens, cached_tokens, cost_usd, ...}`."""
        return usage_report(self._state.loop.ledger)

    def report(self, *, details: bool = True) -> dict[str, Any]:
        """Everything about the run as plain data, as `orch show --format json` gives it."""
        return run_report(self._state, details=details)


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

    async def arun(
        self,
        orchestrator: str | None = None,
        /,
        *,
        models: Mapping[str, Any] | None = None,
        journal: Journal | str | os.PathLike[str] | None = None,
        record: str | os.PathLike[str] | None = None,
        input: Mapping[str, Any] | None = None,
        **inputs: Any,
    ) -> Run:
        """Run to the end, or until a person is needed.

        Args:
            orchestrator: Which orchestrator; the one that no other uses if left out.
            models: What stands in for declared models: an id, `Scripted([...])`, a function of a
                `PolicyState`, or an object with `complete` and `close`.
            journal: A folder for the journal, or a journal; in memory if left out.
            record: A folder to record the models' answers in.
            input: Inputs as a mapping, for names that are no Python identifiers.
            inputs: Inputs by name.

        Raises:
            InputError: The inputs do not fit.
            UsageError: It cannot be run as asked.
            JournalError: The journal cannot be written.
        """
        options = Options(
            models=models or {}, record_dir=None if record is None else os.fspath(record)
        )
        return await self._start(orchestrator, {**(input or {}), **inputs}, journal, options)

    async def _start(
        self,
        orchestrator: str | None,
        values: Mapping[str, Any],
        journal: Journal | str | os.PathLike[str] | None,
        options: Options,
    ) -> Run:
        chosen = launch.choose(self.program, orchestrator)
        opened, own = _opened(journal)
        try:
            state = await launch.start(self.program, chosen, values, opened, options)
        finally:
            if own:
                opened.close()
        return Run(state, opened)

    def run(
        self,
        orchestrator: str | None = None,
        /,
        *,
        models: Mapping[str, Any] | None = None,
        journal: Journal | str | os.PathLike[str] | None = None,
        record: str | os.PathLike[str] | None = None,
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
        input: Mapping[str, Any] | None = None,
        **inputs: Any,
    ) -> AsyncIterator[Event]:
        """Run, and give each event once it is durable. Leaving the loop cancels the run's calls.

        Raises:
            InputError, UsageError, JournalError: As `arun`.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        options = Options(
            models=models or {}, observers=[lambda event, state: queue.put_nowait(event)]
        )
        running = asyncio.ensure_future(
            self._start(orchestrator, {**(input or {}), **inputs}, journal, options)
        )
        running.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
            await running
        finally:
            if not running.done():
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)


def _opened(journal: Journal | str | os.PathLike[str] | None) -> tuple[Journal, bool]:
    """A journal, and whether it was opened here and must be closed here."""
    if journal is None:
        return MemoryJournal(), False
    if isinstance(journal, (str, os.PathLike)):
        return SqliteJournal(os.fspath(journal)), True
    return journal, False


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


async def aresume(
    run: str,
    *,
    journal: Journal | str | os.PathLike[str] = ".orch",
    models: Mapping[str, Any] | None = None,
    reply: Reply | None = None,
) -> Run:
    """Take a run over where it stopped, and drive it on.

    Where this process drives the run already, nothing starts: the reply goes to that drive, and
    the call waits for its result.

    Args:
        run: Its id, an unambiguous beginning of it, or `last`.
        journal: The journal it stands in, or that journal's folder.
        models: What stands in for declared models; those of the first start are kept. Not used
            where the run is driven already.
        reply: The answer to an open gate, for a run that waits for a person.

    Raises:
        JournalError: There is no such run, or another process drives it.
        UsageError: The reply fits no open gate.
    """
    opened, own = _opened(journal)
    try:
        state = await launch.resume(run, opened, Options(models=models or {}), reply)
    finally:
        if own:
            opened.close()
    return Run(state, opened)


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
