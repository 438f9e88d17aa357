"""How many tasks a step becomes, from how many values it has.

Whole numbers only, with None for "not known"; nothing here looks at a value.
"""

from __future__ import annotations

__all__ = ["Count", "least_of", "plus", "reduce_calls", "times"]

#: How many there are, at most; None where that is not known.
Count = int | None


def plus(*counts: Count) -> Count:
    """The sum."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def times(count: Count, other: Count) -> Count:
    """The product; none of something unknown is nothing."""
    if count == 0 or other == 0:
        return 0
    return None if count is None or other is None else count * other


def least_of(*counts: Count) -> Count:
    """The smallest that is known."""
    known = [count for count in counts if count is not None]
    return min(known) if known else None


def reduce_calls(values: int, size: int) -> int:
    """The calls of a `reduce` over so many values: a group of one passes up without a call."""
    calls = 0
    while values > 1:
        whole, rest = divmod(values, size)
        calls += whole + (rest > 1)
        values = whole + (rest > 0)
    return calls
