"""A journal that came from somewhere else is read, and drives nothing until it is trusted."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import orch_fork
import pytest

import engine
from engine.errors import JournalError
from engine.events import RunStarted
from engine.journal import RunRecord, SqliteJournal
from engine.journal.known import Note, Notes
from engine.journal.reader import database_paths

RUN = "20200101-000000-stranger"


def own_run(desk: Path, name: str = "mine", **more: Any) -> None:
    """Enter a run in the user's own journal."""
    record = RunRecord(run=name, workflow="a.orch", orchestrator="o", started_ms=1, **more)
    began = RunStarted(run=name, orchestrator="o", input={}, models={}, program="h")

    async def enter() -> None:
        with SqliteJournal(desk / ".orch") as journal:
            await journal.create(record, [began])

    asyncio.run(enter())


def later_process(desk: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command line in a process of its own, which remembers nothing but by notes."""
    return orch_fork.run(arguments, cwd=desk, environment={**os.environ, **env})


# ---------------------------------------------------------------- a folder of a stranger


@pytest.mark.parametrize(
    "command",
    [
        ("resume", "last"),
        ("resume", RUN, "--from", "1"),
        ("cancel", "last"),
        ("run", "a.orch"),
        ("runs", "rm", RUN, "--force"),
    ],
)
def test_what_writes_or_drives_is_refused(command, desk, plant, orch):
    plant()
    before = sorted(os.listdir(desk / ".orch"))

    code, _, err = orch(*command)

    assert code == 3
    assert "not known to be yours" in err
    assert "orch journal trust" in err
    assert not (desk / "carried-out").exists()
    assert [n for n in sorted(os.listdir(desk / ".orch")) if "-" not in n] in (
        before,
        sorted([*before, ".gitignore"]),
        sorted([*before, "journal.db.lock"]),
    )


@pytest.mark.parametrize("command", ["approve", "reject"])
def test_its_gates_are_not_answered(command, desk, waiting_journal, orch):
    (desk / ".orch").mkdir()
    shutil.copyfile(waiting_journal / "journal.db", desk / ".orch" / "journal.db")

    assert "Sure?" in orch("gates")[1]
    code, _, err = orch(command, "last")

    assert code == 3
    assert "was not made by you on this machine" in err
    assert not (desk / "carried-out").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("runs",),
        ("show",),
        ("show", "--events"),
        ("export", "last"),
        ("gates",),
        ("replay", "last"),
        ("tail", "last"),
        ("diff", "last", "last"),
    ],
)
def test_reading_it_warns_and_runs_nothing(command, desk, plant, orch):
    plant()

    code, _, err = orch(*command)

    assert code == 0
    assert "warning: the journal is not known to be yours" in err
    assert not (desk / "carried-out").exists()


def test_a_trusted_one_is_driven(desk, plant, orch):
    """What the other tests rely on: the planted run would do something."""
    plant()
    assert orch("journal", "trust")[0] == 0

    code, _, err = orch("resume", "last", "-q")

    assert (code, err) == (0, "")
    assert (desk / "carried-out").exists()
    assert orch("runs")[2] == ""


@pytest.mark.parametrize("named", ["*", "{here}", "/nowhere:{here}"])
def test_the_environment_can_vouch_for_it(named, desk, plant, orch, monkeypatch):
    plant()
    monkeypatch.setenv("ORCH_TRUST_JOURNAL", named.format(here=desk / ".orch"))

    assert orch("resume", "last", "-q")[0] == 0
    assert (desk / "carried-out").exists()


@pytest.mark.parametrize("named", ["/nowhere", ""])
def test_it_vouches_for_what_it_names(named, desk, plant, orch, monkeypatch):
    plant()
    monkeypatch.setenv("ORCH_TRUST_JOURNAL", named)

    assert orch("resume", "last", "-q")[0] == 3


def test_a_relative_name_would_be_every_repository(desk, plant, orch, monkeypatch):
    plant()
    monkeypatch.setenv("ORCH_TRUST_JOURNAL", ".orch")

    code, _, err = orch("resume", "last", "-q")

    assert code == 3
    assert "is not an absolute path" in err


def test_python_says_so_by_an_argument(desk, plant):
    plant()
    with pytest.raises(JournalError, match="not known to be yours"):
        engine.resume("last", journal=".orch")

    with SqliteJournal(".orch", trust=True) as journal:
        run = engine.resume("last", journal=journal)
    assert run.status == "finished"


# ---------------------------------------------------------------- one among the user's own


def test_last_is_the_user_s_own_run(desk, plant, orch):
    own_run(desk)
    plant("journal-2.db")

    with SqliteJournal(".orch") as journal:
        assert journal.find("last") == "mine"
        assert [run.run for run in journal.runs()] == ["mine", RUN]
        assert [run.trusted for run in journal.runs()] == [True, False]
    code, _, err = orch("resume", RUN)
    assert code == 3
    assert "journal-2.db was not made by you" in err


def test_it_is_not_forked_into_the_user_s_own(desk, plant, orch):
    own_run(desk)
    plant("journal-2.db")

    code, _, err = orch("resume", RUN, "--from", "1")

    assert code == 3
    assert "not known to be yours" in err
    assert not (desk / "carried-out").exists()


def test_replaying_it_reads_no_file_that_it_names(desk, plant, orch):
    plant()
    (desk / "a.orch").write_text("hunter2SECRET")  # the stranger's run names this file

    code, out, err = orch("replay", "last")
    assert code == 0
    assert "the file that the run names is left alone" in err
    assert "hunter2" not in out + err

    orch("journal", "trust")
    code, out, err = orch("replay", "last")
    assert code == 3
    assert "hunter2" in out + err


def test_new_runs_go_to_the_user_s_own_databases(desk, plant, orch):
    own_run(desk)
    planted = plant("journal-2.db")
    before = planted.read_bytes()

    assert orch("run", "a.orch", "-q")[0] == 0

    assert planted.read_bytes() == before
    with SqliteJournal(".orch") as journal:
        assert len([run for run in journal.runs() if run.trusted]) == 2


def test_pruning_leaves_it_alone(desk, plant, orch):
    plant("journal-2.db")
    own_run(desk)

    code, out, _ = orch("runs", "prune", "--keep", "0", "--force")

    assert code == 0
    assert "mine" in out
    assert RUN not in out
    assert orch("show", RUN)[0] == 0


def test_one_in_the_place_of_the_user_s_own_is_refused(desk, plant, orch):
    """As `git pull` would put it there: what is ignored is overwritten without a word."""
    own_run(desk)
    plant()

    code, _, err = orch("resume", "last")

    assert code == 3
    assert "was not made by you" in err


def test_a_log_that_no_run_has_left_is_refused(desk):
    """A write-ahead log is written over the database by whoever opens it next."""
    own_run(desk)
    database = desk / ".orch" / "journal.db"
    kept = database.read_bytes()
    connection = sqlite3.connect(database)
    connection.execute("UPDATE runs SET run = 'theirs'")
    connection.commit()
    log = Path(f"{database}-wal").read_bytes()
    connection.close()
    database.write_bytes(kept)
    Path(f"{database}-wal").write_bytes(log)

    with pytest.raises(JournalError, match=r"a log .* that no run of yours has left"):
        own_run(desk, "another")


def test_a_rollback_journal_is_refused(desk):
    own_run(desk)
    (desk / ".orch" / "journal.db-journal").write_bytes(b"x" * 1024)

    with pytest.raises(JournalError, match="which orch does not leave"):
        own_run(desk, "another")


def test_what_a_kill_leaves_of_a_database_that_was_being_made_is_taken_away(desk):
    folder = desk / ".orch"
    folder.mkdir()
    connection = sqlite3.connect(folder / "journal.db")
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    (folder / "journal.db-journal").write_bytes(b"x" * 512)

    own_run(desk)

    assert not (folder / "journal.db-journal").exists()


def test_a_view_in_the_place_of_a_table_is_no_journal(desk):
    own_run(desk)
    connection = sqlite3.connect(desk / ".orch" / "journal.db")
    connection.execute("ALTER TABLE runs RENAME TO kept")
    connection.execute("CREATE VIEW runs AS SELECT * FROM kept")
    connection.commit()
    connection.close()

    with pytest.raises(JournalError, match="is not a journal"):
        SqliteJournal(".orch").runs()


# ---------------------------------------------------------------- the user's own, elsewhere


def test_a_folder_that_was_moved_is_still_the_user_s(desk):
    own_run(desk)
    moved = desk.with_name("moved")
    desk.rename(moved)

    own_run(moved, "another")


def test_a_copy_is_asked_about_once(desk, orch):
    own_run(desk)
    shutil.copytree(desk / ".orch", desk / "copy")

    code, _, err = orch("run", "a.orch", "-q", "--journal", "copy")
    assert code == 3
    assert "copy/journal.db is a copy of" in err

    assert orch("journal", "trust", "copy")[0] == 0
    assert orch("run", "a.orch", "-q", "--journal", "copy")[0] == 0
    own_run(desk, "another")  # the original has kept its own token


def test_a_journal_of_an_earlier_version_is_asked_about_once(desk, orch):
    own_run(desk)
    connection = sqlite3.connect(desk / ".orch" / "journal.db")
    connection.execute("DELETE FROM meta WHERE key = 'token'")
    connection.commit()
    connection.close()

    code, out, err = orch("runs")
    assert (code, "mine" in out) == (0, True)
    assert "was made by an earlier version of orch, or by another user" in err
    assert orch("run", "a.orch", "-q")[0] == 3

    assert orch("journal", "trust")[0] == 0
    assert orch("run", "a.orch", "-q")[0] == 0


def test_a_journal_is_known_after_a_crash(desk):
    """The log that a killed process leaves is the user's own."""
    killed = """
import asyncio, os
from engine.events import RunStarted
from engine.journal import RunRecord, SqliteJournal

async def main():
    journal = SqliteJournal(".orch")
    began = RunStarted(run="killed", orchestrator="o", input={}, models={}, program="h")
    await journal.create(RunRecord(run="killed", workflow="a.orch", orchestrator="o",
                                   started_ms=1), [began])
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", killed], cwd=desk, check=False, timeout=120)
    assert (desk / ".orch" / "journal.db-wal").stat().st_size

    own_run(desk)

    assert [run.run for run in SqliteJournal(desk / ".orch").runs()] == ["mine", "killed"]


def test_without_a_home_a_process_knows_what_it_has_made_itself(desk, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(desk / "a.orch"))  # no folder can be made there
    own_run(desk)
    own_run(desk, "another")

    nowhere = str(desk / "a.orch")
    done = later_process(desk, "run", "a.orch", "-q", XDG_STATE_HOME=nowhere)
    assert done.returncode == 3
    assert f"ORCH_TRUST_JOURNAL={desk / '.orch'}" in done.stderr

    trusted = {"XDG_STATE_HOME": nowhere, "ORCH_TRUST_JOURNAL": str(desk / ".orch")}
    assert later_process(desk, "run", "a.orch", "-q", **trusted).returncode == 0


def test_trusting_needs_a_place_for_notes(desk, orch, monkeypatch):
    own_run(desk)
    monkeypatch.setenv("XDG_STATE_HOME", str(desk / "a.orch"))

    code, _, err = orch("journal", "trust")

    assert code == 3
    assert "ORCH_TRUST_JOURNAL=" in err


def test_a_home_folder_that_is_not_there_is_not_made(desk, monkeypatch):
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(desk / "home"))

    own_run(desk)

    assert not (desk / "home").exists()


def test_a_path_may_be_of_any_bytes(desk, orch):
    folder = os.fsdecode(b"\xff")
    assert orch("run", "a.orch", "-q", "--journal", folder)[0] == 0
    assert orch("run", "a.orch", "-q", "--journal", folder)[0] == 0
    shutil.copytree(folder, "copy")
    assert orch("run", "a.orch", "-q", "--journal", "copy")[0] == 3


def test_trusting_needs_a_journal(desk, orch):
    assert orch("journal", "trust")[0] == 3
    assert orch("journal", "trust", "temporal://x:1/default")[0] == 2


# ---------------------------------------------------------------- the folder itself


def test_the_folder_may_be_a_link_to_an_empty_one_or_to_a_journal(desk):
    (desk / "elsewhere").mkdir()
    (desk / ".orch").symlink_to("elsewhere")

    own_run(desk)
    own_run(desk, "another")

    assert (desk / "elsewhere" / "journal.db").exists()


def test_a_link_to_a_folder_of_other_files_is_refused(desk, orch):
    (desk / "docs").mkdir()
    (desk / "docs" / "page.md").write_text("words")
    (desk / ".orch").symlink_to("docs")

    code, _, err = orch("run", "a.orch", "-q")

    assert code == 3
    assert "is a symbolic link to a folder of other files" in err
    assert os.listdir(desk / "docs") == ["page.md"]
    assert orch("journal", "trust")[0] == 0
    assert orch("run", "a.orch", "-q")[0] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_folder_and_a_database_of_another_user_are_refused(desk, orch):
    own_run(desk)
    os.chown(desk / ".orch" / "journal.db", 12345, -1)
    with pytest.raises(JournalError, match="belongs to another user than before"):
        own_run(desk, "another")

    os.chown(desk / ".orch" / "journal.db", 0, -1)
    os.chown(desk / ".orch", 12345, -1)
    with pytest.raises(JournalError, match=r"the folder .* belongs to another user"):
        own_run(desk, "another")
    assert orch("journal", "trust")[0] == 0
    own_run(desk, "another")


# ---------------------------------------------------------------- the order of entry


def test_last_goes_by_the_order_of_entry(desk, orch):
    """Not by the date a run claims, nor by the database it went to."""

    async def enter(journal: SqliteJournal, name: str, started_ms: int) -> None:
        record = RunRecord(run=name, workflow="a.orch", orchestrator="o", started_ms=started_ms)
        await journal.create(record)

    async def main() -> None:
        with SqliteJournal(".orch") as first, SqliteJournal(".orch") as second:
            await enter(first, "a", 5_000)
            await enter(second, "b", 1)
            assert first.find("last") == "b"
            await enter(first, "c", 3)
            assert first.find("last") == "c"
            await enter(second, "d", 2)
            assert [run.run for run in first.runs()] == ["d", "c", "b", "a"]
            assert [run.run for run in first.runs(2)] == ["d", "c"]

    asyncio.run(main())
    assert (desk / ".orch" / "journal-2.db").exists()


def test_without_a_counter_one_goes_on_from_the_databases(desk, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(desk / "a.orch"))
    own_run(desk, "b")
    own_run(desk, "a")

    assert [run.entered for run in SqliteJournal(".orch").runs()] == [2, 1]


# ---------------------------------------------------------------- the notes


def test_notes_of_what_is_gone_are_dropped_after_a_while(desk, state):
    notes = Notes(state / "orch")
    for number in range(3):
        path = desk / f"file-{number}"
        path.touch()
        notes.write(f"{number:032x}", Note.of(path))
    os.utime(state / "orch" / "journals" / f"{0:032x}", (0, 0))
    os.utime(state / "orch" / "journals" / f"{1:032x}", (0, 0))
    (desk / "file-0").unlink()
    (desk / "file-2").unlink()

    notes.write(f"{3:032x}", Note.of(desk))

    assert [notes.read(f"{number:032x}") is None for number in range(4)] == [
        True, False, False, False
    ]  # fmt: skip


@pytest.mark.parametrize("token", ["", "../../etc/passwd", "x" * 32, "a" * 31, "\0" * 32])
def test_a_token_that_is_none_names_no_note(token, state):
    notes = Notes(state / "orch")
    notes.open(token)
    notes.close(token)
    assert notes.read(token) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_notes_in_another_users_folder_do_not_count(desk, state):
    own_run(desk)
    os.chown(state / "orch" / "journals", 12345, -1)

    notes = Notes(state / "orch")

    assert not notes.is_usable
    assert all(notes.read(name) is None for name in os.listdir(state / "orch" / "journals"))


def test_the_databases_have_names_without_end():
    paths = database_paths(Path("j"))
    assert [next(paths).name for _ in range(3)] == ["journal.db", "journal-2.db", "journal-3.db"]
