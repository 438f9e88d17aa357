"""One turn of a run: what has happened goes in, what is to be journaled and done comes out.

Every driver takes its turns here, whatever it awaits with: it steps the machine with what has
happened and adds the intents of the calls that follow, so that both are made durable together.
Pure as the machine is: the time is given. The order is the rule that a driver must keep:

    turn = take_turn(...)  ->  journal turn.events  ->  only then turn.others and turn.starts
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from engine.events import CallStarted, Event, GateOpened, RunEnded
from engine.runtime.commands import Command, EndRun, OpenGate, StartCall
from engine.runtime.machine import step
from engine.runtime.ports import ModelRequest
from engine.runtime.state import RunState
from engine.runtime.waiting import shown_at

__all__ = ["Turn", "is_wanted", "run_ended", "take_turn"]


class Turn(msgspec.Struct):
    """What a turn leads to.

    Attributes:
        events: To be journaled, in this order: what was taken in, then the intents.
        starts: Calls to be started now; their `CallStarted` is among the events.
        others: Everything else that is to be done: timers, gates, cancellations, and calls
            to be started later (`delay_ms`).
        over: Whether the run has ended or waits; nothing is to be started then.
    """

    events: list[Event]
    starts: list[StartCall]
    others: list[Command]
    over: bool


def take_turn(
    state: RunState,
    happened: list[Event],
    due: Iterable[StartCall],
    now_ms: Callable[[], int],
    wall_ms: Callable[[], int],
) -> Turn:
    """Step the machine with what has happened, and add what follows at once.

    Args:
        state: Changed in place.
        happened: In the order it happened; the list becomes `Turn.events`.
        due: Calls whose delay is over.
        now_ms: Running time of the run, in milliseconds.
        wall_ms: Unix time, in milliseconds.
    """
    events = happened
    commands: list[Command] = []
    for event in happened:
        _, asked = step(state, event)
        commands.extend(asked)
    starts, others, end = _sort(commands)
    if end is not None and end.status == "waiting" and state.status != "waiting":
        end = None  # The answer came within the same turn.
    # What was asked for and called off within the same turn is not begun.
    starts = [command for command in (*due, *starts) if is_wanted(state, command)]
    for command in starts:
        _add(state, events, _intent(state, command, now_ms()))
    for other in others:
        if isinstance(other, OpenGate) and other.key in state.gates:
            shown = shown_at(state, state.gates[other.key])
            opened = GateOpened(at=now_ms(), key=other.key, wall_ms=wall_ms(), shown=shown)
            _add(state, events, opened)
    if end is not None:
        _add(state, events, run_ended(state, end, now_ms()))
        starts = []
    return Turn(events, starts, others, end is not None)


def run_ended(state: RunState, end: EndRun, at: int) -> RunEnded:
    """The event of a run that ends or waits."""
    gates = len(state.gates) if end.status == "waiting" else 0
    return RunEnded(at=at, status=end.status, reason=end.reason, bound=end.bound, gates=gates)


def is_wanted(state: RunState, command: StartCall) -> bool:
    """Whether a call that was asked for has not been called off since."""
    call = state.calls.get(command.key)
    return call is not None and call.command is command


def _sort(commands: list[Command]) -> tuple[list[StartCall], list[Command], EndRun | None]:
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


def _add(state: RunState, events: list[Event], event: Event) -> None:
    step(state, event)
    events.append(event)


def _intent(state: RunState, command: StartCall, at: int) -> CallStarted:
    request = command.request
    if not isinstance(request, ModelRequest):
        return CallStarted(
            at=at, key=command.key, attempt=command.attempt, isolated=request.isolated
        )
    reserved = state.calls[command.key].reservation
    return CallStarted(
        at=at,
        key=command.key,
        attempt=command.attempt,
        model=request.model.name,
        isolated=request.isolated,
        most_usd=0 if reserved is None else reserved.cost_usd or 0,
        most_input=0 if reserved is None else reserved.input_tokens,
        most_output=0 if reserved is None else reserved.output_tokens,
    )
