"""One attempt of a call: sends a request to its model or worker, and returns an event.

This is the only place where an exception of a model or worker becomes data. Secrets are removed
here, so everything that leaves this module may be journaled. It never retries and decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import msgspec

from engine import clock
from engine.drive.intake import (
    COUNTED_BYTES,
    KEPT_OF_DECISION,
    LONGEST_WHERE,
    UNBOUNDED,
    BoundedPrompt,
    InFlight,
    cut_message,
    too_large,
)
from engine.errors import Failure
from engine.events import CallFailed, CallFinished, Usage
from engine.models.limiter import is_limited
from engine.redaction import Redactor, bound, current
from engine.redaction.logs import clean_log_records
from engine.runtime.commands import StartCall
from engine.runtime.marks import call_mark
from engine.runtime.ports import ChatModel, ModelRequest, WorkerPort, WorkerRequest, ready
from engine.runtime.stream import ClosedTasks
from engine.sizes import WIDE_BYTES, beginning, held_bytes, size_of
from engine.workers.child import ask_policy_apart
from engine.workers.large import LARGE_BYTES, off_the_loop, rough_size
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
        if redactor:
            clean_log_records()

    def make(
        self, command: StartCall, run: str, on_task: OnTask | None = None
    ) -> Coroutine[Any, Any, CallFinished | CallFailed]:
        """Make one attempt; whatever happens becomes an event, whose `at` is the caller's to set.

        Args:
            run: Whose call it is.
            on_task: Given for a decision whose tasks are wanted while it still streams.

        Raises:
            asyncio.CancelledError: The attempt was called off; it has cleaned up.
        """
        if current() is self._redactor:  # a drive has put it in force for all of its calls
            return self._make(command, run, on_task)
        return self._make_bound(command, run, on_task)

    async def _make_bound(
        self, command: StartCall, run: str, on_task: OnTask | None
    ) -> CallFinished | CallFailed:
        with bound(self._redactor):
            return await self._make(command, run, on_task)

    async def _make(
        self, command: StartCall, run: str, on_task: OnTask | None
    ) -> CallFinished | CallFailed:
        began = clock.running_s()
        request = command.request
        cut = _NOTHING_CUT
        plain = False
        if isinstance(request, WorkerRequest):
            # A worker's value is plain already: if it is small, and there are no secrets, it stays.
            plain = not self._redactor
            if request.run != run:
                request = msgspec.structs.replace(request, run=run)
        else:
            request = msgspec.structs.replace(request, messages=BoundedPrompt(request))
            if request.stream and on_task is not None:
                cut = _Cut()
                request = self._listen(request, on_task, cut)
            if request.isolated:
                mark = call_mark(run, command.key, command.attempt)
                apart = partial(ask_policy_apart, mark)
                request = msgspec.structs.replace(request, apart=apart)
        try:
            reply = await self._reply(request)
            if isinstance(request, ModelRequest):
                most = request.max_bytes or UNBOUNDED
            else:
                most = request.worker.max_bytes
            value = reply.value
            size = rough_size(value)
            if size < WIDE_BYTES and size <= most and plain:
                held = size
            elif size < LARGE_BYTES:
                value, size, held = self._cleaned_and_measured(request, value, most, size)
            else:
                value, size, held = await off_the_loop(
                    partial(self._cleaned_and_measured, request, value, most, None), size
                )
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
                bytes=held,
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
            mode=self._redactor.text(caught.mode),
            message=cut_message(_text(self._redactor.text(caught.message))),
            retryable=caught.retryable,
            retry_after_ms=caught.retry_after_ms,
            usage=caught.usage,
            ms=_since(began),
            cut=cut.seen,
            died=caught.died,
            schema_refused=caught.schema_refused,
            where=_text(self._redactor.text(str(caught.where)))[:LONGEST_WHERE],
        )

    def _cleaned_and_measured(
        self, request: ModelRequest | WorkerRequest, came: Any, most: int, known: int | None
    ) -> tuple[Any, int, int]:
        """What came back, its size, and what it takes while it is kept.

        Args:
            known: The size of what came back, where it was measured already.
        """
        value = self._cleaned(request, came)
        if known is None or known > most or value is not came:
            known = size_of(value, most)
        size = known
        held = size if size < WIDE_BYTES or size > most else held_bytes(value, size)
        return value, size, held

    def _cleaned(self, request: ModelRequest | WorkerRequest, value: Any) -> Any:
        """What came back, fit for a journal and without secrets."""
        if isinstance(request, ModelRequest):
            # Workers do this themselves; a model's text is journaled as it was said.
            if isinstance(value, str):
                return self._redactor.said(_text(value))
            value = plain_json(value)
        return self._redactor.value(value)

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
        """Ask for the answer in pieces, and report each task in it, until it is too large."""
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


#: Of an attempt that gives its answer as a whole.
_NOTHING_CUT = _Cut()


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
    return int((clock.running_s() - began) * 1000)


def _text(text: str) -> str:
    """A text that a journal can hold: halves of surrogate pairs, which JSON's escapes can smuggle
    in, are not characters."""
    return text if text.isascii() else text.encode(errors="replace").decode()
