"""Looking at runs there: `tail`, `export`, `replay`, `runs` and `last`; and what hosts lack."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import pytest

from engine.distributed.address import connect
from engine.distributed.queues import queue_problem, workflow_id

pytestmark = pytest.mark.temporal

PROGRAM = """orch 1
secret TOKEN
model planner { id = "scripted/script.json" }
worker add(n: int) -> int via python { call = "tools:add"  effect = pure }
worker nap(n: int) -> int via python { call = "tools:nap"  effect = read }
worker tell(n: int) -> string via command {
  run = ["printenv", "SAID"]  env = { SAID: secret.TOKEN }  parse = text  effect = once
}
verifier person() via human { message = "Darf es weitergehen? 好" }
orchestrator main(n: int = 1) -> { n: int } {
  model = planner  goal = "g"  workers = [add, nap, tell]  policy { max_rounds = 3 }
}
orchestrator asked() -> { n: int } {
  model = planner  goal = "g"  workers = [add]  policy { max_rounds = 2 }
  verify { before_finish { with = person  on_fail = abort } }
}
"""
TOOLS = """
import asyncio
import os
import pathlib


def add(n):
    return n + 1


async def nap(n):
    os.write(os.open(pathlib.Path(__file__).parent / "ready", os.O_RDWR), b"begun")
    await asyncio.Event().wait()
"""
DONE = {"assessment": "done", "finish": {"n": 2}}


def place(desk: Any, *workers: str) -> Any:
    tasks = [{"id": f"t{n}", "worker": w, "input": {"n": n}} for n, w in enumerate(workers)]
    desk.write("main.orch", PROGRAM)
    desk.write("tools.py", TOOLS)
    desk.write("script.json", json.dumps([{"assessment": "go", "tasks": tasks}, DONE]))
    desk.env["TOKEN"] = "a-token-of-nobody"
    desk.settings["heartbeat"] = "60s"  # nothing dies here, and the machine may be busy
    return desk


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def without_times(events: list[Any]) -> list[Any]:
    """Events in the order of their keys, without what differs from run to run."""
    told = [
        {k: v for k, v in event.items() if k not in ("seq", "at", "ms", "wall_ms", "run")}
        for event in events
    ]
    return sorted(told, key=lambda event: (event.get("key", ""), event["type"]))


def test_a_run_is_exported_tailed_and_replayed_as_one_of_this_machine(desk: Any) -> None:
    place(desk, "add", "add").host("main.orch")
    assert desk.orch("run", "main.orch", "main", "-q")[0] == 0
    assert desk.orch("run", "main.orch", "main", "-q", on=False)[0] == 0
    code, exported, _ = desk.orch("export", "last")
    assert code == 0
    events = lines(exported)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    here = lines(desk.orch("export", "last", on=False)[1])
    assert without_times(events) == without_times(here)
    assert desk.orch("tail", "last", "--format", "json") == (0, exported, "")
    code, said, _ = desk.orch("replay", "last")
    assert (code, "no divergence" in said) == (0, True)
    # A changed file is held against what happened there: from where on it matters.
    desk.write("main.orch", PROGRAM.replace('goal = "g"', 'goal = "another"'))
    code, said, _ = desk.orch("replay", "last", "--file", "main.orch")
    assert (code, "diverge" in said) == (1, True), said


def test_a_tail_goes_on_until_the_run_ends_or_waits(desk: Any) -> None:
    place(desk, "nap")
    desk.pipe()
    desk.host("main.orch")
    follower = desk.begin("run", "main.orch", "main", "-q")
    assert desk.wait_ready() == "begun"
    tail = desk.begin("tail", "last", "--format", "json")
    assert tail.stdout is not None
    assert json.loads(tail.stdout.readline())["type"] == "run_started"
    assert desk.orch("cancel", "last", "--reason", "enough")[0] == 7
    rest = lines(tail.communicate()[0])
    assert (tail.returncode, rest[-1]["type"]) == (7, "run_ended")
    follower.communicate()
    assert follower.returncode == 7


def test_the_last_run_is_the_one_that_began_last(desk: Any) -> None:
    # The cluster lists what is open first; this one stays open, and waits.
    place(desk).write("script.json", json.dumps([DONE]))
    desk.host("main.orch")
    assert desk.orch("run", "main.orch", "asked", "-q")[0] == 5
    assert desk.orch("tail", "last")[0] == 5
    assert desk.orch("run", "main.orch", "main", "-q")[0] == 0
    both = [run["status"] for run in json.loads(desk.orch("runs", "--format", "json")[1])]
    assert both == ["finished", "waiting"]
    one = json.loads(desk.orch("runs", "--limit", "1", "--format", "json")[1])
    assert [run["status"] for run in one] == ["finished"]
    assert json.loads(desk.orch("show", "last", "--format", "json")[1])["status"] == "finished"
    waiting = desk.orch("runs", "--status", "waiting", "--limit", "1", "--format", "json")[1]
    assert [run["status"] for run in json.loads(waiting)] == ["waiting"]


def test_a_run_that_was_terminated_there_waits_for_nobody(desk: Any) -> None:
    place(desk).write("script.json", json.dumps([DONE]))
    desk.host("main.orch")
    code, _, said = desk.orch("run", "main.orch", "asked")
    run = said.splitlines()[0].removeprefix("run ")
    assert code == 5

    async def terminate() -> None:
        client = await connect(desk.address)
        await client.get_workflow_handle(workflow_id(run)).terminate()

    asyncio.run(terminate())
    code, _, said = desk.orch("resume", run)
    assert (code, "was stopped on the cluster" in said) == (3, True), said
    code, _, said = desk.orch("approve", run)
    assert (code, "has ended" in said) == (2, True), said
    (listed,) = json.loads(desk.orch("runs", "--format", "json")[1])
    assert "terminated" in listed["reason"]


def test_a_host_without_a_secret_says_so_and_begins_nothing(desk: Any) -> None:
    place(desk, "tell", "add")
    host = desk.host("main.orch", TOKEN="")
    # Only names travel, so the run may begin where the secret is set or is not.
    code, out, _ = desk.orch("run", "main.orch", "main", "--format", "json")
    assert code == 0, out
    (failure,) = json.loads(out)["failures"]
    assert failure["mode"] == "denied"  # nobody need be asked what became of a `once` task
    assert "this host has no secret TOKEN" in failure["message"]
    assert "secret TOKEN is not set here" in host.stop()[1]
    desk.host("main.orch")
    code, out, _ = desk.orch("run", "main.orch", "main", "--format", "json")
    assert (code, json.loads(out)["failures"]) == (0, []), out
    shown = desk.orch("export", "last")[1]
    assert "a-token-of-nobody" not in shown
    assert "[secret TOKEN]" in shown


@pytest.mark.parametrize("name", ["o'brien", "ü/你 好", "a&b=c?d#e%41+f"])
def test_a_queue_may_be_called_oddly(desk: Any, name: str) -> None:
    place(desk, "add")
    desk.queue = f"{os.getpid()} {name}"
    desk.host("main.orch")
    assert desk.orch("run", "main.orch", "main", "-q")[0] == 0
    assert desk.orch("show", "last")[0] == 0


@pytest.mark.parametrize("name", ['a"b', "x\\y", "a\nb", "/_sys/orch/1", "ü" * 300])
def test_a_queue_that_cannot_be_found_again_is_refused(name: str) -> None:
    assert queue_problem(name) is not None
