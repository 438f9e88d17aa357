"""The ports of packages: whatever they raise or return, only their call fails.

The engine's own ports keep the contract of `engine.runtime.ports` by themselves.
"""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec

from engine.errors import Failure
from engine.runtime.ports import ClosablePort, WorkerPort, WorkerReply, WorkerRequest
from engine.workers.large import LARGE_BYTES, off_the_loop, rough_size
from engine.workers.messages import crash_of
from engine.workers.values import plain_json

__all__ = ["GuardedPort"]


class GuardedPort:
    """A port that keeps the contract of ports around one that may not."""

    def __init__(self, inner: WorkerPort) -> None:
        self._inner = inner

    async def call(self, request: WorkerRequest) -> WorkerReply:
        """Do the work; what is returned has only plain JSON types."""
        try:
            reply = await self._inner.call(request)
        except (Failure, TimeoutError, GeneratorExit):
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise crash_of(error, request.scope) from None  # the port itself raised it
        except BaseException as error:
            raise crash_of(error, request.scope) from None
        if not isinstance(reply, WorkerReply):
            kind = type(self._inner).__name__
            got = type(reply).__name__
            raise Failure("crashed", f"{kind}.call returned a {got}, not a WorkerReply")
        size = rough_size(reply.value)
        if size < LARGE_BYTES:
            value = plain_json(reply.value)
        else:
            value = await off_the_loop(partial(plain_json, reply.value), size)
        return msgspec.structs.replace(reply, value=value)

    async def close(self) -> None:
        """Close the port, if it can be closed.

        Raises:
            Failure: It raised something: a finding about a run that is over.
        """
        if not isinstance(self._inner, ClosablePort):
            return
        try:
            await self._inner.close()
        except (Failure, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            why = crash_of(error, {}).message
            kind = type(self._inner).__name__
            raise Failure("crashed", f"{kind}.close failed: {why}") from None
