"""Ways out: reads that go to an address which strangers' text may have chosen.

A request carries data to whoever answers it, in the address itself: `https://evil.example/?q=...`.
So a task of a worker that only reads counts as an effect for taint where a tainted planner has
written one of the inputs that decide whom the worker talks to (`Facts.address`), or where tainted
text is in one. A reference to an untainted output is allowed, whoever chose it: its text is not a
stranger's. What an input with `@from` holds is compared with its sources instead, so it is not
among these inputs.

Everything here is a function of the folded state.
"""

from __future__ import annotations

from engine.runtime import taint, ways
from engine.runtime.clearing import Cleared
from engine.runtime.prompts import denials
from engine.runtime.sources import Source, tainted_sources
from engine.runtime.state import RunState, Task
from engine.sema.model import Worker

__all__ = ["denial"]

#: The least `RunStarted.bounds` of runs to which this applies: older ones are folded as they ran.
_SINCE = 2


def denial(state: RunState, task: Task, cleared: Cleared) -> str:
    """Why a task that only reads may not start, in words for its planner; "" if it may.

    Args:
        cleared: What hooks have looked at.
    """
    found = _chosen_by_strangers(state, task)
    left = cleared.leaves_open(found) if found else []
    if not left:
        return ""
    known = ways.Ways(state)
    told = dict.fromkeys(known.of(task, source) for name in left for source in found[name])
    return denials.strange_address(task.worker.name, left, list(told))


def _chosen_by_strangers(state: RunState, task: Task) -> dict[str, list[Source]]:
    """The inputs that decide whom a task talks to, with their tainted sources."""
    worker, loop = task.worker, task.loop
    if state.bounds < _SINCE or not isinstance(worker, Worker):
        return {}
    address = taint.address_of(state, worker)
    if not address or not (task.decided_tainted or loop.tainted or loop.has_tainted):
        return {}
    found = tainted_sources(state, task)
    return {name: found[name] for name in found if name in address}
