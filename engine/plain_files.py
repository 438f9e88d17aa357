"""Reads files of other people's without being held up by them.

A pipe, a device or a file of the kernel can keep its reader waiting for ever, and what grows while
it is read has no end. `read_plain` reads regular files, up to a limit, and never waits for data.
"""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["NotPlain", "read_plain"]


class NotPlain(OSError):
    """It is no regular file, or gives no data now; `reason` is half a sentence."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(errno.EINVAL, reason)


def read_plain(path: str, most_bytes: int) -> bytes:
    """The first bytes of a regular file.

    Args:
        most_bytes: How many; a limit and one more tells whether the limit is kept.

    Raises:
        NotPlain: It is a pipe, a device, a socket, or holds nothing that can be read at once.
        OSError, ValueError: It cannot be opened or read; a folder is an `IsADirectoryError`.
    """

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NONBLOCK)

    with open(path, "rb", opener=opened) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise NotPlain("is not a regular file")
        data: bytes | None = file.read(most_bytes)
    if data is None:
        raise NotPlain("gives no data")
    return data
