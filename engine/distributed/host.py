"""A host: a process that serves a cluster with what its files declare.

It polls one task queue for each worker, verifier and model it serves, and one for workflows. On
SIGTERM it takes no more work, lets what runs end for a while, and stops the rest; runs ask
for that again elsewhere. It binds no port and knows of no other host.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

import msgspec
from temporalio.client import Client
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
)

from engine.distributed.activities import HostCalls
from engine.distributed.address import Address, connect
from engine.distributed.library import Library
from engine.distributed.payloads import LIMIT_BYTES
from engine.distributed.queues import model_queue, worker_queue
from engine.distributed.receipts import Receipts
from engine.distributed.workflow import OrchRun
from engine.errors import JournalError, UsageError

__all__ = ["Serving", "serve"]

#: How often at most a call's host tells the cluster that it lives, and hears of a cancellation.
_BEAT = timedelta(seconds=2)


class Serving(msgspec.Struct, frozen=True):
    """What a host serves, and how.

    Attributes:
        files: The `.orch` files.
        names: Which workers, verifiers and models, or None for all.
        workflows: Whether it drives runs.
        calls: Whether it makes calls.
        models: Ids that replace declared models here, by name.
        receipts: The file of receipts.
        max_concurrent: How many calls of one name at once.
        drain_s: How long calls that run when the host is stopped may continue.
    """

    files: tuple[str, ...]
    names: tuple[str, ...] | None
    workflows: bool
    calls: bool
    models: Mapping[str, str]
    receipts: str
    max_concurrent: int = 32
    drain_s: float = 30.0


async def serve(
    address: Address,
    serving: Serving,
    stop: asyncio.Event,
    ready: Callable[[list[str], list[str]], None],
) -> None:
    """Serve until told to stop.

    Args:
        stop: Set to make it stop.
        ready: Told the names it serves, and the secrets they use that are not set, once it polls
            for work.

    Raises:
        CompileError, UnreadableFile: A file has errors, or cannot be read.
        UsageError: A name is declared nowhere.
        JournalError: The cluster cannot be reached, or receipts or large values cannot be kept.
    """
    library = Library(serving.files)
    if serving.names is not None:
        library.check_names(serving.names)
    for name in serving.models:
        if name not in library.models():
            raise UsageError(f"there is no model `{name}` to replace")
    _check_blobs(address.blobs)
    client = await connect(address, compiles=serving.workflows)
    workers: list[Worker] = []
    served: list[str] = []
    if serving.workflows:
        workers.append(_workflow_worker(client, address))
        served.append("workflows")
    receipts: Receipts | None = None
    calls: HostCalls | None = None
    if serving.calls:
        receipts = Receipts(serving.receipts)
        secrets = {name: os.environ[name] for name in library.secrets() if os.environ.get(name)}
        limit = LIMIT_BYTES if address.blobs is None else None
        calls = HostCalls(library, receipts, serving.models, secrets, limit, client)
        for queue, name, per_minute, function in _queues(library, calls, address.queue):
            if serving.names is None or name in serving.names:
                workers.append(_call_worker(client, queue, function, per_minute, serving))
                served.append(name)
    if not workers:
        raise UsageError("there is nothing to serve: no worker or model needs a host")
    lacking = [name for name in library.secrets_for(served) if not os.environ.get(name)]
    try:
        await _run(workers, stop, lambda: ready(served, lacking))
    finally:
        if calls is not None:
            await calls.close()
        if receipts is not None:
            receipts.close()


def _check_blobs(folder: str | None) -> None:
    """Refuse a blob store that cannot be written, before a call is made whose result would be lost.

    Raises:
        JournalError: It cannot.
    """
    if folder is None:
        return
    try:
        os.makedirs(folder, exist_ok=True)
        problem = None if os.access(folder, os.W_OK | os.X_OK) else "permission denied"
    except OSError as error:
        problem = error.strerror
    if problem is not None:
        raise JournalError(f"large values cannot be kept in {folder}: {problem}")


def _queues(
    library: Library, calls: HostCalls, queue: str
) -> Iterable[tuple[str, str, int | None, Callable[..., object]]]:
    """Queue, name, calls a minute (None for any number) and activity of all that can be served."""
    for name in library.workers():
        yield worker_queue(queue, name), name, None, calls.call_worker
    for name, model in library.models().items():
        yield model_queue(queue, name), name, model.rpm, calls.call_model


def _workflow_worker(client: Client, address: Address) -> Worker:
    return Worker(
        client,
        task_queue=address.queue,
        workflows=[OrchRun],
        # See `workflow`: the machine is pure, and a sandbox would import it for every run.
        workflow_runner=UnsandboxedWorkflowRunner(),
        # A step has two seconds by the clock; more steps at once than cores would eat them up.
        max_concurrent_workflow_tasks=max(4, 2 * (os.cpu_count() or 1)),
        max_cached_workflows=500,
    )


def _call_worker(
    client: Client,
    queue: str,
    function: Callable[..., object],
    per_minute: int | None,
    serving: Serving,
) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        activities=[function],
        max_concurrent_activities=serving.max_concurrent,
        activity_task_poller_behavior=PollerBehaviorAutoscaling(minimum=1, maximum=16, initial=2),
        # Held by the server, so it holds over all hosts.
        max_task_queue_activities_per_second=None if per_minute is None else per_minute / 60,
        max_heartbeat_throttle_interval=_BEAT,
        default_heartbeat_throttle_interval=_BEAT,
        graceful_shutdown_timeout=timedelta(seconds=serving.drain_s),
        disable_eager_activity_execution=True,
    )


async def _run(workers: list[Worker], stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Run the workers until told to stop, or until one of them fails.

    Raises:
        JournalError: One failed; the others have been stopped.
    """
    running = [asyncio.ensure_future(worker.run()) for worker in workers]
    stopping = asyncio.ensure_future(stop.wait())
    ready()
    await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await asyncio.gather(*(worker.shutdown() for worker in workers if worker.is_running))
    results = await asyncio.gather(*running, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise JournalError(f"the cluster is no longer served: {result}")
