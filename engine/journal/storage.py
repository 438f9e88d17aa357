"""One database file: its tables, how it is opened, and what its errors mean to a person.

Knows SQLite and nothing of threads, locks or who may write (see `writer` and `sqlite`).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from engine.errors import JournalError
from engine.events import BASE_FORMAT, FORMAT
from engine.journal.wal import lost_commits

__all__ = [
    "is_full",
    "log_damaged",
    "open_reader",
    "open_writer",
    "raise_format",
    "refuse_damaged_log",
    "translated",
]

#: Version of the tables.
LAYOUT = 1

# Rows go in by rowid, at the end of the table, whichever run they are of; the index brings a
# run's events together. Clustering by run instead splits pages in the middle and doubles the file.
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    orchestrator TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    ended_ms INTEGER,
    reason TEXT NOT NULL DEFAULT '',
    bound TEXT,
    epoch INTEGER NOT NULL,
    pid INTEGER NOT NULL,
    record BLOB NOT NULL
);
CREATE TABLE events (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    type INTEGER NOT NULL,
    end INTEGER,
    blob BLOB,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX events_in_order ON events (run, seq);
CREATE UNIQUE INDEX events_end_once ON events (run, end) WHERE end IS NOT NULL;
CREATE TABLE blobs (hash BLOB PRIMARY KEY, data BLOB NOT NULL);
"""
_NAMES = frozenset(("meta", "runs", "events", "blobs"))
_STATEMENTS = frozenset(" ".join(statement.split()) for statement in _TABLES.split(";"))


def open_writer(
    path: Path, busy_ms: int, enter: Callable[[Path], str] | None = None
) -> sqlite3.Connection:
    """Open a database for writing, and make its tables if it is new.

    Args:
        busy_ms: How long to wait for a program that has locked it, in milliseconds.
        enter: Notes a new database, and gives the token by which it will be known.

    Raises:
        JournalError: It cannot be written, or is not a journal this version can write.
    """
    try:
        connection = sqlite3.connect(
            path, timeout=busy_ms / 1000, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise translated(error, path) from None
    try:
        is_new = _count_tables(connection) == 0
        if not is_new:
            _check_version(connection, path)  # First: what is not ours is not touched.
        # Pages of the usual 4 KiB hold three tasks of 1 KB and waste a tenth.
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # Some systems cut the log by default; the writer takes a shorter one for a damaged one.
        connection.execute("PRAGMA journal_size_limit = -1")
        if is_new:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            facts: list[tuple[str, int | str]] = [("layout", LAYOUT), ("format", BASE_FORMAT)]
            if enter is not None:
                facts.append(("token", enter(path)))  # noted before anybody can see it
            connection.executemany("INSERT INTO meta VALUES (?, ?)", facts)
            connection.execute("COMMIT")
        connection.execute("SELECT value FROM meta").fetchall()  # from here on there is a log
    except sqlite3.Error as error:
        connection.close()
        raise translated(error, path) from None
    except BaseException:
        connection.close()
        raise
    return connection


def raise_format(connection: sqlite3.Connection, needed: int) -> None:
    """Note within a transaction that the database now holds events of a newer format.

    A journal that never does so stays readable for older builds, which refuse a higher format.
    """
    if needed > BASE_FORMAT:
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'format' AND value < ?", (needed, needed)
        )


def refuse_damaged_log(path: Path) -> None:
    """Refuse to write where that would write over commits that a damaged log still holds.

    Raises:
        JournalError: There are some, or the database cannot be read.
    """
    if not os.path.exists(f"{path}-wal"):
        return
    connection = open_reader(path)
    if connection is not None:
        # Only a reader may find out: the last writer to close a database tidies up its log.
        damaged = lost_commits(path)
        connection.close()
        if damaged:
            raise JournalError(
                log_damaged(path),
                help="keep a copy of the folder; `orch show` shows what can be read, new runs go "
                "elsewhere with --journal",
            )


def log_damaged(path: str | Path) -> str:
    """What is wrong where the log of a database holds commits that cannot be read."""
    return f"the write-ahead log is damaged after the last readable entry: {path}-wal"


def open_reader(path: Path) -> sqlite3.Connection | None:
    """Open a database read-only; None where its writer has not yet made the tables.

    Raises:
        JournalError: It cannot be read, or not all of it: nothing is left out silently.
    """
    address = f"file:{quote(os.fsencode(path.absolute()))}?mode=ro"
    try:
        try:
            connection = sqlite3.connect(address, uri=True, timeout=5.0, isolation_level=None)
            tables = _count_tables(connection)
        except sqlite3.OperationalError as error:
            if not _is_at_rest(error):
                raise
            connection.close()
            if _log_is_unread(path):
                if is_full(error):
                    raise
                raise JournalError(
                    "the journal's log cannot be read here, because its folder cannot be written: "
                    f"{path}-wal",
                    help="copy the whole folder to where it can be written, and read the copy",
                ) from None
            connection = sqlite3.connect(address + "&immutable=1", uri=True, isolation_level=None)
            tables = _count_tables(connection)
    except sqlite3.Error as error:
        connection.close()
        raise translated(error, path) from None
    if tables == 0:
        connection.close()
        return None
    try:
        _check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_at_rest(error: sqlite3.OperationalError) -> bool:
    """Whether no one can be writing where opening failed so: there is no shared memory.

    The disk has no room for it, or the folder cannot be written. A writer would have made it.
    """
    return error.sqlite_errorcode == sqlite3.SQLITE_IOERR_SHMSIZE or _code(error) in (
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    )


def _log_is_unread(path: Path) -> bool:
    """Whether a database that can be read has a log that holds something.

    A copy that was made of a killed run may have the log and not the shared memory next to it,
    which SQLite makes again where it can write.
    """
    try:
        holds = os.path.getsize(f"{path}-wal") > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise JournalError(f"the journal cannot be read: {error}") from None
    return holds and os.access(path, os.R_OK)


def _count_tables(connection: sqlite3.Connection) -> int:
    count: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return count


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    try:
        _check_tables(connection, path)
        versions = dict(connection.execute("SELECT key, value FROM meta"))
        known = {"layout": int(versions["layout"]), "format": int(versions["format"])}
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_ERROR:  # no such table
            raise _not_a_journal(path) from None
        raise translated(error, path) from None
    except sqlite3.Error as error:
        raise translated(error, path) from None
    except (KeyError, ValueError, TypeError):
        raise _not_a_journal(path) from None
    if known["layout"] > LAYOUT or known["format"] > FORMAT:
        raise JournalError(
            f"{path} was written by a newer version of orch",
            help="update orch, or choose another journal with --journal",
        )


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse tables that are other than ours: a view or a trigger in their place would compute
    whatever its author likes, for as long as he likes, when we read."""
    found = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    for kind, name, statement in found:
        is_ours = statement is None or " ".join(statement.split()) in _STATEMENTS
        if kind in ("view", "trigger") or (name in _NAMES and not is_ours):
            raise _not_a_journal(path)


def _not_a_journal(path: Path) -> JournalError:
    return JournalError(
        f"{path} is not a journal: it is a database of something else",
        help="choose another folder with --journal",
    )


def is_full(error: sqlite3.Error) -> bool:
    """Whether the disk (or the file's permitted size) is used up."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_SHMSIZE:
        return True  # no room for the shared memory
    return _code(error) == sqlite3.SQLITE_FULL


def _code(error: sqlite3.Error) -> int:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def translated(error: sqlite3.Error, path: Path) -> JournalError:
    """What an error of SQLite means, in words for the user of the journal at `path`."""
    if is_full(error):
        return full(path)
    match _code(error):
        case sqlite3.SQLITE_NOTADB:
            return JournalError(
                f"{path} is not a journal: the file is not a SQLite database",
                help="move the file away, or choose another folder with --journal",
            )
        case sqlite3.SQLITE_CORRUPT:
            return JournalError(
                f"the journal is damaged: {path}: {error}",
                help="keep a copy of the folder; new runs go elsewhere with --journal",
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return JournalError(
                f"the journal is locked by another program: {path}",
                help="close what has the file open, such as a database browser",
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return JournalError(
                f"the journal cannot be written: {path} is read-only",
                help="choose a folder that can be written with --journal",
            )
        case sqlite3.SQLITE_CANTOPEN:
            return JournalError(
                f"the journal cannot be opened: {path}",
                help="check the permissions of the folder, or choose another with --journal",
            )
        case _:
            return JournalError(
                f"the journal failed: {path}: {error}",
                help="check the disk; the run can be resumed when it is well again",
            )


def full(path: Path) -> JournalError:
    """The error of a disk without room."""
    return JournalError(
        f"the journal cannot be written: no space left for {path}",
        help="make room and resume the run; what had finished is kept",
    )
