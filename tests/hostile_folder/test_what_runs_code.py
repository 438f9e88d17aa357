"""Which commands run code of a repository, and which only look at it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

MARK = "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n"
PROGRAM = """orch 1
model m { id = "python/policy:decide" }
server s via mcp { command = ["touch", "ran"] }
worker f(n: int) -> int via python { call = "gen:f" }
worker g(n: int) -> string via command {
  run = ["touch", "ran"]  effect = read  parse = text  timeout = 5s
}
worker h(n: int) -> json via mcp { server = s  tool = "t"  effect = read  timeout = 5s }
verifier v(result: int) via python { call = "gen:v" }
orchestrator o() -> int {
  model = m  goal = "g"  workers = [f, g, h]
  policy { max_rounds = 2 }
  verify { before_finish { with = v  on_fail = abort } }
}
test "t" for o {
  mock orchestrator { script = [{ tasks: [{ id: "a", worker: "f", input: { n: 1 } }] }] }
  assert run.status == "finished"
}
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything in it leaves a file `ran` when it is run."""
    folder = tmp_path / "repository"
    (folder / ".git").mkdir(parents=True)
    (folder / "a.orch").write_text(PROGRAM)
    (folder / "gen.py").write_text(MARK + "def f(n): return n\ndef v(result): return True\n")
    (folder / "policy.py").write_text(MARK + "def decide(state): return {'finish': 1}\n")
    (folder / "engine.py").write_text(MARK)
    (folder / "json.py").write_text(MARK)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ("lint", "a.orch"),
        ("lint", "--bounds", "a.orch"),
        ("lint", "--fix", "--unsafe-fixes", "."),
        ("fmt", "--check"),
        ("graph", "a.orch"),
        ("doc", "a.orch"),
        ("schema", "a.orch", "o"),
        ("explain", "ORC110"),
    ],
)
def test_looking_runs_nothing(command, repository, orch):
    assert orch(*command)[0] in (0, 1)
    assert not (repository / "ran").exists()


def test_opening_it_in_an_editor_runs_nothing(repository):
    pytest.importorskip("pygls")
    from engine.lsp.paths import calls
    from engine.lsp.project import Project

    editor = Project()
    assert editor.analysis(str(repository / "a.orch")) is not None
    assert list(calls(editor, str(repository), "gen:")) == ["gen:f", "gen:v"]
    assert not (repository / "ran").exists()


def test_a_lens_imports_orch_s_own_modules(repository):
    pytest.importorskip("pygls")
    from engine.lsp.lenses import run_test
    from engine.lsp.project import Project

    editor = Project()
    uri = (repository / "a.orch").as_uri()

    result = asyncio.run(run_test(editor, uri, "t"))

    assert not result["passed"]
    assert "a live call in a test" in result["text"]
    assert not (repository / "ran").exists()


def test_testing_runs_the_functions_of_models_alone(repository, orch):
    code, out, _ = orch("test", "a.orch")
    assert code == 1
    assert "`f` (via python) is not mocked" in out
    assert not (repository / "ran").exists()

    scripted = PROGRAM[PROGRAM.index("  mock") : PROGRAM.index("  assert")]
    text = PROGRAM.replace(scripted, "  mock v { returns = true }\n")
    (repository / "a.orch").write_text(text)
    code, out, _ = orch("test", "a.orch")
    assert (code, out.count("1 passed")) == (0, 1)
    assert (repository / "ran").exists()


def test_asking_its_servers_starts_them(repository, orch):
    code, _, _ = orch("mcp", "snapshot", "a.orch")

    assert code == 3  # it is no server
    assert (repository / "ran").exists()


def test_running_it_runs_it(repository):
    """What the other tests rely on: there is something to run."""
    command = [sys.executable, "-P", "-m", "engine.cli", "run", "--no-journal", "-q", "a.orch"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    assert (repository / "ran").exists()
