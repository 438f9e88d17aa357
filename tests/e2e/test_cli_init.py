"""`orch init` as a process: what it writes lints, is formatted, tests and runs at once."""

from __future__ import annotations

import json
import os

import orch_fork
import pytest

from engine.errors import UsageError
from engine.linter import lint
from engine.scaffold import checked_name, name_for, starter_files
from engine.source import SourceFile
from engine.syntax.ast import OrchestratorDecl
from engine.syntax.parser import parse

WORDS = (
    "orch import from as schema param secret model server worker verifier template orchestrator "
    "test via fails for assert else if policy verify limit budget stall context input output run "
    "task goal result log json file python llm command http mcp human rules in not and or is none"
)


def orch(*arguments, cwd):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ORCH_")}
    done = orch_fork.run([*map(str, arguments)], cwd=cwd, environment=environment)
    assert "Traceback" not in done.stderr
    return done


def test_a_new_project_lints_tests_and_runs_at_once(tmp_path):
    made = orch("init", "my review", cwd=tmp_path)
    folder = tmp_path / "my review"

    assert made.returncode == 0
    assert "cd 'my review'\norch lint my_review.orch" in made.stderr
    assert sorted(path.name for path in folder.iterdir()) == [
        ".gitignore", "README.md", "my_review.orch", "notes", "planner.py", "tools.py"
    ]  # fmt: skip
    assert ".orch/" in (folder / ".gitignore").read_text()
    linted = orch("lint", "--strict", ".", cwd=folder)
    assert (linted.returncode, linted.stdout) == (0, "no problems found in 1 file\n")
    tested = orch("test", ".", cwd=folder)
    assert tested.returncode == 0
    assert "2 passed" in tested.stdout
    ran = orch("run", "my_review.orch", cwd=folder)
    assert ran.returncode == 0
    assert [todo["text"] for todo in json.loads(ran.stdout)] == ["water the plants", "call Ada"]


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "tools.py").write_text("mine")

    done = orch("init", ".", "--name", "fresh", cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr == "error: . has tools.py already; nothing was written\n"
    assert [path.name for path in tmp_path.iterdir()] == ["tools.py"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")

    done = orch("init", "file/inside", cwd=tmp_path)

    assert done.returncode == 3
    assert done.stderr.startswith("error: cannot write into file/inside: ")


@pytest.mark.parametrize(
    ("folder", "name"),
    [("My-Review 2", "my_review_2"), ("planner", "planner_workflow"), ("x.y", "x_y")],
)
def test_a_folders_name_becomes_a_name(tmp_path, folder, name):
    assert name_for(str(tmp_path / folder)) == name


@pytest.mark.parametrize("name", ["Fresh", "2nd", "a b", "planner", "", "true"])
def test_what_is_no_name_is_refused(tmp_path, name):
    done = orch("init", "new", "--name", name, cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith(f"error: `{name}` is ")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_whose_name_gives_none_asks_for_one(tmp_path):
    done = orch("init", "2026", cwd=tmp_path)

    assert done.returncode == 2
    assert "give one with --name" in done.stderr


@pytest.mark.parametrize("word", WORDS.split())
def test_every_name_that_is_taken_gives_a_file_that_checks(tmp_path, word):
    try:
        checked_name(word)
    except UsageError:
        return
    for path, text in starter_files(word).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)

    assert lint(tmp_path / f"{word}.orch") == []
    document, _ = parse(SourceFile("x", (tmp_path / f"{word}.orch").read_text()))
    names = [d.name.text for d in document.declarations if isinstance(d, OrchestratorDecl)]
    assert names == [word]
