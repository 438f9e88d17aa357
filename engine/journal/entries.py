"""The order in which runs were added on this machine, across databases.

Clocks can be set back, and a run can claim any date, so a counter decides which run is the latest.
It is a file of twenty digits in the state folder, with a lock that is held only to read and write
it. If it cannot be stored, numbers continue from the highest one in the databases. This is correct
as long as only one process at a time adds runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from engine.reading import open_plain

__all__ = ["Entries"]

_DIGITS = 20


class Entries:
    """Numbers the runs that are entered in a folder.

    Args:
        counter: The file of the counter; None where none can be kept.
        highest: The highest number in the databases of the folder.
    """

    def __init__(self, counter: Path | None, highest: Callable[[], int]) -> None:
        self._highest = highest
        self._last: int | None = None
        self._descriptor: int | None = None
        if counter is not None:
            with contextlib.suppress(OSError):
                self._descriptor = open_plain(counter, os.O_RDWR | os.O_CREAT, 0o600)

    def next(self) -> int:
        """The number of the run that is entered next, higher than that of any before."""
        if self._last is None or self._descriptor is None:
            self._last = max(self._last or 0, self._highest())
        self._last = self._counted(self._last) or self._last + 1
        return self._last

    def close(self) -> None:
        """Give the counter's file back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _counted(self, last: int) -> int | None:
        """The counter's next number, higher than `last`; None where it cannot be kept."""
        if self._descriptor is None:
            return None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                written = os.pread(self._descriptor, _DIGITS, 0)
                number = max(last, int(written) if written.isdigit() else 0) + 1
                os.pwrite(self._descriptor, b"%0*d" % (_DIGITS, number), 0)
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        except OSError:  # a full disk
            return None
        return number
