"""What differs between two runs, call by call: a fork and its parent, or two runs of one program.

Runs are compared by what their calls gave, under the structural keys that both share; times,
tokens and attempts are not differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from engine.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    GateAnswered,
    NoteGiven,
    RunEnded,
)

__all__ = ["Difference", "differences", "shared_events"]


class Difference(msgspec.Struct, frozen=True):
    """A call, a gate, or the end of a run that is not the same in both.

    Attributes:
        key: Of the call or gate; "" for the end of the run.
        what: Whether only one of the runs has it, or both have it with another outcome.
        first: Its outcome in the first run, in a few words; "" where it has none.
        second: The same in the second.
    """

    key: str
    what: Literal["first", "second", "both"]
    first: str
    second: str


def shared_events(first: Sequence[Event], second: Sequence[Event]) -> int:
    """How many events two runs have in common at their beginning."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def differences(first: Sequence[Event], second: Sequence[Event]) -> list[Difference]:
    """Where two runs came to something else, in the order in which it began."""
    one, other = _outcomes(first), _outcomes(second)
    found = []
    for key in [*one, *(key for key in other if key not in one)]:
        if one.get(key) == other.get(key):
            continue
        what: Literal["first", "second", "both"] = "both"
        if key not in one:
            what = "second"
        elif key not in other:
            what = "first"
        found.append(Difference(key, what, one.get(key, ""), other.get(key, "")))
    # How the runs ended is said last, whichever calls only one of them has made.
    return sorted(found, key=lambda difference: difference.key == "")


def _outcomes(events: Sequence[Event]) -> dict[str, str]:
    """The outcome of each call, gate and the run, by key."""
    outcomes: dict[str, str] = {}
    for event in events:
        if isinstance(event, CallStarted):
            outcomes.setdefault(event.key, "not over")
        elif isinstance(event, CallFinished):
            outcomes[event.key] = _json(event.value)
        elif isinstance(event, CallFailed):
            outcomes[event.key] = f"{event.mode}: {event.message}"
        elif isinstance(event, GateAnswered):
            given = "" if event.output is None else f" with {_json(event.output)}"
            outcomes[event.key] = f"{event.answer}{given}"
        elif isinstance(event, NoteGiven):
            outcomes[f"note {event.letter}"] = event.note
        elif isinstance(event, RunEnded):
            parts = (event.status, event.bound, event.reason)
            outcomes[""] = ": ".join(part for part in parts if part)
        else:
            outcomes.pop("", None)  # it continued
    return outcomes


def _json(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
