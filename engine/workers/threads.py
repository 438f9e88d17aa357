"""Threads for synchronous user code.

Every thread is a daemon, unlike those of `concurrent.futures`: a function that hangs can hold up
neither another call nor the exit of the program. There is no bound on their number here (the
machine bounds what runs at once), but idle ones are used again.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from queue import SimpleQueue
from typing import TypeVar

__all__ = ["DaemonThreads"]

T = TypeVar("T")


class DaemonThreads:
    """Runs functions in daemon threads.

    Args:
        name: Beginning of the threads' names.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._numbers = itertools.count(1)
        self._idle = threading.Semaphore(0)
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()

    async def run(self, function: Callable[[], T]) -> T:
        """Call `function` in a thread, in a copy of the caller's context.

        A cancelled caller leaves at once; the function runs on, and what it gives is dropped.
        """
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
        return await asyncio.wrap_future(future)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            job()
            del job  # what the job holds must not live until the next one comes
