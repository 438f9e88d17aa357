"""What runs have cost, from their journals alone: no program is read, nothing is folded.

Each attempt at a model is counted as the run's budget counts it: by what its provider reported,
else by what was set aside for it where it may have been billed. A call whose price is not known is
counted and never zero. What a fork shares with its parent is the parent's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, get_args

import msgspec

from engine.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    ModelInfo,
    RunForked,
    RunResumed,
    RunRetried,
    RunStarted,
    Usage,
)
from engine.journal import Journal, RunSummary
from engine.runtime.budget import Reservation, booked, may_have_cost

__all__ = ["GROUPS", "CallCost", "Group", "Total", "calls_of", "grouped", "total_of"]

Group = Literal["run", "day", "workflow", "label", "model"]
GROUPS = get_args(Group)


class CallCost(msgspec.Struct, frozen=True):
    """One attempt at a model.

    Attributes:
        wall_ms: When it began, Unix milliseconds.
        model: The id of the model.
        used: What it is counted with.
    """

    wall_ms: int
    model: str
    used: Usage


class Total(msgspec.Struct):
    """A sum over calls.

    Attributes:
        runs: How many runs they are of.
        calls: How many there were.
        unpriced: How many of them have no known price; they are not in `usd`.
        estimated: How many are counted by what was set aside for them.
        usd: What they cost, in micro-dollars.
    """

    runs: int = 0
    calls: int = 0
    unpriced: int = 0
    estimated: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: int = 0

    def add(self, used: Usage) -> None:
        """Count one call."""
        self.calls += 1
        self.estimated += used.estimated
        self.input_tokens += used.input_tokens
        self.output_tokens += used.output_tokens
        if used.cost_micro_usd is None:
            self.unpriced += 1
        else:
            self.usd += used.cost_micro_usd


def calls_of(events: Iterable[Event], *, live: bool = False) -> list[CallCost]:
    """The attempts at metered models in a run's events.

    Args:
        live: Whether a process drives the run: what is open then is under way, and not counted.
    """
    reader = _Reader()
    for event in events:
        reader.take(event)
    if not live:
        reader.lose(list(reader.open))
    return reader.found


class _Open(msgspec.Struct, frozen=True):
    """An attempt that has begun."""

    wall_ms: int
    info: ModelInfo
    most: Reservation


class _Reader:
    """Follows the events of one run."""

    def __init__(self) -> None:
        self.found: list[CallCost] = []
        self.open: dict[tuple[str, int], _Open] = {}
        self._models: dict[str, ModelInfo] = {}
        self._anchor_ms = 0

    def take(self, event: Event) -> None:
        if isinstance(event, CallStarted):
            self._started(event)
        elif isinstance(event, (CallFinished, CallFailed)):
            began = self.open.pop((event.key, event.attempt), None)
            if began is not None:
                spent = isinstance(event, CallFinished) or may_have_cost(event)
                self._count(began, event.usage, spent=spent)
        elif isinstance(event, (RunStarted, RunResumed, RunForked, RunRetried)):
            if isinstance(event, RunForked):
                self.found.clear()
                self.open.clear()
            self._models.update(event.models)
            self._anchor_ms = event.wall_ms - event.at

    def _started(self, event: CallStarted) -> None:
        info = self._models.get(event.model or "")
        if info is None or not info.metered:
            return
        name = (event.key, event.attempt)
        if name in self.open:
            self.lose([name])  # a process was lost with it, and the next one makes it again
        priced = info.input_usd is not None and info.output_usd is not None
        most = Reservation(event.most_usd if priced else None, event.most_input, event.most_output)
        self.open[name] = _Open(self._anchor_ms + event.at, info, most)

    def lose(self, names: Sequence[tuple[str, int]]) -> None:
        """Count attempts that have no end in the journal: each may have been billed."""
        for name in names:
            self._count(self.open.pop(name), None, spent=True)

    def _count(self, began: _Open, usage: Usage | None, *, spent: bool) -> None:
        used = booked(began.info, began.most, usage, spent=spent)
        if used != Usage():
            self.found.append(CallCost(began.wall_ms, began.info.id, used))


def grouped(
    journal: Journal,
    runs: Iterable[RunSummary],
    by: Group,
    damaged: Callable[[str, str], None],
) -> tuple[dict[str, Total], Total]:
    """What runs cost, by group, and in all.

    A run with several labels is counted under each of them, so the groups may add up to more.

    Args:
        journal: Where they are.
        runs: The runs.
        by: What is summed up.
        damaged: Told a run's id and what is wrong with its journal; what can be read is counted.
    """
    groups: dict[str, Total] = {}
    everything = Total()
    for summary in runs:
        events, damage = journal.salvage(summary.run)
        if damage is not None:
            damaged(summary.run, damage)
        calls = calls_of(events, live=summary.live)
        seen: set[str] = set()
        for call in calls:
            everything.add(call.used)
            for name in _names(summary, call, by):
                groups.setdefault(name, Total()).add(call.used)
                seen.add(name)
        for name in seen:
            groups[name].runs += 1
        everything.runs += bool(calls)
    return groups, everything


def _names(summary: RunSummary, call: CallCost, by: Group) -> Iterator[str]:
    if by == "run":
        yield summary.run
    elif by == "day":
        yield time.strftime("%Y-%m-%d", time.gmtime(call.wall_ms / 1000))
    elif by == "workflow":
        yield summary.workflow
    elif by == "model":
        yield call.model
    elif summary.labels:
        for name, value in summary.labels.items():
            yield f"{name}={value}"
    else:
        yield "(no label)"


def total_of(total: Total) -> dict[str, object]:
    """A sum as plain data; `cost_usd` is dollars, of the calls whose price is known."""
    return {
        "runs": total.runs,
        "calls": total.calls,
        "unpriced_calls": total.unpriced,
        "estimated_calls": total.estimated,
        "input_tokens": total.input_tokens,
        "output_tokens": total.output_tokens,
        "cost_usd": total.usd / 1_000_000,
    }
