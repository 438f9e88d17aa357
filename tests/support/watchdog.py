"""Measures how long event loops are held: the CPU time of each callback they run.

    with Watchdog() as watch:
        ...            # anything that runs on asyncio, in any thread
    watch.check()      # fails if a callback took more than 250 ms

Time spent waiting, or taken by other processes, does not count, so the figure holds on a loaded
machine. A callback that never ends is not reported: give the test a limit of its own.
"""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

__all__ = ["LIMIT_S", "Watchdog"]

#: The most a callback may take, in seconds of CPU.
LIMIT_S = 0.250


class Watchdog:
    """A context manager.

    Attributes:
        worst_s: The longest that a callback held its loop.
        stalls: The callbacks that were over the limit, as `0.31 s: <Task ...>`.
    """

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self.limit_s = limit_s
        self.worst_s = 0.0
        self.stalls: list[str] = []
        self._original: Any = None

    def __enter__(self) -> Watchdog:
        # What was made before is none of the loop's business when garbage is collected.
        gc.collect()
        gc.freeze()
        original = self._original = asyncio.events.Handle._run

        def run(handle: Any) -> None:
            began = time.thread_time()
            try:
                original(handle)
            finally:
                self._note(time.thread_time() - began, handle)

        asyncio.events.Handle._run = run  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.events.Handle._run = self._original  # type: ignore[method-assign]

    def _note(self, spent_s: float, handle: Any) -> None:
        self.worst_s = max(self.worst_s, spent_s)
        if spent_s > self.limit_s:
            self.stalls.append(f"{spent_s:.2f} s: {handle!r}"[:300])

    def check(self) -> None:
        """Fail if a callback was over the limit."""
        assert not self.stalls, "the event loop was held: " + "; ".join(self.stalls[:5])
