"""What every contender does: the plan of a round and the result of a worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

#: A prepared job: awaited once, and measured.
Job = Callable[[], Awaitable[None]]

RESULT = "x" * 1000


def plan(number: int, width: int) -> list[str]:
    """The questions of one round."""
    return [f"question {number} {index}" for index in range(width)]
