"""An event loop whose clock stands still while anything can happen, and then jumps.

The journal's threads are real, and so is the one that imports a worker's module. The loop waits
for them before its clock moves; what the journal says is handed on after a time drawn from the
seed, so a write takes long or short. So the order of things follows from the seed, and nothing
sleeps. `Stuck` says that every task waits and nothing will come.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import threading
from collections.abc import Callable
from typing import Any

from engine.journal.writers import is_idle

__all__ = ["Stuck", "VirtualLoop"]

#: How long to wait for a thread before looking again, in seconds.
_LOOK_S = 0.0005
#: A scenario takes seconds of its own time; one that takes a day does not end.
_END_S = 86_400.0


class Stuck(AssertionError):
    """Nothing can happen any more, and a task still waits."""


class _Selector(selectors.DefaultSelector):
    """Asks the loop how to wait."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        loop = self.loop
        while not is_idle():
            super().select(_LOOK_S)
        found = super().select(0)
        while not found and timeout != 0 and loop.imports():
            found = super().select(_LOOK_S)
        if loop.deliver() or found or timeout == 0:
            return found
        if timeout is None or loop.now_s > _END_S:
            raise Stuck("every task waits for another one")
        loop.now_s += timeout
        return found


def _waits_for_thread(waiting: Any) -> bool:
    """Whether a coroutine waits, itself or through those it awaits, for a thread of the engine."""
    while waiting is not None:
        if "DaemonThreads" in repr(waiting):
            return True
        waiting = getattr(waiting, "cr_await", None)
    return False


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop.

    Args:
        chance: Draws how long the journal takes.
    """

    def __init__(self, chance: random.Random) -> None:
        self.now_s = 0.0
        self._chance = chance
        self._arrived: list[Any] = []
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s

    def imports(self) -> bool:
        """Whether a thread imports a worker's module, or looks for what a dead engine left."""
        return any(_waits_for_thread(task.get_coro()) for task in asyncio.all_tasks(self))

    def call_soon_threadsafe(
        self, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        if threading.current_thread().name != "orch-journal":
            return super().call_soon_threadsafe(callback, *args, context=context)
        # It must not depend on when the thread was quick enough.
        self._arrived.append((callback, args))
        return super().call_soon_threadsafe(int)

    def deliver(self) -> bool:
        """Hand on what the journal has said since; whether there was anything."""
        arrived, self._arrived = self._arrived, []
        if arrived:
            after_s = self._chance.choice((0.0, 0.0, 0.001, 0.02, 0.2))
            for callback, args in arrived:
                self.call_later(after_s, callback, *args)
        return bool(arrived)
