"""One attempt of a call: a request goes to its model or worker, an event comes back.

The one place where what a model or worker raises becomes data. Secrets are taken out here, so
what leaves this module may be journaled. Nothing here retries, and nothing decides.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from engine.errors import Failure
from engine.events import CallFailed, CallFinished, Usage
from engine.intake import (
    COUNTED_BYTES,
    KEPT_OF_DECISION,
    UNBOUNDED,
    BoundedPrompt,
    InFlight,
    cut_message,
    too_large,
)
from engine.models.limiter import is_limited
from engine.redaction import Redactor
from engine.runtime.commands import StartCall
from engine.runtime.ports import ChatModel, ModelRequest, WorkerPort, WorkerRequest, ready
from engine.runtime.stream import ClosedTasks
from engine.sizes import WIDE_BYTES, beginning, held_bytes, size_of
from engine.workers.child import ask_policy_apart
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
        in_flight: Room for the inputs of all that runs at once, where others share it.
    """

    def __init__(
        self,
        model_of: Callable[[str], ChatModel],
        worker_of: Callable[[str], WorkerPort],
        redactor: Redactor,
        in_flight: InFlight | None = None,
    ) -> None:
        self._model_of = model_of
        self._worker_of = worker_of
        self._redactor = redactor
        self._in_flight = in_flight or InFlight()

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
            request = msgspec.structs.replace(request, messages=BoundedPrompt(request))
            if request.stream and on_task is not None:
                request = self._listen(request, on_task, cut)
            if request.isolated:
                request = msgspec.structs.replace(request, apart=ask_policy_apart)
        try:
            reply = await self._reply(request)
            value = reply.value
            if isinstance(request, ModelRequest):
                # Workers see to it themselves; a model's word is journaled as it was said.
                value = _text(value) if isinstance(value, str) else plain_json(value)
                most = request.max_bytes or UNBOUNDED
            else:
                most = request.worker.max_bytes
            value = self._redactor.value(value)
            size = size_of(value, most)
            if size > most:
                if isinstance(request, ModelRequest) and request.role == "decision":
                    return _beginning(command, value, size, reply.usage, began)
                raise too_large(most, reply.usage)
            return CallFinished(
                key=command.key,
                attempt=command.attempt,
                value=value,
                usage=reply.usage,
                ms=_since(began),
                bytes=size if size < WIDE_BYTES else held_bytes(value, size),
            )
        except Failure as failure:
            if cut.size:
                head = _text(self._redactor.text(cut.head))
                return _beginning(command, head, cut.size, None, began)
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
            message=cut_message(_text(self._redactor.text(caught.message))),
            retryable=caught.retryable,
            retry_after_ms=caught.retry_after_ms,
            usage=caught.usage,
            ms=_since(began),
            cut=cut.seen,
            died=caught.died,
        )

    async def _reply(self, request: ModelRequest | WorkerRequest) -> Any:
        timeout_ms = request.timeout_ms
        if isinstance(request, WorkerRequest):
            if request.input_bytes >= COUNTED_BYTES:
                return await self._reply_in_turn(request)
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

    async def _reply_in_turn(self, request: WorkerRequest) -> Any:
        """Wait until there is room for a large input; the attempt's timeout begins then."""
        await self._in_flight.take(request.input_bytes)
        try:
            return await self._reply(msgspec.structs.replace(request, input_bytes=0))
        finally:
            self._in_flight.give_back(request.input_bytes)

    def _listen(self, request: ModelRequest, on_task: OnTask, cut: _Cut) -> ModelRequest:
        """Ask for the answer in pieces, and tell of each task in it, until it is too large."""
        tasks = ClosedTasks()
        most = request.max_bytes or UNBOUNDED
        size = 0

        def on_text(piece: str) -> None:
            nonlocal size
            cut.seen = True
            size += len(piece)
            if len(cut.head) < 2 * KEPT_OF_DECISION:  # more, for half a secret is not recognised
                cut.head += piece
            if size > most:
                cut.size = size
                raise too_large(most, None)
            for task in tasks.feed(piece):
                on_task(self._redactor.value(task))

        return msgspec.structs.replace(request, on_text=on_text)


class _Cut:
    """What had come of the answer when the attempt ended.

    Attributes:
        seen: Whether a part of it had.
        head: Its beginning.
        size: How much had come when it was broken off because it is too large; else 0.
    """

    __slots__ = ("head", "seen", "size")

    def __init__(self) -> None:
        self.seen = False
        self.head = ""
        self.size = 0


def _beginning(
    command: StartCall, value: Any, size: int, usage: Usage | None, began: float
) -> CallFinished:
    """What is kept of a decision that is too large: it is asked for again, not given up."""
    text = beginning(value, KEPT_OF_DECISION)
    return CallFinished(
        key=command.key,
        attempt=command.attempt,
        value=text,
        usage=usage,
        ms=_since(began),
        bytes=size_of(text),
        whole=size,
    )


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


def _text(text: str) -> str:
    """A text that a journal can hold: halves of surrogate pairs, which JSON's escapes can smuggle
    in, are no characters."""
    return text if text.isascii() else text.encode(errors="replace").decode()
