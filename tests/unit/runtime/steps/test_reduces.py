"""`reduce`: a tree of calls until one value is left."""

from __future__ import annotations

import pytest
from step_runs import StepRun, ids, program_with

from engine.errors import Failure
from engine.sema.plans.counts import reduce_calls

LIST = {"id": "a", "worker": "list", "input": {}}


@pytest.fixture(scope="module")
def program():
    return program_with("max_parallel = 4")


def reduce(size=2, worker="sum", **more):
    return {"id": "m", "worker": worker, "reduce": {"$from": "a"}, "size": size,
            "input": {"parts": {"$parts": True}}, **more}  # fmt: skip


def adding(values):
    return lambda worker, input: values if worker == "list" else sum(input["parts"])


@pytest.mark.parametrize("order", ["first", "last", 5])
def test_groups_are_contiguous_and_a_single_part_passes_up_without_a_call(program, order):
    seen = {}

    def outcome(worker, input):
        if worker == "list":
            return [["a"], ["b"], ["c"], ["d"], ["e"]]
        joined = [letter for part in input["parts"] for letter in part]
        seen["".join(joined)] = len(input["parts"])
        return joined

    run = StepRun(program, [[LIST, reduce(worker="fold")]], outcome, order).run()
    assert run["m"].output == list("abcde")
    assert seen == {"ab": 2, "cd": 2, "abcd": 2, "abcde": 2}
    assert ids(run["m"]) == ["m[0.0]", "m[0.1]", "m[1.0]", "m[2.0]"]


@pytest.mark.parametrize("shape", [{"size": 2.0}, {"reduce": {"$from": "a", "take": 2.0}}])
def test_a_whole_number_may_be_written_with_a_point(program, shape):
    """JSON Schema takes 2.0 for a whole number, and a model may write it so."""
    run = StepRun(program, [[LIST, reduce(**shape)]], adding([1] * 2)).run()
    assert run["m"].output == 2


@pytest.mark.parametrize(("values", "size"), [(2, 2), (7, 3), (10, 10), (11, 10), (100, 2)])
def test_the_number_of_calls_is_known(program, values, size):
    run = StepRun(program, [[LIST, reduce(size)]], adding([1] * values)).run()
    assert run["m"].output == values
    assert len(run["m"].items) == reduce_calls(values, size) == run["m"].allowed


def test_it_waits_for_its_list_and_a_group_does_not_wait_for_its_level(program):
    run = StepRun(program_with("max_parallel = 1"), [[LIST, reduce()]], adding([1] * 4)).run()
    assert run.made("m") == ["m[0.0]", "m[0.1]", "m[1.0]"]
    run = StepRun(program, [[LIST, reduce()]], adding([1] * 6), "last").run()
    assert run.made("m").index("m[1.0]") < run.made("m").index("m[2.0]")


def test_one_value_needs_no_call_and_none_gives_empty(program):
    assert StepRun(program, [[LIST, reduce()]], adding([7])).run()["m"].output == 7
    run = StepRun(program, [[LIST, reduce(empty=0)]], adding([])).run()
    assert (run["m"].output, run["m"].items) == (0, {})
    run = StepRun(program, [[LIST, reduce()]], adding([])).run()
    assert run["m"].failure.mode == "unmet_reference"


@pytest.mark.parametrize("later", [False, True])
def test_what_gave_empty_may_be_of_another_type_than_its_worker_gives(program, later):
    """A reference to it is taken in the decision that it is in, and in every later one."""
    reader = {"id": "t", "worker": "text", "input": {"v": {"$from": "m"}}}
    decision = [LIST, reduce(empty="none")]
    decisions = [decision, [reader]] if later else [[*decision, reader]]
    finish = {"assessment": "", "finish": {"$from": "m"}}
    text = program_with(result="string")

    def outcome(worker, input):
        return [] if worker == "list" else {"text": input["v"], "size": 1}

    run = StepRun(text, [*decisions, finish], outcome).run()
    assert [one for round in run.loop.rounds for one in round.rejected] == []
    assert run["t"].output == {"text": "none", "size": 1}
    assert (run.end.status, run.loop.result) == ("finished", "none")


def test_one_value_of_another_type_takes_a_call():
    more = """---
worker say(parts: json[]) -> string via command { run = ["w"]  effect = read }
"""
    program = program_with(more=more, workers=("list", "say"))
    run = StepRun(
        program, [[LIST, reduce(worker="say")]], lambda w, i: [7] if w == "list" else str(i)
    ).run()
    assert run["m"].output == "{'parts': [7]}"
    assert ids(run["m"]) == ["m[0.0]"]


@pytest.mark.parametrize("order", ["first", "last", 5])
def test_a_failed_call_fails_the_step_and_finished_groups_stay(program, order):
    def outcome(worker, input):
        if worker == "list":
            return [1, 2, 3, 4, 5, 6]
        if worker == "get":
            return input["v"]
        return Failure("crashed", "no") if 3 in input["parts"] else sum(input["parts"])

    decision = [LIST, reduce(), {"id": "t", "worker": "get", "input": {"v": {"$from": "m[0.0]"}}}]
    run = StepRun(program, [decision], outcome, order).run()
    assert run["m"].failure.mode == "crashed"
    assert "m[0.1]" in run["m"].failure.message
    assert run["m"].partial[0] in (3, 11)


@pytest.mark.parametrize("worker", ["put_all", "pay_all"])
def test_effects_are_refused(worker):
    more = """---
worker put_all(parts: int[]) -> int via command { run = ["w"]  effect = write }
worker pay_all(parts: int[]) -> int via command { run = ["w"]  effect = once }
"""
    program = program_with(more=more, workers=("list", "put_all", "pay_all"))
    run = StepRun(program, [[LIST, reduce(worker=worker)]], adding([1, 2])).run()
    assert worker in run.loop.rounds[0].rejected[0]
    assert run.made() == []
