"""The public face as a type checker sees it: mypy on an application, and on mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What mypy keeps of the libraries, so that they are read once."""
    return str(tmp_path_factory.mktemp("mypy"))


def test_an_application_that_uses_all_of_it_is_typed(cache):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache),
            *("--config-file", str(ROOT / "pyproject.toml"), str(HERE / "application.py")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


MISTAKES = """
import engine
import orch

orch.lod("shout.orch")  # E
orch.runs(status="bogus")  # E
run = orch.resume("last")
run.status = "failed"  # E
print(run.usage.cost)  # E
for failure in run.failures:
    failure.mode = 3  # E
"""


@pytest.mark.parametrize("own", [[], ["engine.py", "grammar.py"]])
def test_a_type_checker_finds_mistakes_also_beside_a_file_called_engine(tmp_path, cache, own):
    for name in own:
        (tmp_path / name).write_text("MINE = 1\n")
    (tmp_path / "app.py").write_text(MISTAKES)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, "app.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": str(ROOT)},
    )
    expected = [n for n, line in enumerate(MISTAKES.split("\n"), 1) if line.endswith("# E")]
    found = [
        int(line.split(":")[1]) for line in done.stdout.split("\n") if line.startswith("app.py:")
    ]
    assert found == expected, done.stdout
