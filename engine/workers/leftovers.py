"""What calls of a dead engine have left running on this machine, ended before anything is repeated.

The engine's watcher has seen to it already, as a rule; this is for what outlived both. It goes by
the marks of the calls that were under way, whatever engine started them, and touches nothing else:
what a call left behind on purpose after its end is not ours to end.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.errors import JournalError
from engine.runtime.marks import call_mark, mark_of, server_mark
from engine.workers import watcher
from engine.workers.threads import DaemonThreads

__all__ = ["end_left_over"]

_threads = DaemonThreads("orch-leftovers")


async def end_left_over(
    run: str, calls: Iterable[tuple[str, int]], servers: Iterable[str] = ()
) -> None:
    """End what still runs of calls, and of the MCP servers of their run; waits until it is gone.

    Args:
        run: The run, which the caller owns.
        calls: Key and attempt of each.
        servers: The servers' names.

    Raises:
        JournalError: A process cannot be ended.
    """
    marks = {call_mark(run, key, attempt) for key, attempt in calls}
    if not marks:
        return
    marks |= {server_mark(run, name) for name in servers}
    left = await _threads.run(lambda: watcher.end(lambda value: mark_of(value) in marks))
    if left:
        which = ", ".join(map(str, left))
        raise JournalError(
            f"what run {run} had under way still runs and cannot be ended: process {which}",
            help="end it, then resume the run",
        )
