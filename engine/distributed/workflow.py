"""The workflow that is a run: the machine's turns, with activities for calls and timers for time.

It decides nothing that the machine does not decide; what it adds is what the local driver adds,
with a cluster's means. Its list of events is the run's journal. It does no I/O and reads no clock
but the workflow's. The SDK's sandbox is not used: the machine is pure by construction (one of
its four rules) and is checked against recorded histories. A sandbox would import the
engine, Jinja2 and lark again for every run.

Continuing as new relies on an invariant: folding the events gives the live state. So the
snapshot is the events, and nothing is in flight when it is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from engine.distributed.calls import Calls, size_of_call
from engine.distributed.messages import NOT_TAKEN, Chunk, Ending, Page, RunOrder
from engine.distributed.payloads import LIMIT_BYTES
from engine.distributed.programs import errors_of, program_of
from engine.distributed.queues import WORKFLOW_TYPE
from engine.drive.answers import Reply, answers
from engine.drive.telling import Words
from engine.errors import CompileError, UsageError
from engine.events import (
    CancelRequested,
    Event,
    GateAnswered,
    NoteGiven,
    RunResumed,
    TimerFired,
    decode_event,
    encode_event,
)
from engine.journal import RunRecord, RunSummary
from engine.runtime import notes
from engine.runtime.commands import CancelCalls, Command, OpenGate, SetTimer, StartCall
from engine.runtime.machine import step
from engine.runtime.state import RunState
from engine.runtime.turn import Turn, is_wanted, take_turn

__all__ = ["OrchRun"]

#: How many events are folded in one step of the workflow. The SDK gives a step two seconds.
_FOLDED_AT_ONCE = 5_000
#: Where a run with calls in flight stops to start new ones, to continue as new: in events of
#: Temporal's history, of which it allows 51,200, and in bytes, of which it allows 50 MiB.
_HARD_EVENTS = 20_000
_HARD_BYTES = 20 * 1024 * 1024
#: How many calls may be in flight: Temporal refuses more than 2,000, and those that were called off
#: count until their hosts have said so.
_MOST_IN_FLIGHT = 1_500
#: How many calls are begun in one step: what a step asks for has to fit into four mebibytes.
_BEGUN_AT_ONCE = 200
#: How large that may be where large values go to a blob store: all of it is in memory at once.
_BYTES_AT_ONCE = 8 * 1024 * 1024
#: Why a run ends that was cancelled with Temporal's own tools.
_CANCELLED_THERE = "cancelled on the cluster"
#: The marker of a run that was refused when it began.
_REFUSED = "refused"

#: How much of a reason is in listings, in characters.
_SHOWN_REASON = 500


@workflow.defn(name=WORKFLOW_TYPE, sandboxed=False)
class OrchRun:
    """One run."""

    @workflow.init
    def __init__(self, record: RunRecord, order: RunOrder, *chunks: Chunk) -> None:
        self._record = record
        self._order = order
        self._chunks = list(chunks)
        #: Events of earlier executions, then those of this one, each as JSON.
        self._bodies: list[msgspec.Raw] = [body for chunk in chunks for body in chunk.events]
        self._earlier = len(self._bodies)
        self._happened: list[Event] = []
        self._due: list[StartCall] = []
        self._replies: list[_Said] = []
        self._cancels: list[str] = []
        self._notes: list[NoteGiven] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._delays: dict[str, int] = {}
        self._held: list[StartCall] = []
        self._waiting = False
        self._ready = False
        self._base_ms = 0
        self._began_ms = _wall_ms()
        self._state: RunState | None = None
        self._calls = Calls(order, self._take_in)

    # ------------------------------------------------------------ the run

    @workflow.run
    async def run(self, record: RunRecord, order: RunOrder, *chunks: Chunk) -> Ending:
        """Drive the run to its end.

        Raises:
            ApplicationError: A bug in orch, or a program that has errors on this host: the
                run fails at once, where the SDK would try the same step forever.
        """
        try:
            return await self._drive()
        except (CompileError, UsageError) as error:
            raise ApplicationError(str(error), type="refused", non_retryable=True) from None
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if isinstance(error, (workflow.ContinueAsNewError, workflow.NondeterminismError)):
                raise
            raise ApplicationError(
                f"{type(error).__name__}: {error}", type="internal", non_retryable=True
            ) from error

    async def _drive(self) -> Ending:
        if not self._bodies:
            self._refuse_errors()
        state = await self._folded()
        self._state = state
        self._restart_clock()
        if not self._bodies:
            self._happened.append(self._order.began)
        elif state.status == "waiting":
            self._waiting = True
        else:
            self._take_up(state)
        self._ready = True
        while True:
            if self._waiting:
                await self._wait_for_a_word(state)
            turn = self._turn(state)
            if turn.over and state.status != "waiting":
                return await self._end(state)
            if turn.over:
                self._begin_to_wait(state)
                continue
            self._held += turn.starts
            if self._may_roll_over():
                await self._roll_over()
            if not self._winding_down():
                await self._begin_calls(state)
            await self._sleep()

    def _refuse_errors(self) -> None:
        """Refuse a program with errors when its run begins.

        Whether it was is in the history as a marker: a host with other rules must neither end a
        run under way nor continue with one that was refused.

        Raises:
            CompileError, UsageError: It is refused.
        """
        replaying = workflow.unsafe.is_replaying()
        errors = errors_of(self._record)
        if (replaying or errors) and workflow.patched(_REFUSED):
            if errors:
                raise CompileError(errors)
            raise UsageError("the program had errors when its run began")

    async def _folded(self) -> RunState:
        state = RunState(program_of(self._record))
        for position, body in enumerate(self._bodies):
            step(state, decode_event(bytes(body)))
            if position % _FOLDED_AT_ONCE == _FOLDED_AT_ONCE - 1:
                await asyncio.sleep(0.001)
        return state

    def _take_up(self, state: RunState) -> None:
        """Continue where the previous execution stopped, with nothing in flight."""
        for command in state.open_commands():
            if not isinstance(command, StartCall):
                self._act(command)
            elif state.calls[command.key].begun == command.attempt:
                self._calls.start(command)
            elif command.key in self._order.delays:
                self._put_off(command, self._order.delays[command.key] - self._now())
            else:
                self._due.append(command)
        self._watch_gates(state)

    def _turn(self, state: RunState) -> Turn:
        happened, self._happened = self._happened, []
        due, self._due = self._due, []
        turn = take_turn(state, happened, due, self._now, _wall_ms)
        self._bodies.extend(msgspec.Raw(encode_event(event)) for event in turn.events)
        for command in turn.others:
            self._act(command)
        return turn

    async def _sleep(self) -> None:
        """Until something has happened."""
        await self._until(lambda: bool(self._happened or self._due or self._said))
        for event in self._heard():
            self._take_in(event)
        for note in self._notes:
            self._take_in(note)
        self._notes.clear()
        self._happened += [CancelRequested(at=self._now(), reason=why) for why in self._cancels]
        self._cancels.clear()

    async def _until(self, condition: Callable[[], bool]) -> None:
        try:
            await workflow.wait_condition(condition)
        except asyncio.CancelledError:
            # Cancelled with Temporal's own tools: the machine ends the run in its own way.
            self._cancels.append(_CANCELLED_THERE)

    @property
    def _said(self) -> bool:
        """Whether a person has said something that is not in the journal yet."""
        return bool(self._replies or self._cancels or self._notes)

    def _heard(self) -> list[GateAnswered]:
        """The events of what people have answered, each of which gets the outcome."""
        assert self._state is not None
        found: list[GateAnswered] = []
        for said in self._replies:
            try:
                found += answers(self._state, said.reply, _wall_ms())
            except UsageError as error:  # The gate was called off in the same instant.
                said.problem = str(error)
            said.heard = True
        self._replies.clear()
        return found

    # ------------------------------------------------------------ waiting for people

    def _begin_to_wait(self, state: RunState) -> None:
        self._waiting = True
        # Running time is paused, and with it the budgets of time. Gates keep running.
        for name in state.timers:
            self._clear_timer(f"timer {name}")
        self._summarize(state)

    async def _wait_for_a_word(self, state: RunState) -> None:
        """Wait for an answer, a gate's timeout or a cancellation, and make events of it.

        The events are those of `orch resume`, `orch approve` and `orch cancel`.
        """
        if self._may_roll_over():
            await self._roll_over()
        self._watch_gates(state)
        await self._until(lambda: bool(self._happened or self._said))
        self._happened.clear()  # Timers of gates; whose time is up is found by the clock.
        self._waiting = False
        self._restart_clock()
        told = [msgspec.structs.replace(note, at=state.now) for note in self._notes]
        self._notes.clear()
        late = answers(state, None, _wall_ms())
        if told and not (self._replies or self._cancels or late):
            self._happened = [*told]  # The run continues to wait.
            return
        cancels = [CancelRequested(at=state.now, reason=why) for why in self._cancels]
        self._cancels.clear()
        # What the run began with holds to its end: its history may be replayed by another engine.
        resumed = RunResumed(at=state.now, wall_ms=_wall_ms(), bounds=state.bounds)
        said = self._heard() or late
        self._happened = [*cancels, *told, resumed, *said]
        self._summarize(state, "running")

    def _watch_gates(self, state: RunState) -> None:
        for gate in state.gates.values():
            if gate.timeout_ms is not None and gate.opened_ms is not None:
                left_ms = gate.opened_ms + gate.timeout_ms - _wall_ms()
                self._set_gate_timer(gate.key, max(0, left_ms))

    def _set_gate_timer(self, key: str, delay_ms: int) -> None:
        def late() -> None:
            self._take_in(GateAnswered(key=key, answer="timeout", wall_ms=_wall_ms()))

        self._set_timer(f"gate {key}", delay_ms, late)

    # ------------------------------------------------------------ commands

    def _act(self, command: Command) -> None:
        if isinstance(command, StartCall):
            self._put_off(command, command.delay_ms)
        elif isinstance(command, SetTimer):
            timer = command.timer
            self._set_timer(
                f"timer {timer}",
                max(0, command.at - self._now()),
                lambda: self._take_in(TimerFired(timer=timer)),
            )
        elif isinstance(command, OpenGate):
            if command.timeout_ms is not None:
                self._set_gate_timer(command.key, command.timeout_ms)
        elif isinstance(command, CancelCalls):
            for key in command.keys:
                self._calls.cancel(key)
                self._delays.pop(key, None)

    def _put_off(self, command: StartCall, delay_ms: int) -> None:
        self._delays[command.key] = self._now() + delay_ms

        def due() -> None:
            self._delays.pop(command.key, None)
            assert self._state is not None
            if is_wanted(self._state, command):
                self._due.append(command)

        self._set_timer(f"call {command.key}", max(0, delay_ms), due)

    def _set_timer(self, name: str, delay_ms: int, then: Any) -> None:
        self._clear_timer(name)

        def fire() -> None:
            self._timers.pop(name, None)
            then()

        self._timers[name] = asyncio.get_running_loop().call_later(delay_ms / 1000, fire)

    def _clear_timer(self, name: str) -> None:
        handle = self._timers.pop(name, None)
        if handle is not None:
            handle.cancel()

    def _take_in(self, event: Event) -> None:
        self._happened.append(msgspec.structs.replace(event, at=self._now()))

    # ------------------------------------------------------------ time

    def _restart_clock(self) -> None:
        assert self._state is not None
        self._base_ms = self._state.now
        self._began_ms = _wall_ms()

    def _now(self) -> int:
        """Running time, in milliseconds: waiting for a person does not count."""
        return self._base_ms + max(0, _wall_ms() - self._began_ms)

    # ------------------------------------------------------------ ending, continuing as new

    async def _end(self, state: RunState) -> Ending:
        self._calls.cancel_all()
        for name in list(self._timers):
            self._clear_timer(name)
        self._summarize(state)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return Ending(state.status, state.reason, state.bound)

    def _summarize(self, state: RunState, status: Any = None) -> None:
        """Keep what listings show of the run where the cluster finds it."""
        names = RunSummary.__struct_fields__
        known = {name: getattr(self._record, name) for name in names}
        known["status"] = status or state.status
        if status is None:
            known["reason"] = state.reason[:_SHOWN_REASON]
            known["bound"] = state.bound
            if state.ended:
                known["ended_ms"] = _wall_ms()
        workflow.upsert_memo({"orch": RunSummary(**known)})

    def _winding_down(self) -> bool:
        """Whether no call is to be started any more, so that the run can continue as new."""
        info = workflow.info()
        events = info.get_current_history_length()
        if self._order.terms.rollover is not None:
            return events >= 2 * self._order.terms.rollover
        return events >= _HARD_EVENTS or info.get_current_history_size() >= _HARD_BYTES

    async def _begin_calls(self, state: RunState) -> None:
        """Begin what is held back, as far as Temporal takes it now; the rest when calls end."""
        room = max(0, _MOST_IN_FLIGHT - len(self._calls.running))
        now, self._held = self._held[:room], self._held[room:]
        most = LIMIT_BYTES if self._order.terms.limit_bytes is not None else _BYTES_AT_ONCE
        begun = size = 0
        for command in now:
            # Runs that began before there were bounds are replayed as they went.
            carried = size_of_call(command) if state.bounds else 0
            if begun == _BEGUN_AT_ONCE or (begun and size + carried > most):
                await self._next_step()
                begun = size = 0
            begun, size = begun + 1, size + carried
            if is_wanted(state, command):
                self._calls.start(command)

    async def _next_step(self) -> None:
        """Give the cluster what was asked for so far."""
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            self._cancels.append(_CANCELLED_THERE)

    def _may_roll_over(self) -> bool:
        """Whether it is time to continue as new and nothing is in the way."""
        if self._calls.running or not self._calm():
            return False
        if self._order.terms.rollover is not None:
            return workflow.info().get_current_history_length() >= self._order.terms.rollover
        return workflow.info().is_continue_as_new_suggested() or self._winding_down()

    def _calm(self) -> bool:
        return not (self._happened or self._due or self._said)

    async def _roll_over(self) -> None:
        """Continue as new with the events so far."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self._calm():
            return
        assert self._state is not None
        done = Chunk(self._bodies[self._earlier :])
        order = msgspec.structs.replace(
            self._order, delays=dict(self._delays), losses=self._calls.losses
        )
        chunks = [*self._chunks, done] if done.events else self._chunks
        limit = self._order.terms.limit_bytes
        if limit is not None and sum(len(b) for b in self._bodies) > 4 * limit:
            raise UsageError(
                "the run has grown too large to continue without a blob store: start hosts and "
                "runs with one (--blobs DIR, blobs=DIR)"
            )
        workflow.continue_as_new(args=[self._record, order, *chunks])

    # ------------------------------------------------------------ for people

    @workflow.query
    def page(self, first: int) -> Page:
        """Events of the run from a position on."""
        found: list[msgspec.Raw] = []
        size = 0
        for body in self._bodies[first:]:
            size += len(bytes(body))
            if found and size > LIMIT_BYTES // 2:
                break
            found.append(body)
        return Page(found, len(self._bodies))

    @workflow.query
    def record(self) -> RunRecord:
        """The run as it was entered, the texts of its program with it."""
        return self._record

    @workflow.update
    async def answer(self, reply: Reply) -> None:
        """Answer a gate; returns when the answer is in the journal.

        Raises:
            ApplicationError: The gate is not open (any more), or the reply does not fit it.
        """
        said = _Said(reply)
        self._replies.append(said)
        await workflow.wait_condition(lambda: said.heard)
        if said.problem is not None:
            raise _refused(self._answered(reply.gate) or said.problem)

    @answer.validator
    def _check_answer(self, reply: Reply) -> None:
        state = self._living()
        try:
            answers(state, reply, _wall_ms())
        except UsageError as error:
            raise _refused(self._answered(reply.gate) or str(error)) from None
        for said in self._replies:
            if said.reply.gate == reply.gate:
                by = f" by {said.reply.by}" if said.reply.by else ""
                raise _refused(
                    f"gate `{reply.gate}` has been answered already{by}: {said.reply.answer}"
                )

    @workflow.update
    async def tell(self, words: Words) -> None:
        """Give a note to a planner; returns when it is on its way into the journal.

        Raises:
            ApplicationError: There is no such task, or no decision can be asked for after it.
        """
        state = self._living()
        task = notes.target(state, words.to)
        self._notes.append(
            NoteGiven(
                note=words.note,
                task=task,
                by=words.by,
                wall_ms=_wall_ms(),
                letter=f"{state.run}.{workflow.uuid4()}",
            )
        )
        await workflow.wait_condition(lambda: not self._notes)

    @tell.validator
    def _check_tell(self, words: Words) -> None:
        state = self._living()
        try:
            notes.check(state, notes.target(state, words.to))
        except UsageError as error:
            kind = NOT_TAKEN if isinstance(error, notes.NotTaken) else "usage"
            raise ApplicationError(str(error), type=kind, non_retryable=True) from None

    @workflow.update
    async def cancel(self, reason: str) -> None:
        """Ask for the run to end as `cancelled`; returns when it has been asked."""
        self._cancels.append(reason)
        await workflow.wait_condition(lambda: not self._cancels)

    @cancel.validator
    def _check_cancel(self, reason: str) -> None:
        self._living()

    def _living(self) -> RunState:
        state = self._state
        if state is None or not self._ready:
            raise _refused("the run has not begun yet")
        if state.ended:
            raise _refused(f"run {state.run} has ended already ({state.status})")
        return state

    def _answered(self, key: str | None) -> str | None:
        """A description of who has answered a gate; None if it is not answered."""
        for body in reversed(self._bodies):
            if key is not None and b'"gate_answered"' in bytes(body):
                event = decode_event(bytes(body))
                if isinstance(event, GateAnswered) and event.key == key:
                    by = f" by {event.by}" if event.by else ""
                    return f"gate `{key}` has been answered already{by}: {event.answer}"
        return None


class _Said:
    """The answer of a person to a gate, and its outcome."""

    __slots__ = ("heard", "problem", "reply")

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.heard = False
        self.problem: str | None = None


def _refused(message: str) -> ApplicationError:
    return ApplicationError(message, type="usage", non_retryable=True)


def _wall_ms() -> int:
    return workflow.time_ns() // 1_000_000
