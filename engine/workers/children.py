"""The processes that this engine has started and that must not outlive it.

A program gets a place in a table before it starts, and is started with the place's variable in its
environment. The table is a file without a name, which the watcher (`engine.workers.watcher`) has
open too. The watcher sleeps until this process ends, in whatever way, so a call costs neither a
message nor a wake-up. Invariant: a program is in the table from before its start until after its
end.

One watcher serves the process, whatever number of runs and event loops it has. It is started with
the first program, started again if it was killed, and waited for when the interpreter exits.
"""

from __future__ import annotations

import atexit
import errno
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from types import TracebackType

from engine.workers import watcher
from engine.workers.watcher import GROUPLESS, SLOT, VARIABLE, now_ns

__all__ = ["Held"]

#: How long the watcher may take to end the rest when the interpreter exits: it bounds itself.
_EXIT_S = watcher.GRACE_S + watcher.PATIENCE_S + 1.0

#: What ends a group of processes, or a whole service: the watcher has work to do then.
_NOT_FOR_IT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Held:
    """A place in the table, for one program; a context manager around its life.

    Args:
        mark: What it is started for; see `engine.runtime.marks`.

    Attributes:
        environment: What to add to the program's environment.

    Raises:
        OSError: On entering: no watcher can be started.
    """

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._table = _table()
        self._slot = -1
        self._number = 0
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Held:
        self._slot, self._number = self._table.enter()
        self.environment = {VARIABLE: f"{self._mark}@{self._table.engine}.{self._number}"}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._table.leave(self._slot)

    def runs(self, group: int = GROUPLESS) -> None:
        """Say that the program has started, and which process group it leads, if that is known."""
        self._table.write(self._slot, self._number, group)


class _Table:
    """The table, and the watcher that reads it in the end."""

    def __init__(self) -> None:
        self.engine = secrets.token_hex(6)
        self._lock = threading.Lock()
        self._descriptor = _nameless_file()
        self._free: list[int] = []
        self._slots = 0
        self._numbers = 0
        self._watcher: subprocess.Popen[bytes] | None = None
        self._pipe = -1

    def enter(self) -> tuple[int, int]:
        """Take a slot for a program that is about to start; the slot and the program's number."""
        with self._lock:
            if self._watcher is None or self._watcher.poll() is not None:
                self._watch()
            self._numbers += 1
            if self._free:
                slot = self._free.pop()
            else:
                slot = self._slots
                self._slots += 1
            self.write(slot, self._numbers, 0)
            return slot, self._numbers

    def leave(self, slot: int) -> None:
        """Give a slot back."""
        with self._lock:
            self.write(slot, 0, 0)
            self._free.append(slot)

    def write(self, slot: int, number: int, group: int) -> None:
        """Fill a slot."""
        os.pwrite(self._descriptor, SLOT.pack(number, group, now_ns()), slot * SLOT.size)

    def _watch(self) -> None:
        """Start the watcher. It gets no descriptor but its two, above all no lock of a journal."""
        if self._pipe != -1:
            os.close(self._pipe)
        read_end, self._pipe = os.pipe()
        # An engine that is itself started by a command must not lose its watcher with the mark.
        environment = {k: v for k, v in os.environ.items() if k != VARIABLE}
        # What is blocked here is blocked there from its first moment on. In this thread a signal
        # waits as long.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_FOR_IT)
        try:
            self._watcher = subprocess.Popen(  # noqa: S603 - our own script
                [sys.executable, "-P", "-S", watcher.__file__, self.engine],
                stdin=read_end,
                stdout=self._descriptor,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            why = f"the process that would end it with the engine cannot be started: {error}"
            raise OSError(errno.ECHILD, why) from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(read_end)

    def close(self) -> None:
        """Let the watcher end the rest, and wait for it."""
        if self._watcher is None:
            return
        os.close(self._pipe)
        self._pipe = -1
        try:
            self._watcher.wait(_EXIT_S)
        except subprocess.TimeoutExpired:
            self._watcher.kill()
            self._watcher.wait()
        self._watcher = None

    def let_go(self) -> None:
        """In a process that was forked: leave watcher and table to the parent. One that kept the
        pipe would be taken for the engine, and may outlive it."""
        for descriptor in (self._pipe, self._descriptor):
            if descriptor != -1:
                os.close(descriptor)
        self._descriptor = self._pipe = -1
        if self._watcher is not None:
            self._watcher.returncode = 0  # it is not a child of this process


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):  # Linux: also where no folder can be written
        return os.memfd_create("orch-children")
    descriptor, path = tempfile.mkstemp(prefix="orch-children-")
    os.unlink(path)
    return descriptor


_present: _Table | None = None
_making = threading.Lock()


def _table() -> _Table:
    global _present
    with _making:
        if _present is None:
            _present = _Table()
        return _present


def _let_go_in_child() -> None:
    global _present, _making
    _making = threading.Lock()
    if _present is not None:
        _present.let_go()
        _present = None


def _close_at_exit() -> None:
    if _present is not None:
        _present.close()


os.register_at_fork(after_in_child=_let_go_in_child)
atexit.register(_close_at_exit)
