"""Open points: failed tasks that nothing made good, and checks that do not pass.

A task of the same worker that asks nearly the same and is done closes a failed task. A check is
closed when it passes. What is not met again for a few rounds was given up, and is forgotten: the
loop went another way.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.runtime.prompts import remarks
from engine.runtime.stall.memory import NOTHING, Entry, Finding, Memory
from engine.runtime.stall.repeats import NEAR, overlap

__all__ = ["none_closed"]

#: After so many rounds without one closed, the evidence is a half.
_HALF = 2
#: An open point that is not met again in so many rounds is forgotten.
_GIVEN_UP = 8


def none_closed(
    memory: Memory, entries: Sequence[Entry], checks: Sequence[tuple[str, bool]]
) -> tuple[Finding, bool]:
    """Take in a round; say for how long no open point was closed, and whether this one closed any.

    Args:
        entries: The tasks of the round.
        checks: The checks of the round in order, and whether each passed.
    """
    points = memory.open_points
    before = len(points)
    _grow_older(memory)
    closed = False
    for entry in entries:
        if entry.failed:
            points.put((entry.worker, entry.asked.sketch), 0)
        else:
            closed = _close(memory, entry) or closed
    for name, passed in checks:
        if passed:
            closed = points.drop((name, frozenset())) or closed
        else:
            points.put((name, frozenset()), 0)
    memory.unclosed = memory.unclosed + 1 if before and len(points) and not closed else 0
    if not memory.unclosed:
        return NOTHING, closed
    score = memory.unclosed / (memory.unclosed + _HALF)
    return Finding(score, remarks.none_closed(len(points), memory.unclosed)), closed


def _grow_older(memory: Memory) -> None:
    for point, age in memory.open_points.items():
        if age >= _GIVEN_UP:
            memory.open_points.drop(point)
        else:
            memory.open_points.put(point, age + 1)


def _close(memory: Memory, entry: Entry) -> bool:
    """Close the failed tasks that a task makes good."""
    made_good = [
        (worker, sketch)
        for (worker, sketch), _ in memory.open_points.items()
        if worker == entry.worker and overlap(sketch, entry.asked.sketch) >= NEAR
    ]
    for point in made_good:
        memory.open_points.drop(point)
    return bool(made_good)
