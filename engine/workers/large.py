"""Work on large values, kept off the event loop.

What an answer is made into (JSON read, values copied, secrets taken out) takes time in proportion
to its size, and is done where it comes in: small ones at once, for a thread costs more than they
do, large ones in a thread, so that no answer holds up the other calls, a timer or Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from engine.workers.threads import DaemonThreads

__all__ = ["off_the_loop", "size_of"]

#: From here on a value is large, in bytes of JSON: at worst 50 ms of work.
_LARGE_BYTES = 256 * 1024

# Objects of user code count as nothing: they are not looked into for a guess.
_encode = msgspec.json.Encoder(enc_hook=lambda _: None).encode
_threads = DaemonThreads("orch-large")
T = TypeVar("T")


def size_of(value: Any) -> int:
    """The bytes of a value as JSON; of what JSON cannot say, more than any."""
    if isinstance(value, str):
        return len(value)
    if value is None or isinstance(value, int | float):
        return 1
    try:
        return len(_encode(value))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return _LARGE_BYTES


async def off_the_loop(function: Callable[[], T], size_bytes: int) -> T:
    """What a function gives, which works on something of that size."""
    if size_bytes < _LARGE_BYTES:
        return function()
    return await _threads.run(function)
