"""The local driver: the one place that awaits.

It carries out the machine's commands with asyncio and feeds the answers back as events, in this
order: take what has happened, step the machine, journal those events together with the intents
of the calls they lead to, and only when they are durable let anything be seen or started. So an
event is durable before its effect is visible, and a round of n tasks costs two commits, not 2n.

The driver decides nothing: what to call, when to retry and when to stop is the machine's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from engine.errors import Failure, JournalError
from engine.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    CancelRequested,
    Event,
    GateAnswered,
    GateOpened,
    RunEnded,
    TaskClosed,
    TimerFired,
)
from engine.models.limiter import is_limited
from engine.redaction import Redactor
from engine.runtime.commands import CancelCalls, Command, EndRun, OpenGate, SetTimer, StartCall
from engine.runtime.machine import step
from engine.runtime.ports import ChatModel, ModelRequest, WorkerPort, WorkerRequest, ready
from engine.runtime.state import RunState
from engine.runtime.stream import ClosedTasks
from engine.workers.values import plain_json

__all__ = ["Appender", "Driver", "Observer"]

#: How long cancelled calls may take to clean up, in seconds: longer than a process group's grace.
STOP_GRACE_S = 5.0

#: Called with each event once it is durable, and the state after it.
Observer = Callable[[Event, RunState], None]


class Appender(Protocol):
    """What the driver needs of a journal: events of one run made durable, in order."""

    async def append(self, run: str, events: list[Event]) -> None:
        """Return when the events are durable.

        Raises:
            JournalError: They are not; nothing may follow from them.
        """
        ...


class Driver:
    """Drives one run from its state to its end (or until it waits for a person).

    Args:
        state: A fresh state, or one folded from a journal.
        journal: Where events go first.
        model_of: The implementation of a declared model, by name.
        worker_of: The implementation of a kind of worker or verifier.
        redactor: Takes secrets out of what comes back, before it is journaled.
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
    ) -> None:
        self.state = state
        self._journal = journal
        self._model_of = model_of
        self._worker_of = worker_of
        self._redactor = redactor or Redactor({})
        self._observers = observers or []
        self._happened: list[Event] = []
        self._due: list[StartCall] = []
        self._wake: asyncio.Future[None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        #: Keys of the calls of which a part of the answer has come.
        self._streaming: set[str] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._base_ms = state.now
        self._began = time.monotonic()

    def _now(self) -> int:
        """Milliseconds of running time since the run began."""
        return self._base_ms + int((time.monotonic() - self._began) * 1000)

    def feed(self, event: Event) -> None:
        """Hand an event from outside to the run; it is stamped and taken at the next turn."""
        self._happened.append(msgspec.structs.replace(event, at=self._now()))
        self._notify()

    def cancel(self, reason: str = "cancelled") -> None:
        """Ask for the run to end as `cancelled`."""
        self.feed(CancelRequested(reason=reason))

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def drive(self, first: list[Event]) -> RunState:
        """Run until the end.

        Args:
            first: `[RunStarted]` of a new run, or `[RunResumed, ...]` for a folded state, at
                which the machine asks again for what was open.

        Returns:
            The state: ended, or waiting for a person.

        Raises:
            JournalError: The journal failed. Nothing that is not in it has had an effect.
            asyncio.CancelledError: The run was interrupted; what had finished is journaled,
                and the run can be resumed.
        """
        self._base_ms = self.state.now
        self._began = time.monotonic()
        self._happened.extend(first)
        try:
            while not await self._turn():
                pass
        except BaseException:
            await self._stop_all()
            await self._save_the_finished()
            raise
        await self._stop_all()
        return self.state

    async def _turn(self) -> bool:
        """One turn: step, journal, act, wait. True when the run is over or waits."""
        state = self.state
        events = self._happened
        self._happened = []
        commands: list[Command] = []
        for event in events:
            _, asked = step(state, event)
            commands.extend(asked)
        starts, others, end = self._sort(commands)
        if end is not None and end.status == "waiting" and state.status != "waiting":
            end = None  # The answer came within the same turn.
        # What was asked for and called off within the same turn is not begun.
        starts = [command for command in starts if self._is_wanted(command)]
        due = [command for command in self._due if self._is_wanted(command)]
        self._due = []
        for command in (*due, *starts):
            intent = self._intent(command)
            step(state, intent)
            events.append(intent)
        for other in others:
            if isinstance(other, OpenGate) and other.key in state.gates:
                opened = GateOpened(at=self._now(), key=other.key, wall_ms=_wall_ms())
                step(state, opened)
                events.append(opened)
        if end is not None:
            ended = RunEnded(at=self._now(), status=end.status, reason=end.reason, bound=end.bound)
            step(state, ended)
            events.append(ended)
        if events:
            await self._journal.append(state.run, events)
        if self._observers:
            for event in events:
                for observer in self._observers:
                    observer(event, state)
        for other in others:
            self._act(other)
        if end is not None:
            return True
        for command in (*due, *starts):
            self._launch(command)
        if not self._happened and not self._due:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
            self._wake = None
        return False

    def _sort(
        self, commands: list[Command]
    ) -> tuple[list[StartCall], list[Command], EndRun | None]:
        starts: list[StartCall] = []
        others: list[Command] = []
        end: EndRun | None = None
        for command in commands:
            if isinstance(command, StartCall):
                if command.delay_ms:
                    others.append(command)
                else:
                    starts.append(command)
            elif isinstance(command, EndRun):
                end = command
            else:
                others.append(command)
        return starts, others, end

    def _intent(self, command: StartCall) -> CallStarted:
        request = command.request
        model = request.model.name if isinstance(request, ModelRequest) else None
        return CallStarted(at=self._now(), key=command.key, attempt=command.attempt, model=model)

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

    def _is_wanted(self, command: StartCall) -> bool:
        call = self.state.calls.get(command.key)
        return call is not None and call.command is command

    def _becomes_due(self, command: StartCall) -> None:
        if self._is_wanted(command):
            self._due.append(command)
            self._notify()

    def _launch(self, command: StartCall) -> None:
        task = asyncio.get_running_loop().create_task(self._call(command))
        self._running[command.key] = task

    async def _call(self, command: StartCall) -> None:
        """Make one attempt; whatever happens becomes an event."""
        began = time.monotonic()
        event: CallFinished | CallFailed
        try:
            event = await self._attempt(command)
        except Failure as failure:
            event = CallFailed(
                key=command.key,
                attempt=command.attempt,
                mode=failure.mode,
                message=_text(self._redactor.text(failure.message)),
                retryable=failure.retryable,
                retry_after_ms=failure.retry_after_ms,
                usage=failure.usage,
            )
        except TimeoutError:
            event = CallFailed(
                key=command.key,
                attempt=command.attempt,
                mode="timeout",
                message=f"no answer within {(command.request.timeout_ms or 0) / 1000:g} s",
                retryable=True,
            )
        except Exception as error:
            event = CallFailed(
                key=command.key,
                attempt=command.attempt,
                mode="crashed",
                message=_text(self._redactor.text(f"{type(error).__name__}: {error}")),
            )
        event = msgspec.structs.replace(
            event, at=self._now(), ms=int((time.monotonic() - began) * 1000)
        )
        if isinstance(event, CallFailed) and command.key in self._streaming:
            event = msgspec.structs.replace(event, cut=True)
        self._streaming.discard(command.key)
        if self._running.get(command.key) is asyncio.current_task():
            del self._running[command.key]
        self._happened.append(event)
        self._notify()

    def _listen(self, command: StartCall, request: ModelRequest) -> ModelRequest:
        """Ask for the pieces of a streamed decision, and make an event of each task in it."""
        tasks = ClosedTasks()

        def on_text(piece: str) -> None:
            self._streaming.add(command.key)
            for task in tasks.feed(piece):
                seen = self._redactor.value(task)
                self.feed(TaskClosed(key=command.key, attempt=command.attempt, task=seen))

        return msgspec.structs.replace(request, on_text=on_text)

    async def _attempt(self, command: StartCall) -> CallFinished | CallFailed:
        request = command.request
        if isinstance(request, ModelRequest) and request.stream:
            request = self._listen(command, request)
        timeout_ms = request.timeout_ms
        if isinstance(request, ModelRequest):
            await ready(self._model_of(request.model.name))
        if isinstance(request, ModelRequest) and is_limited(request.model):
            # Its clock starts when its limits let it through, which only the model sees.
            timeout_ms = None
        reply: Any
        if timeout_ms is None:
            reply = await self._carry_out(request)
        else:
            async with asyncio.timeout(timeout_ms / 1000):
                reply = await self._carry_out(request)
        value = reply.value
        if isinstance(request, ModelRequest):
            # Workers see to it themselves; a model's word must be in the journal as it was said.
            value = _text(value) if isinstance(value, str) else plain_json(value)
        return CallFinished(
            key=command.key,
            attempt=command.attempt,
            value=self._redactor.value(value),
            usage=reply.usage,
        )

    def _carry_out(self, request: ModelRequest | WorkerRequest) -> Any:
        if isinstance(request, ModelRequest):
            return self._model_of(request.model.name).complete(request)
        return self._worker_of(request.worker.kind).call(request)

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

    async def _save_the_finished(self) -> None:
        """Journal what had finished when the run was interrupted: it has been paid for."""
        finished = [e for e in self._happened if isinstance(e, CallFinished)]
        self._happened = []
        if finished and self.state.run:
            try:
                await self._journal.append(self.state.run, list(finished))
            except JournalError:
                return


def _text(text: str) -> str:
    """A text that a journal can hold: halves of surrogate pairs, which JSON's escapes can smuggle
    in, are no characters."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _wall_ms() -> int:
    return int(time.time() * 1000)
