"""What every journal offers.

The one promise that everything else relies on: when `append` returns, the events are durable, whole
and in order; when it raises, the run must go no further, because none of what it said may have
an effect. A run is written only by its owner, and has one at a time.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol

from engine.events import Event, RunStatus
from engine.journal.record import RunRecord, RunSummary

__all__ = ["Journal", "Ownership"]


class Ownership(Protocol):
    """One claim on a run. Only the last claim on a run can write it.

    Attributes:
        run: The run's id.
        epoch: The number of this claim of the run, from 1; one higher with every claim.
    """

    @property
    def run(self) -> str: ...  # noqa: D102 - see above

    @property
    def epoch(self) -> int: ...  # noqa: D102 - see above

    async def append(self, events: Sequence[Event]) -> None:
        """Write events at the end of the run, all or none; durable on return.

        Raises:
            JournalError: They are not written; also where an attempt of a call would end twice,
                where the run has been claimed again since, and after any earlier failure of
                storage.
        """
        ...

    async def change_program(self, files: Mapping[str, str], until_ms: int) -> None:
        """Give the run another program; the one before stays in the record.

        Args:
            files: The new program's files by path, with their texts.
            until_ms: Wall-clock time of the change, Unix milliseconds.
        """
        ...

    def release(self) -> None:
        """Give the run back. What was put before is still written. May be repeated."""
        ...


class Journal(Protocol):
    """Runs and their events. Every method raises `JournalError` where storage fails.

    Attributes:
        place: Equal for journals of this process that hold the same runs.
    """

    @property
    def place(self) -> Hashable: ...  # noqa: D102 - see above

    async def create(self, record: RunRecord, events: Sequence[Event] = ()) -> Ownership:
        """Enter a new run with its first events, owned by the caller; all or nothing.

        Durable on return. A run without events cannot be resumed, so whoever means to drive it
        gives some.

        Raises:
            JournalError: Also where a run of that id already exists.
        """
        ...

    async def claim(self, run: str) -> Ownership:
        """Become the owner of a run that already exists.

        An earlier claim of this process can no longer write. So ask `engine.drive.active` first
        whether the run is being driven here.

        Raises:
            JournalError: Another living process owns it, or there is no such run.
        """
        ...

    def read(self, run: str, after: int = 0) -> list[Event]:
        """Every event of a run, in order, from the one after number `after` (from 1) on.

        Raises:
            JournalError: No such run, or a part of it is damaged; see `salvage`.
        """
        ...

    def salvage(self, run: str) -> tuple[list[Event], str | None]:
        """The events up to the first that cannot be read, and what is wrong there, or None."""
        ...

    def record(self, run: str) -> RunRecord:
        """What was entered for a run, with its present status."""
        ...

    def runs(self, limit: int | None = None, status: RunStatus | None = None) -> list[RunSummary]:
        """The runs, latest first."""
        ...

    def waiting(self) -> list[tuple[RunSummary, list[Event] | None]]:
        """The runs that wait, latest first, each with its events in `ABOUT_GATES`.

        None where they cannot be told: then `read` says why.
        """
        ...

    def find(self, prefix: str) -> str:
        """The id of the one run that begins with `prefix`; `last` is the latest.

        Raises:
            UsageError: None does, or several do.
        """
        ...

    def close(self) -> None:
        """Wait until everything is written and release files and locks. May be repeated."""
        ...
