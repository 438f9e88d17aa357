"""Sandboxes are asked for before a run starts: demanded ones are refused, others warned of."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import orch
from engine.journal import SqliteJournal

PROGRAM = """orch 1
model planner { id = "scripted/plan.json" }
worker look(q: string) -> string via command {
  run = ["echo", q]  effect = read  timeout = 60s  parse = text  SETTINGS
}
orchestrator main() -> string {
  model = planner  goal = "Look."  workers = [look]
  policy { max_rounds = 2 }
}
"""
PLAN = '[{"tasks": [{"id": "a", "worker": "look", "input": {"q": "x"}}]}, {"finish": "done"}]'


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # One that there is, and not on this machine.
    monkeypatch.setenv("ORCH_SANDBOX", "landlock" if sys.platform == "darwin" else "sandbox-exec")

    def run(settings: str) -> orch.Run:
        (tmp_path / "main.orch").write_text(PROGRAM.replace("SETTINGS", settings))
        (tmp_path / "plan.json").write_text(PLAN)
        return orch.load(tmp_path / "main.orch").run(journal=tmp_path / "journal")

    return run


def test_a_demanded_sandbox_that_cannot_be_made_is_refused(run, tmp_path: Path):
    with pytest.raises(orch.UsageError) as caught:
        run("sandbox { network = none }")
    said = str(caught.value)
    assert said.startswith("`look` has a `sandbox`, which cannot be made here: ")
    assert "apt install bubblewrap" in said
    assert "pip install 'orch-engine[sandbox]'" in said
    assert orch.runs(tmp_path / "journal") == []


def test_one_by_default_that_cannot_be_made_is_warned_of_once(run, tmp_path: Path):
    found = run("trust = untrusted")
    assert found.output == "done"
    (warning,) = found.warnings
    assert warning.startswith("untrusted workers run without a sandbox here: `look` (")
    # It is in the journal, and so wherever the run is looked at.
    with SqliteJournal(tmp_path / "journal") as journal:
        (event, *_) = journal.read(found.id)
    assert event.warnings == [warning]


@pytest.mark.parametrize("settings", ["", "trust = untrusted  sandbox = off"])
def test_without_a_sandbox_nothing_is_said(run, settings: str):
    assert run(settings).warnings == ()
