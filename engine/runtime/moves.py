"""The legal moves of tasks, loops and calls, in one table each; tests check every move.

Every change of `Task.status`, `Loop.phase` and `Call.status` goes through `move`, `enter_phase` and
`move_call`. So an illegal move fails any test in which it happens, not only a test that looks for
it. The check is off in a user's run, which does not end because of it. Other modules decide *when*
a move is made; nothing here changes anything else.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.runtime.state import (
    Call,
    CallStatus,
    Loop,
    LoopPhase,
    Step,
    StepStatus,
    Task,
    TaskStatus,
)

__all__ = [
    "CALL_MOVES",
    "LOOP_MOVES",
    "STEP_MOVES",
    "TASK_MOVES",
    "check_moves",
    "enter_phase",
    "move",
    "move_call",
    "move_step",
]

#: From each status of a task, those that may follow. A task that has ended moves again only when
#: its run is retried (`engine.runtime.retry_run`), and then begins from the front.
TASK_MOVES: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    # A retry may find that its input is what it was, and then it keeps what it gave.
    "blocked": frozenset({"checking", "queued", "running", "done", "failed", "skipped"}),
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
    "skipped": frozenset(),
}

#: From each status of a step, those that may follow; one that has ended moves only in a retry.
STEP_MOVES: Mapping[StepStatus, frozenset[StepStatus]] = {
    "blocked": frozenset({"running", "failed", "skipped"}),
    "running": frozenset({"done", "failed", "skipped"}),
    "done": frozenset(),
    "failed": frozenset(),
    "skipped": frozenset(),
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

#: From each status of a call, those that may follow.
CALL_MOVES: Mapping[CallStatus, frozenset[CallStatus]] = {
    # A prompt that cannot be rendered, or a budget that is too small, ends it at once.
    "new": frozenset({"starved", "asked", "ended"}),
    "starved": frozenset({"asked", "ended", "withdrawn"}),
    # An attempt that could not even begin comes back without a `CallStarted`.
    "asked": frozenset({"begun", "closed"}),
    # What was under way when a process stopped, or when the run was forked, is asked for again.
    "begun": frozenset({"asked", "closed"}),
    # Retry, repair, fall back, report; or called off.
    "closed": frozenset({"starved", "asked", "ended", "withdrawn"}),
    # A verifier's feedback has it made once more.
    "ended": frozenset({"starved", "asked"}),
    "withdrawn": frozenset(),
}

#: What a retry may do besides: an ended run is taken up again.
_RETRIED_TASK = frozenset({"blocked", "running", "verifying"})
_RETRIED_STEP = frozenset({"blocked", "running"})
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


def move_step(step: Step, to: StepStatus, *, retried: bool = False) -> None:
    """Give a step another status.

    Args:
        retried: Whether its run is being retried: then an ended step may begin again.
    """
    if _Check.on:
        legal = to == step.status or to in STEP_MOVES[step.status]
        if not legal and not (retried and to in _RETRIED_STEP):
            raise AssertionError(f"{step.key}: {step.status} -> {to}")
    step.status = to


def enter_phase(loop: Loop, to: LoopPhase, *, retried: bool = False) -> None:
    """Let a loop enter another phase.

    Args:
        retried: Whether its run is being retried: then an ended loop may continue.
    """
    if _Check.on:
        legal = to == loop.phase or to in LOOP_MOVES[loop.phase]
        if not legal and not (retried and to in _RETRIED_LOOP):
            raise AssertionError(f"{loop.phase} -> {to}")
    loop.phase = to


def move_call(call: Call, to: CallStatus) -> None:
    """Give a call another status."""
    if _Check.on and to != call.status and to not in CALL_MOVES[call.status]:
        raise AssertionError(f"{call.key}: {call.status} -> {to}")
    call.status = to
