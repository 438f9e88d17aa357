"""The writers that this process has open: at most one for each database.

A process holds the lock of a database, so to other processes all of its journals are one owner. A
journal that needs a database which another journal of the process has open shares its writer; the
last one to give it back closes it. Knows nothing of runs.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from engine.journal.lock import FileLock
from engine.journal.reader import lock_path
from engine.journal.trust import Trust
from engine.journal.writer import Writer

__all__ = ["give_back", "is_idle", "open_writer", "share_writer"]


class _Open:
    """A writer, and how many journals use it."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.users = 1


class _Here:
    """What this process has open, by the true path of the database."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open: dict[str, _Open] = {}


_here = _Here()
#: What the parent process had open when this one was forked. Neither used nor closed: the thread
#: that writes is the parent's, and closing would tidy up the log under it.
_inherited: list[_Here] = []


def _begin_anew_in_child() -> None:
    global _here
    _inherited.append(_here)
    _here = _Here()


os.register_at_fork(after_in_child=_begin_anew_in_child)


def open_writer(path: Path, busy_ms: int, trust: Trust) -> Writer | None:
    """Open a database for writing; None if this process or another one has it open already.

    Raises:
        JournalError: It cannot be written.
    """
    with _here.lock:
        lock = FileLock.take(lock_path(path))
        if lock is None:
            return None
        try:
            writer = Writer(path, lock, busy_ms, trust)
        except BaseException:
            lock.release()
            raise
        _here.open[os.path.realpath(path)] = _Open(writer)
        return writer


def share_writer(path: Path) -> Writer | None:
    """The writer of a database that this process has open already, or None."""
    with _here.lock:
        found = _here.open.get(os.path.realpath(path))
        if found is None:
            return None
        found.users += 1
        return found.writer


def is_idle() -> bool:
    """Whether everything that this process was to write so far is written."""
    with _here.lock:
        return all(found.writer.is_idle for found in _here.open.values())


def give_back(writer: Writer) -> None:
    """Stop using a writer. The last user waits until everything is written."""
    with _here.lock:
        # What a parent process opened is not here.
        for name in [it for it, found in _here.open.items() if found.writer is writer]:
            found = _here.open[name]
            found.users -= 1
            if found.users == 0:
                # Under the lock: whoever opens the database next must find it free.
                del _here.open[name]
                writer.close()
