"""What waiting runs ask, from the events about gates: what the whole fold says, or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import engine
from engine.cli.app import run as orch
from engine.events import ABOUT_GATES, Event, GateOpened, RunEnded, RunResumed
from engine.journal import Journal, MemoryJournal, SqliteJournal
from engine.runtime.waiting import open_gates

PROGRAM = """
worker pay(amount: int, note: string = "") -> int via python { call = "tools:pay"  effect = once }
verifier boss(amount: int) via human {
  message = "Pay {{ amount }}?"  options = ["at once", "later"]  timeout = 2h
}
orchestrator main() -> int {
  model = planner  goal = "g"  workers = [pay]
  policy { max_rounds = 3 }
  verify { before_dispatch pay { with = boss  on_fail = abort } }
}
"""
TOOLS = "def pay(amount, note=''): return amount\n"

Begin = Callable[..., tuple[engine.Run, list[Event]]]


@pytest.fixture
def begin(load: Callable[..., engine.Workflow], tasks: Callable[..., Any]) -> Begin:
    """Begin a run that asks about these payments; gives it with its events."""

    def begin(
        *payments: dict[str, Any], journal: Journal | None = None
    ) -> tuple[engine.Run, list[Event]]:
        journal = MemoryJournal() if journal is None else journal
        plan = tasks(*((f"p{n}", "pay", payment) for n, payment in enumerate(payments)))
        planner = engine.Scripted([plan, {"finish": 1}])
        run = load(PROGRAM, TOOLS).run(models={"planner": planner}, journal=journal)
        assert run.status == "waiting"
        return run, journal.read(run.id)

    return begin


def about_gates(journal: Journal) -> list[Event]:
    ((_, events),) = journal.waiting()
    assert events is not None
    return events


def test_it_says_what_the_whole_fold_says(begin: Begin) -> None:
    run, events = begin({"amount": 5}, {"amount": 7})
    assert open_gates(events) == run.report()["gates"]
    assert [gate.message for gate in run.gates] == ["Pay 5?", "Pay 7?"]
    assert open_gates([e for e in events if isinstance(e, ABOUT_GATES)]) == run.report()["gates"]


def test_gates_that_were_answered_are_open_no_more(begin: Begin) -> None:
    run, _ = begin({"amount": 5}, {"amount": 7})
    reply = engine.Reply("approve", gate=run.gates[0].key)
    run = engine.resume(
        run.id, journal=run.journal, reply=reply, models={"planner": engine.Scripted([])}
    )
    assert [gate.message for gate in run.gates] == ["Pay 7?"]
    assert open_gates(run.journal.read(run.id)) == run.report()["gates"]


def test_a_long_question_is_left_to_the_whole_fold(begin: Begin) -> None:
    _, events = begin({"amount": 5}, {"amount": 7, "note": "x" * 5000})
    assert open_gates(events) is None
    assert [bool(e.shown) for e in events if isinstance(e, GateOpened)] == [True, False]


def test_what_the_events_alone_do_not_tell_is_left_to_the_whole_fold(begin: Begin) -> None:
    _, events = begin({"amount": 5}, {"amount": 7})
    (*before, end) = events
    assert isinstance(end, RunEnded)
    one = msgspec.structs.replace(end, gates=1)  # one of the two was called off
    moved = RunResumed(program="another")
    old = [
        msgspec.convert({**msgspec.to_builtins(event), "shown": {}}, type=Event) for event in events
    ]
    for other in ([*before, one], [*before, moved, end], before, old):
        assert open_gates(other) is None


def test_both_journals_give_the_events_of_runs_that_wait(begin: Begin, tmp_path: Path) -> None:
    with SqliteJournal(str(tmp_path / "journal")) as disk:
        for journal in (disk, MemoryJournal()):
            run, events = begin({"amount": 5}, journal=journal)
            assert about_gates(journal) == [e for e in events if isinstance(e, ABOUT_GATES)]
            engine.resume(
                run.id,
                journal=journal,
                reply=engine.Reply("reject"),
                models={"planner": engine.Scripted([])},
            )
            assert journal.waiting() == []


def test_many_waiting_runs_are_listed_without_their_programs(
    begin: Begin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That no program is compiled is shown by taking their texts out of the journal."""
    folder = tmp_path / "journal"
    with SqliteJournal(str(folder)) as journal:
        for amount in range(3):
            begin({"amount": amount}, journal=journal)
    connection = sqlite3.connect(folder / "journal.db")
    connection.execute("DELETE FROM blobs")
    connection.commit()
    connection.close()
    assert orch(["gates", "--journal", str(folder)]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert all(f"Pay {amount}?" in said.out for amount in range(3))
