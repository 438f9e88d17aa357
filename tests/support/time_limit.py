"""A pytest plugin: a test that takes too long fails with the stacks of all that hangs.

Setup, call and teardown of a test each have LIMIT_S seconds, `ORCH_TEST_LIMIT_S` or what the marker
`time_limit(seconds)` says. Then, in this order:

1. An alarm dumps the stacks of all threads. Processes that were started since the test began are
   aborted from the leaves up; where they are Python, they print their stacks first. The test fails
   with all of that as its message, and the next test runs.
2. Where that does not end it (C code that never returns, an exception that is swallowed, a thread
   that is waited for), GRACE_S seconds later a thread of faulthandler's prints the stacks and ends
   this process. Under xdist that fails this test as a crash, and others go on in a new process.

The limit is no measure of speed: it is far above what a test needs on a loaded machine.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from types import FrameType

import pytest

#: Seconds that one phase of a test may take.
LIMIT_S = float(os.environ.get("ORCH_TEST_LIMIT_S", "180"))
#: Seconds between the failure of a test that hangs and the end of its process.
GRACE_S = 30.0
#: Seconds that an aborted process has to print its stacks.
_ABORT_S = 2.0
_MAX_OUTPUT_BYTES = 20_000

_stderr = pytest.StashKey[int]()

# For programs under test that are Python: they print their stacks when they are aborted.
os.environ.setdefault("PYTHONFAULTHANDLER", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Keep standard error as it is before output is captured."""
    config.addinivalue_line("markers", "time_limit(seconds): what each phase may take")
    config.stash[_stderr] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give it back."""
    os.close(config.stash[_stderr])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Limit the fixtures of a test."""
    with _limited(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Limit the test itself."""
    with _limited(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Limit the ends of its fixtures."""
    with _limited(item):
        return (yield)


@contextlib.contextmanager
def _limited(item: pytest.Item) -> Generator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    marker = item.get_closest_marker("time_limit")
    limit_s = float(marker.args[0]) if marker else LIMIT_S
    began_s = time.clock_gettime(_SINCE_BOOT)
    said: list[str] = []

    def over(number: int, frame: FrameType | None) -> None:
        said.append(f"still running after {limit_s:g} s\n{_stacks()}\n{_abort_children(began_s)}")
        pytest.fail(said[0], pytrace=False)

    before = signal.signal(signal.SIGALRM, over)
    faulthandler.dump_traceback_later(limit_s + GRACE_S, exit=True, file=item.config.stash[_stderr])
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)
    if said:  # the test swallowed the failure
        pytest.fail(said[0], pytrace=False)


def _stacks() -> str:
    """The stacks of all threads of this process."""
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read().decode(errors="replace")


# --- processes ---------------------------------------------------------------------------------

#: The clock by which Linux notes when processes start; elsewhere there is no such list.
_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _abort_children(began_s: float) -> str:
    """End the processes below this one that were started since; what they say, stacks included."""
    said = []
    for process in reversed(_started_since(began_s)):
        said.append(f"process {process.name}: {_words(process)}\n{_abort(process)}")
    return "\n".join(said)


def _words(process: Path) -> str:
    """The command line of a process, for a person."""
    try:
        text = process.joinpath("cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return "has ended"
    return text.decode(errors="replace")[:500]


def _started_since(began_s: float) -> list[Path]:
    """Folders in /proc of descendants of this process, parents first; empty without /proc."""
    below: dict[int, list[tuple[int, Path]]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = folder.joinpath("stat").read_text().rpartition(")")[2].split()
            started_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")
            below.setdefault(int(fields[1]), []).append((started_s, folder))
    found: list[Path] = []
    waiting = [os.getpid()]
    while waiting:
        for started_s, folder in below.get(waiting.pop(0), ()):
            waiting.append(int(folder.name))
            if started_s >= began_s - 0.01:
                found.append(folder)
    return found


def _abort(process: Path) -> str:
    """Abort a process, then kill it; what it had written to a pipe as its standard error."""
    pid = int(process.name)
    pipe = _error_pipe(process)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGABRT)
    output = b""
    until_s = time.monotonic() + _ABORT_S
    while time.monotonic() < until_s and _is_running(process):
        output += _read(pipe)
        time.sleep(0.02)
    output += _read(pipe)
    if pipe is not None:
        os.close(pipe)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
    return output[-_MAX_OUTPUT_BYTES:].decode(errors="replace")


def _error_pipe(process: Path) -> int | None:
    """The pipe that a process writes its errors to, opened once more for reading."""
    error = process / "fd" / "2"
    try:
        if not os.readlink(error).startswith("pipe:"):
            return None
        return os.open(error, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None


def _read(pipe: int | None) -> bytes:
    if pipe is None:
        return b""
    try:
        return os.read(pipe, 1 << 20)
    except BlockingIOError:
        return b""


def _is_running(process: Path) -> bool:
    try:
        state = process.joinpath("stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
