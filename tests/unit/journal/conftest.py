"""Journals and events for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.events import CallFinished, CallStarted, Event, RunStarted
from engine.journal import Journal, MemoryJournal, Ownership, RunRecord, SqliteJournal


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


class ByRun:
    """A journal that keeps what owns its runs, so that a test can name a run to write it."""

    def __init__(self, inner: Journal) -> None:
        self.inner = inner
        self.owned: dict[str, Ownership] = {}

    async def create(self, record: RunRecord, events: Sequence[Event] = ()) -> None:
        self.owned[record.run] = await self.inner.create(record, events)

    async def claim(self, run: str) -> int:
        self.owned[run] = await self.inner.claim(run)
        return self.owned[run].epoch

    async def append(self, run: str, events: Sequence[Event]) -> None:
        await self.owned[run].append(events)

    async def change_program(self, run: str, files: dict[str, str], until_ms: int) -> None:
        await self.owned[run].change_program(files, until_ms)

    def __enter__(self) -> ByRun:
        return self

    def __exit__(self, *error: object) -> None:
        self.inner.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Make:
    """Builders of records and events."""

    record = staticmethod(record_of)
    key = staticmethod(key_of)
    started = staticmethod(started)
    finished = staticmethod(finished)
    begun = staticmethod(begun)

    @staticmethod
    def opened(folder: Path) -> ByRun:
        """A journal on a folder."""
        return ByRun(SqliteJournal(folder))


@pytest.fixture
def make() -> type[Make]:
    return Make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def open_journal(folder: Path) -> Iterator[Callable[..., ByRun]]:
    """Opens journals on the same folder; they are closed at the end."""
    opened: list[ByRun] = []

    def open_(**options: Any) -> ByRun:
        opened.append(ByRun(SqliteJournal(folder, **options)))
        return opened[-1]

    yield open_
    for journal in opened:
        journal.close()


@pytest.fixture(params=["sqlite", "memory"])
def journal(request: pytest.FixtureRequest, folder: Path) -> Iterator[ByRun]:
    """Either kind of journal, empty."""
    made = ByRun(SqliteJournal(folder) if request.param == "sqlite" else MemoryJournal())
    yield made
    made.close()
