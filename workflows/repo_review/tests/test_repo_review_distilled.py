"""A review as a plan: distilled from a run, it gives the same report without its planner."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import engine
from engine.history.distill import distill_run
from engine.journal import MemoryJournal
from engine.models.scripted import Scripted

FOLDER = Path(__file__).parent.parent
AGAIN = """
orchestrator again(repo: path) -> json {
  model   = planner
  goal    = "Repeat."
  workers = [planned]
  policy { max_rounds = 2 }
}
"""


def test_a_distilled_review_gives_the_same_report(repo: Any, tmp_path: Path) -> None:
    for number in range(4):
        branches = "".join(f"    if x == {n}:\n        x += {n}\n" for n in range(20 + number))
        repo.commit({"hot.py": f"def hot(x):\n{branches}    return x\n"})
    repo.commit({"quiet.py": "def quiet(a):\n    return a\n", "README.md": "# Project\n"})
    journal = MemoryJournal()
    run = engine.load(str(FOLDER / "repo_review.orch")).run(repo=str(repo), journal=journal)
    assert run.status == "finished"
    plan = distill_run(journal, run.id, name="planned").text

    folder = tmp_path / "workflow"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("tests", "__pycache__", ".orch"))
    path = folder / "again.orch"
    path.write_text(f"{(FOLDER / 'repo_review.orch').read_text()}\n{plan}{AGAIN}")
    begin = path.read_text().index(plan)
    assert [d for d in engine.lint(path) if begin <= d.span.start < begin + len(plan)] == []
    tasks = [{"id": "t", "worker": "planned", "input": {"repo": str(repo)}}]
    again = engine.load(path).run(
        "again", repo=str(repo), models={"planner": Scripted([{"tasks": tasks}, {"finish": 1}])}
    )
    (task,) = again.report()["history"][0]["tasks"]
    assert task["status"] == "done", task["failure"]
    assert task["output"] == run.output
