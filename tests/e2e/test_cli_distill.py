"""`orch distill` as a process, on real journals."""

from __future__ import annotations

import json

from engine.formatter.formatting import format_text


def a_run(desk, **more):
    """A run with two rounds of two tasks, and a result in the planner's words."""
    desk.write(
        desk.tasks(desk.task("a1", "add", n=41), desk.task("say", "echo", text="a long text")),
        desk.tasks(desk.task("a2", "add", n={"$from": "a1"})),
        desk.finish(7),
        **more,
    )
    assert desk.orch("run", "a.orch").returncode == 0


def test_the_worker_goes_to_standard_output_and_can_be_added_to_the_file(desk):
    a_run(desk)
    done = desk.orch("distill", "--name", "again")
    assert done.returncode == 0
    assert done.stderr == "3 decided tasks as 3 steps; review the comments before you use it\n"
    assert done.stdout.startswith("// Distilled from run ")
    assert "worker again(" in done.stdout
    assert "step a2  { call = add(n=a1) }" in done.stdout
    assert "result    = { say: say, a2: a2 }" in done.stdout
    text = (desk.folder / "a.orch").read_text()
    (desk.folder / "b.orch").write_text(f"{text}\n{done.stdout}".replace("[add,", "[again, add,"))
    linted = desk.orch("lint", "b.orch", "--format", "json")
    assert "again" not in linted.stdout
    assert format_text(f"orch 1\n\n{done.stdout}") == f"orch 1\n\n{done.stdout}"


def test_one_round_and_as_json(desk):
    a_run(desk)
    done = desk.orch("distill", "last", "--round", "2", "--format", "json")
    found = json.loads(done.stdout)
    assert (found["name"], found["tasks"], found["steps"]) == ("count_plan", 1, 1)
    assert "worker count_plan(a1: int) -> int via plan" in found["text"]
    assert found["judged"] == [
        "the round decides no result; the plan returns what nothing else reads"
    ]
    assert found["changed"] == []


def test_a_program_that_has_changed_is_said(desk):
    a_run(desk)
    path = desk.folder / "a.orch"
    path.write_text(
        path.read_text().replace("worker add(n: int) -> int", "worker add(n: int) -> float")
    )
    done = desk.orch("distill")
    assert done.returncode == 0
    assert "warning: the file has changed since the run: `add`" in done.stderr
    path.write_text("orch 1\nnothing here {")
    assert desk.orch("distill").returncode == 0
    path.unlink()
    assert desk.orch("distill").returncode == 0


def test_what_cannot_be_distilled_is_one_line(desk):
    assert "there is no run in" in desk.orch("distill").stderr
    a_run(desk)
    for arguments, code, said in (
        (["--round", "9"], 2, "has no round 9; it has 3"),
        (["--round", "3"], 2, "round 3 of run"),
        (["--name", "add"], 2, "the program has a `add` already"),
        (["--name", "a b"], 2, "`a b` cannot be the name of a worker"),
        (["nobody"], 2, "no run in"),
    ):
        done = desk.orch("distill", *arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_run_that_failed_gives_a_round_only(desk):
    desk.write(desk.tasks(desk.task("a1", "add", n=1)), policy="max_rounds = 1")
    assert desk.orch("run", "a.orch").returncode != 0
    done = desk.orch("distill")
    assert done.returncode == 2
    assert "has not finished (" in done.stderr
    assert "--round N takes one round of it" in done.stderr
    assert "call = add(n=" in desk.orch("distill", "--round", "1").stdout
