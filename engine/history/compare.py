"""What differs between two runs, call by call: a fork and its parent, or two runs of one program.

Runs are compared by what their calls gave, under the structural keys that both share; times,
tokens and attempts are not differences. Calls of a step's items have the step's key and a number
(`round 1 / decision 1 / task r[3]`); `steps_of` adds them up.
"""

from __future__ import annotations

import re
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

__all__ = [
    "Difference",
    "StepCounts",
    "StepDifference",
    "differences",
    "item_of",
    "shared_events",
    "steps_of",
]

#: What follows the key of an item in the keys of its own calls.
_OWN = re.compile(r"(?: / again \d+)?(?: / fallback [^/]+)?")
_ITEM = re.compile(r"((?:task|step) [^/\[]+)\[\d+(?:\.\d+)*\]")


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


class StepCounts(msgspec.Struct, frozen=True):
    """How the items of a step ended in one run.

    Attributes:
        items: How many of them began.
        failed: By mode: how many failed.
    """

    items: int = 0
    failed: dict[str, int] = {}


class StepDifference(msgspec.Struct, frozen=True):
    """A step of which some items are not the same in both runs.

    Attributes:
        key: Of the step.
        items: The keys of the items that differ, in the order in which they began.
        first: How its items ended in the first run.
        second: The same in the second.
    """

    key: str
    items: tuple[str, ...]
    first: StepCounts
    second: StepCounts


def item_of(key: str) -> tuple[str, str] | None:
    """The keys of the outermost step that a call is in, and of its item there; None if in none."""
    found = _ITEM.search(key)
    return None if found is None else (key[: found.end(1)], key[: found.end()])


def steps_of(
    found: Sequence[Difference], first: Sequence[Event], second: Sequence[Event]
) -> list[StepDifference]:
    """The steps that differences are in, each with all of its items that differ."""
    items: dict[str, dict[str, None]] = {}
    for difference in found:
        place = item_of(difference.key)
        if place is not None:
            items.setdefault(place[0], {})[place[1]] = None
    one, other = _counts(first), _counts(second)
    none = StepCounts()
    return [
        StepDifference(key, tuple(inside), one.get(key, none), other.get(key, none))
        for key, inside in items.items()
    ]


def _counts(events: Sequence[Event]) -> dict[str, StepCounts]:
    """By the key of a step: how its items ended, as far as their own calls tell."""
    ended: dict[str, dict[str, str]] = {}
    for event in events:
        if not isinstance(event, (CallStarted, CallFinished, CallFailed)):
            continue
        place = item_of(event.key)
        if place is None:
            continue
        outcomes = ended.setdefault(place[0], {})
        outcomes.setdefault(place[1], "")
        if _OWN.fullmatch(event.key, len(place[1])):
            outcomes[place[1]] = event.mode if isinstance(event, CallFailed) else ""
    found = {}
    for key, outcomes in ended.items():
        failed: dict[str, int] = {}
        for mode in outcomes.values():
            if mode:
                failed[mode] = failed.get(mode, 0) + 1
        found[key] = StepCounts(len(outcomes), failed)
    return found


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
