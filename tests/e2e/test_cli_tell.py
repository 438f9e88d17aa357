"""`orch tell`: to a run that another process drives, to one that waits, to one that is over."""

from __future__ import annotations

import json
import os

import pytest

from engine.events import NoteGiven
from engine.journal import SqliteJournal

PROGRAM = """orch 1
model planner { id = "scripted/script.json" }
worker hold(n: int) -> int via python { call = "tools:hold_open" }
verifier sure(result: int) via human { message = "Finish?" }
orchestrator main() -> int {
  model = planner  goal = "Wait."  workers = [hold]
  policy { max_rounds = 3 }
  verify { before_finish { with = sure } }
}
"""
TOOLS = """


def hold_open(n):
    ready()
    with open(HERE / "open") as gate:  # a named pipe: until the test opens its other end
        gate.read()
    return n
"""


@pytest.fixture
def begun(desk):
    """A run in a process of its own, whose task lasts until `open` is opened."""
    desk.write()
    tools = desk.folder / "tools.py"
    tools.write_text(tools.read_text() + TOOLS)
    (desk.folder / "a.orch").write_text(PROGRAM)
    os.mkfifo(desk.folder / "open")
    script = [desk.tasks(desk.task("h", "hold", n=1)), desk.finish(5)]
    (desk.folder / "script.json").write_text(json.dumps(script))
    process = desk.start("run", "a.orch", "--format", "json")
    desk.wait_ready(process)
    return process


def let_go(desk):
    with open(desk.folder / "open", "w"):
        return


def noted(desk):
    with SqliteJournal(desk.folder / ".orch") as journal:
        events = journal.read(journal.find("last"))
    return [(event.note, event.by) for event in events if isinstance(event, NoteGiven)]


def test_a_run_is_told_while_it_runs_while_it_waits_and_not_after(desk, begun):
    done = desk.orch("tell", "last", "hurry up", "--by", "ann")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("noted; the planner of run ")
    assert list((desk.folder / ".orch" / "inbox").glob("[!.]*")) == []
    wrong = desk.orch("tell", "last", "x", "--to", "nothing")
    assert (wrong.returncode, "has no task `nothing`" in wrong.stderr) == (2, True)
    let_go(desk)
    _, stderr = begun.communicate(timeout=60)
    assert "ann says: hurry up" in stderr.decode()
    assert begun.returncode == 5

    second = desk.orch("tell", "last", "-", "--by", "bob", "-q", stdin="look twice\n")
    assert (second.returncode, second.stderr) == (0, "")
    assert noted(desk) == [("hurry up", "ann"), ("look twice\n", "bob")]
    assert len(json.loads(desk.orch("gates", "--format", "json").stdout)) == 1
    tail = desk.orch("tail", "last")
    assert "a note to the planner: hurry up" in tail.stdout
    assert "ann says: hurry up" in desk.orch("show").stdout

    assert desk.orch("approve", "last").returncode == 0
    late = desk.orch("tell", "last", "too late")
    assert late.returncode == 3
    assert "has ended (finished) and takes no note" in late.stderr
    assert desk.orch("replay", "last").returncode == 0


def test_a_run_that_was_killed_reads_its_note_when_it_is_resumed(desk, begun):
    begun.kill()
    begun.communicate(timeout=60)
    assert desk.orch("tell", "last", "again", "--by", "ann").returncode == 0
    assert desk.orch("runs").stdout.count("interrupted") == 1
    process = desk.start("resume", "last", "--format", "json")
    desk.wait_ready(process)
    let_go(desk)
    process.communicate(timeout=60)
    report = json.loads(desk.orch("show", "--format", "json").stdout)
    notes = [one["notes"] for one in report["history"]]
    assert notes == [[], [{"by": "ann", "note": "again"}]]


def test_a_letter_that_a_dead_process_had_is_read_by_the_next(desk, begun):
    begun.kill()
    begun.communicate(timeout=60)
    with SqliteJournal(desk.folder / ".orch") as journal:
        run = journal.find("last")
        inbox = journal.inbox
        letters = [inbox.post(run, NoteGiven(note=words)) for words in ("one", "two")]
        assert inbox.claim(letters[1])
    process = desk.start("resume", "last", "--format", "json")
    desk.wait_ready(process)
    let_go(desk)
    process.communicate(timeout=60)
    report = json.loads(desk.orch("show", "--format", "json").stdout)
    assert [note["note"] for note in report["history"][1]["notes"]] == ["one", "two"]
    assert noted(desk) == [("one", ""), ("two", "")]


@pytest.mark.parametrize(
    ("note", "said"),
    [(" ", "the note is empty"), ("x" * 20_000, "the note takes more than 16 KiB")],
)
def test_a_note_that_is_no_use_is_refused(desk, begun, note, said):
    done = desk.orch("tell", "last", note)
    assert (done.returncode, said in done.stderr) == (2, True)
    assert desk.orch("tell", "last", "-", stdin=note).returncode == 2
    assert noted(desk) == []
    let_go(desk)
    begun.communicate(timeout=60)
