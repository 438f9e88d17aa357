"""Arithmetic of worst cases: whole numbers, with None for "no bound is known".

None is larger than every number, and none of it is nothing (0 * None = 0). A number too large to
mean anything is None as well, so that a recursion that explodes stays cheap to compute. Money is
integer micro-dollars.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["METRICS", "NOTHING", "Metric", "Number", "Spend", "dearer", "least", "plus", "times"]

Number = int | None
Metric = Literal["rounds", "tasks", "model_calls", "tokens", "cost_usd"]
METRICS: tuple[Metric, ...] = ("rounds", "tasks", "model_calls", "tokens", "cost_usd")

#: Above this no bound helps anybody: a million million dollars.
_BEYOND = 10**18


def plus(*numbers: Number) -> Number:
    """The sum."""
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total if total <= _BEYOND else None


def times(number: Number, count: int) -> Number:
    """A number taken so many times."""
    if count == 0:
        return 0
    if number is None or number * count > _BEYOND:
        return None
    return number * count


def least(*numbers: Number) -> Number:
    """The tightest of some bounds."""
    known = [number for number in numbers if number is not None]
    return min(known) if known else None


def dearer(number: Number) -> tuple[bool, int]:
    """A sort key: None is above every number."""
    return number is None, number or 0


class Spend(msgspec.Struct, frozen=True):
    """What something takes at most, in everything that is bounded.

    Attributes:
        rounds: Rounds of orchestrators.
        tasks: Tasks dispatched, those that are orchestrators included.
        model_calls: Attempts at asking a model, free ones included.
        tokens: Of prompts and answers.
        cost_usd: Micro-dollars.
    """

    rounds: Number = 0
    tasks: Number = 0
    model_calls: Number = 0
    tokens: Number = 0
    cost_usd: Number = 0

    def of(self, metric: Metric) -> Number:
        """One of the numbers."""
        number: Number = getattr(self, metric)
        return number

    def __add__(self, other: Spend) -> Spend:
        return Spend(*(plus(self.of(m), other.of(m)) for m in METRICS))

    def __mul__(self, count: int) -> Spend:
        return Spend(*(times(self.of(m), count) for m in METRICS))

    def most(self, other: Spend) -> Spend:
        """The larger number of two, for each metric by itself."""
        return Spend(*(max(self.of(m), other.of(m), key=dearer) for m in METRICS))

    def capped(self, *, tokens: Number = None, cost_usd: Number = None) -> Spend:
        """No more than a budget allows."""
        return msgspec.structs.replace(
            self, tokens=least(self.tokens, tokens), cost_usd=least(self.cost_usd, cost_usd)
        )


NOTHING = Spend()
