"""The runs of a cluster as a journal that can be read: for commands that show.

It offers what `engine.journal.Journal` offers to readers, so `orch runs`, `show` and `gates` are
the same code for both. Nothing can be appended: that is the workflow's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Hashable, Sequence
from typing import Any, TypeVar

from temporalio.client import Client

from engine.distributed.address import connect, parse_address
from engine.distributed.remote import RemoteRun, find_runs, list_runs
from engine.errors import JournalError, UsageError
from engine.events import ABOUT_GATES, Event, RunStatus
from engine.journal import Ownership, RunRecord, RunSummary

__all__ = ["RemoteJournal"]

_T = TypeVar("_T")


class RemoteJournal:
    """A `Journal` that is read from a cluster; not for use inside an event loop.

    Args:
        address: `temporal://...`

    Raises:
        UsageError: The address is none.
        JournalError: The cluster cannot be reached.
    """

    def __init__(self, address: str) -> None:
        self.address = parse_address(address)
        self._runner = asyncio.Runner()
        try:
            self._client: Client = self._wait(connect(self.address))
        except BaseException:
            self._runner.close()
            raise

    def _wait(self, what: Coroutine[Any, Any, _T]) -> _T:
        return self._runner.run(what)

    def _remote(self, run: str) -> RemoteRun:
        return RemoteRun(self._client, self.address, run)

    @property
    def place(self) -> Hashable:
        """See `Journal.place`."""
        return self.address

    async def create(self, record: RunRecord, events: Sequence[Event] = ()) -> Ownership:
        """Refuse: runs are started on the cluster."""
        raise JournalError("a run on a cluster is entered by starting it there")

    async def claim(self, run: str) -> Ownership:
        """Refuse: the workflow owns its run, writes its events and keeps its program."""
        raise JournalError(f"run {run} is driven on its cluster")

    def read(self, run: str, after: int = 0) -> list[Event]:
        """The events of a run after a number; see `Journal.read`."""
        return self._wait(self._remote(run).events(after))

    def salvage(self, run: str) -> tuple[list[Event], str | None]:
        """Every event of a run: a cluster's storage is its own business."""
        return self.read(run), None

    def record(self, run: str) -> RunRecord:
        """What was entered for a run; see `Journal.record`."""
        return self._wait(self._remote(run).record())

    def runs(self, limit: int | None = None, status: RunStatus | None = None) -> list[RunSummary]:
        """The runs, latest first; see `Journal.runs`."""
        return self._wait(list_runs(self._client, self.address, limit, status))

    def waiting(self) -> list[tuple[RunSummary, list[Event] | None]]:
        """The runs that wait, with their events about gates; see `Journal.waiting`."""
        return [(summary, self._about_gates(summary.run)) for summary in self.runs(None, "waiting")]

    def _about_gates(self, run: str) -> list[Event] | None:
        try:
            return [event for event in self.read(run) if isinstance(event, ABOUT_GATES)]
        except JournalError:
            return None

    def find(self, prefix: str) -> str:
        """The id of the one run that begins with `prefix`; see `Journal.find`."""
        if prefix == "last":
            latest = self.runs(1)
            if not latest:
                raise UsageError(f"there are no runs on queue `{self.address.queue}`")
            return latest[0].run
        found: list[str] = []
        if prefix.isascii():  # ids are
            found = self._wait(find_runs(self._client, self.address, prefix))
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(f"there is no run `{prefix}` on queue `{self.address.queue}`")
        raise UsageError(f"several runs begin with `{prefix}`: {', '.join(found[:5])}")

    def close(self) -> None:
        """Give the connection back."""
        self._runner.close()
