"""Runs whose decisions may have steps raise the format of their journal; older runs stay plain."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import engine
from engine.events import RunStarted
from engine.journal import SqliteJournal
from engine.runtime.machine import fold

PROGRAM = """
worker say(text: string) -> string via python { call = "tools:say" }
orchestrator main() -> json {
  model = planner  goal = "g"  workers = [say]
  policy { max_rounds = 3  ITEMS }
}
"""
TOOLS = "def say(text): return text\n"
TASKS = {"tasks": [{"id": "a", "worker": "say", "input": {"text": "x"}}]}


def run(load: Callable[..., engine.Workflow], folder: Path, items: str, result: Any) -> engine.Run:
    workflow = load(PROGRAM.replace("ITEMS", items), TOOLS)
    planner = engine.Scripted([TASKS, {"finish": result}])
    return workflow.run(models={"planner": planner}, journal=folder)


def format_of(folder: Path) -> int:
    connection = sqlite3.connect(folder / "journal.db")
    try:
        ((found,),) = connection.execute("SELECT value FROM meta WHERE key = 'format'")
        return int(found)
    finally:
        connection.close()


@pytest.mark.parametrize(("items", "expected"), [("", 1), ("max_items = 9", 2)])
def test_only_runs_with_steps_raise_it(
    load: Callable[..., engine.Workflow], tmp_path: Path, items: str, expected: int
) -> None:
    assert run(load, tmp_path / "j", items, "x").status == "finished"
    assert format_of(tmp_path / "j") == expected


def test_a_run_that_began_without_steps_is_read_without_them(
    load: Callable[..., engine.Workflow], tmp_path: Path
) -> None:
    """What looks like a reference in its result stays what it was."""
    written = {"$from": "a"}
    old = run(load, tmp_path / "j", "", written)
    assert old.output == written
    journal = SqliteJournal(tmp_path / "j")
    try:
        events = journal.read(old.id)
    finally:
        journal.close()
    assert isinstance(events[0], RunStarted)
    assert events[0].format == 1
    program = load(PROGRAM.replace("ITEMS", "max_items = 9"), TOOLS).program
    assert fold(program, events).loop.output == written
    newer = [msgspec.structs.replace(events[0], format=2), *events[1:]]
    assert fold(program, newer).loop.output == "x"
