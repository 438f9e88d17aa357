"""Where time comes from: wall time, running time, and pauses of a thread.

Every module asks here (`clock.wall_ms()`), so that a test can let an hour pass at once: `use` puts
another clock in place for a while, and `VirtualClock` is one whose pauses take no time. Ask the
module, and import no name out of it: the names are bound again while another clock is in use.

Waiting in an event loop is the loop's own business. `asyncio.sleep`, `asyncio.timeout` and
`call_later` go by `loop.time()`, so a loop with another clock is all that a test needs there.

The machine (`engine.runtime`) asks for no time at all: events carry it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["VirtualClock", "pause", "running_s", "use", "wall_ms", "wall_ns", "wall_s"]

# Variables and not functions: the driver asks at every event, and one more call would cost.
#: Seconds since some moment; never goes back.
running_s: Callable[[], float] = time.monotonic
#: Seconds since 1970.
wall_s: Callable[[], float] = time.time
#: Nanoseconds since 1970.
wall_ns: Callable[[], int] = time.time_ns
#: Stop this thread for so many seconds.
pause: Callable[[float], None] = time.sleep


def wall_ms() -> int:
    """Milliseconds since 1970."""
    return wall_ns() // 1_000_000


class VirtualClock:
    """A clock that moves when it is told to: by a pause, or by `advance`.

    Args:
        running: Gives the running time, where something else moves it, such as the clock of an
            event loop; pauses move it no further then.
        began_s: Wall time at the start, in seconds since 1970.
    """

    def __init__(
        self, running: Callable[[], float] | None = None, *, began_s: float = 1_700_000_000.0
    ) -> None:
        self._running = running
        self._passed_s = 0.0
        self._began_s = began_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._passed_s += seconds

    def running_s(self) -> float:
        """Seconds since the clock was made."""
        return self._passed_s + (self._running() if self._running is not None else 0.0)

    def wall_ns(self) -> int:
        """Nanoseconds since 1970."""
        return int((self._began_s + self.running_s()) * 1_000_000_000)


@contextmanager
def use(other: VirtualClock) -> Iterator[VirtualClock]:
    """Have the whole process go by another clock. For tests; one at a time."""
    global running_s, wall_s, wall_ns, pause
    before = running_s, wall_s, wall_ns, pause
    running_s, wall_ns, pause = other.running_s, other.wall_ns, other.advance
    wall_s = lambda: other.wall_ns() / 1_000_000_000  # noqa: E731
    try:
        yield other
    finally:
        running_s, wall_s, wall_ns, pause = before
