"""No link is followed in a journal's folder, and nothing in it is waited for."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import JournalError
from engine.events import CancelRequested, RunStarted
from engine.journal import Inbox, RunRecord, SqliteJournal
from engine.journal.lock import lock_holder

FILES = (
    "journal.db",
    "journal.db-wal",
    "journal.db-shm",
    "journal.db-journal",
    "journal.db.lock",
    "journal.db.reserve",
)
BEGAN = RunStarted(run="r", orchestrator="o", input={}, models={}, program="h")


def enter(folder: Path, run: str = "r") -> None:
    """Enter a run."""

    async def create() -> None:
        with SqliteJournal(folder) as journal:
            record = RunRecord(run=run, workflow="a.orch", orchestrator="o", started_ms=1)
            await journal.create(record, [BEGAN])

    asyncio.run(create())


@pytest.fixture
def folder(desk: Path) -> Path:
    made = desk / ".orch"
    made.mkdir()
    return made


@pytest.fixture
def victim(desk: Path) -> Path:
    """A file of the user's that a link in the folder leads to."""
    path = desk / "victim"
    path.write_text("precious")
    return path


@pytest.mark.parametrize("name", FILES)
def test_a_link_to_a_file_is_refused(name, folder, victim):
    (folder / name).symlink_to(victim)

    with pytest.raises(JournalError, match="symbolic link"):
        enter(folder)

    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", FILES)
def test_a_link_that_leads_nowhere_makes_no_file_there(name, folder, desk):
    (folder / name).symlink_to(desk / "made")

    with pytest.raises(JournalError, match="symbolic link"):
        enter(folder)

    assert not (desk / "made").exists()


@pytest.mark.parametrize("name", FILES[:5])
def test_a_link_is_refused_beside_a_journal_of_the_user_s_own_too(name, folder, victim):
    enter(folder)
    path = folder / name
    path.unlink(missing_ok=True)
    path.symlink_to(victim)

    with pytest.raises(JournalError, match="symbolic link"):
        enter(folder, "s")

    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", FILES[:4])
def test_reading_does_not_follow_a_link_either(name, folder, victim):
    enter(folder)
    path = folder / name
    path.unlink(missing_ok=True)
    path.symlink_to(victim)

    with pytest.raises(JournalError, match="symbolic link"):
        SqliteJournal(folder).runs()


def test_a_link_in_the_place_of_gitignore_is_left_alone(folder, desk, victim):
    (folder / ".gitignore").symlink_to(desk / "made")
    enter(folder)
    assert not (desk / "made").exists()

    (folder / ".gitignore").unlink()
    (folder / ".gitignore").symlink_to(victim)
    enter(folder, "s")
    assert victim.read_text() == "precious"


def test_a_link_put_there_while_the_journal_is_open_is_noticed(folder, desk):
    async def main() -> None:
        with SqliteJournal(folder) as journal:
            record = RunRecord(run="r", workflow="a.orch", orchestrator="o", started_ms=1)
            owned = await journal.create(record, [BEGAN])
            (folder / "journal.db").rename(desk / "kept.db")
            (folder / "journal.db").symlink_to(desk / "kept.db")
            await owned.append([CancelRequested()])

    with pytest.raises(JournalError, match="deleted, replaced or cut short"):
        asyncio.run(main())


def test_letters_are_not_written_through_a_link(folder, desk):
    (desk / "elsewhere").mkdir()
    (folder / "inbox").symlink_to(desk / "elsewhere")

    with pytest.raises(JournalError, match="cannot be handed over"):
        Inbox(folder).post("r", CancelRequested())

    assert os.listdir(desk / "elsewhere") == []


def test_letters_are_not_read_through_a_link(folder, desk):
    inbox = Inbox(folder)
    letter = inbox.post("r", CancelRequested())
    name = f"{letter.name}.json"
    (folder / "inbox" / name).rename(desk / name)
    (folder / "inbox" / name).symlink_to(desk / name)
    assert inbox.letters("r") == []
    assert (desk / name).exists()

    (folder / "inbox").rename(desk / "elsewhere")
    (folder / "inbox").symlink_to(desk / "elsewhere")
    (desk / name).rename(desk / "elsewhere" / name)
    assert inbox.letters("r") == []
    assert inbox.posted() == []


#: Meets pipes in the place of each file; that it ends is what is looked at.
PIPES = """
import asyncio, os, pathlib, sys
sys.path[:0] = sys.argv[1:]
from test_links import FILES, enter
from engine.errors import JournalError
from engine.events import CancelRequested
from engine.journal import Inbox, SqliteJournal

for name in FILES:
    folder = pathlib.Path(name + ".folder")
    folder.mkdir()
    os.mkfifo(folder / name)
    for use in (enter, lambda place: SqliteJournal(place).runs()):
        try:
            use(folder)
        except JournalError as error:
            print(name, error)
        else:
            print(name, "fine")
os.mkdir("letters")
inbox = Inbox(pathlib.Path("letters"))
letter = inbox.post("r", CancelRequested())
path = pathlib.Path("letters", "inbox", letter.name + ".json")
path.unlink()
os.mkfifo(path)
print(inbox.letters("r"))
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipes_are_refused_and_not_waited_for(desk):
    done = subprocess.run(
        [sys.executable, "-c", PIPES, str(Path(__file__).parent)],
        cwd=desk,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    *said, letters = done.stdout.splitlines()
    assert letters == "[]"
    assert len(said) == 2 * len(FILES)
    assert all("not a regular file" in writing for writing in said[::2])
    assert "not a regular file" in said[1]  # and the database is not read either


def test_a_lock_that_is_a_link_has_no_holder(folder, victim):
    (folder / "journal.db.lock").symlink_to(victim)
    assert lock_holder(folder / "journal.db.lock") is None
