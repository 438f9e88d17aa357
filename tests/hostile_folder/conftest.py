"""A stranger, who has a machine of his own, and the journals that come from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

#: A run of this program leaves a file: harmless, and easy to see.
PROGRAM = """orch 1
model planner { id = "scripted/plan.json" }
worker mark() -> string via command {
  run = ["touch", "carried-out"]  effect = write  parse = text  timeout = 60s
}
orchestrator o() -> string {
  model = planner  goal = "g"  workers = [mark]
  policy { max_rounds = 3 }
}
"""
PLAN = '[{"tasks": [{"id": "a", "worker": "mark", "input": {}}]}, {"finish": "x"}]'

#: Enters a run a year ahead that begins wherever it is resumed.
STRANGER = """
import asyncio, pathlib, time
import msgspec
from engine.drive import launch
from engine.journal import SqliteJournal
from engine.sema.check import check_file

program = check_file("a.orch").program
record, began = launch.prepare(
    program, launch.choose(program, None), {}, launch.Options(), {}
)
RUN = "20200101-000000-stranger"
began = msgspec.structs.replace(began, run=RUN)
record = msgspec.structs.replace(
    record, run=RUN, cwd="/proc/self/cwd", started_ms=record.started_ms + 365 * 86_400_000
)

async def main():
    with SqliteJournal(".orch") as journal:
        await journal.create(record, [began])

asyncio.run(main())
"""


@pytest.fixture(scope="session")
def strange_journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another user's journal: an interrupted run with the latest date."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "a.orch").write_text(PROGRAM)
    (folder / "plan.json").write_text(PLAN)
    env = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    subprocess.run([sys.executable, "-c", STRANGER], cwd=folder, env=env, check=True, timeout=120)
    return folder / ".orch"


@pytest.fixture(scope="session")
def waiting_journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another user's journal: a run that asks before it does something."""
    folder = tmp_path_factory.mktemp("waiting")
    asking = 'verifier sure() via human { message = "Sure?" }\n'
    text = PROGRAM.replace("orchestrator o", asking + "orchestrator o").replace(
        "rounds = 3 }",
        "rounds = 3 }\n  verify { before_dispatch mark { with = sure  on_fail = abort } }",
    )
    (folder / "a.orch").write_text(text)
    (folder / "plan.json").write_text(PLAN)
    env = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    command = [sys.executable, "-m", "engine.cli", "run", "a.orch"]
    done = subprocess.run(command, cwd=folder, env=env, check=False, timeout=120)
    assert done.returncode == 5
    return folder / ".orch"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own."""
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: Path) -> Path:
    """A folder with a program, where the user stands."""
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "a.orch").write_text(PROGRAM)
    (folder / "plan.json").write_text(PLAN)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def plant(desk: Path, strange_journal: Path) -> Callable[[str], Path]:
    """Puts the stranger's database into the user's `.orch`, under a name."""

    def plant(name: str = "journal.db") -> Path:
        path = desk / ".orch" / name
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(strange_journal / "journal.db", path)
        return path

    return plant


@pytest.fixture
def orch(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line in this process: exit code, standard output, standard error."""
    from engine.cli import app

    def orch(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = app.run(list(arguments))
        out, err = capsys.readouterr()
        assert code != 70, err
        return code, out, err

    return orch
