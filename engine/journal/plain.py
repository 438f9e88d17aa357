"""The files of a journal's folder are regular files: a link among them would have others written.

A repository can bring a folder `.orch` whose `journal.db.lock` leads to a file of the user's, or
whose `journal.db-wal` is a pipe. SQLite follows some links and waits for some files, so each file
of a database is looked at before it is opened. Whether the folder itself may be a link is
`engine.journal.trust`'s question.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
import sys
from pathlib import Path

from engine.errors import JournalError
from engine.reading import open_plain

__all__ = ["is_open_elsewhere", "refuse_rollback", "refuse_special", "refuse_unless_plain"]

#: What SQLite puts next to a database; the database itself is "". Whatever is ours alone is opened
#: with `open_plain`.
_ENDINGS = ("", "-wal", "-shm", "-journal")
#: What every connection to a database holds a lock on (`SHARED_FIRST` of SQLite's file format).
_SHARED_AT = 0x40000002
_SHARED_BYTES = 510
#: Where a database's page size is in it: two bytes, of which 1 means 65536.
_PAGE_SIZE_AT = 16


def refuse_special(path: Path) -> None:
    """Refuse a database of which a file is a link, or no regular file.

    Raises:
        JournalError: One is, or the folder cannot be looked into.
    """
    for ending in _ENDINGS:
        refuse_unless_plain(f"{path}{ending}")


def refuse_unless_plain(name: str | Path) -> None:
    """Refuse a file that is a link, or no regular file; one that is not there is fine.

    Raises:
        JournalError: It is, or the folder cannot be looked into.
    """
    try:
        mode = os.lstat(name).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise JournalError(f"the journal cannot be opened: {name}: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        what = "a symbolic link" if stat.S_ISLNK(mode) else "not a regular file"
        raise JournalError(
            f"the journal cannot be used: {name} is {what}",
            help="orch makes no such file: move it away, or choose another folder with --journal",
        )


def refuse_rollback(path: Path) -> None:
    """Refuse a rollback journal: SQLite would have it write over the database.

    Our database has one only in the moment in which it is made; what a kill leaves then has
    no page but the first, and is taken away. The caller holds the lock.

    Raises:
        JournalError: There is one next to a database that holds something.
    """
    rollback = f"{path}-journal"
    if not os.path.lexists(rollback):
        return
    if not _is_unfinished(path):
        raise JournalError(
            f"the journal cannot be used: {rollback} is there, which orch does not leave",
            help="move it away: what it holds would be written over the journal",
        )
    for name in (rollback, path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def is_open_elsewhere(path: Path) -> bool:
    """Whether another process has a database open: SQLite holds a lock on it for as long."""
    if sys.platform == "darwin":
        layout = "qqihh"
        asked = struct.pack(layout, _SHARED_AT, _SHARED_BYTES, 0, fcntl.F_WRLCK, os.SEEK_SET)
        kind_at = 3
    else:
        layout = "hhqqi"
        asked = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, _SHARED_AT, _SHARED_BYTES, 0)
        kind_at = 0
    try:
        # It stays open: to close it would give up the locks of this process's own connections.
        descriptor = open_plain(path, os.O_RDONLY)
        told = fcntl.fcntl(descriptor, fcntl.F_GETLK, asked)
    except OSError:
        return False
    return bool(struct.unpack(layout, told)[kind_at] != fcntl.F_UNLCK)


def _is_unfinished(path: Path) -> bool:
    """Whether a database has one page at most, and no log: no table can be in it."""
    with contextlib.suppress(FileNotFoundError):
        if os.lstat(f"{path}-wal").st_size:
            return False
    try:
        descriptor = open_plain(path, os.O_RDONLY)
    except OSError:
        return not os.path.lexists(path)
    try:
        size = os.fstat(descriptor).st_size
        page = int.from_bytes(os.pread(descriptor, 2, _PAGE_SIZE_AT), "big")
    finally:
        os.close(descriptor)
    return size <= (65536 if page == 1 else page)
