"""What the runs of a journal have spent, and what is set aside for calls under way.

One small SQLite database in the journal's folder, made when the first spending window is in force.
All processes write it, so it has a rollback journal and no write-ahead log (see `sqlite`), and each
reservation is one transaction: two processes can never set aside more than a window has left.

Crash safety: a reservation is durable before its call starts and is released only when the call's
cost is known. What a killed process leaves stays counted in full: its call may have been billed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from engine.errors import JournalError
from engine.journal.plain import refuse_special
from engine.journal.storage import translated
from engine.spending_windows import Spender, Window

__all__ = ["Full", "SpendingLedger"]

_FILE = "spending.db"
#: What is settled is kept by spans of this length: any time zone's midnight begins one.
_SPAN_MS = 15 * 60 * 1000
#: How long to wait for another process's transaction, in seconds.
_BUSY_S = 30.0

_TABLES = """
CREATE TABLE IF NOT EXISTS spent (
    span INTEGER NOT NULL,
    workflow TEXT NOT NULL,
    labels TEXT NOT NULL,
    model TEXT NOT NULL,
    usd INTEGER NOT NULL,
    PRIMARY KEY (span, workflow, labels, model)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reserved (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    workflow TEXT NOT NULL,
    labels TEXT NOT NULL,
    model TEXT NOT NULL,
    usd INTEGER NOT NULL,
    run TEXT NOT NULL,
    key TEXT NOT NULL
);
"""


class Full(msgspec.Struct, frozen=True):
    """A window that has no room for a call, in micro-dollars.

    Attributes:
        window: The window.
        spent: What has been spent in it.
        reserved: What is set aside in it, for calls under way or after a crash.
        passing: How much of that is for calls that may still be under way.
    """

    window: Window
    spent: int
    reserved: int
    passing: int


class SpendingLedger:
    """The spending of a journal's runs; one object a thread.

    Args:
        folder: The journal's folder, which is there.

    Raises:
        JournalError: It cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        refuse_special(self._path)
        try:
            self._connection = sqlite3.connect(
                self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise translated(error, self._path) from None
        try:
            self._refuse_code()
            for statement in _TABLES.split(";"):
                self._connection.execute(statement)
        except BaseException as error:
            self._connection.close()
            if isinstance(error, sqlite3.Error):
                raise translated(error, self._path) from None
            raise

    def _refuse_code(self) -> None:
        """Refuse views and triggers: they would compute what their author likes when we read."""
        kinds = self._connection.execute("SELECT DISTINCT type FROM sqlite_master").fetchall()
        if {"view", "trigger"} & {kind for (kind,) in kinds}:
            raise JournalError(
                f"{self._path} is a database of something else",
                help="move it away while no run is under way",
            )

    def reserve(
        self,
        windows: Sequence[Window],
        spender: Spender,
        usd: int,
        now_ms: int,
        until_ms: int,
        call: tuple[str, str],
    ) -> int | Full:
        """Set aside the most that a call can cost, in all windows that count it, or in none.

        Args:
            windows: Those in force.
            spender: Whose call it is.
            usd: The most it can cost, in micro-dollars.
            now_ms: The time, Unix milliseconds.
            until_ms: When the call is over at the latest.
            call: The run's id and the call's key, for whoever looks into the file.

        Returns:
            The reservation's number, or the window that is full.
        """
        labels = _joined(spender.labels)
        with _Transaction(self._connection, self._path):
            for window in windows:
                if window.counts(spender):
                    full = self._room(window, usd, now_ms)
                    if full is not None:
                        return full
            cursor = self._connection.execute(
                "INSERT INTO reserved (at_ms, until_ms, workflow, labels, model, usd, run, key)"
                " VALUES (?,?,?,?,?,?,?,?)",
                (now_ms, until_ms, spender.workflow, labels, spender.model, usd, *call),
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid

    def _room(self, window: Window, usd: int, now_ms: int) -> Full | None:
        spent, reserved, passing = self._totals(window, now_ms)
        if spent + reserved + usd <= window.limit_usd:
            return None
        return Full(window, spent, reserved, passing)

    def _totals(self, window: Window, now_ms: int) -> tuple[int, int, int]:
        began = window.begin(now_ms)
        spent = self._sum(
            window,
            "SELECT workflow, labels, model, sum(usd) FROM spent WHERE span >= ?"
            " GROUP BY workflow, labels, model",
            (began,),
        )
        held = (
            "SELECT workflow, labels, model, sum(usd) FROM reserved WHERE at_ms >= ?"
            " AND until_ms >= ? GROUP BY workflow, labels, model"
        )
        reserved = self._sum(window, held, (began, 0))
        return spent, reserved, self._sum(window, held, (began, now_ms))

    def _sum(self, window: Window, query: str, values: tuple[int, ...]) -> int:
        total = 0
        for workflow, labels, model, usd in self._connection.execute(query, values):
            if window.counts(Spender(workflow, tuple(filter(None, labels.split("\n"))), model)):
                total += usd
        return total

    def settle(self, number: int, usd: int) -> None:
        """Book what a call did cost, in place of its reservation."""
        with _Transaction(self._connection, self._path):
            row = self._connection.execute(
                "DELETE FROM reserved WHERE id = ? RETURNING at_ms, workflow, labels, model",
                (number,),
            ).fetchone()
            if row is not None and usd:
                at_ms, *spender = row
                self._connection.execute(
                    "INSERT INTO spent VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE"
                    " SET usd = usd + excluded.usd",
                    (at_ms - at_ms % _SPAN_MS, *spender, usd),
                )

    def no_longer_passing(self, run: str) -> None:
        """Note that no call of a run is under way: its next drive begins. What an earlier one had
        set aside stays counted."""
        with _Transaction(self._connection, self._path):
            self._connection.execute("UPDATE reserved SET until_ms = 0 WHERE run = ?", (run,))

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


class _Transaction:
    """One transaction, alone from its first read on; undone where it fails."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def __enter__(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise translated(error, self._path) from None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self._connection.execute("COMMIT" if error is None else "ROLLBACK")
        except sqlite3.Error as failed:
            if error is None:
                raise translated(failed, self._path) from None
        if isinstance(error, sqlite3.Error):
            raise translated(error, self._path) from None


def _joined(labels: Iterable[str]) -> str:
    return "\n".join(sorted(labels))
