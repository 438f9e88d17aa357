"""What the reference says of a run, tried out: one short run for each claim worth its own proof.

The pages' programs are checked elsewhere; here are claims that no checker sees.
"""

from __future__ import annotations

import pytest

import engine

HEAD = """
orch 1

model planner { id = "openai/gpt-5-mini" }

worker upper(text: string, suffix: string = "!") -> string fails too_long via python {
  call = "tools:upper"  timeout = 5s
}
worker pay(amount: int) -> string fails declined via python {
  call = "tools:pay"  effect = once  timeout = 5s
}
"""

TOOLS = """
from engine import Failure


def upper(text, suffix):
    if len(text) > 9:
        raise Failure("too_long", "at most nine")
    return text.upper() + suffix


def pay(amount):
    if amount > 100:
        raise Failure("declined", "too much")
    raise ConnectionError("gone")
"""

LOOP = """
orchestrator o(text: string) -> string {
  model   = planner
  goal    = "Shout {{ text }}"
  workers = %s
  policy  { max_rounds = 3  max_dispatches = 4  budget { cost = $1.00 } %s }
  %s
}
"""


@pytest.fixture
def shout(tmp_path):
    """Runs decisions against a program: `shout(decisions, more, policy, hooks)`."""
    (tmp_path / "tools.py").write_text(TOOLS, encoding="utf-8")

    def run(decisions, more="", policy="", hooks="", workers="[upper, pay]"):
        path = tmp_path / "shout.orch"
        path.write_text(HEAD + more + LOOP % (workers, policy, hooks), encoding="utf-8")
        models = {"planner": engine.Scripted(decisions)}
        return engine.load(path).run(text="hello", models=models)

    return run


def task(id, worker="upper", **input):
    return {"id": id, "worker": worker, "input": input}


def test_defaults_are_filled_in_and_references_followed(shout):
    tasks = [task("a", text="hi"), task("b", text={"$from": "a"})]
    run = shout([{"tasks": tasks}, {"finish": "done"}])
    assert run.status == "finished"
    assert [t["output"] for t in run.report()["history"][0]["tasks"]] == ["HI!", "HI!!"]


def test_ids_of_a_rejected_decision_are_free_again(shout):
    bad = [task("a", text="hi"), task("b", text={"$from": "nobody"})]
    run = shout([{"tasks": bad}, {"tasks": [task("a", text="hi")]}, {"finish": "done"}])
    assert (run.status, run.rounds) == ("finished", 2)


def test_a_decision_that_stays_bad_costs_a_round(shout):
    run = shout([{}, {}, {"finish": "done"}], policy="repair { max = 1 }")
    assert (run.status, run.rounds) == ("finished", 2)


def test_a_task_that_fails_takes_only_those_with_it_that_refer_to_it(shout):
    tasks = [task("a", text="much too long"), task("b", text={"$from": "a"}), task("c", text="x")]
    run = shout([{"tasks": tasks}, {"finish": "done"}])
    modes = {failure.task: failure.mode for failure in run.failures}
    assert modes == {"a": "too_long", "b": "unmet_reference"}


def test_a_bound_that_is_hit_is_named(shout):
    decision = {"tasks": [task(f"a{n}", text="x") for n in range(5)]}
    run = shout([decision, decision, decision])
    assert (run.status, run.bound) == ("exhausted", "max_dispatches")


def test_once_of_unknown_outcome_waits_and_a_known_failure_does_not(shout):
    run = shout([{"tasks": [task("p", "pay", amount=5)]}])
    assert run.status == "waiting"
    assert [gate.kind for gate in run.gates] == ["outcome"]

    run = shout([{"tasks": [task("p", "pay", amount=500)]}, {"finish": "no"}])
    assert run.status == "finished"
    assert run.failures[0].mode == "declined"


def test_revise_before_dispatch_denies_the_task_and_tells_why(shout):
    run = shout(
        [{"tasks": [task("a", text="no")]}, {"tasks": [task("b", text="yes")]}, {"finish": "x"}],
        more='verifier v(text: string) via rules { assert text == "yes" else "say yes" }',
        hooks="verify { before_dispatch upper { with = v  on_fail = revise  max_revisions = 1 } }",
    )
    assert run.status == "finished"
    said = [(f.task, f.mode, f.message) for f in run.failures]
    assert said == [("a", "denied", "v: say yes")]


def test_revise_before_finish_goes_on_and_then_follows(shout):
    refused = 'verifier v(result: string) via rules { assert result == "x" else "say x" }'
    hooks = (
        "verify { before_finish { with = v  on_fail = revise  max_revisions = 1  then = abort } }"
    )
    run = shout([{"finish": "a"}, {"finish": "x"}], more=refused, hooks=hooks)
    assert (run.status, run.rounds, run.output) == ("finished", 2, "x")
    run = shout([{"finish": "a"}, {"finish": "b"}], more=refused, hooks=hooks)
    assert (run.status, run.partial) == ("aborted", "b")


def test_escalation_with_on_escalate_finishes_and_without_asks(shout):
    refused = "verifier v(result: string) via rules { assert false }"
    hooks = "verify { before_finish { with = v  on_fail = escalate } }"
    given = shout(
        [{"finish": "a"}],
        more=refused,
        hooks=hooks + ' on_escalate { output = "handed over: " ~ run.reason }',
    )
    assert (given.status, given.escalated) == ("finished", True)
    asked = shout([{"finish": "a"}], more=refused, hooks=hooks)
    assert asked.status == "waiting"
    assert [gate.kind for gate in asked.gates] == ["escalation"]


def test_tainted_text_reaches_an_effect_only_past_a_verifier(shout):
    fetch = """
worker fetch(page: string) -> string via python {
  call = "tools:upper"  args = { text: page, suffix: "" }  trust = untrusted  timeout = 5s
}
"""
    decisions = [
        {"tasks": [task("f", "fetch", page="x")]},
        {"tasks": [task("p", "pay", amount=500)]},
        {"finish": "done"},
    ]
    allowed = "[upper, pay, fetch]  // orch: allow[ORC801] it is denied at run time"
    run = shout(decisions, more=fetch, workers=allowed)
    assert [(f.task, f.mode) for f in run.failures] == [("p", "denied")]

    run = shout(
        decisions,
        more=fetch + "verifier small(amount: int) via rules { assert amount <= 500 }",
        hooks="verify { before_dispatch pay { with = small } }",
        workers="[upper, pay, fetch]",
    )
    assert [(f.task, f.mode) for f in run.failures] == [("p", "declined")]
