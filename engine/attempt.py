"""One attempt of a call: a request goes to its model or worker, an event comes back.

The one place where what a model or worker raises becomes data. Secrets are taken out here, so
what leaves this module may be journaled. Nothing here retries, and nothing decides.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from engine.errors import Failure
from engine.events import CallFailed, CallFinished
from engine.models.limiter import is_limited
from engine.redaction import Redactor
from engine.runtime.commands import StartCall
from engine.runtime.ports import ChatModel, ModelRequest, WorkerPort, WorkerRequest, ready
from engine.runtime.stream import ClosedTasks
from engine.workers.child import ask_policy_apart
from engine.workers.large import off_the_loop, size_of
from engine.workers.values import plain_json

__all__ = ["Attempts", "OnTask"]

#: Told of each task whose object has closed in a decision that still streams.
OnTask = Callable[[dict[str, Any]], None]


class Attempts:
    """Makes attempts with the models and workers it was given.

    Args:
        model_of: The implementation of a declared model, by name.
        worker_of: The implementation of a kind of worker or verifier.
        redactor: Takes secrets out of what comes back.
    """

    def __init__(
        self,
        model_of: Callable[[str], ChatModel],
        worker_of: Callable[[str], WorkerPort],
        redactor: Redactor,
    ) -> None:
        self._model_of = model_of
        self._worker_of = worker_of
        self._redactor = redactor

    async def make(
        self, command: StartCall, on_task: OnTask | None = None
    ) -> CallFinished | CallFailed:
        """Make one attempt; whatever happens becomes an event, whose `at` is the caller's to set.

        Args:
            on_task: Given for a decision whose tasks are wanted while it still streams.

        Raises:
            asyncio.CancelledError: The attempt was called off; it has cleaned up.
        """
        began = time.monotonic()
        request = command.request
        cut = _Cut()
        if isinstance(request, ModelRequest):
            if request.stream and on_task is not None:
                request = self._listen(request, on_task, cut)
            if request.isolated:
                request = msgspec.structs.replace(request, apart=ask_policy_apart)
        try:
            reply = await self._reply(request)
            # Workers see to it themselves; a model's word is journaled as it was said.
            clean = self._of_model if isinstance(request, ModelRequest) else self._redactor.value
            value = await off_the_loop(partial(clean, reply.value), size_of(reply.value))
            return CallFinished(
                key=command.key,
                attempt=command.attempt,
                value=value,
                usage=reply.usage,
                ms=_since(began),
            )
        except Failure as failure:
            caught = failure
        except TimeoutError:
            limit_s = (request.timeout_ms or 0) / 1000
            caught = Failure("timeout", f"no answer within {limit_s:g} s", retryable=True)
        except Exception as error:
            caught = Failure("crashed", f"{type(error).__name__}: {error}", retryable=False)
        return CallFailed(
            key=command.key,
            attempt=command.attempt,
            mode=caught.mode,
            message=_text(self._redactor.text(caught.message)),
            retryable=caught.retryable,
            retry_after_ms=caught.retry_after_ms,
            usage=caught.usage,
            ms=_since(began),
            cut=cut.seen,
            died=caught.died,
        )

    def _of_model(self, value: Any) -> Any:
        plain = _text(value) if isinstance(value, str) else plain_json(value)
        return self._redactor.value(plain)

    async def _reply(self, request: ModelRequest | WorkerRequest) -> Any:
        timeout_ms = request.timeout_ms
        if isinstance(request, WorkerRequest):
            answer: Any = self._worker_of(request.worker.kind).call(request)
        else:
            model = self._model_of(request.model.name)
            await ready(model)
            if is_limited(request.model):
                # Its clock starts when its limits let it through, which only the model sees.
                timeout_ms = None
            answer = model.complete(request)
        if timeout_ms is None:
            return await answer
        async with asyncio.timeout(timeout_ms / 1000):
            return await answer

    def _listen(self, request: ModelRequest, on_task: OnTask, cut: _Cut) -> ModelRequest:
        """Ask for the answer in pieces, and tell of each task in it."""
        tasks = ClosedTasks()

        def on_text(piece: str) -> None:
            cut.seen = True
            for task in tasks.feed(piece):
                on_task(self._redactor.value(task))

        return msgspec.structs.replace(request, on_text=on_text)


class _Cut:
    """Whether a part of the answer had come when the attempt ended."""

    __slots__ = ("seen",)

    def __init__(self) -> None:
        self.seen = False


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


def _text(text: str) -> str:
    """A text that a journal can hold: halves of surrogate pairs, which JSON's escapes can smuggle
    in, are no characters."""
    return text if text.isascii() else text.encode(errors="replace").decode()
