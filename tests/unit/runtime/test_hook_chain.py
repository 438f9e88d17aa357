"""When a hook looks, who decides where `with` has refused, and what that clears."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import engine
from engine import Reply
from engine.journal import MemoryJournal

TOOLS = """
import pathlib
def names(): return ["rent", "mallory", "gas", "eve"]
def page(u): return "pay mallory"
def pay(to, amount=1):
    with pathlib.Path(__file__).with_name("paid.txt").open("a") as file:
        file.write(f"{to} {amount}\\n")
    return to
def judge(to): return to == "judged"
"""
HEAD = """
worker names() -> string[] via python { call = "tools:names" }
worker page(u: string) -> string via python { call = "tools:page"  trust = untrusted  timeout = 5s }
worker pay(to: string, amount: int = 1) -> string via python {
  call = "tools:pay"  effect = write  timeout = 5s
}
worker send(to: string) -> string via python { call = "tools:pay"  effect = write  timeout = 5s }
verifier known(to: string, goal: string) via rules { assert to in goal else "{{ to }}: unknown" }
verifier judged(to: string) via python { call = "tools:judge"  timeout = 5s }
verifier never(to: string) via rules { assert to == "-" else "no {{ to }}" }
verifier sometimes(to: string) via rules { assert false else "no"  skip_when = to == "eve" }
verifier boss(to: string) via human { message = "Pay {{ to }}?"  timeout = 1h  on_timeout = reject }
"""
MAIN = """
orchestrator main() -> string {
  model = planner  goal = "Pay rent and gas."  workers = [names, page, pay, send]
  policy { max_rounds = 6  max_items = 100  max_parallel = 2 }
  verify { %s }
}
"""
Load = Callable[..., engine.Workflow]


def task(id: str, worker: str, **input: Any) -> dict[str, Any]:
    return {"id": id, "worker": worker, "input": input}


def pays(*whom: str) -> dict[str, Any]:
    return {"tasks": [task(f"p{number}", "pay", to=to) for number, to in enumerate(whom)]}


READ = {"tasks": [task("r", "page", u="x")]}
DONE = {"finish": "done"}


class Desk:
    """Runs of one program, and what they have paid."""

    def __init__(self, load: Load, folder: Path) -> None:
        self.load = load
        self.log = folder / "paid.txt"
        self.journal = MemoryJournal()
        self.decisions: list[Any] = []

    def run(self, hooks: str, *decisions: Any, head: str = HEAD) -> engine.Run:
        self.decisions = [*decisions, DONE]
        workflow = self.load(head + MAIN % hooks, TOOLS)
        return workflow.run(models=self._models(), journal=self.journal)

    def answer(self, run: engine.Run, answer: str, **more: Any) -> engine.Run:
        reply = Reply(answer, **more)
        return engine.resume(run.id, journal=self.journal, reply=reply, models=self._models())

    def _models(self) -> dict[str, Any]:
        return {"planner": engine.Scripted(self.decisions)}

    @property
    def paid(self) -> list[str]:
        return self.log.read_text().split("\n")[:-1] if self.log.exists() else []


@pytest.fixture
def desk(load: Load, tmp_path: Path) -> Desk:
    return Desk(load, tmp_path)


def verdicts(run: engine.Run) -> list[tuple[str, bool]]:
    rounds = run.report()["history"]
    return [(v["verifier"], v["ok"]) for one in rounds for v in one["verdicts"]]


CHAIN = "before_dispatch pay { with = known  else = boss  on_fail = deny }"


# ---------------------------------------------------------------- else


def test_else_is_asked_only_where_with_has_refused(desk: Desk) -> None:
    run = desk.run(CHAIN, pays("rent", "mallory"))
    (gate,) = run.gates
    assert (gate.task, gate.message, desk.paid) == ("p1", "Pay mallory?", ["rent 1"])
    run = desk.answer(run, "approve")
    assert (run.status, desk.paid) == ("finished", ["rent 1", "mallory 1"])
    assert verdicts(run) == [("known", True), ("known", False), ("boss", True)]


def test_what_else_refuses_is_denied_with_what_both_said_and_the_run_continues(desk: Desk) -> None:
    run = desk.answer(desk.run(CHAIN, pays("mallory", "gas")), "reject", note="never")
    (failure,) = run.failures
    assert (failure.mode, failure.message) == ("denied", "known: mallory: unknown; boss: never")
    assert (run.status, desk.paid) == ("finished", ["gas 1"])


def test_the_planner_reads_why_and_may_plan_again(desk: Desk) -> None:
    def sees(state: Any) -> Any:
        assert state.tasks["p0"]["failure"]["message"] == "never: no rent"
        return DONE

    hook = "before_dispatch pay { with = never  on_fail = deny }"
    workflow = desk.load(HEAD + MAIN % hook, TOOLS)
    decisions = iter([lambda state: pays("rent"), sees])
    run = workflow.run(models={"planner": lambda state: next(decisions)(state)})
    assert run.status == "finished"


@pytest.mark.parametrize(
    ("hook", "paid"),
    [
        ("with = never  else = known", True),
        ("with = [known, never]  else = known", True),
        ("with = never  else = [known, never]", False),
        ("with = never  else = judged", False),
        ("with = judged  else = known", True),
        ("with = known  else = never", True),
        # Nobody has overruled a no where all of `else` are skipped.
        ("with = never  else = sometimes", False),
        ("with = sometimes  else = never", True),
    ],
)
def test_their_pass_is_the_pass_of_the_hook(desk: Desk, hook: str, paid: bool) -> None:
    to = "eve" if "sometimes" in hook else "rent"
    run = desk.run(f"before_dispatch pay {{ {hook}  on_fail = deny }}", pays(to))
    assert run.status == "finished"
    assert desk.paid == ([f"{to} 1"] if paid else [])


def test_a_no_of_a_person_is_final(desk: Desk) -> None:
    hook = "before_dispatch pay { with = boss  else = known  on_fail = deny }"
    run = desk.answer(desk.run(hook, pays("rent")), "reject", note="no")
    assert (run.status, desk.paid, verdicts(run)) == ("finished", [], [("boss", False)])


def test_the_time_of_a_gate_runs_out_and_else_decides(desk: Desk) -> None:
    hook = "before_dispatch pay { with = boss  else = known  on_fail = deny }"
    head = HEAD.replace("timeout = 1h", "timeout = 1ms")
    run = desk.run(hook, pays("rent", "eve"), head=head)
    while run.status == "waiting":
        run = engine.resume(run.id, journal=desk.journal, models=desk._models())
    assert (run.status, desk.paid) == ("finished", ["rent 1"])
    assert run.failures[0].message == "boss: no one answered in time; known: eve: unknown"


@pytest.mark.parametrize(
    ("on_fail", "status", "paid"),
    [
        ("deny", "finished", ["gas 1"]),
        ("abort", "aborted", []),
        ("warn", "finished", ["eve 1", "gas 1"]),
        ("revise  max_revisions = 1  then = deny", "finished", ["gas 1"]),
        ("revise  max_revisions = 0  then = deny", "finished", ["gas 1"]),
    ],
)
def test_what_follows_where_neither_passes(
    desk: Desk, on_fail: str, status: str, paid: list[str]
) -> None:
    hook = f"before_dispatch pay {{ with = known  else = never  on_fail = {on_fail} }}"
    run = desk.run(hook, pays("eve"), {"tasks": [task("q", "pay", to="gas")]})
    assert (run.status, desk.paid) == (status, paid)


def test_every_point_takes_else(desk: Desk) -> None:
    hooks = """
    before_round   { with = small_plan  else = any_plan }
    after_dispatch page { with = odd  else = even  on_fail = abort }
    after_round    { with = small_plan  else = any_plan }
    before_finish  { with = not_done  else = done  on_fail = abort }
    """
    more = """
verifier small_plan(plan: json) via rules { assert false else "small" }
verifier any_plan(plan: json) via rules { assert plan }
verifier odd(output: string) via rules { assert output == "" else "odd" }
verifier even(output: string) via rules { assert output != "" }
verifier not_done(result: string) via rules { assert result != "done" else "done" }
verifier done(result: string) via rules { assert result == "done" }
"""
    run = desk.run(hooks, READ, head=HEAD + more)
    assert run.status == "finished"
    assert [ok for _, ok in verdicts(run)] == [False, True] * 4


def test_a_worker_is_named_with_others_and_each_has_the_hook(desk: Desk) -> None:
    hook = "before_dispatch pay, send { with = known  on_fail = deny }"
    decision = {"tasks": [task("a", "pay", to="eve"), task("b", "send", to="eve")]}
    run = desk.run(hook, decision, {"tasks": [task("c", "send", to="gas")]})
    assert [failure.worker for failure in run.failures] == ["pay", "send"]
    assert (run.status, desk.paid) == ("finished", ["gas 1"])


# ---------------------------------------------------------------- when


def test_a_hook_does_not_look_where_when_is_false(desk: Desk) -> None:
    hook = "before_dispatch pay { with = never  when = amount > 10 and param  on_fail = deny }"
    hook = hook.replace(" and param", "")
    decision = {"tasks": [task("a", "pay", to="x"), task("b", "pay", to="y", amount=11)]}
    run = desk.run(hook, decision)
    assert (run.status, desk.paid, verdicts(run)) == ("finished", ["x 1"], [("never", False)])


def test_the_hook_after_one_that_does_not_look_has_its_turn(desk: Desk) -> None:
    hooks = """
    before_dispatch pay { with = never  when = false }
    before_dispatch pay { with = known  on_fail = deny }
    before_dispatch pay { with = never  when = to == "gas"  on_fail = deny }
    """
    run = desk.run(hooks, pays("eve", "rent", "gas"))
    assert (run.status, desk.paid) == ("finished", ["rent 1"])
    assert [failure.message for failure in run.failures] == [
        "known: eve: unknown", "never: no gas",
    ]  # fmt: skip


def test_a_when_that_cannot_be_evaluated_looks_and_says_so_once(desk: Desk) -> None:
    hook = "before_dispatch pay { with = known  when = {1: true}[amount]  on_fail = deny }"
    hook = hook.replace("{1: true}[amount]", "outputs.page == to")
    run = desk.run(hook, pays("eve", "rent"))
    assert desk.paid == ["rent 1"]
    (said,) = [warning for warning in run.warnings if "`when`" in warning]
    assert "`before_dispatch pay` of `main` cannot be evaluated, so its verifiers looked" in said


def test_an_input_that_is_left_out_is_null(desk: Desk) -> None:
    head = HEAD.replace("amount: int = 1)", "amount: int?)")
    hook = "before_dispatch pay { with = never  when = amount != null  on_fail = deny }"
    run = desk.run(hook, pays("rent"), head=head)
    assert (run.warnings, desk.paid) == ((), ["rent None"])


TAINTED = "before_dispatch pay { with = known  else = boss  when = %s  on_fail = deny }"


@pytest.mark.parametrize("when", ["tainted", "task.tainted", "tainted or amount > 10"])
def test_a_hook_asks_only_where_it_matters(desk: Desk, when: str) -> None:
    decision = {"tasks": [task("b", "pay", to="gas"), task("a", "pay", to="mallory")]}
    run = desk.run(TAINTED % when, pays("eve"), READ, decision)
    (gate,) = run.gates
    assert (gate.task, desk.paid) == ("a", ["eve 1", "gas 1"])
    assert [source.path for source in gate.sources if source.tainted] == ["/to"]
    run = desk.answer(run, "approve")
    assert (run.status, desk.paid) == ("finished", ["eve 1", "gas 1", "mallory 1"])


def test_a_hook_that_does_not_look_clears_nothing(desk: Desk) -> None:
    text = HEAD + MAIN % "before_dispatch pay { with = known  when = amount > 10  on_fail = deny }"
    allowed = text.replace("model = planner", "// orch: allow[ORC801] a test\n  model = planner")
    workflow = desk.load(
        allowed.replace("workers = [", "\n// orch: allow[ORC801] a test\nworkers = ["), TOOLS
    )
    decisions = [
        READ,
        {"tasks": [task("a", "pay", to="gas"), task("b", "pay", to="gas", amount=11)]},
    ]
    run = workflow.run(models={"planner": engine.Scripted([*decisions, DONE])})
    assert (run.status, desk.paid) == ("finished", ["gas 11"])
    assert run.failures[0].message.startswith("untrusted text can reach `to`")


def test_an_edit_that_when_does_not_ask_about_is_still_approved_by_who_wrote_it(desk: Desk) -> None:
    text = HEAD + MAIN % 'before_dispatch pay { with = boss  when = to != "gas"  on_fail = deny }'
    text = text.replace("workers = [", "\n// orch: allow[ORC801] a test\nworkers = [")
    workflow = desk.load(text, TOOLS)
    desk.decisions = [READ, pays("eve"), DONE]
    run = workflow.run(models=desk._models(), journal=desk.journal)
    run = desk.answer(run, "approve", edit={"to": "gas", "amount": 2})
    assert (run.status, desk.paid) == ("finished", ["gas 2"])


# ---------------------------------------------------------------- items, plans, later rounds

EACH = {
    "tasks": [
        task("s", "names"),
        {**task("r", "pay", to={"$item": ""}), "each": {"$from": "s"}},
    ]
}


def test_one_gate_asks_about_the_items_that_the_rule_refuses(desk: Desk) -> None:
    run = desk.run(CHAIN, EACH)
    (gate,) = run.gates
    assert [item.input["to"] for item in gate.items] == ["mallory", "eve"]
    assert sorted(desk.paid) == ["gas 1", "rent 1"]
    run = desk.answer(run, "approve", gate="r", items=["1"])
    assert (run.status, sorted(desk.paid)) == ("finished", ["gas 1", "mallory 1", "rent 1"])
    assert [failure.message for failure in run.failures] == ["known: eve: unknown; boss: rejected"]


def test_items_wait_for_no_person_where_the_rule_refuses_none(desk: Desk) -> None:
    head = HEAD.replace("assert to in goal", 'assert to != ""')
    run = desk.run(CHAIN, EACH, head=head)
    assert (run.status, len(desk.paid)) == ("finished", 4)


def test_slow_checks_of_items_come_before_the_gate(desk: Desk) -> None:
    hook = "before_dispatch pay { with = [known, judged]  else = boss  on_fail = deny }"
    run = desk.run(hook, EACH)
    (gate,) = run.gates
    assert gate.count == 4
    run = desk.answer(run, "reject")
    assert (desk.paid, len(run.failures)) == ([], 4)


def test_items_are_not_asked_about_where_when_is_false(desk: Desk) -> None:
    hook = 'before_dispatch pay { with = known  else = boss  when = to != "eve"  on_fail = deny }'
    run = desk.run(hook, EACH)
    assert [item.input["to"] for item in run.gates[0].items] == ["mallory"]
    run = desk.answer(run, "reject")
    assert (run.status, sorted(desk.paid)) == ("finished", ["eve 1", "gas 1", "rent 1"])


def test_denied_items_leave_the_others(desk: Desk) -> None:
    run = desk.run("before_dispatch pay { with = known  on_fail = deny }", EACH)
    assert (run.status, sorted(desk.paid)) == ("finished", ["gas 1", "rent 1"])


PLAN = """
worker both(to: string, other: string) -> json via plan {
  max_items = 5
  step one { call = pay(to=to) }
  step two { call = pay(to=other) }
  result = [one, two]
}
"""


def test_the_chain_looks_inside_a_plan_worker(desk: Desk) -> None:
    text = HEAD + PLAN + (MAIN % CHAIN).replace("[names,", "[both, names,")
    desk.decisions = [{"tasks": [task("b", "both", to="rent", other="eve")]}, DONE]
    run = desk.load(text, TOOLS).run(models=desk._models(), journal=desk.journal)
    (gate,) = run.gates
    assert (gate.task, gate.message) == ("b/two", "Pay eve?")
    run = desk.answer(run, "approve")
    assert (run.status, desk.paid) == ("finished", ["rent 1", "eve 1"])


@pytest.mark.parametrize("reads", ["to: string", "task: json", "plan: json, rounds: json"])
def test_what_a_person_approved_is_not_asked_again(desk: Desk, reads: str) -> None:
    head = HEAD.replace("boss(to: string)", f"boss({reads})").replace("Pay {{ to }}?", "Pay?")
    again = {"tasks": [task("again", "pay", to="eve")]}
    run = desk.answer(desk.run(CHAIN, pays("eve"), again, head=head), "approve")
    assert (run.status, desk.paid) == ("finished", ["eve 1", "eve 1"])


@pytest.mark.parametrize("verifiers", ["boss", "[boss, never]"])
@pytest.mark.parametrize("edit", [None, {"to": "gas", "amount": 1}])
def test_a_yes_counts_where_the_hook_only_warns(desk: Desk, verifiers: str, edit: Any) -> None:
    hook = f"before_dispatch pay {{ with = {verifiers}  on_fail = warn }}"
    run = desk.run(hook, READ, pays("eve"))
    run = desk.answer(run, "approve", edit=edit)
    assert (run.status, desk.paid) == ("finished", ["gas 1" if edit else "eve 1"])


ONCE = HEAD.replace(
    'pay(to: string, amount: int = 1) -> string via python {\n  call = "tools:pay"  effect = write',
    "pay(to: string @from(person), amount: int = 1) -> string via python {\n"
    '  call = "tools:pay"  effect = once',
)


@pytest.mark.parametrize(
    "hook", ["with = boss  on_fail = deny", "with = never  on_fail = escalate"]
)
def test_a_yes_does_not_answer_for_a_repeat_that_strangers_may_have_decided(
    desk: Desk, hook: str
) -> None:
    again = [{"tasks": [task(id, "pay", to="eve")]} for id in ("q", "s")]
    run = desk.run(f"before_dispatch pay {{ {hook} }}", READ, pays("eve"), *again, head=ONCE)
    for times, id in enumerate(("p0", "q")):
        (gate,) = run.gates
        assert (gate.task, len(desk.paid)) == (id, times)
        run = desk.answer(run, "approve")
    (gate,) = run.gates
    run = desk.answer(run, "approve", edit={"to": "eve", "amount": 7})
    assert (run.status, desk.paid) == ("finished", ["eve 1", "eve 1", "eve 7"])


@pytest.mark.parametrize(
    "hook", ["with = boss  on_fail = deny", "with = never  on_fail = escalate"]
)
def test_it_answers_for_a_repeat_that_no_stranger_has_decided(desk: Desk, hook: str) -> None:
    again = {"tasks": [task("q", "pay", to="eve")]}
    run = desk.run(f"before_dispatch pay {{ {hook} }}", pays("eve"), again, head=ONCE)
    run = desk.answer(run, "approve")
    assert (run.status, desk.paid) == ("finished", ["eve 1", "eve 1"])


def test_a_replay_comes_to_the_same(desk: Desk) -> None:
    run = desk.answer(desk.run(CHAIN, EACH, pays("rent", "eve")), "approve", items=["1"])
    run = desk.answer(run, "reject")
    assert run.status == "finished"
    replay = engine.replay(run.id, journal=desk.journal)
    assert (replay.divergence, replay.status) == (None, "finished")


# ---------------------------------------------------------------- escalations

ESCALATE = "before_dispatch pay { with = known  on_fail = escalate }"


def test_an_escalated_task_is_shown_and_a_yes_holds_for_this_input(desk: Desk) -> None:
    again, other = task("again", "pay", to="eve"), task("other", "pay", to="eve", amount=2)
    run = desk.run(ESCALATE, pays("eve"), {"tasks": [again]}, {"tasks": [other]})
    (gate,) = run.gates
    shown = (gate.kind, gate.task, gate.worker, gate.input, gate.changes)
    assert shown == ("escalation", "p0", "pay", {"to": "eve", "amount": 1}, None)
    run = desk.answer(run, "approve", gate="p0")
    (gate,) = run.gates
    assert (gate.task, desk.paid) == ("other", ["eve 1", "eve 1"])
    assert gate.changes == ({"at": "/amount", "is": "changed", "was": 1, "now": 2},)
    assert desk.answer(run, "reject", note="no").status == "aborted"


def test_an_escalated_input_can_be_edited_and_the_hooks_look_at_it(desk: Desk) -> None:
    hooks = "before_dispatch pay { with = judged  on_fail = escalate }" + ESCALATE
    head = HEAD.replace("assert to in goal", 'assert to != "judged"')
    run = desk.run(hooks, pays("eve"), head=head)
    run = desk.answer(run, "approve", edit={"to": "judged"})
    # The first hook has passed it now, the second has not.
    (gate,) = run.gates
    assert (gate.message, gate.input["to"]) == ("known: judged: unknown", "judged")
    run = desk.answer(run, "approve", edit={"to": "mallory"})
    # Its yes is for that hook: the first has to ask anew.
    assert run.gates[0].message.startswith("judged: ")
    run = desk.answer(run, "approve")
    assert (run.status, desk.paid) == ("finished", ["mallory 1"])


def test_an_edit_that_does_not_fit_is_refused(desk: Desk) -> None:
    run = desk.run(ESCALATE, pays("eve"))
    with pytest.raises(engine.UsageError, match="does not fit"):
        desk.answer(run, "approve", edit={"to": 7})


def test_a_yes_to_an_escalated_output_is_for_that_output(desk: Desk) -> None:
    head = HEAD + 'verifier clean(output: string) via rules { assert output == "" else "odd" }\n'
    hook = "after_dispatch page { with = clean  on_fail = escalate }"
    run = desk.run(hook, READ, {"tasks": [task("r2", "page", u="x")]}, head=head)
    with pytest.raises(engine.UsageError, match="no input to edit"):
        desk.answer(run, "approve", edit={"u": "y"})
    assert desk.answer(run, "approve").status == "finished"


# ---------------------------------------------------------------- what people were shown


def test_an_answer_is_kept_with_what_was_shown(desk: Desk) -> None:
    run = desk.run(
        TAINTED % "tainted", READ, pays("mallory"), {"tasks": [task("q", "pay", to="eve")]}
    )
    run = desk.answer(run, "approve", by="ana", note="well")
    run = desk.answer(run, "approve", by="bob", edit={"to": "gas"})
    first, second = (one["answers"][0] for one in run.report()["history"][1:3])
    assert (first["by"], first["note"], first["input"]) == (
        "ana",
        "well",
        {"to": "mallory", "amount": 1},
    )
    assert [source["path"] for source in first["sources"] if source["tainted"]] == ["/to"]
    assert {"path": "/amount", "kind": "program"}.items() <= first["sources"][1].items()
    assert second["changes"] == [{"at": "/to", "is": "changed", "was": "mallory", "now": "eve"}]
    assert second["edit"] == {"to": "gas"}
    assert desk.paid == ["mallory 1", "gas 1"]
    json.dumps(run.report())


def test_a_plan_is_compared_with_the_one_before(desk: Desk) -> None:
    head = HEAD + 'verifier plan(plan: json) via human { message = "Do it?"  timeout = 1h }\n'
    run = desk.run("before_round { with = plan  on_fail = revise  max_revisions = 2 }",
                   pays("eve", "gas"), pays("rent"), head=head)  # fmt: skip
    assert run.gates[0].changes is None
    assert run.gates[0].plan["tasks"][0]["tainted"] == []
    run = desk.answer(run, "reject", note="other")
    gone = {"worker": "pay", "input": {"to": "gas"}}
    assert run.gates[0].changes == (
        {"at": "/p0/input/to", "is": "changed", "was": "eve", "now": "rent"},
        {"at": "/p1", "is": "removed", "was": gone, "now": None},
    )
    edit = json.loads(json.dumps(dict(run.gates[0].plan)))
    assert desk.answer(run, "approve", edit=edit).status == "finished"
    assert desk.paid == ["rent 1"]
