"""Near-repeats: a worker is asked nearly what it was asked before, in other words.

Inputs are compared as sets of words and pairs of words. An input with a fact that the worker was
never asked about (page 4 after page 3, the next name of a list) asks about something else, and
counts little.
"""

from __future__ import annotations

import msgspec

from engine.runtime.stall.memory import Entry, Memory, with_worker

__all__ = ["NEAR", "Again", "asked_before", "overlap"]

#: Inputs that overlap less have nothing to do with each other.
_UNRELATED = 0.3
#: From here on, "nearly the same".
NEAR = 0.5
#: What remains of a likeness where the input asks about something new.
_NEW_SUBJECT = 0.1


class Again(msgspec.Struct, frozen=True):
    """How a task repeats earlier ones.

    Attributes:
        score: How much it does, 0 to 1.
        times: For which time nearly the same is asked; 1: the first.
        new_subject: It asks about something that the worker was never asked about.
    """

    score: float
    times: int = 1
    new_subject: bool = False


def asked_before(memory: Memory, entry: Entry) -> Again:
    """Compare a task with the last ones of its worker."""
    asks = memory.asks.get(entry.worker) or ()
    alike = [overlap(sketch, entry.asked.sketch) for sketch in asks]
    related = [max(0.0, (same - _UNRELATED) / (1 - _UNRELATED)) for same in alike]
    if any(
        is_fact and with_worker(entry.worker, mark) not in memory.asked_facts
        for mark, is_fact in entry.asked.words.items()
    ):
        return Again(_NEW_SUBJECT * max(related, default=0.0), new_subject=True)
    likeness = sum(related)
    return Again(likeness / (1 + likeness), 1 + sum(same >= NEAR for same in alike))


def overlap(one: frozenset[int], other: frozenset[int]) -> float:
    """The Jaccard index of two sets; two empty ones are the same."""
    both = len(one & other)
    either = len(one) + len(other) - both
    return both / either if either else 1.0
