"""Take runs out of a journal, and give the room back to the disk.

Only databases that are journals are opened, and only under the lock of whoever writes them: a
database that another process writes is left alone. Values and program texts go with the last
run that uses them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from engine.errors import JournalError
from engine.journal.lock import FileLock, lock_holder
from engine.journal.plain import refuse_rollback
from engine.journal.reader import Reader, StoredRecord, lock_path
from engine.journal.storage import is_full, open_writer, refuse_damaged_log, translated
from engine.journal.trust import Trust

__all__ = ["Removed", "remove_runs"]

#: How long to wait for a program that reads the database, in milliseconds.
_BUSY_MS = 5_000


class Removed(msgspec.Struct):
    """The result of a removal.

    Attributes:
        freed: By how many bytes the databases have become smaller.
        unshrunk: Why one of them keeps its size, in words; its room serves later runs.
    """

    freed: int = 0
    unshrunk: str = ""


def remove_runs(directory: Path, runs: Sequence[str]) -> Removed:
    """Remove runs for good.

    Args:
        directory: The journal's folder.
        runs: Their ids.

    Raises:
        JournalError: There is no such run, another process writes the database it lives in, the
            rest of a damaged log would be written over, the database is not this user's, or the
            disk is full. Nothing of that database is removed then; others may have been done
            before. The message says which.
    """
    trust = Trust(directory)
    reader = Reader(directory, trust)
    by_database: dict[Path, list[str]] = {}
    for run in runs:
        by_database.setdefault(reader.home(run), []).append(run)
    result, done = Removed(), 0
    for path, names in by_database.items():
        try:
            _remove(path, names, trust, result)
        except JournalError as problem:
            said = f"{done} of {len(runs)} runs are removed" if done else "nothing is removed"
            raise JournalError(f"{problem}; {said}", help=problem.help) from None
        done += len(names)
    return result


def _remove(path: Path, runs: list[str], trust: Trust, result: Removed) -> None:
    trust.check(path)
    lock = FileLock.take(lock_path(path))
    if lock is None:
        pid = lock_holder(lock_path(path))
        who = f"the process {pid}" if pid else "another process"
        named = ", ".join(runs[:3]) + (", ..." if len(runs) > 3 else "")
        raise JournalError(
            f"{named} cannot be removed: {who} writes {path}",
            help="wait for it to end, or stop it",
        )
    try:
        trust.admit(path)
        refuse_rollback(path)
        refuse_damaged_log(path)
        before = _size(path)
        connection = open_writer(path, _BUSY_MS)
        try:
            _delete(connection, runs)
            result.unshrunk = _shrink(connection) or result.unshrunk
        except sqlite3.Error as error:
            problem = translated(error, path)
            if is_full(error):
                help = (
                    "make room elsewhere first: removing runs takes room before it gives any back"
                )
                problem = JournalError(str(problem), help=help)
            raise problem from None
        finally:
            connection.close()
        result.freed += max(0, before - _size(path))
    finally:
        trust.leave(path)
        lock.release()


def _shrink(connection: sqlite3.Connection) -> str:
    """Give the room of what was removed back to the disk; why that failed, or nothing.

    Without this the file keeps its size, and a write-ahead log as long as the file. It takes as
    much room again as what stays.
    """
    try:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        return str(error)
    return ""


def _delete(connection: sqlite3.Connection, runs: list[str]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        gone: set[bytes] = set()
        for run in runs:
            query = "SELECT number, record FROM runs WHERE run = ?"
            row = connection.execute(query, (run,)).fetchone()
            if row is None:
                continue  # another process was faster
            number, record = row
            query = "SELECT DISTINCT blob FROM events WHERE run = ? AND blob IS NOT NULL"
            gone.update(blob for (blob,) in connection.execute(query, (number,)))
            gone |= _texts(record)
            connection.execute("DELETE FROM events WHERE run = ?", (number,))
            connection.execute("DELETE FROM runs WHERE number = ?", (number,))
        if gone:
            gone -= _used(connection)
            query = "DELETE FROM blobs WHERE hash = ?"
            connection.executemany(query, [(hash_,) for hash_ in gone])
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _used(connection: sqlite3.Connection) -> set[bytes]:
    """The addresses of all blobs that a run still refers to."""
    query = "SELECT DISTINCT blob FROM events WHERE blob IS NOT NULL"
    used: set[bytes] = {blob for (blob,) in connection.execute(query)}
    records: Iterable[tuple[bytes]] = connection.execute("SELECT record FROM runs")
    for (record,) in records:
        used |= _texts(record)
    return used


def _texts(record: bytes) -> set[bytes]:
    try:
        return msgspec.json.decode(record, type=StoredRecord).hashes()
    except (ValueError, TypeError):
        return set()  # damaged: nothing can be read with it either


def _size(path: Path) -> int:
    return sum(
        part.stat().st_size for part in (path, path.with_name(path.name + "-wal")) if part.exists()
    )
