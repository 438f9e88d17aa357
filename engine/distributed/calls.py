"""The calls of a run that are in flight on the cluster, seen from its workflow.

Each attempt is one activity with one attempt: retries are the machine's. The outcome of the
activity becomes one event: it answered; no host served it in time; its host is gone; or what
came back was not an answer. An attempt whose host is gone is asked for again by the machine, which
knows what may happen twice; after three lost hosts it fails, since the call may be what kills
them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    TimeoutError,
    TimeoutType,
)

from engine.distributed.messages import Json, ModelOrder, Outcome, RunOrder, WorkerOrder
from engine.distributed.programs import digest_of
from engine.distributed.queues import queue_of, served_name
from engine.drive.intake import BoundedPrompt
from engine.errors import Failure
from engine.events import CallFailed, CallLost, Event
from engine.models.limiter import is_limited
from engine.runtime.commands import StartCall
from engine.runtime.ports import ModelRequest, WorkerRequest
from engine.schemes import built_in
from engine.sizes import size_of

__all__ = ["CALL_MODEL", "CALL_WORKER", "HOST_STOPPED", "Calls", "activity_id", "size_of_call"]

CALL_MODEL = "orch.call_model"
CALL_WORKER = "orch.call_worker"
#: The type of the error by which a host says that it stops.
HOST_STOPPED = "host_stopped"

#: After how many lost hosts an attempt fails.
_MAX_LOSSES = 3
#: How often a call that a host refuses is offered again: hosts of other programs, or of another
#: version, may share the queue with those that can make it, and the server does not know. The
#: pauses double, up to a longest one, in seconds; all of them together are a quarter of a minute.
_MAX_REFUSALS = 12
_REFUSED_S, _REFUSED_MOST_S = 0.05, 2.0
#: How long a call without a timeout of its own may run at most.
_LONGEST = timedelta(days=30)
#: What a call's own timeout leaves to its host: cleaning up, writing the receipt, reporting.
_MARGIN_S = 60


def activity_id(key: str, attempt: int, losses: int) -> str:
    """The id of the activity that makes an attempt, the same whenever it is replayed."""
    return f"{key}#{attempt}" if not losses else f"{key}#{attempt}+{losses}"


class Calls:
    """The calls in flight.

    Args:
        order: Of the run.
        take_in: Given the event that ends a call.
    """

    def __init__(self, order: RunOrder, take_in: Callable[[Event], None]) -> None:
        self._order = order
        self._take_in = take_in
        self.losses: dict[str, int] = dict(order.losses)
        self.running: dict[str, asyncio.Task[None]] = {}

    def start(self, command: StartCall) -> None:
        """Have an attempt made."""
        self.running[command.key] = asyncio.ensure_future(self._call(command))

    def cancel(self, key: str) -> None:
        """Stop a call, if it runs; its host is told."""
        task = self.running.pop(key, None)
        if task is not None:
            task.cancel()

    def cancel_all(self) -> None:
        """Stop every call."""
        for key in list(self.running):
            self.cancel(key)

    async def _call(self, command: StartCall) -> None:
        me = asyncio.current_task()
        try:
            event = await self._attempt(command)
        except ActivityError as error:
            if self.running.get(command.key) is not me:
                return  # It was called off, and says so.
            event = self._unanswered(command, error)
        if self.running.get(command.key) is me:
            del self.running[command.key]
            self._take_in(event)

    async def _attempt(self, command: StartCall) -> Event:
        terms = self._order.terms
        try:
            arguments = self._arguments(command)
        except Failure as failure:  # A prompt that cannot be rendered, say.
            return _failed(command, failure.mode, failure.message)
        except Exception as error:
            return _failed(command, "crashed", f"{type(error).__name__}: {error}")
        if terms.limit_bytes is not None:
            size = sum(len(msgspec.json.encode(argument)) for argument in arguments)
            if size > terms.limit_bytes:
                return _failed(command, _not_begun(command), _too_large(size, terms.limit_bytes))
        refusals = 0
        while True:
            outcome = await self._ask(command, arguments)
            if not outcome.refused or refusals == _MAX_REFUSALS:
                return outcome.event
            await asyncio.sleep(min(_REFUSED_S * 2**refusals, _REFUSED_MOST_S))
            refusals += 1

    async def _ask(self, command: StartCall, arguments: list[Any]) -> Outcome:
        """Have a host make an attempt, or refuse it."""
        terms = self._order.terms
        request = command.request
        outcome: Outcome = await workflow.execute_activity(
            CALL_MODEL if isinstance(request, ModelRequest) else CALL_WORKER,
            args=arguments,
            task_queue=queue_of(terms.queue, command),
            activity_id=activity_id(
                command.key, command.attempt, self.losses.get(_attempt_name(command), 0)
            ),
            result_type=Outcome,
            schedule_to_start_timeout=timedelta(milliseconds=terms.patience_ms),
            start_to_close_timeout=_longest(request),
            heartbeat_timeout=timedelta(milliseconds=terms.heartbeat_ms),
            retry_policy=RetryPolicy(maximum_attempts=1),
            cancellation_type=workflow.ActivityCancellationType.TRY_CANCEL,
        )
        return outcome

    def _unanswered(self, command: StartCall, error: ActivityError) -> Event:
        cause = error.cause
        host = error.identity or "unknown"
        if isinstance(cause, TimeoutError):
            if cause.type is not TimeoutType.SCHEDULE_TO_START:
                return self._lost(command, f"there was no sign of its host ({host})")
            terms = self._order.terms
            message = (
                f"no host that serves {served_name(command)} (queue "
                f"`{queue_of(terms.queue, command)}`) took the call within "
                f"{terms.patience_ms / 1000:g} s"
            )
            return _failed(command, _not_begun(command, "timeout"), message, retryable=True)
        if isinstance(cause, CancelledError) or (
            isinstance(cause, ApplicationError) and cause.type == HOST_STOPPED
        ):
            return self._lost(command, f"its host ({host}) stopped")
        mode = "unavailable" if isinstance(command.request, ModelRequest) else "crashed"
        said = cause.message if isinstance(cause, ApplicationError) else str(cause or error)
        return _failed(command, mode, f"its host ({host}) could not answer: {said}")

    def _lost(self, command: StartCall, reason: str) -> Event:
        name = _attempt_name(command)
        losses = self.losses[name] = self.losses.get(name, 0) + 1
        if losses < _MAX_LOSSES:
            return CallLost(key=command.key, attempt=command.attempt, reason=reason)
        mode = "unavailable" if isinstance(command.request, ModelRequest) else "crashed"
        return _failed(command, mode, f"{losses} hosts were lost with it; the last: {reason}")

    def _arguments(self, command: StartCall) -> list[Any]:
        request = command.request
        params = self._order.began.params
        if isinstance(request, WorkerRequest):
            return [
                WorkerOrder(
                    run=self._order.began.run,
                    key=command.key,
                    task_key=request.task_key,
                    attempt=command.attempt,
                    name=request.worker.name,
                    digest=digest_of(request.worker),
                    params=params,
                    task=dict(request.scope["task"]),
                    timeout_ms=request.timeout_ms,
                    input_bytes=request.input_bytes,
                ),
                Json(request.input),
            ]
        order = ModelOrder(
            run=self._order.began.run,
            key=command.key,
            attempt=command.attempt,
            name=request.model.name,
            digest=digest_of(request.model),
            params=params,
            role=request.role,
            caller=request.name,
            info=request.info,
            structured=request.structured,
            max_tokens=request.max_tokens,
            timeout_ms=request.timeout_ms,
            index=request.index,
            caller_index=request.caller_index,
            max_bytes=request.max_bytes,
        )
        schema = Json(request.schema)
        if built_in(request.info.id) == "python":
            return [order, schema, request.state()]
        return [order, schema, *BoundedPrompt(request)]


def size_of_call(command: StartCall) -> int:
    """About how large what a call carries to its host is, in bytes."""
    request = command.request
    if isinstance(request, WorkerRequest):
        return request.input_bytes or size_of(dict(request.input))
    if built_in(request.info.id) == "python":
        return 0  # it is made from the whole state, when it is sent
    return sum(len(message.content) for message in request.messages)


def _attempt_name(command: StartCall) -> str:
    return f"{command.key}#{command.attempt}"


def _longest(request: ModelRequest | WorkerRequest) -> timedelta:
    """How long an attempt may run, by when its host must have ended it itself."""
    waits = isinstance(request, ModelRequest) and is_limited(request.model)
    if request.timeout_ms is None or waits:
        return _LONGEST
    return timedelta(milliseconds=request.timeout_ms, seconds=_MARGIN_S)


def _too_large(size: int, limit: int) -> str:
    return (
        f"what it needs is {size:,} bytes, more than a cluster carries without a blob store "
        f"({limit:,}): start hosts and runs with one (--blobs DIR, blobs=DIR)"
    )


def _failed(command: StartCall, mode: str, message: str, *, retryable: bool = False) -> CallFailed:
    return CallFailed(
        key=command.key, attempt=command.attempt, mode=mode, message=message, retryable=retryable
    )


def _not_begun(command: StartCall, mode: str | None = None) -> str:
    """The mode of a call that no host has begun.

    Then no person is asked about a `once` task; every other mode would ask.
    """
    if isinstance(command.request, ModelRequest):
        return mode or "unavailable"
    if getattr(command.request.worker, "effect", "read") == "once":
        return "denied"
    return mode or "crashed"
