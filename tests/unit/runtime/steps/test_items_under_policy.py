"""Hooks, people, time, sub-orchestrators and ends in the middle, on items of steps."""

from __future__ import annotations

import pytest
from step_runs import StepRun, item, program_with

from engine.events import CancelRequested, TimerFired

LIST = {"id": "a", "worker": "list", "input": {}}
QUIET = "max_parallel = 3  breaker { after = 999  canary = 0 }"


def each(id, selection, worker="get", **more):
    return {"id": id, "worker": worker, "each": {"$from": selection}, "input": {"v": item()},
            **more}  # fmt: skip


def gives(values):
    return lambda worker, input: values if worker == "list" else input.get("v")


VERIFIERS = """
verifier few(input: json) via rules { assert input.v < 3 else "too large" }
verifier odd(output: json) via rules { assert output is odd else "even" }
verifier boss(input: json) via human { message = "Put it?" }
"""


def test_a_verifier_looks_at_each_item_before_it_starts():
    more = "verify { before_dispatch get { with = few  on_fail = warn } }---" + VERIFIERS
    run = StepRun(program_with(QUIET, more), [[LIST, each("r", "a")]], gives([1, 2, 3, 4])).run()
    assert run["r"].output == [1, 2, 3, 4]
    assert [v[2] for v in run.loop.rounds[0].verdicts] == [True, True, False, False]
    more = more.replace("warn", "revise  max_revisions = 9  then = warn")
    run = StepRun(program_with(QUIET, more), [[LIST, each("r", "a")]], gives([1, 2, 3, 4])).run()
    assert run["r"].output == [1, 2]
    assert [f.failure.mode for f in run["r"].items.values() if f.failure] == ["denied"] * 2


def test_a_verifier_has_an_item_made_again():
    more = (
        "verify { after_dispatch get { with = odd  on_fail = revise  max_revisions = 2"
        "  then = warn } }---" + VERIFIERS
    )
    times: dict[int, int] = {}

    def outcome(worker, input):
        if worker == "list":
            return [0, 1, 2]
        times[input["v"]] = times.get(input["v"], 0) + 1
        return input["v"] + times[input["v"]] - 1

    run = StepRun(program_with(QUIET, more), [[LIST, each("r", "a")]], outcome).run()
    assert run["r"].output == [1, 1, 3]
    assert times == {0: 2, 1: 1, 2: 2}


@pytest.mark.parametrize("action", ["abort", "escalate"])
def test_an_end_in_the_middle_of_a_step_ends_the_run(action):
    more = f"verify {{ after_dispatch get {{ with = odd  on_fail = {action} }} }}---" + VERIFIERS
    run = StepRun(program_with(QUIET, more), [[LIST, each("r", "a")]], gives([1, 3, 4, 5, 7, 9]))
    run.run()
    assert run.end.status == ("aborted" if action == "abort" else "waiting")
    assert not run.state.timers
    if action == "abort":
        assert not run.state.calls


@pytest.mark.parametrize("items", [None, ["0", "2"], ["1"]])
def test_a_person_is_asked_once_for_all_items(items):
    more = "verify { before_dispatch put { with = boss  on_fail = revise  max_revisions = 9 } }"
    program = program_with(QUIET, f"{more}---{VERIFIERS}")
    run = StepRun(program, [[LIST, each("w", "a", "put")]], gives([5, 6, 7]))
    asked = []

    def answers(gate):
        asked.append(len(gate.tasks))
        return {"answer": "approve", **({} if items is None else {"items": items})}

    run.answers = answers
    run.run()
    assert asked == [3]
    wanted = ["0", "1", "2"] if items is None else items
    assert run.made("w") == [f"w[{n}]" for n in wanted]


def test_a_time_budget_in_the_middle_of_a_step():
    program = program_with(f"{QUIET}  budget {{ time = 5s }}")
    run = StepRun(program, [[LIST, each("r", "a")]], gives(list(range(9))))
    run.begin()
    while len(run.made("r")) < 4:
        run.turn()
    timer = run.timers[0]
    run.happen(TimerFired(at=timer.at, timer=timer.timer))
    assert (run.end.status, run.state.bound) == ("exhausted", "budget.time")
    assert not run.state.calls
    again = run.resumed(len(run.journal))
    assert again.state.ended


def test_cancel_in_the_middle_waits_for_a_once_item_only():
    program = program_with(QUIET)
    run = StepRun(program, [[LIST, each("p", "a", "pay"), each("r", "a")]], gives([1, 2, 3, 4, 5]))
    run.begin()
    while not run.made("p") or not run.made("a"):
        run.turn()
    run.happen(CancelRequested(reason="enough"))
    assert run.end is None
    assert all("task p" in key for key in run.open)
    run.drive()
    assert run.end.status == "cancelled"
    assert all(run["p"].items[n,].rested for n in range(3))


CHILD = """
orchestrator child(v: json) -> json {
  model = m  goal = "g"  workers = [list, get]
  policy { max_rounds = 3  max_items = 20  max_parallel = 2 }
}
"""


def child_program(policy=QUIET):
    return program_with(policy, f"---{CHILD}", ("list", "get", "put", "child"))


class Nested(StepRun):
    """Its children ask for two items each, and then finish with them; or fail."""

    def answer(self, key):
        command = self.open[key]
        loop = self.state.calls[key].subject
        if getattr(loop, "depth", 0) == 2:
            self.decisions = [
                [LIST, each("c", "a")] if loop.round == 1
                else {"assessment": "", "finish": {"$from": "c"}}
            ]  # fmt: skip
        assert command is not None
        super().answer(key)


@pytest.mark.parametrize("order", ["first", "last", 4])
def test_items_that_are_sub_orchestrators_hold_slots_of_their_step(order):
    decision = [LIST, each("e", "a", "child")]

    class Root(Nested):
        def answer(self, key):
            if key == "round 1 / decision 1":
                self.decisions = [decision]
            elif key.startswith("round "):
                loop = self.state.calls[key].subject
                if getattr(loop, "depth", 0) == 1:
                    self.decisions = []
            super().answer(key)

    run = Root(child_program(), [], gives([1, 2, 3, 4]), order).run()
    assert run["e"].output == [[1, 2, 3, 4]] * 4
    assert run.most_open["e"] == 3
