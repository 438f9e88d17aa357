"""The thread that writes a database; there is one for each.

All callers pass jobs to it. Whenever it is free, it takes all waiting jobs and writes them in one
transaction. So a hundred runs share one wait for the disk, and no job is delayed on purpose. A
caller is notified only after the commit.

If storage fails, the writer fails permanently: the transaction is rolled back, and every later job
gets the error, so nothing more is spent. There is one exception. When the disk is full for the
first time, a reserve is released, and its space is used only to record what has finished. Intents
to start something are refused from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from engine.errors import InternalError, JournalError
from engine.journal.lock import FileLock
from engine.journal.plain import refuse_rollback, refuse_unless_plain
from engine.journal.rows import START_TYPE, Row, format_needed
from engine.journal.storage import (
    full,
    is_full,
    open_writer,
    raise_format,
    refuse_damaged_log,
    translated,
)
from engine.journal.trust import Trust
from engine.reading import open_plain

__all__ = ["INSERT_BLOB", "UPDATE_RUN", "Owned", "Writer", "has_start", "insert_rows"]

_RESERVE_BYTES = 128 * 1024
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_INSERT_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)"
_DISOWN = "UPDATE runs SET pid = 0 WHERE number = ? AND epoch = ? AND status = 'running'"
INSERT_BLOB = "INSERT OR IGNORE INTO blobs VALUES (?, ?)"
UPDATE_RUN = "UPDATE runs SET status = ?, ended_ms = ?, reason = ?, bound = ? WHERE number = ?"


class Owned:
    """A run that one drive owns: its number in the database, and the epoch of the claim.

    Attributes:
        run: The run's id.
        number: Its number in the database; 0 before it is entered or claimed.
        epoch: The epoch of this claim; a claim with a lower one can write no more.
        next: The number of the event that is written next.
        runs: Whether the run neither waits nor has ended, by the last status that was written.
    """

    __slots__ = ("epoch", "next", "number", "run", "runs")

    def __init__(self, run: str) -> None:
        self.run = run
        self.number = 0
        self.epoch = 0
        self.next = 1
        self.runs = True


class _Job:
    """Something to be written, and who waits for it: rows of a run, or an action, or a run that
    is returned."""

    __slots__ = (
        "action",
        "error",
        "future",
        "given_back",
        "loop",
        "owned",
        "result",
        "rows",
        "starts",
        "update",
    )

    def __init__(self, future: asyncio.Future[Any] | None) -> None:
        self.future = future
        self.loop = None if future is None else future.get_loop()
        self.owned: Owned | None = None
        self.rows: Sequence[Row] = ()
        self.update: tuple[Any, ...] | None = None
        self.action: Callable[[sqlite3.Connection], Any] | None = None
        self.starts = False
        self.given_back: Owned | None = None
        self.result: Any = None
        self.error: Exception | None = None


class Writer:
    """Writes one database whose lock is held; the lock is released at the end.

    Raises:
        JournalError: The database cannot be opened for writing, or is not to be trusted.
    """

    def __init__(self, path: Path, lock: FileLock, busy_ms: int, trust: Trust) -> None:
        self.path = path
        self._lock = lock
        self._trust = trust
        self._reserve = path.with_name(path.name + ".reserve")
        self._failure: JournalError | None = None
        self._low = False
        #: Who may write a run, by the run's number; an entry goes when its drive ends.
        self._owners: dict[int, Owned] = {}
        #: What a transaction has changed there, for the case that it is undone.
        self._before: list[tuple[int, Owned | None]] = []
        self._pid = os.getpid()
        self._closed = False
        #: Held to put a job, so that none comes behind the end and waits forever.
        self._closing = threading.Lock()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._put_so_far = 0
        self._done_so_far = 0
        trust.admit(path)
        try:
            refuse_rollback(path)
            refuse_damaged_log(path)
            self._connection = open_writer(path, busy_ms, trust.enter)
            try:
                _make_reserve(self._reserve, path)
                self._files = _Files(path)
                self._version = self._data_version()
            except BaseException:
                self._connection.close()
                raise
        except BaseException:
            trust.leave(path)
            raise
        self._thread = threading.Thread(target=self._work, name="orch-journal", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------ the callers' side

    async def do(self, action: Callable[[sqlite3.Connection], Any], *, starts: bool = False) -> Any:
        """Run `action` inside a transaction, and give what it gives when it is durable.

        Args:
            starts: It writes intents to start something, and is refused when the disk is full.
        """
        future = asyncio.get_running_loop().create_future()
        job = _Job(future)
        job.action = action
        job.starts = starts
        self._put(job)
        return await future

    async def append(
        self, owned: Owned, rows: Sequence[Row], update: tuple[Any, ...] | None
    ) -> None:
        """Write rows at the end of a run; `update` is its new status, end, reason and bound."""
        future = asyncio.get_running_loop().create_future()
        job = _Job(future)
        job.owned = owned
        job.rows = rows
        job.update = update
        self._put(job)
        await future

    def release(self, owned: Owned) -> None:
        """Give a run back, after what was put before is written. Does not wait."""
        job = _Job(None)
        job.given_back = owned
        with contextlib.suppress(JournalError):  # closed or failed: the lock is released soon
            self._put(job)

    def _put(self, job: _Job) -> None:
        if self._failure is not None:
            raise _same(self._failure)
        if os.getpid() != self._pid:
            raise JournalError(
                "the journal was opened by the process that this one was forked off",
                help="open another one here",
            )
        with self._closing:
            if self._closed:
                raise JournalError("the journal is closed")
            self._put_so_far += 1
            self._jobs.put(job)

    @property
    def is_idle(self) -> bool:
        """Whether everything that was put is written, and whoever waits for it has been told."""
        return self._put_so_far == self._done_so_far

    def close(self) -> None:
        """Write what waits, close the database and give the lock back."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()

    # ------------------------------------------------------------ the thread's side

    def _work(self) -> None:
        going = True
        while going:
            jobs, going = self._batch()
            if jobs:
                self._drain(jobs)
                _report(jobs)
                self._done_so_far += len(jobs)
                jobs.clear()  # what they hold must not live until the next one comes
        try:
            self._connection.close()
        except sqlite3.Error:
            self._failure = self._failure or JournalError(f"{self.path} could not be closed")
        self._trust.leave(self.path)
        self._lock.release()

    def _batch(self) -> tuple[list[_Job], bool]:
        """All jobs that wait, at least one; and whether there will be more."""
        # There is no timer that collects jobs: while one commit waits for the disk, others queue
        # up, and the next commit takes all of them. A delay would only slow down a single run.
        batch = [self._jobs.get()]
        try:
            while True:
                batch.append(self._jobs.get_nowait())
        except Empty:
            pass
        jobs = [job for job in batch if job is not None]
        return jobs, len(jobs) == len(batch)

    def _drain(self, jobs: list[_Job]) -> None:
        """Write all jobs in one transaction; if that fails, each in one of its own."""
        if all(job.given_back is not None and not job.given_back.runs for job in jobs):
            self._forget(jobs)
            return
        if self._failure is None and not self._low and self._write(jobs):
            return
        # One bad job (a taken-over run, a second end of an attempt) fails the transaction of all.
        # Written alone, only that job fails, and the runs that share the commit do not notice.
        for job in jobs:
            if self._failure is None:
                self._write_alone(job)
            else:
                job.error = _same(self._failure)

    def _write(self, jobs: list[_Job]) -> bool:
        try:
            self._transaction(jobs)
        except Exception:
            return False
        return True

    def _write_alone(self, job: _Job) -> None:
        """Write one job, and find out whether it or the database is at fault."""
        for _ in range(2):
            refused = False
            if self._low and job.starts:
                job.error = full(self.path)
                return
            if self._low and has_start(job.rows):
                refused = True
                job.rows = [row for row in job.rows if row.type != START_TYPE]
            try:
                self._transaction([job])
            except JournalError as error:
                job.error = error
            except sqlite3.IntegrityError as error:
                job.error = _integrity(error, job)
            except sqlite3.Error as error:
                if job.given_back is not None:
                    self._forget([job])  # the list of runs may be wrong, no more
                    return
                if is_full(error) and not self._low:
                    self._low = True
                    self._reserve.unlink(missing_ok=True)
                    continue
                self._failure = job.error = translated(error, self.path)
            except Exception as error:  # the thread must live, for other callers wait for it
                said = f"{type(error).__name__}: {error}"
                job.error = InternalError(f"the journal {self.path} could not be written: {said}")
            else:
                job.error = full(self.path) if refused else None
            return

    def _transaction(self, jobs: list[_Job]) -> None:
        connection = self._connection
        pending = _Pending()
        self._check_files()
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._check_epochs()
            for job in jobs:
                self._carry_out(job, pending)
            pending.write(connection)
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # some errors have ended it already
                connection.execute("ROLLBACK")
            for number, owner in reversed(self._before):
                self._owners.pop(number, None)
                if owner is not None:
                    self._owners[number] = owner
            self._before.clear()
            pending.undo()
            raise
        self._before.clear()
        self._check_files()

    def _carry_out(self, job: _Job, pending: _Pending) -> None:
        """Do a job's part of a transaction."""
        if job.action is not None:
            # It may ask what the run's last event is: those before it go first.
            pending.write(self._connection)
            job.result = job.action(self._connection)
        elif job.given_back is not None:
            owned = job.given_back
            if self._owners.get(owned.number) is owned:
                self._set_owner(owned.number, None)
            if owned.runs:
                # Interrupted: without this it would count as driven while this process lives.
                self._connection.execute(_DISOWN, (owned.number, owned.epoch))
        elif job.owned is not None:
            owned = job.owned
            if self._owners.get(owned.number) is not owned:
                raise _taken_over(owned.run)
            pending.add(owned, job.rows)
            if job.update is not None:
                self._connection.execute(UPDATE_RUN, (*job.update, owned.number))
                owned.runs = job.update[0] == "running"

    def _check_files(self) -> None:
        """Before a write, which would hide that a file was cut short, and after it, for it may
        have gone into a deleted file."""
        if not self._files.are_whole():
            self._failure = JournalError(
                f"the journal was deleted, replaced or cut short while it was in use: {self.path}",
                help="what was written since then may be lost; `orch show` shows the rest",
                resumable=False,
            )
            raise _same(self._failure)

    def _check_epochs(self) -> None:
        """Read the epochs again if another connection has written (none may, but see flock)."""
        version = self._data_version()
        if version != self._version:
            self._version = version
            known = ",".join(map(str, self._owners))
            rows = self._connection.execute(
                f"SELECT number, epoch FROM runs WHERE number IN ({known})"  # noqa: S608 - ints
            )
            epochs = dict(rows)
            for number, owned in list(self._owners.items()):
                if epochs.get(number) != owned.epoch:
                    del self._owners[number]

    def _data_version(self) -> int:
        version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return version

    def own(self, owned: Owned, number: int, epoch: int, next_seq: int) -> None:
        """Take note of a run that was entered or claimed; called from inside an action."""
        owned.number = number
        owned.epoch = epoch
        owned.next = next_seq
        self._set_owner(number, owned)

    def _forget(self, jobs: list[_Job]) -> None:
        """Take note of runs that were released, outside of a transaction."""
        for job in jobs:
            owned = job.given_back
            if owned is not None and self._owners.get(owned.number) is owned:
                del self._owners[owned.number]

    def _set_owner(self, number: int, owned: Owned | None) -> None:
        self._before.append((number, self._owners.pop(number, None)))
        if owned is not None:
            self._owners[number] = owned


class _Pending:
    """The rows of a transaction that are not yet in the database."""

    def __init__(self) -> None:
        self._events: list[tuple[Any, ...]] = []
        self._blobs: list[tuple[Any, ...]] = []
        self._before: dict[Owned, int] = {}

    def add(self, owned: Owned, rows: Sequence[Row]) -> None:
        self._before.setdefault(owned, owned.next)
        number = owned.number
        for seq, row in enumerate(rows, owned.next):
            self._events.append((number, seq, row.type, row.end, row.blob, row.body))
            if row.blob is not None:
                self._blobs.append((row.blob, row.data))
        owned.next += len(rows)

    def write(self, connection: sqlite3.Connection) -> None:
        if self._blobs:
            connection.executemany(INSERT_BLOB, self._blobs)
        if self._events:
            raise_format(connection, format_needed(row[2] for row in self._events))
            connection.executemany(_INSERT_EVENT, self._events)
        self._events.clear()
        self._blobs.clear()

    def undo(self) -> None:
        """The transaction was undone: the same numbers are to be used again."""
        for owned, seq in self._before.items():
            owned.next = seq


def _taken_over(run: str) -> JournalError:
    return JournalError(
        f"another drive has taken over the run {run}",
        help="it continues there; `orch show` shows how far it has come",
        resumable=False,
    )


def has_start(rows: Sequence[Row]) -> bool:
    """Whether there is an intent to start something among rows."""
    return any(row.type == START_TYPE for row in rows)


def insert_rows(connection: sqlite3.Connection, number: int, seq: int, rows: Sequence[Row]) -> None:
    """Insert events of a run, the first of them under the number `seq`."""
    blobs = [(row.blob, row.data) for row in rows if row.blob is not None]
    connection.executemany(INSERT_BLOB, blobs)
    raise_format(connection, format_needed(row.type for row in rows))
    connection.executemany(
        _INSERT_EVENT,
        [(number, at, row.type, row.end, row.blob, row.body) for at, row in enumerate(rows, seq)],
    )


def _report(jobs: list[_Job]) -> None:
    """Wake the callers: one call into each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        if job.loop is not None:
            by_loop.setdefault(job.loop, []).append(job)
    for loop, its_jobs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, its_jobs)
        except RuntimeError:  # the loop is closed: no caller waits any more
            continue


def _settle(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future is None or job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)


def _same(error: JournalError) -> JournalError:
    """A new exception: one object raised for many callers would collect all their frames."""
    return JournalError(str(error), help=error.help, resumable=error.resumable)


def _integrity(error: sqlite3.IntegrityError, job: _Job) -> JournalError:
    run = job.owned.run if job.owned is not None else "?"
    if "events.end" in str(error):
        return JournalError(f"a call of the run {run} would end a second time")
    return JournalError(f"the journal refused an event of the run {run}: {error}")


class _Files:
    """Notices when the database or its log is taken away or cut short under us.

    SQLite continues writing to a file without a name, and reads what was cut off from its memory:
    all would seem well until the process ends. Neither file ever shrinks while we have it open.
    """

    def __init__(self, path: Path) -> None:
        self._known = [(name, os.lstat(name)) for name in (path, f"{path}-wal")]

    def are_whole(self) -> bool:
        """Whether both files are there still, with all that they had when it was last asked."""
        found = []
        for name, before in self._known:
            try:
                now = os.lstat(name)
            except OSError:
                return False
            if not os.path.samestat(now, before) or now.st_size < before.st_size:
                return False
            found.append((name, now))
        self._known = found
        return True


def _make_reserve(reserve: Path, path: Path) -> None:
    """Keep some room on the disk for the results that come in when it is full."""
    refuse_unless_plain(reserve)
    try:
        with contextlib.suppress(FileNotFoundError):
            if reserve.lstat().st_size == _RESERVE_BYTES:
                return
            reserve.unlink()
        descriptor = open_plain(reserve, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with open(descriptor, "wb") as file:
            # Random, so that no file system can compress the room away.
            file.write(os.urandom(_RESERVE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        reserve.unlink(missing_ok=True)
        if error.errno in _NO_SPACE:
            raise full(path) from None
        raise JournalError(f"the journal cannot be written: {reserve}: {error.strerror}") from None
