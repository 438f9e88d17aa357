"""Journals and events for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.events import CallFinished, CallStarted, RunStarted
from engine.journal import Journal, MemoryJournal, RunRecord, SqliteJournal


def record_of(run: str, started_ms: int = 1, **more: Any) -> RunRecord:
    return RunRecord(run=run, workflow="x.orch", orchestrator="main", started_ms=started_ms, **more)


def key_of(task: int) -> str:
    return f"round 1 / decision 1 / task a{task}"


def started(task: int) -> CallStarted:
    return CallStarted(at=task, key=key_of(task))


def finished(task: int, value: Any = None) -> CallFinished:
    return CallFinished(at=task, key=key_of(task), value=value, ms=5)


def begun(run: str = "r", **input: Any) -> RunStarted:
    return RunStarted(run=run, orchestrator="main", input=input, models={}, program="h")


class Make:
    """Builders of records and events."""

    record = staticmethod(record_of)
    key = staticmethod(key_of)
    started = staticmethod(started)
    finished = staticmethod(finished)
    begun = staticmethod(begun)


@pytest.fixture
def make() -> type[Make]:
    return Make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def open_journal(folder: Path) -> Iterator[Callable[..., SqliteJournal]]:
    """Opens journals on the same folder; they are closed at the end."""
    opened: list[SqliteJournal] = []

    def open_(**options: Any) -> SqliteJournal:
        opened.append(SqliteJournal(folder, **options))
        return opened[-1]

    yield open_
    for journal in opened:
        journal.close()


@pytest.fixture(params=["sqlite", "memory"])
def journal(request: pytest.FixtureRequest, folder: Path) -> Iterator[Journal]:
    """Either kind of journal, empty."""
    made: Journal = SqliteJournal(folder) if request.param == "sqlite" else MemoryJournal()
    yield made
    made.close()
