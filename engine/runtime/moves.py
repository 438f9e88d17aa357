"""The legal moves of tasks and of loops: one table each, checked at every move in every test.

Every change of `Task.status` and `Loop.phase` goes through `move` and `enter_phase`, so an illegal
one fails in whatever test it happens, and not only where a test looks for it. A user's run is not
ended over it: there the check is off. What decides *when* a move is made is in the rooms; nothing
here changes anything else.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.runtime.state import Loop, LoopPhase, Task, TaskStatus

__all__ = ["LOOP_MOVES", "TASK_MOVES", "check_moves", "enter_phase", "move"]

#: From each status of a task, those that may follow. A task that has ended moves again only when
#: its run is retried (`engine.runtime.retry_run`), and then begins from the front.
TASK_MOVES: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    "blocked": frozenset({"checking", "queued", "running", "failed"}),
    # A person may say at a fork's gate that what the parent's task gave is to be taken.
    "checking": frozenset({"queued", "running", "verifying", "done", "failed"}),
    "queued": frozenset({"checking", "running", "failed"}),
    # A fork asks a person before it starts again what its parent had started.
    "running": frozenset({"checking", "verifying", "unknown", "done", "failed"}),
    "unknown": frozenset({"queued", "running", "verifying", "done", "failed"}),
    "verifying": frozenset({"queued", "running", "done", "failed"}),
    # A retried run checks again what had been given and not been let through.
    "done": frozenset({"verifying"}),
    "failed": frozenset({"verifying"}),
}

#: From each phase of a loop, those that may follow.
LOOP_MOVES: Mapping[LoopPhase, frozenset[LoopPhase]] = {
    "deciding": frozenset({"working", "finishing", "ending", "over"}),
    # A retried run that had decided to finish checks its result again.
    "working": frozenset({"deciding", "verifying", "finishing", "ending", "over"}),
    "verifying": frozenset({"deciding", "working", "ending", "over"}),
    "finishing": frozenset({"deciding", "working", "ending", "over"}),
    "ending": frozenset({"over"}),
    "over": frozenset(),
}

#: What a retry may do besides: an ended run is taken up again.
_RETRIED_TASK = frozenset({"blocked", "running", "verifying"})
_RETRIED_LOOP = frozenset({"deciding", "working"})


class _Check:
    on = False


def check_moves(on: bool) -> None:
    """Have illegal moves fail, as the tests do."""
    _Check.on = on


def move(task: Task, to: TaskStatus, *, retried: bool = False) -> None:
    """Give a task another status.

    Args:
        retried: Whether its run is being retried: then an ended task may begin again.
    """
    if _Check.on:
        legal = to == task.status or to in TASK_MOVES[task.status]
        if not legal and not (retried and to in _RETRIED_TASK):
            raise AssertionError(f"{task.path}: {task.status} -> {to}")
    task.status = to


def enter_phase(loop: Loop, to: LoopPhase, *, retried: bool = False) -> None:
    """Let a loop enter another phase.

    Args:
        retried: Whether its run is being retried: then an ended loop may go on.
    """
    if _Check.on:
        legal = to == loop.phase or to in LOOP_MOVES[loop.phase]
        if not legal and not (retried and to in _RETRIED_LOOP):
            raise AssertionError(f"{loop.phase} -> {to}")
    loop.phase = to
