"""Runs that are stopped on the way, and `orch resume`: nothing finished is lost or done twice."""

from __future__ import annotations

import json
import os
import signal

import pytest


def write_holding(desk):
    """A run whose second task waits for the first one, then for us."""
    desk.write(
        desk.tasks(
            desk.task("a1", "add", n=1),
            {"id": "a2", "worker": "hold", "input": {"n": {"$from": "a1"}}},
        ),
        desk.tasks(desk.task("b1", "add", n=10)),
        desk.finish(3),
    )


def ended(process):
    stdout, stderr = process.communicate(timeout=60)
    assert b"Traceback" not in stderr
    return process.returncode, stdout.decode(), stderr.decode()


def statuses(desk):
    return [run["status"] for run in json.loads(desk.orch("runs", "--format", "json").stdout)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_goes_on_where_it_was(desk, number, code):
    write_holding(desk)
    process = desk.start("run", "a.orch")
    desk.wait_ready(process)
    running = statuses(desk)
    process.send_signal(number)
    returned, stdout, stderr = ended(process)

    assert (returned, stdout, running) == (code, "", ["running"])
    run = stderr.splitlines()[0].removeprefix("run ")
    assert stderr.endswith(f"interrupted; resume with: orch resume {run}\n")
    assert statuses(desk) == ["interrupted"]
    assert desk.calls() == ["add 1", "hold 2"]

    (desk.folder / "open").touch()
    done = desk.orch("resume", run)

    assert (done.returncode, done.stdout) == (0, "3\n")
    assert desk.calls() == ["add 1", "hold 2", "hold 2", "add 10"]
    assert "resumed; 1 call made again\n" in done.stderr
    assert statuses(desk) == ["finished"]


def test_an_interrupted_run_is_one_json_object_too(desk):
    write_holding(desk)
    process = desk.start("run", "a.orch", "--format", "json")
    desk.wait_ready(process)
    process.send_signal(signal.SIGINT)
    returned, stdout, _ = ended(process)

    report = json.loads(stdout)
    assert (returned, report["status"], report["output"]) == (130, "interrupted", None)
    assert report["reason"] == "interrupted by SIGINT"


def test_a_killed_run_goes_on_where_it_was(desk):
    write_holding(desk)
    process = desk.start("run", "a.orch")
    desk.wait_ready(process)
    process.kill()
    assert ended(process)[0] == -signal.SIGKILL

    (desk.folder / "open").touch()
    done = desk.orch("resume", "last", "--format", "json")

    report = json.loads(done.stdout)
    assert (done.returncode, report["status"], report["output"]) == (0, "finished", 3)
    assert desk.calls() == ["add 1", "hold 2", "hold 2", "add 10"]


def test_the_program_of_a_run_is_the_one_it_began_with(desk):
    write_holding(desk)
    process = desk.start("run", "a.orch")
    desk.wait_ready(process)
    process.kill()
    ended(process)
    (desk.folder / "a.orch").write_text("orch 1\n")

    (desk.folder / "open").touch()
    elsewhere = desk.folder / "elsewhere"
    elsewhere.mkdir()
    done = desk.orch("resume", "last", "--journal", "../.orch", cwd=elsewhere)

    assert (done.returncode, done.stdout) == (0, "3\n")


def test_a_resumed_run_may_have_another_model(desk):
    write_holding(desk)
    process = desk.start("run", "a.orch")
    desk.wait_ready(process)
    process.kill()
    ended(process)
    (desk.folder / "open").touch()
    (desk.folder / "other.json").write_text(json.dumps([None, desk.finish(77)]))

    unknown = desk.orch("resume", "last", "--model", "plannr=scripted/other.json")
    done = desk.orch("resume", "last", "--model", "planner=scripted/other.json")

    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "there is no model `plannr`" in unknown.stderr
    assert (done.returncode, done.stdout) == (0, "77\n")
    models = json.loads(desk.orch("show", "--format", "json").stdout)["models"]
    assert models == {"planner": "scripted/other.json"}


def test_the_programs_of_workers_are_ended_with_the_run(desk):
    desk.write(desk.tasks(desk.task("a1", "nap", n=1)))
    process = desk.start("run", "a.orch")
    pid = int(desk.wait_ready(process))
    process.send_signal(signal.SIGINT)

    assert ended(process)[0] == 130
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_second_interrupt_ends_at_once(desk):
    desk.write(desk.tasks(desk.task("a1", "stubborn", n=1)))
    process = desk.start("run", "a.orch")
    desk.wait_ready(process)
    process.send_signal(signal.SIGINT)
    desk.wait_ready(process)
    process.send_signal(signal.SIGINT)

    assert ended(process)[0] == 130


def test_a_run_without_a_journal_says_that_it_is_gone(desk):
    write_holding(desk)
    process = desk.start("run", "a.orch", "--no-journal")
    desk.wait_ready(process)
    process.send_signal(signal.SIGINT)
    returned, _, stderr = ended(process)

    assert returned == 130
    assert stderr.endswith("interrupted; it was not journaled and cannot be resumed\n")


def test_a_run_that_is_under_way_is_not_taken_over(desk):
    write_holding(desk)
    process = desk.start("run", "a.orch")
    desk.wait_ready(process)
    done = desk.orch("resume", "last")
    process.kill()
    ended(process)

    assert (done.returncode, done.stdout) == (3, "")
    assert "is being driven by another process" in done.stderr


def test_a_finished_run_gives_its_result_again(desk):
    desk.write(desk.tasks(desk.task("a1", "add", n=1)), desk.finish(2))
    desk.orch("run", "a.orch")

    text = desk.orch("resume", "last")
    report = json.loads(desk.orch("resume", "last", "--format", "json").stdout)

    assert (text.returncode, text.stdout) == (0, "2\n")
    assert "has ended: finished\n" in text.stderr
    assert (report["status"], report["output"]) == ("finished", 2)
    assert desk.calls() == ["add 1"]


def test_a_waiting_run_waits_on(desk):
    desk.write(
        desk.finish(3),
        declarations="verifier never(result: int) via rules { assert result < 0 }",
        settings="verify { before_finish { with = never  on_fail = escalate } }",
    )
    first = desk.orch("run", "a.orch")
    assert first.returncode == 5
    assert "  waits for a person: " in first.stderr
    assert "waits for a person: " in desk.orch("show").stdout

    assert desk.orch("resume", "last", "--quiet").returncode == 5


def test_an_unknown_run_is_exit_2(desk):
    desk.write(desk.finish(1))
    nothing = desk.orch("resume", "last")
    desk.orch("run", "a.orch")
    unknown = desk.orch("resume", "20200101")

    assert (nothing.returncode, unknown.returncode) == (2, 2)
    assert "/.orch yet" in nothing.stderr
    assert "/.orch begins with '20200101'" in unknown.stderr
