"""The tables of moves know every status and phase, and an illegal move fails where it is made."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from engine.runtime.moves import LOOP_MOVES, TASK_MOVES, enter_phase, move
from engine.runtime.state import LoopPhase, TaskStatus


@pytest.mark.parametrize(
    ("table", "names"), [(TASK_MOVES, get_args(TaskStatus)), (LOOP_MOVES, get_args(LoopPhase))]
)
def test_a_table_has_every_state_and_no_other(table: Any, names: tuple[str, ...]) -> None:
    assert set(table) == set(names)
    assert set().union(*table.values()) <= set(names)


class Thing:
    """Only what a move touches."""

    path = "round 1 / task a"

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
