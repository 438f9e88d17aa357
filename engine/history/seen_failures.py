"""Failures that a planner has seen and planned around: a retry of the run leaves them as they are.

For each round with such failures this finds the event from which a fork can retry them, with
everything kept that was done by then. It only reads.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.events import CallStarted, Event
from engine.runtime.ending import subtree
from engine.runtime.state import Loop, Round, RunState, Step, Task
from engine.runtime.steps import retrying
from engine.runtime.steps.items import may_retry
from engine.runtime.task_paths import path_in_loop

__all__ = ["SeenFailures", "seen_failures"]

#: How many tasks are named.
_NAMED = 3


class SeenFailures(msgspec.Struct, frozen=True):
    """What failed in one round, before the planner decided again.

    Attributes:
        round: Its number, from 1.
        under: The task whose orchestrator it is; "" for the root's.
        tasks: What failed and may be retried, in order.
        seq: The number of the last event before the planner was asked for the decision that
            followed: from there a fork can retry these.
    """

    round: int
    under: str
    tasks: list[str]
    seq: int

    def text(self) -> str:
        """The round and its tasks in a few words: `round 1: all[3], all[5]`."""
        where = f" of {self.under}" if self.under else ""
        more = len(self.tasks) - _NAMED
        named = ", ".join(self.tasks[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        return f"round {self.round}{where}: {named}"


def seen_failures(state: RunState, events: Sequence[Event]) -> list[SeenFailures]:
    """The rounds of a run whose failures its planners have seen, the latest first in each loop.

    Args:
        state: After all of these events.
        events: The journal of the run.
    """
    found: list[SeenFailures] = []
    for loop in subtree(state.root) if state.root is not None else ():
        decided_since = False
        for one in reversed(loop.rounds):
            tasks = _failed(one) if decided_since else []
            asked = _asked(loop, one.number + 1, events) if tasks else 0
            if asked:
                under = "" if loop.task is None else path_in_loop(loop.task)
                found.append(SeenFailures(one.number, under, tasks, asked - 1))
            decided_since = decided_since or one.decision is not None
    return found


def _failed(one: Round) -> list[str]:
    """The tasks, items and steps of a round that a retry of it would try again."""
    entries: list[Task | Step] = [*one.tasks, *one.steps]
    unfinished = retrying.unfinished(entries)
    if not unfinished:
        return []
    named: list[Task | Step] = []
    named += [task for entry in entries for task in _tasks(entry) if may_retry(task)]
    return [path_in_loop(one) for one in named or unfinished]


def _tasks(entry: Task | Step) -> list[Task]:
    if isinstance(entry, Task):
        inside = entry.plan if entry.status == "done" else None
        below: list[Task | Step] = [] if inside is None else retrying.of_frame(inside)
        return [entry, *(task for one in below for task in _tasks(one))]
    return [task for _, task in sorted(entry.items.items())]


def _asked(loop: Loop, round: int, events: Sequence[Event]) -> int:
    """The number of the event that last asked for a decision of a round; 0 if none did."""
    start = f"{loop.path}round {round} / decision "
    numbers = (
        seq
        for seq, event in enumerate(events, 1)
        if isinstance(event, CallStarted)
        and event.key.startswith(start)
        and event.key[len(start) :].isdigit()
    )
    return max(numbers, default=0)
