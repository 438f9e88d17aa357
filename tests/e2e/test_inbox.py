"""Gates of a run that another process drives: answered, cancelled, and by two people at once.

Every process here is real. The run's process says through the desk's pipe when its long task is
under way, and a file lets that task end.
"""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path

import pytest

from engine.events import CancelRequested, GateAnswered, decode_event
from engine.journal import Inbox, SqliteJournal

PROGRAM = """orch 1
model planner { id = "scripted/script.json" }
worker pay(amount: int) -> int via python { call = "tools:pay" }
worker hold(n: int) -> int via python { call = "tools:hold_open" }
worker send(n: int) -> int via python { call = "tools:hold_open"  effect = once }
verifier approve(amount: int) via human { message = "Pay {{ amount }}?" }
orchestrator main() -> int {
  model = planner  goal = "Pay."  workers = [pay, hold, send]
  policy { max_rounds = 3 }
  verify { before_dispatch pay { with = approve  on_fail = warn } }
}
"""
TOOLS = """

import select


def pay(amount):
    with open(HERE / "calls.txt", "a") as file:
        file.write(f"paid {amount}\\n")
    ready()
    return amount


def hold_open(n):
    ready()
    with open(HERE / "open") as gate:  # a named pipe: until somebody opens its other end
        gate.read()
    return n
"""


class Bank:
    """A run with a long task `h` beside gates, in a process that has begun both."""

    def __init__(self, desk):
        self.desk = desk
        desk.write()
        tools = desk.folder / "tools.py"
        tools.write_text(tools.read_text() + TOOLS)
        (desk.folder / "a.orch").write_text(PROGRAM)
        os.mkfifo(desk.folder / "open")

    def begin(self, *tasks, finish=5, hold="hold"):
        held = self.desk.task("h", hold, n=1)
        script = [self.desk.tasks(held, *tasks), self.desk.finish(finish)]
        (self.desk.folder / "script.json").write_text(json.dumps(script))
        process = self.desk.start("run", "a.orch", "main", "--format", "json")
        self.desk.wait_ready(process)
        return process

    def let_go(self):
        with open(self.desk.folder / "open", "w"):
            return

    def pay(self, id, amount):
        return self.desk.task(id, "pay", amount=amount)

    def gates(self):
        return json.loads(self.desk.orch("gates", "--format", "json").stdout)

    def answers(self):
        journal = SqliteJournal(self.desk.folder / ".orch")
        events = journal.read(journal.find("last"))
        journal.close()
        return [(e.answer, e.by) for e in events if isinstance(e, GateAnswered)]

    def letters(self):
        folder = self.desk.folder / ".orch" / "inbox"
        return sorted(path.name for path in folder.glob("[!.]*"))


@pytest.fixture
def bank(desk):
    return Bank(desk)


def ended(process):
    stdout, stderr = process.communicate(timeout=60)
    assert b"Traceback" not in stderr
    return process.returncode, json.loads(stdout), stderr.decode()


def test_a_gate_is_answered_while_another_process_drives(desk, bank):
    process = bank.begin(bank.pay("a", 50))
    (gate,) = bank.gates()
    assert (gate["task"], gate["message"]) == ("a", "Pay 50?")

    done = desk.orch("approve", "last", "--by", "ann", "--note", "fine")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("answer accepted; the process driving run ")
    desk.wait_ready(process)  # the task runs beside the long one
    assert desk.calls() == ["paid 50"]
    bank.let_go()

    code, report, _ = ended(process)
    assert (code, report["status"], report["output"]) == (0, "finished", 5)
    assert bank.answers() == [("approve", "ann")]
    assert bank.letters() == []


def test_an_answer_with_an_edit_is_checked_first(desk, bank):
    process = bank.begin(bank.pay("a", 50))
    edit = desk.folder / "edit.json"
    edit.write_text('{"amount": "all"}')
    bad = desk.orch("approve", "last", "--edit", "edit.json")
    assert bad.returncode == 2
    assert "`pay`'s input does not fit" in bad.stderr
    assert bank.letters() == []

    edit.write_text('{"amount": 7}')
    good = desk.orch("approve", "last", "--edit", "edit.json", "--format", "json")
    assert good.returncode == 0
    assert json.loads(good.stdout)["status"] == "running"
    desk.wait_ready(process)
    bank.let_go()
    assert ended(process)[0] == 0
    assert desk.calls() == ["paid 7"]


def test_of_two_answers_at_once_one_counts_and_the_other_is_told(desk, bank):
    process = bank.begin(bank.pay("a", 50))
    people = [desk.start("approve", "last", "--by", name) for name in ("ann", "bob")]
    said = [person.communicate(timeout=60)[1].decode() for person in people]
    codes = [person.returncode for person in people]
    assert sorted(codes) == [0, 2], said
    winner, loser = codes.index(0), codes.index(2)
    given = ("approve", ("ann", "bob")[winner])
    # Late by a moment it was refused, maybe before the journal had the other answer; later there
    # was no gate to answer.
    gone = ("has no open gate", "is not open any more")
    assert any(words in said[loser] for words in gone), said
    if "was answered already" in said[loser]:
        assert f"({given[0]} by {given[1]})" in said[loser]
    assert bank.letters() == []
    desk.wait_ready(process)
    bank.let_go()
    assert ended(process)[0] == 0
    assert desk.calls() == ["paid 50"]
    assert bank.answers()[0] == given


def test_a_run_is_cancelled_where_it_is_driven(desk, bank):
    process = bank.begin(bank.pay("a", 50))
    done = desk.orch("cancel", "last", "--reason", "enough", "--format", "json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["status"], report["reason"]) == (7, "cancelled", "enough")
    code, told, _ = ended(process)
    assert (code, told["status"], told["reason"]) == (7, "cancelled", "enough")
    assert desk.calls() == []
    assert bank.letters() == []


def test_a_cancelled_once_task_comes_to_its_end_first(desk, bank):
    process = bank.begin(bank.pay("a", 50), hold="send")
    cancelling = desk.start("cancel", "last")
    journal = SqliteJournal(desk.folder / ".orch")
    run = journal.find("last")
    while not any(event.__struct_config__.tag == "cancel_requested" for event in journal.read(run)):
        assert cancelling.poll() is None
    journal.close()
    bank.let_go()
    assert ended(process)[0] == 7
    cancelling.communicate(timeout=60)
    assert cancelling.returncode == 7


def test_a_cancel_whose_reader_dies_is_carried_out_by_its_sender(desk, bank):
    process = bank.begin(bank.pay("a", 50), hold="send")
    cancelling = desk.start("cancel", "last")
    journal = SqliteJournal(desk.folder / ".orch")
    run = journal.find("last")
    while not any(isinstance(event, CancelRequested) for event in journal.read(run)):
        assert cancelling.poll() is None
    journal.close()
    process.kill()
    process.communicate(timeout=60)
    _, said = cancelling.communicate(timeout=60)
    # What became of the task that may happen once, a person has to say.
    assert cancelling.returncode == 5, said
    assert b"internal error" not in said
    assert desk.orch("approve", "last", "--not-done").returncode == 7


def test_a_letter_outlives_the_process_that_should_have_read_it(desk, bank):
    process = bank.begin(bank.pay("a", 50))
    assert len(bank.gates()) == 1
    process.send_signal(signal.SIGSTOP)  # it reads nothing any more
    sender = desk.start("approve", "last", "--by", "ann")
    while not bank.letters():
        assert sender.poll() is None
    sender.kill()
    sender.communicate(timeout=60)
    process.kill()
    process.communicate(timeout=60)
    assert len(bank.letters()) == 1

    resumed = desk.start("resume", "last", "--format", "json")
    desk.wait_ready(resumed)  # the long task goes first: it is suspect of the crash
    bank.let_go()
    code, report, _ = ended(resumed)
    assert (code, report["output"]) == (0, 5)
    assert desk.calls() == ["paid 50"]
    assert bank.answers() == [("approve", "ann")]
    assert bank.letters() == []


def test_a_sender_whose_reader_dies_answers_by_itself(desk, bank):
    process = bank.begin(bank.pay("a", 50))
    process.send_signal(signal.SIGSTOP)
    sender = desk.start("approve", "last", "--format", "json")
    while not bank.letters():
        assert sender.poll() is None
    process.kill()
    process.communicate(timeout=60)
    desk.wait_ready(sender)
    bank.let_go()
    code, report, _ = ended(sender)
    assert (code, report["output"]) == (0, 5)
    assert [answer for answer, _ in bank.answers()] == ["approve"]
    assert bank.letters() == []


def test_what_is_no_letter_is_laid_aside(desk, bank):
    process = bank.begin(bank.pay("a", 50))
    run = bank.gates()[0]["run"]
    inbox = desk.folder / ".orch" / "inbox"
    inbox.mkdir()
    (inbox / f"{run}.1-a.json").write_text("{")
    (inbox / f"{run}.2-b.json").write_text('{"type": "run_ended", "status": "failed"}')
    assert desk.orch("approve", "last").returncode == 0
    desk.wait_ready(process)
    bank.let_go()
    assert ended(process)[0] == 0
    assert bank.letters() == [f"{run}.1-a.json.unreadable", f"{run}.2-b.json.unreadable"]


def test_who_may_write_the_journal_may_write_letters(tmp_path: Path):
    tmp_path.chmod(0o2770)
    inbox = Inbox(tmp_path)
    letter = inbox.post("r", GateAnswered(key="g", answer="approve"))
    (path,) = (tmp_path / "inbox").iterdir()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o2770
    assert decode_event(path.read_bytes()) == letter.event
    assert inbox.letters("r") == [letter]
    assert inbox.letters("other") == []
    assert inbox.take_back(letter)
    assert not inbox.claim(letter)
    assert not inbox.holds(letter)
