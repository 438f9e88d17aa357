"""Reads journals: every database of a folder, read-only, also while another process writes.

Nothing here locks, writes or waits for a writer. A run is found in whichever database it lives.
"""

from __future__ import annotations

import heapq
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from engine.errors import JournalError, UsageError
from engine.events import Event, RunEnded, RunStatus
from engine.journal.lock import lock_holder
from engine.journal.plain import refuse_special
from engine.journal.record import EarlierProgram, RunRecord, RunSummary
from engine.journal.rows import GATE_TYPES, decode_row
from engine.journal.storage import open_reader, translated
from engine.journal.trust import Trust
from engine.journal.wal import lost_commits

__all__ = [
    "Reader",
    "StoredProgram",
    "StoredRecord",
    "database_paths",
    "find_among",
    "lock_path",
]

_SUMMARY = "run, workflow, orchestrator, started_ms, status, ended_ms, reason, bound, pid, record"


class StoredProgram(msgspec.Struct, frozen=True):
    """An `EarlierProgram` as it is kept."""

    until_ms: int
    files: dict[str, str]


class StoredRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The part of a record that is kept as JSON; a file's text is a blob, here its hash in hex."""

    files: dict[str, str]
    params: dict[str, Any]
    models: dict[str, str]
    cwd: str
    engine: str
    parent: str | None = None
    parent_seq: int | None = None
    earlier: list[StoredProgram] = []
    entered: int = 0
    labels: dict[str, str] = {}

    def hashes(self) -> set[bytes]:
        """The addresses of all texts it refers to."""
        programs = [self.files, *(program.files for program in self.earlier)]
        return {bytes.fromhex(hash_) for files in programs for hash_ in files.values()}


class _Origin(msgspec.Struct, frozen=True):
    """What a listing reads of a `StoredRecord`."""

    parent: str | None = None
    parent_seq: int | None = None
    entered: int = 0
    labels: dict[str, str] = {}


def lock_path(database: Path) -> Path:
    """The lock that guards a database."""
    return database.with_name(database.name + ".lock")


def database_paths(directory: Path) -> Iterator[Path]:
    """`journal.db`, `journal-2.db`, ... without end."""
    yield directory / "journal.db"
    number = 2
    while True:
        yield directory / f"journal-{number}.db"
        number += 1


class Reader:
    """Reads the journal in a folder, which need not be there.

    Args:
        directory: The folder.
        trust: Knows whose its databases are.
    """

    def __init__(self, directory: Path, trust: Trust) -> None:
        self._directory = directory
        self._trust = trust

    def databases(self) -> list[Path]:
        """The databases that are there.

        Raises:
            JournalError: The folder is not a folder, or cannot be read.
        """
        found: list[Path] = []
        try:
            if self._directory.exists() and not self._directory.is_dir():
                raise JournalError(
                    f"the journal is not a folder: {self._directory}",
                    help="choose another with --journal",
                )
            for path in database_paths(self._directory):
                if not os.path.lexists(path):
                    return found
                found.append(path)
        except OSError as error:
            raise JournalError(f"the journal cannot be read: {error}") from None
        return found

    def home(self, run: str) -> Path:
        """The database a run lives in.

        Raises:
            JournalError: It lives in none.
        """
        with self._run(run) as (path, _, _):
            return path

    def waits(self, path: Path) -> bool:
        """Whether a run in this database waits for a person."""
        if not os.path.lexists(path):
            return False
        with _opened(path) as connection:
            if connection is None:
                return False
            query = "SELECT 1 FROM runs WHERE status = 'waiting' LIMIT 1"
            return connection.execute(query).fetchone() is not None

    @contextmanager
    def _run(self, run: str) -> Iterator[tuple[Path, sqlite3.Connection, int]]:
        for path in self.databases():
            with _opened(path) as connection:
                if connection is None:
                    continue
                row = connection.execute("SELECT number FROM runs WHERE run = ?", (run,)).fetchone()
                if row is not None:
                    yield path, connection, row[0]
                    return
        raise JournalError(f"there is no run {run} in {self._directory}")

    def read(self, run: str, after: int = 0) -> list[Event]:
        """Every event of a run, in order; see `Journal.read`."""
        events, damage = self.salvage(run, after)
        if damage is not None:
            raise JournalError(
                f"the journal of the run {run} is damaged: {damage}",
                help="`orch show` shows what can be read; the run cannot be resumed",
            )
        return events

    def salvage(self, run: str, after: int = 0) -> tuple[list[Event], str | None]:
        """The events up to the first that cannot be read, and what is wrong there, or None.

        Args:
            run: The run.
            after: The number of the last event that is not wanted.
        """
        events: list[Event] = []
        with self._run(run) as (path, connection, number):
            try:
                rows = connection.execute(
                    "SELECT e.seq, e.body, e.blob, b.data FROM events e LEFT JOIN blobs b"
                    " ON b.hash = e.blob WHERE e.run = ? AND e.seq > ? ORDER BY e.seq",
                    (number, after),
                )
                for expected, (seq, body, blob, data) in enumerate(rows, after + 1):
                    if seq != expected:
                        return events, f"event {expected} is missing"
                    try:
                        events.append(decode_row(body, blob, data))
                    except (ValueError, TypeError) as error:
                        return events, f"event {expected} cannot be read: {error}"
            except sqlite3.DatabaseError as error:
                return events, f"event {after + len(events) + 1} cannot be read: {error}"
            over = bool(events) and isinstance(events[-1], RunEnded)
            if not over and lock_holder(lock_path(path)) is None and lost_commits(path):
                place = f"event {after + len(events) + 1}"
                return events, f"{place} and others are lost in a damaged log"
        return events, None

    def record(self, run: str) -> RunRecord:
        """What was entered for a run; see `Journal.record`."""
        with self._run(run) as (path, connection, number):
            row = connection.execute(
                f"SELECT {_SUMMARY} FROM runs WHERE number = ?",  # noqa: S608 - a constant
                (number,),
            ).fetchone()
            try:
                stored = msgspec.json.decode(row[-1], type=StoredRecord)
                files = _texts(connection, stored.files)
                earlier = tuple(
                    EarlierProgram(program.until_ms, _texts(connection, program.files))
                    for program in stored.earlier
                )
            except (ValueError, TypeError) as error:
                raise JournalError(f"the record of the run {run} is damaged: {error}") from None
            summary = _summary(
                row, lock_holder(lock_path(path)), self._trust.is_mine(connection, path)
            )
            return RunRecord(
                **msgspec.structs.asdict(summary),
                files=files,
                params=stored.params,
                models=stored.models,
                cwd=stored.cwd,
                engine=stored.engine,
                earlier=earlier,
            )

    def runs(self, limit: int | None, status: RunStatus | None) -> list[RunSummary]:
        """The runs, latest first, as they were entered, whatever the clock said.

        Those of databases that are not this user's come last.
        """
        found: list[list[RunSummary]] = []
        for path in self.databases():
            holder = lock_holder(lock_path(path))
            with _opened(path) as connection:
                if connection is not None:
                    # By name: early releases of Python 3.12 warn of numbered placeholders.
                    rows = connection.execute(
                        f"SELECT {_SUMMARY} FROM runs WHERE :status IS NULL OR status = :status"  # noqa: S608
                        " ORDER BY number DESC LIMIT :most",
                        {"status": status, "most": -1 if limit is None else limit},
                    )
                    is_mine = self._trust.is_mine(connection, path)
                    found.append([_summary(row, holder, is_mine) for row in rows])
        return list(islice(heapq.merge(*found, key=_place), limit))

    def highest_entry(self) -> int:
        """The highest number under which this user has entered a run; 0 if none is known."""
        highest = 0
        for path in self.databases():
            with _opened(path) as connection:
                if connection is not None and self._trust.is_mine(connection, path):
                    rows = connection.execute(
                        "SELECT record FROM runs ORDER BY number DESC LIMIT 1"
                    )
                    highest = max([highest, *(_origin(record).entered for (record,) in rows)])
        return highest

    def strange(self) -> list[JournalError]:
        """What is to be said of databases that are not this user's: one error each."""
        problems = [self._trust.problem(path) for path in self.databases()]
        return [problem for problem in problems if problem is not None]

    def waiting(self) -> list[tuple[RunSummary, list[Event] | None]]:
        """The runs that wait, with their events about gates; see `Journal.waiting`."""
        found: list[tuple[RunSummary, list[Event] | None]] = []
        for path in self.databases():
            holder = lock_holder(lock_path(path))
            with _opened(path) as connection:
                if connection is None:
                    continue
                bodies = _gate_bodies(connection)
                is_mine = self._trust.is_mine(connection, path)
                rows = connection.execute(
                    f"SELECT number, {_SUMMARY} FROM runs WHERE status = 'waiting'"  # noqa: S608
                    " ORDER BY number DESC"
                )
                found += [
                    (_summary(row, holder, is_mine), _events(bodies.get(n))) for n, *row in rows
                ]
        return found

    def damaged_logs(self) -> list[Path]:
        """The databases whose log holds runs or events that cannot be read any more."""
        found: list[Path] = []
        for path in self.databases():
            with _opened(path):
                if lock_holder(lock_path(path)) is None and lost_commits(path):
                    found.append(path)
        return found

    def find(self, prefix: str) -> str:
        """The one run that begins with `prefix`; see `Journal.find`."""
        return find_among(prefix, self._directory, self.runs, self._beginning_with)

    def _beginning_with(self, prefix: str) -> list[str]:
        found: list[str] = []
        for path in self.databases():
            with _opened(path) as connection:
                if connection is not None:
                    rows = connection.execute(
                        "SELECT run FROM runs WHERE substr(run, 1, ?) = ? ORDER BY run LIMIT 10",
                        (len(prefix), prefix),
                    )
                    found.extend(run for (run,) in rows)
        return found


def find_among(
    prefix: str,
    where: object,
    runs: Callable[[int | None, RunStatus | None], list[RunSummary]],
    beginning_with: Callable[[str], list[str]],
) -> str:
    """The only id that matches a prefix, or that of `last`.

    Raises:
        UsageError: There is none, or several.
    """
    if prefix == "last":
        latest = runs(1, None)
        if not latest:
            raise UsageError(f"there is no run in {where} yet")
        return latest[0].run
    found = beginning_with(prefix) if prefix and prefix.isascii() else []  # ids are ASCII
    if prefix in found:
        return prefix
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"no run in {where} begins with {prefix!r}; `orch runs` lists them")
    shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
    raise UsageError(f"several runs begin with {prefix!r}: {shown}")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection | None]:
    refuse_special(path)
    connection = open_reader(path)
    try:
        yield connection
    except sqlite3.Error as error:
        raise translated(error, path) from None
    finally:
        if connection is not None:
            connection.close()


def _gate_bodies(connection: sqlite3.Connection) -> dict[int, list[bytes]]:
    """The events about gates of each run that waits, as JSON; runs that lack an event left out."""
    bodies: dict[int, list[bytes]] = {}
    whole = (
        "SELECT e.run FROM events e JOIN runs r ON r.number = e.run WHERE r.status = 'waiting'"
        " GROUP BY e.run HAVING count(*) = max(e.seq)"
    )
    types = ", ".join(map(str, GATE_TYPES))
    rows = connection.execute(
        f"SELECT run, body FROM events WHERE run IN ({whole}) AND type IN ({types})"  # noqa: S608
        " ORDER BY run, seq"
    )
    for run, body in rows:
        bodies.setdefault(run, []).append(body)
    return bodies


def _events(bodies: list[bytes] | None) -> list[Event] | None:
    """Events from their JSON; None where one cannot be read."""
    try:
        return None if bodies is None else [decode_row(body, None, None) for body in bodies]
    except (ValueError, TypeError):
        return None


def _place(summary: RunSummary) -> tuple[bool, int, int]:
    """Where a run is in a list, the latest first."""
    return not summary.trusted, -summary.entered, -summary.started_ms


def _origin(record: bytes) -> _Origin:
    try:
        return msgspec.json.decode(record, type=_Origin)
    except (ValueError, TypeError):
        return _Origin()  # whoever wants more of the record is told about the damage


def _summary(row: Sequence[Any], holder: int | None, is_mine: bool) -> RunSummary:
    run, workflow, orchestrator, started_ms, status, ended_ms, reason, bound, pid, record = row
    origin = _origin(record)
    return RunSummary(
        run=run,
        workflow=workflow,
        orchestrator=orchestrator,
        started_ms=started_ms,
        status=status,
        ended_ms=ended_ms,
        reason=reason,
        bound=bound,
        # Without a pid its drive was interrupted, though the database is in use.
        live=status == "running" and holder is not None and pid != 0 and holder in (pid, 0),
        parent=origin.parent,
        parent_seq=origin.parent_seq,
        entered=origin.entered,
        trusted=is_mine,
        labels=origin.labels,
    )


def _texts(connection: sqlite3.Connection, hashes: dict[str, str]) -> dict[str, str]:
    return {name: _text(connection, hash_) for name, hash_ in hashes.items()}


def _text(connection: sqlite3.Connection, hash_: str) -> str:
    query = "SELECT data FROM blobs WHERE hash = ?"
    row = connection.execute(query, (bytes.fromhex(hash_),)).fetchone()
    if row is None:
        raise ValueError("the text of a program file is missing")
    return bytes(row[0]).decode(errors="surrogatepass")
