"""Programs do not outlive the engine that started them, however it ends.

The engine here is a process of its own, which is killed. A program holds a fifo open: its end is
there when the last process that the call has led to is dead, so no test looks at process ids, which
are used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.runtime.marks import call_mark, mark_of, server_mark
from engine.workers import children, watcher
from engine.workers.children import Held
from engine.workers.process import run_process

#: Longer than anything here takes on a busy machine.
WATCHDOG_S = 60

#: Runs one program after the other, or all at once; says which process its watcher is.
ENGINE = """
import asyncio, json, os, signal, subprocess, sys, threading
from engine.workers import children
from engine.workers.process import run_process

def run(*programs, mark="run-1/round1/taska#1"):
    async def all():
        calls = [run_process(one, cwd=".", env=os.environ, stdin=None, max_bytes=99, mark=mark)
                 for one in programs]
        together = asyncio.gather(*calls)
        asyncio.get_running_loop().call_soon(print, "started")
        await together
    asyncio.run(all())

def run_beside(*programs):
    threading.Thread(target=run, args=programs, daemon=True).start()

def wait():
    sys.stdin.read()

def watching():
    return children._table()._watcher.pid

"""


class Engine:
    """A process that runs programs, and the fifo that they hold open."""

    def __init__(self, folder: Path, script: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-c", ENGINE + textwrap.dedent(script)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def go(self) -> None:
        """Let it get past `wait()`."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()

    def end(self, number: int = signal.SIGKILL) -> None:
        self._process.send_signal(number)
        self.wait()

    def wait(self) -> int:
        return self._process.wait(WATCHDOG_S)

    def close(self) -> None:
        if self._process.poll() is None:
            self.end()
        assert self._process.stdout is not None
        self.go()
        self._process.stdout.close()


class Fifo:
    """What programs say, until the last of them is dead."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        # Until there is a writer a fifo is at its end.
        self._writer = os.open(path, os.O_WRONLY)

    def hear(self) -> list[str]:
        """What is said next."""
        heard = self._some()
        if self._writer != -1:
            os.close(self._writer)
            self._writer = -1
        return heard.decode().splitlines()

    def ends(self) -> bool:
        """Wait until no process is left that could say something."""
        return self._some() == b""

    def _some(self) -> bytes:
        assert select.select([self._descriptor], [], [], WATCHDOG_S)[0], "it lives on"
        return os.read(self._descriptor, 1000)

    def close(self) -> None:
        os.close(self._descriptor)
        if self._writer != -1:
            os.close(self._writer)


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    made = Fifo(tmp_path / "fifo")
    yield made
    made.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Engine]]:
    made: list[Engine] = []

    def start(script: str) -> Engine:
        made.append(Engine(tmp_path, script))
        return made[-1]

    yield start
    for engine in made:
        engine.close()


def shell(script: str) -> str:
    return repr(["sh", "-c", f"exec 3> fifo; {script}"])


#: Programs that say `up`, and what would keep them alive.
PROGRAMS = {
    "plain": "echo up >&3; sleep 1000",
    "with others in its group": "sleep 1000 & echo up >&3; wait",
    "without SIGTERM": "trap '' TERM; echo up >&3; while :; do sleep 1000; done",
    "stopped": "echo up >&3; kill -STOP $$; sleep 1000",
    "without its environment": "exec env -i sh -c 'echo up >&3; sleep 1000; :'",
    "in another session": f"{sys.executable} -S -c '"
    "import os, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); "
    'os.write(3, b"up\\n"); time.sleep(1000)\'; sleep 1000',
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_a_program_ends_with_an_engine_that_is_killed(start, fifo, what):
    engine = start(f"run({shell(PROGRAMS[what])})")
    assert engine.line() == "started"
    assert fifo.hear() == ["up"]
    engine.end()
    assert fifo.ends()


def test_an_mcp_server_ends_with_an_engine_that_is_killed(start, fifo):
    engine = start(
        f"""
        from engine.workers.mcp_session import Place, Session

        async def main():
            await Session(Place("kb", {shell("echo up >&3; sleep 1000")}, mark="run-1")).ready()
        asyncio.run(main())
        """
    )
    assert fifo.hear() == ["up"]
    engine.end()
    assert fifo.ends()


def test_an_engine_that_ends_in_good_order_leaves_no_watcher(start, fifo):
    engine = start(
        f"""
        run_beside({shell("echo up >&3; sleep 1000")})
        wait()
        print(watching())
        """
    )
    fifo.hear()
    assert engine.line() == "started"
    engine.go()
    watching = int(engine.line())
    assert engine.wait() == 0
    # It has been waited for, after it had ended what was under way.
    with pytest.raises(ProcessLookupError):
        os.kill(watching, 0)
    assert fifo.ends()


def test_the_watcher_holds_nothing_of_the_engine_and_heeds_no_signal(start, fifo, watchers_of):
    engine = start(
        f"""
        lock = open("lock", "w")
        run_beside({shell("echo up >&3; sleep 1000")})
        wait()
        """
    )
    fifo.hear()
    (watching,) = watchers_of(engine.pid)
    opened = set()
    for path in Path(f"/proc/{watching}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            opened.add(os.readlink(path))
    # The pipe, the table, and nothing: no lock, and no output that a reader would wait for.
    # (It may be reading a module of Python's still.)
    opened = {name for name in opened if not name.endswith((".so", ".py", ".pyc"))}
    opened = {name for name in opened if not os.path.isdir(name)}
    assert len(opened) == 3
    kinds = {re.sub(r"[:\d].*", "", os.path.basename(name)) for name in opened}
    assert kinds == {"null", "memfd", "pipe"}
    assert os.getsid(watching) == watching
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        os.kill(watching, number)
    engine.end()
    assert fifo.ends()


def test_a_watcher_that_was_killed_is_followed_by_another(start, fifo):
    engine = start(
        f"""
        run_beside({shell("echo one >&3; sleep 1000")})
        wait()
        os.kill(watching(), signal.SIGKILL)
        os.waitid(os.P_PID, watching(), os.WEXITED | os.WNOWAIT)
        run({shell("echo two >&3; sleep 1000")})
        """
    )
    assert fifo.hear() == ["one"]
    engine.go()
    assert fifo.hear() == ["two"]
    engine.end()
    assert fifo.ends()


def test_a_process_that_user_code_forks_is_not_taken_for_the_engine(start, fifo):
    engine = start(
        f"""
        run(["true"])
        if os.fork() == 0:
            print(os.getpid())
            wait()
            os._exit(0)
        run({shell("echo up >&3; sleep 1000")})
        """
    )
    fifo.hear()
    lines = [engine.line() for _ in range(3)]
    forked = next(int(line) for line in lines if line.isdigit())
    engine.end()
    assert fifo.ends()
    os.kill(forked, 0)  # it lives on


def test_a_program_finds_its_mark_in_its_environment(tmp_path):
    async def two():
        script = ["sh", "-c", "printf %s $ORCH_CALL"]
        mark = call_mark("run-1", "round 1 / decision 1 / task a", 2)
        calls = [
            run_process(script, cwd=".", env=os.environ, stdin=None, max_bytes=999, mark=mark)
            for _ in range(2)
        ]
        return [(await call).stdout.decode() for call in calls]

    values = asyncio.run(two())
    assert [mark_of(value) for value in values] == ["run-1/round1/decision1/taska#2"] * 2
    assert values[0] != values[1]
    assert server_mark(values[0], "kb") == server_mark("run-1", "kb") == "run-1/server/kb"


def test_without_a_watcher_no_program_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(children, "_present", None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    program = ["touch", str(tmp_path / "started")]
    with pytest.raises(OSError, match="the process that would end it with the engine cannot"):
        asyncio.run(run_process(program, cwd=".", env=os.environ, stdin=None, max_bytes=99))
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_has_ended_is_in_no_table(tmp_path):
    with Held("x") as held:
        held.runs(os.getpid())
        size = os.fstat(held._table._descriptor).st_size
    for _ in range(5):
        with Held("x"):
            pass
    assert watcher._table(held._table._descriptor) == []
    assert os.fstat(held._table._descriptor).st_size == size


@pytest.fixture
def sleeper() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts programs in sessions of their own, with a mark."""
    made: list[subprocess.Popen[bytes]] = []

    def sleeper(mark: str, *argv: str) -> subprocess.Popen[bytes]:
        made.append(
            subprocess.Popen(
                argv or ["sleep", "1000"],
                env={**os.environ, watcher.VARIABLE: mark},
                start_new_session=True,
            )
        )
        return made[-1]

    yield sleeper
    for process in made:
        process.kill()
        process.wait()


def test_only_what_is_marked_is_ended(sleeper):
    ours, other = sleeper("run/a#1@x.1"), sleeper("run/a#12@x.2")
    assert watcher.find(lambda mark: mark_of(mark) == "run/a#1") == [ours.pid]
    assert watcher.end(lambda mark: mark_of(mark) == "run/a#1") == []
    assert ours.wait() == -signal.SIGTERM
    assert other.poll() is None


def test_what_cannot_be_ended_is_named(sleeper):
    stubborn = sleeper("run/a#1@x.1")
    # No time for a SIGKILL: a process that the system does not let go looks the same.
    stubborn.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, stubborn.pid, os.WSTOPPED)
    left = watcher.end(lambda mark: mark == "run/a#1@x.1", grace_s=0, patience_s=-1)
    assert left == [stubborn.pid]


def test_a_group_whose_id_is_used_again_is_left_alone(sleeper):
    before = watcher.now_ns()
    later = sleeper("run/a#1@x.1")
    assert not watcher.is_led(later.pid, before - 20_000_000)
    assert watcher.is_led(later.pid, watcher.now_ns())
    assert not watcher.is_led(os.getpid(), watcher.now_ns()) or os.getsid(0) == os.getpid()


def test_marks_are_read_from_ps_where_there_is_no_proc(sleeper):
    process = sleeper("run/a#1@x.1")
    listed = subprocess.run(
        ["ps", "axeww", "-o", "pid=,args="], capture_output=True, text=True, check=True
    )
    assert (process.pid, "run/a#1@x.1") in list(watcher.marks_in(listed.stdout))
