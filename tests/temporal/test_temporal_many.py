"""More calls in flight than Temporal takes at once: they are held back, and all are made."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import engine.distributed.workflow as of_runs
from engine.distributed.address import connect
from engine.distributed.host import Serving, serve
from engine.distributed.remote import start_run
from engine.drive import launch
from engine.drive.launch import Options
from engine.runtime.report import run_report
from engine.runtime.state import RunState
from engine.sema.check import check_file

pytestmark = pytest.mark.temporal

TASKS, MOST, AT_ONCE = 12, 4, 3

PROGRAM = """orch 1
model planner { id = "python/tools:plan" }
worker add(n: int) -> int via python { call = "tools:add"  effect = read }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [add]
  policy { max_rounds = 2  max_per_round = 12  max_parallel = 12 }
}
"""
TOOLS = """
def add(n):
    return n + 1


def plan(state):
    if state.outputs.get("add"):
        return {"assessment": "done", "finish": {"n": len(state.outputs["add"])}}
    tasks = [{"id": f"t{n}", "worker": "add", "input": {"n": n}} for n in range(12)]
    return {"assessment": "all", "tasks": tasks}
"""


def test_calls_beyond_the_limit_wait(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_runs, "_MOST_IN_FLIGHT", MOST)
    monkeypatch.setattr(of_runs, "_BEGUN_AT_ONCE", AT_ONCE)
    desk.write("tools.py", TOOLS)
    program = check_file(str(desk.write("main.orch", PROGRAM))).program
    assert program is not None
    most = asyncio.run(_most_in_flight(desk, program))
    assert most == MOST


async def _most_in_flight(desk: Any, program: Any) -> int:
    """How many calls the history of a run has in flight at most."""
    files = (str(desk.folder / "main.orch"),)
    serving = Serving(files, None, True, True, {}, str(desk.folder / "receipts.db"), drain_s=1)
    stop, ready = asyncio.Event(), asyncio.Event()
    host = asyncio.ensure_future(serve(desk.address, serving, stop, lambda *_: ready.set()))
    await ready.wait()
    client = await connect(desk.address)
    chosen = launch.choose(program, None)
    record, began = launch.prepare(program, chosen, {}, Options(), {})
    run = await start_run(client, desk.address, record, began)
    state = await run.follow(RunState(program), 0, [], lambda line: None)
    assert run_report(state)["output"] == {"n": TASKS}, state.reason
    most = running = 0
    async for event in client.get_workflow_handle(f"orch-run-{run.run}").fetch_history_events():
        running += event.HasField("activity_task_scheduled_event_attributes")
        running -= event.HasField("activity_task_completed_event_attributes")
        most = max(most, running)
    stop.set()
    await host
    return most
