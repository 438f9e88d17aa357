"""The drives of this process: which runs it is driving, and how other callers reach a drive.

A run has at most one drive at a time. A caller that wants to resume, answer or cancel a run that
this process drives joins that drive: it passes its request to the drive, and all callers get its
result. So nothing is claimed, folded or called twice. Between processes, the lock of the journal
prevents a second drive, and `engine.drive.inbox` delivers requests.

Keeps a run only while it is driven. Decides nothing: `engine.drive.answers` checks what fits a
gate, and the machine decides what follows.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import NamedTuple

from engine.drive.driver import Driver
from engine.errors import JournalError, UsageError
from engine.events import Event, GateAnswered, encode_event
from engine.journal import Journal, Ownership, Said
from engine.runtime.state import RunState

__all__ = ["CameTo", "Drive", "Say", "alone", "enter"]

#: Makes what is to be said to a drive, given the state of its run; None if that has been said.
Say = Callable[[RunState], Said | None]


class CameTo(NamedTuple):
    """What a drive came to, for a caller who joined it.

    Attributes:
        state: The run: ended, or waiting for a person. None if the drive was interrupted or never
            began; the run can then be claimed.
        taken: Whether the drive has journaled what was said to it. Of an interrupted drive it may
            be False though the journal has it.
    """

    state: RunState | None
    taken: bool


class _Joined:
    """A caller who has joined a drive, and waits on its own event loop."""

    def __init__(self, say: Say | None, until_taken: bool) -> None:
        self.say = say
        self.until_taken = until_taken
        self.taken = False
        self.end: Future[CameTo] = Future()

    def settle(self, state: RunState | None) -> None:
        if not self.end.done() and self.end.set_running_or_notify_cancel():
            self.end.set_result(CameTo(state, self.taken))

    def refuse(self, error: Exception) -> None:
        if not self.end.done() and self.end.set_running_or_notify_cancel():
            self.end.set_exception(error)


class Drive:
    """One drive of one run, from before the run is claimed until all its calls are over.

    Used in a `with`, on the event loop that drives. Made by `enter` and `alone`.

    Attributes:
        run: The run's id.
        journal: The journal it is in.
        state: What the drive came to; None until it has, and where it was interrupted.
    """

    def __init__(self, journal: Journal, run: str) -> None:
        self.run = run
        self.journal = journal
        self.state: RunState | None = None
        self._owned: Ownership | None = None
        self._driver: Driver | None = None
        self._loop = asyncio.get_running_loop()
        # An event loop does not keep its tasks alive, and other callers wait for this one.
        self._task = asyncio.current_task()
        self._joined: set[_Joined] = set()
        self._over = False
        self._outer: tuple[Drive, ...] = ()

    # ------------------------------------------------------------ the driving caller's side

    def __enter__(self) -> Drive:
        self._outer = _inside.get()
        _inside.set((*self._outer, self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _inside.set(self._outer)
        if self._owned is not None:
            self._owned.release()
        self._end()

    def own(self, owned: Ownership) -> Ownership:
        """Keep the claim on the run; it is released at the end."""
        self._owned = owned
        return owned

    async def append(self, events: Sequence[Event]) -> None:
        """Write events of the run; see `Ownership.append`."""
        if self._owned is None:
            raise JournalError(f"the run {self.run} is not in the journal yet")
        await self._owned.append(events)

    def listen(self, driver: Driver) -> None:
        """Let this driver hear what others say, from its first turn on."""
        with _lock:
            self._driver = driver
            waiting = list(self._joined)
        for one in waiting:
            self._loop.call_soon(self._hear, one)

    def _end(self) -> None:
        """Let others drive the run, and tell those who have joined."""
        with _lock:
            self._over = True
            if _drives.get((self.journal.place, self.run)) is self:
                del _drives[self.journal.place, self.run]
            self._task = self._driver = None  # they lead back here: nothing waits for a collection
            joined = list(self._joined)
        for one in joined:
            one.settle(self.state)

    # ------------------------------------------------------------ the joining callers' side

    async def join(self, say: Say | None, *, until_taken: bool = False) -> CameTo:
        """Say something to the drive, and wait until it is over.

        Args:
            say: Makes what is to be said, on the event loop that drives. What it raises is raised
                here, and the drive continues without it.
            until_taken: Wait only until it is in the journal.

        Raises:
            UsageError: What was to be said does not fit, or the caller is a part of the run.
            JournalError: The event loop that drives the run has stopped.
        """
        if self in _inside.get():
            raise UsageError(f"a worker of run {self.run} cannot wait for the run it belongs to")
        if self._loop is not asyncio.get_running_loop() and not self._loop.is_running():
            raise JournalError(
                f"run {self.run} is being driven by an event loop of this process that has stopped",
                help="let that loop run on, or close it and resume the run",
            )
        one = _Joined(say, until_taken)
        with _lock:
            if self._over:
                return CameTo(self.state, False)
            self._joined.add(one)
            hears = self._driver is not None
        try:
            if hears:
                self._loop.call_soon_threadsafe(self._hear, one)
            return await self._end_of(one)
        except RuntimeError:
            if not self.is_lost:
                raise
            return CameTo(None, one.taken)
        finally:
            self._joined.discard(one)

    async def _end_of(self, one: _Joined) -> CameTo:
        end = asyncio.wrap_future(one.end)
        try:
            while self._loop is not asyncio.get_running_loop() and not end.done():
                # The loop of another thread may be closed without ending its tasks.
                await asyncio.wait([end], timeout=_LOOK_S)
                if self.is_lost and not end.done():
                    return CameTo(None, one.taken)
            return await end
        finally:
            end.cancel()

    def _hear(self, one: _Joined) -> None:
        """Hand the driver what a caller says; on the event loop that drives."""
        driver = self._driver
        if one.say is None or driver is None or self._over:
            return

        def taken() -> None:
            one.taken = True
            if one.until_taken:
                one.settle(None)

        try:
            event = one.say(driver.state)
            if event is None:
                return taken()
            if isinstance(event, GateAnswered) and driver.has_answer(event.key):
                raise UsageError(f"gate `{event.key}` has been answered")
            _check_json(event)
        except Exception as error:  # its caller is told, and the drive continues
            one.refuse(error)
        else:
            driver.feed(event, taken)

    @property
    def is_lost(self) -> bool:
        """Whether its event loop was closed under it, so that it can do nothing any more."""
        return self._loop.is_closed()


def _check_json(event: Event) -> None:
    """Refuse what the journal cannot write: at the next commit it would end the drive."""
    try:
        encode_event(event)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UsageError(f"the answer cannot be written as JSON: {error}") from None


#: How often a caller on another event loop checks that the driving one is open, in seconds.
_LOOK_S = 1.0

_lock = threading.RLock()
#: The drives of this process, by the place of the journal and the run.
_drives: dict[tuple[Hashable, str], Drive] = {}
#: The drives that the current task is a part of.
_inside: ContextVar[tuple[Drive, ...]] = ContextVar("orch_drives", default=())


def _begin_anew_in_child() -> None:
    """A forked process drives nothing: the event loops are its parent's."""
    global _lock
    _lock = threading.RLock()
    _drives.clear()


os.register_at_fork(after_in_child=_begin_anew_in_child)


def enter(journal: Journal, run: str) -> tuple[Drive, bool]:
    """The drive of a run, and whether it is a new one, which the caller must run."""
    key = (journal.place, run)
    with _lock:
        found = _drives.get(key)
        if found is not None and not found.is_lost:
            return found, False
        made = _drives[key] = Drive(journal, run)
    if found is not None:
        found._end()
    return made, True


def is_driven_here(journal: Journal, run: str) -> bool:
    """Whether this process drives a run."""
    with _lock:
        found = _drives.get((journal.place, run))
        return found is not None and not found.is_lost


@contextmanager
def alone(journal: Journal, run: str) -> Iterator[Drive]:
    """Drive a run that has no drive in this process.

    Raises:
        JournalError: It has one.
    """
    drive, is_new = enter(journal, run)
    if not is_new:
        raise JournalError(
            f"run {run} is being driven by this process",
            help="wait for it to end, or cancel it",
        )
    with drive:
        yield drive
