"""Who may write a database: the process that holds the lock on the file next to it.

The kernel releases a `flock` when its holder dies, however it dies, so a run can be taken
over at once and without a clock. The process id in the file is for messages only. The file is
never deleted: deleting a lock that another process is opening would give it to both.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from engine import clock
from engine.errors import JournalError
from engine.reading import open_plain

__all__ = ["FileLock", "lock_holder"]

# A reader that asks who holds the lock takes it for a moment, and a holder that was killed may
# have been about to start a program, which has the lock until it runs. So one failure says nothing
# where no living process is known to hold it.
_TRIES = 20
_WAIT_S = 0.01


#: Descriptors of the locks this process holds.
_held: set[int] = set()


def _let_go_in_child() -> None:
    """A lock stays as long as any process has it open: one that user code forks must not have it,
    for it may outlive us. (What is started by `exec` has not: the descriptors close on it.)"""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


class FileLock:
    """A lock that is held. Made by `FileLock.take`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        _held.add(descriptor)

    @classmethod
    def take(cls, path: Path) -> FileLock | None:
        """The lock, or None if another holder is alive.

        Raises:
            JournalError: The file system cannot lock, or the file cannot be opened.
        """
        try:
            descriptor = open_plain(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise JournalError(
                f"the journal cannot be locked: {path}: {error.strerror}",
                help="choose a folder that can be written with --journal",
            ) from None
        try:
            for attempt in range(_TRIES):
                if _try(descriptor, path, fcntl.LOCK_EX):
                    with contextlib.suppress(OSError):  # a full disk: the lock holds without
                        os.ftruncate(descriptor, 0)
                        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                    return cls(descriptor)
                if _pid_in(descriptor) is not None:
                    break
                if attempt < _TRIES - 1:
                    clock.pause(_WAIT_S)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def release(self) -> None:
        """Give it back."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        _held.discard(self._descriptor)
        os.close(self._descriptor)


def lock_holder(path: Path) -> int | None:
    """The process id of who holds the lock (0 if it is not known), or None if there is none."""
    try:
        descriptor = open_plain(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        for attempt in range(_TRIES):
            if _try(descriptor, path, fcntl.LOCK_SH):
                return None
            holder = _pid_in(descriptor)
            if holder is not None:
                return holder
            if attempt < _TRIES - 1:
                clock.pause(_WAIT_S)
        return 0
    finally:
        os.close(descriptor)


def _try(descriptor: int, path: Path, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        reason = errno.errorcode.get(error.errno or 0, "?")
        raise JournalError(
            f"the journal cannot be locked: {path}: {error.strerror} ({reason})",
            help="choose a folder on a local disk with --journal",
        ) from None
    return True


def _pid_in(descriptor: int) -> int | None:
    """The process id in the file, if that process is alive."""
    try:
        pid = int(os.pread(descriptor, 20, 0))
        os.kill(pid, 0)
    except (ValueError, ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        return pid
    return pid
