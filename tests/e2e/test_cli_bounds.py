"""`orch lint --bounds` as a process: the page about it is true, as text and as JSON."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import orch_fork
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "bounds.md"


def orch(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = orch_fork.run(arguments, cwd=cwd)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shown = re.search(r"```orch file=answers.orch\n(.*?)```", PAGE.read_text(), re.S)
    assert shown is not None
    (tmp_path / "answers.orch").write_text(shown[1])
    return tmp_path


def test_the_page_shows_what_the_command_prints(folder):
    shown = re.search(r"\$ orch lint --bounds answers.orch\n(.*?)```", PAGE.read_text(), re.S)
    done = orch("lint", "--bounds", "answers.orch", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert shown is not None
    assert done.stdout == shown[1]


def test_json_has_the_fields_of_the_page(folder):
    done = orch("lint", "--bounds", "--format", "json", ".", cwd=folder)
    (file,) = json.loads(done.stdout)
    assert file["file"].endswith("answers.orch")
    (found,) = file["orchestrators"]
    described = re.findall(r"^\| (`.*?) \|", PAGE.read_text().split("## As JSON")[1], re.M)
    names = {name for cell in described for name in re.findall(r"`(\w+)`", cell)}
    assert set(found) | set(file) == names
    assert found["total"] == {
        "rounds": 5, "tasks": 20, "model_calls": 51, "tokens": 4_058_592, "cost_usd": 2.0
    }  # fmt: skip


def test_params_change_the_bound(folder):
    path = folder / "answers.orch"
    text = path.read_text().replace("max_rounds = 5", "max_rounds = param.rounds")
    path.write_text(text.replace("orch 1\n", "orch 1\nparam rounds: int = 5\n"))
    arguments = ("lint", "--bounds", "--format", "json", "answers.orch")
    for rounds, given in ((5, ()), (2, ("--param", "rounds=2"))):
        (file,) = json.loads(orch(*arguments, *given, cwd=folder).stdout)
        assert file["orchestrators"][0]["rounds"] == rounds


def test_a_file_with_errors_has_findings_on_stderr_and_no_bound(folder):
    path = folder / "answers.orch"
    path.write_text(path.read_text().replace("max_rounds", "max_round"))
    done = orch("lint", "--bounds", "answers.orch", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "did you mean `max_rounds`?" in done.stderr
    (folder / "part.orch").write_text("orch 1\nschema A { b: int }\n")
    done = orch("lint", "--bounds", "--format", "json", ".", cwd=folder)
    (part,) = json.loads(done.stdout)
    assert (done.returncode, part["orchestrators"]) == (1, [])


@pytest.mark.parametrize("more", [("--format", "github"), ("--statistics",)])
def test_what_does_not_go_together_is_a_usage_error(folder, more):
    done = orch("lint", "--bounds", *more, "answers.orch", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
