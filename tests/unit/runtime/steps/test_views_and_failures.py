"""Three views of a step, how they flow, and when a step fails."""

from __future__ import annotations

import pytest
from step_runs import StepRun, item, program_with

from engine.errors import Failure
from engine.runtime.steps.filling import view_of

LIST = {"id": "a", "worker": "list", "input": {}}
QUIET = "max_parallel = 4  breaker { after = 1000  canary = 0 }"


@pytest.fixture(scope="module")
def program():
    return program_with(QUIET)


def each(id, selection, worker="get", **more):
    selection = {"$from": selection} if isinstance(selection, str) else selection
    return {"id": id, "worker": worker, "each": selection, "input": {"v": item()}, **more}


def failing(*bad, mode="crashed"):
    def outcome(worker, input):
        if worker == "list":
            return list(range(6))
        if worker == "get" and input["v"] in bad:
            return Failure(mode, f"no {input['v']}")
        return input["v"]

    return outcome


def test_outputs_pairs_and_failures(program):
    run = StepRun(program, [[LIST, each("r", "a")]], failing(1, 3), "last").run()
    assert run["r"].output == [0, 2, 4, 5]
    assert view_of(run["r"], "pairs")[1] == {"index": 2, "item": 2, "output": 2}
    assert view_of(run["r"], "failures") == [
        {"index": 1, "item": 1, "mode": "crashed", "message": "no 1"},
        {"index": 3, "item": 3, "mode": "crashed", "message": "no 3"},
    ]


def test_all_three_flow_item_by_item():
    decision = [
        LIST,
        each("r", "a"),
        each("o", "r", "calc"),
        each("p", {"$from": "r", "pairs": True}, "calc"),
        each("f", {"$from": "r", "failures": True}, "calc"),
    ]
    narrow = program_with(QUIET.replace("4", "1", 1))
    run = StepRun(narrow, [decision], failing(1, 3)).run()
    made = run.made()
    for first in ("o[0]", "p[0]", "f[1]"):
        assert made.index(first) < made.index("r[5]"), made
    assert [one["index"] for one in run["f"].output] == [1, 3]


@pytest.mark.parametrize("shaper", [{"sort_by": ""}, {"take": 9}, {"unique_by": ""}])
def test_what_needs_the_whole_list_waits(program, shaper):
    decision = [LIST, each("r", "a"), each("s", {"$from": "r", **shaper}, "calc")]
    made = StepRun(program, [decision], failing()).run().made()
    assert made.index("s[0]") > made.index("r[5]")


def test_the_failures_of_a_step_that_fails_reach_who_reads_them(program):
    """Also those that come while it runs, and those of values that never got a task."""
    decision = [LIST, each("r", "a"), each("f", {"$from": "r", "failures": True}, "calc")]
    for order in ("first", "last", 3):
        run = StepRun(program, [decision], failing(*range(6)), order).run()
        assert run["r"].failure.message == "6 of 6 items failed: no 0"
        assert (run["f"].status, len(run["f"].output)) == ("done", 6)


def test_values_that_the_breaker_keeps_back_reach_who_reads_failures():
    program = program_with("max_parallel = 2")
    decision = [LIST, each("r", "a"), each("f", {"$from": "r", "failures": True}, "calc")]
    run = StepRun(program, [decision], failing(*range(6))).run()
    assert run.made("r") == ["r[0]"]
    assert [one["mode"] for one in run["f"].output] == ["crashed", *["denied"] * 5]


def test_a_value_that_ended_before_its_step_took_note_comes_once(program):
    """An item whose input cannot be is over at once, and a reader may open in the same moment."""
    decision = [
        {"id": "x", "worker": "calc", "input": {"v": 1}},
        LIST,
        each("r", "a", after=["x"], input={"v": item("/nothing")}),
        each("f", {"$from": "r", "failures": True}, "calc", after=["x"]),
    ]
    for order in ("first", "last"):
        run = StepRun(program, [decision], failing(), order).run()
        assert run.made("f") == [f"f[{n}]" for n in range(6)]


@pytest.mark.parametrize(
    ("tolerate", "bad", "status"),
    [
        (None, 5, "done"),
        (None, 6, "failed"),
        (0, 1, "failed"),
        (2, 2, "done"),
        (2, 3, "failed"),
        (0.5, 3, "done"),
        (0.5, 4, "failed"),
        (9, 6, "failed"),
    ],
)
def test_a_step_fails_if_all_failed_or_more_than_it_tolerates(program, tolerate, bad, status):
    more = {} if tolerate is None else {"tolerate": tolerate}
    run = StepRun(program, [[LIST, each("r", "a", **more)]], failing(*range(bad))).run()
    assert run["r"].status == status
    if status == "failed":
        assert f"{bad} of 6 items failed" in run["r"].failure.message


def test_a_share_is_not_rounded_away(program):
    def outcome(worker, input):
        if worker == "list":
            return list(range(100))
        return Failure("crashed", "no") if input["v"] < 29 else 1

    run = StepRun(program, [[LIST, each("r", "a", tolerate=0.29)]], outcome).run()
    assert run["r"].status == "done"


def test_the_most_frequent_failure_is_told_and_ties_do_not_depend_on_time(program):
    def outcome(worker, input):
        if worker == "list":
            return list(range(6))
        return Failure(("timeout", "crashed")[input["v"] % 2], f"no {input['v']}")

    said = set()
    for order in ("first", "last", 1, 2, 3):
        run = StepRun(program, [[LIST, each("r", "a")]], outcome, order).run()
        said.add((run["r"].failure.mode, run["r"].failure.message))
    assert said == {("timeout", "6 of 6 items failed, 3 of them so: no 0")}


def test_what_reads_a_failed_step_fails_and_what_ran_stays(program):
    decision = [LIST, each("r", "a"), each("s", "r", "calc"),
                {"id": "t", "worker": "get", "input": {"v": {"$from": "r"}}}]  # fmt: skip
    run = StepRun(program, [decision], failing(*range(6))).run()
    assert run["s"].failure.mode == run["t"].failure.mode == "unmet_reference"
    assert run.end.status == "finished"


def test_a_step_that_made_no_item_has_the_failures_of_what_it_dropped():
    program = program_with("max_parallel = 1  breaker { after = 2  canary = 0 }")
    late = each("s", "a", after=["r"])
    run = StepRun(program, [[LIST, each("r", "a"), late]], failing(*range(6)), "first").run()
    assert len(run["s"].items) == 0
    assert [one["item"] for one in view_of(run["s"], "failures")] == list(range(6))
    assert view_of(run["s"], "outputs") == []
