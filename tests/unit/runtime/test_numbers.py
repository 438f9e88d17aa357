"""Whole numbers in a run: what a worker, a URL or a result gets for `int` is an int."""

from __future__ import annotations

import json

PROGRAM = """
param rows: int = 2.0
worker count(n: int) -> { n: int, text: string } via python { call = "tools:count" }
worker big(n: int) -> int via python { call = "tools:big" }
worker echo(n: int) -> string via command { run = ["echo", n]  effect = read  parse = text }
orchestrator main(first: int) -> { n: int, all: int[] } {
  model = planner  goal = "g {{ first }}"  workers = [count, big, echo]
  policy { max_rounds = 5 }
}
"""
TOOLS = """
def count(n):
    return {"n": float(len(range(n))), "text": str(n)}

def big(n):
    return 2 ** n
"""


def test_whole_numbers_are_ints_from_the_input_to_the_result(play, tasks):
    decisions = [
        tasks(
            ("a", "count", {"n": 1e1}),
            ("b", "echo", {"n": 5.0}),
            ("c", "big", {"n": 100.0}),
            ("d", "echo", {"n": {"$from": "a", "at": "/n"}}),
            ("e", "echo", {"n": {"$from": "c"}}),
            ("f", "echo", {"n": 1e21}),
        ),
        {"finish": {"n": 1e3, "all": [-0.0, 2.0**70]}},
    ]
    run = play(PROGRAM, decisions, TOOLS, first=3.0)
    done = {task["id"]: task.get("output") for task in run.report()["history"][0]["tasks"]}
    assert done["a"] == {"n": 10, "text": "10"}
    assert type(done["a"]["n"]) is int
    assert done["b"].strip() == "5"
    assert done["c"] == 2**100
    assert done["d"].strip() == "10"
    assert done["e"].strip() == str(2**100)
    assert done["f"].strip() == "1" + "0" * 21
    assert json.dumps(run.output) == json.dumps({"n": 1000, "all": [0, 2**70]})


def test_params_are_ints_too(load):
    workflow = load(PROGRAM, TOOLS)
    assert repr(workflow.program.params["rows"].value) == "2"
