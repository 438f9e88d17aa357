"""A real Temporal server on loopback, hosts as real processes, and runs on both executors.

One server for the whole session; each test has a queue of its own, so none sees another's runs.
Needs the `temporal` binary, which `make test-temporal` installs.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from engine.distributed.address import Address, connect, parse_address
from engine.errors import JournalError
from engine.events import encode_event

BIN = Path(sys.executable).parent
# The tests are no package (import mode `importlib`), and some have modules of their own.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "simulation"))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Server:
    """A Temporal server.

    Args:
        database: Its file, or None for memory.
    """

    def __init__(self, folder: Path, database: Path | None = None) -> None:
        self.port = free_port()
        self._folder = folder
        self._database = database
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [str(BIN / "temporal"), "server", "start-dev", "--headless"]
        command += ["--ip", "127.0.0.1", "--port", str(self.port), "--log-level", "error"]
        if self._database is not None:
            command += ["--db-filename", str(self._database)]
        with open(self._folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        asyncio.run(self._until_it_answers())

    async def _until_it_answers(self) -> None:
        while True:
            assert self._process is not None
            assert self._process.poll() is None, "the server has stopped; see server.log"
            try:
                await connect(Address(self.address))
                return
            except JournalError:
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("server"))
    yield started
    started.kill()


class Host:
    """An `orch worker` process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def kill(self) -> None:
        """kill -9, its children with it, as when a machine is lost."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def stop(self) -> tuple[int, str]:
        """SIGTERM; the exit code and what it said."""
        self.process.terminate()
        _, said = self.process.communicate()
        return self.process.returncode, said


class Desk:
    """A folder with a program, hosts that serve it, and the command line."""

    def __init__(self, folder: Path, server: Server, queue: str) -> None:
        self.folder = folder
        self.server = server
        self.queue = queue
        self.hosts: list[Host] = []
        self._begun: list[subprocess.Popen[str]] = []
        self._ready: int | None = None
        self.env = {
            name: value for name, value in os.environ.items() if not name.startswith("ORCH_")
        }
        self.settings = {"heartbeat": "2s"}

    @property
    def url(self) -> str:
        settings = "".join(f"&{name}={value}" for name, value in self.settings.items())
        return f"temporal://{self.server.address}/default?queue={quote(self.queue)}{settings}"

    @property
    def address(self) -> Address:
        return parse_address(self.url)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def host(self, *arguments: str, ready: bool = True, **environment: str) -> Host:
        """Start a host and wait until it serves."""
        receipts = self.folder / f"receipts-{len(self.hosts)}.db"
        command = [str(BIN / "orch"), "worker", *arguments, "--address", self.server.address]
        command += ["--queue", self.queue, "--drain", "1"]
        if "--receipts" not in arguments:
            command += ["--receipts", str(receipts)]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self.env, **environment},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        host = Host(process)
        self.hosts.append(host)
        if ready:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith("serving "), line + process.stderr.read()
        return host

    def orch(self, *arguments: str, on: bool = True, **environment: str) -> tuple[int, str, str]:
        """Run a command to its end: exit code, standard output, standard error."""
        place = ["--on", self.url] if on else []
        done = subprocess.run(
            [str(BIN / "orch"), *arguments, *place],
            cwd=self.folder,
            env={**self.env, **environment},
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    def begin(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        process = subprocess.Popen(
            [str(BIN / "orch"), *arguments, "--on", self.url],
            cwd=self.folder,
            env={**self.env, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._begun.append(process)
        return process

    def close(self) -> None:
        """Kill what still runs, and give back what was opened."""
        for host in self.hosts:
            if host.process.poll() is None:
                os.kill(host.process.pid, signal.SIGCONT)
                host.kill()
            elif host.process.stderr is not None:
                host.process.stderr.close()
        for process in self._begun:
            if process.returncode is None:
                process.kill()
                process.communicate()
        if self._ready is not None:
            os.close(self._ready)

    # A pipe on which tools say that they have begun, so that nobody has to sleep for it.

    def pipe(self) -> None:
        os.mkfifo(self.folder / "ready")
        self._ready = os.open(self.folder / "ready", os.O_RDWR | os.O_NONBLOCK)

    def wait_ready(self) -> str:
        """What the next tool says into the pipe."""
        assert self._ready is not None
        select.select([self._ready], [], [])
        return os.read(self._ready, 4096).decode()

    def log(self) -> list[str]:
        """What tools have done, a line each."""
        path = self.folder / "log.txt"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def desk(tmp_path: Path, server: Server, request: pytest.FixtureRequest) -> Iterator[Desk]:
    made = Desk(tmp_path, server, f"{request.node.name}-{os.getpid()}")
    yield made
    made.close()


@pytest.fixture(scope="session")
def desk_on() -> Callable[[Path, Server], Desk]:
    """A desk on a server of the test's own."""
    return lambda folder, server: Desk(folder, server, f"{folder.name}-{os.getpid()}")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server with a database, which a test may kill and start again."""
    started = Server(tmp_path, tmp_path / "temporal.db")
    yield started
    started.kill()


@pytest.fixture
def by_key() -> Callable[[list[Any]], dict[str, list[dict[str, Any]]]]:
    """Events as streams by key, without what differs from run to run: times and the run's id."""

    def grouped(events: list[Any]) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for event in events:
            plain = json.loads(encode_event(event))
            for name in ("at", "ms", "wall_ms", "run", "program"):
                plain.pop(name, None)
            found.setdefault(plain.get("key", ""), []).append(plain)
        return found

    return grouped
