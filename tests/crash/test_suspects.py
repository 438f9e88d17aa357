"""One poisonous call among innocent ones, with real processes: only the poison fails.

Every function of the user's notes its start in a file before anything else, and where it ran. So
what happened is counted outside of the engine, and the count outlives every process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import orch_fork
import pytest

from engine.events import CallFailed, CallStarted, Event, RunResumed
from engine.journal import SqliteJournal
from engine.runtime.suspects import MOST_DEATHS

PROGRAM = """orch 1
model planner { id = "scripted/script.json" }
model clerk { id = "python/tools:clerk" }
worker work(n: int, poison: string = "") -> int via python { call = "tools:work" }
worker awaits(n: int, poison: string = "") -> int via python { call = "tools:awaits" }
worker send(n: int) -> int via python { call = "tools:work"  effect = once }
worker ask(n: int, poison: string = "") -> int via llm {
  model = clerk  prompt = "{{ n }} {{ poison }}"
}
worker read(n: int, poison: string = "") -> int via command {
  run = ["echo", "" ~ n, poison]  parse = "tools:read"  effect = read
}
orchestrator main() -> int {
  model = planner  goal = "work"  workers = [work, awaits, send, ask, read]
  policy { max_rounds = 3  max_per_round = 12  max_parallel = 12 }
}
"""
#: In the engine's process the calls of the first round wait for each other; then the poison works
#: while all are under way. The numbers from 100 on are not of the first round.
TOOLS = """
import asyncio, ctypes, os, pathlib, signal, sys, threading

HERE = pathlib.Path(__file__).parent
ALONE = "engine.workers.isolated" in sys.orig_argv
together = threading.Barrier(int((HERE / "size").read_text()))


def begin(n):
    log = os.open(HERE / "calls.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{n} {'alone' if ALONE else 'here'}\\n".encode())
    os.close(log)


def meet(n):
    if not ALONE and n < 100:
        together.wait()


def strike(poison):
    if poison == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if poison == "segfault":
        ctypes.string_at(0)
    if poison == "exit":
        os._exit(3)


def work(n, poison=""):
    begin(n)
    meet(n)
    strike(poison)
    if not ALONE and n < 100:
        threading.Event().wait()
    return n


async def awaits(n, poison=""):
    begin(n)
    await asyncio.to_thread(meet, n)
    strike(poison)
    if not ALONE:
        await asyncio.Event().wait()
    return n


def clerk(state):
    return work(**state.input)


def read(text):
    n, _, poison = text.strip().partition(" ")
    return work(int(n), poison)
"""


class Desk:
    def __init__(self, folder: Path, tasks: list[dict[str, Any]]) -> None:
        self.folder = folder
        late = {"id": "late", "worker": "work", "input": {"n": 100}}
        script = [
            {"assessment": "all", "tasks": tasks},
            {"assessment": "more", "tasks": [late]},
            {"assessment": "done", "finish": 7},
        ]
        (folder / "main.orch").write_text(PROGRAM)
        (folder / "tools.py").write_text(TOOLS)
        (folder / "size").write_text(str(len(tasks)))
        (folder / "script.json").write_text(json.dumps(script))

    def orch(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ORCH_")}
        return orch_fork.run(arguments, cwd=self.folder, environment=environment)

    def calls(self) -> Counter[str]:
        return Counter((self.folder / "calls.log").read_text().splitlines())

    def events(self) -> list[Event]:
        journal = SqliteJournal(self.folder / ".orch")
        try:
            return journal.read(journal.find("last"))
        finally:
            journal.close()

    def show(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.orch("show", "--format", "json").stdout)
        return report


def innocents(count: int) -> list[dict[str, Any]]:
    workers = ["read", "ask", "awaits", *["work"] * count]
    return [
        {"id": f"a{n}", "worker": worker, "input": {"n": n}}
        for n, worker in enumerate(workers[:count], 1)
    ]


def poison(worker: str, how: str) -> dict[str, Any]:
    return {"id": "bad", "worker": worker, "input": {"n": 0, "poison": how}}


@pytest.mark.parametrize(
    ("worker", "how", "count", "death"),
    [
        ("work", "kill", 11, "killed by SIGKILL"),
        ("work", "segfault", 1, "killed by SIGSEGV"),
        ("awaits", "kill", 1, "killed by SIGKILL"),
        ("ask", "exit", 1, "exit code 3"),
        ("read", "kill", 1, "killed by SIGKILL"),
    ],
)
def test_only_the_poison_fails(tmp_path, worker, how, count, death):
    others = innocents(count)
    desk = Desk(tmp_path, [*others[:5], poison(worker, how), *others[5:]])
    first = desk.orch("run", "main.orch")
    assert first.returncode in (-signal.SIGKILL, -signal.SIGSEGV, 3), first.stderr
    assert desk.calls() == Counter(f"{n} here" for n in range(count + 1))

    done = desk.orch("resume", "last")

    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr
    again = Counter(f"{n} alone" for n in range(1, count + 1))
    again["0 alone"] = MOST_DEATHS
    here = Counter(f"{n} here" for n in range(count + 1))
    assert desk.calls() == again + here + Counter(["100 here"])
    report = desk.show()
    assert (report["lost"], report["suspects"]) == (count + 1, count + 1)
    tasks = {task["id"]: task for task in report["history"][0]["tasks"]}
    assert {name: task.get("output") for name, task in tasks.items()} == {
        **{f"a{n}": n for n in range(1, count + 1)},
        "bad": None,
    }
    (failure,) = report["failures"]
    assert (failure["task"], failure["mode"]) == ("bad", "crashed")
    assert failure["message"].startswith("its process died 3 times, while running alone: ")
    assert death in failure["message"]


def test_suspects_run_one_at_a_time_and_before_anything_else_of_their_kind(tmp_path):
    tasks = [*innocents(4), poison("work", "kill")]
    desk = Desk(tmp_path, tasks)
    desk.orch("run", "main.orch")
    done = desk.orch("resume", "last")
    assert "resumed; 5 calls made again, one at a time, each in its own process" in (done.stderr)
    assert "cut off when a process stopped: 5 calls; re-ran 5 suspects one at a time" in (
        desk.orch("show").stdout
    )
    events = desk.events()
    at = next(i for i, event in enumerate(events) if isinstance(event, RunResumed))
    running: set[str] = set()
    for event in events[at:]:
        if isinstance(event, CallStarted):
            assert not running, event
            running.add(event.key)
        else:
            running.discard(getattr(event, "key", ""))
    started = [e for e in events[at:] if isinstance(e, CallStarted) and " / task " in e.key]
    assert [e.isolated for e in started] == [True] * (4 + MOST_DEATHS) + [False]
    died = [e for e in events if isinstance(e, CallFailed) and e.died]
    assert [e.key.rpartition(" ")[2] for e in died] == ["bad"] * MOST_DEATHS
