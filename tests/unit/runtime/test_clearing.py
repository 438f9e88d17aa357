"""A verdict clears what it has looked at, and `endorse` makes passed values clean elsewhere."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

import engine
from engine.events import CallFinished, CallStarted, ModelInfo, RunStarted
from engine.runtime.clearing import NOTHING, after_pass
from engine.runtime.machine import step
from engine.runtime.state import RunState

EVIL = "mallory@evil.example"
TOOLS = f"""
def bill(u):
    return {{"payee": "{EVIL}", "amount": 9999999}}
def page(u):
    return "{EVIL}"
def pay(recipient, amount, body=""):
    return recipient
def ring():
    return 1
"""
WORKERS = """
model reader { id = "scripted/none.json" }
worker bill(u: string) -> { payee: string, amount: int } via python {
  call = "tools:bill"  effect = read  trust = untrusted  timeout = 5s
}
worker page(u: string) -> string via python {
  call = "tools:page"  effect = read  trust = untrusted  timeout = 5s
}
worker pay(recipient: string, amount: float, body: string = "") -> string via python {
  call = "tools:pay"  effect = once  timeout = 5s
}
worker ring() -> int via python { call = "tools:ring"  effect = write  timeout = 5s }
verifier small(amount: float) via rules { assert amount >= 0 }
verifier known(recipient: string) via rules { assert recipient != "" }
verifier rest(body: string, amount: float) via rules { assert body != "no" and amount < 1e9 }
verifier all_of_it(input: json) via rules { assert input }
verifier parts_of_it(input: json) via rules { assert input.amount > 0 and input["body"] != "no" }
verifier declared(recipient: string, amount: float, body: string) via rules { assert amount > 0 }
verifier about(goal: string) via rules { assert goal != "" }
verifier sourced(task: json) via rules { assert task.sources | length >= 0 }
verifier numbered(task: json) via rules { assert task.round > 0 }
verifier person(amount: float) via human { message = "Pay?"  timeout = 1h  on_timeout = abort }
"""
MAIN = """
orchestrator main() -> string {
  model = planner  goal = "Pay the rent."  workers = [bill, page, pay, ring]
  policy { max_rounds = 5 }
  verify { HOOKS }
}
"""


def task(id, worker, **input):
    return {"id": id, "worker": worker, "input": input}


def decision(*tasks):
    return {"tasks": list(tasks)}


DONE = {"finish": "done"}
READ = decision(task("r", "page", u="x"))
PAY = decision(task("p", "pay", recipient=EVIL, amount=5, body="hello"))


@pytest.fixture
def pays(play):
    def pays(*decisions, hooks, program=WORKERS + MAIN):
        run = play(program.replace("HOOKS", hooks), [*decisions, DONE], TOOLS)
        report = run.report()
        denials = [each["message"] for each in report["failures"] if each["mode"] == "denied"]
        made = [
            each["id"]
            for entry in report["history"]
            for each in entry["tasks"]
            if each["worker"] in ("pay", "ring") and each["status"] == "done"
        ]
        return made, denials

    return pays


def before(*verifiers, more=""):
    named = ", ".join(verifiers)
    return f"before_dispatch pay {{ with = [{named}]  on_fail = abort  {more} }}\n"


@pytest.mark.parametrize(
    "hooks",
    [
        before("known", "rest"),
        before("known") + before("rest"),
        before("all_of_it"),
        before("sourced"),
        before("known", "parts_of_it"),
    ],
)
def test_what_the_verifiers_have_read_between_them_is_clear(pays, hooks):
    assert pays(READ, PAY, hooks=hooks) == (["p"], [])


@pytest.mark.parametrize(
    ("hooks", "left"),
    [
        (before("small"), "`recipient` and `body`"),
        (before("known"), "`body`"),
        (before("parts_of_it"), "`recipient`"),
        (before("declared"), "`recipient` and `body`"),
        (before("about"), "`recipient` and `body`"),
        (before("numbered"), "`recipient` and `body`"),
        (before("known") + before("rest").replace("abort", "warn"), "`body`"),
    ],
)
def test_what_they_have_not_read_is_not(pays, hooks, left):
    made, denials = pays(READ, PAY, hooks=hooks)
    assert made == []
    assert denials == [
        f"untrusted text can reach {left}, and no verifier or gate that passed has looked at it: "
        "task `r` (`page`) -> a decision of `main`"
    ]


def test_where_else_decides_only_what_it_has_read_is_clear(pays):
    never = 'verifier never(body: string) via rules { assert body == "" }\n'
    hook = "before_dispatch pay {{ with = [known, never]  else = {}  on_fail = deny }}"
    program = WORKERS + never + MAIN
    made, denials = pays(READ, PAY, hooks=hook.format("rest"), program=program)
    assert (made, len(denials)) == ([], 1)
    assert denials[0].startswith("untrusted text can reach `recipient`,")
    assert pays(READ, PAY, hooks=hook.format("all_of_it"), program=program) == (["p"], [])


def test_a_look_at_any_input_is_one_at_the_decision(pays):
    reference = decision(
        task("r", "bill", u="x"),
        task("p", "pay", recipient={"$from": "r", "at": "/payee"}, amount=5),
    )
    assert pays(reference, hooks=before("known")) == (["p"], [])
    made, denials = pays(reference, hooks=before("small"))
    assert made == []
    assert "`recipient`, and no" in denials[0]


def test_what_has_no_inputs_is_cleared_by_a_look_at_all_of_it_only(pays):
    ring = decision(task("p", "ring"))
    hook = "before_dispatch ring {{ with = {}  on_fail = abort }}"
    assert pays(READ, ring, hooks=hook.format("all_of_it")) == ([], [])  # {} is not true
    assert pays(READ, ring, hooks=hook.format("sourced")) == (["p"], [])
    assert pays(READ, ring, hooks=hook.format("about"))[0] == []


def test_a_check_that_has_not_read_an_output_does_not_clean_it(pays):
    reference = decision(
        task("r", "page", u="x"), task("p", "pay", recipient={"$from": "r"}, amount=5)
    )
    hook = "after_dispatch page {{ with = {}  on_fail = abort }}"
    program = WORKERS + 'verifier said(output: string) via rules { assert output != "no" }' + MAIN
    assert pays(reference, hooks=hook.format("said"), program=program) == (["p"], [])
    assert pays(reference, hooks=hook.format("about"), program=program)[0] == []


CARD = """
schema Person { mail: string  name: string }
worker card(u: string) -> { who: Person, note: string?, amount: int } via python {
  call = "tools:card"  effect = read  trust = untrusted  timeout = 5s
}
verifier name(output: json) via rules { assert output.who.name != "" }
verifier mail(output: json) via rules { assert output["who"].mail != "" and output.amount > 0 }
verifier who(output: json) via rules { assert output.who != "no" }
verifier note(output: json) via rules { assert output.note != "no" }
verifier first(output: json) via rules { assert output.note[0] != "no" and output.note[:2] != "no" }
verifier whole(output: json) via rules { assert output | length > 0 }
verifier about_task(task: json) via rules { assert task.sources | length >= 0 }
verifier tool(output: json) via python { call = "tools:fine" }
"""
CARD_TOOLS = f"""
def card(u):
    return {{"who": {{"mail": "{EVIL}", "name": "A"}}, "note": "hello", "amount": 1}}
def fine(output):
    return True
"""


@pytest.mark.parametrize(
    ("verifiers", "cleaned"),
    [
        ("name", False),
        ("name, mail", False),
        ("name, note", False),
        ("name, mail, note", True),
        ("who", False),
        ("who, note", True),
        ("who, first", False),
        ("whole", True),
        ("tool", True),
        ("about_task", False),
    ],
)
def test_an_output_is_clean_if_all_that_can_hold_words_was_looked_at(play, verifiers, cleaned):
    main = MAIN.replace("[bill", "[card, bill").replace(
        "HOOKS", f"after_dispatch card {{ with = [{verifiers}]  on_fail = abort }}"
    )
    plan = decision(
        task("r", "card", u="x"),
        task("p", "pay", recipient={"$from": "r", "at": "/who/mail"}, amount=5),
    )
    report = play(WORKERS + CARD + main, [plan, DONE], TOOLS + CARD_TOOLS).report()
    assert [one["mode"] for one in report["failures"]] == ([] if cleaned else ["denied"])


# ---------------------------------------------------------------- endorsed values


ENDORSE = """
worker check(address: string, note: string = "") -> { address: string, note: string } via python {
  call = "tools:check"  effect = pure  timeout = 5s
}
worker send(to: string @from(request), body: string = "") -> string via python {
  call = "tools:send"  effect = write  timeout = 5s
}
worker mail(to: string) -> string via python { call = "tools:send"  effect = write  timeout = 5s }
verifier fine(address: string) via rules { assert address != "" }
verifier plain(note: string) via rules { assert note == "" }
verifier good(output: json) via rules { assert output.address != "" }
verifier looked(goal: string) via rules { assert goal != "no" }
verifier sent(to: string) via rules { assert to != "" }
orchestrator inner(n: int) -> string {
  model = reader  goal = "Go."  workers = [send]  policy { max_rounds = 3 }
}
orchestrator main() -> string {
  model = planner  goal = "Go."  workers = [page, check, send, mail, inner]
  policy { max_rounds = 5 }
  verify { HOOKS }
}
"""
ENDORSE_TOOLS = """
def check(address, note=""):
    return {"address": address, "note": note}
def send(to, body=""):
    return to
"""
CHECK = decision(task("c", "check", address=EVIL))
SEND = decision(task("s", "send", to=EVIL))
BEFORE = "before_dispatch check { with = fine  on_fail = deny  endorse = [address] }"
AFTER = "after_dispatch check { with = good  on_fail = abort  endorse = [address] }"


@pytest.fixture
def sends(play):
    def sends(*decisions, hooks, inner=()):
        models = {"reader": engine.Scripted([*inner, DONE])}
        program = WORKERS + ENDORSE.replace("HOOKS", hooks)
        run = play(program, [*decisions, DONE], TOOLS + ENDORSE_TOOLS, models)
        return sent_in(run.report()["history"])

    return sends


def sent_in(history):
    found = []
    for entry in history:
        for each in entry["tasks"]:
            found += sent_in(each.get("rounds", ()))
            if each["worker"] in ("send", "mail") and each["status"] == "done":
                found.append(each["id"])
    return found


@pytest.mark.parametrize("hooks", [BEFORE, AFTER])
def test_an_endorsed_value_keeps_every_source_from_then_on(sends, hooks):
    assert sends(SEND, READ, CHECK, decision(task("t", "send", to=EVIL)), hooks=hooks) == ["t"]


def test_also_in_a_sub_orchestrator(sends):
    decisions = (CHECK, decision(task("i", "inner", n=1)))
    assert sends(*decisions, hooks=BEFORE, inner=[SEND]) == ["s"]
    assert sends(*decisions, hooks="", inner=[SEND]) == []


def test_an_endorsed_input_is_clean_and_what_decided_is_not(sends):
    mail = "before_dispatch mail { with = %s  on_fail = deny }"
    decisions = (READ, CHECK, decision(task("m", "mail", to=EVIL)))
    assert sends(*decisions, hooks=BEFORE) == []
    assert sends(*decisions, hooks=f"{BEFORE}\n{mail % 'looked'}") == []
    assert sends(*decisions, hooks=f"{BEFORE}\n{mail % 'sent'}") == ["m"]


def test_by_reference_an_endorsed_value_needs_nothing_more(sends):
    more = decision(
        task("r", "page", u="x"),
        task("c", "check", address={"$from": "r"}),
        task("m", "mail", to={"$from": "c", "at": "/address"}),
    )
    assert sends(more, hooks=BEFORE) == ["m"]
    assert sends(more, hooks="") == []


def test_what_no_verifier_has_read_is_not_endorsed(sends):
    unread = "before_dispatch check { with = plain  on_fail = deny  endorse = [address] }"
    assert sends(CHECK, SEND, hooks=unread) == []


def test_nor_is_what_did_not_pass(sends):
    late = f"{BEFORE}\nbefore_dispatch check {{ with = plain  on_fail = deny }}"
    denied = decision(task("c", "check", address=EVIL, note="no"))
    assert sends(denied, SEND, hooks=late) == []


def test_a_run_of_an_older_engine_is_folded_by_its_own_rule(load):
    """There, any verdict cleared all of a task: what was started then must not be denied now."""
    hook = before("small")
    program = load((WORKERS + MAIN).replace("HOOKS", hook), TOOLS).program
    for verdicts in (0, 1):
        state = RunState(program)
        begin = RunStarted(
            run="r",
            orchestrator="main",
            input={},
            models={
                name: ModelInfo("scripted/none.json", metered=False) for name in program.models
            },
            program="p",
            verdicts=verdicts,
        )
        events = [begin]
        for decision in (READ, None, PAY):
            for one in events:
                step(state, one)
            (call,) = state.open_commands()[:1]
            value = "words" if decision is None else json.dumps(decision)
            events = [
                CallStarted(key=call.key, attempt=1),
                CallFinished(key=call.key, attempt=1, value=value),
            ]
        for one in events:
            step(state, one)
        task = state.loop.tasks["p"]
        assert (task.failure is None) is (verdicts == 0)


def test_hooks_that_only_warn_clear_nothing():
    class Hook:
        on_fail = "warn"

    class Rule:
        facts = SimpleNamespace(done_by="machine")

    assert after_pass(NOTHING, Hook(), [Rule()]) is NOTHING  # type: ignore[arg-type,list-item]
