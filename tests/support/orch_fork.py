"""Runs `orch` as a process of its own, without paying for its imports each time.

One process per test session imports the command line, and then forks for each command: own process
id, working folder, environment, standard streams and exit, as if started anew, in 20 ms instead of
300 ms of CPU. What is tested about the start itself (variables of Python's or the locale's, broken
installations, signals while it starts) needs a real start, `python -m engine.cli`.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["run", "run_bytes"]

#: What fits into a pipe that is read later.
_MAX_STDIN_BYTES = 60_000
_ROOT = Path(__file__).resolve().parents[2]

_lock = threading.Lock()
#: The process that forks, and the connection to it.
_ours: tuple[subprocess.Popen[bytes], socket.socket] | None = None


def run(
    arguments: Sequence[str],
    stdin: str = "",
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run one command line; the same as `subprocess.run` with captured output, as text.

    Args:
        environment: That of this process by default.

    Raises:
        subprocess.TimeoutExpired: It took longer; it has been killed.
    """
    done = run_bytes(arguments, stdin.encode(), cwd, environment, timeout_s)
    texts = [_text(data) for data in (done.stdout, done.stderr)]
    return subprocess.CompletedProcess(done.args, done.returncode, *texts)


def run_bytes(
    arguments: Sequence[str],
    stdin: bytes = b"",
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 120,
) -> subprocess.CompletedProcess[bytes]:
    """As `run`, with what is written as it is."""
    command = [sys.executable, "-m", "engine.cli", *arguments]
    variables = dict(os.environ if environment is None else environment)
    folder = Path.cwd() if cwd is None else cwd
    plain = all(isinstance(argument, str) for argument in arguments)
    fits = len(stdin) <= _MAX_STDIN_BYTES
    if not (plain and fits and _lock.acquire(blocking=False)):
        return subprocess.run(
            command, capture_output=True, input=stdin, cwd=folder, env=variables,
            timeout=timeout_s, check=False,
        )  # fmt: skip
    try:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            request = {"argv": ["orch", *arguments], "cwd": str(folder), "env": variables}
            code = _ask(request, stdin, [out.fileno(), err.fileno()], timeout_s)
            if code is None:
                raise subprocess.TimeoutExpired(command, timeout_s)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, code, out.read(), err.read())
    finally:
        _lock.release()


def _text(data: bytes) -> str:
    return data.decode().replace("\r\n", "\n").replace("\r", "\n")


def _ask(
    request: Mapping[str, object], stdin: bytes, outputs: list[int], timeout_s: float
) -> int | None:
    """Have one command run; its exit code as `subprocess` has it, None if it took too long."""
    server = _server()
    reader, writer = os.pipe()
    try:
        os.write(writer, stdin)
        os.close(writer)
        line = json.dumps(request).encode() + b"\n"
        socket.send_fds(server, [b"\n"], [reader, *outputs])
        server.sendall(line)
    finally:
        os.close(reader)
    server.settimeout(timeout_s)
    child, code = None, None
    try:
        with server.makefile("r") as answers:
            child = int(answers.readline())
            code = int(answers.readline())
    except TimeoutError:
        if child is not None:
            os.kill(child, signal.SIGKILL)
    finally:
        if code is None:  # what it says next would be taken for the answer to the next request
            _end()
    return code


def _server() -> socket.socket:
    """The connection to the process that forks, which begins at the first call."""
    global _ours
    if _ours is None:
        ours, its = socket.socketpair()
        process = subprocess.Popen(
            [sys.executable, __file__, str(its.fileno())],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=_ROOT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(_ROOT)},
        )
        its.close()
        _ours = (process, ours)
    return _ours[1]


@atexit.register
def _end() -> None:
    """Take leave of the process that forks; it ends when the connection does."""
    global _ours
    if _ours is not None:
        process, connection = _ours
        _ours = None
        connection.close()
        process.wait()


# --- the process that forks ----------------------------------------------------------------------


def _serve(client: socket.socket) -> None:
    """Fork for each request until the client is gone; returns in the children, ready to run."""
    while True:
        _, descriptors, _, _ = socket.recv_fds(client, 1, 3)
        if not descriptors:
            os._exit(0)
        with client.makefile("r", encoding="utf-8", newline="\n") as requests:
            request = json.loads(requests.readline())
        child = os.fork()
        if child == 0:
            client.close()
            for target, descriptor in enumerate(descriptors):
                os.dup2(descriptor, target)
                os.close(descriptor)
            os.chdir(request["cwd"])
            os.environ.clear()
            os.environ.update(request["env"])
            sys.argv = request["argv"]
            sys.path[0] = request["cwd"]  # as `-m` has it
            return
        for descriptor in descriptors:
            os.close(descriptor)
        client.sendall(f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _main() -> None:
    import importlib
    import pkgutil

    import engine.cli.commands as commands

    for module in pkgutil.iter_modules(commands.__path__, commands.__name__ + "."):
        importlib.import_module(module.name)
    sys.path.remove(str(_ROOT))
    _serve(socket.socket(fileno=int(sys.argv[1])))
    from engine.cli import main

    sys.exit(main())


if __name__ == "__main__":
    _main()
