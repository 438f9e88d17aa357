"""New facts: how much of an output no earlier output, no input and not the goal had.

An output that looks like an earlier one of its worker but for its numbers is a clock or a counter.
Its numbers count little, unless one of them moves towards another (3 of 10, 40 %), or there is
nothing but numbers.
"""

from __future__ import annotations

from engine.runtime.stall.memory import Entry, Memory, with_worker
from engine.runtime.stall.reading import COUNTED, FACT, Told

__all__ = ["news"]

#: So much that is new is half of what an output can bring, however long it is: 20 facts.
_MUCH = 20 * FACT
#: So many new numbers are those of a clock or a counter; more are data.
_TICKING = 2


def news(memory: Memory, entry: Entry) -> float:
    """How new the output of a task is, 0 to 1."""
    told = entry.told
    tokens = told.tokens
    if told.bare:
        tokens = dict.fromkeys(told.figures, FACT)
    before = memory.looks.get(with_worker(entry.worker, told.template))
    if before is not None and _moves(told, before):
        return 1.0
    if before is not None and not told.bare:
        fresh = sum(mark not in memory.known for mark in told.figures)
        if fresh <= _TICKING:
            tokens = {mark: COUNTED if mark in told.figures else of for mark, of in tokens.items()}
    whole = sum(tokens.values())
    if not whole:
        return 0.0
    new = sum(
        weight
        for mark, weight in tokens.items()
        if mark not in memory.known and mark not in entry.asked.words
    )
    return max(new / whole, new / (new + _MUCH))


def _moves(told: Told, before: tuple[float, ...]) -> bool:
    """Whether one number grew towards another that stayed, or towards a hundred percent."""
    if len(told.numbers) != len(before):
        return False
    changed = [place for place, number in enumerate(told.numbers) if number != before[place]]
    if len(changed) != 1:
        return False
    place = changed[0]
    number = told.numbers[place]
    ends = [other for other in told.numbers[:place] + told.numbers[place + 1 :] if other >= number]
    return number > before[place] and (bool(ends) or (told.percent and number <= 100))
