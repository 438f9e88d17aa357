"""kill -9 of hosts, of the server and of both at random moments of a run, and what is left of it.

The run has every effect class, a gate, a sub-orchestrator and a retry. What its tools really do
is written down outside of every process that dies, before and after they do it; each such mark is
a moment to kill at. A person answers gates, and looks at what was done before saying so.

`ORCH_CRASHES=N` sets how many stories are played, `ORCH_SEED=N` plays one again. In those that are
always played, 12 and 25 answer a gate that a step not yet taken has opened.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.distributed.address import connect
from engine.distributed.remote import RemoteRun, start_run
from engine.drive import launch
from engine.drive.answers import Reply
from engine.drive.launch import Options
from engine.errors import JournalError, UsageError
from engine.events import CallFailed, CallFinished, CallLost, CallStarted, Event
from engine.runtime.report import run_report
from engine.runtime.state import Gate, RunState
from engine.sema.check import check_file

pytestmark = pytest.mark.temporal

SEED = os.environ.get("ORCH_SEED")
CRASHES = os.environ.get("ORCH_CRASHES")
STORIES = [int(SEED)] if SEED else range(int(CRASHES)) if CRASHES else [1, 3, 12, 25]

PROGRAM = """orch 1
model planner { id = "scripted/script.json" }
worker weigh(n: int) -> int via python {
  call = "tools:weigh"  args = { n: n, key: task.key }  effect = pure
}
worker look(n: int) -> int via python {
  call = "tools:look"  args = { n: n, key: task.key }  effect = read
  retry { max = 3  on = [crashed]  backoff = 5ms }
}
worker put(n: int) -> int via python {
  call = "tools:put"  args = { n: n, key: task.key }  effect = write
}
worker pay(n: int) -> int via python {
  call = "tools:pay"  args = { n: n, key: task.key }  effect = once
}
verifier boss(n: int) via human { message = "Pay {{ n }}?" }
orchestrator inner(n: int) -> { n: int } {
  model = planner  goal = "Inner {{ n }}."  workers = [weigh, put]  policy { max_rounds = 3 }
}
orchestrator main() -> { n: int } {
  model = planner  goal = "Outer."  workers = [weigh, look, put, pay, inner]
  policy { max_rounds = 4 }
  verify { before_dispatch pay { with = boss  on_fail = abort } }
}
"""
TOOLS = """
import os
import pathlib

HERE = pathlib.Path(__file__).parent


def mark():
    descriptor = os.open(HERE / "ready", os.O_RDWR)
    os.write(descriptor, b".")
    os.close(descriptor)


def do(key):
    mark()
    descriptor = os.open(HERE / "log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{key}\\n".encode())
    os.close(descriptor)
    mark()


def weigh(n, key):
    do(key)
    return n


def look(n, key):
    do(key)
    if (HERE / "log.txt").read_text().splitlines().count(key) == 1:
        raise RuntimeError("busy")
    return n


put = pay = weigh
"""


def plan(*tasks: tuple[str, str]) -> dict[str, Any]:
    # Each with an input of its own: what is `pure` is not done twice for the same.
    made = [{"id": it, "worker": worker, "input": {"n": ord(it)}} for it, worker in tasks]
    return {"assessment": "go", "tasks": made}


DONE = {"assessment": "done", "finish": {"n": 7}}
SCRIPT = {
    "entries": {
        "decision:main": [
            plan(("w", "weigh"), ("l", "look"), ("p", "put"), ("i", "inner")),
            plan(("c", "pay"), ("x", "look"), ("q", "put")),
            plan(("d", "pay"), ("y", "weigh")),
            DONE,
        ],
        "decision:inner": [plan(("a", "weigh"), ("b", "put")), plan(("c", "put")), DONE],
    }
}
#: How often an undisturbed run does what its tasks are for; of how many the effect is `once`.
TASKS, LOOKS = 11, 2
VICTIMS = (["calls"], ["driver"], ["calls", "driver"], ["server"], ["server", "calls", "driver"])
#: Marks that an undisturbed run leaves.
MARKS = 2 * (TASKS + LOOKS)


class Reaper:
    """Kills at some marks, and starts anew what it has killed."""

    def __init__(self, desk: Any, chance: random.Random) -> None:
        self._desk = desk
        moments = sorted(chance.sample(range(1, MARKS + 1), chance.choice([1, 2])))
        self.plan = [(at, chance.choice(VICTIMS)) for at in moments]
        self._keeps_receipts = chance.random() < 0.5
        self._hosts = {name: self._start(name) for name in ("driver", "calls")}

    def _start(self, name: str) -> Any:
        serves = "workflows" if name == "driver" else "calls"
        more = ("--receipts", str(self._desk.folder / "r.db")) if self._keeps_receipts else ()
        return self._desk.host("main.orch", "--only", serves, *more)

    def reap(self) -> None:
        """Until the pipe says that the story is over."""
        marks = 0
        left = list(self.plan)
        while "q" not in (said := self._desk.wait_ready()):
            marks += len(said)
            while left and marks >= left[0][0]:
                self._strike(left.pop(0)[1])

    def _strike(self, victims: list[str]) -> None:
        for name in victims:
            (self._desk.server if name == "server" else self._hosts[name]).kill()
        if "server" in victims:
            self._desk.server.start()
        for name in victims:
            if name != "server":
                self._hosts[name] = self._start(name)


@pytest.mark.parametrize("seed", STORIES)
def test_nothing_is_lost_and_nothing_done_twice(
    tmp_path: Path, own_server: Any, desk_on: Any, seed: int
) -> None:
    desk = desk_on(tmp_path, own_server)
    try:
        desk.settings["heartbeat"] = "5s"
        desk.write("main.orch", PROGRAM)
        desk.write("tools.py", TOOLS)
        desk.write("script.json", json.dumps(SCRIPT))
        desk.pipe()
        reaper = Reaper(desk, random.Random(seed))
        print(f"ORCH_SEED={seed}", reaper.plan)
        state, events = asyncio.run(played(desk, reaper))
        check(state, events, Counter(desk.log()))
    finally:
        desk.close()


async def played(desk: Any, reaper: Reaper) -> tuple[RunState, list[Event]]:
    """A run to its end, whatever dies."""
    program = check_file(str(desk.folder / "main.orch")).program
    assert program is not None
    record, began = launch.prepare(program, launch.choose(program, "main"), {}, Options(), {})
    run = await start_run(await connect(desk.address), desk.address, record, began)
    reaping = asyncio.ensure_future(asyncio.to_thread(reaper.reap))
    seen: list[Event] = []
    state = RunState(program)
    try:
        while not state.ended:
            state = await run.follow(state, len(seen), [lambda event, _: seen.append(event)], print)
            if not state.ended:
                await answer(desk, run, next(iter(state.gates.values())))
    finally:
        (desk.folder / "ready").write_text("q")
        await reaping
    return state, await run.events()


async def answer(desk: Any, run: RemoteRun, gate: Gate) -> None:
    """What a person says who can look at the log, again if the server dies of it."""
    reply = Reply("approve", gate=gate.key)
    if gate.kind == "outcome":
        done = logged(run.run, gate.key.removesuffix(" / outcome")) in desk.log()
        reply = Reply("approve", gate=gate.key, output=7) if done else Reply("not_done", gate.key)
    try:
        await run.answer(reply)
    except (UsageError, JournalError) as error:
        print(error)  # The server died; the run waits still, or has heard it.


def logged(run: str, key: str) -> str:
    """How a tool knows a task: by its idempotency key."""
    return f"{run}/{key}".replace(" ", "")


def check(state: RunState, events: list[Event], done: Counter[str]) -> None:
    """What was journaled was not made again; what may be done only once was."""
    assert state.status == "finished", state.reason
    assert run_report(state)["output"] == {"n": 7}
    starts: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    finished: set[str] = set()
    for event in events:
        if not isinstance(event, CallStarted | CallFinished | CallFailed | CallLost):
            continue
        key = logged(state.run, event.key)
        assert key not in finished, key
        if isinstance(event, CallStarted):
            starts[key] += 1
        elif isinstance(event, CallFinished):
            finished.add(key)
        elif isinstance(event, CallFailed):
            failed[key] += 1
        else:
            lost[key] += 1
    assert len(done) == TASKS, sorted(done)
    for key, times in done.items():
        once = key.endswith(("taskc", "taskd")) and "taski" not in key
        looks = key.endswith(("taskl", "taskx"))
        # Each attempt that began has an end: a result, a failure, or the loss of its host.
        assert starts[key] == (key in finished) + failed[key] + lost[key], key
        assert times <= starts[key], key
        assert (times == 1) if once else (1 + looks <= times <= 1 + looks + lost[key]), key
