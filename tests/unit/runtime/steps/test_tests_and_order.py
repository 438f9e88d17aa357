"""Tests, `when`, skips, sorting, uniqueness."""

from __future__ import annotations

import pytest
from step_runs import StepRun, ids, item, program_with

from engine.errors import Failure
from engine.sema.plans.conditions import compare

LIST = {"id": "a", "worker": "list", "input": {}}


@pytest.fixture(scope="module")
def program():
    return program_with("max_parallel = 4")


def gives(values):
    return lambda worker, input: values if worker == "list" else input.get("v")


def each(id, selection, worker="get", **more):
    selection = {"$from": selection} if isinstance(selection, str) else selection
    return {"id": id, "worker": worker, "each": selection, "input": {"v": item()}, **more}


@pytest.mark.parametrize(
    ("left", "operator", "right", "holds"),
    [
        (1, "==", 1.0, True),
        (1, "==", True, False),
        (0, "==", False, False),
        (None, "==", None, True),
        ({"a": [1]}, "==", {"a": [1.0]}, True),
        ("1", "==", 1, False),
        ("B", "<", "a", True),
        ("ä", ">", "z", True),
        (1, "<", 1.5, True),
        (True, "<", 2, False),
        ("a", "<", 2, False),
        (None, "<", 2, False),
        (2, ">=", None, False),
        (None, "in", [None], False),
        (1, "in", [1.0], True),
        ("b", "in", "abc", True),
        ("k", "in", {"k": 1}, True),
        (1, "in", 1, False),
        (1, "in", None, False),
        ([], "<", [1], False),
    ],
)
def test_values_are_compared(left, operator, right, holds):
    assert compare(left, operator, right) is holds


def test_a_pointer_to_nothing_is_null_in_a_test(program):
    values = [{"x": 1}, {}, {"x": None}]
    where = [[{"value": item("/x"), "is": "==", "than": None}]]
    less = [[{"value": item("/x"), "is": "<", "than": 9}]]
    empty = [[{"value": item("/x"), "is": "empty"}]]
    decision = [
        LIST,
        each("r", {"$from": "a", "where": where}),
        each("s", {"$from": "a", "where": less}),
        each("t", {"$from": "a", "where": empty}),
    ]
    run = StepRun(program, [decision], gives(values)).run()
    assert (ids(run["r"]), ids(run["s"])) == (["r[1]", "r[2]"], ["s[0]"])
    assert ids(run["t"]) == ["t[1]", "t[2]"]


def test_any_of_all(program):
    where = [
        [{"value": item(), "is": ">", "than": 1}, {"value": item(), "is": "<", "than": 3}],
        [{"value": {"$index": True}, "is": "==", "than": 4}],
    ]
    run = StepRun(program, [[LIST, each("r", {"$from": "a", "where": where})]],
                  gives([0, 1, 2, 3, 0])).run()  # fmt: skip
    assert ids(run["r"]) == ["r[2]", "r[4]"]


def test_what_a_test_of_items_may_ask_of_other_steps(program):
    """`ok` and `failed` too, and a value of another output."""
    where = [[{"value": {"$from": "a"}, "is": "ok"},
              {"value": item(), "is": ">=", "than": {"$from": "a", "at": "/1"}}]]  # fmt: skip
    run = StepRun(program, [[LIST, each("r", {"$from": "a", "where": where})]], gives([1, 2, 3]))
    assert ids(run.run()["r"]) == ["r[1]", "r[2]"]


@pytest.mark.parametrize("desc", [False, True])
def test_sorting_is_stable_and_nulls_come_last_both_ways(program, desc):
    values = [{"k": k, "n": n} for n, k in enumerate((None, 2, "b", 1, 2, "a", None, True))]
    by = {"$from": "a", "sort_by": "/k", **({"desc": True} if desc else {})}
    run = StepRun(program_with("max_parallel = 1"), [[LIST, each("r", by)]], gives(values)).run()
    order = [int(id[2:-1]) for id in run.made("r")]
    assert order == ([7, 2, 5, 1, 4, 3, 0, 6] if desc else [3, 1, 4, 5, 2, 7, 0, 6])


def test_unique_by_keeps_the_first_of_equal_values(program):
    values = [1, 1.0, True, {"a": 1, "b": 2}, {"b": 2.0, "a": 1}, [1], [1.0], "1", None, None]
    run = StepRun(
        program, [[LIST, each("r", {"$from": "a", "unique_by": ""})]], gives(values)
    ).run()
    assert ids(run["r"]) == ["r[0]", "r[2]", "r[3]", "r[5]", "r[7]", "r[8]"]


@pytest.mark.parametrize(("take", "made"), [(0, 0), (2, 2), (9, 3)])
def test_take(program, take, made):
    run = StepRun(
        program, [[LIST, each("r", {"$from": "a", "take": take})]], gives([1, 2, 3])
    ).run()
    assert len(run["r"].items) == made


NEVER = [[{"value": {"$from": "a"}, "is": "failed"}]]


def test_when_skips_and_skips_spread_to_what_takes_no_null(program):
    decision = [
        LIST,
        {"id": "n", "worker": "get", "input": {"v": 1}, "when": NEVER},
        {"id": "t", "worker": "text", "input": {"v": {"$from": "n"}}},
        {"id": "u", "worker": "text", "input": {"v": {"$from": "t", "at": "/text"}}},
        {"id": "v", "worker": "get", "input": {"v": {"$from": "u"}}},
        each("r", "n"),
        each("s", "r", "calc"),
        {"id": "m", "worker": "sum", "reduce": {"$from": "s"}, "size": 2,
         "input": {"parts": {"$parts": True}}},
        each("w", "a", when=NEVER),
        {"id": "x", "worker": "get", "input": {"v": 1},
         "when": [[{"value": {"$from": "w"}, "is": "failed"}]]},
        {"id": "y", "worker": "get", "input": {"v": 1}, "after": ["w", "m"]},
    ]  # fmt: skip
    for order in ("first", "last"):
        run = StepRun(program, [decision], gives([1]), order).run()
        assert run.loop.rounds[0].rejected == []
        assert {name: run[name].status for name in "nturswmvxy"} == {
            **dict.fromkeys("nturswmx", "skipped"),  # what was skipped has not failed
            **dict.fromkeys("vy", "done"),
        }
        assert run["v"].output is None
        assert all(run[name].failure is None for name in "nturswm")


@pytest.mark.parametrize("late", [True, False])
def test_of_several_sources_one_that_is_skipped_gives_no_values(program, late):
    """Whether it is skipped before the others have given values, or after."""
    waits = {"after": ["last"]} if late else {}
    decision = [
        LIST,
        each("r", "a"),
        {"id": "last", "worker": "get", "input": {"v": {"$from": "r"}}},
        each("n", "a", when=NEVER, **waits),
        each("s", {"$from": ["r", "n"]}, "calc"),
        each("t", {"$from": ["n", "n"]}, "calc"),
    ]
    run = StepRun(program, [decision], gives([5, 6])).run()
    assert (run["s"].status, run["s"].output) == ("done", [5, 6])
    assert run["t"].status == "skipped"


def test_after_waits_for_an_end_whatever_it_was(program):
    def outcome(worker, input):
        return Failure("crashed", "no") if worker == "get" else 1

    decision = [
        {"id": "f", "worker": "get", "input": {"v": 1}},
        {"id": "t", "worker": "calc", "input": {"v": 1}, "after": ["f"]},
    ]
    run = StepRun(program, [decision], outcome, "last").run()
    assert run.made() == ["f", "t"]
    assert run["t"].status == "done"
