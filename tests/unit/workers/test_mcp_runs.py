"""`mcp` workers in whole runs: servers that die, hang and are left when a run ends."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

import engine

SCRIPT = str(Path(__file__).parents[2] / "support" / "mcp_servers.py")
PROGRAM = """\
orch 1
server kb via mcp {{
  command = {command}
  env     = {{ TEST_LOG: "{folder}/log", TEST_PIPE: "{folder}/pipe" }}
}}
model planner {{ id = "scripted/none.json" }}
worker add(a: int, b: int) -> int via mcp {{
  server = kb  tool = "add"  effect = read  trust = trusted
}}
worker die() -> json via mcp {{
  server = kb  tool = "die"  effect = {effect}  trust = trusted  {more}
}}
worker hang() -> json via mcp {{
  server = kb  tool = "hang"  effect = read  trust = trusted  {more}
}}
orchestrator main() -> json {{
  model   = planner
  goal    = "Go."
  workers = [add, die, hang]
  policy  {{ max_rounds = 4 }}
}}
"""


def task(worker, **input):
    tasks = [{"id": f"t_{worker}", "worker": worker, "input": input}]
    return {"assessment": "", "tasks": tasks}


FINISH = {"assessment": "", "finish": 3}


@pytest.fixture
def load(tmp_path):
    def load(effect="read", more=""):
        os.mkfifo(tmp_path / "pipe")
        path = tmp_path / "main.orch"
        command = json.dumps([sys.executable, SCRIPT])
        path.write_text(PROGRAM.format(command=command, folder=tmp_path, effect=effect, more=more))
        return engine.load(path)

    return load


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_server_that_dies_under_a_read_call_is_a_failure_to_plan_on(load, tmp_path):
    decisions = [task("die"), task("add", a=1, b=2), FINISH]
    run = load(more="retry { max = 1  backoff = 1ms }").run(
        "main", models={"planner": engine.Scripted(decisions)}
    )
    assert (run.status, run.output) == ("finished", 3)
    (failure,) = run.failures
    assert failure.mode == "crashed"
    assert "connection lost" in failure.message
    # Two attempts that killed it, and the one that served the last call.
    assert len((tmp_path / "log").read_text().splitlines()) == 3


def test_a_server_that_dies_under_a_once_call_makes_the_run_wait(load):
    run = load("once").run("main", models={"planner": engine.Scripted([task("die")])})
    assert run.status == "waiting"
    (gate,) = run.gates
    assert gate.kind == "outcome"


def test_a_call_that_hangs_ends_alone(load, tmp_path):
    again = {"assessment": "", "tasks": [{"id": "b", "worker": "add", "input": {"a": 1, "b": 1}}]}
    decisions = [task("add", a=1, b=2), task("hang"), again, FINISH]
    # Opened for reading, so that the tool is not stopped by writing into it.
    program = load(more="timeout = 300ms")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        run = program.run("main", models={"planner": engine.Scripted(decisions)})
    finally:
        os.close(reader)
    assert run.status == "finished"
    assert [failure.mode for failure in run.failures] == ["timeout"]
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert not is_running(int(line.split()[1]))


def test_a_cancelled_run_leaves_no_server_behind(load, tmp_path):
    program = load()

    async def cancelled():
        planner = engine.Scripted([task("hang")])
        run = asyncio.create_task(program.arun("main", models={"planner": planner}))
        pid = int(await asyncio.to_thread((tmp_path / "pipe").read_text))
        assert is_running(pid)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        return pid

    assert not is_running(asyncio.run(cancelled()))
