"""Drives the machine again from a journal, without any call, and checks each event.

A journal records what happened. The machine, folded over it, determines what was requested. The two
must match: an intent answers an open command, an end answers a start, and the end of the run is the
one that the fold reaches. If they do not match, the run could not have happened like this under
that program, and the first such event is the *divergence*.

With a second program (the current file), both are driven in parallel over the same events. Then the
requests are compared too: the prompt and schema of a model's call, the input of a task, the
question of a gate. An answer to a different request does not count, so that is a divergence as
well. Other models, timeouts or implementations of a worker are not: results are valid whoever
produced them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, assert_never

import msgspec

from engine.events import (
    CallFailed,
    CallFinished,
    CallLost,
    CallStarted,
    CancelRequested,
    Event,
    GateAnswered,
    GateOpened,
    ModelInfo,
    NoteGiven,
    RunEnded,
    RunForked,
    RunInterrupted,
    RunResumed,
    RunRetried,
    RunStarted,
    TaskClosed,
    TimerFired,
)
from engine.history.excerpts import excerpts
from engine.runtime.commands import SetTimer
from engine.runtime.machine import known_models, step
from engine.runtime.ports import ModelRequest, WorkerRequest
from engine.runtime.state import RunState
from engine.sema.model import Program

__all__ = ["Divergence", "Replay", "describe", "replay"]

#: How much earlier than asked for a timer may fire: clocks are read in whole milliseconds.
_TIMER_SLACK_MS = 5
#: How many open commands a divergence names.
_SHOWN = 3


class Divergence(msgspec.Struct, frozen=True):
    """The first event that does not fit.

    Attributes:
        seq: Its number in the journal, from 1.
        kind: `event` where the machine would not have asked for it, `request` where it would
            have asked for the same thing in other words, `end` where the run would not have
            ended so.
        key: Of the call or gate it is about, or "".
        has: What the journal has there.
        expected: What the machine would have done.
        why: The difference in one line.
    """

    seq: int
    kind: Literal["event", "request", "end"]
    key: str
    has: str
    expected: str
    why: str


class Replay(msgspec.Struct):
    """What a replay came to.

    Attributes:
        state: As folded by the program that was replayed, up to the divergence if there is one.
        events: How many events were taken in.
        divergence: The first event that does not fit, or None.
        touched: The number of the first event that starts a call of something watched, and the
            name of that; None if there is none.
    """

    state: RunState
    events: int
    divergence: Divergence | None = None
    touched: tuple[int, str] | None = None


def replay(
    program: Program,
    events: Sequence[Event],
    *,
    recorded: Program | None = None,
    models: Mapping[str, ModelInfo] | None = None,
    watched: frozenset[str] = frozenset(),
) -> Replay:
    """Re-drive a program over a journal.

    Args:
        program: The program to check.
        events: The journal, whole or up to some point.
        recorded: The program the run had, where `program` is another one: what both ask for is
            compared then.
        models: What is known of the models that the run did not have.
        watched: Names of workers, verifiers and models whose first call is noted.
    """
    events = known_models(events)
    follower = _Follower(program, models or {})
    other = _Follower(recorded, {}) if recorded is not None else None
    touched: tuple[int, str] | None = None
    for seq, event in enumerate(events, 1):
        following = events[seq] if seq < len(events) else None
        found = follower.check(seq, event, following)
        if other is not None:
            if found is None and isinstance(event, (CallStarted, GateOpened)):
                found = _compare(seq, event, other.state, follower.state)
            other.take(event)
        if found is not None:
            return Replay(follower.state, seq - 1, found, touched)
        if touched is None and watched and isinstance(event, CallStarted):
            name = follower.uses(event.key, watched)
            touched = None if name is None else (seq, name)
        follower.take(event)
    return Replay(follower.state, len(events), None, touched)


class _Follower:
    """A state that is driven by a journal, and what was asked for on the way."""

    def __init__(self, program: Program, models: Mapping[str, ModelInfo]) -> None:
        self.state = RunState(program)
        self._models = models
        self._started: set[tuple[str, int]] = set()
        self._timers: dict[str, int] = {}
        self._gates: set[str] = set()
        self._just_forked = False

    def take(self, event: Event) -> None:
        """Step."""
        if isinstance(event, RunStarted):
            known = {**self._models, **event.models}
            event = msgspec.structs.replace(event, models=known)
        _, commands = step(self.state, event)
        for command in commands:
            if isinstance(command, SetTimer):
                self._timers[command.timer] = command.at
        self._just_forked = isinstance(event, RunForked)
        if isinstance(event, CallStarted):
            self._started.add((event.key, event.attempt))
        elif isinstance(event, GateOpened):
            self._gates.add(event.key)

    def uses(self, key: str, watched: frozenset[str]) -> str | None:
        """Which of the watched names the open call of a key uses; None if none."""
        call = self.state.calls.get(key)
        request = call.request if call is not None else None
        if isinstance(request, ModelRequest):
            names = [request.name, request.model.name]
        else:
            names = [request.worker.name] if request is not None else []
        return next((name for name in names if name in watched), None)

    def check(self, seq: int, event: Event, following: Event | None) -> Divergence | None:
        """What does not fit about an event that is about to be taken in, or None."""
        state = self.state
        key = getattr(event, "key", "")

        def differs(expected: str, why: str, kind: Literal["event", "end"] = "event") -> Divergence:
            return Divergence(seq, kind, key, describe(event), expected, why)

        if (seq == 1) != isinstance(event, RunStarted):
            wants = "the start of the run" if seq == 1 else "no second start"
            return differs(wants, "a run starts with its first event, and once")
        if state.ended and not isinstance(event, (RunRetried, RunInterrupted)):
            return differs("nothing: the run had ended", "the run had ended before")
        if isinstance(event, RunStarted):
            return _check_start(event, state.program, differs)
        if isinstance(event, CallStarted):
            return self._check_intent(event, differs)
        if isinstance(event, (CallFinished, CallFailed, CallLost, TaskClosed)):
            if (event.key, event.attempt) not in self._started:
                return differs(self._open(), "it ends an attempt that was never started")
        elif isinstance(event, TimerFired):
            return self._check_timer(event, differs)
        elif isinstance(event, GateOpened) and key not in state.gates:
            return differs(self._open(), "no gate of that key is open")
        elif isinstance(event, GateAnswered) and key not in state.gates and key not in self._gates:
            return differs(self._open(), "it answers a gate that was never opened")
        elif isinstance(event, RunEnded):
            return self._check_end(event, following, differs)
        elif isinstance(event, RunRetried) and not state.ended and not self._just_forked:
            return differs("nothing: the run had not ended", "only a run that has ended is retried")
        return None

    def _check_intent(self, event: CallStarted, differs: Any) -> Divergence | None:
        call = self.state.calls.get(event.key)
        found: Divergence | None
        if call is None or call.command is None:
            found = differs(self._open(), "no such call was asked for")
        elif call.attempt != event.attempt:
            found = differs(f"attempt {call.attempt} of it", "it is another attempt")
        elif call.begun == event.attempt:
            found = differs("nothing: it was under way", "this attempt had been started already")
        else:
            request = call.command.request
            model = request.model.name if isinstance(request, ModelRequest) else None
            if model == event.model:
                return None
            wanted = f"model `{model}`" if model else "a worker, no model"
            found = differs(f"the same call of {wanted}", "another model is asked")
        return found

    def _check_timer(self, event: TimerFired, differs: Any) -> Divergence | None:
        found: Divergence | None
        if event.timer not in self._timers:
            found = differs(self._open(), "no such timer was set")
            return found
        timer = self.state.timers.get(event.timer)
        if timer is not None and event.at + _TIMER_SLACK_MS < timer.at:
            found = differs(
                f"that timer at {timer.at / 1000:g} s", f"it ran out at {event.at / 1000:g} s"
            )
            return found
        return None

    def _check_end(
        self, event: RunEnded, following: Event | None, differs: Any
    ) -> Divergence | None:
        if isinstance(following, RunRetried) and following.program:
            return None  # It was given another program because that one does not end here.
        state = self.state
        raised = event.bound and state.status == "running"
        if raised and isinstance(following, RunRetried) and following.unused:
            return None  # A bound was raised since; the retry began from the same round.
        same = event.status == state.status and (
            event.status == "waiting" or (event.reason, event.bound) == (state.reason, state.bound)
        )
        if same:
            return None
        found: Divergence = differs(self._where(), "the run does not end so", "end")
        return found

    def _where(self) -> str:
        state = self.state
        if state.status == "running":
            return f"to continue: {self._open()}"
        return describe(RunEnded(status=state.status, reason=state.reason, bound=state.bound))

    def _open(self) -> str:
        """What the machine waits for, in words."""
        state = self.state
        waits = [call.key for call in state.calls.values() if call.command is not None]
        waits += [f"gate {key}" for key in state.gates]
        if not waits:
            return "nothing" if state.status == "running" else f"the end: {state.status}"
        more = len(waits) - _SHOWN
        return ", ".join(waits[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _check_start(event: RunStarted, program: Program, differs: Any) -> Divergence | None:
    orchestrator = program.orchestrators.get(event.orchestrator)
    found: Divergence
    if orchestrator is None:
        known = ", ".join(program.orchestrators) or "none"
        found = differs(f"one of: {known}", f"there is no orchestrator `{event.orchestrator}`")
        return found
    problems = orchestrator.inputs.problems(event.input)
    if problems:
        found = differs(f"other inputs: {'; '.join(problems)}", "its inputs do not fit")
        return found
    return None


def _compare(
    seq: int, event: CallStarted | GateOpened, old: RunState, new: RunState
) -> Divergence | None:
    """What both programs ask for at an event that fits both; None where it is the same."""
    if isinstance(event, GateOpened):
        before, now = old.gates.get(event.key), new.gates.get(event.key)
        if before is None or now is None or before.message == now.message:
            return None
        return Divergence(
            seq, "request", event.key, _json(before.message), _json(now.message),
            "the question differs",
        )  # fmt: skip
    first, second = old.calls.get(event.key), new.calls.get(event.key)
    if first is None or second is None:
        return None
    found = _request_difference(first.request, second.request)
    if found is None:
        return None
    what, before_text, now_text = found
    return Divergence(seq, "request", event.key, before_text, now_text, f"{what} differs")


def _request_difference(
    old: ModelRequest | WorkerRequest | None, new: ModelRequest | WorkerRequest | None
) -> tuple[str, str, str] | None:
    """The first thing in which two requests differ, as (what, in the old, in the new)."""
    if isinstance(old, ModelRequest) and isinstance(new, ModelRequest):
        for number, (one, other) in enumerate(zip(old.messages, new.messages, strict=False), 1):
            if one.content != other.content or one.role != other.role:
                what = f"the prompt (message {number}, {other.role})"
                return (what, *_excerpts(one.content, other.content))
        if len(old.messages) != len(new.messages):
            counts = (f"{len(old.messages)} messages", f"{len(new.messages)} messages")
            return ("the prompt", *counts)
        if old.schema != new.schema:
            return ("the schema of the answer", *_excerpts(_json(old.schema), _json(new.schema)))
        return None
    if isinstance(old, WorkerRequest) and isinstance(new, WorkerRequest):
        if old.worker.name != new.worker.name:
            return ("the worker", old.worker.name, new.worker.name)
        if old.input != new.input:
            return ("the input", *_excerpts(_json(old.input), _json(new.input)))
        return None
    return ("the call", _kind(old), _kind(new))


def _kind(request: ModelRequest | WorkerRequest | None) -> str:
    return "a model's" if isinstance(request, ModelRequest) else "a worker's"


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _excerpts(old: str, new: str) -> tuple[str, str]:
    one, other = excerpts(old, new)
    return _json(one), _json(other)


def describe(event: Event) -> str:
    """An event in a few words."""
    match event:
        case RunStarted():
            said = f"the start of `{event.orchestrator}`"
        case CallStarted():
            model = f" of model `{event.model}`" if event.model else ""
            said = f"the start of {event.key}, attempt {event.attempt}{model}"
        case CallFinished():
            said = f"the result of {event.key}, attempt {event.attempt}"
        case CallFailed():
            said = f"the failure of {event.key}, attempt {event.attempt} ({event.mode})"
        case CallLost():
            said = f"the loss of {event.key}, attempt {event.attempt}"
        case TaskClosed():
            said = f"a task of {event.key} that still streams"
        case TimerFired():
            said = f"the timer `{event.timer}`"
        case GateOpened():
            said = f"the gate {event.key}"
        case GateAnswered():
            said = f"the answer `{event.answer}` to the gate {event.key}"
        case NoteGiven():
            to = f" under {event.task}" if event.task else ""
            said = f"a note to the planner{to}: {event.note}"
        case CancelRequested():
            said = "a request to cancel the run"
        case RunInterrupted():
            said = "the run was interrupted"
        case RunResumed():
            said = "the run was resumed"
        case RunForked():
            said = f"the run was forked from {event.parent} after its event {event.seq}"
        case RunRetried():
            said = "the run was taken up again after its end"
        case RunEnded():
            waits = event.status == "waiting"
            parts = ["" if waits else event.status, event.bound or "", event.reason]
            verb = "waits for a person" if waits else "ended"
            said = f"the run {verb}: " + ": ".join(part for part in parts if part)
        case _:
            assert_never(event)
    return said
