"""The most that one call can take: its attempts, each at the model's context window and price.

A call retries, repairs and falls back. It makes at most (1 + retries)(1 + repairs) attempts at each
model of its chain, and a revision after dispatch adds at most 1 + retries at one of them. An
attempt sends at most the context window and gets at most `max_tokens`; the most expensive price of
a token counts. What is not known (a price, a context window) is not a number here, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.bounds.amounts import NOTHING, Number, Spend
from engine.prices import Rates, dearest, look_up, most_cost
from engine.schemes import LOCAL_CONTEXT, built_in
from engine.sema.model import (
    Model,
    Program,
    Retry,
    Verifier,
    Worker,
    declared_rates,
    fallback_chain,
)

__all__ = ["Calls", "Rate", "least_attempt", "rate_of"]


class Rate(msgspec.Struct, frozen=True):
    """What bounds one attempt at a model.

    Attributes:
        metered: Whether it uses tokens and money at all.
        input_usd: The most a million prompt tokens cost, in micro-dollars; None if not known.
        output_usd: The same for the answer's tokens.
        context: The context window in tokens; None if not known.
    """

    metered: bool
    input_usd: Number = None
    output_usd: Number = None
    context: Number = None


_FREE = Rate(metered=False, input_usd=0, output_usd=0)


def rate_of(model: Model) -> Rate:
    """What the file and the price table say of a model; offline, and without opening it.

    A script and a recording cost nothing unless the file gives them a price.
    """
    scheme = built_in(model.id)
    if scheme == "python":
        return _FREE
    listed = look_up(model.id) if scheme is None else None
    known = listed.context if listed is not None else LOCAL_CONTEXT if scheme == "local" else None
    context = model.context if model.context is not None else known
    if model.price is not None:
        return Rate(True, *dearest((declared_rates(model.price),)), context)
    if scheme in ("scripted", "recorded"):
        return _FREE
    if scheme == "local":
        return Rate(True, 0, 0, context)
    if listed is None or not listed.rates:
        return Rate(True, context=context)
    return Rate(True, *dearest(listed.rates, context), context)


def least_attempt(model: Model) -> Spend:
    """What one attempt at a model sets aside at the very least: its answer, without a prompt."""
    scheme = built_in(model.id)
    if not rate_of(model).metered:
        return Spend(model_calls=1)
    listed = look_up(model.id) if scheme is None else None
    rates = listed.rates if listed is not None else ()
    if model.price is not None:
        rates = (declared_rates(model.price),)
    cost = most_cost(rates, 0, model.max_tokens) if rates else 0
    return Spend(model_calls=1, tokens=model.max_tokens, cost_usd=cost)


class Calls:
    """The worst cases of the calls of one program.

    Args:
        program: A program without errors.
        rates: What bounds an attempt at a model, by name; by default what the file and the
            price table say.
    """

    def __init__(self, program: Program, rates: Mapping[str, Rate] | None = None) -> None:
        self._program = program
        self._rates = dict(rates or {})

    def rate(self, name: str) -> Rate:
        """What bounds an attempt at a model."""
        rate = self._rates.get(name)
        if rate is None:
            rate = self._rates[name] = rate_of(self._program.models[name])
        return rate

    def chain(self, name: str) -> list[str]:
        """A model and its fallbacks, each once, depth first."""
        return fallback_chain(self._program.models, name)

    def attempt(self, name: str) -> Spend:
        """One attempt at a model."""
        rate, most = self.rate(name), self._program.models[name].max_tokens
        if not rate.metered:
            return Spend(model_calls=1)
        tokens = None if rate.context is None else rate.context + most
        cost = None
        # A prompt of unknown length costs nothing where its tokens are free.
        context = 0 if rate.input_usd == 0 else rate.context
        if rate.input_usd is not None and rate.output_usd is not None and context is not None:
            cost = most_cost((Rates(rate.input_usd, rate.output_usd),), context, most)
        return Spend(model_calls=1, tokens=tokens, cost_usd=cost)

    def decision(self, model: str) -> Spend:
        """One decision; a bad one is another decision."""
        return self._call(model, None, 0)

    def check(self, verifier: Verifier) -> Spend:
        """One look of a verifier."""
        if verifier.facts.model is None:
            return NOTHING
        return self._call(verifier.facts.model, verifier.retry, verifier.repair_max)

    def work(self, worker: Worker, revisions: int) -> Spend:
        """One task of a worker and of those that replace it, with this number of revisions."""
        found: list[Worker] = []
        pending = [worker]
        while pending:
            other = pending.pop()
            if other not in found:
                found.append(other)
                pending += [self._program.workers[name] for name in other.fallback]
        total = again = NOTHING
        for other in found:
            model = other.facts.model
            if model is None:
                continue
            if other.effect == "once":
                # Started once: no retry, repair, fallback or revision applies.
                total += self.attempt(model)
            else:
                total += self._call(model, other.retry, other.repair_max)
                again = again.most(self._revised(model, other.retry))
        return total + again * revisions

    def _call(self, model: str, own: Retry | None, repairs: int) -> Spend:
        """A call, with everything that can be tried for it."""
        total = NOTHING
        for name in self.chain(model):
            total += self._tries(name, own) * (1 + repairs)
        return total

    def _revised(self, model: str, own: Retry | None) -> Spend:
        """What a revision adds: tries at one model, for repairs and fallbacks are not renewed."""
        most = NOTHING
        for name in self.chain(model):
            most = most.most(self._tries(name, own))
        return most

    def _tries(self, name: str, own: Retry | None) -> Spend:
        """The attempts at one model that one answer can take."""
        retry = own or self._program.models[name].retry or Retry(max=0)
        return self.attempt(name) * (1 + retry.max)
