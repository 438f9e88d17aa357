"""The tables of moves know every status and phase, and an illegal move fails where it is made."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import pytest

from engine.runtime.moves import (
    CALL_MOVES,
    LOOP_MOVES,
    TASK_MOVES,
    check_moves,
    enter_phase,
    move,
    move_call,
)
from engine.runtime.state import Call, CallStatus, Loop, LoopPhase, Task, TaskStatus


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


def a_task(status: str) -> Any:
    made = Task.__new__(Task)
    made.key, made.again = "round 1 / task a", 0
    made.status = status
    return made


def a_loop(phase: str) -> Any:
    made = Loop.__new__(Loop)
    made.path = "round 1 / task a / "
    made.phase = phase
    return made


def a_call(status: str) -> Any:
    made = Call.__new__(Call)
    made.key = "round 1 / task a"
    made.status = status
    return made


def test_a_task_that_has_ended_moves_only_in_a_retry() -> None:
    task = a_task("done")
    with pytest.raises(AssertionError, match="round 1 / task a: done -> running"):
        move(task, "running")
    with pytest.raises(AssertionError, match="round 1 / task a: done -> queued"):
        task.status = "queued"
    move(task, "blocked", retried=True)
    assert task.status == "blocked"


def test_a_task_is_not_done_before_it_runs() -> None:
    task = a_task("blocked")
    with pytest.raises(AssertionError, match="blocked -> done"):
        move(task, "done")


def test_a_loop_that_is_over_stays_over() -> None:
    loop = a_loop("over")
    with pytest.raises(AssertionError, match="over -> deciding"):
        enter_phase(loop, "deciding")


@pytest.mark.parametrize(
    ("status", "to"),
    [("new", "begun"), ("begun", "ended"), ("withdrawn", "asked"), ("asked", "starved")],
)
def test_a_call_cannot_skip_what_comes_between(status: str, to: Any) -> None:
    call = a_call(status)
    with pytest.raises(AssertionError, match=f"round 1 / task a: {status} -> {to}"):
        move_call(call, to)


def test_a_users_run_is_not_checked_and_its_slots_are_plain() -> None:
    check_moves(False)
    try:
        call = a_call("withdrawn")
        move_call(call, "asked")
        task = a_task("failed")
        move(task, "queued")
        assert (call.status, task.status) == ("asked", "queued")
        assert all(inspect.ismemberdescriptor(it.status) for it in (Task, Call))
    finally:
        check_moves(True)
