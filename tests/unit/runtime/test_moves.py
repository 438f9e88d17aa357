"""The tables of moves know every status and phase, and an illegal move fails where it is made."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from engine.runtime.moves import CALL_MOVES, LOOP_MOVES, TASK_MOVES, enter_phase, move, move_call
from engine.runtime.state import CallStatus, LoopPhase, TaskStatus


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (TASK_MOVES, get_args(TaskStatus)),
        (LOOP_MOVES, get_args(LoopPhase)),
        (CALL_MOVES, get_args(CallStatus)),
    ],
)
def test_a_table_has_every_state_and_no_other(table: Any, names: tuple[str, ...]) -> None:
    assert set(table) == set(names)
    assert set().union(*table.values()) <= set(names)


class Thing:
    """Only what a move touches."""

    path = key = "round 1 / task a"

    def __init__(self, status: str) -> None:
        self.status = self.phase = status


def test_a_task_that_has_ended_moves_only_in_a_retry() -> None:
    task: Any = Thing("done")
    with pytest.raises(AssertionError, match="round 1 / task a: done -> running"):
        move(task, "running")
    move(task, "blocked", retried=True)
    assert task.status == "blocked"


def test_a_task_is_not_done_before_it_runs() -> None:
    task: Any = Thing("blocked")
    with pytest.raises(AssertionError, match="blocked -> done"):
        move(task, "done")


def test_a_loop_that_is_over_stays_over() -> None:
    loop: Any = Thing("over")
    with pytest.raises(AssertionError, match="over -> deciding"):
        enter_phase(loop, "deciding")


@pytest.mark.parametrize(
    ("status", "to"),
    [("new", "begun"), ("begun", "ended"), ("withdrawn", "asked"), ("asked", "starved")],
)
def test_a_call_cannot_skip_what_comes_between(status: str, to: Any) -> None:
    call: Any = Thing(status)
    with pytest.raises(AssertionError, match=f"round 1 / task a: {status} -> {to}"):
        move_call(call, to)
