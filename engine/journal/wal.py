"""Whether SQLite's write-ahead log has lost transactions that were committed.

After a crash SQLite takes from the log all up to the first frame whose checksum is wrong, and
writes over the rest. That is right for the one transaction that was being written; but where a
disk has damaged a frame further up, whole transactions behind it would be lost silently: calls
that were made and paid for. As each commit waits for the disk, at most one transaction can be
torn. So two commits behind the end that SQLite found say that something is damaged.

Reads only. File format: https://www.sqlite.org/walformat.html
"""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["lost_commits"]

_LOG_HEADER = struct.Struct(">IIIIII8x")  # magic, version, page size, number, two salts
_FRAME_HEADER = struct.Struct(">IIII8x")  # page, size of the database after a commit, two salts
#: In the index next to the log: how many frames are good. In the machine's byte order.
_GOOD_FRAMES = struct.Struct("=16xI")


def lost_commits(path: Path) -> bool:
    """Whether the log of a database holds commits that cannot be read any more.

    Args:
        path: The database. A connection must be open that has read from it, so that the index of
            the log exists, and nothing may be writing.
    """
    try:
        with open(f"{path}-shm", "rb") as index:
            (good,) = _GOOD_FRAMES.unpack(index.read(_GOOD_FRAMES.size))
        with open(f"{path}-wal", "rb") as log:
            _, _, page_size, _, *salts = _LOG_HEADER.unpack(log.read(_LOG_HEADER.size))
            frame_size = _FRAME_HEADER.size + page_size
            commits = 0
            at = _LOG_HEADER.size + good * frame_size
            while log.seek(at) == at and len(head := log.read(_FRAME_HEADER.size)) == 24:
                _, is_commit, *its_salts = _FRAME_HEADER.unpack(head)
                # Frames of an earlier use of the file, which is written round and round, have
                # other salts.
                commits += bool(is_commit) and its_salts == salts
                at += frame_size
    except (OSError, struct.error):
        return False  # no log, or less than its header: nothing was committed to it
    return commits > 1
