"""A Temporal server and hosts as processes of their own, on this machine, and what they cost.

Everything that is started here is ended here, however the benchmark ends: `Cluster` is a context,
and what it starts has no other parent to outlive. A command may be given words to put before each
process (`ip netns exec NAME`), so that the same code serves machines that stand apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.distributed.address import Address, connect, parse_address
from engine.distributed.remote import RemoteRun, start_run
from engine.drive import launch
from engine.drive.launch import Options
from engine.errors import JournalError
from engine.sema.check import check_file
from engine.sema.model import Program

__all__ = ["Cluster", "Process", "client_of", "database_bytes", "load", "start"]

BIN = Path(sys.executable).parent
PROGRAMS = Path(__file__).parents[1] / "programs"
_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A process and what it costs.

    Args:
        command: What to run; the first word is looked up beside this Python.
        log: Where its output goes.
    """

    def __init__(self, command: Sequence[str], log: Path, folder: Path) -> None:
        self.command = list(command)
        self._log = log
        self._folder = folder
        self.spent_s = 0.0
        self.start()

    def start(self) -> None:
        """Start it (again)."""
        with open(self._log, "ab") as log:
            self.popen = subprocess.Popen(
                self.command, stdout=log, stderr=log, cwd=self._folder, start_new_session=True
            )

    def cpu_s(self) -> float:
        """CPU seconds of all of its threads, in all of its lives."""
        if self.popen.poll() is not None:
            return self.spent_s
        stat = Path(f"/proc/{self.popen.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return self.spent_s + (int(stat[11]) + int(stat[12])) / _TICKS

    def resident_mib(self) -> float:
        """The memory it holds."""
        for line in Path(f"/proc/{self.popen.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    def kill(self) -> None:
        """kill -9, its children with it, as when a machine is lost."""
        if self.popen.poll() is None:
            self.spent_s = self.cpu_s()
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()

    def said(self) -> str:
        """The end of what it has said."""
        return self._log.read_text(errors="replace")[-2000:]


class Cluster:
    """A server with a database on disk, and hosts; nothing is left of them at the end.

    Args:
        folder: For the database, receipts and logs.
        ip: Where the server is reached.
        prefix: Words before the server's command.
    """

    def __init__(self, folder: Path, ip: str = "127.0.0.1", prefix: Sequence[str] = ()) -> None:
        self.folder = folder
        self.database = folder / "temporal.db"
        self.ip, self.port = ip, _free_port()
        self.hosts: list[Process] = []
        command = [*prefix, str(BIN / "temporal"), "server", "start-dev", "--headless"]
        # Its parts talk to each other over loopback, so it listens on more than one address.
        listen = ip if ip == "127.0.0.1" else "0.0.0.0"
        command += ["--ip", listen, "--port", str(self.port), "--log-level", "error"]
        command += ["--db-filename", str(self.database)]
        self.server = Process(command, folder / "server.log", folder)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in [*self.hosts, self.server]:
            process.kill()

    def url(self, **settings: str) -> str:
        """The address of the cluster, for `--on`."""
        query = "".join(f"&{name}={value}" for name, value in settings.items())
        return f"temporal://{self.ip}:{self.port}/default?queue=bench{query}"

    def host(self, *arguments: str, prefix: Sequence[str] = (), log: str = "") -> Process:
        """Start an `orch worker`; `until_serving` waits for it."""
        name = log or f"host{len(self.hosts)}"
        command = [*prefix, sys.executable, "-m", "engine.cli", "worker", *arguments]
        command += ["--address", f"{self.ip}:{self.port}", "--queue", "bench"]
        command += ["--receipts", str(self.folder / f"{name}.receipts"), "--drain", "1"]
        process = Process(command, self.folder / f"{name}.log", self.folder)
        self.hosts.append(process)
        return process


def until_serving(*hosts: Process) -> None:
    """Wait until hosts poll for work."""
    for host in hosts:
        while "serving " not in host.said():
            if host.popen.poll() is not None:
                raise SystemExit(f"a host has stopped: {host.said()}")
            time.sleep(0.05)


async def client_of(cluster: Cluster, address: Address) -> Any:
    """A client, as soon as the server answers."""
    while True:
        if cluster.server.popen.poll() is not None:
            raise SystemExit(f"the server has stopped: {cluster.server.said()}")
        try:
            return await connect(address)
        except JournalError:
            await asyncio.sleep(0.1)


def until_up(cluster: Cluster) -> None:
    """Wait until the server answers."""
    asyncio.run(client_of(cluster, parse_address(cluster.url())))


def load(path: Path, **params: Any) -> Program:
    """A program that checks."""
    program = check_file(str(path), params=params).program
    assert program is not None, path
    return program


async def start(
    client: Any, address: Address, program: Program, models: dict[str, str], **values: Any
) -> RemoteRun:
    """Start a run."""
    chosen = launch.choose(program, None)
    record, began = launch.prepare(program, chosen, values, Options(models=models), {})
    return await start_run(client, address, record, began)


def database_bytes(cluster: Cluster) -> int:
    """The size of the server's database, without a log that grows and shrinks beside it."""
    with contextlib.closing(sqlite3.connect(f"file:{cluster.database}?mode=ro", uri=True)) as db:
        pages, size = (
            db.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "page_size")
        )
        return int(pages * size)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
