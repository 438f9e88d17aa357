"""What steps may become: lazily, within every bound, and with a breaker."""

from __future__ import annotations

import pytest
from step_runs import StepRun, item, program_with

from engine.errors import Failure
from engine.events import CancelRequested, TimerFired

LIST = {"id": "a", "worker": "list", "input": {}}
QUIET = "breaker { after = 100000  canary = 0 }"


def each(id, selection, worker="get", **more):
    selection = {"$from": selection} if isinstance(selection, str) else selection
    return {"id": id, "worker": worker, "each": selection, "input": {"v": item()}, **more}


def gives(values):
    return lambda worker, input: (
        values if worker == "list" else sum(input["parts"]) if "parts" in input else input["v"]
    )


def failing(values, mode="crashed"):
    return lambda worker, input: values if worker == "list" else Failure(mode, "no")


# ---------------------------------------------------------------- lazily


@pytest.mark.parametrize(
    ("more", "most"),
    [({}, 6), ({"parallel": 2}, 2), ({"parallel": 50}, 6), ({"in_order": True}, 1)],
)
def test_a_step_makes_at_most_twice_max_parallel_tasks_ahead(more, most):
    program = program_with(f"max_parallel = 3  {QUIET}")
    run = StepRun(program, [[LIST, each("r", "a", **more)]], gives(list(range(40)))).run()
    assert run.most_open["r"] == most
    assert run.most_running == min(most, 3)
    assert len(run["r"].output) == 40


def test_in_order_runs_them_in_the_order_of_the_selection():
    program = program_with("max_parallel = 3")
    selection = {"$from": "a", "sort_by": "", "desc": True}
    run = StepRun(program, [[LIST, each("r", selection, in_order=True)]], gives([1, 3, 2]), "last")
    assert run.run().made("r") == ["r[1]", "r[2]", "r[0]"]


@pytest.mark.parametrize("entry", [
    each("r", "a", "calc"),
    each("r", {"$from": "a", "sort_by": ""}, "calc"),
    {"id": "r", "worker": "total", "reduce": {"$from": "a"}, "size": 2,
     "input": {"parts": {"$parts": True}}},
])  # fmt: skip
def test_no_machine_step_makes_more_than_500(entry):
    """Work that is known ends at once, so one step could make all of it; a timer continues."""
    more = """---
worker total(parts: int[]) -> int via python { call = "builtins:sum"  effect = pure }
"""
    workers = ("list", "calc", "total")
    program = program_with(f"max_parallel = 900  {QUIET}", more, workers)
    first = [LIST, entry]
    again = [{**entry, "id": "again", "after": []}]
    run = StepRun(program, [first, again], gives([1] * 1_300)).run()
    assert run.end.status == "finished"
    assert (run["again"].status, run["r"].status) == ("done", "done")
    assert len(run["again"].items) >= 1_299
    assert not run.made("again") or run["again"].spec.worker == "total"
    assert run.most_made <= 500
    assert any(isinstance(event, TimerFired) for event in run.journal)
    assert not run.state.timers


def test_the_timer_of_a_step_goes_with_its_run():
    program = program_with(f"max_parallel = 1  {QUIET}")
    decision = [LIST, each("r", "a", "text")]
    run = StepRun(program, [decision], gives([1] * 2_000), "last")  # no input fits
    run.begin()
    while not run.state.timers:
        run.turn()
    run.happen(CancelRequested(reason="enough"))
    assert run.end.status == "cancelled"
    assert not run.state.timers


def test_a_source_has_at_most_100_000_values():
    program = program_with(QUIET)
    run = StepRun(program, [[LIST, each("r", "a")]], gives([0] * 100_001)).run()
    assert "at most 100000" in run["r"].failure.message
    assert run.made("r") == []


def test_flattened_and_repeated_sources_count_too():
    program = program_with(QUIET)
    flat = each("r", {"$from": "a", "flatten": True})
    run = StepRun(program, [[LIST, flat]], gives([[0] * 60_000] * 2)).run()
    assert run["r"].failure.message == "its sources have more than 100000 values"
    none = [[{"value": item(), "is": ">", "than": 1}]]
    many = each("r", {"$from": ["a"] * 100, "where": none})
    run = StepRun(program, [[LIST, many]], gives([0] * 60_000)).run()
    assert run["r"].failure.message == "its sources have more than 100000 values"


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    "bound",
    ["max_items = 12", "max_dispatches = 12", "limit"],
)
def test_what_does_not_fit_fails_whole_before_any_of_it_starts(bound):
    limit = "limit get { max_dispatches = 12 }" if bound == "limit" else ""
    program = program_with(f"max_parallel = 3  {bound if not limit else ''}", limit)
    decision = [LIST, each("r", "a"), {"id": "t", "worker": "calc", "input": {"v": 1}}]
    run = StepRun(program, [decision], gives(list(range(13)))).run()
    assert run["r"].failure.mode == "over_budget"
    assert run.made() == ["a", "t"]
    assert (run["t"].status, run.loop.dispatches) == ("done", 2)
    fits = 12 if limit else 10
    run = StepRun(program, [decision], gives(list(range(fits)))).run()
    assert len(run["r"].output) == fits
    assert run.loop.dispatches == fits + 2


def test_reduce_calls_count():
    program = program_with("max_items = 8")
    entry = {"id": "m", "worker": "sum", "reduce": {"$from": "a"}, "size": 2,
             "input": {"parts": {"$parts": True}}}  # fmt: skip
    assert StepRun(program, [[LIST, entry]], gives([1] * 8)).run()["m"].output == 8
    run = StepRun(program, [[LIST, entry]], gives([1] * 9)).run()
    assert run["m"].failure.mode == "over_budget"
    assert run.made("m") == []


def test_where_values_flow_in_what_has_started_is_finished():
    program = program_with("max_items = 10  max_parallel = 2")
    decision = [LIST, each("r", "a"), each("s", "r", "calc")]
    run = StepRun(program, [decision], gives(list(range(6)))).run()
    assert run["r"].status == "done"
    assert run["s"].failure.mode == "over_budget"
    assert run["s"].partial == [0]
    assert run.loop.current.items <= 10


def test_max_items_counts_for_each_decision_and_max_dispatches_for_the_run():
    program = program_with("max_items = 6  max_dispatches = 9")
    decisions = [[LIST, each("r", "a")], [each("s", "a", "calc")], [each("u", "a")]]
    run = StepRun(program, decisions, gives([1, 2, 3])).run()
    assert (run["s"].status, run["u"].failure.mode) == ("done", "over_budget")


def test_max_per_round_counts_entries():
    program = program_with("max_per_round = 2  max_items = 100")
    run = StepRun(program, [[LIST, each("r", "a")]], gives(list(range(9)))).run()
    assert run["r"].status == "done"
    run = StepRun(program, [[LIST, each("r", "a"), each("s", "a")]], gives([1])).run()
    assert run.loop.rounds[0].rejected


def test_a_limit_puts_a_step_after_another_worker():
    program = program_with("", "limit put { after = [get] }")
    decision = [LIST, each("p", "a", "put"), each("r", "a")]
    run = StepRun(program, [decision], gives([1, 2])).run()
    assert run.made() == ["a", "r[0]", "r[1]", "p[0]", "p[1]"]
    outcome = lambda w, i: [1] if w == "list" else Failure("crashed", "no")  # noqa: E731
    run = StepRun(program, [decision], outcome).run()
    assert run["p"].failure.mode == "unmet_reference"
    assert run.made("p") == []


# ---------------------------------------------------------------- breaker and canary


def test_112_identical_failures_take_one_task():
    program = program_with("max_parallel = 8")
    run = StepRun(program, [[LIST, each("r", "a")]], failing(list(range(112)))).run()
    assert run.made("r") == ["r[0]"]
    assert run["r"].failure.mode == "denied"
    assert "breaker: the first item of `r` failed with `crashed`" in run["r"].failure.message


@pytest.mark.parametrize("more", [{}, {"in_order": True}, {"parallel": 1}])
def test_the_first_canary_items_run_alone(more):
    program = program_with("max_parallel = 8  breaker { after = 100  canary = 3 }")
    run = StepRun(program, [[LIST, each("r", "a", **more)]], failing(list(range(20)))).run()
    assert run.made("r") == ["r[0]", "r[1]", "r[2]"]
    assert "the first 3 items" in run["r"].dropped[0][2].message


def test_canaries_that_come_one_by_one_are_looked_at_together():
    program = program_with("max_parallel = 1  breaker { after = 100  canary = 3 }")
    outcome = lambda w, i: (  # noqa: E731
        [0, 1, 2, 3, 4] if w == "list" else i["v"] if w == "get" else
        Failure("crashed", "no") if i["v"] == 0 else i["v"]
    )  # fmt: skip
    run = StepRun(program, [[LIST, each("r", "a"), each("s", "r", "calc")]], outcome).run()
    assert run["s"].output == [1, 2, 3, 4]


def test_canaries_that_fail_in_different_ways_let_the_others_start():
    program = program_with("max_parallel = 8  breaker { after = 100  canary = 2 }")
    outcome = lambda w, i: (  # noqa: E731
        list(range(6)) if w == "list" else
        Failure(("crashed", "timeout")[i["v"]], "no") if i["v"] < 2 else i["v"]
    )  # fmt: skip
    run = StepRun(program, [[LIST, each("r", "a")]], outcome).run()
    assert run["r"].output == [2, 3, 4, 5]


def test_it_opens_after_so_many_alike_in_a_row_and_with_items_in_flight():
    program = program_with("max_parallel = 3  breaker { after = 4  canary = 0 }")
    outcome = lambda w, i: (  # noqa: E731
        list(range(30)) if w == "list" else i["v"] if i["v"] in (2, 9) else Failure("crashed", "n")
    )  # fmt: skip
    run = StepRun(program, [[LIST, each("r", "a")]], outcome).run()
    # 0 and 1 fail, 2 resets; 3 to 6 open it while 7 and 8 are under way, and those are finished.
    assert run.made("r") == [f"r[{n}]" for n in range(9)]
    step = run["r"]
    assert step.output == [2]
    modes = [task.failure.mode for task in step.items.values() if task.failure]
    assert modes.count("crashed") == 8
    assert len(step.items) + len(step.dropped) == 30
    assert step.dropped[0][2].message == "breaker: 4 tasks of `get` in a row failed with `crashed`"


@pytest.mark.parametrize("mode", ["denied", "over_budget", "unmet_reference"])
def test_failures_that_say_nothing_about_the_worker_do_not_count(mode):
    program = program_with("max_parallel = 3  breaker { after = 2  canary = 1 }")
    run = StepRun(program, [[LIST, each("r", "a")]], failing(list(range(9)), mode)).run()
    assert len(run["r"].items) == 9


def test_it_closes_with_the_next_decision():
    program = program_with("max_parallel = 3")
    decisions = [[LIST, each("r", "a")], [each("s", "a")]]
    run = StepRun(program, decisions, failing(list(range(9)))).run()
    assert (run.made("r"), run.made("s")) == (["r[0]"], ["s[0]"])


def test_an_item_that_is_to_be_made_again_has_begun_and_is_not_kept_back():
    more = """
  verify { after_dispatch get { with = fine  on_fail = revise  max_revisions = 1 } }
---
verifier fine(output: json, log: json) via rules { assert log | length > 6 else "more" }
"""
    program = program_with("max_parallel = 1  breaker { after = 1  canary = 0 }", more)
    outcome = lambda w, i: (  # noqa: E731
        [0, 1] if w == "list" else i["v"] if i["v"] == 0 else Failure("crashed", "no")
    )  # fmt: skip
    run = StepRun(program, [[LIST, each("r", "a")]], outcome).run()
    assert run["r"].items[1,].failure.mode == "crashed"
    assert run.made("r").count("r[0]") == 2


# ---------------------------------------------------------------- writes


def order_of(run):
    return [id.partition("[")[0] for id in run.made()]


def test_writes_keep_the_written_order_between_tasks_and_steps():
    program = program_with("max_parallel = 8")
    decision = [
        {"id": "w1", "worker": "put", "input": {"v": {"$from": "late"}}},
        each("w2", "a", "put"),
        {"id": "w3", "worker": "pay", "input": {"v": 1}},
        {"id": "any", "worker": "put_any", "input": {"v": 1}},
        LIST,
        {"id": "late", "worker": "get", "input": {"v": {"$from": "a"}}},
    ]
    for order in ("first", "last", 3):
        run = StepRun(program, [decision], gives([1, 2]), order).run()
        writes = [id for id in order_of(run) if id.startswith("w")]
        assert writes == ["w1", "w2", "w2", "w3"], order
        assert order_of(run).index("any") < order_of(run).index("w1")


def test_a_write_that_needs_a_later_one_comes_after_it():
    program = program_with("max_parallel = 8")
    decision = [
        {"id": "w1", "worker": "put", "input": {"v": {"$from": "w3"}}},
        {"id": "w2", "worker": "put", "input": {"v": 2}},
        {"id": "w3", "worker": "put", "input": {"v": 3}},
    ]
    assert StepRun(program, [decision]).run().made() == ["w3", "w1", "w2"]


def test_a_long_chain_of_entries_is_neither_deep_nor_slow():
    program = program_with("max_parallel = 8  max_per_round = 1000")
    chain = [each(f"s{n}", f"s{n - 1}" if n else "a") for n in range(900)]
    run = StepRun(program, [[LIST, *reversed(chain)]], gives([])).run()
    assert run["s899"].output == []
    chain = [
        {"id": f"w{n}", "worker": "put", "input": {"v": {"$from": f"w{n - 1}"} if n else 1}}
        for n in range(900)
    ]
    run = StepRun(program, [list(reversed(chain))], gives([])).run()
    assert run["w899"].status == "done"
