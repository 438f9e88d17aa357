"""Ctrl-C and SIGTERM while a run goes.

The first one cancels the run: calls in flight are stopped, what had finished is journaled. A
second one kills what is still being stopped and ends the process at once, whatever it does.
The handlers run between two steps of the interpreter, so they work while user code has the
event loop too.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

from engine.cli.format_values import one_line
from engine.cli.output import warn

__all__ = ["Interrupted", "Loop", "run_interruptible"]

T = TypeVar("T")

#: How long after a second signal the processes of workers may take to die, in seconds.
_LAST_GRACE_S = 0.5


class Interrupted(Exception):
    """The run was stopped from outside.

    Attributes:
        signal: Which signal said so.
    """

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(self.signal.name)

    @property
    def code(self) -> int:
        """The exit code that shells know for it: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.signal


class Loop(asyncio.SelectorEventLoop):
    """An event loop for code of strangers.

    Its end does not wait for threads, as a call that hung may hold one; and what fails in a task
    or callback that nothing awaits is reported in one line, without a traceback.
    """

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Do not wait for other threads."""

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Tell it in a line."""
        error = context.get("exception")
        said = "" if error is None else f": {type(error).__name__}: {error}"
        warn(one_line(f"{context.get('message', 'something failed')}{said}", 400))


def run_interruptible(main: Coroutine[Any, Any, T], on_second: Callable[[], None]) -> T:
    """Run a coroutine to its end, or until a signal.

    Args:
        main: What to run.
        on_second: Called right before the process ends because of a second signal.

    Raises:
        Interrupted: There was a signal, and the coroutine has been cancelled.
    """
    received: list[int] = []
    task: asyncio.Task[T] | None = None

    async def outer() -> T:
        nonlocal task
        task = asyncio.ensure_future(main)
        return await task

    def stop() -> None:
        """On the event loop: the first signal cancels the run, a second one everything."""
        if len(received) < 2:
            if task is not None:
                task.cancel()
            return
        # A second cancel ends the grace that a worker's processes have.
        for other in asyncio.all_tasks(loop):
            other.cancel()

    def leave(number: int = 0, frame: FrameType | None = None) -> None:
        on_second()
        os._exit(128 + received[0])

    def handle(number: int, frame: FrameType | None) -> None:
        """Between two steps of the interpreter, whoever has the event loop."""
        received.append(number)
        if len(received) == 2:
            timer = threading.Timer(_LAST_GRACE_S, leave)
            timer.daemon = True
            timer.start()
        elif len(received) > 2:
            leave()

    before = {}
    try:
        with asyncio.Runner(loop_factory=Loop) as runner:
            loop = runner.get_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                # One that is ignored stays so: a shell does that for what it runs in the
                # background.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.getsignal(number)
                    # The loop's own handler would wait for the loop; it stays as what wakes the
                    # loop up, without which a signal right before `select` would be slept over.
                    loop.add_signal_handler(number, stop)
                    signal.signal(number, handle)
            return runner.run(outer())
    except asyncio.CancelledError:
        if not received:
            raise
        raise Interrupted(received[0]) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, leave if received else handler)
