"""Two runs side by side, call by call."""

from __future__ import annotations

from engine.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    GateAnswered,
    RunEnded,
    RunResumed,
    RunStarted,
)
from engine.history.compare import differences, shared_events

START = RunStarted(run="r", orchestrator="main", input={}, models={}, program="p")


def call(key, value, ms=1):
    return [CallStarted(key=key), CallFinished(key=key, value=value, ms=ms)]


def test_times_and_attempts_are_no_difference():
    slow = [START, *call("k", 1, ms=900), RunEnded(at=5_000, status="finished")]
    retried = [
        START,
        CallStarted(key="k"),
        CallFailed(key="k", mode="timeout"),
        CallStarted(key="k", attempt=2),
        CallFinished(key="k", attempt=2, value=1),
        RunEnded(status="finished"),
    ]
    assert differences(slow, retried) == []
    assert shared_events(slow, retried) == 2


def test_what_only_one_run_has_and_what_came_out_differently():
    one = [START, *call("k", 1), *call("mine", {"a": 1}), RunEnded(status="finished")]
    other = [START, *call("k", 2), RunEnded(status="aborted", reason="no")]

    found = [(d.key, d.what, d.first, d.second) for d in differences(one, other)]

    assert found == [
        ("k", "both", "1", "2"),
        ("mine", "first", '{"a":1}', ""),
        ("", "both", "finished", "aborted: no"),
    ]


def test_a_run_that_went_on_has_no_end_yet():
    waited = [START, RunEnded(status="waiting", reason="?")]
    went_on = [*waited, RunResumed(), GateAnswered(key="g", answer="approve", output=3)]

    found = [(d.key, d.what, d.first, d.second) for d in differences(waited, went_on)]

    assert found == [("g", "second", "", "approve with 3"), ("", "first", "waiting: ?", "")]
