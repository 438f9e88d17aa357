"""A desk to run `orch` at: a folder with a program, its tools, its script, and a pipe."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import orch_fork
import pytest

PROGRAM = """orch 1

model planner {{ id = "scripted/script.json" }}
{declarations}
/// Adds one, and notes that it was called.
worker add(n: int) -> int via python {{ call = "tools:add" }}
worker echo(text: string) -> string via python {{ call = "tools:echo" }}
/// Says that it is there, and waits until it may end.
worker hold(n: int) -> int via python {{ call = "tools:hold" }}
worker hang(n: int) -> int via python {{ call = "tools:hang"  timeout = 50ms }}
worker pool(n: int) -> int via python {{ call = "tools:pool"  timeout = 50ms }}
worker boom(n: int) -> int via python {{ call = "tools:boom" }}
worker garbage(n: int) -> int via python {{ call = "tools:garbage" }}
worker die(n: int) -> int via python {{ call = "tools:die"  isolate = true }}
worker noisy(n: int) -> int via python {{ call = "tools:noisy" }}
worker stray(n: int) -> int via python {{ call = "tools:stray" }}
worker stubborn(n: int) -> int via python {{ call = "tools:stubborn" }}
worker wreck(n: int) -> int via python {{ call = "tools:wreck" }}
/// A program that prints its process id into the pipe and sleeps.
worker nap(n: int) -> string via command {{
  run = ["sh", "-c", "echo $$ > ready; exec sleep 600"]
  effect = read
  parse = text
  timeout = 60s
}}

orchestrator count(
  start: int = 1, note: string = "", tags: string[] = [], mode: "fast" | "slow" = "fast"
) -> {output} {{
  model   = planner
  goal    = "Count from {{{{ start }}}}. {{{{ note }}}}"
  workers = [add, echo, hold, hang, pool, boom, garbage, die, noisy, stray, stubborn, wreck, nap]
  policy {{ {policy} }}
  {settings}
}}
"""

TOOLS = """
import asyncio
import concurrent.futures
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

HERE = Path(__file__).parent


def ready(text="x"):
    descriptor = os.open(HERE / "ready", os.O_RDWR)
    os.write(descriptor, text.encode())
    # Stays open, so that what was written is not lost before it is read.


def add(n):
    with open(HERE / "calls.txt", "a") as file:
        file.write(f"add {n}\\n")
    return n + 1


def echo(text):
    return os.environ.get(text.removeprefix("env:"), "") if text.startswith("env:") else text


def hold(n):
    with open(HERE / "calls.txt", "a") as file:
        file.write(f"hold {n}\\n")
    if not (HERE / "open").exists():
        ready()
        threading.Event().wait()
    return n + 1


def hang(n):
    threading.Event().wait()


def pool(n):
    with concurrent.futures.ThreadPoolExecutor() as executor:
        executor.submit(threading.Event().wait).result()


def boom(n):
    raise ValueError("no luck \\x1b[31m")


def garbage(n):
    return {"not": "a number"}


def die(n):
    os.kill(os.getpid(), signal.SIGKILL)


def noisy(n):
    print("printed by a worker")
    sys.stdout.write("written by a worker\\n")
    os.write(1, b"written to descriptor 1\\n")
    return n


async def fail():
    raise ValueError("nobody hears me")


async def stray(n):
    task = asyncio.get_running_loop().create_task(fail())
    await asyncio.wait([task])
    return n


async def stubborn(n):
    ready()
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ready()


def wreck(n):
    shutil.rmtree(HERE / ".orch")
    return n
"""


def task(id, worker, **input):
    return {"id": id, "worker": worker, "input": input}


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.task = task
        (folder / "tools.py").write_text(TOOLS)
        os.mkfifo(folder / "ready")
        self._ready = os.open(folder / "ready", os.O_RDWR | os.O_NONBLOCK)

    def close(self):
        os.close(self._ready)

    def write(
        self, *script, output="int", policy="max_rounds = 3", settings="", declarations=""
    ) -> None:
        text = PROGRAM.format(
            output=output, policy=policy, settings=settings, declarations=declarations
        )
        (self.folder / "a.orch").write_text(text)
        (self.folder / "script.json").write_text(json.dumps(script))

    def tasks(self, *tasks, assessment="first things first"):
        return {"assessment": assessment, "tasks": list(tasks)}

    def finish(self, value, assessment="that is all"):
        return {"assessment": assessment, "finish": value}

    def command(self, *arguments):
        return [sys.executable, "-m", "engine.cli", *arguments]

    def environment(self, env=None):
        base = {k: v for k, v in os.environ.items() if not k.startswith("ORCH_")}
        return {**base, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}

    def orch(self, *arguments, stdin=None, env=None, cwd=None):
        text = "" if stdin is None else stdin
        if env is None:
            done = orch_fork.run(
                arguments, text, cwd or self.folder, self.environment(), timeout_s=120
            )
        else:  # a variable may matter to the start of Python
            done = subprocess.run(
                self.command(*arguments),
                capture_output=True,
                text=True,
                input=text,
                cwd=cwd or self.folder,
                env=self.environment(env),
                timeout=120,
                check=False,
            )
        assert "Traceback" not in done.stderr
        assert done.returncode != 70, done.stderr
        return done

    def start(self, *arguments, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env=self.environment(options.pop("env", None)),
            **options,
        )

    def wait_ready(self, process) -> str:
        """What a worker of the process wrote into the pipe, once it has."""
        while not select.select([self._ready], [], [], 0.5)[0]:
            assert process.poll() is None, process.communicate()
        return os.read(self._ready, 100).decode()

    def calls(self):
        path = self.folder / "calls.txt"
        return path.read_text().split("\n")[:-1] if path.exists() else []


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.close()
