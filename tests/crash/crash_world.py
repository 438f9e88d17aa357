"""A world: a folder with the desk's program and journal, the log of what was really done, and an
operator who starts processes there and takes up what died.

    calls/  an empty file for each call that arrived anywhere
    log     one line for each call that was carried out
    kills   lines like `7 before`, `7 after` and `7 late`: where a call kills the engine
    outlived  a line for each program that has outlived the engine
    pid     the engine's process, which was started last
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import crash_child
from crash_child import Kill
from crash_shop import Hold, Shop

from engine.cli.exit_codes import Exit
from engine.events import CallFailed, CallFinished, CallStarted, Event, RunResumed
from engine.journal import SqliteJournal

__all__ = ["OUTPUT", "UNDISTURBED", "Account", "Started", "World", "start_fork_server"]

OUTPUT = {"number": "N-1", "grams": 2000, "receipt": "C-1"}

_processes = multiprocessing.get_context("forkserver")


def start_fork_server() -> None:
    """Start the process that all others are forked from, warm."""
    _processes.set_forkserver_preload([crash_child.__name__])
    before = os.environ.get("PYTHONPATH")
    # It does not get our `sys.path`, and ignores what it cannot import.
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


#: Each line of the log with its effect and how often an undisturbed run leaves it.
UNDISTURBED = {
    "pack 1": ("read", 1),
    "pack 2": ("read", 1),
    "weigh lamp": ("pure", 1),
    "weigh vase": ("pure", 1),
    "stock lamp": ("read", 2),
    "stock vase": ("read", 2),
    "counted lamp": ("read", 1),
    "counted vase": ("read", 1),
    "price lamp": ("read", 2),
    "price vase": ("read", 2),
    "reserve lamp": ("write", 1),
    "reserve vase": ("write", 1),
    "charge": ("once", 1),
    "send": ("once", 1),
}
_LINES = {
    "task s1": "stock lamp",
    "task s2": "stock vase",
    "task p1": "price lamp",
    "task p2": "price vase",
    "task k / round 1 / decision 1": "pack 1",
    "task w1": "weigh lamp",
    "task w2": "weigh vase",
    "task k / round 2 / decision 1": "pack 2",
    "task r1": "reserve lamp",
    "task r2": "reserve vase",
    "task c": "charge",
    "task o": "send",
}
#: Declarations of workers in the desk's program, and what to put in their place, by name: other
#: kinds that do the same.
KINDS = {
    "send apart": (
        'via python { call = "tools:send"',
        'via python { isolate = true  call = "tools:send"',
    ),
    "send program": (
        'via python { call = "tools:send"',
        'via command { run = ["sh", "send.sh"]',
    ),
    "weigh apart": (
        'via python { call = "tools:weigh"',
        'via python { isolate = true  call = "tools:weigh"',
    ),
}
ONCE = {"charge": {"receipt": "C-1"}, "send": {"number": "N-1"}}


class Started:
    """A process of a world that is under way."""

    def __init__(self, world: World, process: BaseProcess, out: str) -> None:
        self._world = world
        self._process = process
        self._out = out
        assert process.pid is not None
        self.pid = process.pid

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self) -> tuple[int, str, str]:
        """Wait for its end: exit code (negative where it was killed), standard output, error."""
        self._process.join()
        code = self._process.exitcode
        self._process.close()
        assert code is not None
        self._world.crashes += code < 0
        said = [(self._world.folder / f"{self._out}.{end}").read_text() for end in ("out", "err")]
        assert "Traceback" not in said[1], said[1]
        assert code != Exit.INTERNAL, said[1]
        return code, said[0], said[1]


class World:
    """One desk.

    Args:
        folder: Where it is to be made.
        shop: Whom it orders from.
        program: Its files.
        kinds: Which workers are of another kind, of `KINDS`.
    """

    def __init__(
        self,
        folder: Path,
        shop: Shop,
        program: Path = crash_child.PROGRAM,
        kinds: Sequence[str] = (),
    ) -> None:
        shutil.copytree(program, folder)
        (folder / "calls").mkdir()
        for name in ("log", "kills", "outlived"):
            (folder / name).touch()
        for kind in kinds:
            path = folder / "parcels.orch"
            before, after = KINDS[kind]
            assert before in path.read_text()
            path.write_text(path.read_text().replace(before, after))
        self.folder = folder
        self.journal = folder / ".orch"
        self.name = f"{folder.parent.name}-{folder.name}"
        self.crashes = 0
        self._client = shop.welcome(self.name, folder)
        self._url = f"{shop.url}/{self.name}"
        (entry,) = folder.glob("*.orch")
        self._program = entry.name
        self._processes = 0

    # ------------------------------------------------------------ processes

    def start(self, *arguments: str) -> Started:
        """Start a command line; `run` alone or with options is `orch run` of its program."""
        if arguments[0] == "run":
            arguments = ("run", self._program, "--param", f"shop={self._url}", *arguments[1:])
        return self._start(crash_child.command_line, list(arguments))

    def orch(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and error of a command line; a death is a negative code."""
        return self.start(*arguments).wait()

    def run(self) -> None:
        """`orch run`, until it waits for a person or is killed."""
        code, _, stderr = self.orch("run")
        assert code in (Exit.WAITING, -signal.SIGKILL), stderr

    def killed(self, how: Callable[..., None], kill: Kill) -> bool:
        """Start `begin`, `resume` or `approve` with a death; whether it came."""
        more = (self._url,) if how is crash_child.begin else ()
        code, _, stderr = self._start(how, kill, *more).wait()
        assert code <= 0, stderr
        return code < 0

    def _start(self, target: Callable[..., None], *arguments: Any) -> Started:
        self._processes += 1
        out = f"process-{self._processes}"
        process = _processes.Process(target=target, args=(self.folder, out, *arguments))
        process.start()
        return Started(self, process, out)

    def hold(self, line: str) -> Hold:
        """Let the next call of the shop that leaves this line wait for its answer."""
        self._client.holds[line] = Hold()
        return self._client.holds[line]

    # ------------------------------------------------------------ the operator

    def settle(self) -> dict[str, Any]:
        """Do what a person does after a crash until the run has finished; its report."""
        for _ in range(8):
            code, stdout, stderr = self.orch("resume", "last", "--format", "json")
            if code < 0:
                continue  # Killed again.
            if code in (2, 3):
                assert "no run" in stderr, stderr
                assert self.done() == Counter(), stderr
                self.run()
                continue
            report: dict[str, Any] = json.loads(stdout)
            if code == 0:
                return report
            assert code == 5, (code, stderr)
            for gate in report["gates"]:
                self.orch("approve", "last", "--gate", gate["key"], *self._word_on(gate))
        raise AssertionError("the run does not come to an end")

    def _word_on(self, gate: dict[str, Any]) -> list[str]:
        """What a person answers who can look at the log."""
        if gate["kind"] != "outcome":
            return []
        if not self.done()[gate["worker"]]:
            return ["--not-done"]
        (self.folder / "outcome.json").write_text(json.dumps(ONCE[gate["worker"]]))
        return ["--output", "outcome.json"]

    # ------------------------------------------------------------ what happened

    def done(self) -> Counter[str]:
        """What was really done, and how often."""
        return Counter((self.folder / "log").read_text().splitlines())

    def kill_at_calls(self, *lines: str) -> None:
        """Where calls kill the process that makes them, such as `7 before`."""
        (self.folder / "kills").write_text("".join(f"{line}\n" for line in lines))

    def outlivers(self) -> list[str]:
        """The programs that have outlived an engine: those that live on, and those that did."""
        found = (self.folder / "outlived").read_text().splitlines()
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                environment = (path / "environ").read_bytes().split(b"\0")
                # The engine's watcher has the same environment, and may be about to end.
                if f"CRASH_WORLD={self.folder}".encode() in environment:
                    line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found += [line] if line and "watcher.py" not in line else []
        return found

    def orders(self) -> Counter[str]:
        """How many different orders the shop has taken of each item."""
        return Counter(order["item"] for order in self._client.orders.values())

    def events(self) -> list[Event]:
        """What the journal holds of the run; nothing if it has none yet."""
        with SqliteJournal(self.journal) as journal:
            runs = journal.runs()
            return journal.read(runs[0].run) if runs else []


class Account:
    """The calls of a journal, by the line they leave in the log.

    Attributes:
        started: How many attempts were begun; `ended` how many of them have an end.
        lost: Of how many a process that took over said that they were cut off.
        reported: All that were said to be cut off, also those that leave no line.
    """

    def __init__(self, events: list[Event]) -> None:
        self.started: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.reported = 0
        finished: set[str] = set()
        for event in events:
            if isinstance(event, CallStarted):
                assert event.key not in finished, f"begun again: {event.key}"
                self.started.update(_lines(event.key))
            elif isinstance(event, CallFinished | CallFailed):
                self.ended.update(_lines(event.key))
                if isinstance(event, CallFinished):
                    finished.add(event.key)
            elif isinstance(event, RunResumed):
                self.reported += len(event.lost)
                self.lost.update(line for key in event.lost for line in _lines(key))


def _lines(key: str) -> list[str]:
    if key.endswith("verify counted"):
        return ["counted lamp" if "task s1" in key else "counted vase"]
    return [line for end, line in _LINES.items() if key.endswith(end)]
