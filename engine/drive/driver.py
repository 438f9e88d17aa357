"""The local driver: the only module that awaits.

It runs the commands of the machine with asyncio and returns the results to it as events. The order
is: collect the events that have happened, step the machine, and journal those events together with
the intents of the calls that follow. Only when they are durable is anything shown or started. So an
event is durable before its effect is visible, and a round of n tasks costs two commits, not 2n.

The driver decides nothing: the machine decides what to call, when to retry and when to stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

import msgspec

from engine import clock
from engine.drive.attempt import Attempts
from engine.errors import JournalError
from engine.events import (
    CallFailed,
    CallFinished,
    CancelRequested,
    Event,
    GateAnswered,
    NoteGiven,
    RunInterrupted,
    TaskClosed,
    TimerFired,
)
from engine.redaction import Redactor
from engine.runtime.budget import Reservation
from engine.runtime.commands import CancelCalls, Command, OpenGate, SetTimer, StartCall
from engine.runtime.ports import ChatModel, ModelRequest, WorkerPort
from engine.runtime.state import RunState
from engine.runtime.turn import is_wanted, take_turn

__all__ = ["Appender", "Driver", "Make", "Observer", "Spending"]

#: How long cancelled calls may take to clean up, in seconds: longer than a process group's grace.
STOP_GRACE_S = 5.0

#: The most events that one turn takes in: more would hold up the other runs of the process.
_MOST_EVENTS = 500

#: Makes one attempt.
Make = Callable[[], Awaitable[CallFinished | CallFailed]]

#: Called with each event once it is durable, and the state after it.
Observer = Callable[[Event, RunState], None]


class Appender(Protocol):
    """What the driver needs of a journal: events of its run made durable, in order."""

    async def append(self, events: list[Event]) -> None:
        """Return when the events are durable.

        Raises:
            JournalError: They are not; nothing may follow from them.
        """
        ...


class Spending(Protocol):
    """What limits the spending of more runs than this one."""

    async def make(
        self, command: StartCall, reservation: Reservation, make: Make
    ) -> CallFinished | CallFailed:
        """Make an attempt, if what is set aside for it may be spent."""
        ...


class Driver:
    """Drives one run from its state to its end (or until it waits for a person).

    Args:
        state: A fresh state, or one folded from a journal.
        journal: Where events go first.
        model_of: The implementation of a declared model, by name.
        worker_of: The implementation of a kind of worker or verifier.
        redactor: Takes secrets out of what comes back, before it is journaled.
        spending: Asked before each call that may cost something; None where nothing limits that.
        observers: Told of every event once it is durable.
    """

    def __init__(
        self,
        state: RunState,
        journal: Appender,
        model_of: Callable[[str], ChatModel],
        worker_of: Callable[[str], WorkerPort],
        *,
        redactor: Redactor | None = None,
        observers: list[Observer] | None = None,
        spending: Spending | None = None,
    ) -> None:
        self.state = state
        self._journal = journal
        # Not `or`: one without secrets counts as false, and is the one in force anyway.
        self._redactor = Redactor({}) if redactor is None else redactor
        self._attempts = Attempts(model_of, worker_of, self._redactor)
        self._observers = observers or []
        self._spending = spending
        self._happened: list[Event] = []
        self._told: list[Callable[[], None]] = []
        self._due: list[StartCall] = []
        self._wake: asyncio.Future[None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._base_ms = state.now
        self._began = clock.running_s()

    def _now(self) -> int:
        """Milliseconds of running time since the run began."""
        return self._base_ms + int((clock.running_s() - self._began) * 1000)

    def feed(self, event: Event, durable: Callable[[], None] | None = None) -> None:
        """Hand an event from outside to the run; it is stamped and taken at the next turn.

        Args:
            durable: Called once it is in the journal; never, if that fails or the run ends first.
        """
        if durable is not None:
            self._told.append(durable)
        self._happened.append(msgspec.structs.replace(self._cleaned(event), at=self._now()))
        self._notify()

    def has_answer(self, key: str) -> bool:
        """Whether an answer to a gate has been fed that the machine has not seen yet."""
        return any(isinstance(event, GateAnswered) and event.key == key for event in self._happened)

    def _cleaned(self, event: Event) -> Event:
        """What a person says, without secrets.

        Who says it is told so and refused, where they are known there. Here they always are.
        """
        if isinstance(event, GateAnswered):
            said: dict[str, Any] = {
                "note": event.note, "by": event.by, "output": event.output, "edit": event.edit
            }  # fmt: skip
        elif isinstance(event, NoteGiven):
            said = {"note": event.note, "by": event.by}
        elif isinstance(event, CancelRequested):
            said = {"reason": event.reason}
        else:
            return event
        return msgspec.structs.replace(event, **self._redactor.value(said))

    def cancel(self, reason: str = "cancelled") -> None:
        """Ask for the run to end as `cancelled`."""
        self.feed(CancelRequested(reason=reason))

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def drive(
        self, first: list[Event], durable: Callable[[], None] | None = None
    ) -> RunState:
        """Run until the end.

        Args:
            first: `[RunStarted]` of a new run, or `[RunResumed, ...]` for a folded state, at
                which the machine asks again for what was open.
            durable: Called once they are in the journal.

        Returns:
            The state: ended, or waiting for a person.

        Raises:
            JournalError: The journal failed. Nothing that is not in it has had an effect.
            asyncio.CancelledError: The run was interrupted; what had finished is journaled,
                and the run can be resumed.
        """
        self._base_ms = self.state.now
        self._began = clock.running_s()
        self._happened.extend(map(self._cleaned, first))
        if durable is not None:
            self._told.append(durable)
        try:
            while not await self._turn():
                pass
        except BaseException:
            await self._stop_all()
            await self._save_what_came()
            raise
        await self._stop_all()
        return self.state

    async def _turn(self) -> bool:
        """One turn: step, journal, act, wait. True when the run is over or waits."""
        state = self.state
        happened, self._happened = self._happened[:_MOST_EVENTS], self._happened[_MOST_EVENTS:]
        due, self._due = self._due, []
        # What is told waits until all is durable that was there when it was fed.
        told: list[Callable[[], None]] = []
        if not self._happened:
            told, self._told = self._told, []
        turn = take_turn(state, happened, due, self._now, _wall_ms)
        if turn.events:
            await self._journal.append(turn.events)
        for durable in told:
            durable()
        if self._observers:
            for event in turn.events:
                for observer in self._observers:
                    observer(event, state)
        for other in turn.others:
            self._act(other)
        if turn.over:
            return True
        for command in turn.starts:
            self._launch(command)
        if not self._happened and not self._due:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
            self._wake = None
        else:
            await asyncio.sleep(0)
        return False

    def _act(self, command: Command) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(command, StartCall):
            self._timers.append(
                loop.call_later(command.delay_ms / 1000, self._becomes_due, command)
            )
        elif isinstance(command, SetTimer):
            delay_s = max(0, command.at - self._now()) / 1000
            fired = TimerFired(timer=command.timer)
            self._timers.append(loop.call_later(delay_s, self.feed, fired))
        elif isinstance(command, OpenGate):
            if command.timeout_ms is not None:
                late = GateAnswered(key=command.key, answer="timeout", wall_ms=_wall_ms())
                self._timers.append(loop.call_later(command.timeout_ms / 1000, self.feed, late))
        elif isinstance(command, CancelCalls):
            for key in command.keys:
                task = self._running.pop(key, None)
                if task is not None:
                    task.cancel()
                    self._stopping.add(task)
                    task.add_done_callback(self._stopping.discard)

    def _becomes_due(self, command: StartCall) -> None:
        if is_wanted(self.state, command):
            self._due.append(command)
            self._notify()

    def _launch(self, command: StartCall) -> None:
        call = self.state.calls.get(command.key)
        reservation = None if self._spending is None or call is None else call.reservation
        task = asyncio.get_running_loop().create_task(self._call(command, reservation))
        self._running[command.key] = task

    async def _call(self, command: StartCall, reservation: Reservation | None) -> None:
        """Make one attempt; whatever happens becomes an event."""
        on_task = self._on_task(command)
        if self._spending is None or reservation is None:
            event = await self._attempts.make(command, self.state.run, on_task)
        else:
            make = partial(self._attempts.make, command, self.state.run, on_task)
            event = await self._spending.make(command, reservation, make)
        if self._running.get(command.key) is asyncio.current_task():
            del self._running[command.key]
        self._happened.append(msgspec.structs.replace(event, at=self._now()))
        self._notify()

    def _on_task(self, command: StartCall) -> Callable[[dict[str, Any]], None] | None:
        """What takes in the tasks of a decision that streams, if this is one."""
        request = command.request
        if not isinstance(request, ModelRequest) or not request.stream:
            return None
        return lambda task: self.feed(
            TaskClosed(key=command.key, attempt=command.attempt, task=task)
        )

    async def _stop_all(self) -> None:
        for handle in self._timers:
            handle.cancel()
        self._timers.clear()
        running = [*self._running.values(), *self._stopping]
        self._running.clear()
        for task in running:
            task.cancel()
        if running:
            # Cleaning up (killing a process group, say) takes its time, but a worker that
            # swallows its cancellation must not keep a run from ending.
            await asyncio.wait(running, timeout=STOP_GRACE_S)

    async def _save_what_came(self) -> None:
        """Journal what had finished when the run was interrupted, for it has been paid for; and
        that the rest was called off, for else it would be suspect of having crashed the engine."""
        last: list[Event] = [e for e in self._happened if isinstance(e, CallFinished)]
        self._happened = []
        if any(call.begun == call.attempt for call in self.state.calls.values()):
            last.append(RunInterrupted(at=self._now()))
        if last and self.state.run:
            try:
                await self._journal.append(last)
            except JournalError:
                return


def _wall_ms() -> int:
    return clock.wall_ms()
