"""A worker that changes the working directory of the process harms neither its run nor later ones.

The journal, the recording and the program are where they were when they were named.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

PROGRAM = """orch 1
model planner { id = "scripted/plan.json" }
worker go(to: string) -> string via python { call = "walk:go"  effect = read }
worker late(n: int) -> int via python { call = "late:add"  effect = read }
worker list() -> string via command { run = ["ls"]  parse = text  effect = read  timeout = 20s }
orchestrator o(to: string) -> int {
  model = planner  goal = "x"  workers = [go, late, list]  policy { max_rounds = 5 }
}
"""
WALK = """
import os


def go(to):
    os.chdir(to)
    return os.getcwd()
"""
LATE = "def add(n):\n    return n + 1\n"


def lay_out(desk):
    (desk.folder / "elsewhere").mkdir()
    (desk.folder / "c.orch").write_text(PROGRAM)
    (desk.folder / "walk.py").write_text(WALK)
    (desk.folder / "late.py").write_text(LATE)
    later = [desk.task("b", "late", n=1), desk.task("c", "list")]
    script = [
        desk.tasks(desk.task("a", "go", to=str(desk.folder / "elsewhere"))),
        desk.tasks(*later),
        desk.finish(1),
    ]
    (desk.folder / "plan.json").write_text(json.dumps(script))


def test_a_run_with_everything_relative(desk):
    lay_out(desk)
    done = desk.orch("run", "c.orch", "-i", "to=elsewhere", "--record", "recorded")
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert json.loads(desk.orch("runs", "--format", "json").stdout)[0]["status"] == "finished"
    listed = desk.orch("show", "last", "--task", "c").stdout
    assert "c.orch" in listed
    assert len(list((desk.folder / "recorded").iterdir())) > 1
    assert list((desk.folder / "elsewhere").iterdir()) == []


HOST = """
    import engine

    workflow = engine.load("c.orch")
    plan = [{"tasks": [{"id": "a", "worker": "go", "input": {"to": "elsewhere"}}]}, {"finish": 1}]
    late = [{"tasks": [{"id": "b", "worker": "late", "input": {"n": 1}}]}, {"finish": 2}]
    with engine.SqliteJournal(".orch") as journal:
        first = workflow.run(to="", journal=journal, models={"planner": engine.Scripted(plan)})
        second = workflow.run(to="", journal=journal, models={"planner": engine.Scripted(late)})
    print(first.output, second.output, second.id)
"""


def test_a_run_that_is_started_after_it_can_be_taken_up_later(desk):
    lay_out(desk)
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(HOST)],
        cwd=desk.folder,
        env=desk.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    first, second, run = ran.stdout.split()
    assert (first, second) == ("1", "2")
    # From after the plan on: the module of its worker is looked up beside the program.
    (desk.folder / "rest.json").write_text(json.dumps([desk.tasks(), desk.finish(3)]))
    rest = f"planner=scripted/{desk.folder / 'rest.json'}"
    forked = desk.orch("resume", run, "--from", "3", "--model", rest)
    assert (forked.returncode, forked.stdout) == (0, "3\n"), forked.stderr
    assert "failed" not in desk.orch("show", "last").stdout
