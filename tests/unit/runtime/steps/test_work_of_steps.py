"""Ten times the items take about ten times the work, in whatever form they come.

Work is counted in calls of Python functions, so that these tests do not depend on time.
"""

from __future__ import annotations

import pytest
from step_runs import StepRun, item, program_with, with_plan, work_of

from engine.errors import Failure
from engine.sema.plans.steps import Plan, TaskStep
from engine.sema.plans.values import FromInput, FromStep

LIST = {"id": "a", "worker": "list", "input": {}}
EACH = {"id": "r", "worker": "get", "each": {"$from": "a"}, "input": {"v": item()}}
QUIET = "max_parallel = 9  breaker { after = 99999  canary = 0 }"
PARTS = {"parts": {"$parts": True}}

WIDE = {
    "an each": [EACH],
    "each over each over each": [
        EACH,
        {"id": "s", "worker": "get", "each": {"$from": "r"}, "input": {"v": item()}},
        {"id": "t", "worker": "calc", "each": {"$from": "s"}, "input": {"v": item()}},
    ],
    "pairs": [
        EACH,
        {"id": "s", "worker": "get", "each": {"$from": "r", "pairs": True}, "input": {"v": item()}},
    ],
    "all pairs in each item": [
        EACH,
        {"id": "s", "worker": "number", "each": {"$from": "a"},
         "input": {"v": {"$from": "r", "pairs": True, "at": "/0"}}},
    ],
    "sorted, unique": [
        {**EACH, "each": {"$from": "a", "sort_by": "/n", "unique_by": ""}},
    ],
    "a reduce of taint": [
        {"id": "u", "worker": "page", "input": {"v": 1}},
        {"id": "m", "worker": "fold", "reduce": {"$from": "a"}, "size": 2, "input": PARTS},
    ],
    "failures": [
        {**EACH, "worker": "ask"},
        {"id": "f", "worker": "get", "each": {"$from": "r", "failures": True},
         "input": {"v": item()}},
    ],
    "writes of a clean source beside taint": [
        {"id": "u", "worker": "page", "input": {"v": 1}},
        {**EACH, "worker": "put"},
    ],
}  # fmt: skip


def outcome_of(values):
    def outcome(worker, input):
        if worker == "list":
            return [{"n": n} for n in range(values)]
        if worker == "ask":
            return Failure("refused", "no")
        return 1

    return outcome


@pytest.mark.parametrize("what", WIDE)
def test_decisions(what):
    program = program_with(QUIET)

    def work(values):
        return work_of(StepRun(program, [[LIST, *WIDE[what]]], outcome_of(values)))

    work(10)  # what is made once
    assert work(1_500) < 15 * work(150)


def test_a_plan_in_each_item():
    more = '---\nworker plan(q: json) -> json via command { run = ["w"]  effect = read }'
    plan = Plan((TaskStep(id="t", worker="page", input={"v": FromInput("/q")}),), FromStep("t"), 9)
    program = with_plan(program_with(QUIET, more, ("list", "page", "plan")), "plan", plan)
    entry = {"id": "e", "worker": "plan", "each": {"$from": "a"}, "input": {"q": item()}}

    def work(values):
        return work_of(StepRun(program, [[LIST, entry]], outcome_of(values)))

    work(10)
    assert work(1_000) < 15 * work(100)


def test_a_retry():
    program = program_with(f"max_rounds = 1  {QUIET}")

    def work(values):
        run = StepRun(program, [[LIST, {**EACH, "worker": "ask"}]], outcome_of(values)).run()
        again = run.retried(lambda worker, input: 1)
        again.run = again.drive
        return work_of(again)

    work(10)
    assert work(1_500) < 15 * work(150)
