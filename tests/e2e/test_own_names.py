"""Modules of the user that have the names of orch's packages, beside a program and elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

PROGRAM = """orch 1
model planner { id = "python/plan:decide" }
worker here(n: int) -> int fails odd via python { call = "tools:half" }
worker apart(n: int) -> int fails odd via python { call = "tools:half"  isolate = true }
orchestrator o() -> string {
  model = planner  goal = "g"  workers = [here, apart]
  policy { max_rounds = 2 }
}
test "halves" for o {
  mock here { returns = 1 }
  mock apart { returns = 1 }
  assert run.output == "done"
}
"""
PLAN = """from orch import PolicyState
import orch

def decide(state):
    assert isinstance(state, PolicyState) and orch.PolicyState is PolicyState
    if state.round > 1:
        return {"finish": "done"}
    return {"tasks": [
        {"id": "a", "worker": "here", "input": {"n": 4}},
        {"id": "b", "worker": "here", "input": {"n": 3}},
        {"id": "c", "worker": "apart", "input": {"n": 4}},
        {"id": "d", "worker": "apart", "input": {"n": 3}},
    ]}
"""
TOOLS = """import engine, orch
from engine import Failure
from orch import Failure as Same
from orch.kinds import WorkerKind
%s
def half(n):
    assert Same is Failure is engine.Failure is orch.Failure
%s
    if n %% 2:
        raise Failure("odd", "it is odd")
    return n // 2
"""
NAMES = ("engine", "grammar", "orch")
SETS = [("engine",), ("grammar",), ("orch",), NAMES]
APP = """%(before)simport orch
workflow = orch.load(%(program)r)
run = workflow.run(journal="runs")
told = [(failure.task, failure.mode) for failure in run.failures]
assert (run.output, told) == ("done", [("b", "odd"), ("d", "odd")]), (run.reason, told)
assert orch.resume(run.id, journal="runs").output == "done"
%(after)s
"""


def files_of(folder: Path, names: tuple[str, ...]) -> None:
    """Files with names of ours; each tells where it lies."""
    for name in names:
        (folder / f"{name}.py").write_text(f"PLACE = {str(folder)!r}\nNAME = {name!r}\n")


def program_in(folder: Path, names: tuple[str, ...] = ()) -> Path:
    """The program, with files beside it that its functions use too."""
    folder.mkdir(exist_ok=True)
    files_of(folder, names)
    imports = "".join(f"import {n}\nfrom {n} import NAME as {n}_name\n" for n in names)
    checks = "".join(
        f"    assert {n}_name == {n}.NAME == {n!r} and {n}.PLACE == {str(folder)!r}\n"
        for n in names
    )
    (folder / "tools.py").write_text(TOOLS % (imports, checks))
    (folder / "plan.py").write_text(PLAN)
    path = folder / "p.orch"
    path.write_text(PROGRAM)
    return path


def started(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**environment, "NO_COLOR": "1", **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
    )


def check_run(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["output"] == "done"
    assert [(f["task"], f["mode"]) for f in report["failures"]] == [("b", "odd"), ("d", "odd")]


RUN = ("run", "p.orch", "-q", "--no-journal", "--format", "json")


@pytest.mark.parametrize("names", SETS, ids="+".join)
def test_beside_the_program(names, tmp_path):
    program = program_in(tmp_path, names)
    check_run(started("-P", "-m", "orch", *RUN, cwd=tmp_path))
    tested = started("-P", "-m", "orch", "test", str(program), cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_in_the_working_folder(tmp_path):
    """`python -m orch` has the working folder first on its path."""
    names = ("engine", "grammar")
    program_in(tmp_path, names)
    check_run(started("-m", "orch", *RUN, cwd=tmp_path))
    linted = started("-m", "orch", "lint", "p.orch", "--format", "json", cwd=tmp_path)
    told = {item["code"] for item in json.loads(linted.stdout)}
    assert "ORC516" in told


def test_on_pythonpath(tmp_path):
    """The folder comes before the installed packages, for the engine and its children."""
    names = ("engine", "grammar")
    program_in(tmp_path, names)
    check_run(started("-P", "-m", "orch", *RUN, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}))


@pytest.mark.parametrize("first", ["theirs", "ours"])
@pytest.mark.parametrize("names", [("engine",), ("grammar",), ("engine", "grammar")], ids="+".join)
def test_in_a_program_that_embeds_orch(names, first, tmp_path):
    """The program keeps its own modules, whichever is imported first."""
    path = program_in(tmp_path / "flows")
    files_of(tmp_path, names)
    theirs = "".join(
        f"import {n}\nassert ({n}.NAME, {n}.PLACE) == ({n!r}, {str(tmp_path)!r})\n" for n in names
    )
    before = theirs if first == "theirs" else ""
    app = APP % {"before": before, "after": theirs, "program": str(path)}
    (tmp_path / "app.py").write_text(app)

    done = started("app.py", cwd=tmp_path)

    assert done.returncode == 0, done.stderr


def test_a_worker_shares_the_modules_of_the_program_that_embeds_orch(tmp_path):
    """Functions of modules on Python's path keep the program's `engine`, in a child too."""
    program_in(tmp_path)
    files_of(tmp_path, ("engine",))
    (tmp_path / "flows").mkdir()
    path = tmp_path / "flows" / "p.orch"
    path.write_text(PROGRAM)
    (tmp_path / "tools.py").write_text(
        "import engine\nfrom orch import Failure\nassert engine.NAME == 'engine'\n"
        "def half(n):\n    if n % 2:\n        raise Failure('odd')\n    return n // 2\n"
    )
    app = APP % {"before": "", "after": "import engine; engine.NAME", "program": str(path)}
    (tmp_path / "app.py").write_text(app)

    done = started("app.py", cwd=tmp_path)

    assert done.returncode == 0, done.stderr


def test_where_the_name_is_taken_later_it_is_said_whose_it_is(tmp_path):
    (tmp_path / "lib").mkdir()
    files_of(tmp_path / "lib", ("engine",))
    (tmp_path / "app.py").write_text(
        "import sys, orch\norch.lint\nsys.path.insert(0, 'lib')\nimport engine\nengine.NAME\n"
    )
    done = started("app.py", cwd=tmp_path)
    assert "module 'engine' has no attribute 'NAME' (it is orch's" in done.stderr
