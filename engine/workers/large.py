"""Work on large values, kept off the event loop.

Processing an answer (reading JSON, copying values, removing secrets, measuring sizes) takes time in
proportion to its size. Small answers are processed at once, because a thread costs more than they
do. Large ones are processed in a thread, so that no answer holds up the other calls, a timer or
Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from engine.sizes import size_of
from engine.workers.threads import DaemonThreads, TooManyAbandoned

__all__ = ["LARGE_BYTES", "off_the_loop", "rough_size"]

#: From here on a value is large, in bytes as `engine.sizes` counts them: at worst 20 ms of work.
LARGE_BYTES = 256 * 1024

_threads = DaemonThreads("orch-large")
T = TypeVar("T")


def rough_size(value: Any) -> int:
    """The size of a value as far as it matters here; what JSON cannot say counts as large."""
    try:
        return size_of(value, LARGE_BYTES)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return LARGE_BYTES


async def off_the_loop(function: Callable[[], T], size_bytes: int) -> T:
    """What a function gives, which works on something of that size."""
    if size_bytes < LARGE_BYTES:
        return function()
    try:
        return await _threads.run(function)
    except TooManyAbandoned:
        return function()
