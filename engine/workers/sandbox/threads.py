"""Threads of the engine's own process that have no network: for untrusted `python` workers.

The kernel keeps a filter for each thread, with all threads and programs that it starts. So a
function keeps its module's state and costs no process, and still cannot open a socket. This is a
lock for code that means well: code that attacks the engine shares its memory, and could have
another thread do it. `sandbox { ... }` and `isolate = true` are for that.
"""

from __future__ import annotations

import threading
from functools import lru_cache

from engine.workers.sandbox.inside import load_filter
from engine.workers.sandbox.network_filter import NO_SOCKETS, compiled
from engine.workers.threads import DaemonThreads

__all__ = ["threads_problem", "without_network"]


def _close_network() -> None:
    program = compiled(NO_SOCKETS)
    assert program is not None
    load_filter(program)


@lru_cache(maxsize=1)
def threads_problem() -> str | None:
    """Why threads cannot be kept from the network here, or None."""
    if compiled(NO_SOCKETS) is None:
        return "threads have filters on Linux only (x86-64 and ARM64)"
    found: list[str] = []

    def attempt() -> None:
        try:
            _close_network()
        except OSError as error:
            found.append(f"the kernel takes no filter for a thread: {error}")

    thread = threading.Thread(target=attempt, name="orch-try-filter", daemon=True)
    thread.start()
    thread.join()
    return found[0] if found else None


#: Of the process, as the other threads for user code.
without_network = DaemonThreads("orch-python-no-network", begin=_close_network)
