"""`before_round`: one look at a decision's tasks before any starts, by checks and people."""

from __future__ import annotations

import json

import pytest

import engine
from engine import Reply
from engine.errors import UsageError
from engine.events import CallStarted, Usage
from engine.runtime.plan_review import SHOWN_OF_ENTRY, plan_report
from engine.runtime.ports import ModelReply, ModelRequest

TOOLS = """
import pathlib
LOG = pathlib.Path(__file__).with_name("log.txt")
def _note(line):
    with LOG.open("a") as file:
        file.write(line + "\\n")
def look(x):
    _note(f"look {x}")
    return x
def send(x):
    _note(f"send {x}")
    if x == 13:
        raise ValueError("unlucky")
    return x
def judge(plan, estimate):
    return {"ok": estimate["tasks"]["most"] < 3, "feedback": "too many"}
"""
RULES = """
worker look(x: int) -> int via python { call = "tools:look"  effect = read }
worker send(x: int) -> int via python { call = "tools:send"  effect = write }
verifier small(plan: json, estimate: json) via rules {
  assert estimate.effects.most < 2 else "at most one effect, not {{ estimate.effects.most }}"
}
orchestrator main() -> { n: int } {
  model = planner  goal = "Send."  workers = [look, send]
  policy { max_rounds = 5 }
  verify { before_round { with = small %s } }
}
"""


def log(tmp_path) -> list[str]:
    path = tmp_path / "log.txt"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def test_a_plan_that_is_sent_back_starts_nothing_and_costs_a_round(
    load, prompted, tasks, finish, tmp_path
):
    workflow = load(RULES % "on_fail = revise  max_revisions = 1", TOOLS)
    two = tasks(("a", "send", {"x": 1}), ("b", "send", {"x": 2}))
    one = tasks(("a", "send", {"x": 3}), ("b", "look", {"x": {"$from": "a"}}))
    planner = prompted([two, one, finish(n=1)])
    run = workflow.run(models={"planner": planner})
    assert (run.status, run.rounds) == ("finished", 3)
    assert log(tmp_path) == ["send 3", "look 3"]
    said = planner.prompts[1][-1][1]
    assert "# Results of round 1" in said
    assert (
        "- the plan was not accepted, and none of its tasks was started: "
        "small: at most one effect, not 2" in said
    )
    first, second, _ = run.report()["history"]
    assert [spec["id"] for spec in first["not_started"]] == ["a", "b"]
    assert first["tasks"] == []
    assert second["not_started"] == []
    assert [(v["hook"], v["ok"]) for v in first["verdicts"]] == [("before_round", False)]
    assert run._state.loop.dispatches == 2
    assert run._state.loop.worker_dispatches == {"send": 1, "look": 1}


@pytest.mark.parametrize(
    ("on_fail", "status", "sent"),
    [
        ("abort", "aborted", []),
        ("escalate", "waiting", []),
        ("warn", "finished", ["send 1", "send 2"]),
        ("revise  max_revisions = 0  then = abort", "aborted", []),
    ],
)
def test_what_follows_from_a_plan_that_does_not_pass(
    play, tasks, finish, tmp_path, on_fail, status, sent
):
    two = tasks(("a", "send", {"x": 1}), ("b", "send", {"x": 2}))
    run = play(RULES % f"on_fail = {on_fail}", [two, finish(n=1)], TOOLS)
    assert run.status == status
    assert sorted(log(tmp_path)) == sent


def test_an_escalated_plan_starts_with_a_persons_yes(load, tasks, finish, tmp_path):
    workflow = load(RULES % "on_fail = escalate", TOOLS)
    two = tasks(("a", "send", {"x": 1}), ("b", "send", {"x": 2}))
    run = start(workflow, [two, finish(n=1)], tmp_path)
    (gate,) = run.gates
    assert (gate.kind, [task["id"] for task in gate.plan["tasks"]]) == ("escalation", ["a", "b"])
    done = engine.resume(run.id, journal=tmp_path / "j", reply=Reply("approve"))
    assert done.status == "finished"
    assert sorted(log(tmp_path)) == ["send 1", "send 2"]


def test_an_aborted_plan_is_looked_at_again_when_the_run_is_retried(load, tasks, finish, tmp_path):
    source = (RULES % "on_fail = abort").replace(
        "via rules {", 'via python { call = "tools:twice" }\nverifier other() via rules {'
    )
    workflow = load(
        source.replace("{{ estimate.effects.most }}", "").replace(
            "estimate.effects.most < 2", "true"
        ),
        TOOLS + TWICE,
    )
    plan = tasks(("a", "send", {"x": 1}), ("b", "send", {"x": {"$from": "a"}}))
    run = start(workflow, [plan, finish(n=1)], tmp_path)
    assert (run.status, log(tmp_path)) == ("aborted", ["asked"])
    assert run.report()["history"][0]["not_started"] == plan["tasks"]
    again = retried(run, tmp_path)
    assert again.status == "finished"
    assert log(tmp_path) == ["asked", "asked", "send 1", "send 1"]
    (first, _) = again.report()["history"]
    assert [v["ok"] for v in first["verdicts"]] == [False, True]
    assert engine.replay(run.id, journal=tmp_path / "j").divergence is None


TWICE = """
def twice(plan, estimate):
    _note("asked")
    return {"ok": LOG.read_text().count("asked") > 1, "feedback": "not yet"}
"""


def test_a_round_that_never_starts_is_no_progress(play, tasks, tmp_path):
    program = (RULES % "on_fail = revise  max_revisions = 5").replace(
        "max_rounds = 5", "max_rounds = 5  stall { after = 2  action = abort }"
    )
    plans = [tasks((f"a{n}", "send", {"x": n}), (f"b{n}", "send", {"x": n})) for n in range(4)]
    run = play(program, plans, TOOLS)
    assert (run.status, run.rounds) == ("aborted", 2)
    assert "no task was run" in run.reason


class Streaming:
    """Answers in pieces, the text of the first decision whole before it ends."""

    def __init__(self, answers: list) -> None:
        self.answers = list(answers)

    async def complete(self, request: ModelRequest) -> ModelReply:
        text = json.dumps(self.answers.pop(0))
        if request.on_text is not None:
            request.on_text(text[:-2])
        return ModelReply(text)

    async def close(self) -> None:
        return


@pytest.mark.parametrize(("eager", "early"), [("", False), ("eager = reads", True)])
def test_nothing_starts_while_a_decision_streams_unless_the_hook_says_so(
    load, tasks, finish, tmp_path, eager, early
):
    workflow = load(RULES % f"on_fail = revise  max_revisions = 1  {eager}", TOOLS)
    plan = tasks(
        ("r", "look", {"x": 1}), ("a", "send", {"x": {"$from": "r"}}), ("b", "send", {"x": 2})
    )
    run = workflow.run(models={"planner": Streaming([plan, finish(n=1)])})
    assert run.status == "finished"
    assert log(tmp_path) == (["look 1"] if early else [])
    (first, _) = run.report()["history"]
    assert [task["id"] for task in first["tasks"]] == (["r"] if early else [])
    assert [task["id"] for task in first["not_started"]] == (
        ["a", "b"] if early else ["r", "a", "b"]
    )


# ---------------------------------------------------------------- the estimate

PRICED = """
model cheap { id = "scripted/none.json"  context = 1000  max_tokens = 1000
  price { input = $1.00  output = $1.00 }  retry { max = 2 } }
worker ask(x: int) -> int via llm { model = cheap  prompt = "{{ x }}"  repair { max = 1 } }
worker send(x: int) -> int via python { call = "tools:send"  effect = once }
verifier seen(estimate: json) via python { call = "tools:seen" }
orchestrator child() -> { n: int } {
  model = planner  goal = "c"  workers = [send]  policy { max_rounds = 2  max_per_round = 3 }
}
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [ask, send, child]  policy { max_rounds = 4 %s }
  verify { before_round { with = seen } }
}
"""
SEEN = (
    TOOLS
    + """
import json
def seen(estimate):
    _note(json.dumps(estimate))
    return {"ok": True}
"""
)


def estimates(load, tasks, finish, tmp_path, plans, policy=""):
    class Cheap:
        async def complete(self, request):
            return ModelReply("1", Usage(input_tokens=100, output_tokens=300))

        async def close(self):
            return

    workflow = load(PRICED % policy, SEEN)
    models = {"planner": engine.Scripted([*plans, finish(n=1)]), "cheap": Cheap()}
    run = workflow.run("main", models=models)
    assert run.status == "finished", run.reason
    return [json.loads(line) for line in log(tmp_path) if line.startswith("{")]


def test_an_estimate_counts_tasks_effects_calls_and_money(load, tasks, finish, tmp_path):
    first = tasks(("a", "ask", {"x": 1}), ("b", "ask", {"x": 2}), ("c", "send", {"x": 3}))
    second = tasks(("d", "ask", {"x": 4}), ("e", "send", {"x": 5}))
    one, two = estimates(load, tasks, finish, tmp_path, [first, second])
    assert one == {
        "tasks": {"least": 3, "most": 3},
        "effects": {"least": 1, "most": 1},
        # Two tasks, each with 1 + 2 retries, 1 + 1 repairs.
        "calls": 12,
        "cost_most": 12 * 2000,
        "cost_expected": None,
    }
    assert two["cost_expected"] == 400
    assert (two["calls"], two["cost_most"]) == (6, 12_000)


def test_an_estimate_of_an_orchestrators_task_counts_what_is_under_it(
    load, tasks, finish, tmp_path
):
    plan = tasks(("a", "child", {}))
    inner = [tasks(("s", "send", {"x": 1})), finish(n=1)]
    (one,) = estimates(load, tasks, finish, tmp_path, [plan, *inner])
    assert one["tasks"] == {"least": 1, "most": 1}
    # 2 rounds of at most 3 tasks.
    assert one["effects"] == {"least": 0, "most": 6}
    assert one["cost_expected"] is None


def test_no_estimate_is_above_what_the_budget_leaves(load, tasks, finish, tmp_path):
    plan = tasks(*((f"a{n}", "ask", {"x": n}) for n in range(5)))
    budget = "budget { cost = $0.02 }"
    (one,) = estimates(load, tasks, finish, tmp_path, [plan], budget)
    assert one["cost_most"] == 20_000


INSIDE = """
model cheap { id = "scripted/none.json"  context = 1000  max_tokens = 1000
  price { input = $1.00  output = $1.00 } }
worker ask(x: int) -> int via llm { model = cheap  prompt = "{{ x }}" }
worker send(x: int) -> int via python { call = "tools:send"  effect = once }
worker both(xs: int[] @items(max: 50)) -> int[] via plan {
  max_items = 200
  step asked { each = xs  call = ask(x=item) }
  step sent { each = asked  call = send(x=item) }
  result = sent
}
worker twice(xs: int[] @items(max: 50)) -> int[] via plan {
  max_items = 9
  step first { call = both(xs=xs) }
  step second { when = first | length > 1  call = both(xs=first) }
  result = first
}
worker list() -> int[] via python { call = "tools:list"  effect = read }
verifier seen(estimate: json) via python { call = "tools:seen" }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [list, both, twice]  policy { max_rounds = 4 %s }
  verify { before_round { with = seen } }
}
"""
INSIDE_TOOLS = SEEN + "def list():\n    return [7, 8]\n"


def inside(load, tasks, finish, tmp_path, specs, policy=""):
    workflow = load(INSIDE % policy, INSIDE_TOOLS)
    models = {"planner": engine.Scripted([*map(tasks, specs), finish(n=1)]),
              "cheap": engine.Scripted(["1"] * 50)}  # fmt: skip
    run = workflow.run("main", models=models)
    assert run.status == "finished", run.reason
    return [json.loads(line) for line in log(tmp_path) if line.startswith("{")]


def test_an_estimate_counts_the_tasks_inside_a_plan_worker(load, tasks, finish, tmp_path):
    known = ("a", "both", {"xs": [1, 2, 3]})
    (one,) = inside(load, tasks, finish, tmp_path, [known])
    assert one == {
        "tasks": {"least": 4, "most": 7},
        "effects": {"least": 0, "most": 3},
        "calls": 3,
        "cost_most": 3 * 2000,
        "cost_expected": None,
    }


def test_an_estimate_of_a_plan_worker_goes_by_its_types_where_its_input_is_to_come(
    load, tasks, finish, tmp_path
):
    workflow = load(INSIDE % "", INSIDE_TOOLS)
    plan = tasks(("l", "list", {}), ("a", "both", {"xs": {"$from": "l"}}))
    models = {
        "planner": engine.Scripted([plan, tasks(("b", "both", {"xs": [1]})), finish(n=1)]),
        "cheap": engine.Scripted(["1"] * 3),
    }
    assert workflow.run("main", models=models).status == "finished"
    one, two = [json.loads(line) for line in log(tmp_path) if line.startswith("{")]
    assert one["tasks"] == {"least": 2, "most": 102}
    assert one["effects"] == {"least": 0, "most": 50}
    assert (one["calls"], one["cost_expected"]) == (50, None)
    # What the same worker has cost inside a plan is known now; a script costs nothing.
    assert two["cost_expected"] is not None


def test_an_estimate_counts_plans_inside_plans_and_no_more_than_max_items(
    load, tasks, finish, tmp_path
):
    (one,) = inside(load, tasks, finish, tmp_path, [("a", "twice", {"xs": [1]})])
    # Its two steps, each with up to 50 + 50 tasks; the second may be skipped.
    assert one["tasks"] == {"least": 2, "most": 203}
    assert one["effects"] == {"least": 0, "most": 100}


def test_an_estimate_of_a_plan_worker_is_within_the_policy(load, tasks, finish, tmp_path):
    (one,) = inside(load, tasks, finish, tmp_path, [("a", "twice", {"xs": [1]})], "max_items = 20")
    assert one["tasks"] == {"least": 2, "most": 20}
    assert one["effects"] == {"least": 0, "most": 20}


# ---------------------------------------------------------------- a person looks

PERSON = """
worker look(x: int) -> int via python { call = "tools:look"  effect = read }
worker send(x: int) -> int via python { call = "tools:send"  effect = write }
verifier boss() via human { message = "Run this plan?" }
orchestrator main() -> { n: int } {
  model = planner  goal = "Send."  workers = [look, send]
  policy { max_rounds = 6 %s }
  verify {
    before_round { with = boss  on_fail = revise  max_revisions = 2 }
    %s
  }
}
"""
AT_DISPATCH = "before_dispatch send { with = boss }"


def start(workflow, decisions, tmp_path) -> engine.Run:
    (tmp_path / "script.json").write_text(json.dumps(decisions))
    script = f"scripted/{tmp_path}/script.json"
    return workflow.run("main", models={"planner": script}, journal=tmp_path / "j")


def answer(run, tmp_path, **reply) -> engine.Run:
    return engine.resume(run.id, journal=tmp_path / "j", reply=Reply(**reply))


def retried(run, tmp_path) -> engine.Run:
    import asyncio

    from engine.history import fork_and_retry
    from engine.journal import SqliteJournal

    with SqliteJournal(tmp_path / "j") as journal:
        state = asyncio.run(fork_and_retry.retry_failed(run.id, journal))
        return engine.Run.of(state, journal)


def test_one_gate_shows_the_plan_and_lets_it_run(load, tasks, finish, tmp_path):
    workflow = load(PERSON % ("", ""), TOOLS)
    plan = tasks(("a", "look", {"x": 1}), ("b", "send", {"x": {"$from": "a"}}))
    run = start(workflow, [plan, finish(n=1)], tmp_path)
    (gate,) = run.gates
    assert (gate.key, gate.message) == ("round 1 / before_round / verify boss", "Run this plan?")
    assert [entry["effect"] for entry in gate.plan["tasks"]] == ["read", "write"]
    assert gate.plan["estimate"]["effects"] == {"least": 1, "most": 1}
    assert engine.gates(tmp_path / "j")[0].plan == gate.plan
    done = answer(run, tmp_path, answer="approve")
    assert (done.status, log(tmp_path)) == ("finished", ["look 1", "send 1"])
    assert engine.replay(run.id, journal=tmp_path / "j").divergence is None


def test_a_plan_that_a_person_sends_back_is_a_new_round(load, tasks, finish, tmp_path):
    workflow = load(PERSON % ("", ""), TOOLS)
    plan = tasks(("a", "send", {"x": 1}))
    run = start(workflow, [plan, plan, finish(n=1)], tmp_path)
    run = answer(run, tmp_path, answer="reject", note="not yet")
    assert run.gates[0].key == "round 2 / before_round / verify boss"
    run = answer(run, tmp_path, answer="approve")
    assert (run.status, run.rounds, log(tmp_path)) == ("finished", 3, ["send 1"])


def test_a_persons_plan_is_checked_like_a_decision(load, tasks, finish, tmp_path):
    workflow = load(PERSON % ("max_dispatches = 3", ""), TOOLS)
    run = start(workflow, [tasks(("a", "send", {"x": 1})), finish(n=1)], tmp_path)
    for edit, said in [
        ({"tasks": [{"id": "a", "worker": "sand", "input": {}}]}, "unknown worker `sand`"),
        ({"tasks": []}, "tasks"),
        ({"finish": {"n": 1}}, "a plan needs `tasks`"),
        ({"tasks": [{"id": "a", "worker": "send", "input": {"x": {"$from": "z"}}}]}, "`z`"),
        ({"tasks": [{"id": f"a{n}", "worker": "send", "input": {"x": n}} for n in range(4)]}, "3"),
        ([1], "a list"),
    ]:
        with pytest.raises(UsageError, match="the plan cannot run") as raised:
            answer(run, tmp_path, answer="approve", edit=edit)
        assert said in str(raised.value)
    assert len(engine.gates(tmp_path / "j")) == 1
    assert log(tmp_path) == []


def test_both_plans_are_in_the_prompt_and_the_persons_runs(load, prompted, tasks, finish):
    from engine.journal import MemoryJournal

    workflow = load(PERSON % ("", ""), TOOLS)
    planner = prompted([tasks(("a", "send", {"x": 1})), finish(n=1)])
    journal = MemoryJournal()
    run = workflow.run(models={"planner": planner}, journal=journal)
    edit = {"tasks": [{"id": "b", "worker": "send", "input": {"x": 2}}]}
    reply = Reply("approve", edit=edit, by="ann")
    done = engine.resume(run.id, journal=journal, models={"planner": planner}, reply=reply)
    assert done.status == "finished"
    roles = [role for role, _ in planner.prompts[1]]
    assert roles == ["system", "user", "assistant", "user"]
    proposed, said = planner.prompts[1][2][1], planner.prompts[1][3][1]
    assert '"id":"a"' in proposed
    assert "ann replaced the tasks of your decision. These were run instead:" in said
    assert '{"worker":"send","id":"b"' in said or '{"id":"b","worker":"send"' in said
    (first, _) = done.report()["history"]
    assert (first["edited_by"], first["proposed"][0]["id"]) == ("ann", "a")
    assert [task["id"] for task in first["tasks"]] == ["b"]
    keys = [event.key for event in journal.read(run.id) if isinstance(event, CallStarted)]
    assert "round 1 / decision 1 / edit 1 / task b" in keys


def test_other_checks_look_at_a_persons_plan_again(load, tasks, finish, tmp_path):
    source = PERSON % ("", "")
    source = source.replace("with = boss", "with = [small, boss]").replace(
        "verifier boss",
        RULES[RULES.index("verifier small") : RULES.index("orchestrator")] + "verifier boss",
    )
    workflow = load(source, TOOLS)
    run = start(workflow, [tasks(("a", "look", {"x": 1})), finish(n=1)], tmp_path)
    edit = {"tasks": [{"id": i, "worker": "send", "input": {"x": 2}} for i in "bc"]}
    run = answer(run, tmp_path, answer="approve", edit=edit)
    # The person approved it, and `small` sends it back.
    assert (run.status, run.rounds, log(tmp_path)) == ("finished", 2, [])
    (first, _) = run.report()["history"]
    assert [(v["verifier"], v["ok"]) for v in first["verdicts"]] == [
        ("small", True), ("small", False), ("boss", True)
    ]  # fmt: skip


# ---------------------------------------------------------------- approvals count starts


def test_an_approved_plan_covers_its_tasks_at_before_dispatch(load, tasks, finish, tmp_path):
    workflow = load(PERSON % ("", AT_DISPATCH), TOOLS)
    plan = tasks(
        ("a", "look", {"x": 1}), ("b", "send", {"x": {"$from": "a"}}), ("c", "send", {"x": 7})
    )
    again = tasks(("d", "send", {"x": 7}))
    run = start(workflow, [plan, again, finish(n=1)], tmp_path)
    run = answer(run, tmp_path, answer="approve")
    # One approval is one start: the same input again is asked for again.
    assert run.gates[0].key == "round 2 / before_round / verify boss"
    assert sorted(log(tmp_path)) == ["look 1", "send 1", "send 7"]
    run = answer(run, tmp_path, answer="approve")
    assert run.status == "finished"
    assert log(tmp_path)[-1] == "send 7"


def test_what_is_left_of_an_approval_covers_a_later_plan(load, tasks, finish, tmp_path):
    workflow = load(PERSON % ("", AT_DISPATCH), TOOLS)
    # 13 fails, so what refers to it never starts.
    plan = tasks(("a", "send", {"x": 13}), ("b", "send", {"x": {"$from": "a"}}))
    covered = tasks(("c", "look", {"x": 5}))
    more = tasks(("d", "send", {"x": {"$from": "c"}}))
    beyond = tasks(("e", "send", {"x": {"$from": "c"}}))
    run = start(workflow, [plan, covered, more, beyond, finish(n=1)], tmp_path)
    run = answer(run, tmp_path, answer="approve")
    assert run.gates[0].key == "round 2 / before_round / verify boss"
    run = answer(run, tmp_path, answer="approve")
    # Round 3 uses the start that round 1 left over; round 4 exceeds it.
    assert run.gates[0].key == "round 4 / before_round / verify boss"
    assert log(tmp_path) == ["send 13", "look 5", "send 5"]


def test_an_input_that_was_not_known_passes_no_untrusted_text(load, tasks, finish, tmp_path):
    source = (
        (PERSON % ("", AT_DISPATCH))
        .replace("effect = read }", "effect = read  trust = untrusted }")
        .replace("worker look(x: int) -> int", "worker look(x: int) -> string")
    )
    source = source.replace("worker send(x: int) -> int", "worker send(x: string) -> string")
    workflow = load(source, TOOLS.replace("return x", "return str(x)"))
    plan = tasks(("a", "look", {"x": 1}), ("b", "send", {"x": {"$from": "a"}}))
    run = start(workflow, [plan, finish(n=1)], tmp_path)
    run = answer(run, tmp_path, answer="approve")
    # The person has approved the start, and not the words.
    assert run.gates[0].key == "round 1 / decision 1 / task b / before / verify boss"
    assert run.gates[0].input == {"x": "1"}


def test_a_plan_of_another_verifier_is_no_approval(load, tasks, finish, tmp_path):
    source = (PERSON % ("", "before_dispatch send { with = chief }")).replace(
        "orchestrator",
        'verifier chief(x: int) via human { message = "Send {{ x }}?" }\norchestrator',
    )
    workflow = load(source, TOOLS)
    run = start(workflow, [tasks(("a", "send", {"x": 1})), finish(n=1)], tmp_path)
    run = answer(run, tmp_path, answer="approve")
    assert run.gates[0].message == "Send 1?"


# ---------------------------------------------------------------- steps

STEPS = """
worker many() -> int[] via python { call = "tools:many"  effect = read }
worker look(x: int) -> int via python { call = "tools:look"  effect = read }
worker send(x: int) -> int via python { call = "tools:send"  effect = write }
verifier boss() via human { message = "Run this plan?" }
orchestrator main() -> { n: int } {
  model = planner  goal = "Send."  workers = [many, look, send]
  policy { max_rounds = 6  max_items = 50 }
  verify {
    before_round { with = boss  on_fail = revise  max_revisions = 2 }
    before_dispatch send { with = boss }
  }
}
"""
MANY = (
    TOOLS
    + """
def many():
    return [3, 1, 2]
"""
)


def each(id, worker, source, **more) -> dict:
    return {"id": id, "worker": worker, "each": source, "input": {"x": {"$item": ""}}, **more}


def test_steps_are_counted_estimated_and_approved_with_their_plan(load, tasks, finish, tmp_path):
    workflow = load(STEPS, MANY)
    first = {"tasks": [
        {"id": "m", "worker": "many", "input": {}},
        each("r", "look", {"$from": "m"}),
        each("s", "send", {"$from": "r", "take": 2}),
    ]}  # fmt: skip
    second = {"tasks": [each("t", "send", {"$from": "m", "where": [[
        {"value": {"$item": ""}, "is": ">", "than": 1}
    ]]})]}  # fmt: skip
    run = start(workflow, [first, second, finish(n=1)], tmp_path)
    (gate,) = run.gates
    assert [(e["id"], e["least"], e["most"]) for e in gate.plan["tasks"]] == [
        ("m", 1, 1), ("r", 0, 50), ("s", 0, 2)
    ]  # fmt: skip
    assert gate.plan["estimate"]["tasks"] == {"least": 1, "most": 50}
    assert gate.plan["estimate"]["effects"] == {"least": 0, "most": 2}
    run = answer(run, tmp_path, answer="approve")
    # No item was asked for again, and what is known of the second plan is counted exactly.
    (gate,) = run.gates
    assert gate.key == "round 2 / before_round / verify boss"
    assert [(e["id"], e["least"], e["most"]) for e in gate.plan["tasks"]] == [("t", 2, 2)]
    assert sorted(log(tmp_path)) == ["look 1", "look 2", "look 3", "send 1", "send 3"]
    done = answer(run, tmp_path, answer="approve")
    assert done.status == "finished"
    assert sorted(log(tmp_path))[3:] == ["send 1", "send 2", "send 3", "send 3"]
    assert engine.replay(run.id, journal=tmp_path / "j").divergence is None


def test_a_plan_with_steps_is_sent_back_and_edited(load, tasks, finish, tmp_path):
    workflow = load(STEPS, MANY)
    plan = {"tasks": [
        {"id": "m", "worker": "many", "input": {}}, each("s", "send", {"$from": "m"})
    ]}  # fmt: skip
    run = start(workflow, [plan, plan, finish(n=1)], tmp_path)
    run = answer(run, tmp_path, answer="reject", note="fewer")
    assert run.gates[0].key == "round 2 / before_round / verify boss"
    edit = {"tasks": [plan["tasks"][0], each("s", "send", {"$from": "m", "take": 1})]}
    done = answer(run, tmp_path, answer="approve", edit=edit)
    assert (done.status, log(tmp_path)) == ("finished", ["send 3"])
    first, second, _ = done.report()["history"]
    assert [spec["id"] for spec in first["not_started"]] == ["m", "s"]
    assert second["proposed"] == plan["tasks"]


# ---------------------------------------------------------------- eager tasks and retries

EAGER = """
worker look(x: int) -> int via python { call = "tools:second" effect = read }
worker send(x: int) -> int via python { call = "tools:send"  effect = write }
verifier twice(plan: json) via python { call = "tools:twice" }
orchestrator main() -> { n: int } {
  model = planner  goal = "Send."  workers = [look, send]  policy { max_rounds = 3 }
  verify { before_round { with = twice  on_fail = abort  eager = reads } }
}
"""
SECOND = (
    TOOLS
    + """
import threading
LOOKED = threading.Event()
def twice(plan):
    # The run is aborted only after the early task has failed.
    assert LOOKED.wait(60)
    _note("asked")
    return {"ok": LOG.read_text().count("asked") > 1, "feedback": "not yet"}
def second(x):
    _note("look")
    LOOKED.set()
    if LOG.read_text().count("look") < 2:
        raise ValueError("not yet")
    return x
"""
)


def test_a_retried_plan_waits_for_what_has_begun_early(load, tasks, finish):
    import asyncio

    from engine.drive.launch import Options
    from engine.history import fork_and_retry
    from engine.journal import MemoryJournal

    workflow = load(EAGER, SECOND)
    plan = tasks(("r", "look", {"x": 7}), ("s", "send", {"x": {"$from": "r"}}))
    journal = MemoryJournal()
    planner = Streaming([plan, finish(n=1)])
    run = workflow.run(models={"planner": planner}, journal=journal)
    assert run.status == "aborted"
    options = Options(models={"planner": planner})
    state = asyncio.run(fork_and_retry.retry_failed(run.id, journal, options))
    assert state.status == "finished", state.reason
    assert [(task.id, task.status, task.output) for task in state.loop.tasks.values()] == [
        ("r", "done", 7), ("s", "done", 7)
    ]  # fmt: skip


def test_what_is_shown_of_an_entry_is_known_to_be_no_part_of_the_plan(load, prompted, tasks):
    program = RULES.replace(
        "verifier small", 'verifier chief() via human { message = "?" }\nverifier small'
    )
    plan = tasks(("a", "look", {"x": 1}), ("b", "send", {"x": 2}))
    run = load(program.replace("small %s", "chief"), TOOLS).run(
        models={"planner": prompted([plan])}
    )
    assert run.status == "waiting"
    for shown, written in zip(
        plan_report(run._state, run._state.loop)["tasks"], plan["tasks"], strict=True
    ):
        assert set(shown) - set(written) <= SHOWN_OF_ENTRY
