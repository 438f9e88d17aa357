"""One gate for all items of an `each`: what it lists, and what an answer to some of them does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import engine
from engine.errors import UsageError
from engine.journal import MemoryJournal

PROGRAM = """
worker names() -> string[] via python { call = "tools:names" }
worker send(to: string) -> string via python { call = "tools:send"  effect = EFFECT }
verifier known(to: string) via rules { assert to != "n2" else "unknown: {{ to }}" }
verifier boss(to: string) via human { message = "Send?" }
orchestrator main() -> string[] {
  model = planner  goal = "g"  workers = [names, send]
  policy { max_rounds = 4  max_items = 2000  max_parallel = 2 }
  verify {
    HOOKS
  }
}
"""
HOOKS = "before_dispatch send { with = [known, boss]  on_fail = revise  max_revisions = 1 }"
TOOLS = """
import threading
SENT = []
N = 5
def names(): return [f"n{i}" for i in range(N)]
def send(to):
    SENT.append(to)
    return f"sent {to}"
"""
PLAN = {
    "tasks": [
        {"id": "s", "worker": "names", "input": {}},
        {"id": "r", "worker": "send", "input": {"to": {"$item": ""}}, "each": {"$from": "s"}},
    ]
}
LAST = {"finish": {"$from": "r"}}
Load = Callable[..., engine.Workflow]


def begin(load: Load, *, effect: str = "write", hooks: str = HOOKS, n: int = 5) -> engine.Run:
    program = PROGRAM.replace("EFFECT", effect).replace("HOOKS", hooks)
    planner = engine.Scripted([PLAN, LAST])
    workflow = load(program, TOOLS.replace("N = 5", f"N = {n}"))
    return workflow.run(models={"planner": planner}, journal=MemoryJournal())


def answer(run: engine.Run, reply: engine.Reply) -> engine.Run:
    planner = engine.Scripted([PLAN, LAST])
    return engine.resume(run.id, journal=run.journal, reply=reply, models={"planner": planner})


def test_one_gate_lists_what_other_verifiers_have_let_through(load: Load) -> None:
    run = begin(load)
    (gate,) = run.report()["gates"]
    assert (gate["step"], gate["count"], gate["worker"]) == ("r", 4, "send")
    assert [item["item"] for item in gate["items"]] == ["0", "1", "3", "4"]
    assert gate["items"][0]["input"] == {"to": "n0"}
    assert gate["message"] == "Send?"


def test_some_are_approved_and_the_others_refused(load: Load) -> None:
    run = answer(begin(load), engine.Reply("approve", gate="r", items=["0", "4"]))
    assert (run.status, run.output) == ("finished", ["sent n0", "sent n4"])
    assert [failure.mode for failure in run.failures] == ["denied"] * 3


def test_all_and_none(load: Load) -> None:
    run = answer(begin(load), engine.Reply("approve"))
    assert run.output == ["sent n0", "sent n1", "sent n3", "sent n4"]
    run = answer(begin(load), engine.Reply("reject", note="not today"))
    # Every item failed, so the step did, and the result that refers to it is not accepted.
    assert run.status != "finished"
    assert {failure.mode for failure in run.failures} == {"denied"}


def test_a_refusal_of_some_leaves_the_others_open(load: Load) -> None:
    run = answer(begin(load), engine.Reply("reject", items=["1"]))
    (gate,) = run.report()["gates"]
    assert [item["item"] for item in gate["items"]] == ["0", "3", "4"]
    assert answer(run, engine.Reply("approve")).output == ["sent n0", "sent n3", "sent n4"]


@pytest.mark.parametrize(("items", "problem"), [(["2"], "no item 2"), (["x"], "no item x")])
def test_an_item_that_is_not_listed_is_refused(load: Load, items: Any, problem: str) -> None:
    run = begin(load)
    with pytest.raises(UsageError, match=problem):
        answer(run, engine.Reply("approve", items=items))


def test_more_items_than_one_machine_step_makes_are_asked_about_at_once(load: Load) -> None:
    run = begin(load, n=1200)
    (gate,) = run.report()["gates"]
    assert gate["count"] == 1199
    assert len(gate["items"]) == 1000
    assert len(answer(run, engine.Reply("approve")).output) == 1199


def test_an_edit_needs_one_item(load: Load) -> None:
    with pytest.raises(UsageError, match="no input to edit"):
        answer(begin(load), engine.Reply("approve", edit={"to": "x"}))


def test_each_item_has_its_own_question_where_they_differ(load: Load) -> None:
    program = PROGRAM.replace("EFFECT", "write").replace("HOOKS", HOOKS)
    program = program.replace('message = "Send?"', 'message = "Send {{ to }}?"').replace(
        "verifier boss", "/// Only friends get something.\nverifier boss"
    )
    planner = engine.Scripted([PLAN, LAST])
    run = load(program, TOOLS).run(models={"planner": planner}, journal=MemoryJournal())
    (gate,) = run.gates
    assert gate.message == "Only friends get something."
    assert [item.message for item in gate.items] == [
        "Send n0?", "Send n1?", "Send n3?", "Send n4?"
    ]  # fmt: skip
    (gate,) = answer(run, engine.Reply("reject", items=["1"])).gates
    assert [item.message for item in gate.items] == ["Send n0?", "Send n3?", "Send n4?"]
    (gate,) = begin(load).gates
    assert {item.message for item in gate.items} == {""}


def test_items_are_named_by_label_or_id(load: Load) -> None:
    labelled = {**PLAN["tasks"][1], "label": {"$item": ""}}  # type: ignore[dict-item]
    plan = {"tasks": [PLAN["tasks"][0], labelled]}
    program = PROGRAM.replace("EFFECT", "write").replace("HOOKS", HOOKS)

    def planner() -> engine.Scripted:
        return engine.Scripted([plan, LAST])

    journal = MemoryJournal()
    run = load(program, TOOLS).run(models={"planner": planner()}, journal=journal)

    def approve(*items: str) -> engine.Run:
        reply = engine.Reply("approve", items=list(items))
        return engine.resume(run.id, journal=journal, reply=reply, models={"planner": planner()})

    with pytest.raises(UsageError, match="has no item n9"):
        approve("n9")
    assert approve("n0", "r[3]", "4").output == ["sent n0", "sent n3", "sent n4"]


def test_a_label_of_several_items_names_none(load: Load) -> None:
    same = {**PLAN["tasks"][1], "label": "x"}  # type: ignore[dict-item]
    plan = {"tasks": [PLAN["tasks"][0], same]}
    program = PROGRAM.replace("EFFECT", "write").replace("HOOKS", HOOKS)
    models = {"planner": engine.Scripted([plan, LAST])}
    journal = MemoryJournal()
    run = load(program, TOOLS).run(models=models, journal=journal)
    reply = engine.Reply("approve", items=["x"])
    with pytest.raises(UsageError, match="several items have the label `x`: 0, 1, 3, 4"):
        engine.resume(run.id, journal=journal, reply=reply, models=models)
