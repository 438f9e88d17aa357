"""Histories: continued as new, replayed, and kept small; and what hosts need to know of each other.

The histories under `histories/` were recorded by `ORCH_UPDATE_GOLDEN=1`. A change of the workflow's
code that cannot replay them would leave runs that are under way where they are.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from engine.distributed.address import connect
from engine.distributed.journal import RemoteJournal
from engine.distributed.payloads import data_converter
from engine.distributed.queues import workflow_id
from engine.distributed.remote import start_run
from engine.distributed.workflow import OrchRun
from engine.drive import launch
from engine.drive.launch import Options
from engine.errors import OrchError
from engine.journal import MemoryJournal
from engine.runtime.state import RunState
from engine.sema.check import check_file

pytestmark = pytest.mark.temporal

HISTORIES = Path(__file__).parent / "histories"
PROGRAM = """orch 1
model planner { id = "scripted/script.json" }
secret TOKEN
param who: string = "me"
worker add(n: int) -> int via python { call = "tools:add"  effect = pure }
worker flaky(n: int) -> int via python {
  call = "tools:flaky"  effect = read  retry { max = 1  on = [crashed]  backoff = 5ms }
}
worker large(n: int) -> string via python { call = "tools:large"  effect = read }
worker whisper() -> string via command {
  run = ["sh", "-c", "echo it is $TOKEN, $OPENAI_API_KEY"]
  env { inherit = ["OPENAI_API_KEY"]  set = { TOKEN: secret.TOKEN } }
  parse = text  effect = read  timeout = 1m
}
verifier person() via human { message = "Sure?" }
orchestrator main() -> { n: int } {
  model = planner  goal = "g {{ param.who }}"  workers = [add, flaky, large, whisper]
  policy { max_rounds = 40  budget { time = 1h } }
}
orchestrator asked() -> { n: int } {
  model = planner  goal = "g"  workers = [add]  policy { max_rounds = 2 }
  verify { before_finish { with = person  on_fail = abort } }
}
"""
TOOLS = """
import random


def add(n):
    return n + 1


def flaky(n):
    if n % 2:
        raise RuntimeError("odd")
    return n


def large(n):
    return random.Random(n).randbytes(n // 2).hex()  # what cannot be compressed away
"""
DONE = {"assessment": "done", "finish": {"n": 1}}


def plan(*tasks: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "assessment": "go",
        "tasks": [{"id": name, "worker": worker, "input": input} for name, worker, input in tasks],
    }


def place(desk: Any, script: list[Any]) -> Any:
    desk.write("main.orch", PROGRAM)
    desk.write("tools.py", TOOLS)
    desk.write("script.json", json.dumps(script))
    desk.env["TOKEN"] = "sesame-1234"
    return desk


def history_of(desk: Any, run: str) -> WorkflowHistory:
    async def fetched() -> WorkflowHistory:
        client = await connect(desk.address)
        return await client.get_workflow_handle(workflow_id(run)).fetch_history()

    return asyncio.run(fetched())


async def replay(history: WorkflowHistory, blobs: str | None = None) -> None:
    replayer = Replayer(
        workflows=[OrchRun],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=data_converter(blobs, compiles=True),
    )
    await replayer.replay_workflow(history)


def test_a_long_run_continues_as_new(
    desk: Any, by_key: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = [
        plan((f"a{i}", "add", {"n": i}), (f"f{i}", "flaky", {"n": i}), (f"b{i}", "add", {"n": -i}))
        for i in range(12)
    ]
    place(desk, [*rounds, DONE])
    desk.settings["rollover"] = "20"
    desk.host("main.orch", "--blobs", "blobs")
    desk.settings["blobs"] = str(desk.folder / "blobs")
    code, out, said = desk.orch("run", "main.orch", "main", "--format", "json")
    assert code == 0, said
    run = json.loads(out)["run"]
    journal = RemoteJournal(desk.url)
    there = journal.read(run)
    assert [summary.run for summary in journal.runs()] == [run]
    journal.close()
    history = history_of(desk, run)
    started = history.events[0].workflow_execution_started_event_attributes
    assert started.continued_execution_run_id
    monkeypatch.setenv("TOKEN", "sesame-1234")
    program = check_file(str(desk.folder / "main.orch")).program
    kept = MemoryJournal()
    state = asyncio.run(launch.start(program, launch.choose(program, "main"), {}, kept, Options()))
    assert by_key(there) == by_key(kept.read(state.run))
    asyncio.run(replay(history, str(desk.folder / "blobs")))


#: Orchestrator, script.
RECORDED: dict[str, tuple[str, list[Any]]] = {
    "retried": ("main", [plan(("a", "add", {"n": 1}), ("f", "flaky", {"n": 1})), DONE]),
    "asked": ("asked", [DONE]),
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_histories_replay(desk: Any, name: str) -> None:
    path = HISTORIES / f"{name}.json"
    if os.environ.get("ORCH_UPDATE_GOLDEN"):
        orchestrator, script = RECORDED[name]
        place(desk, script)
        desk.host("main.orch")
        _, out, _ = desk.orch("run", "main.orch", orchestrator, "--format", "json")
        run = json.loads(out)["run"]
        if name == "asked":
            assert desk.orch("approve", run)[0] == 0
        path.parent.mkdir(exist_ok=True)
        text = history_of(desk, run).to_json()
        path.write_text(re.sub(r"\d+@[\w.-]+", "1@host", text) + "\n")
    asyncio.run(replay(WorkflowHistory.from_json("orch-run-x", path.read_text())))


def test_secrets_stay_on_their_hosts(desk: Any) -> None:
    place(desk, [plan(("w", "whisper", {})), DONE])
    desk.env["OPENAI_API_KEY"] = "sk-0123456789"
    desk.host("main.orch")
    # What is known where a run is started may not travel either.
    for name in ("TOKEN", "OPENAI_API_KEY"):
        given = f"who=it is {desk.env[name]}"
        code, _, said = desk.orch("run", "main.orch", "main", "--param", given)
        assert (code, f"param `who` holds the value of the secret {name}" in said) == (2, True)
        assert desk.env[name] not in said
    del desk.env["TOKEN"], desk.env["OPENAI_API_KEY"]  # who starts the run need not know them
    code, out, said = desk.orch("run", "main.orch", "main", "--format", "json")
    assert code == 0, said
    run = json.loads(out)["run"]
    shown = desk.orch("show", run, "--task", "w", "--format", "json")[1]
    said = "it is [secret TOKEN], [secret OPENAI_API_KEY]"
    assert json.loads(shown)["output"].strip() == said
    history = history_of(desk, run).to_json()
    assert "sesame" not in history
    assert "sk-0123456789" not in history


def test_large_values_travel_by_reference_or_fail_clearly(desk: Any) -> None:
    place(desk, [plan(("l", "large", {"n": 3_000_000}), ("m", "large", {"n": 3_000_000})), DONE])
    host = desk.host("main.orch")
    code, out, said = desk.orch("run", "main.orch", "main", "--format", "json")
    assert code == 0, said
    failures = json.loads(out)["failures"]
    assert [failure["mode"] for failure in failures] == ["invalid_output"] * 2
    assert "blob store" in failures[0]["message"]
    host.stop()
    desk.host("main.orch", "--blobs", "blobs")
    desk.settings["blobs"] = str(desk.folder / "blobs")
    code, out, said = desk.orch("run", "main.orch", "main", "--format", "json")
    assert (code, json.loads(out)["failures"]) == (0, []), said
    assert list((desk.folder / "blobs").rglob("*"))


def test_hosts_serve_by_name_and_say_what_is_missing(desk: Any) -> None:
    place(desk, [plan(("a", "add", {"n": 1}), ("f", "flaky", {"n": 2})), DONE])
    desk.settings["patience"] = "6s"
    desk.host("main.orch", "--only", "workflows")
    desk.host("main.orch", "--serve", "planner,flaky")
    code, out, said = desk.orch("run", "main.orch", "main", "--format", "json")
    assert code == 0, said
    (failure,) = json.loads(out)["failures"]
    assert (failure["mode"], failure["worker"]) == ("timeout", "add")
    assert "no host that serves worker `add`" in failure["message"]
    assert f"waiting for a host that serves worker `add` on queue `{desk.queue}/worker/add`" in said


def test_a_run_that_begins_with_an_error_is_refused_by_its_host(desk: Any) -> None:
    """However it was handed over: `orch run` and `orch worker` refuse the file themselves."""
    place(desk, [plan(("a", "add", {"n": 1})), DONE])
    desk.host("main.orch")
    bare = 'orchestrator main(q: string @untrusted = "") -> { n: int } {'
    text = PROGRAM.replace("orchestrator main() -> { n: int } {", bare)
    desk.write("main.orch", text.replace('goal = "g {{ param.who }}"', 'goal = "{{ q }}"', 1))
    for command in (("run", "main.orch", "main"), ("worker", "main.orch")):
        code, _, said = desk.orch(*command, on=command[0] == "run")
        assert (code, "error[ORC806]" in said) == (3, True), said

    async def started() -> None:
        program = check_file(str(desk.folder / "main.orch")).program
        orchestrator = launch.choose(program, "main")
        record, began = launch.prepare(program, orchestrator, {}, Options(), {})
        run = await start_run(await connect(desk.address), desk.address, record, began)
        await run.follow(RunState(program), 0, [], print)

    with pytest.raises(OrchError, match="ORC806"):
        asyncio.run(started())


def test_a_host_with_another_version_of_the_program_refuses(desk: Any) -> None:
    place(desk, [plan(("a", "add", {"n": 1})), DONE])
    desk.host("main.orch")
    desk.write(
        "main.orch", PROGRAM.replace("worker add(n: int) -> int", "worker add(n: int) -> float")
    )
    code, out, said = desk.orch("run", "main.orch", "main", "--format", "json")
    assert code == 0, said
    (failure,) = json.loads(out)["failures"]
    assert failure["mode"] == "denied"
    assert "another version of `add`" in failure["message"]
