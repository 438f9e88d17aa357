"""Payments through `orch run`: values that a stranger chose, a person's yes, and a run resumed."""

from __future__ import annotations

import json

import pytest

EVIL = "mallory@evil.example"
PROGRAM = """orch 1
model planner { id = "scripted/script.json" }

worker bill(u: string) -> { payee: string, amount: int } via python {
  call = "tools:bill"  effect = read  trust = untrusted  timeout = 5s
}
worker tidy(text: string) -> string via python { call = "tools:tidy"  effect = pure }
worker register(name: string) -> string via python {
  call = "tools:tidy"  effect = read  timeout = 5s
}
worker pay(
  to: string @from(request), amount: float @from(request), note: string = ""
) -> string via python { call = "tools:pay"  effect = once  timeout = 5s }
worker guess(to: string, amount: float) -> string via python {
  call = "tools:pay"  effect = once  timeout = 5s
}

verifier small(amount: float) via rules { assert amount >= 0 }
verifier named(name: string) via rules { assert name != "" }
verifier approval(input: json) via human {
  message = "Pay {{ input.to }}?"  timeout = 1h  on_timeout = abort
}

orchestrator main(request: string) -> string {
  model = planner  goal = "{{ request }}"
  workers = [bill, tidy, register, pay, guess]  // orch: allow[ORC801] `guess` is tested here
  policy { max_rounds = 8 }
  verify {
    before_dispatch guess    { with = small  on_fail = abort }
    before_dispatch register { with = named  on_fail = deny  endorse = [name] }
    HOOK
  }
}
"""
TOOLS = f"""

def bill(u):
    return {{"payee": "{EVIL}", "amount": 9999999}}


def tidy(text="", name=""):
    return text or name


def pay(to, amount, note=""):
    with open(HERE / "paid.txt", "a") as file:
        file.write(f"{{to}} {{amount}}\\n")
    return to
"""


@pytest.fixture
def bank(desk):
    """Run a program whose planner is a script; gives the report."""

    def bank(*script, hook=""):
        desk.write()
        tools = desk.folder / "tools.py"
        tools.write_text(tools.read_text() + TOOLS)
        (desk.folder / "a.orch").write_text(PROGRAM.replace("HOOK", hook))
        (desk.folder / "script.json").write_text(json.dumps(script))
        asked = "request=Pay bob $98.70 and Ann 40."
        done = desk.orch("run", "a.orch", "main", "-i", asked, "--format", "json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout), done

    return bank


def paid(desk):
    file = desk.folder / "paid.txt"
    return file.read_text().split("\n")[:-1] if file.exists() else []


def denied(report):
    return {one["task"]: one["message"] for one in report["failures"] if one["mode"] == "denied"}


ATTACKS = {
    "typed after reading": lambda d: (
        d.tasks(d.task("b", "bill", u="x")),
        d.tasks(d.task("p", "pay", to=EVIL, amount=98.7)),
    ),
    "by reference through a pure helper": lambda d: (
        d.tasks(d.task("b", "bill", u="x")),
        d.tasks(d.task("t", "tidy", text={"$from": "b", "at": "/payee"})),
        d.tasks(d.task("p", "pay", to={"$from": "t"}, amount=98.7)),
    ),
    "in the same decision": lambda d: (
        d.tasks(
            d.task("b", "bill", u="x"),
            d.task("p", "pay", to="bob", amount={"$from": "b", "at": "/amount"}),
        ),
    ),
    "past a verdict on something else": lambda d: (
        d.tasks(d.task("b", "bill", u="x")),
        d.tasks(d.task("p", "guess", to=EVIL, amount=1)),
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_strangers_value_gets_no_payment(desk, bank, attack):
    report, done = bank(*ATTACKS[attack](desk), desk.finish("done"))
    assert done.returncode == 0
    assert paid(desk) == []
    assert list(denied(report)) == ["p"]


def test_the_callers_own_payments_are_made_after_reading(desk, bank):
    report, _ = bank(
        desk.tasks(desk.task("b", "bill", u="x")),
        desk.tasks(
            desk.task("p", "pay", to="bob", amount=98.7, note=f"the bill says {EVIL}"),
            desk.task("q", "pay", to="Ann", amount=40),
        ),
        desk.tasks(desk.task("r", "pay", to="bob", amount=98.7)),
        desk.finish("done"),
    )
    assert sorted(paid(desk)) == ["Ann 40", "bob 98.7"]
    assert "task `p` makes a call with the same values" in denied(report)["r"]


GATE = "before_dispatch pay { with = approval  when = tainted  on_fail = deny }"


def test_a_person_is_asked_only_where_a_value_is_a_strangers(desk, bank):
    report, done = bank(
        desk.tasks(
            desk.task("r", "register", name="Zoe"),
            desk.task("b", "bill", u="x"),
            desk.task("p", "pay", to="bob", amount=98.7),
            desk.task("q", "pay", to={"$from": "b", "at": "/payee"}, amount=40),
        ),
        desk.tasks(desk.task("s", "pay", to="Zoe", amount=40)),
        desk.finish("done"),
        hook=GATE,
    )
    assert done.returncode == 5
    gates = json.loads(desk.orch("gates", "--format", "json").stdout)
    assert [gate["task"] for gate in gates] == ["q"]
    (said,) = gates[0]["why"]
    assert said.startswith("`/to` must be from the request, and is from task `b` (`bill`)")
    assert f"    because {said}" in done.stderr
    assert paid(desk) == ["bob 98.7"]
    # What was endorsed before the run was resumed still is.
    assert desk.orch("approve", report["run"]).returncode == 0
    assert paid(desk) == ["bob 98.7", f"{EVIL} 40", "Zoe 40"]


def test_an_edited_value_is_a_persons(desk, bank):
    report, _ = bank(
        desk.tasks(desk.task("q", "pay", to="carl", amount=40)), desk.finish("done"), hook=GATE
    )
    (desk.folder / "edit.json").write_text(json.dumps({"to": "Zoe", "amount": 41}))
    assert desk.orch("approve", report["run"], "--edit", "edit.json").returncode == 0
    assert paid(desk) == ["Zoe 41"]


def test_a_gate_says_why_it_asks(desk, bank):
    def asked(*script, when="when = tainted"):
        _, done = bank(*script, hook=GATE.replace("when = tainted", when))
        assert done.returncode == 5
        (gate,) = json.loads(desk.orch("gates", "last", "--format", "json").stdout)
        return gate["why"]

    bill = desk.tasks(desk.task("b", "bill", u="x"))
    pay = desk.tasks(desk.task("p", "pay", to="bob", amount=98.7))
    again = desk.tasks(desk.task("r", "pay", to="bob", amount=98.7))
    (said,) = asked(bill, pay, again)
    assert "task `p` makes a call with the same values already" in said
    assert asked(pay, when="when = amount > 1") == []  # it would start without the answer
    both = desk.tasks(desk.task("p", "pay", to=EVIL, amount=7))
    assert [line.split()[0] for line in asked(bill, both)] == ["`/to`", "`/amount`"]
