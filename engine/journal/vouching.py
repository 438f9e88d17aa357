"""A person takes over the databases in a folder: from here on they are this user's.

Each gets a token of its own and a note (`engine.journal.known`), under its lock; nothing else in
it is changed. What is a link, or no journal, is refused as ever.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.errors import JournalError
from engine.journal.lock import FileLock, lock_holder
from engine.journal.plain import refuse_rollback, refuse_special
from engine.journal.reader import Reader, lock_path
from engine.journal.storage import open_writer, refuse_damaged_log, translated
from engine.journal.trust import Trust

__all__ = ["take_over"]

#: How long to wait for a program that reads the database, in milliseconds.
_BUSY_MS = 5_000


def take_over(directory: Path) -> list[Path]:
    """Note a folder and its databases as this user's.

    Returns:
        The databases.

    Raises:
        JournalError: There is no such folder, a database is not to be written, another process
            writes it, or notes cannot be kept.
    """
    if not directory.is_dir():
        raise JournalError(f"there is no journal in {directory}")
    trust = Trust(directory, everything=True)
    databases = Reader(directory, trust).databases()
    trust.vouch()
    for path in databases:
        _take_over(path, trust)
    return databases


def _take_over(path: Path, trust: Trust) -> None:
    refuse_special(path)
    lock = FileLock.take(lock_path(path))
    if lock is None:
        pid = lock_holder(lock_path(path))
        who = f"the process {pid}" if pid else "another process"
        raise JournalError(f"{path} is being written by {who}", help="wait for it to end")
    try:
        refuse_rollback(path)
        refuse_damaged_log(path)
        connection = open_writer(path, _BUSY_MS)
        try:
            token = trust.enter(path)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('token', ?)", (token,))
        except sqlite3.Error as error:
            raise translated(error, path) from None
        finally:
            connection.close()
    finally:
        trust.leave(path)
        lock.release()
