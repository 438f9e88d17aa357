"""Bad conditions: each is one clear error with help, and nothing is written after it."""

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from engine.errors import JournalError
from engine.journal import SqliteJournal
from engine.journal.removal import remove_runs


def enter(journal, make, run="r"):
    asyncio.run(journal.create(make.record(run)))


def refused(open_journal, make, message):
    with pytest.raises(JournalError, match=message) as caught:
        enter(open_journal(), make)
    assert caught.value.help
    return caught.value


def test_a_file_where_the_folder_should_be(folder, open_journal, make):
    folder.write_text("not a folder")
    refused(open_journal, make, "is not a folder")
    with pytest.raises(JournalError, match="is not a folder"):
        open_journal().runs()


def test_a_file_above_the_folder(tmp_path, make):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="not a folder"):
        enter(make.opened(tmp_path / "file" / "journal"), make)


def test_a_folder_that_cannot_be_written(make):
    # Not under tmp_path, which a user other than its own cannot reach.
    place = Path(tempfile.mkdtemp())
    user = os.geteuid()
    try:
        place.chmod(0o555)
        if user == 0:
            os.seteuid(65534)
        for folder in (place, place / "new"):
            with pytest.raises(JournalError, match="Permission denied"):
                enter(make.opened(folder), make)
    finally:
        if user == 0:
            os.seteuid(0)
        place.chmod(0o755)
        shutil.rmtree(place)


def test_a_folder_that_cannot_be_written_can_be_read(make):
    place = Path(tempfile.mkdtemp())
    user = os.geteuid()
    try:
        with make.opened(place) as journal:
            enter(journal, make)
            asyncio.run(journal.append("r", [make.started(1)]))
        place.chmod(0o555)
        if user == 0:
            os.seteuid(65534)
        reader = SqliteJournal(place)
        assert reader.read("r") == [make.started(1)]
        assert [r.live for r in reader.runs()] == [False]
    finally:
        if user == 0:
            os.seteuid(0)
        place.chmod(0o755)
        shutil.rmtree(place)


@pytest.mark.parametrize("kept", ["-shm", ""])
def test_a_log_that_cannot_be_read_is_told(make, kept):
    """A copy of a killed run's folder: with the shared memory it is whole, without it refused."""
    place = Path(tempfile.mkdtemp())
    user = os.geteuid()
    try:
        journal = make.opened(place / "live")
        enter(journal, make)
        asyncio.run(journal.append("r", [make.started(1)]))
        copy = place / "copy"
        shutil.copytree(place / "live", copy)
        journal.close()
        if not kept:
            (copy / "journal.db-shm").unlink()
        copy.chmod(0o555)
        place.chmod(0o755)
        if user == 0:
            os.seteuid(65534)
        reader = SqliteJournal(copy)
        if kept:
            assert reader.read("r") == [make.started(1)]
        for read in (reader.runs, lambda: reader.find("last"), lambda: reader.record("r")):
            if not kept:
                with pytest.raises(JournalError, match="log cannot be read here") as caught:
                    read()
                assert "copy the whole folder" in caught.value.help
    finally:
        if user == 0:
            os.seteuid(0)
        (place / "copy").chmod(0o755)
        shutil.rmtree(place)


def test_a_file_that_is_no_database(folder, open_journal, make):
    folder.mkdir()
    (folder / "journal.db").write_bytes(b"no database at all, but long enough to look at" * 50)
    refused(open_journal, make, "not a SQLite database")
    with pytest.raises(JournalError, match="not a SQLite database"):
        open_journal().runs()


def test_a_database_of_something_else(folder, open_journal, make):
    folder.mkdir()
    with sqlite3.connect(folder / "journal.db") as other:
        other.execute("CREATE TABLE shopping (item)")
    other.close()
    refused(open_journal, make, "database of something else")
    with pytest.raises(JournalError, match="database of something else"):
        open_journal().runs()


@pytest.mark.parametrize("key", ["layout", "format"])
def test_a_journal_of_a_newer_version(folder, open_journal, make, key):
    with make.opened(folder) as journal:
        enter(journal, make)
    with sqlite3.connect(folder / "journal.db") as other:
        other.execute("UPDATE meta SET value = 99 WHERE key = ?", (key,))
    other.close()
    error = refused(open_journal, make, "newer version")
    assert "update orch" in error.help
    with pytest.raises(JournalError, match="newer version"):
        open_journal().read("r")


def test_an_empty_file_is_a_new_journal(folder, open_journal, make):
    folder.mkdir()
    (folder / "journal.db").touch()
    journal = open_journal()
    assert journal.runs() == []
    enter(journal, make)
    assert [r.run for r in journal.runs()] == ["r"]


def test_a_database_that_another_program_has_locked(folder, open_journal, make):
    journal = open_journal(busy_ms=1)
    enter(journal, make)
    other = sqlite3.connect(folder / "journal.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked by another program"):
            asyncio.run(journal.append("r", [make.started(1)]))
        other.execute("ROLLBACK")
    finally:
        other.close()
    # What failed once stays failed: the run goes no further, until somebody resumes it.
    with pytest.raises(JournalError, match="locked by another program"):
        asyncio.run(journal.append("r", [make.started(1)]))
    assert journal.read("r") == []


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_database_that_vanishes_under_us(folder, open_journal, make, how):
    journal = open_journal()
    enter(journal, make)
    (folder / "journal.db").unlink()
    if how == "replaced":
        (folder / "journal.db").touch()
    with pytest.raises(JournalError, match="deleted, replaced or cut short"):
        asyncio.run(journal.append("r", [make.started(1)]))
    with pytest.raises(JournalError, match="deleted, replaced or cut short"):
        asyncio.run(journal.append("r", [make.started(2)]))


def filled(folder, make, count=200):
    with make.opened(folder) as journal:
        enter(journal, make)
        events = [make.finished(task, "x" * 500) for task in range(count)]
        asyncio.run(journal.append("r", events))
    return events


def test_a_torn_file_gives_what_is_good(folder, make):
    events = filled(folder, make)
    path = folder / "journal.db"
    whole = path.read_bytes()
    # The last pages of the table are overwritten, as by a disk that lost a write.
    at = whole.rfind(b"task a150")
    page = at - at % 8192
    path.write_bytes(whole[:page] + b"\0" * 8192 + whole[page + 8192 :])
    journal = make.opened(folder)
    good, damage = journal.salvage("r")
    assert good == events[: len(good)]
    assert 100 < len(good) < 200
    assert damage.startswith(f"event {len(good) + 1} ")
    with pytest.raises(JournalError, match="the journal of the run r is damaged") as caught:
        journal.read("r")
    assert caught.value.help


def test_a_file_cut_short_is_told(folder, make):
    filled(folder, make)
    path = folder / "journal.db"
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(JournalError, match=r"damaged|malformed"):
        SqliteJournal(folder).read("r")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('UPDATE events SET body = \'{"type":"call_\' WHERE seq = 5', "event 5 cannot be read"),
        ('UPDATE events SET body = \'{"type":"tea"}\' WHERE seq = 5', "event 5 cannot be read"),
        ("DELETE FROM events WHERE seq = 5", "event 5 is missing"),
        ("UPDATE blobs SET data = X'78'", "is not the value that was written"),
        ("DELETE FROM blobs", "is missing"),
    ],
)
def test_rows_that_were_changed_are_noticed(folder, make, change, message):
    filled(folder, make, 10)
    with make.opened(folder) as journal:
        asyncio.run(journal.claim("r"))
        asyncio.run(journal.append("r", [make.finished(77, "v" * 9000)]))
    with sqlite3.connect(folder / "journal.db") as other:
        other.execute(change)
    other.close()
    good, damage = SqliteJournal(folder).salvage("r")
    assert len(good) == (4 if "5" in message else 10)
    assert message in damage


# ---------------------------------------------------------------- no room


def limit_size(journal, pages):
    """Let the database grow by so many pages of 8 KiB; SQLite then says that it is full."""

    async def go():
        (writer,) = journal._writers.values()
        await writer.do(
            lambda connection: connection.execute(
                "PRAGMA max_page_count = "
                f"{connection.execute('PRAGMA page_count').fetchone()[0] + pages}"
            )
        )

    asyncio.run(go())


def test_a_full_database_refuses_everything_after(folder, open_journal, make):
    journal = open_journal()
    enter(journal, make)
    limit_size(journal, 2)
    reserve = folder / "journal.db.reserve"
    assert reserve.stat().st_size == 128 * 1024
    written = 0

    async def until_full():
        nonlocal written
        for task in range(1000):
            await journal.append("r", [make.finished(task, "x" * 1000)])
            written += 1

    with pytest.raises(JournalError, match="no space left") as caught:
        asyncio.run(until_full())
    assert "resume the run" in caught.value.help
    assert not reserve.exists()
    with pytest.raises(JournalError, match="no space left"):
        asyncio.run(journal.append("r", [make.finished(999)]))
    assert journal.read("r") == [make.finished(task, "x" * 1000) for task in range(written)]


@contextlib.contextmanager
def files_up_to(size):
    """Let no file grow beyond so many bytes: a disk that takes no more."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_a_removal_without_room_says_that_nothing_is_removed(folder, make):
    with make.opened(folder) as journal:
        for run in ("r", "s"):
            enter(journal, make, run)
            values = [make.finished(task, f"{task}" * 3000) for task in range(100)]
            asyncio.run(journal.append(run, values))
    size = (folder / "journal.db").stat().st_size
    with files_up_to(100_000), pytest.raises(JournalError, match="; nothing is removed"):
        remove_runs(folder, ["r"])
    assert [summary.run for summary in SqliteJournal(folder).runs()] == ["s", "r"]

    # Enough for taking out, too little for making the file smaller.
    with files_up_to(size * 2 // 3):
        removed = remove_runs(folder, ["r"])
    assert (removed.freed, bool(removed.unshrunk)) == (0, True)
    assert [summary.run for summary in SqliteJournal(folder).runs()] == ["s"]
    assert len(SqliteJournal(folder).read("s")) == 100


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_on_a_full_disk_what_has_finished_is_kept_and_nothing_starts(small_disk, make):
    folder = small_disk / "journal"
    with make.opened(folder) as journal:
        enter(journal, make, "r")
        enter(journal, make, "s")
        asyncio.run(journal.append("s", [make.started(1)]))
        with (small_disk / "filler").open("wb", buffering=0) as filler:
            try:
                while filler.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        # Until SQLite finds no room any more, ends may still fit in what it has allocated.
        kept = 0

        async def until_full():
            nonlocal kept
            for task in range(10_000):
                events = [make.finished(task, "x" * 900), make.started(task + 1)]
                await journal.append("r", events)
                kept += 1

        with pytest.raises(JournalError, match="no space left"):
            asyncio.run(until_full())
        events = journal.read("r")
        # The append that was refused had an end in it, which has been paid for: it is kept.
        assert events[-1] == make.finished(kept, "x" * 900)
        assert len(events) == 2 * kept + 1
        assert not (folder / "journal.db.reserve").exists()
        with pytest.raises(JournalError, match="no space left"):
            asyncio.run(journal.append("s", [make.started(2)]))
        with pytest.raises(JournalError, match="no space left"):
            asyncio.run(journal.create(make.record("t"), [make.begun("t"), make.started(1)]))
        asyncio.run(journal.append("s", [make.finished(1, "x" * 900)]))
        assert journal.read("s") == [make.started(1), make.finished(1, "x" * 900)]
    (small_disk / "filler").unlink()
    with make.opened(folder) as journal:
        asyncio.run(journal.claim("r"))
        asyncio.run(journal.append("r", [make.started(kept + 1)]))
        assert journal.read("r") == [*events, make.started(kept + 1)]


def test_a_disk_that_is_full_from_the_beginning(small_disk, make):
    with (small_disk / "filler").open("wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4096):
                pass
        except OSError:
            pass
    with make.opened(small_disk / "journal") as journal, pytest.raises(JournalError):
        enter(journal, make)


def test_a_limit_on_the_size_of_files_is_told(folder):
    script = """
        import asyncio, resource, sys
        from engine.errors import JournalError
        from engine.events import CallFinished
        from engine.journal import RunRecord, SqliteJournal

        async def main():
            journal = SqliteJournal(sys.argv[1])
            record = RunRecord(run="r", workflow="x", orchestrator="o", started_ms=1)
            owned = await journal.create(record)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
            written = 0
            try:
                for task in range(10_000):
                    await owned.append([CallFinished(key=f"k{task}", value="x" * 900)])
                    written += 1
            except JournalError as error:
                print(written, len(journal.read("r")), bool(error.help))

        asyncio.run(main())
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(folder)],
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in ran.stderr
    written, found, helped = ran.stdout.split()
    assert int(written) > 0
    assert int(found) >= int(written)
    assert helped == "True"
