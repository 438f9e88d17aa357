"""What runs in the processes that get killed: the engine's own entry points, and the killers.

Each function is the body of a process forked from a server that has imported the engine already
(`multiprocessing`'s forkserver), so a process costs milliseconds instead of a start of Python.
Nothing of the engine is replaced. A journal that kills is a `Journal` around the real one, given
to `launch` as any other would be.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine import clock
from engine.cli.app import run as run_command_line
from engine.drive import launch
from engine.drive.answers import Reply
from engine.drive.launch import Options
from engine.events import Event
from engine.history import fork_and_retry as again
from engine.journal import Journal, Ownership, RunRecord, SqliteJournal
from engine.sema.check import check_file

__all__ = ["Kill", "approve", "begin", "command_line", "fork", "resume"]

PROGRAM = Path(__file__).parent / "parcels"

# The server of forks imports this module: what is paid for here is paid once.
for late in (
    *(
        f"engine.cli.commands.{name}"
        for name in ("approve", "gates", "resume", "run", "runs", "show")
    ),
    *(f"engine.workers.{name}" for name in ("command", "http", "python")),
    "anyio._backends._asyncio",
    "engine.models.registry",
    "httpcore",
    "jsonschema_rs",
):
    importlib.import_module(late)
check_file(str(PROGRAM / "parcels.orch"))


class Kill:
    """Where a process is to die, counted in writes of its journal.

    Args:
        write: The number of the write, from 1; entering and claiming a run are writes too.
        when: `before` the commit, `after` it, or `within`: the kernel ends the process in the
            middle of the write-ahead log, at the `write`-th byte it would add.
    """

    def __init__(self, write: int, when: str) -> None:
        self.write = write
        self.when = when

    def __repr__(self) -> str:
        return f"killed {self.when} write {self.write}"


class _KillingJournal:
    """The real journal, with a death in it."""

    def __init__(self, inner: SqliteJournal, kill: Kill) -> None:
        self._inner = inner
        self._kill = kill
        self._writes = 0

    def _die_at(self, when: str) -> None:
        if self._kill.when == when and self._kill.write == self._writes:
            os.kill(os.getpid(), signal.SIGKILL)

    def _before(self) -> None:
        self._writes += 1
        self._die_at("before")

    def _after(self) -> None:
        self._die_at("after")
        if self._kill.when == "within" and self._writes == 1:
            # What a write would add beyond this raises SIGXFSZ, whose default is death.
            wal = self._inner.directory / "journal.db-wal"
            limit = wal.stat().st_size + self._kill.write
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    async def create(self, record: RunRecord, events: Sequence[Event] = ()) -> _KillingOwnership:
        self._before()
        owned = await self._inner.create(record, events)
        self._after()
        return _KillingOwnership(owned, self)

    async def claim(self, run: str) -> _KillingOwnership:
        self._before()
        owned = await self._inner.claim(run)
        self._after()
        return _KillingOwnership(owned, self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _KillingOwnership:
    """What the real journal gives to who owns a run, with the same death in it."""

    def __init__(self, inner: Ownership, journal: _KillingJournal) -> None:
        self._inner = inner
        self._journal = journal

    async def append(self, events: Sequence[Event]) -> None:
        self._journal._before()
        await self._inner.append(events)
        self._journal._after()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _enter(folder: Path, out: str) -> None:
    """Be a process of its own there, whose output goes to files."""
    os.chdir(folder)
    os.environ["CRASH_WORLD"] = str(folder)  # for the programs it starts
    Path("pid").write_text(str(os.getpid()))
    for number, name in ((1, f"{out}.out"), (2, f"{out}.err")):
        opened = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - for the whole process
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def command_line(folder: Path, out: str, arguments: list[str]) -> None:
    """`orch ARGUMENTS`, as a shell would start it there.

    The machine's clock is off by the seconds in a file `clock`, if there is one.
    """
    _enter(folder, out)
    true_time = time.time

    def time_ns() -> int:
        shift = Path("clock").read_text() if os.path.exists("clock") else "0"
        return int((true_time() + float(shift)) * 1e9)

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9
    clock.wall_ns, clock.wall_s = time.time_ns, time.time
    code = run_command_line(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def begin(folder: Path, out: str, kill: Kill, shop: str) -> None:
    """`orch run`, with a death."""
    _enter(folder, out)
    journal: Any = _KillingJournal(SqliteJournal(".orch"), kill)
    program = check_file("parcels.orch", params={"shop": shop}).program
    assert program is not None
    _drive(launch.start(program, launch.choose(program, None), {}, journal), journal)


def resume(folder: Path, out: str, kill: Kill) -> None:
    """`orch resume last`, with a death."""
    _enter(folder, out)
    journal: Any = _KillingJournal(SqliteJournal(".orch"), kill)
    _drive(launch.resume("last", journal), journal)


def fork(folder: Path, out: str, kill: Kill) -> None:
    """`orch resume last --from 3`, with a death: the first plan of two is over by then."""
    _enter(folder, out)
    journal: Any = _KillingJournal(SqliteJournal(".orch"), kill)
    _drive(again.fork("last", 3, journal), journal)


def approve(folder: Path, out: str, kill: Kill) -> None:
    """`orch approve last`, with a death."""
    _enter(folder, out)
    journal: Any = _KillingJournal(SqliteJournal(".orch"), kill)
    _drive(launch.resume("last", journal, Options(), Reply(answer="approve")), journal)


def _drive(work: Any, journal: Journal) -> None:
    asyncio.run(work)
    journal.close()
    os._exit(0)
