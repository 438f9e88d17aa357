"""Budgets: reserved before a call, settled after it, in a tree.

Each orchestrator of a run has a `Ledger`; a sub-orchestrator's ledger is a child of its
parent's, so a child can never spend what its parent does not have. A reservation is the most
that a call can use, so calls that run side by side cannot overshoot together.

Money is integer micro-dollars; a call whose price is unknown counts tokens only (the start of a
run refuses such a model where a cost budget is above it).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from engine.events import CallFailed, ModelInfo, Usage
from engine.prices import Tokens, most_cost, settled_cost
from engine.runtime.ports import Message
from engine.sema.model import Budget

__all__ = [
    "Ledger",
    "Reservation",
    "booked",
    "cost_of",
    "cost_of_usage",
    "may_have_cost",
    "prompt_bytes",
    "reservation_for",
]

#: What a provider adds around each message (role markers), in tokens; generous.
TOKENS_PER_MESSAGE = 8


class Reservation:
    """What one call may use at most. `cost_usd` is None where no price is known."""

    __slots__ = ("cost_usd", "input_tokens", "output_tokens")

    def __init__(self, cost_usd: int | None, input_tokens: int, output_tokens: int) -> None:
        self.cost_usd = cost_usd
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens

    @property
    def tokens(self) -> int:
        """Prompt and answer together."""
        return self.input_tokens + self.output_tokens

    def as_usage(self) -> Usage:
        """The usage that is in where a provider reports none: never zero."""
        return Usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_micro_usd=self.cost_usd,
            estimated=True,
        )


class Ledger:
    """What one orchestrator (or one `limit` with a budget) has spent and reserved.

    The cost of calls with an unknown price is in `unpriced_calls`, not in `cost_usd`.
    """

    __slots__ = (
        "budget",
        "cache_write_tokens",
        "cached_tokens",
        "calls",
        "cost_usd",
        "estimated",
        "input_tokens",
        "name",
        "output_tokens",
        "parent",
        "reasoning_tokens",
        "reserved_tokens",
        "reserved_usd",
        "unpriced_calls",
    )

    def __init__(self, budget: Budget, parent: Ledger | None = None, name: str = "budget") -> None:
        self.budget = budget
        self.parent = parent
        self.name = name
        self.cost_usd = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cached_tokens = 0
        self.cache_write_tokens = 0
        self.reasoning_tokens = 0
        self.reserved_usd = 0
        self.reserved_tokens = 0
        self.calls = 0
        self.unpriced_calls = 0
        self.estimated = False

    @property
    def tokens(self) -> int:
        """Tokens used so far, prompts and answers."""
        return self.input_tokens + self.output_tokens

    def lineage(self) -> Iterable[Ledger]:
        """This ledger and those above it."""
        at: Ledger | None = self
        while at is not None:
            yield at
            at = at.parent

    def reserve(self, wanted: Reservation) -> str | None:
        """Set `wanted` aside in this ledger and all above it.

        Returns:
            None, or the name of the bound that is in the way (nothing is reserved then).
        """
        cost = wanted.cost_usd or 0
        for ledger in self.lineage():
            budget = ledger.budget
            if (
                budget.cost_usd is not None
                and ledger.cost_usd + ledger.reserved_usd + cost > budget.cost_usd
            ):
                return f"{ledger.name}.cost"
            if (
                budget.tokens is not None
                and ledger.tokens + ledger.reserved_tokens + wanted.tokens > budget.tokens
            ):
                return f"{ledger.name}.tokens"
        for ledger in self.lineage():
            ledger.reserved_usd += cost
            ledger.reserved_tokens += wanted.tokens
        return None

    def settle(self, reserved: Reservation | None, used: Usage) -> None:
        """Give a reservation back and book what was used, here and above."""
        for ledger in self.lineage():
            if reserved is not None:
                ledger.reserved_usd -= reserved.cost_usd or 0
                ledger.reserved_tokens -= reserved.tokens
            ledger.calls += 1
            ledger.input_tokens += used.input_tokens
            ledger.output_tokens += used.output_tokens
            ledger.cached_tokens += used.cached_tokens
            ledger.cache_write_tokens += used.cache_write_tokens
            ledger.reasoning_tokens += used.reasoning_tokens
            if used.cost_micro_usd is None:
                ledger.unpriced_calls += 1
            else:
                ledger.cost_usd += used.cost_micro_usd
            if used.estimated:
                ledger.estimated = True

    def left_usd(self) -> int | None:
        """Money left, by the tightest budget here or above; None where unbounded."""
        left = [
            ledger.budget.cost_usd - ledger.cost_usd
            for ledger in self.lineage()
            if ledger.budget.cost_usd is not None
        ]
        return max(0, min(left)) if left else None

    def left_tokens(self) -> int | None:
        """Tokens left, by the tightest budget here or above; None where unbounded."""
        left = [
            ledger.budget.tokens - ledger.tokens
            for ledger in self.lineage()
            if ledger.budget.tokens is not None
        ]
        return max(0, min(left)) if left else None


def _plain_cost(info: ModelInfo, input_tokens: int, output_tokens: int) -> int | None:
    """Micro-dollars, rounded up, where the prices of prompt and answer say all."""
    if info.input_usd is None or info.output_usd is None:
        return None
    return -(-(input_tokens * info.input_usd + output_tokens * info.output_usd) // 1_000_000)


def cost_of(info: ModelInfo, tokens: Tokens) -> int | None:
    """What a call did cost, in micro-dollars; None where the price is not known."""
    if info.rates:
        return settled_cost(info.rates, tokens)
    return _plain_cost(info, tokens.input, tokens.output)


def cost_of_usage(info: ModelInfo, used: Usage) -> int | None:
    """The same, by what is kept of what a call used."""
    if not info.rates:
        return _plain_cost(info, used.input_tokens, used.output_tokens)
    tokens = Tokens(
        input=used.input_tokens,
        output=used.output_tokens,
        cached=used.cached_tokens,
        written=used.cache_write_tokens,
        reasoning=used.reasoning_tokens,
    )
    return cost_of(info, tokens)


def may_have_cost(event: CallFailed) -> bool:
    """Whether an attempt without reported usage may have been billed: one that timed out or was
    cut may, one that was refused was not."""
    return event.cut or event.mode in ("timeout", "invalid_output", "crashed")


def booked(info: ModelInfo, reservation: Reservation, usage: Usage | None, *, spent: bool) -> Usage:
    """What an attempt is booked with: what was reported, else what was set aside for it.

    Args:
        spent: Whether an attempt without reported usage may have cost something.
    """
    if usage is None:
        return reservation.as_usage() if spent else Usage()
    if usage.cost_micro_usd:
        return usage
    tokens = usage.input_tokens + usage.output_tokens
    return msgspec.structs.replace(
        usage, cost_micro_usd=cost_of_usage(info, usage) if tokens else 0
    )


def prompt_bytes(messages: Iterable[Message]) -> int:
    """An upper bound of a prompt's tokens: a token of a byte-level vocabulary covers at least a
    byte, and each message adds a few markers."""
    return sum(len(m.content.encode()) + TOKENS_PER_MESSAGE for m in messages)


def reservation_for(info: ModelInfo, input_tokens: int, max_tokens: int) -> Reservation:
    """The most that one call can use: its prompt's bound and `max_tokens` of answer.

    No prompt is larger than the context window: a provider refuses one that is, at no charge.
    Each token counts at the highest price that it can have, written to a cache or not.
    """
    if info.context is not None:
        input_tokens = min(input_tokens, info.context)
    if info.rates:
        cost: int | None = most_cost(info.rates, input_tokens, max_tokens)
    else:
        cost = _plain_cost(info, input_tokens, max_tokens)
    return Reservation(cost, input_tokens, max_tokens)
