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
from engine.runtime.sources import Source, sources
from engine.runtime.state import RunState, Task
from engine.sema.model import Worker
from engine.sema.types.schema_facts import pointer_tokens

__all__ = ["chosen_by_strangers", "denial", "is_denied"]

#: The least `RunStarted.bounds` of runs to which this applies: older ones are folded as they ran.
_SINCE = 2


def is_denied(state: RunState, task: Task) -> bool:
    """Whether the machine would deny a task that is ready, as it is."""
    return taint.needs_clearance(state, task) or bool(chosen_by_strangers(state, task))


def denial(state: RunState, task: Task) -> str:
    """Why a task that is ready may not start, in words for its planner; "" if it may."""
    if taint.needs_clearance(state, task):
        return ways.denial(state, task)
    found = chosen_by_strangers(state, task)
    return _refusal(state, task, found) if found else ""


def chosen_by_strangers(state: RunState, task: Task) -> list[Source]:
    """The tainted sources of the inputs that decide whom a reading task talks to."""
    worker, loop = task.worker, task.loop
    if state.bounds < _SINCE or task.cleared:
        return []
    if not isinstance(worker, Worker) or worker.changes_something:
        return []
    address = taint.address_of(state, worker)
    if not address or not (task.decided_tainted or loop.tainted or loop.has_tainted):
        return []
    return [
        source
        for source in sources(state, task)
        if source.tainted and (pointer_tokens(source.path) or [""])[0] in address
    ]


def _refusal(state: RunState, task: Task, found: list[Source]) -> str:
    """Why such a task is denied, and what the author of the program can do."""
    found_ways = ways.Ways(state)
    names = dict.fromkeys((pointer_tokens(source.path) or [""])[0] for source in found)
    said = " and ".join(f"`{name}`" for name in names)
    way = "; ".join(dict.fromkeys(found_ways.of(task, source) for source in found))
    return (
        f"untrusted text can reach {said}, which decides whom `{task.worker.name}` talks to, and a "
        f"request can carry data away: {way}. To allow it, say where the address may come from, "
        f"`{next(iter(names))}: ... @from(...)`, or let a `before_dispatch` hook look at it"
    )
