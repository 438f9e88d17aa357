"""Windows in force: what they refuse, what they count, and what a crash leaves."""

import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import model_server as play
import pytest

import engine
from engine.errors import UsageError
from engine.journal import SqliteJournal
from engine.journal.spending import Full, SpendingLedger
from engine.models.scripted import Scripted
from engine.spending_windows import Spender, Window

# A call sets aside 1,000 tokens of answer at $10 and its prompt: a little over one cent.
SOURCE = """orch 1
model m {{
  id = "openai/test"  api_base = "{url}"  max_tokens = 1000  context = 4000
  price {{ input = $1.00  output = $10.00 }}
}}
worker look(q: string) -> string via llm {{ model = m  prompt = "{{{{ q }}}}" }}
orchestrator main() -> {{ n: int }} {{
  model = m  goal = "g"  workers = [look]  policy {{ max_rounds = 3 }}
}}
"""
DONE = play.reply(
    json.dumps({"finish": {"n": 1}}), usage={"prompt_tokens": 1000, "completion_tokens": 900}
)
COST = 1_000 + 9_000


@pytest.fixture
def program(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    file = tmp_path / "main.orch"
    file.write_text(SOURCE.format(url=server.url))
    return file


def windows(tmp_path, *tables):
    (tmp_path / "orch.toml").write_text("".join(f"[[spending]]\n{table}\n" for table in tables))


def spent(folder):
    with closing(sqlite3.connect(folder / "spending.db")) as connection:
        settled = connection.execute("SELECT coalesce(sum(usd), 0) FROM spent").fetchone()[0]
        reserved = connection.execute("SELECT coalesce(sum(usd), 0) FROM reserved").fetchone()[0]
    return settled, reserved


def test_runs_share_a_window_until_it_is_full(program, server, tmp_path):
    windows(tmp_path, 'per = "day"\nlimit = "$0.03"')
    journal = tmp_path / ".orch"
    workflow = engine.load(program)
    server.play(DONE, DONE)
    assert workflow.run(journal=journal).status == "finished"
    assert workflow.run(journal=journal).status == "finished"
    assert spent(journal) == (2 * COST, 0)
    run = workflow.run(journal=journal)
    assert (run.status, run.bound) == ("exhausted", "spending")
    assert run.reason.startswith("spending window $0.03 per day (")
    assert "$0.0200 is spent, and the next call may cost up to $0.01" in run.reason
    assert run.reason.endswith(" 00:00 UTC")
    assert run.usage.cost_micro_usd == 0
    assert len(server.requests) == 2
    assert spent(journal) == (2 * COST, 0)


def test_a_run_that_was_refused_continues_when_there_is_room(program, server, tmp_path):
    windows(tmp_path, 'per = "day"\nlimit = "$0.001"')
    journal = tmp_path / ".orch"
    run = engine.load(program).run(journal=journal)
    assert (run.status, run.bound) == ("exhausted", "spending")
    windows(tmp_path, 'per = "day"\nlimit = "$1.00"')
    server.play(DONE)
    again = orch(tmp_path, "resume", run.id, "--retry-failed", "--format", "json")
    assert json.loads(again.stdout)["status"] == "finished"
    assert spent(journal) == (COST, 0)


def test_labels_tell_windows_apart(program, server, tmp_path):
    windows(tmp_path, 'per = "day"\nlimit = "$0.015"\nlabel = "team=x"')
    workflow, journal = engine.load(program), tmp_path / ".orch"
    server.play(DONE, DONE, DONE)
    assert workflow.run(journal=journal, labels={"team": "x"}).status == "finished"
    assert workflow.run(journal=journal, labels={"team": "x"}).bound == "spending"
    assert workflow.run(journal=journal, labels={"team": "y"}).status == "finished"
    assert workflow.run(journal=journal).status == "finished"
    found = engine.runs(journal, labels={"team": "x"})
    assert [run.status for run in found] == ["exhausted", "finished"]
    assert found[0].labels == {"team": "x"}


def test_the_environment_sets_windows_too(program, tmp_path, monkeypatch):
    monkeypatch.setenv("ORCH_SPENDING", "$0.001 per hour for model openai/*")
    run = engine.load(program).run(journal=tmp_path / ".orch")
    assert "spending window $0.00 per hour for model openai/* (ORCH_SPENDING)" in run.reason
    monkeypatch.setenv("ORCH_SPENDING", "a lot")
    with pytest.raises(UsageError, match="ORCH_SPENDING: 'a lot' is not of the form"):
        engine.load(program).run(journal=tmp_path / ".orch")


def test_what_is_free_is_not_counted(program, tmp_path):
    windows(tmp_path, 'per = "day"\nlimit = "$0.00"')
    script = Scripted([{"finish": {"n": 2}}])
    run = engine.load(program).run(journal=tmp_path / ".orch", models={"m": script})
    assert run.status == "finished"
    assert not (tmp_path / ".orch/spending.db").exists()


def test_what_cannot_be_kept_is_refused_before_the_run(program, server, tmp_path):
    windows(tmp_path, 'per = "day"\nlimit = "$1.00"')
    with pytest.raises(UsageError, match="kept in memory only; choose a folder"):
        engine.load(program).run()
    program.write_text(program.read_text().replace("price { input = $1.00  output = $10.00 }", ""))
    with pytest.raises(UsageError, match=r"no price is known for model `m` .* spending window"):
        engine.load(program).run(journal=tmp_path / ".orch")
    assert not server.requests


def test_without_a_window_nothing_is_kept(program, server, tmp_path):
    server.play(DONE)
    assert engine.load(program).run(journal=tmp_path / ".orch").status == "finished"
    assert not (tmp_path / ".orch/spending.db").exists()


def orch(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "orch", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def begin(folder, *arguments):
    command = [sys.executable, "-m", "orch", "run", "main.orch", "--format", "json", *arguments]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def hang_once_it_came(came):
    hang = play.hang()

    def write(handler, ending):
        came.set()
        hang(handler, ending)

    return write


def test_processes_cannot_overspend_together(program, server, tmp_path):
    windows(tmp_path, 'per = "day"\nlimit = "$0.025"')
    server.play(DONE, DONE, DONE, DONE)
    running = [begin(tmp_path) for _ in range(4)]
    reports = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    # Only one reservation fits next to what one call has cost, and none next to two.
    assert sorted(report["status"] for report in reports) == ["exhausted"] * 3 + ["finished"] or (
        sorted(report["status"] for report in reports) == ["exhausted"] * 2 + ["finished"] * 2
    )
    settled, reserved = spent(tmp_path / ".orch")
    assert settled == COST * len(server.requests) <= 25_000
    assert reserved == 0


def test_what_a_killed_process_had_set_aside_stays_counted(program, server, tmp_path):
    windows(tmp_path, 'per = "day"\nlimit = "$0.02"')
    came = threading.Event()
    server.play(hang_once_it_came(came))
    process = begin(tmp_path)
    assert came.wait(120)
    process.kill()
    process.communicate(timeout=60)
    settled, reserved = spent(tmp_path / ".orch")
    assert settled == 0
    assert reserved > 10_000
    # It is resumed, and what the killed call may have cost leaves no room for another.
    (run,) = engine.runs(tmp_path / ".orch")
    resumed = orch(tmp_path, "resume", run.id, "--format", "json")
    assert json.loads(resumed.stdout)["bound"] == "spending"
    assert len(server.requests) == 1


def test_a_reservation_waits_its_turn_in_one_transaction(tmp_path):
    window = Window("day", 100)
    spender = Spender("/x.orch", (), "openai/m")
    first, second = SpendingLedger(tmp_path), SpendingLedger(tmp_path)
    number = first.reserve([window], spender, 60, 1_000, 2_000, ("r", "k"))
    full = second.reserve([window], spender, 60, 1_500, 2_500, ("s", "k"))
    assert full == Full(window, spent=0, reserved=60, passing=60)
    late = second.reserve([window], spender, 60, 2_001, 3_000, ("s", "k"))
    assert late == Full(window, spent=0, reserved=60, passing=0)
    first.settle(number, 40)
    first.settle(number, 40)
    assert isinstance(second.reserve([window], spender, 60, 1_500, 2_500, ("s", "k")), int)
    day_ms = 24 * 60 * 60 * 1000
    assert isinstance(second.reserve([window], spender, 60, day_ms + 1, 0, ("s", "k")), int)
    first.close()
    second.close()


def test_a_file_that_is_no_database_stops_the_calls_alone(program, server, tmp_path):
    windows(tmp_path, 'per = "day"\nlimit = "$1.00"')
    (tmp_path / ".orch").mkdir()
    (tmp_path / ".orch/spending.db").write_bytes(b"not a database, not a database, no" * 100)
    with SqliteJournal(tmp_path / ".orch") as journal:
        run = engine.load(program).run(journal=journal)
    assert (run.status, run.bound) == ("exhausted", "spending")
    assert "what was spent cannot be read" in run.reason
    assert not server.requests
