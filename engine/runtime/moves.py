"""The legal moves of tasks, steps, loops and calls, in one table each; tests check every move.

After `check_moves(True)`, as in the tests, each assignment to `Task.status`, `Step.status`,
`Loop.phase` and `Call.status` is checked. So an illegal move fails any test in which it happens,
not only a test that looks for it. The check is off in a user's run, which does not end because of
it. `move`, `move_step`, `enter_phase` and `move_call` assign, too. The seven moves that every task
makes are assigned directly, because the calls cost 2 % of a dispatch. Other modules decide *when* a
move is made; nothing here changes anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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
    "blocked": frozenset({"checking", "queued", "running", "failed", "skipped"}),
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
    "deciding": frozenset({"reviewing", "working", "finishing", "ending", "over"}),
    # A plan that is not let pass is followed by the next decision.
    "reviewing": frozenset({"deciding", "working", "ending", "over"}),
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
_RETRIED_LOOP = frozenset({"deciding", "reviewing", "working"})


class _Checked:
    """Takes the place of a slot, and lets only legal moves be made.

    Args:
        slot: The descriptor of the slot, which holds the value.
        table: The legal moves.
        retried: Where an ended run may begin again when it is retried.
        named: Names the thing in a message.
    """

    def __init__(
        self,
        slot: Any,
        table: Mapping[Any, frozenset[Any]],
        retried: frozenset[Any],
        named: Callable[[Any], str],
    ) -> None:
        self.slot = slot
        self._table = table
        self._retried = retried
        self._named = named

    def __get__(self, thing: Any, owner: type | None = None) -> Any:
        return self if thing is None else self.slot.__get__(thing, owner)

    def __set__(self, thing: Any, to: Any) -> None:
        self.set(thing, to, retried=False)

    def set(self, thing: Any, to: Any, *, retried: bool) -> None:
        try:
            at = self.slot.__get__(thing, type(thing))
        except AttributeError:  # it is being made
            at = to
        if to != at and to not in self._table[at] and not (retried and to in self._retried):
            raise AssertionError(f"{self._named(thing)}: {at} -> {to}")
        self.slot.__set__(thing, to)


_CHECKS: Mapping[tuple[type, str], _Checked] = {
    (Task, "status"): _Checked(
        Task.__dict__["status"], TASK_MOVES, _RETRIED_TASK, lambda task: task.path
    ),
    (Step, "status"): _Checked(
        Step.__dict__["status"], STEP_MOVES, _RETRIED_STEP, lambda step: step.key
    ),
    (Loop, "phase"): _Checked(
        Loop.__dict__["phase"], LOOP_MOVES, _RETRIED_LOOP, lambda loop: f"loop {loop.path!r}"
    ),
    (Call, "status"): _Checked(
        Call.__dict__["status"], CALL_MOVES, frozenset(), lambda call: call.key
    ),
}


def check_moves(on: bool) -> None:
    """Have illegal moves fail, as the tests do."""
    for (owner, name), check in _CHECKS.items():
        setattr(owner, name, check if on else check.slot)


def _assign(thing: Task | Step | Loop, name: str, to: str, retried: bool) -> None:
    found = type(thing).__dict__[name]
    if isinstance(found, _Checked):
        found.set(thing, to, retried=retried)
    else:
        setattr(thing, name, to)


def move(task: Task, to: TaskStatus, *, retried: bool = False) -> None:
    """Give a task another status.

    Args:
        retried: Whether its run is being retried: then an ended task may begin again.
    """
    _assign(task, "status", to, retried)


def move_step(step: Step, to: StepStatus, *, retried: bool = False) -> None:
    """Give a step another status.

    Args:
        retried: Whether its run is being retried: then an ended step may begin again.
    """
    _assign(step, "status", to, retried)


def enter_phase(loop: Loop, to: LoopPhase, *, retried: bool = False) -> None:
    """Let a loop enter another phase.

    Args:
        retried: Whether its run is being retried: then an ended loop may continue.
    """
    _assign(loop, "phase", to, retried)


def move_call(call: Call, to: CallStatus) -> None:
    """Give a call another status."""
    call.status = to
