"""A claim on a run in a database: what `SqliteJournal` gives to a drive, and the only way to write.

Of two claims on one run only the later one can write, whichever journal object made it. A claim
that is released can no longer write, and nothing is kept of it. Transactions and durability are
`writer`'s.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from engine import clock
from engine.errors import JournalError
from engine.events import Event, RunEnded, RunForked, RunResumed, RunRetried
from engine.journal.reader import StoredProgram, StoredRecord
from engine.journal.rows import encode_row, hash_of
from engine.journal.writer import INSERT_BLOB, Owned, Writer

__all__ = ["SqliteOwnership", "as_blobs", "status_after"]


class SqliteOwnership:
    """See `engine.journal.protocol.Ownership`.

    Args:
        owned: The run.
        writer: Who writes its database.
        released: Called when it is released.
    """

    def __init__(
        self, owned: Owned, writer: Writer, released: Callable[[SqliteOwnership], None]
    ) -> None:
        self._owned = owned
        self._writer: Writer | None = writer
        self._released = released

    @property
    def run(self) -> str:
        """See `Ownership.run`."""
        return self._owned.run

    @property
    def epoch(self) -> int:
        """See `Ownership.epoch`."""
        return self._owned.epoch

    async def append(self, events: Sequence[Event]) -> None:
        """See `Ownership.append`."""
        rows = [encode_row(event) for event in events]
        await self._use().append(self._owned, rows, status_after(events))

    async def change_program(self, files: Mapping[str, str], until_ms: int) -> None:
        """See `Ownership.change_program`."""
        owned = self._owned
        hashes, blobs = as_blobs(files)

        def change(connection: sqlite3.Connection) -> None:
            query = "SELECT record FROM runs WHERE number = ? AND epoch = ?"
            row = connection.execute(query, (owned.number, owned.epoch)).fetchone()
            if row is None:
                raise JournalError(f"another drive has taken over the run {owned.run}")
            stored = msgspec.json.decode(row[0], type=StoredRecord)
            before = StoredProgram(until_ms, stored.files)
            changed = msgspec.structs.replace(
                stored, files=hashes, earlier=[*stored.earlier, before]
            )
            connection.executemany(INSERT_BLOB, blobs)
            connection.execute(
                "UPDATE runs SET record = ? WHERE number = ?",
                (msgspec.json.encode(changed), owned.number),
            )

        await self._use().do(change)

    def release(self) -> None:
        """See `Ownership.release`."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.release(self._owned)
            self._released(self)

    def _use(self) -> Writer:
        if self._writer is None:
            raise JournalError(f"the run {self.run} has been released, or the journal is closed")
        return self._writer


def status_after(events: Sequence[Event]) -> tuple[Any, ...] | None:
    """The status, end, reason and bound of a run after events, or None if they change nothing."""
    update: tuple[Any, ...] | None = None
    for event in events:
        if isinstance(event, RunEnded):
            update = (event.status, clock.wall_ms(), event.reason, event.bound)
        elif isinstance(event, (RunResumed, RunForked, RunRetried)):
            update = ("running", None, "", None)
    return update


def as_blobs(files: Mapping[str, str]) -> tuple[dict[str, str], list[tuple[bytes, bytes]]]:
    """The addresses (hex) of texts by path, and the texts as rows of `blobs`."""
    hashes: dict[str, str] = {}
    blobs: list[tuple[bytes, bytes]] = []
    for name, text in files.items():
        data = text.encode(errors="surrogatepass")
        blobs.append((hash_of(data), data))
        hashes[name] = hash_of(data).hex()
    return hashes, blobs
