"""Whether a task may start: where its values come from, and what strangers' text may do.

Each `@from` of its input must be kept, unless a person has approved this very input. With a kept
`@from`, other inputs of a `write` or `once` worker may be a stranger's words, and so may the
decision; but such a decision may not make the same call of a `once` worker again. Without one, the
hooks must have looked at each input that may hold strangers' words, and at some input if strangers
may have decided that the task runs. Of a task that only reads, the inputs count that decide whom it
talks to (`engine.runtime.ways_out`).

A plan worker does nothing itself. Where each effect inside it has a check of its own
(`engine.sema.starts`), the tasks inside decide, each when it starts.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.runtime import sourced, taint, ways, ways_out
from engine.runtime.clearing import Cleared
from engine.runtime.prompts import denials
from engine.runtime.sources import Source, tainted_sources
from engine.runtime.state import RunState, Task
from engine.sema.model import Worker
from engine.sema.starts import unchecked_inside

__all__ = ["denial", "is_denied", "reasons", "repeated", "unsourced"]

#: The least `RunStarted.bounds` of runs whose plans need no check if all inside have one: in older
#: ones such a plan was denied.
_CHECKED_INSIDE = 2

#: How many parts that break `@from` are told.
_MOST_TOLD = 3


def is_denied(state: RunState, task: Task) -> bool:
    """Whether the machine would deny a task that is ready, as it is."""
    return bool(denial(state, task))


def unsourced(state: RunState, task: Task) -> tuple[str, ...]:
    """The parts of a task's input that break an `@from`, as JSON Pointers."""
    return tuple(one.path for one in sourced.broken(state, task))


def denial(state: RunState, task: Task) -> str:
    """Why a task that is ready may not start, in words for its planner; "" if it may."""
    return "; ".join(reasons(state, task))


def reasons(state: RunState, task: Task) -> list[str]:
    """The sentences of the denial that a task would get as it is; none if it may start."""
    worker, cleared = task.worker, task.looked_at
    if not isinstance(worker, Worker) or cleared.person:
        return []
    if sourced.rules_of(state, worker):
        broken = sourced.broken(state, task)
        if broken:
            found = ways.Ways(state)
            parts = [
                denials.broken_part(one.path, one.allowed, found.of(task, one.source))
                for one in broken[:_MOST_TOLD]
            ]
            return denials.breaks_from(parts, len(broken) - len(parts))
    said = _for_taint(state, task, worker)
    return [said] if said else []


def _for_taint(state: RunState, task: Task, worker: Worker) -> str:
    """Why a task that keeps every `@from` may not start for what strangers' text may do."""
    cleared = task.looked_at
    if not worker.changes_something:
        return ways_out.denial(state, task, cleared)
    before = repeated(state, task)
    if before is not None:
        return denials.same_call_again(before.id, worker.name)
    steered = taint.is_steered(state, task)
    if not (steered or taint.reads_taint(state, task)):
        return ""
    own = worker.plan is None or state.bounds < _CHECKED_INSIDE
    if own and sourced.is_anchored(state, task):
        return ""  # the `@from` of a plan does not hold for what it calls
    if _is_checked_inside(state, task, worker):
        return ""
    unseen = list(_unseen(state, task, cleared))
    if not unseen and (not steered or cleared.steers(worker)):
        return ""
    return ways.denial(state, task, unseen, looked=bool(cleared.verifiers))


def _is_checked_inside(state: RunState, task: Task, worker: Worker) -> bool:
    """Whether a task is a plan's, and each effect inside it is checked when it starts."""
    if worker.plan is None or state.bounds < _CHECKED_INSIDE:
        return False
    orchestrator = task.loop.orchestrator
    key = (orchestrator.name, worker.name)
    known = state.checks_inside.get(key)
    if known is None:
        known = not unchecked_inside(state.program, orchestrator, worker)
        state.checks_inside[key] = known
    return known


def repeated(state: RunState, task: Task) -> Task | None:
    """The earlier task whose call of a `once` worker strangers may have made a task repeat."""
    worker = task.worker
    if not isinstance(worker, Worker) or worker.effect != "once" or not taint.may_steer(task):
        return None
    if not sourced.rules_of(state, worker) or not sourced.is_anchored(state, task):
        return None
    before = sourced.made_before(state, task)
    return before if before is not None and taint.is_counted(state, task) else None


def _unseen(state: RunState, task: Task, cleared: Cleared) -> Iterator[Source]:
    """The sources of tainted parts of an input that no hook has looked at."""
    tainted = tainted_sources(state, task)
    for name in cleared.leaves_open(tainted):
        yield from tainted[name]
