"""Whether a task may start: where its values come from, and what strangers' text may do.

Each `@from` of its input must be kept, unless a person has approved this very input. With a kept
`@from`, other inputs of a `write` or `once` worker may be a stranger's words, and so may the
decision; but such a decision may not make the same call of a `once` worker again. Without one, the
hooks must have looked at each input that may hold strangers' words, and at some input if strangers
may have decided that the task runs.
"""

from __future__ import annotations

from engine.runtime import sourced, taint
from engine.runtime.clearing import Cleared
from engine.runtime.prompts import denials
from engine.runtime.state import RunState, Task
from engine.sema.model import Worker

__all__ = ["denial"]

#: How many parts that break `@from` are told.
_MOST_TOLD = 3


def denial(state: RunState, task: Task, cleared: Cleared) -> str:
    """Why a task that is ready may not start, in words for its planner; "" if it may.

    Args:
        cleared: What hooks have looked at.
    """
    worker = task.worker
    if not isinstance(worker, Worker):
        return ""
    if worker.sources:
        broken = [] if cleared.person else sourced.broken(state, task)
        if broken:
            ways = [sourced.way(state, task, one) for one in broken[:_MOST_TOLD]]
            return denials.breaks_from(ways, len(broken) - len(ways))
    if worker.effect not in ("write", "once") or cleared.person:
        return ""
    steered = taint.is_steered(state, task)
    if worker.sources and sourced.is_anchored(state, task):
        before = sourced.made_before(state, task) if steered else None
        return "" if before is None else denials.same_call_again(before.id, worker.name)
    strange = taint.tainted_inputs(state, task)
    if not (steered or strange):
        return ""
    unseen = cleared.leaves_open(sorted(strange))
    if not unseen and (not steered or cleared.steers(worker)):
        return ""
    way = taint.where_from(state, task)
    return denials.untrusted_reaches(way, unseen, looked=bool(cleared.verifiers))
