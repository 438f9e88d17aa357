"""A journal that lives as long as its object: for tests, and for runs that need no persistence.

It behaves like the one on disk, down to what it refuses and to events going through JSON, so
what works with one works with the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from engine import clock
from engine.errors import JournalError
from engine.events import (
    ABOUT_GATES,
    CallFailed,
    CallFinished,
    CallStarted,
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
    """One run: its record, its events as JSON, the attempts that have ended, and its owner."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self.bodies: list[bytes] = []
        self.ends: set[tuple[str, int]] = set()
        self.epoch = 0
        self.owner: _Owned | None = None

    def own(self, journal: MemoryJournal) -> _Owned:
        self.epoch += 1
        self.owner = _Owned(journal, self, self.epoch)
        return self.owner


class _Owned:
    """See `engine.journal.protocol.Ownership`."""

    def __init__(self, journal: MemoryJournal, run: _Run, epoch: int) -> None:
        self._journal = journal
        self._run = run
        self.run = run.record.run
        self.epoch = epoch

    async def append(self, events: Sequence[Event]) -> None:
        """See `Ownership.append`."""
        found = self._checked()
        try:
            bodies = [encode_event(event) for event in events]
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise JournalError(f"an event cannot be written as JSON: {error}") from None
        ends: list[tuple[str, int]] = []
        turns: list[Event] = []
        for event in events:
            if isinstance(event, (CallFinished, CallFailed)):
                ends.append((event.key, event.attempt))
            elif not isinstance(event, CallStarted):
                turns.append(event)
        if len(set(ends)) < len(ends) or not found.ends.isdisjoint(ends):
            raise JournalError(f"a call of the run {self.run} would end a second time")
        found.bodies.extend(bodies)
        found.ends.update(ends)
        for event in turns:
            if isinstance(event, RunEnded):
                found.record = msgspec.structs.replace(
                    found.record,
                    status=event.status,
                    ended_ms=clock.wall_ms(),
                    reason=event.reason,
                    bound=event.bound,
                )
            elif isinstance(event, (RunResumed, RunForked, RunRetried)):
                found.record = msgspec.structs.replace(
                    found.record, status="running", ended_ms=None, reason="", bound=None
                )

    async def change_program(self, files: Mapping[str, str], until_ms: int) -> None:
        """See `Ownership.change_program`."""
        found = self._checked()
        before = EarlierProgram(until_ms, found.record.files)
        found.record = msgspec.structs.replace(
            found.record, files=dict(files), earlier=(*found.record.earlier, before)
        )

    def release(self) -> None:
        """See `Ownership.release`."""
        if self._run.owner is self:
            self._run.owner = None

    def _checked(self) -> _Run:
        self._journal._check_open()
        if self._run.owner is None:
            raise JournalError(f"the run {self.run} has been released")
        if self._run.owner is not self:
            raise JournalError(f"another drive has taken over the run {self.run}", resumable=False)
        return self._run


class MemoryJournal:
    """A `Journal` in memory."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._closed = False

    @property
    def place(self) -> MemoryJournal:
        """See `Journal.place`."""
        return self

    async def create(self, record: RunRecord, events: Sequence[Event] = ()) -> _Owned:
        """Enter a new run; see `Journal.create`."""
        self._check_open()
        if record.run in self._runs:
            raise JournalError(f"there is a run {record.run} already")
        entered = _Run(record)
        owned = entered.own(self)
        await owned.append(events)
        self._runs[record.run] = entered
        return owned

    async def claim(self, run: str) -> _Owned:
        """Become the owner of a run; see `Journal.claim`."""
        self._check_open()
        return self._run(run).own(self)

    def read(self, run: str, after: int = 0) -> list[Event]:
        """Every event of a run; see `Journal.read`."""
        return [decode_event(body) for body in self._run(run).bodies[after:]]

    def salvage(self, run: str) -> tuple[list[Event], str | None]:
        """Every event of a run: memory is not damaged."""
        return self.read(run), None

    def record(self, run: str) -> RunRecord:
        """What was entered for a run; see `Journal.record`."""
        found = self._run(run)
        record = found.record
        live = record.status == "running" and found.owner is not None and not self._closed
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
