"""Opens files that others may have put there: regular files only, up to a size, without waiting.

A name in a folder can lead to a pipe that no process writes into, to a device, or to a file of
gigabytes. Everything a check reads goes through `read_regular`; what must not be reached through a
symbolic link either goes through `open_plain`. Knows nothing of what the files mean, or of where
they may lie (`engine.project`).

Invariant: nothing here waits for another process.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

__all__ = ["MAX_FILE_BYTES", "CannotRead", "open_plain", "read_plain", "read_regular"]

#: No `.orch` file, template or JSON Schema is larger; what is was named by mistake.
MAX_FILE_BYTES = 10_000_000

#: Opening must neither wait nor make a terminal ours.
_QUIET = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CHUNK_BYTES = 1 << 20


class CannotRead(Exception):
    """Why a file gives no text. `reason` is half a sentence: `does not exist`.

    Attributes:
        help: What to do about it, or None.
        outside: Whether it was left alone because it lies outside the project.
    """

    def __init__(self, reason: str, *, help: str | None = None, outside: bool = False) -> None:
        self.reason = reason
        self.help = help
        self.outside = outside
        super().__init__(reason)


def read_regular(path: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """The content of a regular file; links are followed.

    Raises:
        CannotRead: It is none, may not be read, or is larger.
    """
    try:
        # Looked at first: whoever waits at the other end of a pipe would notice it being opened.
        _check_regular(os.stat(path))
        descriptor = os.open(path, os.O_RDONLY | _QUIET)
        try:
            _check_regular(os.fstat(descriptor))
            data = _read(descriptor, max_bytes + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise CannotRead("does not exist") from None
    except PermissionError:
        raise CannotRead("may not be read (permission denied)") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CannotRead(f"cannot be opened ({reason})") from None
    if len(data) > max_bytes:
        raise CannotRead(f"is larger than {max_bytes // 1_000_000} MB")
    return data


def _check_regular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise CannotRead("is a folder", help="name a file in it")
    if not stat.S_ISREG(found.st_mode):
        raise CannotRead("is not a regular file")


def _read(descriptor: int, limit: int) -> bytes:
    """What a file holds, `limit` bytes at most."""
    parts: list[bytes] = []
    left = limit
    while left and (part := os.read(descriptor, min(left, _CHUNK_BYTES))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def open_plain(path: str | os.PathLike[str], flags: int, mode: int = 0o644) -> int:
    """A descriptor of a regular file that is not a link, opened (or made) without waiting.

    Args:
        flags: Those of `os.open`; not to follow a link and not to wait is added.

    Raises:
        OSError: As `os.open`; `ELOOP` for a link, `EINVAL` for what is not a regular file either.
    """
    with contextlib.suppress(FileNotFoundError):
        _check_plain(os.lstat(path))
    descriptor = os.open(path, flags | os.O_NOFOLLOW | _QUIET, mode)
    try:
        _check_plain(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def read_plain(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """The beginning of a regular file that is not a link.

    Raises:
        OSError: As `open_plain`.
    """
    descriptor = open_plain(path, os.O_RDONLY)
    try:
        return _read(descriptor, max_bytes)
    finally:
        os.close(descriptor)


def _check_plain(found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "it is a symbolic link")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
