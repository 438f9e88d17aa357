"""Threads for synchronous user code.

Every thread is a daemon, unlike those of `concurrent.futures`: a function that hangs can hold up
neither another call nor the exit of the program. Idle threads are used again. A function whose
caller has left, at its timeout say, keeps its thread until it ends, because a thread cannot be
killed. At most `MOST_ABANDONED` functions may do so. The machine bounds the other threads: one for
each call that is still waited for.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["MOST_ABANDONED", "DaemonThreads", "TooManyAbandoned"]

T = TypeVar("T")

#: How many functions may run on, in a thread each, after their callers have left.
MOST_ABANDONED = 256


class TooManyAbandoned(Exception):
    """Too many functions run on after their callers have left; no other is begun."""


class DaemonThreads:
    """Runs functions in daemon threads.

    Args:
        name: Beginning of the threads' names.
        most_abandoned: How many functions may run on without a caller.
        begin: What each thread does before its first function; must not fail.
    """

    def __init__(
        self,
        name: str,
        most_abandoned: int = MOST_ABANDONED,
        begin: Callable[[], None] | None = None,
    ) -> None:
        self._name = name
        self._begin = begin
        self._numbers = itertools.count(1)
        self._idle = threading.Semaphore(0)
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._most_abandoned = most_abandoned
        # Their futures; changed by one operation at a time, from any thread.
        self._abandoned: set[Future[Any]] = set()

    async def run(self, function: Callable[[], T]) -> T:
        """Call `function` in a thread, in a copy of the caller's context.

        A cancelled caller leaves at once; the function runs on, and what it gives is dropped.

        Raises:
            TooManyAbandoned: Too many run on already; this one has not begun.
        """
        if len(self._abandoned) >= self._most_abandoned:
            raise TooManyAbandoned(
                f"{len(self._abandoned)} functions still run after their calls were given up, each "
                "in a thread; no other is begun until one ends (with `isolate = true` a function "
                "ends at its timeout)"
            )
        future: Future[T] = Future()
        context = copy_context()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                self._idle.release()
                return
            try:
                result = context.run(function)
            except BaseException as error:  # handed to the caller, whatever it is
                self._idle.release()
                future.set_exception(error)
            else:
                # Idle before the caller can know of it, so that its next call finds this thread.
                self._idle.release()
                future.set_result(result)

        self._jobs.put(job)
        if not self._idle.acquire(blocking=False):
            name = f"{self._name}-{next(self._numbers)}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            self._abandon(future)
            raise

    def _abandon(self, future: Future[T]) -> None:
        """Count a function as abandoned until it ends."""
        if not future.done():
            self._abandoned.add(future)
            future.add_done_callback(self._abandoned.discard)

    def _work(self) -> None:
        if self._begin is not None:
            self._begin()
        while True:
            job = self._jobs.get()
            job()
            del job  # what the job holds must not live until the next one comes
