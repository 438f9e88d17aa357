"""`max_concurrent`, `rpm` and `tpm` of a model: calls wait here for their turn.

In any sixty seconds at most `rpm` calls start, and at most `tpm` tokens are asked for. A call
counts with the upper bound of its prompt and its `max_tokens` while it runs, and with what it
used once that is known. Calls are let through in the order they came. The limits hold for this
process and this run; retries and fallbacks are the machine's. A call's timeout begins when it is
let through, so it is kept here: waiting for a turn is not the provider's slowness.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

from engine import clock
from engine.errors import Failure
from engine.runtime.budget import prompt_bytes
from engine.runtime.ports import ChatModel, ModelReply, ModelRequest, ready
from engine.sema.model import Model

__all__ = ["LimitedModel", "Window", "is_limited"]

_WINDOW_S = 60.0


def is_limited(model: Model) -> bool:
    """Whether calls of the model may have to wait for their turn; they keep their own time then."""
    return model.max_concurrent is not None or model.rpm is not None or model.tpm is not None


class _Share:
    """What one call takes of a window."""

    __slots__ = ("amount", "at_s")

    def __init__(self, at_s: float, amount: int) -> None:
        self.at_s = at_s
        self.amount = amount


class Window:
    """At most `limit` units in any sixty seconds, first come, first served.

    A bucket that refills would let twice the limit through in its first minute, which a provider
    that counts by the minute answers with 429.
    """

    def __init__(
        self,
        limit: int,
        running_s: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limit = limit
        self._running_s = running_s or (lambda: clock.running_s())
        self._sleep = sleep
        self._shares: deque[_Share] = deque()
        self._turn = asyncio.Lock()

    async def take(self, amount: int) -> _Share:
        """Wait until `amount` fits; one that is larger than the limit waits to be alone."""
        async with self._turn:
            while True:
                now_s = self._running_s()
                while self._shares and self._shares[0].at_s + _WINDOW_S <= now_s:
                    self._shares.popleft()
                used = sum(share.amount for share in self._shares)
                if not self._shares or used + amount <= self._limit:
                    share = _Share(now_s, amount)
                    self._shares.append(share)
                    return share
                await self._sleep(self._shares[0].at_s + _WINDOW_S - now_s)


class LimitedModel:
    """A model behind its limits.

    Args:
        inner: The model that answers.
        max_concurrent: Calls running at once, or None for any number.
        calls: The window for calls (`rpm`), or None.
        tokens: The window for tokens (`tpm`), or None.
    """

    def __init__(
        self,
        inner: ChatModel,
        *,
        max_concurrent: int | None = None,
        calls: Window | None = None,
        tokens: Window | None = None,
    ) -> None:
        self._inner = inner
        self._slots: contextlib.AbstractAsyncContextManager[None] = (
            contextlib.nullcontext()
            if max_concurrent is None
            else asyncio.Semaphore(max_concurrent)
        )
        self._calls = calls
        self._tokens = tokens

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Wait for a turn, then ask the model."""
        async with self._slots:
            if self._calls is not None:
                await self._calls.take(1)
            if self._tokens is None:
                return await self._ask(request)
            share = await self._tokens.take(prompt_bytes(request.messages) + request.max_tokens)
            reply = await self._ask(request)
            if reply.usage is not None:
                share.amount = reply.usage.input_tokens + reply.usage.output_tokens
            return reply

    async def _ask(self, request: ModelRequest) -> ModelReply:
        try:
            async with asyncio.timeout(request.timeout_ms / 1000):
                return await self._inner.complete(request)
        except TimeoutError:
            raise Failure(
                "timeout",
                f"`{request.model.name}` did not answer within {request.timeout_ms / 1000:g} s",
                retryable=True,
            ) from None

    async def prepare(self) -> None:
        """Let the model behind load what it has to load."""
        await ready(self._inner)

    async def close(self) -> None:
        """Close the model behind."""
        await self._inner.close()
