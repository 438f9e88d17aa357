"""What a killed engine and its watcher have left running is ended when the run is taken over.

The watcher is killed too here, so that only the mark in the environment leads to the programs. They
hold a fifo open, whose end says that none is left.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchers import watchers_of

PROGRAM = """orch 1
model planner { id = "scripted/script.json" }
worker pay(n: int) -> int via command {
  run = ["sh", "pay.sh"]  effect = once  timeout = 1h
}
worker look(n: int) -> int via python { call = "tools:look"  isolate = true  effect = read }
orchestrator main() -> int {
  model = planner  goal = "pay"  workers = [pay, look]  policy { max_rounds = 3  max_parallel = 2 }
}
"""
SCRIPT = """[
  {"tasks": [
    {"id": "p", "worker": "pay", "input": {"n": 1}},
    {"id": "l", "worker": "look", "input": {"n": 1}}
  ]},
  {"finish": 7}
]"""
#: The first time each tells what its mark is, and works for ever.
PAY = """
[ -e paid ] && { echo 1; exit; }
touch paid
exec 3> fifo
echo $ORCH_CALL >&3
sleep 1000 &
wait
"""
TOOLS = """
import os, pathlib, time

def look(n):
    if pathlib.Path("looked").exists():
        return 1
    pathlib.Path("looked").touch()
    with open("fifo", "w") as fifo:
        fifo.write(os.environ["ORCH_CALL"] + "\\n")
        fifo.flush()
        time.sleep(1000)
"""
WATCHDOG_S = 60


class Till:
    """A folder in which a run was killed, with its watcher, while two programs were at work.

    Attributes:
        marks: The marks of the two, in order.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        files = {"main.orch": PROGRAM, "script.json": SCRIPT, "pay.sh": PAY, "tools.py": TOOLS}
        for name, text in files.items():
            (folder / name).write_text(text)
        os.mkfifo(folder / "fifo")
        self._fifo = os.open(folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        writer = os.open(folder / "fifo", os.O_WRONLY)  # until there is one, a fifo is at its end
        engine = subprocess.Popen(self._argv("run", "main.orch"), **self._options())
        self.marks = sorted(self._hear(2))
        os.close(writer)
        for watcher in watchers_of(engine.pid):
            os.kill(watcher, signal.SIGKILL)
        engine.kill()
        engine.communicate()

    def _argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "engine.cli", *arguments]

    def _options(self) -> dict[str, object]:
        return {
            "cwd": self._folder,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }

    def orch(self, *arguments: str) -> tuple[int, str]:
        """Exit code and standard error of a command."""
        done = subprocess.run(self._argv(*arguments), **self._options(), check=False)
        return done.returncode, done.stderr

    def _hear(self, count: int) -> list[str]:
        heard = b""
        while heard.count(b"\n") < count:
            assert select.select([self._fifo], [], [], WATCHDOG_S)[0]
            heard += os.read(self._fifo, 1000)
        return heard.decode().splitlines()

    def is_quiet(self) -> bool:
        """Whether all that worked is dead."""
        return bool(select.select([self._fifo], [], [], 0)[0]) and os.read(self._fifo, 1) == b""

    def close(self) -> None:
        os.close(self._fifo)


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    made = Till(tmp_path)
    yield made
    made.close()


@pytest.fixture
def bystander(till: Till) -> Iterator[subprocess.Popen[bytes]]:
    """What an earlier attempt of the same call left behind is not of the one that was cut off."""
    mark = till.marks[0].partition("#")[0] + "#7@x.1"
    process = subprocess.Popen(["sleep", "1000"], env={**os.environ, "ORCH_CALL": mark})
    yield process
    process.kill()
    process.wait()


def test_a_run_is_resumed_when_nothing_of_it_is_left(till, bystander):
    run = till.marks[0].partition("/")[0]
    plain = [mark.rpartition("@")[0] for mark in till.marks]
    assert plain == [f"{run}/round1/decision1/task{task}#1" for task in ("l", "p")]
    assert not till.is_quiet()
    code, stderr = till.orch("resume", "last")
    assert till.is_quiet()
    assert (code, bystander.poll()) == (5, None), stderr
    assert till.orch("approve", "last", "--not-done")[0] == 0


def test_a_gate_is_answered_when_nothing_is_left(till):
    code, stderr = till.orch("cancel", "last")
    assert till.is_quiet()
    assert code == 5, stderr
