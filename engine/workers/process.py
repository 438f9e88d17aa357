"""Runs one program to its end: its output bounded, its whole process group killable.

The program leads a session of its own. Its output comes through pipes that this module holds
itself, so that the end of the program, and not the end of the pipe, ends the call: a grandchild
that keeps the pipe open cannot hang it. Whatever way `run_process` is left (an exit, too much
output, a cancel), the program has been waited for and nothing is left open. If the engine is killed
first, its watcher ends the program (`engine.workers.children`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import msgspec

from engine.workers.children import Held

__all__ = ["Finished", "OutputTooLarge", "Tail", "run_process"]

#: How long a process group has, after SIGTERM, before SIGKILL.
GRACE_S = 2.0

_SPACE = re.compile(rb"\s")
_CHUNK = 65_536
# More than a pipe can hold, so that a grandchild who writes without end cannot hold up a drain.
_MOST_CHUNKS = 64


class Finished(msgspec.Struct, frozen=True):
    """How a program ended. `stderr` is its last part only; a signal is a negative code."""

    returncode: int
    stdout: bytes
    stderr: bytes


class OutputTooLarge(Exception):
    """The program wrote more to its standard output than it may; it has been killed."""


async def run_process(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    stdin: bytes | None,
    max_bytes: int,
    keep_stderr_bytes: int = 8_192,
    mark: str = "",
) -> Finished:
    """Run a program and wait for its end.

    Args:
        stdin: What it reads; None for an empty standard input.
        max_bytes: How much it may write to its standard output.
        mark: The attempt it is started for; see `engine.runtime.marks`.

    Raises:
        OSError: It could not be started.
        ValueError: An argument holds a NUL.
        OutputTooLarge: It wrote more than `max_bytes`.
        asyncio.CancelledError: The caller was cancelled; the process group is dead.
    """
    with (
        _Output(max_bytes) as stdout,
        Tail(keep_stderr_bytes) as stderr,
        _input(stdin) as source,
        Held(mark) as held,
    ):
        process = _start(argv, source, stdout, stderr, cwd, {**env, **held.environment})
        held.runs(process.pid)
        exited = _exit_of(process)
        stdout.listen()
        stderr.listen()
        try:
            await asyncio.wait((exited, stdout.full), return_when=asyncio.FIRST_COMPLETED)
            if not exited.done():
                raise OutputTooLarge
        except BaseException:
            await _kill(process.pid, exited)
            raise
        # All that the program itself wrote is in the pipes now. A process that holds them open
        # still is a process it left behind in its group.
        at_end = [stdout.drain(), stderr.drain()]
        if not all(at_end):
            _signal_group(process.pid, signal.SIGKILL)
        if stdout.full.done():
            raise OutputTooLarge
        return Finished(exited.result(), stdout.value(), stderr.value())


def _start(
    argv: Sequence[str],
    source: IO[bytes] | None,
    stdout: _Pipe,
    stderr: _Pipe,
    cwd: str,
    env: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Start the program, without an await: until the caller has told its process group to the
    watcher, it can neither be cancelled nor run anything else."""
    try:
        return subprocess.Popen(  # noqa: S603 - what the workflow says
            argv,
            stdin=source or subprocess.DEVNULL,
            stdout=stdout.write_end,
            stderr=stderr.write_end,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
    finally:
        stdout.close_write_end()
        stderr.close_write_end()


def _exit_of(process: subprocess.Popen[bytes]) -> asyncio.Future[int]:
    """The exit code of a program, once it has ended and has been waited for."""
    loop = asyncio.get_running_loop()
    exited: asyncio.Future[int] = loop.create_future()
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, or an old one

        def wait() -> None:
            code = _reap(process)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_set, exited, code)

        threading.Thread(target=wait, name="orch-wait", daemon=True).start()
    else:

        def readable() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            _set(exited, _reap(process))

        loop.add_reader(descriptor, readable)
    return exited


def _set(future: asyncio.Future[int], code: int) -> None:
    if not future.done():
        future.set_result(code)


def _reap(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a program; its exit code."""
    try:
        _, status = os.waitpid(process.pid, 0)
    except ChildProcessError:
        # Something else in this process has waited for it. An unknown exit code is not a success.
        process.returncode = 255
    else:
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


async def _kill(group: int, exited: asyncio.Future[int]) -> None:
    """End a process group: SIGTERM, a short grace, SIGKILL. A second cancel ends the grace."""
    _signal_group(group, signal.SIGTERM)
    try:
        await asyncio.wait((exited,), timeout=GRACE_S)
    finally:
        _signal_group(group, signal.SIGKILL)
        while not exited.done():
            try:
                await asyncio.shield(exited)
            except asyncio.CancelledError:  # SIGKILL has been sent: the end is near
                continue


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # all gone (macOS says EPERM for zombies)
        return


class _Pipe:
    """The read end of a pipe, emptied by the event loop."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._loop = asyncio.get_running_loop()
        self._listening = False
        self._at_end = False

    def __enter__(self) -> _Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_listening()
        self.close_write_end()
        os.close(self._read_end)

    def close_write_end(self) -> None:
        if self.write_end != -1:
            os.close(self.write_end)
            self.write_end = -1

    def listen(self) -> None:
        self._listening = True
        self._loop.add_reader(self._read_end, self._read_some)

    def _stop_listening(self) -> None:
        if self._listening:
            self._listening = False
            self._loop.remove_reader(self._read_end)

    def drain(self) -> bool:
        """Take what is in the pipe now; whether its end was reached."""
        self._stop_listening()
        for _ in range(_MOST_CHUNKS):
            if self._at_end or not self._read_some():
                break
        return self._at_end

    def _read_some(self) -> bool:
        try:
            data = os.read(self._read_end, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._at_end = True
            self._stop_listening()
            return False
        return self._take(data)

    def _take(self, data: bytes) -> bool:
        """Keep `data`; whether there is a point in reading on."""
        raise NotImplementedError


class _Output(_Pipe):
    """Keeps all of it, up to a bound; `full` is done when there was more."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._room = max_bytes
        self._chunks: list[bytes] = []
        self.full: asyncio.Future[None] = self._loop.create_future()

    def __enter__(self) -> _Output:
        return self

    def _take(self, data: bytes) -> bool:
        self._room -= len(data)
        if self._room < 0:
            self._chunks.clear()
            self._stop_listening()
            if not self.full.done():
                self.full.set_result(None)
            return False
        self._chunks.append(data)
        return True

    def value(self) -> bytes:
        return b"".join(self._chunks)


class Tail(_Pipe):
    """Keeps the last part of what is written to `write_end`."""

    def __init__(self, keep_bytes: int) -> None:
        super().__init__()
        self._keep = keep_bytes
        self._is_cut = False
        self._size = 0
        self._chunks: deque[bytes] = deque()

    def __enter__(self) -> Tail:
        return self

    def _take(self, data: bytes) -> bool:
        self._chunks.append(data)
        self._size += len(data)
        while self._size - len(self._chunks[0]) >= self._keep:
            self._size -= len(self._chunks.popleft())
            self._is_cut = True
        return True

    def value(self) -> bytes:
        """The last part, as far as it has been read."""
        whole = b"".join(self._chunks)
        kept = whole[-self._keep :]
        if not self._is_cut and len(kept) == len(whole):
            return kept
        # It may begin in the middle of a secret, which would not be recognised.
        word = _SPACE.search(kept, 0, len(kept) // 2)
        return kept[word.end() if word else len(kept) // 2 :]


@contextlib.contextmanager
def _input(data: bytes | None) -> Iterator[IO[bytes] | None]:
    """What the program reads: a file without a name, so that no pipe must be fed."""
    if data is None:
        yield None
        return
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file
