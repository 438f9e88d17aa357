"""`orch runs` and `orch show` as processes: what a journal tells of its runs."""

from __future__ import annotations

import asyncio
import json
import sqlite3

import pytest

from engine.drive import launch
from engine.journal import SqliteJournal
from engine.sema.check import check_file


def write_two_rounds(desk):
    long = "word " * 200
    desk.write(
        desk.tasks(
            desk.task("a1", "echo", text=long),
            {"id": "a2", "worker": "echo", "input": {"text": {"$from": "a1"}}},
            desk.task("a3", "boom", n=1),
        ),
        desk.finish("the end"),
        output="string",
    )
    return long


def test_no_runs_is_no_error_and_makes_nothing(desk):
    text = desk.orch("runs")
    as_json = desk.orch("runs", "--format", "json")

    assert (text.returncode, text.stdout, text.stderr) == (0, "", "no runs in .orch\n")
    assert json.loads(as_json.stdout) == []
    assert not (desk.folder / ".orch").exists()


def test_runs_are_listed_latest_first(desk):
    desk.write(desk.finish(1))
    desk.orch("run", "a.orch")
    desk.write(desk.tasks(desk.task("a1", "add", n=1)), policy="max_rounds = 1")
    desk.orch("run", "a.orch", "count")

    head, latest, first = desk.orch("runs").stdout.splitlines()

    assert head.split() == ["run", "status", "started", "workflow", "orchestrator", "why"]
    assert latest.split()[1] == "exhausted"
    assert latest.endswith("a.orch    count         max_rounds")
    assert first.split()[1] == "finished"
    assert len(desk.orch("runs", "--limit", "1").stdout.splitlines()) == 2
    (only,) = json.loads(desk.orch("runs", "--status", "finished", "--format", "json").stdout)
    assert only["run"] == first.split()[0]
    assert set(only) == {
        "run", "status", "workflow", "orchestrator", "started", "ended", "bound", "reason",
        "parent", "parent_seq", "labels",
    }  # fmt: skip


def test_a_run_without_a_process_is_interrupted(desk):
    desk.write(desk.tasks(desk.task("a1", "hold", n=1)))
    process = desk.start("run", "a.orch")
    desk.wait_ready(process)
    live = desk.orch("runs", "--status", "running").stdout
    process.kill()
    process.communicate()

    assert len(live.splitlines()) == 2
    assert desk.orch("runs", "--status", "running").stdout == ""
    assert desk.orch("runs", "--status", "interrupted").stdout.splitlines()[1].split()[1] == (
        "interrupted"
    )
    assert "status        interrupted" in desk.orch("show").stdout


def test_an_unknown_status_is_exit_2(desk):
    assert desk.orch("runs", "--status", "odd").returncode == 2
    assert desk.orch("runs", "--limit", "0").returncode == 2


def test_show_tells_the_whole_run(desk):
    long = write_two_rounds(desk)
    desk.orch("run", "a.orch", "-i", "note=please")

    done = desk.orch("show")

    assert done.returncode == 0
    for words in (
        "  status        finished\n",
        "  workflow      a.orch\n",
        "  orchestrator  count\n",
        "  models        planner = scripted/script.json\n",
        "  goal          Count from 1. please\n",
        '"note": "please"',
        "round 1\n  plan: first things first\n  a1 echo: done in ",
        '    input: {"text": {"$from": "a1"}}\n',
        "  a3 boom: failed in ",
        "    crashed: ValueError: no luck",
        "round 2\n  plan: that is all\n  finish: the end\n",
        "result: the end\ntotals: 2 rounds, 3 tasks (1 failed), 5 calls, ",
    ):
        assert words in done.stdout
    assert long.strip() not in done.stdout
    assert long.strip() in desk.orch("show", "--full").stdout


def test_show_is_one_json_object(desk):
    write_two_rounds(desk)
    desk.orch("run", "a.orch")

    report = json.loads(desk.orch("show", "last", "--format", "json").stdout)

    assert (report["status"], report["output"], report["damage"]) == ("finished", "the end", None)
    assert report["goal"] == "Count from 1. ".strip()
    first, second = report["history"]
    assert [task["status"] for task in first["tasks"]] == ["done", "done", "failed"]
    assert first["tasks"][2]["failure"]["mode"] == "crashed"
    assert second["finish"] == "the end"


def test_show_one_round_or_one_task(desk):
    long = write_two_rounds(desk)
    desk.orch("run", "a.orch")

    one = desk.orch("show", "last", "--round", "2").stdout
    task = desk.orch("show", "last", "--task", "a2").stdout
    as_json = json.loads(desk.orch("show", "last", "--task", "a2", "--format", "json").stdout)

    assert one == "round 2\n  plan: that is all\n  finish: the end\n"
    assert task.startswith("round 1\na2 echo: done in ")
    assert long in task
    assert (as_json["id"], as_json["output"]) == ("a2", long)


def test_show_suggests_what_was_meant(desk):
    write_two_rounds(desk)
    desk.orch("run", "a.orch")
    run = json.loads(desk.orch("show", "--format", "json").stdout)["run"]

    cases = {
        ("nothing",): "/.orch begins with 'nothing'",
        (run[:-1] + ("0" if run[-1] != "0" else "1"),): f"did you mean `{run}`?",
        (run, "--round", "3"): "has no round 3; it has 2",
        (run, "--task", "a9"): "help: tasks: `a1`, `a2`, `a3`",
    }
    for arguments, said in cases.items():
        done = desk.orch("show", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
    assert desk.orch("show", run[:-2]).returncode == 0


def test_verdicts_and_feedback_are_shown(desk):
    desk.write(
        desk.finish(3),
        desk.finish(-1),
        declarations='verifier small(result: int) via rules { assert result < 0 else "too large" }',
        settings="verify { before_finish { with = small  on_fail = revise  max_revisions = 1 } }",
    )
    desk.orch("run", "a.orch")

    text = desk.orch("show").stdout

    assert "  finish: 3\n  small (before_finish): not passed: too large\n" in text
    assert "round 2\n  told: the result was not accepted: small: too large\n" in text
    assert "  finish: -1\n  small (before_finish): passed\n" in text


def test_a_cancelled_run_is_shown_and_has_its_exit_code(desk, monkeypatch):
    desk.write(desk.tasks(desk.task("a1", "add", n=1)), desk.finish(1))
    monkeypatch.chdir(desk.folder)
    program = check_file("a.orch").program
    drivers = []
    options = launch.Options(on_driver=drivers.append)
    options.observers.append(lambda event, state: drivers[0].cancel("by hand"))

    async def cancelled():
        journal = SqliteJournal(".orch")
        try:
            return await launch.start(program, launch.choose(program, None), {}, journal, options)
        finally:
            journal.close()

    assert asyncio.run(cancelled()).status == "cancelled"
    assert "status        cancelled: by hand" in desk.orch("show").stdout
    assert desk.orch("resume", "last").returncode == 7


@pytest.mark.parametrize("arguments", [["show"], ["show", "--format", "json"]])
def test_of_a_damaged_journal_the_good_part_is_shown(desk, arguments):
    write_two_rounds(desk)
    desk.orch("run", "a.orch")
    with sqlite3.connect(desk.folder / ".orch" / "journal.db") as connection:
        last = connection.execute("SELECT max(seq) FROM events").fetchone()[0]
        connection.execute("UPDATE events SET body = x'00' WHERE seq = ?", (last - 1,))
    connection.close()

    done = desk.orch(*arguments)

    assert done.returncode == 0
    assert "warning: the journal of this run is damaged: event " in done.stderr
    assert "first things first" in done.stdout
    assert "the end" not in done.stdout


@pytest.mark.parametrize("command", [["runs"], ["show"], ["resume", "last"]])
def test_a_journal_that_is_none_is_exit_3(desk, command):
    (desk.folder / ".orch").mkdir()
    (desk.folder / ".orch" / "journal.db").write_text("no database " * 100)

    done = desk.orch(*command)

    assert (done.returncode, done.stdout) == (3, "")
    assert "journal.db is not a journal" in done.stderr
