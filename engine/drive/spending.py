"""Spending windows in force for a run: found before it starts, asked before each call.

The windows of `orch.toml` are looked for from the journal's folder and from the program's: all that
are found apply, next to those of `ORCH_SPENDING`, so a program from elsewhere cannot lift a limit.
A run whose calls no window counts, or whose models are free, is driven without any of this.

A call that has no room waits while calls under way may still give some back, in this process or in
another; then it is refused, and the machine ends the run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from engine import clock
from engine.config import Config, find_config
from engine.drive.driver import Make
from engine.errors import JournalError, UsageError
from engine.events import CallFailed, CallFinished, ModelInfo
from engine.journal import Journal, RunRecord, SqliteJournal
from engine.journal.spending import Full, SpendingLedger
from engine.runtime.budget import Reservation, booked, may_have_cost
from engine.runtime.commands import StartCall
from engine.runtime.ports import ModelRequest
from engine.sema.model import Program
from engine.spending_windows import VARIABLE, Spender, Window, read_text

__all__ = ["SpendingGuard", "refuse_windows", "spending_of", "windows_of"]

_T = TypeVar("_T")

#: What answers without a provider: a price in the file is for budgets then, not for a bill.
_NO_PROVIDER = ("scripted/", "recorded/", "python/", "local/", "memory/Scripted")
#: How long to wait before asking again whether calls under way have given something back.
_AGAIN_S = 0.2
#: How long a call without a timeout is taken to be under way.
_LONGEST_MS = 600_000


def windows_of(
    program: Program, journal: Journal | None, environment: Mapping[str, str]
) -> tuple[Window, ...]:
    """The windows that apply to a program's runs in a journal.

    Raises:
        ConfigError: A configuration cannot be read.
        UsageError: `ORCH_SPENDING` is not valid.
    """
    folders = [program.base_dir]
    if isinstance(journal, SqliteJournal):
        folders.append(str(journal.directory.parent))
    found: list[Window] = []
    known: dict[str, Config] = {}
    for folder in folders:
        spending = find_config(folder, known).spending
        found += [window for window in spending if window not in found]
    text = environment.get(VARIABLE)
    if text:
        try:
            found += read_text(text)
        except ValueError as problem:
            raise UsageError(f"{VARIABLE}: {problem}") from None
    return tuple(found)


def refuse_windows(program: Program, environment: Mapping[str, str]) -> None:
    """Refuse a run where nothing can keep the windows that apply to it.

    Raises:
        UsageError: There are some.
    """
    windows = windows_of(program, None, environment)
    if windows:
        raise UsageError(
            f"a spending window applies here ({windows[0]}), and a run on a cluster is not counted "
            "in one; start it where no window is set"
        )


@contextmanager
def spending_of(
    program: Program,
    record: RunRecord,
    models: Mapping[str, ModelInfo],
    journal: Journal,
    environment: Mapping[str, str],
) -> Iterator[SpendingGuard | None]:
    """What is asked before a run's calls; None where no window counts them.

    Raises:
        ConfigError: A configuration cannot be read.
        UsageError: A window cannot be kept: a price is not known, or there is no folder.
        JournalError: What was spent cannot be read.
    """
    windows = windows_of(program, journal, environment)
    guard = _guard(windows, record, models, journal) if windows else None
    try:
        yield guard
    finally:
        if guard is not None:
            guard.close()


def _guard(
    windows: tuple[Window, ...],
    record: RunRecord,
    models: Mapping[str, ModelInfo],
    journal: Journal,
) -> SpendingGuard | None:
    workflow = os.path.normpath(os.path.join(record.cwd, record.workflow))
    labels = tuple(f"{name}={value}" for name, value in record.labels.items())
    counted: list[Window] = []
    for name, info in models.items():
        if not info.metered or info.id.startswith(_NO_PROVIDER) or _is_free(info):
            continue
        spender = Spender(workflow, labels, info.id)
        matching = [window for window in windows if window.counts(spender)]
        if matching and (info.input_usd is None or info.output_usd is None):
            raise UsageError(
                f"no price is known for model `{name}` ({info.id}), and a spending window counts "
                f"it: {matching[0]}; add `price {{ input = $...  output = $... }}` (for a million "
                "tokens)"
            )
        counted += matching
    if not counted:
        return None
    if not isinstance(journal, SqliteJournal):
        raise UsageError(
            f"a spending window applies ({counted[0]}), and this run is kept in memory only; "
            "choose a folder for its journal"
        )
    return SpendingGuard(windows, record.run, workflow, labels, journal.directory)


def _is_free(info: ModelInfo) -> bool:
    return info.input_usd == 0 and info.output_usd == 0


class SpendingGuard:
    """Sets money aside in the windows before a call, and books what it did cost.

    Args:
        windows: Those in force.
        run: The run's id.
        workflow: The absolute path of its file.
        labels: Its labels, `team=x` each.
        folder: The journal's folder.
    """

    def __init__(
        self,
        windows: tuple[Window, ...],
        run: str,
        workflow: str,
        labels: tuple[str, ...],
        folder: Path,
    ) -> None:
        self._windows = windows
        self._run = run
        self._workflow = workflow
        self._labels = labels
        self._folder = folder
        # SQLite waits for other processes, which must not hold up the event loop.
        self._thread = ThreadPoolExecutor(1, "orch-spending")
        self._ledger: SpendingLedger | None = None

    async def make(
        self, command: StartCall, reservation: Reservation, make: Make
    ) -> CallFinished | CallFailed:
        """Make an attempt, if the most it can cost may still be spent; see `driver.Spending`.

        An attempt that is called off stays counted at its reservation, as in the run's budget.
        """
        request = command.request
        usd = reservation.cost_usd
        if not isinstance(request, ModelRequest) or not usd:
            return await make()
        if request.info.id.startswith(_NO_PROVIDER):
            return await make()
        try:
            number = await self._reserve(command.key, request, usd)
        except JournalError as problem:
            return _refused(command, f"what was spent cannot be read: {problem}")
        if isinstance(number, Full):
            return _refused(command, _said(number, usd))
        event = await make()
        spent = isinstance(event, CallFinished) or may_have_cost(event)
        cost = booked(request.info, reservation, event.usage, spent=spent).cost_micro_usd or 0
        with suppress(JournalError):  # else it stays counted at its reservation, which is more
            await self._do(partial(self._settle, number, cost))
        return event

    async def _reserve(self, key: str, request: ModelRequest, usd: int) -> int | Full:
        """A reservation's number; the window that is full, once nothing can make room in it."""
        spender = Spender(self._workflow, self._labels, request.info.id)
        lasts_ms = request.timeout_ms or _LONGEST_MS
        while True:
            found = await self._do(partial(self._ask, spender, usd, lasts_ms, key))
            if isinstance(found, int):
                return found
            lasting = found.spent + found.reserved - found.passing
            if lasting + usd > found.window.limit_usd:
                return found
            await asyncio.sleep(_AGAIN_S)

    def _ask(self, spender: Spender, usd: int, lasts_ms: int, key: str) -> int | Full:
        if self._ledger is None:
            self._ledger = SpendingLedger(self._folder)
            self._ledger.no_longer_passing(self._run)
        now_ms = clock.wall_ms()
        call = (self._run, key)
        return self._ledger.reserve(self._windows, spender, usd, now_ms, now_ms + lasts_ms, call)

    def _settle(self, number: int, usd: int) -> None:
        assert self._ledger is not None
        self._ledger.settle(number, usd)

    async def _do(self, action: partial[_T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, action)

    def close(self) -> None:
        """Wait for what is being written, and close."""
        self._thread.shutdown()
        if self._ledger is not None:
            self._ledger.close()


def _refused(command: StartCall, message: str) -> CallFailed:
    return CallFailed(
        key=command.key,
        attempt=command.attempt,
        mode="over_budget",
        message=message,
        bound="spending",
    )


def _said(full: Full, usd: int) -> str:
    held = f", {_dollars(full.reserved)} is set aside for other calls" if full.reserved else ""
    return (
        f"spending window {full.window}: {_dollars(full.spent)} is spent{held}, and the next call "
        f"may cost up to {_dollars(usd)}; it resets at {full.window.reset(clock.wall_ms())}"
    )


def _dollars(usd: int) -> str:
    return f"${usd / 1_000_000:.4f}"
