"""`orch gates`, `approve`, `reject` and `cancel` as processes: a person answers from anywhere."""

from __future__ import annotations

import json
import shlex
import signal
import time

import pytest

PROGRAM = """orch 1
model planner { id = "scripted/script.json" }
model below { id = "scripted/below.json" }

worker pay(amount: int) -> int via python { call = "tools:add" }
worker hold(amount: int) -> int via python { call = "tools:hold_paid" }
worker send(n: int) -> int via python { call = "tools:boom"  effect = once }

verifier approve(amount: int) via human {
  message = "Pay {{ amount }}?"  timeout = %(timeout)s  on_timeout = abort
}
verifier small(result: int) via rules { assert result < 9 else "too large: {{ result }}" }

orchestrator clerk(n: int) -> int {
  model = below  goal = "Pay {{ n }}."  workers = [pay]
  policy { max_rounds = 2 }
  verify { before_dispatch pay { with = approve  on_fail = abort } }
}
orchestrator main() -> int {
  model = planner  goal = "Pay."  workers = [pay, hold, send, clerk]
  policy { max_rounds = 4 }
  verify {
    before_dispatch pay { with = approve  on_fail = abort }
    before_dispatch hold { with = approve  on_fail = abort }
    before_finish { with = small  on_fail = escalate }
  }
}
"""
TOOLS = """
def add(amount):
    with open(HERE / "calls.txt", "a") as file:
        file.write(f"paid {amount}\\n")
    return amount + 1


def hold_paid(amount):
    return hold(amount)
"""


@pytest.fixture
def bank(desk):
    """The desk, with a program that asks before it pays."""

    def bank(*script, timeout="2h", below=()):
        desk.write()
        tools = desk.folder / "tools.py"
        tools.write_text(tools.read_text() + TOOLS)
        (desk.folder / "a.orch").write_text(PROGRAM % {"timeout": timeout})
        (desk.folder / "script.json").write_text(json.dumps(script))
        (desk.folder / "below.json").write_text(json.dumps(below))
        done = desk.orch("run", "a.orch", "main", "--format", "json")
        return json.loads(done.stdout), done

    return bank


@pytest.fixture
def pay_50(desk, bank):
    """A run that waits for a word on paying 50."""
    report, done = bank(desk.tasks(desk.task("a", "pay", amount=50)), desk.finish(5))
    assert done.returncode == 5
    return report["run"], done


def gates(desk, *arguments):
    done = desk.orch("gates", "--format", "json", *arguments)
    assert done.returncode == 0
    return json.loads(done.stdout)


def test_a_waiting_run_says_for_what_and_how_to_answer(desk, pay_50):
    run, done = pay_50
    lines = done.stderr.splitlines()
    at = lines.index("gate round 1 / decision 1 / task a / before / verify approve: Pay 50?")
    assert lines[at - 2] == "waiting: Pay 50?"
    assert lines[at + 1].startswith('  task a, pay {"amount": 50}; ')
    assert lines[at + 1].endswith(" left")
    assert lines[at + 2 :] == [
        "      amount: a decision of `main`",
        f"  orch approve {run}            # continue",
        f"  orch reject {run} --note WHY  # refuse",
    ]


def test_what_is_said_can_be_pasted(desk, pay_50):
    _, done = pay_50
    (line,) = [line for line in done.stderr.splitlines() if "# continue" in line]
    words = shlex.split(line, comments=True)
    assert words[0] == "orch"
    assert desk.orch(*words[1:]).returncode == 0


def test_gates_lists_what_runs_wait_for(desk, pay_50):
    run, _ = pay_50
    (gate,) = gates(desk)
    assert (gate["run"], gate["kind"], gate["message"]) == (run, "approval", "Pay 50?")
    assert (gate["task"], gate["worker"], gate["input"]) == ("a", "pay", {"amount": 50})
    assert (gate["workflow"], gate["orchestrator"]) == ("a.orch", "main")
    assert 0 < gate["left_ms"] <= gate["timeout_ms"] == 7_200_000
    assert gate["opened"].startswith("20")
    for name in (run, run[:-2], "last"):
        assert [one["key"] for one in gates(desk, name)] == [gate["key"]]
    text = desk.orch("gates").stdout
    assert text.startswith(f"{run}  a.orch main, ")
    assert "  Pay 50?\n" in text
    assert f"orch approve {run}" in text


def test_no_gates(desk, bank):
    bank(desk.finish(1))
    done = desk.orch("gates")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "no open gates in .orch\n"
    assert gates(desk) == []
    assert desk.orch("gates", "nothing").returncode == 2


def test_approve_goes_on_like_run(desk, pay_50):
    run, _ = pay_50
    done = desk.orch("approve", run, "--note", "fine", "--by", "eve")
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert done.stderr.splitlines()[0] == f"run {run}"
    assert "finished" in done.stderr.splitlines()
    assert desk.calls() == ["paid 50"]
    assert gates(desk) == []


def test_a_gate_is_answered_once(desk, pay_50):
    run, _ = pay_50
    assert desk.orch("approve", run).returncode == 0
    for verb in ("approve", "reject", "cancel"):
        again = desk.orch(verb, run)
        assert again.returncode == 2
        assert f"error: run {run} has ended" in again.stderr
    assert desk.calls() == ["paid 50"]


def test_reject_ends_it_with_the_note(desk, pay_50):
    run, _ = pay_50
    done = desk.orch("reject", run, "--note", "too much")
    assert done.returncode == 6
    assert "aborted: approve: too much" in done.stderr
    assert desk.calls() == []


def test_edit_changes_the_input(desk, pay_50):
    run, _ = pay_50
    (desk.folder / "wrong.json").write_text('{"amount": "all"}')
    done = desk.orch("approve", run, "--edit", "wrong.json")
    assert done.returncode == 2
    assert "`pay`'s input does not fit" in done.stderr
    assert desk.orch("approve", run, "--edit", "-", stdin='{"amount": 20}').returncode == 0
    assert desk.calls() == ["paid 20"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--edit", "missing.json"], "--edit: cannot read missing.json: no such file"),
        (["--edit", "broken.json"], "--edit: broken.json is not JSON"),
        (
            ["--edit", "list.json"],
            "--edit: a JSON object is expected: the task's inputs, or the plan",
        ),
        (["--output", "list.json"], "takes no output"),
        (["--not-done"], "asks for an approval, not for an outcome"),
        (["--not-done", "--output", "list.json"], "--not-done goes without"),
        (["--gate", "x", "--task", "a"], "name the same thing"),
        (["--task", "b"], "there is no open gate `b`"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_the_gate_stays(desk, pay_50, arguments, said):
    run, _ = pay_50
    (desk.folder / "broken.json").write_text("{")
    (desk.folder / "list.json").write_text("[1]")
    done = desk.orch("approve", run, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert desk.calls() == []
    assert len(gates(desk)) == 1


def test_one_of_several_gates_must_be_named(desk, bank):
    two = desk.tasks(desk.task("a", "pay", amount=1), desk.task("b", "pay", amount=2))
    report, done = bank(two, desk.finish(5))
    run = report["run"]
    assert f"orch approve {run} --task b " in done.stderr
    refused = desk.orch("approve", run)
    assert refused.returncode == 2
    assert "several gates are open; name one of" in refused.stderr
    first = desk.orch("approve", run, "--task", "b")
    assert first.returncode == 5
    assert desk.calls() == ["paid 2"]
    (left,) = gates(desk)
    assert desk.orch("approve", run, "--gate", left["key"]).returncode == 0
    assert desk.calls() == ["paid 2", "paid 1"]


def test_a_gate_below_surfaces_at_the_top(desk, bank):
    report, _ = bank(
        desk.tasks(desk.task("c", "clerk", n=1)),
        desk.finish(5),
        below=[desk.tasks(desk.task("a", "pay", amount=7)), desk.finish(8)],
    )
    (gate,) = gates(desk)
    assert (gate["orchestrator"], gate["task"]) == ("clerk", "a")
    assert gate["key"].startswith("round 1 / decision 1 / task c / ")
    assert desk.orch("approve", report["run"]).returncode == 0
    assert desk.calls() == ["paid 7"]


def test_an_escalation_takes_a_result(desk, bank):
    report, done = bank(desk.finish(50))
    assert done.returncode == 5
    assert "--output FILE.json" in done.stderr
    answered = desk.orch("approve", report["run"], "--output", "-", stdin="3")
    assert (answered.returncode, answered.stdout) == (0, "3\n")
    assert "finished: escalated" in answered.stderr


def test_what_became_of_a_once_task_is_asked(desk, bank):
    report, done = bank(desk.tasks(desk.task("s", "send", n=1)), desk.finish(5))
    run = report["run"]
    assert done.returncode == 5
    assert f"orch approve {run} --task s --not-done " in done.stderr
    unsaid = desk.orch("approve", run, "--task", "s")
    assert unsaid.returncode == 2
    assert "it is not known whether task s (send) was done" in unsaid.stderr
    assert "--not-done" in unsaid.stderr
    again = desk.orch("approve", run, "--task", "s", "--not-done")
    assert again.returncode == 5
    (desk.folder / "out.json").write_text("4")
    assert desk.orch("approve", run, "--task", "s", "--output", "out.json").returncode == 0
    task = json.loads(desk.orch("show", run, "--task", "s", "--format", "json").stdout)
    assert (task["status"], task["output"]) == ("done", 4)


def test_a_once_task_that_was_cut_short_is_not_told_as_made_again(desk):
    desk.write(desk.tasks(desk.task("h", "hold", n=2)), desk.finish(3))
    program = desk.folder / "a.orch"
    text = program.read_text()
    program.write_text(text.replace('call = "tools:hold"', 'effect = once  call = "tools:hold"'))
    assert program.read_text() != text
    process = desk.start("run", "a.orch")
    desk.wait_ready(process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    resumed = desk.orch("resume", "last")
    assert resumed.returncode == 5
    assert "waits for a person: `hold` may happen only once" in resumed.stderr
    assert "made again" not in resumed.stderr
    assert desk.calls() == ["hold 2"]


def test_reject_denies_a_once_task(desk, bank):
    report, _ = bank(desk.tasks(desk.task("s", "send", n=1)), desk.finish(5))
    done = desk.orch("reject", report["run"], "--format", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["failures"][0]["mode"] == "denied"


def test_a_gate_whose_time_is_up_takes_no_answer(desk, bank):
    report, _ = bank(desk.tasks(desk.task("a", "pay", amount=50)), desk.finish(5), timeout="1ms")
    (gate,) = gates(desk)
    while time.time() * 1000 <= gate["opened_ms"] + 1:
        pass
    run = report["run"]
    done = desk.orch("approve", run)
    assert done.returncode == 2
    assert "was not answered in time; use `orch resume`" in done.stderr
    assert f"orch resume {run}" in desk.orch("gates").stdout
    assert desk.orch("resume", run).returncode == 6
    assert desk.calls() == []


def test_two_processes_answer_at_once_and_one_wins(desk, pay_50):
    run, _ = pay_50
    both = [desk.start("approve", run), desk.start("reject", run, "--note", "no")]
    said = [process.communicate(timeout=60)[1].decode() for process in both]
    codes = [process.returncode for process in both]
    won = [code for code in codes if code in (0, 6)]
    lost = [index for index, code in enumerate(codes) if code in (2, 3)]
    assert (len(won), len(lost)) == (1, 1), (codes, said)
    assert "Traceback" not in "".join(said)
    heard = ("has ended", "driv", "no open gate", "no gate is open", "not open any more")
    assert any(words in said[lost[0]] for words in heard), said
    assert desk.calls() == (["paid 50"] if codes[0] == 0 else [])
    shown = json.loads(desk.orch("show", run, "--format", "json").stdout)
    assert shown["status"] == ("finished" if codes[0] == 0 else "aborted")


def test_whoever_comes_while_the_winner_works_is_told(desk, bank):
    report, _ = bank(desk.tasks(desk.task("a", "hold", amount=50)), desk.finish(5))
    run = report["run"]
    winner = desk.start("approve", run)
    desk.wait_ready(winner)
    for verb, code, words in (
        ("approve", 2, f"run {run} has no open gate"),
        ("reject", 2, f"run {run} has no open gate"),
        ("resume", 3, f"run {run} is being driven by another process"),
    ):
        late = desk.orch(verb, run)
        assert (late.returncode, late.stdout) == (code, "")
        assert words in late.stderr
    (desk.folder / "open").touch()
    winner.send_signal(signal.SIGINT)
    winner.communicate(timeout=60)
    assert winner.returncode == 130
    assert desk.orch("cancel", run).returncode == 7


def test_an_answer_never_falls_on_the_next_gate(desk, bank):
    report, _ = bank(
        desk.tasks(desk.task("a", "pay", amount=1)),
        desk.tasks(desk.task("b", "pay", amount=2)),
        desk.finish(5),
    )
    run = report["run"]
    (gate,) = gates(desk)
    assert desk.orch("approve", run, "--gate", gate["key"]).returncode == 5
    late = desk.orch("approve", run, "--gate", gate["key"])
    assert late.returncode == 2
    assert "there is no open gate" in late.stderr
    assert desk.calls() == ["paid 1"]


def test_other_runs_do_not_stand_in_the_way_of_an_answer(desk, bank):
    report, _ = bank(desk.tasks(desk.task("a", "pay", amount=50)), desk.finish(5))
    hold = {"assessment": "", "tasks": [desk.task("h", "hold", n=1)]}
    (desk.folder / "hold.json").write_text(json.dumps([hold]))
    (desk.folder / "b.orch").write_text(
        'orch 1\nmodel m { id = "scripted/hold.json" }\n'
        'worker hold(n: int) -> int via python { call = "tools:hold" }\n'
        'orchestrator other() -> int { model = m  goal = "g"  workers = [hold]\n'
        "  policy { max_rounds = 1 } }\n"
    )
    other = desk.start("run", "b.orch")
    try:
        desk.wait_ready(other)
        assert desk.orch("approve", report["run"]).returncode == 0
    finally:
        other.kill()
        other.communicate(timeout=60)


def test_cancel_ends_a_waiting_run(desk, pay_50):
    run, _ = pay_50
    done = desk.orch("cancel", run, "--reason", "changed our mind")
    assert done.returncode == 7
    assert "cancelled: changed our mind" in done.stderr
    assert desk.calls() == []
    assert gates(desk) == []
    assert run in desk.orch("runs", "--status", "cancelled").stdout
    assert desk.orch("resume", run).returncode == 7


def test_cancel_starts_nothing_of_an_interrupted_run(desk, bank):
    report, _ = bank(desk.tasks(desk.task("a", "hold", amount=50)), desk.finish(5))
    run = report["run"]
    process = desk.start("approve", run)
    desk.wait_ready(process)
    process.kill()
    process.communicate(timeout=60)
    assert desk.calls() == ["hold 50"]
    done = desk.orch("cancel", run, "--format", "json")
    assert done.returncode == 7
    assert json.loads(done.stdout)["status"] == "cancelled"
    assert desk.calls() == ["hold 50"]


def test_cancel_waits_for_a_word_on_a_once_task(desk, bank):
    report, _ = bank(desk.tasks(desk.task("s", "send", n=1)), desk.finish(5))
    run = report["run"]
    done = desk.orch("cancel", run)
    assert done.returncode == 5
    assert desk.orch("reject", run).returncode == 7


def test_a_run_that_is_not_journaled_says_so(desk, bank):
    bank(desk.tasks(desk.task("a", "pay", amount=50)), desk.finish(5))
    done = desk.orch("run", "a.orch", "main", "--no-journal")
    assert done.returncode == 5
    assert "this gate cannot be answered" in done.stderr
    assert "orch approve" not in done.stderr


def test_the_journal_is_named_where_it_is_not_the_default(desk, bank):
    bank(desk.tasks(desk.task("a", "pay", amount=50)), desk.finish(5))
    done = desk.orch("run", "a.orch", "main", "--journal", "my journal")
    (line,) = [line for line in done.stderr.splitlines() if "# continue" in line]
    assert "--journal 'my journal'" in line
    assert desk.orch(*shlex.split(line, comments=True)[1:]).returncode == 0


ITEMS = """orch 1
model planner { id = "scripted/script.json" }
worker numbers() -> int[] via python { call = "tools:numbers" }
worker pay(amount: int) -> int via python { call = "tools:add" }
verifier approve(amount: int) via human { message = "Pay?" }
orchestrator main() -> int[] {
  model = planner  goal = "Pay."  workers = [numbers, pay]
  policy { max_rounds = 4  max_items = 20 }
  verify { before_dispatch pay { with = approve  on_fail = revise  max_revisions = 1 } }
}
"""


def test_the_id_of_an_item_answers_for_that_item_alone(desk):
    desk.write()
    tools = desk.folder / "tools.py"
    tools.write_text(tools.read_text() + TOOLS + "\n\ndef numbers():\n    return [1, 2, 3]\n")
    (desk.folder / "a.orch").write_text(ITEMS)
    each = {"each": {"$from": "s"}, "input": {"amount": {"$item": ""}}}
    tasks = [{"id": "s", "worker": "numbers", "input": {}}, {"id": "h", "worker": "pay", **each}]
    script = [{"tasks": tasks}, {"finish": {"$from": "h"}}]
    (desk.folder / "script.json").write_text(json.dumps(script))
    assert desk.orch("run", "a.orch", "main").returncode == 5
    assert desk.orch("approve", "last", "--task", "h:1").returncode == 5
    done = desk.orch("reject", "last", "--task", "h:0")
    assert done.returncode == 5
    assert "1 item of h, pay" in done.stderr
    assert (desk.folder / "calls.txt").read_text() == "paid 2\n"
    done = desk.orch("approve", "last", "--task", "h", "--format", "json")
    assert json.loads(done.stdout)["output"] == [3, 4]
