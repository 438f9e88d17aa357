"""Hooks and verifiers, stall and escalation."""

from __future__ import annotations

import engine

SOURCE = """
model judge { id = "scripted/none.json" }
worker one(x: int = 1) -> int via python { call = "tools:one"  effect = pure }
worker text() -> { text: string } via llm { model = judge  prompt = "write" }
verifier positive(result: json) via rules { assert result.n > 0 else "n is {{ result.n }}" }
verifier tool(result: json, goal: string) via python { call = "tools:check" }
verifier judged(result: json) via llm { model = judge  prompt = "Is {{ result.n }} good?" %s }
verifier small(x: int, plan: json) via rules { assert x < 10 else "x is too large" }
verifier even(output: int) via rules { assert output is even else "it is odd" }
verifier moving(rounds: json) via rules { assert rounds | length < 2 else "too long" }
orchestrator main() -> { n: int } {
  model = planner  goal = "The goal."  workers = [one, text]
  policy { max_rounds = 6  %s }
  %s
}
"""
TOOLS = """
calls = []
def one(x):
    calls.append(x)
    return x if len(calls) == 1 else 2
def check(result, goal):
    assert goal == "The goal."
    return {"ok": result["n"] > 1, "feedback": "n must be over 1"}
"""


def program(rest: str, policy: str = "", judged: str = "") -> str:
    return SOURCE % (judged, policy, rest)


def verdicts(run: engine.Run) -> list[tuple[str, bool]]:
    return [(v["verifier"], v["ok"]) for r in run.report()["history"] for v in r["verdicts"]]


def test_rules_revise_the_result_with_their_message(prompted, load, finish):
    planner = prompted([finish(n=-1), finish(n=1)])
    verify = "verify { before_finish { with = positive  on_fail = revise  max_revisions = 1 } }"
    run = load(program(verify), TOOLS).run(models={"planner": planner})
    assert run.output == {"n": 1}
    assert "n is -1" in planner.prompts[1][-1][1]


def test_revisions_are_bounded_and_then_says_what_follows(play, finish):
    verify = "verify { before_finish { with = positive  on_fail = revise  max_revisions = 1 } }"
    run = play(program(verify), [finish(n=-1), finish(n=-2)], TOOLS)
    assert run.status == "aborted"
    assert "n is -2" in run.reason
    assert run.partial == {"n": -2}


def test_a_python_verifier_and_a_list_of_verifiers(play, finish):
    verify = """
verify { before_finish { with = [positive, tool]  on_fail = revise  max_revisions = 1 } }
"""
    run = play(program(verify), [finish(n=1), finish(n=2)], TOOLS)
    assert run.output == {"n": 2}
    assert verdicts(run) == [
        ("positive", True),
        ("tool", False),
        ("positive", True),
        ("tool", True),
    ]


def test_an_llm_verifier_sees_the_goal_and_no_assessment(prompted, play, finish):
    judge = prompted(['{"ok": true, "feedback": ""}'])
    verify = "verify { before_finish { with = judged  on_fail = abort } }"
    decision = {"assessment": "SECRET REASONING", "finish": {"n": 5}}
    run = play(program(verify), [decision], TOOLS, models={"judge": judge})
    assert run.status == "finished"
    (prompt,) = judge.prompts
    assert "<goal>\nThe goal.\n</goal>" in prompt[0][1]
    assert prompt[-1] == ("user", "Is 5 good?")
    assert "SECRET" not in str(prompt)


def test_a_verdict_that_is_none_counts_as_failed(play, finish):
    verify = "verify { before_finish { with = judged  on_fail = abort } }"
    for answer in ("looks fine to me", '{"feedback": "fine"}', {"$fail": "unavailable"}):
        run = play(
            program(verify), [finish(n=5)], TOOLS, models={"judge": engine.Scripted([answer])}
        )
        assert run.status == "aborted"
        assert verdicts(run) == [("judged", False)]


def test_pass_when_judges_the_score(play, finish):
    verify = "verify { before_finish { with = judged  on_fail = abort } }"
    source = program(verify, judged="pass_when = score >= 0.8")
    for score, status in ((0.9, "finished"), (0.5, "aborted")):
        judge = engine.Scripted([{"ok": True, "feedback": "", "score": score}])
        run = play(source, [finish(n=5)], TOOLS, models={"judge": judge})
        assert run.status == status


def test_before_dispatch_stops_a_task_before_it_starts(prompted, load, tasks, finish):
    verify = "verify { before_dispatch one { with = small  on_fail = revise  max_revisions = 1 } }"
    planner = prompted([tasks(("a", "one", {"x": 50})), finish(n=1)])
    run = load(program(verify), TOOLS).run(models={"planner": planner})
    task = run.report()["history"][0]["tasks"][0]
    assert task["failure"]["mode"] == "denied"
    assert task["attempts"] == 0
    assert "x is too large" in planner.prompts[1][-1][1]


def test_before_dispatch_can_abort(play, tasks):
    verify = "verify { before_dispatch one { with = small  on_fail = abort } }"
    run = play(program(verify), [tasks(("a", "one", {"x": 50}))], TOOLS)
    assert run.status == "aborted"


def test_warn_lets_pass_and_is_recorded(play, finish):
    verify = "verify { before_finish { with = positive  on_fail = warn } }"
    run = play(program(verify), [finish(n=-1)], TOOLS)
    assert run.status == "finished"
    assert verdicts(run) == [("positive", False)]


def test_after_dispatch_makes_the_same_task_again(play, tasks, finish):
    verify = "verify { after_dispatch one { with = even  on_fail = revise  max_revisions = 1 } }"
    run = play(program(verify), [tasks(("a", "one", {"x": 7})), finish(n=1)], TOOLS)
    task = run.report()["history"][0]["tasks"][0]
    assert (task["output"], task["attempts"]) == (2, 2)


def test_after_round_runs_every_so_often(play, tasks):
    verify = "verify { after_round { with = moving  every = 2  on_fail = abort } }"
    run = play(program(verify), [tasks((f"a{i}", "one", {"x": i})) for i in range(3)], TOOLS)
    assert (run.status, run.rounds) == ("aborted", 2)


def test_escalation_to_an_output(play, finish):
    rest = """
verify { before_finish { with = positive  on_fail = escalate } }
on_escalate { output = { n: run.reason | length } }
"""
    run = play(program(rest), [finish(n=-1)], TOOLS)
    assert run.status == "finished"
    assert run.escalated
    assert run.output["n"] > 0


def test_escalation_without_an_output_waits_for_a_person(play, finish):
    run = play(
        program("verify { before_finish { with = positive  on_fail = escalate } }"),
        [finish(n=-1)],
        TOOLS,
    )
    assert run.status == "waiting"
    assert "n is -1" in run.reason


def test_a_stall_asks_for_a_new_plan_and_then_ends(prompted, load, tasks):
    same = [tasks((f"a{i}", "one", {"x": 2})) for i in range(6)]
    planner = prompted(same)
    policy = "stall { after = 2  action = replan  max_replans = 1 }"
    run = load(program("", policy), TOOLS).run(models={"planner": planner})
    assert (run.status, run.bound, run.rounds) == ("exhausted", "max_replans", 5)
    assert "stalled: no new information for 2 rounds" in planner.prompts[3][-1][1]


def test_a_stall_can_abort(play, tasks):
    policy = "stall { after = 1  action = abort }"
    run = play(program("", policy), [tasks((f"a{i}", "one", {"x": 2})) for i in range(3)], TOOLS)
    assert (run.status, run.rounds) == ("aborted", 2)


def stalls(play, tasks, *decisions):
    policy = "stall { after = 1  action = abort }"
    run = play(program("", policy), [tasks(*d) for d in decisions], TOOLS + STALLS)
    return run.reason


STALLS = """
import engine
def one(x):
    if x > 100:
        raise engine.Failure("crashed", "too far")
    return x * 10
"""


def test_what_counts_as_nothing_new(play, tasks):
    first = ("a", "one", {"x": 1})
    assert "the same task again" in stalls(play, tasks, [first], [("b", "one", {"x": 1})])
    assert "a task failed" in stalls(play, tasks, [first], [("b", "one", {"x": 101})])
    # Another output is news, whatever came before.
    assert "script has no entry" in stalls(play, tasks, [first], [("b", "one", {"x": 2})])


def test_the_same_words_in_other_fields_are_another_task(play, tasks):
    source = """
worker cell(row: string, column: string) -> string via python { call = "tools:cell" }
orchestrator main() -> string {
  model = planner  goal = "The goal."  workers = [cell]
  policy { max_rounds = 5  stall { after = 1  action = abort } }
}
"""
    tools = "def cell(row, column):\n    return row + column\n"
    decisions = [
        tasks(("a", "cell", {"row": "1", "column": "2"})),
        tasks(("b", "cell", {"row": "2", "column": "1"})),
        {"finish": "done"},
    ]
    assert play(source, decisions, tools).status == "finished"


def test_a_task_put_in_other_words_is_the_same_task(play, tasks):
    source = """
worker find(query: string) -> string via python { call = "tools:find" }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [find]
  policy { max_rounds = 5  stall { after = 1  action = abort } }
}
"""
    run = play(
        source,
        [
            tasks(("a", "find", {"query": "Sodium-ion batteries, cost"})),
            tasks(("b", "find", {"query": "cost: sodium ion batteries"})),
        ],
        "def find(query):\n    return query\n",
    )
    assert "in other words" in run.reason
