"""How many tasks go to which worker at worst: the greedy fill.

Each worker offers at most that many tasks, each with its own work, which a budget may cap for all
of them together, and with the checks around it, which that budget does not cap. Along a worker's
tasks the gain never grows (full price, the rest of the budget, checks only), so taking the
most expensive next task each time is the exact maximum.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.bounds.amounts import Number, dearer, plus, times

__all__ = ["Option", "fill"]


class Option(msgspec.Struct, frozen=True):
    """What one worker can add.

    Attributes:
        limit: The most tasks it can have.
        work: What a task takes; None if no bound is known.
        checks: What the checks around a task take.
        cap: The most that the work of all its tasks takes together; None without a cap.
    """

    limit: int
    work: Number
    checks: Number
    cap: Number = None


def fill(places: int, options: Sequence[Option]) -> tuple[Number, list[int]]:
    """The most that so many tasks can take.

    Returns:
        The maximum, and how many tasks of each option reach it. Tasks that add nothing are in
        neither.
    """
    steps = [
        (gain, count, index)
        for index, option in enumerate(options)
        for gain, count in _steps(option)
        if gain != 0
    ]
    steps.sort(key=lambda step: dearer(step[0]), reverse=True)
    total: Number = 0
    counts = [0] * len(options)
    for gain, count, index in steps:
        taken = min(count, places)
        total = plus(total, times(gain, taken))
        counts[index] += taken
        places -= taken
    return total, counts


def _steps(option: Option) -> list[tuple[Number, int]]:
    """The gains along an option's tasks, never growing: (gain of each, how many of them)."""
    work, cap, limit = option.work, option.cap, option.limit
    if cap is None or work == 0:
        return [(plus(work, option.checks), limit)]
    if work is None:
        full, rest = 0, cap
    else:
        full, rest = divmod(cap, work)
    full = min(full, limit)
    part = min(1, limit - full)
    return [
        (plus(work, option.checks), full),
        (plus(rest, option.checks), part),
        (option.checks, limit - full - part),
    ]
