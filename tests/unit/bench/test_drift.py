"""The drift experiment at small size, where the exact values can be told from wrong ones."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.drift.__main__ import computed_completion
from bench.drift.experiment import Condition, measure
from bench.drift.models import Habits, where_is_the_goal
from engine.runtime.ports import Message


def test_completion_without_mitigation_is_that_of_k_good_rounds(tmp_path: Path) -> None:
    runs, leave, steps = 200, 0.2, 4
    condition = Condition(place="far", habits=Habits(steps=steps, far=leave))
    result = measure(condition, range(runs), tmp_path)
    value = (1 - leave) ** steps
    assert abs(result.completion - value) < 3 * math.sqrt(value * (1 - value) / runs)
    assert result.false_done == runs - result.completed


def test_the_computed_value_agrees_with_the_closed_form() -> None:
    assert computed_completion(0.10, 0.0, 0.0) == pytest.approx(0.9**8)
    assert computed_completion(0.10, 1.0, 0.0) > computed_completion(0.10, 0.5, 0.0) > 0.9**8


def test_the_goal_stands_in_the_newest_block_of_every_prompt(tmp_path: Path) -> None:
    # This planner stays with its goal only as long as the newest block names it.
    habits = Habits(newest=0.0, far=1.0, absent=1.0)
    pinned = measure(Condition(habits=habits, compaction=True), range(5), tmp_path)
    assert pinned.completion == 1.0
    stripped = measure(Condition(habits=habits, place="far"), range(5), tmp_path)
    assert stripped.completion == 0.0


def test_a_verifier_brings_the_planner_back(tmp_path: Path) -> None:
    condition = Condition(
        verifier="on_track", hit=1.0, false_alarm=0.0, habits=Habits(newest=0.3), rounds=60
    )
    result = measure(condition, range(20), tmp_path)
    assert result.completion == 1.0
    assert result.delays
    assert set(result.delays) == {1}


def test_a_check_every_third_round_finds_a_departure_in_the_third(tmp_path: Path) -> None:
    for onset, rounds in ((1, 3), (2, 2), (3, 1), (4, 3)):
        condition = Condition(
            verifier="on_track",
            every=3,
            hit=1.0,
            on_fail="warn",
            rounds=onset + 4,
            habits=Habits(steps=100, onset=onset),
        )
        assert measure(condition, range(2), tmp_path).delays == [rounds] * 2


def test_stall_detection_ends_repetition(tmp_path: Path) -> None:
    habits = Habits(newest=0.2, loops=1.0)
    without = measure(Condition(habits=habits), range(20), tmp_path)
    detected = measure(Condition(habits=habits, stall=True), range(20), tmp_path)
    assert detected.completed > without.completed
    assert set(detected.delays) == {2}


def test_the_planner_sees_where_the_goal_stands() -> None:
    goal = "<goal>\nWrite a report on tides in eight steps.\n</goal>"
    first, last = Message("system", f"Role\n\n{goal}"), Message("user", f"News\n\n{goal}\n\nNow")
    bare = Message("user", "News")
    assert where_is_the_goal([first, bare, last]) == ("newest", "tides")
    assert where_is_the_goal([first, last, bare]) == ("far", "tides")
    assert where_is_the_goal([bare]) == ("absent", "unknown")
