"""Gates: questions to a person. A waiting run uses no resources.

A gate is state like any other: the process may end while it is open, and the answer may come from
any process. While only gates are open, the run is `waiting`, and its running time is paused.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.events import GateAnswered, GateOpened
from engine.runtime.changed import remember
from engine.runtime.commands import OpenGate
from engine.runtime.state import Gate, Loop, RunState

__all__ = ["answered", "ask", "ask_again", "drop", "opened"]


def ask(state: RunState, gate: Gate) -> None:
    """Open a gate."""
    remember(state, gate)
    state.gates[gate.key] = gate
    state.commands.append(OpenGate(gate.key, gate.timeout_ms))


def opened(state: RunState, event: GateOpened) -> None:
    """The question is in the journal: its timeout counts from here."""
    gate = state.gates.get(event.key)
    if gate is not None and gate.opened_ms is None:
        gate.opened_ms = event.wall_ms


def answered(state: RunState, event: GateAnswered) -> Gate | None:
    """Take an answer in; None if no such gate is open (answered before, or called off)."""
    return state.gates.pop(event.key, None)


def ask_again(state: RunState, wall_ms: int) -> None:
    """Another process takes over: it has to watch over the gates that are open.

    Args:
        wall_ms: Its wall-clock time; a gate's timeout keeps running while the run is not driven.
    """
    for gate in state.gates.values():
        if gate.opened_ms is None:
            state.commands.append(OpenGate(gate.key, gate.timeout_ms))
        elif gate.timeout_ms is not None:
            # A clock that was set back does not extend the time.
            left_ms = min(gate.timeout_ms, max(0, gate.opened_ms + gate.timeout_ms - wall_ms))
            state.commands.append(OpenGate(gate.key, left_ms))


def drop(state: RunState, loops: Iterable[Loop], *, keep_outcomes: bool) -> None:
    """Call off the gates of these loops. What a `once` task did is asked still."""
    members = set(map(id, loops))
    for key, gate in list(state.gates.items()):
        # A task that is held has not begun: its outcome is none to wait for.
        outcome = gate.kind == "outcome" and not gate.helds
        if id(gate.loop) in members and not (keep_outcomes and outcome):
            del state.gates[key]
