"""`orch plan` and gates that ask for a plan: what a plan would start, and who lets it."""

from __future__ import annotations

import json

import pytest

PROGRAM = """orch 1
model planner { id = "scripted/script.json" }
model thinker { id = "scripted/script.json"  context = 1000  max_tokens = 1000
  price { input = $1.00  output = $1.00 } }
worker think(x: int) -> int via llm { model = thinker  prompt = "{{ x }}" }
worker add(n: int) -> int via python { call = "tools:add"  effect = read }
worker send(n: int) -> int via python { call = "tools:add"  effect = write }
verifier boss() via human { message = "Run this plan?" }
orchestrator main(limit: int = 1) -> int {
  model = planner  goal = "Add {{ limit }}."  workers = [add, send, think]
  policy { max_rounds = 3  max_dispatches = 4 }
  verify { before_round { with = boss  on_fail = revise  max_revisions = 1 } }
}
"""


@pytest.fixture
def shop(desk):
    desk.write()
    (desk.folder / "a.orch").write_text(PROGRAM)
    plan = desk.tasks(desk.task("a", "add", n=1), desk.task("b", "send", n={"$from": "a"}))
    (desk.folder / "script.json").write_text(json.dumps([plan, desk.finish(5)]))
    return desk


def edited(desk, *tasks):
    plan = {"tasks": list(tasks)}
    (desk.folder / "plan.json").write_text(json.dumps(plan))
    return plan


def test_the_first_plan_of_a_script_is_shown_and_nothing_starts(shop):
    done = shop.orch("plan", "a.orch", "-i", "limit=2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        'a  add (read)  {"n": 1}',
        'b  send (write)  {"n": {"$from": "a"}}',
        "2 tasks, 1 effect, no model calls",
    ]
    assert shop.calls() == []
    assert not (shop.folder / ".orch").exists()


def test_a_plan_that_is_printed_can_be_given_back(shop):
    printed = shop.orch("plan", "a.orch", "--format", "json").stdout
    (shop.folder / "plan.json").write_text(printed)
    again = shop.orch("plan", "a.orch", "--edit", "plan.json", "--format", "json")
    assert (again.returncode, again.stdout) == (0, printed)
    changed = printed.replace('"n": 1', '"m": 1')
    (shop.folder / "plan.json").write_text(changed)
    refused = shop.orch("plan", "a.orch", "--edit", "plan.json")
    assert refused.returncode == 1
    assert "task `a` (add)" in refused.stderr


@pytest.mark.parametrize("part", [lambda gates: gates, lambda gates: gates[0]["plan"]])
def test_the_plan_of_a_gate_can_be_edited_where_it_is_shown(shop, part):
    assert shop.orch("run", "a.orch").returncode == 5
    gates = json.loads(shop.orch("gates", "--format", "json").stdout)
    gates[0]["plan"]["tasks"][0]["input"]["n"] = 7
    (shop.folder / "plan.json").write_text(json.dumps(part(gates)))
    done = shop.orch("approve", "last", "--edit", "plan.json")
    assert done.returncode == 0, done.stderr
    assert shop.calls() == ["add 7", "add 8"]


def test_a_plan_that_is_given_is_estimated(shop):
    edited(shop, *(shop.task(f"t{n}", "think", x=n) for n in range(3)))
    done = shop.orch("plan", "a.orch", "--edit", "plan.json", "--format", "json")
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert [entry["cost_most"] for entry in said["tasks"]] == [2000, 2000, 2000]
    assert said["estimate"] == {
        "tasks": {"least": 3, "most": 3},
        "effects": {"least": 0, "most": 0},
        "calls": 3,
        "cost_most": 6000,
        "cost_expected": None,
    }
    assert said["problems"] == []


@pytest.mark.parametrize(
    ("plan", "code", "said"),
    [
        ('{"tasks": [{"id": "a", "worker": "ad", "input": {}}]}', 1, "did you mean `add`?"),
        ('{"tasks": [{"id": "a", "worker": "add", "input": {"n": "x"}}]}', 1, "/n"),
        ('{"tasks": []}', 1, "tasks"),
        ("null", 1, "null"),
        ("[1]", 1, "a list"),
        ("{", 2, "is not JSON"),
        (
            json.dumps({"tasks": [{"id": f"a{n}", "worker": "add", "input": {"n": n}}
                                  for n in range(5)]}), 1, "4",
        ),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_run_says_why(shop, plan, code, said):
    (shop.folder / "plan.json").write_text(plan)
    done = shop.orch("plan", "a.orch", "--edit", "plan.json")
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_what_else_orch_plan_refuses(shop):
    assert shop.orch("plan", "a.orch", "-i", "limit=x").returncode == 2
    assert shop.orch("plan", "none.orch").returncode == 3
    asked = shop.orch("plan", "a.orch", "--model", "planner=anthropic/claude-sonnet-4-5")
    assert asked.returncode == 2
    assert "is not asked here: give the plan with --edit" in asked.stderr
    (shop.folder / "script.json").write_text("[]")
    empty = shop.orch("plan", "a.orch")
    assert empty.returncode == 1
    assert "the planner gives no plan" in empty.stderr


def test_a_plan_that_finishes_starts_nothing(shop):
    (shop.folder / "script.json").write_text(json.dumps([shop.finish(5)]))
    done = shop.orch("plan", "a.orch")
    assert (done.returncode, done.stdout) == (
        0,
        "the decision starts no task; it finishes with 5\n",
    )


def test_a_gate_shows_the_plan_and_takes_another(shop):
    begun = shop.orch("run", "a.orch")
    assert begun.returncode == 5
    assert "2 tasks, 1 effect, no model calls" in begun.stderr
    assert 'b  send (write)  {"n": {"$from": "a"}}' in begun.stderr
    assert "--edit FILE.json" in begun.stderr
    listed = shop.orch("gates").stdout
    assert 'a  add (read)  {"n": 1}' in listed
    (gate,) = json.loads(shop.orch("gates", "--format", "json").stdout)
    assert [entry["id"] for entry in gate["plan"]["tasks"]] == ["a", "b"]
    assert "a add: not started" in shop.orch("show").stdout

    edited(shop, shop.task("c", "ad", n=4))
    bad = shop.orch("approve", "last", "--edit", "plan.json")
    assert bad.returncode == 2
    assert "the plan cannot run: task `c`: unknown worker `ad`" in bad.stderr
    assert len(json.loads(shop.orch("gates", "--format", "json").stdout)) == 1

    edited(shop, shop.task("c", "add", n=4))
    done = shop.orch("approve", "last", "--edit", "plan.json", "--by", "ann")
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert shop.calls() == ["add 4"]
    shown = shop.orch("show").stdout
    assert "ann replaced the plan, which was:" in shown
    assert "b send" in shown
    assert shop.orch("replay", "last").returncode == 0


def test_the_steps_inside_a_plan_worker_are_shown(shop):
    program = (
        PROGRAM.replace("[add,", "[all, add,")
        + """
worker all(ns: int[] @items(max: 50)) -> int[] via plan {
  max_items = 50
  step sent { each = ns  call = send(n=item) }
  result = sent
}
"""
    )
    program = program.replace("max_dispatches = 4", "max_dispatches = 90")
    (shop.folder / "a.orch").write_text(program)
    ranged = shop.task("b", "all", ns={"$from": "a"})
    edited(shop, shop.task("a", "all", ns=[1, 2, 3]), ranged)
    done = shop.orch("plan", "a.orch", "--edit", "plan.json")
    assert done.stdout.splitlines() == [
        'a  all (write)  {"ns": [1, 2, 3]}',
        "  sent  send (write, 3 tasks)",
        'b  all (write)  {"ns": {"$from": "a"}}',
        "  sent  send (write, 0 to 50 tasks)",
        "5 to 55 tasks, 3 to 53 effects, no model calls",
    ]
    plan = shop.orch("plan", "a.orch", "--edit", "plan.json", "--format", "json")
    first, _ = json.loads(plan.stdout)["tasks"]
    assert first["steps"] == [
        {"step": "sent", "worker": "send", "effect": "write", "least": 3, "most": 3}
    ]
    plan = json.loads((shop.folder / "plan.json").read_text())
    (shop.folder / "script.json").write_text(json.dumps([plan]))
    begun = shop.orch("run", "a.orch")
    assert "  sent  send (write, 3 tasks)" in begun.stderr
    assert "5 to 55 tasks, 3 to 53 effects" in shop.orch("gates").stdout


def test_a_plan_is_edited_from_what_a_gate_and_orch_plan_print(shop):
    shown = json.loads(shop.orch("plan", "a.orch", "--format", "json").stdout)
    (shop.folder / "plan.json").write_text(json.dumps(shown))
    again = shop.orch("plan", "a.orch", "--edit", "plan.json", "--format", "json")
    assert json.loads(again.stdout) == shown
    shop.orch("run", "a.orch")
    (gate,) = json.loads(shop.orch("gates", "--format", "json").stdout)
    plan = gate["plan"]
    plan["tasks"][0]["input"]["n"] = 8
    plan["tasks"][1]["kind"] = "task"
    (shop.folder / "plan.json").write_text(json.dumps(plan))
    done = shop.orch("approve", "last", "--edit", "plan.json")
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert shop.calls() == ["add 8", "add 9"]
    plan["tasks"][0]["efect"] = "read"
    (shop.folder / "plan.json").write_text(json.dumps(plan))
    misspelt = shop.orch("plan", "a.orch", "--edit", "plan.json")
    assert misspelt.returncode == 1
    assert "efect" in misspelt.stderr
