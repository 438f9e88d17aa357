"""What a host does for a run: one attempt of a call to a model, or of a worker's task.

An attempt runs by the same code as on one machine (`engine.drive.attempt`). Around it are
the checks that many hosts need: is it this host's version of the declaration; was it done here
before (receipts); is it under way here already. Secrets are read here and taken out here.
Whatever becomes of an attempt is data; only a host that stops raises.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from temporalio import activity
from temporalio.client import AsyncActivityCancelledError, Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from engine.distributed.calls import CALL_MODEL, CALL_WORKER, HOST_STOPPED
from engine.distributed.library import Library, secrets_of
from engine.distributed.messages import Json, ModelOrder, Outcome, WorkerOrder
from engine.distributed.receipts import Attempt, DoubledKey, Receipts
from engine.drive.attempt import Attempts
from engine.drive.driver import STOP_GRACE_S
from engine.drive.intake import InFlight
from engine.drive.launch import WithSecrets
from engine.errors import Failure, UsageError
from engine.events import CallFailed, ModelInfo
from engine.models.registry import open_model
from engine.provider_keys import key_values
from engine.redaction import Redactor
from engine.runtime.commands import StartCall
from engine.runtime.ports import (
    ChatModel,
    Message,
    ModelRequest,
    PolicyState,
    WorkerPort,
    WorkerRequest,
)
from engine.sema.model import Model, Program, Verifier, Worker
from engine.workers.registry import close_port, worker_port

__all__ = ["HostCalls"]

#: How many signs of life a host gives in the time after which it counts as lost.
_BEATS = 4
#: How long to wait for a server that does not say whose an attempt is, in seconds.
_ASK_AGAIN_S = 1.0


class HostCalls:
    """The activities of one host.

    Args:
        library: What it may run.
        receipts: What it has done.
        models: Ids that replace declared models on this host, by name.
        secrets: The values of secrets, those that are set here.
        limit_bytes: The largest result that may travel, or None with a blob store.
        client: Asked whether a `once` attempt is still this host's; None to skip the question.
    """

    def __init__(
        self,
        library: Library,
        receipts: Receipts,
        models: Mapping[str, str],
        secrets: Mapping[str, str],
        limit_bytes: int | None,
        client: Client | None = None,
    ) -> None:
        self._client = client
        self._library = library
        self._receipts = receipts
        self._overrides = dict(models)
        self._secrets = dict(secrets)
        ids = [*models.values(), *(it.id for it in library.models().values())]
        self._redactor = Redactor({**key_values(os.environ, ids), **secrets})
        self._limit_bytes = limit_bytes
        self._models: dict[tuple[int, str, str], ChatModel] = {}
        self._ports: dict[tuple[int, str], WorkerPort] = {}
        self._works: dict[Attempt, _Work] = {}
        self._in_flight = InFlight()

    @activity.defn(name=CALL_MODEL)
    async def call_model(self, order: ModelOrder, schema: Json, *said: Any) -> Outcome:
        """One attempt of a call to a model.

        Args:
            said: The state for a `python/` policy, or the messages of the prompt.
        """
        messages = [one for one in said if isinstance(one, Message)]
        states = [one for one in said if isinstance(one, PolicyState)]
        # What a policy sees of the rest of the run may have moved on when it is asked again.
        attempt = _name(order, [schema.value, messages])

        def prepared() -> tuple[Attempts, StartCall] | str:
            found = self._library.find(order.name, order.digest, order.params, model=True)
            if isinstance(found, str):
                return found
            program, declared = found
            assert isinstance(declared, Model)
            opened = self._model(program, declared, order.info)
            if isinstance(opened, str):
                return opened
            request = ModelRequest(
                key=order.key,
                role=order.role,
                name=order.caller,
                model=declared,
                info=order.info,
                messages=messages,
                schema=schema.value,
                structured=order.structured,
                max_tokens=order.max_tokens,
                timeout_ms=order.timeout_ms,
                state=lambda: _state(states),
                attempt=order.attempt,
                index=order.index,
                caller_index=order.caller_index,
                max_bytes=order.max_bytes,
            )
            attempts = Attempts(lambda name: opened, _no_worker, self._redactor)
            return attempts, StartCall(order.key, order.attempt, request)

        return await self._deliver(attempt, prepared, mode="unavailable", once=False)

    @activity.defn(name=CALL_WORKER)
    async def call_worker(self, order: WorkerOrder, input: Json) -> Outcome:
        """One attempt of a worker's or verifier's call."""
        found = self._library.find(order.name, order.digest, order.params, model=False)
        once = not isinstance(found, str) and getattr(found[1], "effect", "") == "once"

        def prepared() -> tuple[Attempts, StartCall] | str:
            if isinstance(found, str):
                return found
            program, declared = found
            assert isinstance(declared, (Worker, Verifier))
            missing = [it for it in secrets_of(program, declared) if it not in self._secrets]
            if missing:
                return f"this host has no secret {' and no secret '.join(missing)}"
            request = WorkerRequest(
                key=order.key,
                task_key=order.task_key,
                worker=declared,
                input=input.value,
                base_dir=declared.base_dir,
                scope={"param": program.param_values(), "task": order.task},
                timeout_ms=order.timeout_ms,
                attempt=order.attempt,
                input_bytes=order.input_bytes,
                changeable=program.changeable,
            )
            attempts = Attempts(
                _no_model,
                lambda kind: self._port(program, kind),
                self._redactor,
                self._in_flight,
            )
            return attempts, StartCall(order.key, order.attempt, request)

        # `denied` is what a `once` task may end with if it was never started.
        return await self._deliver(_name(order, input.value), prepared, mode="denied", once=once)

    async def close(self) -> None:
        """Return what models and workers hold."""
        await asyncio.gather(
            *(model.close() for model in self._models.values()),
            *(close_port(port) for port in self._ports.values()),
            return_exceptions=True,  # what scripts have left is not a finding about a host
        )

    # ------------------------------------------------------------ delivery

    async def _deliver(
        self,
        attempt: Attempt,
        prepared: Callable[[], tuple[Attempts, StartCall] | str],
        *,
        mode: str,
        once: bool,
    ) -> Outcome:
        """Run an attempt, unless it has run or is running here already."""
        work = self._works.get(attempt)
        if work is None:
            making = self._outcome(attempt, prepared, mode, once)
            work = self._works[attempt] = _Work(asyncio.ensure_future(making))
            work.task.add_done_callback(lambda _: self._works.pop(attempt, None))
        work.waiting += 1
        beating = asyncio.ensure_future(_beat())
        try:
            return await asyncio.shield(work.task)
        except asyncio.CancelledError:
            work.waiting -= 1
            if not work.waiting and not work.task.done():
                work.task.cancel()
                await asyncio.wait([work.task], timeout=STOP_GRACE_S)
            details = activity.cancellation_details()
            if details is not None and details.worker_shutdown and not details.cancel_requested:
                raise ApplicationError("the host stops", type=HOST_STOPPED) from None
            raise
        finally:
            beating.cancel()

    async def _outcome(
        self,
        attempt: Attempt,
        prepared: Callable[[], tuple[Attempts, StartCall] | str],
        mode: str,
        once: bool,
    ) -> Outcome:
        try:
            begun, known = await self._receipts.find(attempt)
            if known is not None:
                return known
            if begun:
                return _refusal(attempt, "crashed", "it was begun here, and the host was stopped")
            try:
                ready = prepared()
            except (Failure, UsageError) as error:
                ready = f"this host cannot carry it out: {error}"
            if isinstance(ready, str):
                return _refusal(attempt, mode, ready, refused=True)
            if once:
                if not await self._is_ours():
                    given_up = "the run had given it up before it was begun here"
                    return _refusal(attempt, mode, given_up, refused=True)
                await self._receipts.put(attempt, None)
            attempts, command = ready
            outcome = self._fitting(Outcome(await attempts.make(command, attempt.run)))
            await self._receipts.put(attempt, outcome)
            return outcome
        except DoubledKey as error:
            return _refusal(attempt, "crashed", str(error))
        except sqlite3.Error as error:
            return _refusal(attempt, mode, f"this host cannot keep receipts: {error}")

    async def _is_ours(self) -> bool:
        """Whether the run still waits for this delivery, which may have been long on its way.

        A host that was cut off, or slept, finds deliveries from before: the run has taken it for
        lost since, and a person may have said that nothing was done.
        """
        if self._client is None:
            return True
        delivery = self._client.get_async_activity_handle(task_token=activity.info().task_token)
        while True:
            try:
                await delivery.heartbeat()
                return True
            except AsyncActivityCancelledError:
                return False
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                # Cancelled when the server is back and has given the delivery up.
                await asyncio.sleep(_ASK_AGAIN_S)

    def _fitting(self, outcome: Outcome) -> Outcome:
        """The outcome, or a replacement for one that is too large to send."""
        if self._limit_bytes is None:
            return outcome
        size = len(msgspec.json.encode(outcome))
        if size <= self._limit_bytes:
            return outcome
        event = outcome.event
        return Outcome(
            CallFailed(
                key=event.key,
                attempt=event.attempt,
                mode="invalid_output",
                message=f"the result is {size:,} bytes, more than a cluster carries without a "
                f"blob store ({self._limit_bytes:,}): start hosts and runs with one",
                usage=event.usage,
                ms=event.ms,
            )
        )

    # ------------------------------------------------------------ models and workers

    def _model(self, program: Program, model: Model, info: ModelInfo) -> ChatModel | str:
        """The model that answers here for a declared one, or why there is none."""
        own = self._overrides.get(model.name)
        if info.id not in (model.id, own):
            serves = own or model.id
            return (
                f"the run asks for `{info.id}` instead of model `{model.name}`, and this host "
                f"serves `{serves}`; start it with --model {model.name}={info.id}"
            )
        used = own or model.id
        key = (id(program), model.name, used)
        opened = self._models.get(key)
        if opened is None:
            opened = open_model(model, msgspec.structs.replace(info, id=used), resumed=True)
            self._models[key] = opened
        return opened

    def _port(self, program: Program, kind: str) -> WorkerPort:
        key = (id(program), kind)
        port = self._ports.get(key)
        if port is None:
            port = worker_port(kind, program)
            if self._secrets:
                port = WithSecrets(port, self._secrets)
            self._ports[key] = port
        return port


class _Work:
    """An attempt under way, and how many deliveries of it wait for its end."""

    def __init__(self, task: asyncio.Task[Outcome]) -> None:
        self.task = task
        self.waiting = 0


async def _beat() -> None:
    """Give signs of life, as often as the run asks for."""
    timeout = activity.info().heartbeat_timeout
    every_s = timeout.total_seconds() / _BEATS if timeout else 60.0
    while True:
        # A sign costs the server a write, and most calls end before the first is due.
        await asyncio.sleep(every_s)
        activity.heartbeat()


def _name(order: ModelOrder | WorkerOrder, given: Any) -> Attempt:
    digest = hashlib.sha256(msgspec.json.encode([order.name, order.digest, given])).digest()
    return Attempt(order.run, order.key, order.attempt, digest)


def _refusal(attempt: Attempt, mode: str, message: str, *, refused: bool = False) -> Outcome:
    return Outcome(
        CallFailed(
            key=attempt.key,
            attempt=attempt.attempt,
            mode=mode,
            message=message,
            retryable=refused,
        ),
        refused=refused,
    )


def _state(states: list[PolicyState]) -> PolicyState:
    if not states:
        raise Failure("crashed", "a model that a package brought gets no state on a cluster")
    return states[0]


def _no_model(name: str) -> ChatModel:
    raise Failure("crashed", f"this host does not serve model `{name}`")


def _no_worker(kind: str) -> WorkerPort:
    raise Failure("crashed", f"this host does not serve workers of kind {kind}")
