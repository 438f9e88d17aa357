"""One owner a run in a process: what the journal does itself, below whoever drives."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InternalError, JournalError
from engine.events import RunEnded
from engine.journal import SqliteJournal
from engine.journal import writers as open_writers


def writers(journal: Any) -> list[Any]:
    return list(journal.inner._writers.values())


def test_who_owned_a_run_before_can_write_no_more(journal: Any, make: Any) -> None:
    async def go() -> None:
        await journal.create(make.record("r"))
        before = journal.owned["r"]
        assert await journal.claim("r") == 2
        with pytest.raises(JournalError, match="another drive has taken over the run r"):
            await before.append([make.started(1)])
        with pytest.raises(JournalError, match="another drive has taken over the run r"):
            await before.change_program({"a": "b"}, 1)
        before.release()  # of what it has no more
        await journal.append("r", [make.started(2)])

    asyncio.run(go())
    assert journal.read("r") == [make.started(2)]


def test_a_run_that_was_given_back_is_nobodys(journal: Any, make: Any) -> None:
    async def go() -> None:
        await journal.create(make.record("r"), [make.begun()])
        owned = journal.owned["r"]
        assert journal.record("r").live
        owned.release()
        owned.release()
        while journal.record("r").live:
            await asyncio.sleep(0)
        with pytest.raises(JournalError, match="has been released"):
            await owned.append([make.started(1)])
        await journal.claim("r")
        assert journal.record("r").live

    asyncio.run(go())


def test_nothing_is_kept_of_a_run_that_was_given_back(open_journal: Any, make: Any) -> None:
    journal = open_journal()

    async def go() -> None:
        for number in range(50):
            await journal.create(make.record(f"r{number}"), [make.begun()])
            if number % 2:
                await journal.append(f"r{number}", [RunEnded(status="finished")])
            journal.owned.pop(f"r{number}").release()
        await journal.create(make.record("last"))

    asyncio.run(go())
    (writer,) = writers(journal)
    assert len(writer._owners) == len(journal.inner._owned) == 1


def test_a_claim_whose_caller_left_owns_nothing(open_journal: Any, make: Any) -> None:
    journal = open_journal()

    async def go() -> None:
        await journal.create(make.record("r"))
        journal.owned.pop("r").release()
        claiming = asyncio.ensure_future(journal.claim("r"))
        await asyncio.sleep(0)
        claiming.cancel()
        await asyncio.wait([claiming])
        await journal.create(make.record("s"))

    asyncio.run(go())
    (writer,) = writers(journal)
    assert [owned.run for owned in writer._owners.values()] == ["s"]


@pytest.fixture
def busy(folder: Path, open_journal: Any, make: Any) -> Any:
    """A journal with the runs `r` and `s`, and another program that can hold its database up."""
    journal = open_journal(busy_ms=60_000)

    async def enter() -> None:
        await journal.create(make.record("r"))
        await journal.create(make.record("s"))

    asyncio.run(enter())
    other = sqlite3.connect(folder / "journal.db", isolation_level=None)
    yield journal, other
    other.close()


def test_a_claim_finds_what_was_to_be_written_before_it(busy: Any, make: Any) -> None:
    """All of it in one transaction of the writer: what the old owner wrote counts first."""
    journal, other = busy

    async def go() -> None:
        other.execute("BEGIN IMMEDIATE")
        held_up = asyncio.ensure_future(journal.append("s", [make.started(1)]))
        await asyncio.sleep(0)
        (writer,) = writers(journal)
        while not writer._jobs.empty():
            await asyncio.sleep(0)
        last = asyncio.ensure_future(journal.append("r", [make.started(1), make.finished(1)]))
        await asyncio.sleep(0)
        last.cancel()
        journal.owned["r"].release()
        claiming = asyncio.ensure_future(journal.claim("r"))
        await asyncio.sleep(0)
        other.execute("ROLLBACK")
        await held_up
        assert await claiming == 2
        await journal.append("r", [make.started(2)])

    asyncio.run(go())
    assert journal.read("r") == [make.started(1), make.finished(1), make.started(2)]


def test_a_run_that_is_removed_under_a_claim(busy: Any, make: Any) -> None:
    journal, other = busy

    async def go() -> None:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM runs WHERE run = 'r'")
        claiming = asyncio.ensure_future(journal.claim("r"))
        await asyncio.sleep(0)
        other.execute("COMMIT")
        with pytest.raises(JournalError, match="there is no run r"):
            await claiming
        await journal.claim("s")  # the writer lives

    asyncio.run(go())


def test_a_fault_of_ours_reaches_its_caller_and_no_other(open_journal: Any, make: Any) -> None:
    journal = open_journal()

    async def go() -> None:
        await journal.create(make.record("r"))
        (writer,) = writers(journal)
        bad = writer.do(lambda connection: {}["none"])
        good = journal.append("r", [make.started(1)])
        failed, ok = await asyncio.gather(bad, good, return_exceptions=True)
        assert isinstance(failed, InternalError)
        assert "KeyError" in str(failed)
        assert ok is None

    asyncio.run(go())


def test_journals_on_one_folder_share_what_one_of_them_has_open(
    folder: Path, open_journal: Any, make: Any, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(folder)
    first = open_journal()

    async def go() -> None:
        await first.create(make.record("r"), [make.begun()])
        second = make.opened(tmp_path / "link")
        assert second.place == first.place
        assert await second.claim("r") == 2
        assert writers(first) == writers(second)
        first.close()
        await second.append("r", [make.started(1)])
        # New runs go where they need not wait for those of the first worker.
        third = make.opened(folder)
        await third.create(make.record("s"))
        assert writers(third) != writers(second)
        second.close()
        third.close()

    asyncio.run(go())
    assert first.read("r") == [make.begun(), make.started(1)]
    assert open_writers._here.open == {}


def test_a_relative_folder_is_looked_up_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    journal = make.opened(Path("here"))
    monkeypatch.chdir(elsewhere)
    with journal:
        asyncio.run(journal.create(make.record("r"), [make.begun()]))
        monkeypatch.chdir(tmp_path)
        asyncio.run(journal.append("r", [make.started(1)]))
        assert len(journal.read("r")) == 2
    assert (tmp_path / "here" / "journal.db").exists()
    assert list(elsewhere.iterdir()) == []


def test_a_working_directory_that_was_removed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    os.rmdir(gone)
    with pytest.raises(JournalError, match="the working directory was removed"):
        SqliteJournal(".orch")
    SqliteJournal(tmp_path / "journal").close()
