"""Items are tasks: how they are numbered, named, keyed and found."""

from __future__ import annotations

import pytest
from step_runs import StepRun, ids, item, program_with

from engine.errors import Failure
from engine.events import CallStarted
from engine.runtime.ports import WorkerRequest


@pytest.fixture(scope="module")
def program():
    return program_with("max_parallel = 4")


def source(values):
    """A worker `list` that gives these values, and others that give their input back."""
    return lambda worker, input: values if worker == "list" else input["v"]


LIST = {"id": "a", "worker": "list", "input": {}}


def each(id, selection, worker="get", **more):
    selection = {"$from": selection} if isinstance(selection, str) else selection
    input = more.pop("input", {"v": item()})
    return {"id": id, "worker": worker, "each": selection, "input": input, **more}


def test_an_item_is_numbered_by_its_place_before_any_shaper(program):
    selection = {"$from": "a", "where": [[{"value": item("/n"), "is": ">", "than": 1}]],
                 "sort_by": "/n", "desc": True, "take": 2}  # fmt: skip
    values = [{"n": n} for n in (1, 3, 0, 2, 5)]
    run = StepRun(program, [[LIST, each("r", selection)]], source(values)).run()
    assert ids(run["r"]) == ["r[1]", "r[4]"]
    assert run["r"].output == [{"n": 3}, {"n": 5}]  # in the order of the source
    assert run.made("r") == ["r[4]", "r[1]"]  # and started in the order of the selection


def test_failures_and_skips_leave_gaps_and_an_each_over_an_each_inherits_numbers(program):
    def outcome(worker, input):
        if worker == "list":
            return [0, 1, 2, 3, 4]
        return Failure("crashed", "odd") if worker == "get" and input["v"] % 2 else input["v"]

    decision = [LIST, each("r", "a"), each("s", "r", "calc"), each("t", "s", "calc")]
    for order in ("first", "last", 7):
        run = StepRun(program, [decision], outcome, order).run()
        assert ids(run["s"]) == ["s[0]", "s[2]", "s[4]"]
        assert ids(run["t"]) == ["t[0]", "t[2]", "t[4]"]
        assert run["t"].output == [0, 2, 4]


def test_flatten_adds_a_number_and_several_sources_begin_with_theirs(program):
    values = [{"l": [1, 2]}, {"l": []}, {"l": [3]}]
    flat = {"$from": "a", "flatten": "/l"}
    both = {"$from": ["r", "a"], "flatten": "/l"}
    decision = [LIST, each("f", flat), each("r", "a"), each("b", both)]
    run = StepRun(program, [decision], source(values)).run()
    assert ids(run["f"]) == ["f[0.0]", "f[0.1]", "f[2.0]"]
    assert run["f"].output == [1, 2, 3]
    assert ids(run["b"]) == ["b[0.0.0]", "b[0.0.1]", "b[0.2.0]", "b[1.0.0]", "b[1.0.1]", "b[1.2.0]"]


def test_a_list_of_one_source_is_the_source(program):
    run = StepRun(program, [[LIST, each("r", {"$from": ["a"]})]], source([5])).run()
    assert ids(run["r"]) == ["r[0]"]


def test_index_is_the_number(program):
    decision = [
        LIST,
        each("r", "a", input={"v": {"$index": True}}),
        each("s", {"$from": "a", "flatten": True}, input={"v": {"$index": True}}),
    ]
    run = StepRun(program, [decision], source([["x"], ["y", "z"]])).run()
    assert run["r"].output == [0, 1]
    assert run["s"].output == ["0.0", "1.0", "1.1"]


def test_entries_makes_keys_and_values_of_a_map(program):
    selection = {"$from": "a", "at": "/m", "entries": True}
    run = StepRun(program, [[LIST, each("r", selection)]], source({"m": {"x": 1, "y": 2}})).run()
    assert run["r"].output == [{"key": "x", "value": 1}, {"key": "y", "value": 2}]


def test_an_item_can_be_referred_to_by_its_id(program):
    decision = [
        LIST,
        each("r", "a"),
        {"id": "t", "worker": "get", "input": {"v": {"$from": "r[1]", "at": "/n"}}},
        {"id": "u", "worker": "get", "input": {"v": {"$from": "r[7]"}}},
    ]
    run = StepRun(program, [decision], source([{"n": 1}, {"n": 2}])).run()
    assert run["t"].output == 2
    assert run["u"].failure.mode == "unmet_reference"
    assert "no item `r[7]`" in run["u"].failure.message


def test_an_item_of_a_skipped_step_is_null(program):
    never = [[{"value": {"$from": "a"}, "is": "empty"}]]
    decision = [
        LIST,
        each("r", "a", when=never),
        {"id": "t", "worker": "get", "input": {"v": {"$from": "r[1]"}}},
        {"id": "u", "worker": "text", "input": {"v": {"$from": "r[1]"}}},
    ]
    run = StepRun(program, [decision], source(["x"])).run()
    assert (run["t"].status, run["t"].output) == ("done", None)
    assert run["u"].status == "skipped"


def test_the_key_of_an_item_ends_in_a_hash_of_its_input(program):
    seen = {}

    class Keys(StepRun):
        def start(self, command):
            if isinstance(command.request, WorkerRequest):
                seen[command.key] = command.request.task_key
            super().start(command)

    run = Keys(program, [[LIST, each("r", "a")]], source(["x", "y"])).run()
    keys = [seen["round 1 / decision 1 / task r[0]"], seen["round 1 / decision 1 / task r[1]"]]
    assert keys[0].startswith("r/round1/decision1/taskr[0]#")
    assert keys[0].rpartition("#")[2] != keys[1].rpartition("#")[2]
    started = [e.key for e in run.journal if isinstance(e, CallStarted)]
    assert started[2] == "round 1 / decision 1 / task r[0]"


def test_a_label_is_a_text_and_never_fails_an_item(program):
    values = [{"name": "a\n b"}, {"name": "x" * 200}, {}, {"name": 7}]
    decision = [LIST, each("r", "a", label=item("/name"))]
    run = StepRun(program, [decision], source(values)).run()
    labels = [task.label for task in run["r"].items.values()]
    assert labels == ["a b", "x" * 77 + "...", "", "7"]


def test_an_empty_list_gives_an_empty_list(program):
    decision = [LIST, each("r", "a"), each("s", "r"), each("t", {"$from": "s", "take": 0})]
    run = StepRun(program, [decision], source([])).run()
    assert [(run[name].status, run[name].output) for name in "rst"] == [("done", [])] * 3
