"""Distance: the tasks of a loop have less and less to do with the words of its goal.

Only growth counts. A loop whose inputs never had words of the goal (paths, numbers, references)
is as far from it as it always was.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.runtime.prompts import remarks
from engine.runtime.stall.memory import NOTHING, Entry, Finding, Memory

__all__ = ["moving_away"]

#: How much of the distance a round leaves as it was.
_KEEPS = 0.7
#: A loop that once had half of the goal's words in its tasks, and now none, is all the way off.
_FAR = 0.5


def moving_away(memory: Memory, entries: Sequence[Entry]) -> Finding:
    """Take in the inputs of a round, and say how much further from the goal they are than once."""
    if not entries or not memory.goal:
        return NOTHING
    asked = frozenset().union(*(entry.asked.stems for entry in entries))
    now = 1 - len(memory.goal & asked) / len(memory.goal)
    if memory.distance is None:
        memory.distance = memory.nearest = now
        return NOTHING
    memory.distance = _KEEPS * memory.distance + (1 - _KEEPS) * now
    memory.nearest = min(memory.nearest, memory.distance)
    grown = round(memory.distance - memory.nearest, 9)  # what is not equal in floats only, is equal
    return Finding(min(1.0, grown / _FAR), remarks.MOVING_AWAY)
