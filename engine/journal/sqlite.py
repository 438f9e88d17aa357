"""The journal on disk: a folder of SQLite databases, each written by exactly one process.

A process that needs to write takes the first database whose lock is free, so two runs started at
once never wait for each other. A process that resumes an old run needs the lock of the database
that run lives in. SQLite before 3.51.3 can corrupt a write-ahead log that has two writers, which
is one more reason for one writer. Readers see all databases as one journal.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from engine.errors import JournalError
from engine.events import Event, RunStatus
from engine.journal.entries import Entries
from engine.journal.inbox import Inbox
from engine.journal.lock import lock_holder
from engine.journal.ownership import SqliteOwnership, as_blobs, status_after
from engine.journal.reader import Reader, StoredRecord, database_paths, lock_path
from engine.journal.record import RunRecord, RunSummary
from engine.journal.rows import encode_row
from engine.journal.trust import Trust
from engine.journal.writer import (
    INSERT_BLOB,
    UPDATE_RUN,
    Owned,
    Writer,
    has_start,
    insert_rows,
)
from engine.journal.writers import give_back, open_writer, share_writer
from engine.reading import open_plain

__all__ = ["SqliteJournal", "journal_directory"]


def journal_directory(chosen: str | None, env: Mapping[str, str] = os.environ) -> Path:
    """Where the journal is: what was chosen, else `ORCH_JOURNAL`, else `.orch` in this folder."""
    return Path(chosen or env.get("ORCH_JOURNAL") or ".orch")


class SqliteJournal:
    """A `Journal` in a folder, which is made when the first run is entered.

    Args:
        directory: The folder. A relative one is looked up once, here: code that changes the
            working directory later moves nothing.
        busy_ms: How long to wait for a program that has locked a database, in milliseconds.
        trust: Whether to drive runs that this user has not made on this machine. What a journal
            says is run, so a folder from somewhere else is refused without it.

    Attributes:
        directory: The folder's absolute path.
        place: The same without symbolic links: equal for journals on one folder.

    May be used from several threads and event loops. All journals that a process opens on one
    folder count as one owner.
    """

    def __init__(self, directory: str | Path, *, busy_ms: int = 5_000, trust: bool = False) -> None:
        try:
            self.directory = Path(os.path.abspath(directory))
        except OSError:
            raise JournalError(
                f"the journal {directory} cannot be found: the working directory was removed",
                help="name it by its absolute path",
            ) from None
        self.place = os.path.realpath(self.directory)
        self._busy_ms = busy_ms
        self._trust = Trust(self.directory, everything=trust)
        self.inbox = Inbox(self.directory)
        self._reader = Reader(self.directory, self._trust)
        self._writers: dict[Path, Writer] = {}
        self._owned: set[SqliteOwnership] = set()
        self._entries: Entries | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> SqliteJournal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ------------------------------------------------------------ writing

    async def create(self, record: RunRecord, events: Sequence[Event] = ()) -> SqliteOwnership:
        """Enter a new run; see `Journal.create`."""
        rows = [encode_row(event) for event in events]
        update = status_after(events)
        writer = self._any_writer()
        hashes, blobs = as_blobs(record.files)
        stored = StoredRecord(
            hashes,
            dict(record.params),
            dict(record.models),
            record.cwd,
            record.engine,
            record.parent,
            record.parent_seq,
            labels=dict(record.labels),
        )
        owned = Owned(record.run)

        def enter(connection: sqlite3.Connection) -> None:
            taken = "SELECT 1 FROM runs WHERE run = ?"
            if connection.execute(taken, (record.run,)).fetchone() is not None:
                raise JournalError(f"there is a run {record.run} already")
            entered = self._numbers().next()
            body = msgspec.json.encode(msgspec.structs.replace(stored, entered=entered))
            connection.executemany(INSERT_BLOB, blobs)
            cursor = connection.execute(
                "INSERT INTO runs (run, workflow, orchestrator, started_ms, status, ended_ms,"
                " reason, bound, epoch, pid, record) VALUES (?,?,?,?,?,?,?,?,1,?,?)",
                (
                    record.run,
                    record.workflow,
                    record.orchestrator,
                    record.started_ms,
                    record.status,
                    record.ended_ms,
                    record.reason,
                    record.bound,
                    os.getpid(),
                    body,
                ),
            )
            number = cursor.lastrowid
            assert number is not None
            insert_rows(connection, number, 1, rows)
            if update is not None:
                connection.execute(UPDATE_RUN, (*update, number))
                owned.runs = update[0] == "running"
            writer.own(owned, number, 1, len(rows) + 1)

        return await self._own(owned, writer, enter, starts=has_start(rows))

    async def claim(self, run: str) -> SqliteOwnership:
        """Become the owner of a run; see `Journal.claim`."""
        writer = self._writer_of(self._reader.home(run))
        owned = Owned(run)

        def take(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE runs SET epoch = epoch + 1, pid = ? WHERE run = ?", (os.getpid(), run)
            )
            query = "SELECT number, epoch FROM runs WHERE run = ?"
            row = connection.execute(query, (run,)).fetchone()
            if row is None:  # it was removed a moment ago
                raise JournalError(f"there is no run {run} in {self.directory}")
            number, epoch = row
            query = "SELECT coalesce(max(seq), 0) FROM events WHERE run = ?"
            last = connection.execute(query, (number,)).fetchone()[0]
            writer.own(owned, number, epoch, last + 1)

        return await self._own(owned, writer, take)

    async def _own(
        self,
        owned: Owned,
        writer: Writer,
        action: Callable[[sqlite3.Connection], None],
        *,
        starts: bool = False,
    ) -> SqliteOwnership:
        """Run a claim; it is released if its caller was cancelled meanwhile."""
        try:
            await writer.do(action, starts=starts)
        except BaseException:
            writer.release(owned)
            raise
        made = SqliteOwnership(owned, writer, self._owned.discard)
        self._owned.add(made)
        return made

    def _numbers(self) -> Entries:
        if self._entries is None:
            self._entries = Entries(self._trust.notes.counter(), self._reader.highest_entry)
        return self._entries

    def _any_writer(self) -> Writer:
        """A writer of this process; the first database that is free, if there is none yet.

        One in which a run waits for a person is left alone: whoever answers needs its lock. So are
        databases of another user next to those of this user; where all are, it is refused.
        """
        with self._lock:
            for writer in self._writers.values():
                return writer
            self._trust.check_folder()
            self._make_directory()
            strange: Path | None = None
            is_mine = False
            for path in database_paths(self.directory):
                is_there = os.path.lexists(path)
                problem = self._trust.problem(path) if is_there else None
                if problem is not None:
                    strange = strange or path
                    continue
                is_mine = is_mine or is_there
                if strange is not None and not is_mine:
                    self._trust.check(strange)
                if self._reader.waits(path):
                    continue
                writer_or_none = open_writer(path, self._busy_ms, self._trust)
                if writer_or_none is None:
                    continue
                if not self._reader.waits(path):
                    self._writers[path] = writer_or_none
                    return writer_or_none
                # It began to wait between the look and the lock.
                give_back(writer_or_none)
        raise AssertionError("database_paths never ends")

    def _writer_of(self, path: Path) -> Writer:
        with self._lock:
            writer = self._writers.get(path)
            if writer is not None:
                return writer
            self._trust.check(path)
            writer = share_writer(path) or open_writer(path, self._busy_ms, self._trust)
            if writer is None:
                pid = lock_holder(lock_path(path))
                who = f"the process {pid}" if pid else "another process"
                raise JournalError(
                    f"{who} is driving the run (it holds the lock on {path})",
                    help="wait for it to end, or stop it",
                )
            self._writers[path] = writer
            return writer

    def _make_directory(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            ignore = self.directory / ".gitignore"
            if not os.path.lexists(ignore):
                descriptor = open_plain(ignore, os.O_WRONLY | os.O_CREAT)
                try:
                    os.write(descriptor, b"*\n")
                except OSError:
                    ignore.unlink(missing_ok=True)  # the disk is full: the next run makes it
                    raise
                finally:
                    os.close(descriptor)
        except (FileExistsError, NotADirectoryError):
            raise JournalError(
                f"the journal cannot be made: {self.directory} is not a folder",
                help="choose another with --journal",
            ) from None
        except OSError as error:
            raise JournalError(
                f"the journal cannot be made: {self.directory}: {error.strerror}",
                help="choose a folder that can be written with --journal",
            ) from None

    def close(self) -> None:
        """Write what waits, and release files and locks; see `Journal.close`."""
        with self._lock:
            for owned in list(self._owned):
                owned.release()
            for writer in self._writers.values():
                give_back(writer)
            self._writers.clear()
            if self._entries is not None:
                self._entries.close()
                self._entries = None

    # ------------------------------------------------------------ reading

    def is_held(self, run: str) -> bool:
        """Whether a process that is alive may write the database that a run lives in."""
        return lock_holder(lock_path(self._reader.home(run))) is not None

    def read(self, run: str, after: int = 0) -> list[Event]:
        """Every event of a run; see `Journal.read`."""
        return self._reader.read(run, after)

    def salvage(self, run: str) -> tuple[list[Event], str | None]:
        """What can be read of a damaged run; see `Journal.salvage`."""
        return self._reader.salvage(run)

    def record(self, run: str) -> RunRecord:
        """What was entered for a run; see `Journal.record`."""
        return self._reader.record(run)

    def runs(self, limit: int | None = None, status: RunStatus | None = None) -> list[RunSummary]:
        """The runs, latest first; see `Journal.runs`."""
        return self._reader.runs(limit, status)

    def waiting(self) -> list[tuple[RunSummary, list[Event] | None]]:
        """The runs that wait, with their events about gates; see `Journal.waiting`."""
        return self._reader.waiting()

    def damaged_logs(self) -> list[Path]:
        """The databases whose log holds runs or events that cannot be read any more."""
        return self._reader.damaged_logs()

    def strange(self) -> list[JournalError]:
        """What is to be said of databases that this user has not made here: one error each."""
        return self._reader.strange()

    def find(self, prefix: str) -> str:
        """The id of the one run that begins with `prefix`; see `Journal.find`."""
        return self._reader.find(prefix)
