"""Time comes from `engine.clock`, and a test can turn it."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest

import engine
from engine import clock
from engine.drive.inbox import PATIENCE_S, hand_over, wait_for_end
from engine.drive.loading import Loaded
from engine.errors import JournalError
from engine.events import CancelRequested, RunStarted
from engine.journal import RunRecord, SqliteJournal
from engine.runtime.state import RunState
from engine.sema.check import check_file
from engine.sema.names.loader import MemoryReader

ROOT = Path(engine.__file__).parent

#: Who asks elsewhere, and why.
ALLOWED = {
    "clock.py": "it is the port",
    "workers/watcher.py": "a script that runs without the package",
}
#: What gives the time, or waits, by the name of its module. Waits in an event loop are the loop's.
SOURCES = {
    "time": {
        "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep", "time", "time_ns",
    },
    "datetime": {"now", "today", "utcnow"},
    "date": {"today"},
}  # fmt: skip


def _asked(tree: ast.Module) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in SOURCES.get(node.value.id, ()):
                found.append(f"line {node.lineno}: {node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found.append(f"line {node.lineno}: from time import")
        elif isinstance(node, ast.ImportFrom) and node.module == "engine.clock":
            # A name that was taken out keeps the clock that was in use then.
            names = {alias.name for alias in node.names} - {"VirtualClock", "use"}
            found += [f"line {node.lineno}: from engine.clock import {name}" for name in names]
    return found


def test_time_comes_from_one_module():
    said = []
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name not in ALLOWED:
            said += [f"{name}, {it}" for it in _asked(ast.parse(path.read_text("utf-8")))]
    assert said == []


def test_a_virtual_clock_moves_by_pauses_alone():
    with clock.use(clock.VirtualClock(began_s=1_000)) as virtual:
        assert (clock.running_s(), clock.wall_ms()) == (0, 1_000_000)
        clock.pause(90)
        virtual.advance(10)
        assert (clock.running_s(), clock.wall_s()) == (100, 1_100)
    assert clock.wall_s() > 1_700_000_000
    with clock.use(clock.VirtualClock(iter(range(5)).__next__)):
        assert [clock.running_s() for _ in range(3)] == [0, 1, 2]


@pytest.fixture
def held(tmp_path):
    """A journal in which this process holds the run `r`, and looks into no inbox."""
    journal = SqliteJournal(tmp_path / "journal")
    record = RunRecord(run="r", workflow="x.orch", orchestrator="main", started_ms=1)
    begun = RunStarted(run="r", orchestrator="main", input={}, models={}, program="h")

    async def create():
        return await journal.create(record, [begun])

    owned = asyncio.run(create())
    yield journal
    del owned
    journal.close()


def test_an_answer_that_is_not_taken_is_withdrawn_after_a_while(held):
    source = 'orch 1\nmodel m { id = "x/y" }\n'
    program = check_file("/p/x.orch", reader=MemoryReader({"x.orch": source}, "/p"), env={}).program
    assert program is not None
    seen = Loaded(held.record("r"), RunState(program), 1)
    with clock.use(clock.VirtualClock()):
        with pytest.raises(JournalError, match="was withdrawn"):
            hand_over(held, seen, CancelRequested(reason="enough"))
        assert PATIENCE_S < clock.running_s() < PATIENCE_S + 1
    assert held.inbox.letters("r") == []


def test_waiting_for_the_end_of_a_run_gives_up(held):
    with clock.use(clock.VirtualClock()):
        assert not wait_for_end(held, "r")
        assert PATIENCE_S < clock.running_s() < PATIENCE_S + 1
