"""A handle to an active run of this process: its id, its events, its result, cancellation.

A task of the event loop that started the run drives it; the handle holds that task. Every reader
gets each event once it is durable, and events are kept as long as the handle. Decides nothing: the
machine decides what a cancelled or interrupted run does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager

from engine.drive import launch
from engine.drive.active import is_driven_here
from engine.drive.inbox import cancellation, hand_over, wait_for_end
from engine.drive.launch import Options
from engine.drive.loading import load_run
from engine.drive.telling import Words, tell
from engine.errors import UsageError
from engine.events import Event, RunEnded, RunStarted
from engine.journal import Journal, SqliteJournal
from engine.records import Run
from engine.runtime.state import RunState

__all__ = ["Place", "RunHandle", "cancelled", "opened"]

#: A journal, or the folder of one.
Place = Journal | str | os.PathLike[str]


@contextmanager
def opened(journal: Place) -> Iterator[Journal]:
    """A journal; one that was opened here is closed here.

    Raises:
        JournalError: It cannot be opened.
    """
    if isinstance(journal, (str, os.PathLike)):
        with SqliteJournal(os.fspath(journal)) as found:
            yield found
    else:
        yield journal


class RunHandle:
    """A run that was started; `Workflow.start` and `start_resume` make it.

    Attributes:
        id: The run's id, for `orch.resume`, `orch.cancel` and the commands.
    """

    __slots__ = ("_changed", "_events", "_id", "_place", "_task")

    def __init__(self, place: Place, id: str) -> None:
        self._place = place
        self._id = id
        self._events: list[Event] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[Run]

    @classmethod
    async def begin(
        cls,
        place: Place,
        options: Options,
        drive: Callable[[Options], Awaitable[Run]],
        id: str = "",
    ) -> RunHandle:
        """Drive a run in a task, and wait until its id is known and its first event is durable.

        Args:
            place: The run's journal.
            drive: Drives it with the options it is given.
            id: The run's id, where it is known.

        Raises:
            Exception: Whatever `drive` raises before the first event.
        """
        handle = cls(place, id)
        options.observers.append(handle._observe)

        async def work() -> Run:
            return await drive(options)

        handle._task = asyncio.create_task(work())
        handle._task.add_done_callback(lambda _: handle._changed.set())
        try:
            await handle._changed.wait()
        except asyncio.CancelledError:
            await handle.interrupt()
            raise
        if handle._task.done() and not handle._events:
            await handle._task  # raises what it raised
        return handle

    def __repr__(self) -> str:
        return f"RunHandle({self._id!r})"

    @property
    def id(self) -> str:
        """The run's id."""
        return self._id

    def _observe(self, event: Event, _: RunState) -> None:
        if isinstance(event, RunStarted):
            self._id = event.run
        self._events.append(event)
        self._changed.set()

    async def events(self) -> AsyncGenerator[Event, None]:
        """Each event of the run from its start here on, once it is durable, until the run rests.

        May be read any number of times, also at the same time, and also after the end.
        """
        seen = 0
        while True:
            while seen < len(self._events):
                seen += 1
                yield self._events[seen - 1]
            if self._task.done():
                return
            # Set again by the next event; every reader looks at the list before it waits.
            self._changed.clear()
            await self._changed.wait()

    async def result(self) -> Run:
        """The run, once it has ended or waits for a person.

        Cancelling this call ends the waiting, not the run.

        Raises:
            JournalError: The journal failed.
            asyncio.CancelledError: The run was interrupted; it can be resumed.
        """
        return await asyncio.shield(self._task)

    async def cancel(self, *, reason: str = "cancelled") -> Run:
        """End the run: nothing of it is done any more.

        Args:
            reason: Why, for the journal.

        Returns:
            The run, as `orch.acancel` gives it; as it is, if it has ended already.
        """
        try:
            with opened(self._place) as journal:
                return await cancelled(self._id, journal, reason)
        except UsageError:
            if self._has_ended():
                return await self.result()
            raise

    async def tell(self, note: str, *, to: str = "", by: str = "") -> None:
        """Tell the planner something: it reads the note with its next decision.

        Args:
            note: What it is told.
            to: The id or key of the task whose orchestrator is meant; the root's by default.
            by: Who says it.

        Raises:
            UsageError: The run takes no note any more, or there is no such task.
        """
        with opened(self._place) as journal:
            await tell(self.id, journal, Words(note, to, by))

    def _has_ended(self) -> bool:
        last = self._events[-1] if self._events else None
        return isinstance(last, RunEnded) and last.status != "waiting"

    async def interrupt(self) -> None:
        """Stop driving the run, and wait until it has stopped; it can be resumed.

        Nothing is done if it has ended or waits.
        """
        if not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


async def cancelled(run: str, journal: Journal, reason: str) -> Run:
    """End a run, wherever it is driven. See `orch.acancel`."""
    found = journal.find(run)
    seen = None
    record = journal.record(found)
    if record.status not in ("running", "waiting"):
        raise UsageError(f"run {found} has ended already ({record.status})")
    if record.live and not is_driven_here(journal, found):
        seen, asked = cancellation(journal, record, reason)
        fate = await asyncio.to_thread(hand_over, journal, seen, asked)
        if fate == "taken":
            is_over = await asyncio.to_thread(wait_for_end, journal, found)
            _, state = load_run(journal, found)
            if not is_over or state.ended or state.status == "waiting":
                return Run.of(state, journal)
    return Run.of(await launch.cancel(found, journal, reason=reason, seen=seen), journal)
