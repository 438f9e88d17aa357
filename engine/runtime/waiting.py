"""What waiting runs ask, from the few events that are about gates.

`orch gates` lists what all runs wait for. To fold each of them would compile its program first,
which costs a hundred times as much as reading its gates. So the event that opens a gate carries
the question, and the event with which a run begins to wait carries how many gates are open. This
is a fold of the journal like any other, over fewer events. If they are not enough (a long question,
a gate that was called off, another program since), it says so, and the whole run is folded instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from engine.events import (
    Event,
    GateAnswered,
    GateOpened,
    RunEnded,
    RunForked,
    RunResumed,
    RunRetried,
)
from engine.runtime.questions import gate_report
from engine.runtime.state import Gate, RunState

__all__ = ["open_gates", "shown_at"]

#: A question whose JSON is longer is not repeated in its event, in bytes.
_SHOWN_BYTES = 4096


def shown_at(state: RunState, gate: Gate) -> dict[str, Any]:
    """What the event that opens a gate says of it; nothing where that may change."""
    if gate.opened_ms is not None:
        return {}
    if gate.kind == "outcome" and gate.step is not None:
        return {}  # it may come to list more items than it does now
    report = gate_report(state, gate)
    return report if len(msgspec.json.encode(report)) <= _SHOWN_BYTES else {}


def open_gates(events: Iterable[Event]) -> list[dict[str, Any]] | None:
    """The open gates of a run that waits, as `gate_reports` gives them, in order of opening.

    Args:
        events: At least those of the types in `ABOUT_GATES`, in order.

    Returns:
        The gates; None if these events alone do not tell.
    """
    found: dict[str, dict[str, Any]] = {}
    waiting = -1
    for event in events:
        if isinstance(event, GateOpened):
            if not found.get(event.key):
                # An engine of before did not say where the input came from.
                told = event.shown if "sources" in event.shown else {}
                found[event.key] = {**told, "opened_ms": event.wall_ms} if told else {}
        elif isinstance(event, GateAnswered):
            found.pop(event.key, None)
        elif isinstance(event, RunEnded):
            waiting = event.gates if event.status == "waiting" else -1
        elif isinstance(event, RunForked) or (
            isinstance(event, (RunResumed, RunRetried)) and event.program
        ):
            # A fork asks again, and another program may ask in other words.
            found = {key: {} for key in found}
    if waiting != len(found) or not all(found.values()):
        return None
    return list(found.values())
