"""Runs with steps that are resumed, retried, and forked: what stays, and what is done again."""

from __future__ import annotations

import pytest
from step_runs import NAMES, StepRun, item, program_with, with_plan

from engine.errors import Failure
from engine.events import (
    CallStarted,
    CancelRequested,
    GateAnswered,
    RunForked,
    RunResumed,
    RunRetried,
)
from engine.runtime.machine import step
from engine.runtime.steps.filling import view_of
from engine.sema.plans.selection import Selection
from engine.sema.plans.steps import EachStep, Plan, TaskStep
from engine.sema.plans.values import FromItem, FromStep

LIST = {"id": "a", "worker": "list", "input": {}}


@pytest.fixture(scope="module")
def program():
    return program_with("max_rounds = 1  max_parallel = 4  breaker { after = 99  canary = 0 }")


def each(id, selection, worker="get", **more):
    selection = {"$from": selection} if isinstance(selection, str) else selection
    return {"id": id, "worker": worker, "each": selection, "input": {"v": item()}, **more}


def failing(*bad, worker="get", mode="crashed"):
    def outcome(name, input):
        if name == "list":
            return [0, 1, 2, 3]
        if "parts" in input:
            return sum(input["parts"])
        return Failure(mode, "no") if name == worker and input["v"] in bad else input["v"]

    return outcome


def test_what_failed_is_tried_again_and_what_read_it_is_done_again(program):
    total = {"id": "m", "worker": "sum", "reduce": {"$from": "r"}, "size": 2,
             "input": {"parts": {"$parts": True}}}  # fmt: skip
    decision = [
        LIST,
        each("r", "a"),
        each("s", "r", "calc"),
        total,
        {"id": "t", "worker": "get", "input": {"v": {"$from": "m"}}},
        {"id": "u", "worker": "get", "input": {"v": {"$from": "r", "at": "/0"}}},
    ]
    run = StepRun(program, [decision], failing(1)).run()
    assert (run["s"].output, run["t"].output) == ([0, 2, 3], 5)
    again = run.retried(failing()).drive()
    assert (again["s"].output, again["t"].output) == ([0, 1, 2, 3], 6)
    # `u` read a part that is what it was; the sums of 0 and 2 and of 2 and 3 are other inputs.
    assert again.made() == ["r[1]", "s[1]", "m[0.0]", "m[0.1]", "m[1.0]", "t"]
    given = [task.id for task in again.loop.done["get"]]
    assert sorted(given) == ["r[0]", "r[1]", "r[2]", "r[3]", "t", "u"]


def test_only_what_is_done_again_is_taken_out_of_the_outputs(program):
    """Another task of that worker has given the same value."""
    decision = [
        LIST,
        each("r", "a"),
        {"id": "t", "worker": "number", "input": {"v": {"$from": "r"}}},
        {"id": "u", "worker": "number", "input": {"v": 1}},
    ]
    bad = failing(1)
    given = lambda w, i: 3 if w == "number" else bad(w, i)  # noqa: E731
    run = StepRun(program, [decision], given).run()
    assert {task.id for task in run.loop.done["number"]} == {"t", "u"}
    again = run.retried(lambda w, i: 3 if w == "number" else failing()(w, i))
    assert [task.id for task in again.loop.done["number"]] == ["u"]
    assert [task.id for task in again.drive().loop.done["number"]] == ["u", "t"]


def test_forward_references_and_long_ways(program):
    """Entries may refer to each other in any order, and a task may lie between two steps."""
    decision = [
        {"id": "z", "worker": "get", "input": {"v": {"$from": "y", "at": "/0"}}},
        each("y", {"$from": "x"}, "calc"),
        {"id": "x", "worker": "calc", "input": {"v": {"$from": "r"}}},
        each("r", {"$from": "a", "sort_by": ""}),
        LIST,
    ]
    run = StepRun(program, [decision], failing(0)).run()
    assert run["z"].output == 1
    assert run.retried(failing()).drive()["z"].output == 0


def test_a_write_that_is_done_keeps_its_result_though_what_it_read_has_changed(program):
    decision = [
        LIST,
        each("r", "a"),
        {"id": "w", "worker": "put", "input": {"v": {"$from": "r"}}},
        each("p", {"$from": "r", "pairs": True}, "put"),
    ]
    run = StepRun(program, [decision], failing(1)).run()
    again = run.retried(failing()).drive()
    assert again.made() == ["r[1]"]
    assert again["w"].output == [0, 2, 3]
    assert len(again["p"].output) == 3


def test_a_write_that_was_skipped_has_changed_nothing_and_is_let_in(program):
    decision = [
        LIST,
        each("r", "a", tolerate=0),
        {"id": "w", "worker": "put", "input": {"v": 1},
         "when": [[{"value": {"$from": "r"}, "is": "ok"}]]},
    ]  # fmt: skip
    run = StepRun(program, [decision], failing(1)).run()
    assert run["w"].status == "skipped"
    assert run.retried(failing()).drive()["w"].status == "done"


def test_a_once_item_that_had_begun_is_not_begun_again(program):
    decision = [LIST, each("p", "a", "pay")]
    run = StepRun(program, [decision], failing(1, worker="pay", mode="declined")).run()
    assert run["p"].items[1,].failure is not None
    again = run.retried(failing()).drive()
    assert again.made() == []
    assert again["p"].output == [0, 2, 3]


def test_a_once_item_that_never_began_begins(program):
    decision = [LIST, each("p", "a", "pay", in_order=True)]
    run = StepRun(program, [decision], failing())
    run.begin()
    while not run.made("p"):
        run.turn()
    run.happen(CancelRequested(reason="enough"))
    run.drive()
    assert run.made("p") == ["p[0]"]
    again = run.retried(failing()).drive()
    assert again.made() == ["p[1]", "p[2]", "p[3]"]
    assert again["p"].output == [0, 1, 2, 3]


def test_what_a_person_denied_stays_denied_and_what_the_breaker_kept_back_runs():
    program = program_with("max_rounds = 1  max_parallel = 4  breaker { after = 2  canary = 1 }")
    run = StepRun(program, [[LIST, each("r", "a")]], failing(0, 1, 2, 3, mode="denied")).run()
    assert run.retried(failing()).drive().made() == []
    run = StepRun(program, [[LIST, each("r", "a")]], failing(0, 1, 2, 3)).run()
    assert run["r"].failure.mode == "denied"
    again = run.retried(failing()).drive()
    assert again["r"].output == [0, 1, 2, 3]


def test_a_bound_that_did_not_let_a_step_begin_holds_in_a_retry():
    program = program_with("max_rounds = 1  max_items = 4")
    run = StepRun(program, [[LIST, each("r", "a")]], failing()).run()
    again = run.retried().drive()
    assert again["r"].failure.mode == "over_budget"
    assert again.made() == []
    assert again.loop.current.items <= 4


def test_a_failed_step_that_ran_none_of_its_items_wrong_is_taken_up(program):
    """Its items are done; it has failed of its source."""
    decision = [LIST, each("r", "a", tolerate=0), each("s", "r", "calc")]
    run = StepRun(program, [decision], failing(3)).run()
    assert run["s"].failure.mode == "unmet_reference"
    again = run.retried(failing()).drive()
    assert again["s"].output == [0, 1, 2, 3]


def test_failures_that_are_gone_have_no_items_left(program):
    decision = [LIST, each("r", "a"), each("f", {"$from": "r", "failures": True}, "calc")]
    run = StepRun(program, [decision], failing(1, 2)).run()
    assert len(run["f"].output) == 2
    again = run.retried(failing(2)).drive()
    assert [one["index"] for one in again["f"].output] == [2]
    assert [one["index"] for one in view_of(again["r"], "failures")] == [2]


def test_a_thousand_failed_items_are_not_taken_up_at_once():
    program = program_with("max_rounds = 1  max_parallel = 3  breaker { after = 9999  canary = 0 }")
    outcome = lambda w, i: list(range(1_000)) if w == "list" else Failure("crashed", "no")  # noqa: E731
    run = StepRun(program, [[LIST, each("r", "a")]], outcome).run()
    again = run.retried(lambda w, i: i["v"]).drive()
    assert again["r"].output == list(range(1_000))
    assert again.most_open["r"] == 6
    assert again.most_made <= 500


@pytest.mark.parametrize("cut", range(3, 40, 3))
def test_a_fork_keeps_the_keys_of_what_its_parent_had_started(program, cut):
    run = StepRun(program, [[LIST, each("w", "a", "put"), each("p", "a", "pay")]], failing()).run()
    cut = min(cut, len(run.journal) - 1)
    fork = StepRun(program, [], failing())
    fork.journal = run.journal[:cut]
    for event in fork.journal:
        step(fork.state, event)
    tasks = fork.loop.every_task()
    started = {task.key.replace(" ", "") for task in tasks if task.attempts}
    fork.happen(RunForked(run="f", parent="r", seq=cut))
    fork.answers = lambda gate: {"answer": "not_done"}
    fork.happen(RunResumed())
    fork.drive()
    assert fork.end.status == "exhausted"
    assert fork["p"].output == fork["w"].output == [0, 1, 2, 3]
    for key in fork.keys:
        place = key.partition("/")[2].partition("#")[0]
        assert key.startswith("r/" if place in started else "f/"), key


def test_an_unknown_outcome_of_an_item_is_asked_and_the_others_continue(program):
    decision = [LIST, each("p", "a", "pay")]
    run = StepRun(program, [decision], failing(1, worker="pay", mode="timeout"))
    run.answers = lambda gate: {"answer": "approve", "output": "paid"}
    run.run()
    assert run["p"].output == [0, "paid", 2, 3]
    assert sum(isinstance(event, GateAnswered) for event in run.journal) == 1


def test_rounds_without_a_decision_are_taken_back_to_the_last_results():
    """No plan was made from what failed, so it is tried again; no key is used twice."""
    program = program_with("max_rounds = 3  repair { max = 0 }  breaker { after = 99  canary = 0 }")
    run = StepRun(program, [[LIST, each("r", "a")], "no", "no"], failing(1)).run()
    assert (run.state.status, run.state.bound) == ("exhausted", "max_rounds")
    again = run.retried(failing(), unused=True).drive()
    assert (again.state.status, again["r"].output) == ("finished", [0, 1, 2, 3])
    assert again.made() == ["r[1]"]
    prompt = [block.text for block in again.loop.blocks]
    assert (len(prompt), "crashed" in prompt[-2]) == (5, False)
    asked = [event.key for event in again.journal if isinstance(event, CallStarted)]
    assert len(set(asked)) == len(asked)
    assert asked[-1] == "round 2 / decision 2"


@pytest.mark.parametrize("unused", [False, True])
def test_what_a_decision_has_used_stays(unused):
    program = program_with("max_rounds = 2  breaker { after = 99  canary = 0 }")
    later = {"id": "b", "worker": "get", "input": {"v": 2}}
    run = StepRun(program, [[LIST, each("r", "a")], [later]], failing(1)).run()
    assert run.retried(failing(), unused=unused).drive().made() == []


def test_a_fork_retries_what_failed_before_it_and_keeps_the_rest():
    program = program_with("max_rounds = 3  breaker { after = 99  canary = 0 }")
    run = StepRun(program, [[LIST, each("r", "a")]], failing(1)).run()
    keys = [getattr(event, "key", "") for event in run.journal]
    fork = run._after(keys.index("round 2 / decision 1"), failing(), [])
    for event in (
        RunForked(run="f", parent="r", seq=len(fork.journal)),
        RunRetried(unused=True),
    ):
        step(fork.state, event)  # nothing drives it yet
        fork.journal.append(event)
    fork.happen(RunResumed())
    fork.drive()
    assert (fork.made(), fork["r"].output) == (["r[1]"], [0, 1, 2, 3])
    assert fork.state.status == "finished"


def test_items_that_failed_in_a_plan_that_is_done_are_tried_again():
    """The failures were tolerated there, as in a step of a decision, and no plan has used them."""
    steps = (
        TaskStep(id="s", worker="list", input={}),
        EachStep(id="r", worker="get", input={"v": FromItem()}, each=Selection((FromStep("s"),))),
    )
    more = '---\nworker plan(q: json) -> json via command { run = ["w"]  effect = read }\n'
    program = with_plan(
        program_with("max_rounds = 1  breaker { after = 99  canary = 0 }", more, [*NAMES, "plan"]),
        "plan",
        Plan(steps, FromStep("r"), 100),
    )
    decision = [
        {"id": "p", "worker": "plan", "input": {"q": 1}},
        {"id": "t", "worker": "calc", "input": {"v": {"$from": "p"}}},
    ]
    run = StepRun(program, [decision], failing(1)).run()
    assert (run["p"].output, run["t"].output) == ([0, 2, 3], [0, 2, 3])
    again = run.retried(failing(), unused=True).drive()
    assert (again["p"].output, again["t"].output) == ([0, 1, 2, 3], [0, 1, 2, 3])
    assert again.made() == ["r[1]", "t"]
    assert again.loop.outputs["plan"] == [[0, 1, 2, 3]]
    assert again.retried(failing(), unused=True).drive().made() == []
