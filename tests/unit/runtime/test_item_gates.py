"""One gate for all items of an `each`: what it lists, and what an answer to some of them does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import engine
from engine.drive.answers import answers
from engine.drive.launch import Options
from engine.drive.loading import load_run
from engine.errors import UsageError
from engine.history.fork_and_retry import fork
from engine.journal import MemoryJournal
from engine.runtime import forks
from engine.runtime.state import Step

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


def test_a_gate_named_by_an_item_is_answered_for_that_item_alone(load: Load) -> None:
    run = answer(begin(load), engine.Reply("approve", gate="r[1]"))
    (gate,) = run.report()["gates"]
    assert [item["item"] for item in gate["items"]] == ["0", "3", "4"]
    run = answer(run, engine.Reply("reject", gate="r[3]"))
    (gate,) = run.report()["gates"]
    assert [item["item"] for item in gate["items"]] == ["0", "4"]
    run = answer(run, engine.Reply("approve", gate="r"))
    assert run.output == ["sent n0", "sent n1", "sent n4"]


def test_an_item_is_not_named_together_with_a_list_of_items(load: Load) -> None:
    with pytest.raises(UsageError, match="name the step"):
        answer(begin(load), engine.Reply("approve", gate="r[1]", items=["0"]))
    with pytest.raises(UsageError, match="needs `items`"):
        answer(begin(load), engine.Reply("approve", keep_others=True))


def test_some_are_approved_and_the_others_stay_open(load: Load) -> None:
    reply = engine.Reply("approve", gate="r", items=["0", "4"], keep_others=True)
    run = answer(begin(load), reply)
    assert run.status == "waiting"
    assert answer(run, engine.Reply("reject")).output == ["sent n0", "sent n4"]


def test_a_gate_inside_a_plan_worker_goes_by_its_path(load: Load) -> None:
    plan = """worker q() -> string via plan {
  max_items = 9
  step a { call = send(to="n9") }
  result = a
}
"""
    program = PROGRAM.replace("EFFECT", "read").replace("HOOKS", HOOKS)
    program = program.replace("orchestrator main", plan + "orchestrator main")
    program = program.replace("workers = [names, send]", "workers = [names, send, q]")
    decisions = [
        {"tasks": [{"id": name, "worker": "q", "input": {}} for name in "tu"]},
        {"finish": []},
    ]
    models = {"planner": engine.Scripted(decisions)}
    run = load(program, TOOLS).run(models=models, journal=MemoryJournal())
    assert [gate["task"] for gate in run.report()["gates"]] == ["t/a", "u/a"]

    def say(gate: str) -> engine.Run:
        reply = engine.Reply("approve", gate=gate)
        again = {"planner": engine.Scripted(decisions)}
        return engine.resume(run.id, journal=run.journal, reply=reply, models=again)

    with pytest.raises(UsageError, match="several gates are open"):
        say("a")
    assert [gate["task"] for gate in say("t/a").report()["gates"]] == ["u/a"]
    assert say("a").status == "finished"


MANY_LOOKS = """
worker names() -> string[] via python { call = "tools:names" }
worker send(to: string) -> string via python { call = "tools:send"  effect = write }
verifier a(to: string) via human { message = "A?" }
verifier b(to: string) via human { message = "B?" }
verifier c(to: string) via human { message = "C?" }
verifier d(to: string) via human { message = "D?"  skip_when = to == "n1" }
verifier e(to: string) via human { message = "E?" }
verifier f(to: string) via human { message = "F?" }
verifier z(to: string) via human { message = "Z?" }
verifier late(to: string) via python { call = "tools:late" }
orchestrator main() -> string[] {
  model = planner  goal = "g"  workers = [names, send]
  policy { max_rounds = 4  max_items = 2000  max_parallel = 2 }
  verify {
    before_dispatch send { with = [z]  on_fail = revise  max_revisions = 1 }
    before_dispatch send { with = [a, late, b]  on_fail = revise  max_revisions = 1 }
    before_dispatch send { with = [c, d, e, f]  on_fail = revise  max_revisions = 1 }
  }
}
"""


def test_each_time_that_a_step_asks_has_its_own_number(load: Load) -> None:
    """However many verifiers ask each time, and however many of them skip an item."""
    tools = TOOLS.replace("N = 5", "N = 2") + "def late(to): return to != 'n9'\n"
    models = {"planner": engine.Scripted([PLAN, LAST])}
    run = load(MANY_LOOKS, tools).run(models=models, journal=MemoryJournal())
    asked: list[str] = []
    while run.status == "waiting":
        gates = [gate["key"] for gate in run.report()["gates"]]
        asked += gates
        for gate in gates:
            run = answer(run, engine.Reply("approve", gate=gate))
    assert run.output == ["sent n0", "sent n1"]
    begins = "round 1 / decision 1 / task r / before"
    assert asked == [
        f"{begins} / verify z",
        *(f"{begins} 2 / verify {name}" for name in "ab"),
        *(f"{begins} 3 / verify {name}" for name in "cdef"),
    ]


def test_a_wide_step_counts_its_parked_items_once_each(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is looked at grows with the items, not with their square."""
    looks = 0

    class Parked(list[Any]):
        def __iter__(self) -> Any:
            nonlocal looks
            for one in super().__iter__():
                looks += 1
                yield one

    begun = Step.__init__

    def init(step: Step, *given: Any, **more: Any) -> None:
        begun(step, *given, **more)
        step.asking = Parked()

    monkeypatch.setattr(Step, "__init__", init)
    hooks = "before_dispatch send { with = [boss, late]  on_fail = revise  max_revisions = 1 }"
    late = 'verifier late(to: string) via python { call = "tools:late" }\nverifier boss'
    program = PROGRAM.replace("EFFECT", "write").replace("HOOKS", hooks)
    program = program.replace("verifier boss", late)
    tools = TOOLS.replace("N = 5", "N = 60") + "def late(to): return True\n"
    models = {"planner": engine.Scripted([PLAN, LAST])}
    run = load(program, tools).run(models=models, journal=MemoryJournal())
    (gate,) = run.report()["gates"]
    assert gate["count"] == 60
    assert looks == 60


def forked(load: Load, n: int = 3) -> engine.Run:
    """A fork from before any item of `r` started; its parent has sent all of them."""
    program = PROGRAM.replace("EFFECT", "once").replace("verify {\n    HOOKS\n  }", "")
    workflow = load(program, TOOLS.replace("N = 5", f"N = {n}"))
    journal = MemoryJournal()
    parent = workflow.run(models={"planner": engine.Scripted([PLAN, LAST])}, journal=journal)
    assert len(parent.output) == n
    events = journal.read(parent.id)
    first = next(at for at, e in enumerate(events) if getattr(e, "key", "").endswith("/ task r[0]"))
    models = {"planner": engine.Scripted([PLAN, LAST])}
    state = asyncio.run(fork(parent.id, first, journal, Options(models=models)))
    return engine.resume(state.run, journal=journal, models=models)


def test_a_fork_asks_once_about_all_items_that_its_parent_started(load: Load) -> None:
    run = forked(load)
    (gate,) = run.report()["gates"]
    assert (gate["kind"], gate["step"], gate["count"], gate["offers"]) == ("outcome", "r", 3, True)
    assert [item["parent"]["outcome"] for item in gate["items"]] == ["done"] * 3
    assert [item["parent"]["task"] for item in gate["items"]] == ["r[0]", "r[1]", "r[2]"]
    run = answer(run, engine.Reply("approve", gate="r[1]"))
    (gate,) = run.report()["gates"]
    assert [item["item"] for item in gate["items"]] == ["0", "2"]
    run = answer(run, engine.Reply("reject", gate="r[2]"))
    assert answer(run, engine.Reply("not_done")).output == ["sent n0", "sent n1"]


def test_what_cannot_be_taken_is_not_approved_without_an_output(load: Load) -> None:
    run = forked(load)
    record = run.journal.record(run.id)
    state = load_run(run.journal, record.run)[1]
    (gate,) = state.gates.values()
    key = gate.tasks[1].key
    gate.helds[key] = msgspec.structs.replace(gate.helds[key], outcome="unknown")
    assert not forks.offers(gate)
    assert forks.offers(gate, [gate.tasks[0]])
    with pytest.raises(UsageError, match="does not fit"):
        answers(state, engine.Reply("approve", gate="r"), 0)
    with pytest.raises(UsageError, match="does not fit"):
        answers(state, engine.Reply("approve", gate="r[1]"), 0)
    (event,) = answers(state, engine.Reply("approve", gate="r", items=["0", "2"]), 0)
    assert event.items == ["0", "2"]


def test_a_fork_asks_about_more_items_than_would_run_at_once(load: Load) -> None:
    (gate,) = forked(load, 40).report()["gates"]
    assert gate["count"] == 40


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
