"""A journal that lives as long as its object: for tests, and for runs that need no persistence.

It behaves like the one on disk, down to what it refuses and to events going through JSON, so
what works with one works with the other.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec

from engine.errors import JournalError
from engine.events import (
    ABOUT_GATES,
    CallFailed,
    CallFinished,
    Event,
    RunEnded,
    RunForked,
    RunResumed,
    RunRetried,
    RunStatus,
    decode_event,
    encode_event,
)
from engine.journal.reader import find_among
from engine.journal.record import EarlierProgram, RunRecord, RunSummary

__all__ = ["MemoryJournal"]


class _Run:
    """One run: its record, its events as JSON, the attempts that have ended."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self.bodies: list[bytes] = []
        self.ends: set[tuple[str, int]] = set()
        self.epoch = 1


class MemoryJournal:
    """A `Journal` in memory."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._closed = False

    async def create(self, record: RunRecord, events: Sequence[Event] = ()) -> None:
        """Enter a new run; see `Journal.create`."""
        self._check_open()
        if record.run in self._runs:
            raise JournalError(f"there is a run {record.run} already")
        self._runs[record.run] = _Run(record)
        try:
            await self.append(record.run, events)
        except JournalError:
            del self._runs[record.run]
            raise

    async def claim(self, run: str) -> int:
        """Become the owner of a run; see `Journal.claim`."""
        self._check_open()
        found = self._run(run)
        found.epoch += 1
        return found.epoch

    async def append(self, run: str, events: Sequence[Event]) -> None:
        """Write events at the end of a run; see `Journal.append`."""
        self._check_open()
        found = self._runs.get(run)
        if found is None:
            raise JournalError(f"the run {run} is not in this process's hands")
        try:
            bodies = [encode_event(event) for event in events]
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise JournalError(f"an event cannot be written as JSON: {error}") from None
        ends = [
            (event.key, event.attempt)
            for event in events
            if isinstance(event, (CallFinished, CallFailed))
        ]
        if len(set(ends)) < len(ends) or not found.ends.isdisjoint(ends):
            raise JournalError(f"a call of the run {run} would end a second time")
        found.bodies.extend(bodies)
        found.ends.update(ends)
        for event in events:
            if isinstance(event, RunEnded):
                found.record = msgspec.structs.replace(
                    found.record,
                    status=event.status,
                    ended_ms=time.time_ns() // 1_000_000,
                    reason=event.reason,
                    bound=event.bound,
                )
            elif isinstance(event, (RunResumed, RunForked, RunRetried)):
                found.record = msgspec.structs.replace(
                    found.record, status="running", ended_ms=None, reason="", bound=None
                )

    async def change_program(self, run: str, files: Mapping[str, str], until_ms: int) -> None:
        """Give a run another program; see `Journal.change_program`."""
        self._check_open()
        found = self._run(run)
        before = EarlierProgram(until_ms, found.record.files)
        found.record = msgspec.structs.replace(
            found.record, files=dict(files), earlier=(*found.record.earlier, before)
        )

    def read(self, run: str, after: int = 0) -> list[Event]:
        """Every event of a run; see `Journal.read`."""
        return [decode_event(body) for body in self._run(run).bodies[after:]]

    def salvage(self, run: str) -> tuple[list[Event], str | None]:
        """Every event of a run: memory is not damaged."""
        return self.read(run), None

    def record(self, run: str) -> RunRecord:
        """What was entered for a run; see `Journal.record`."""
        record = self._run(run).record
        live = record.status == "running" and not self._closed
        return msgspec.structs.replace(record, live=live)

    def runs(self, limit: int | None = None, status: RunStatus | None = None) -> list[RunSummary]:
        """The runs, the last one entered first; see `Journal.runs`."""
        names = RunSummary.__struct_fields__
        records = [self.record(run) for run in reversed(self._runs)]
        found = [
            RunSummary(**{name: getattr(record, name) for name in names})
            for record in records
            if status is None or record.status == status
        ]
        return found[:limit]

    def waiting(self) -> list[tuple[RunSummary, list[Event] | None]]:
        """The runs that wait, with their events about gates; see `Journal.waiting`."""
        return [
            (summary, [event for event in self.read(summary.run) if isinstance(event, ABOUT_GATES)])
            for summary in self.runs(None, "waiting")
        ]

    def find(self, prefix: str) -> str:
        """The id of the one run that begins with `prefix`; see `Journal.find`."""
        return find_among(
            prefix,
            "this journal",
            self.runs,
            lambda begin: sorted(run for run in self._runs if run.startswith(begin)),
        )

    def close(self) -> None:
        """Refuse to write any more; what was written can still be read."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise JournalError("the journal is closed")

    def _run(self, run: str) -> _Run:
        found = self._runs.get(run)
        if found is None:
            raise JournalError(f"there is no run {run} in this journal")
        return found
