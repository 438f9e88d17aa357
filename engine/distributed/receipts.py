"""What a host has done, kept until long after it was reported: receipts.

A host writes the outcome of an attempt here before it reports it. When the same attempt comes
again, because the report was lost on the way or the host was taken for dead, it answers from the
receipt instead of doing the work twice. An attempt is named by run, key and number; that the same
name comes with another input is an error, never a silent reuse. For what may happen only once the
beginning is noted too: begun and without an outcome means that the outcome is unknown.

One thread writes, and each receipt is on disk when `put` returns.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from engine import clock
from engine.distributed.messages import Outcome
from engine.errors import JournalError

__all__ = ["Attempt", "DoubledKey", "Receipts"]

_T = TypeVar("_T")

#: How long a receipt is kept, in seconds: longer than any run waits for a host.
_KEPT_S = 30 * 24 * 3600

_SCHEMA = """
CREATE TABLE IF NOT EXISTS receipt (
  run TEXT NOT NULL,
  key TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  input BLOB NOT NULL,
  outcome BLOB,
  wall_s INTEGER NOT NULL,
  UNIQUE (run, key, attempt)
);
CREATE INDEX IF NOT EXISTS receipt_by_age ON receipt (wall_s);
"""


class Attempt(msgspec.Struct, frozen=True):
    """What names an attempt, and a hash of what it was given."""

    run: str
    key: str
    attempt: int
    input: bytes


class DoubledKey(Exception):
    """The same attempt came with another input."""


class Receipts:
    """The receipts of one host.

    Args:
        path: Of the SQLite file; it is made if it is not there.

    Raises:
        JournalError: It cannot be opened, or is not a file of receipts.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "orch-receipts")
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            self._db = self._thread.submit(self._open).result()
        except (OSError, sqlite3.Error) as error:
            self._thread.shutdown()
            raise JournalError(f"receipts cannot be kept in {path}: {error}") from None

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=30)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(_SCHEMA)
        db.execute("DELETE FROM receipt WHERE wall_s < ?", (int(clock.wall_s()) - _KEPT_S,))
        return db

    async def find(self, attempt: Attempt) -> tuple[bool, Outcome | None]:
        """Whether an attempt has begun here, and its outcome if it has one.

        Raises:
            DoubledKey: It has, with another input.
            sqlite3.Error: The file cannot be read.
        """
        return await self._run(self._find, attempt)

    def _find(self, attempt: Attempt) -> tuple[bool, Outcome | None]:
        row = self._db.execute(
            "SELECT input, outcome FROM receipt WHERE run = ? AND key = ? AND attempt = ?",
            (attempt.run, attempt.key, attempt.attempt),
        ).fetchone()
        if row is None:
            return False, None
        if row[0] != attempt.input:
            raise DoubledKey(
                f"attempt {attempt.attempt} of `{attempt.key}` came again with another input"
            )
        return True, None if row[1] is None else msgspec.json.decode(row[1], type=Outcome)

    async def put(self, attempt: Attempt, outcome: Outcome | None) -> None:
        """Note that an attempt begins (None), or how it ended.

        Raises:
            sqlite3.Error: It is not written.
        """
        await self._run(self._put, attempt, outcome)

    def _put(self, attempt: Attempt, outcome: Outcome | None) -> None:
        self._db.execute(
            "INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (run, key, attempt) DO UPDATE SET outcome = excluded.outcome",
            (
                attempt.run,
                attempt.key,
                attempt.attempt,
                attempt.input,
                None if outcome is None else msgspec.json.encode(outcome),
                int(clock.wall_s()),
            ),
        )

    async def _run(self, function: Callable[..., _T], *arguments: Any) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, *arguments)

    def close(self) -> None:
        """Give the file back."""
        self._thread.submit(self._db.close).result()
        self._thread.shutdown()
