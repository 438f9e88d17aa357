"""What dies, is cut off or comes twice: nothing is lost, and nothing is done twice unasked.

What tools do is counted by a log outside of every process that is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from engine.distributed.activities import HostCalls
from engine.distributed.library import Library
from engine.distributed.messages import Json, Outcome, WorkerOrder
from engine.distributed.programs import digest_of
from engine.distributed.receipts import Receipts
from engine.sema.check import check_file

pytestmark = pytest.mark.temporal

PROGRAM = """orch 1
model planner { id = "scripted/script.json" }
worker quick(n: int) -> int via python { call = "tools:quick"  effect = read }
worker slow(n: int) -> int via python { call = "tools:slow"  effect = read }
worker put(n: int) -> string via python {
  call = "tools:put"  args = { n: n, key: task.key }  effect = write
}
worker pay(n: int) -> int via python { call = "tools:pay"  effect = once }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [quick, slow, put, pay]  policy { max_rounds = 3 }
}
"""
#: The first call of each slow tool says that it has begun, and never ends.
TOOLS = """
import asyncio
import os
import pathlib

HERE = pathlib.Path(__file__).parent


def note(line):
    with open(HERE / "log.txt", "a") as file:
        file.write(line + "\\n")


async def first(name):
    seen = HERE / f"{name.split()[0]}.seen"
    note(name)
    if seen.exists():
        return
    seen.touch()
    os.write(os.open(HERE / "ready", os.O_RDWR), b"x")
    await asyncio.Event().wait()


def quick(n):
    note(f"quick {n}")
    return n


async def slow(n):
    await first("slow")
    return n


async def put(n, key):
    await first(f"put {key}")
    return key


async def pay(n):
    await first("pay")
    return n
"""
SLOW = 'slow(n: int) -> int via python { call = "tools:slow"'
DONE = {"assessment": "done", "finish": {"n": 1}}


def script(*workers: str) -> str:
    tasks = [{"id": f"t{i}", "worker": w, "input": {"n": i}} for i, w in enumerate(workers)]
    quick = [{"id": "q", "worker": "quick", "input": {"n": 9}}]
    return json.dumps(
        [{"assessment": "a", "tasks": quick}, {"assessment": "b", "tasks": tasks}, DONE]
    )


@pytest.fixture
def placed(desk: Any) -> Any:
    return place(desk)


def place(desk: Any, *workers: str) -> Any:
    desk.write("main.orch", PROGRAM)
    desk.write("tools.py", TOOLS)
    desk.write("script.json", script(*(workers or ("slow",))))
    desk.pipe()
    return desk


def wait_for(desk: Any, count: int) -> None:
    """Wait until so many slow tools have begun."""
    while count:
        count -= len(desk.wait_ready())


def test_a_host_is_killed_in_the_middle_of_calls(desk: Any) -> None:
    place(desk, "slow", "put", "pay")
    driver = desk.host("main.orch", "--only", "workflows")
    lost = desk.host("main.orch", "--only", "calls")
    follower = desk.begin("run", "main.orch", "--format", "json")
    wait_for(desk, 3)
    lost.kill()
    desk.host("main.orch", "--only", "calls")
    out, said = follower.communicate()
    # What may be repeated was; what may happen only once waits for a person's word.
    assert follower.returncode == 5, said
    key = "round 2 / decision 1 / task"
    put = next(line for line in desk.log() if line.startswith("put"))
    assert sorted(desk.log()) == sorted(["quick 9", "slow", "slow", put, put, "pay"])
    (gate,) = json.loads(out)["gates"]
    assert (gate["kind"], gate["key"]) == ("outcome", f"{key} t2 / outcome")
    desk.write("paid.json", "7")
    code, out, _ = desk.orch("approve", "last", "--output", "paid.json", "--format", "json")
    assert code == 0
    assert desk.log().count("pay") == 1
    assert json.loads(desk.orch("show", "last", "--format", "json")[1])["lost"] == 3
    driver.kill()


def test_a_command_ends_with_its_host(desk: Any) -> None:
    program = 'slow(n: int) -> int via command { run = ["sh", "slow.sh"]'
    desk.write("main.orch", PROGRAM.replace(SLOW, program))
    # The first one would hold `held` open until long after its host is dead.
    first = "[ -e seen ] && { echo 1; exit; }; touch seen; exec 3> held; echo x > ready; sleep 1000"
    desk.write("slow.sh", first)
    desk.write("tools.py", TOOLS)
    desk.write("script.json", script("slow"))
    desk.pipe()
    os.mkfifo(desk.folder / "held")
    held = os.open(desk.folder / "held", os.O_RDONLY | os.O_NONBLOCK)
    host = desk.host("main.orch")
    run = desk.begin("run", "main.orch", "--format", "json")
    desk.wait_ready()
    os.kill(host.process.pid, signal.SIGKILL)
    host.process.communicate()
    assert select.select([held], [], [], 60)[0]
    assert os.read(held, 1) == b""
    os.close(held)
    desk.host("main.orch")
    out, err = run.communicate()
    assert run.returncode == 0, err
    assert json.loads(out)["lost"] == 1


def test_who_drives_runs_is_killed(placed: Any) -> None:
    driver = placed.host("main.orch", "--only", "workflows")
    placed.host("main.orch", "--only", "calls")
    follower = placed.begin("run", "main.orch", "--format", "json")
    wait_for(placed, 1)
    driver.kill()
    # A call goes on while nobody drives its run; another host takes the run over.
    placed.host("main.orch", "--only", "workflows")
    code, _, said = placed.orch("cancel", "last")
    assert code == 7, said
    follower.communicate()
    assert follower.returncode == 7
    assert placed.log() == ["quick 9", "slow"]


def test_the_server_is_killed_and_comes_back(tmp_path: Path, own_server: Any, desk_on: Any) -> None:
    desk = place(desk_on(tmp_path, own_server))
    # With a long heartbeat the call outlives the server's absence, and is not made again.
    desk.settings["heartbeat"] = "60s"
    desk.write("tools.py", TOOLS.replace("await asyncio.Event().wait()", RELEASE))
    host = desk.host("main.orch")
    follower = desk.begin("run", "main.orch", "--format", "json")
    wait_for(desk, 1)
    own_server.kill()
    own_server.start()
    (tmp_path / "release").write_text("go")
    out, said = follower.communicate()
    assert follower.returncode == 0, said
    assert json.loads(out)["output"] == {"n": 1}
    assert desk.log() == ["quick 9", "slow"]
    host.kill()
    desk.close()


RELEASE = """while not (HERE / "release").exists():
        await asyncio.sleep(0.01)"""


def test_a_late_completion_changes_nothing(placed: Any) -> None:
    placed.host("main.orch", "--only", "workflows")
    placed.write("tools.py", TOOLS.replace("await asyncio.Event().wait()", RELEASE))
    # One call at a time, or the frozen host goes on to be handed others, three of which are fatal.
    frozen = placed.host("main.orch", "--only", "calls", "--max-concurrent", "1")
    follower = placed.begin("run", "main.orch", "--format", "json")
    wait_for(placed, 1)
    os.kill(frozen.process.pid, signal.SIGSTOP)
    placed.host("main.orch", "--only", "calls")
    _, said = follower.communicate()
    assert follower.returncode == 0, said
    before = placed.orch("show", "last", "--format", "json")[1]
    placed.write("release", "go")
    os.kill(frozen.process.pid, signal.SIGCONT)
    frozen.stop()
    assert placed.orch("show", "last", "--format", "json")[1] == before
    # The cluster may have handed it to the frozen host again; its late word is not taken either.
    assert json.loads(before)["lost"] >= 1


def order_of(folder: Path, name: str, **changes: Any) -> WorkerOrder:
    program = check_file(str(folder / "main.orch")).program
    assert program is not None
    fields: dict[str, Any] = {
        "run": "r",
        "key": f"task {name}",
        "task_key": f"task {name}",
        "attempt": 1,
        "name": name,
        "digest": digest_of(program.workers[name]),
        "params": {},
        "task": {"key": f"task {name}"},
    }
    return WorkerOrder(**{**fields, **changes})


def test_what_was_done_is_not_done_again(placed: Any) -> None:
    folder = placed.folder

    async def deliver(order: WorkerOrder, n: int) -> Outcome:
        """One delivery, to a host that has just been started."""
        receipts = Receipts(str(folder / "receipts.db"))
        calls = HostCalls(Library([str(folder / "main.orch")]), receipts, {}, {}, None)
        try:
            return await ActivityEnvironment().run(calls.call_worker, order, Json({"n": n}))
        finally:
            await calls.close()
            receipts.close()

    order = order_of(folder, "quick")
    first = asyncio.run(deliver(order, 3))
    assert first.event.value == 3
    assert asyncio.run(deliver(order, 3)) == first
    assert placed.log() == ["quick 3"]
    # The same attempt with another input is no repetition, but somebody's mistake.
    wrong = asyncio.run(deliver(order, 4))
    assert (wrong.event.mode, "another input" in wrong.event.message) == ("crashed", True)
    # Another attempt is another thing.
    assert asyncio.run(deliver(order_of(folder, "quick", attempt=2), 4)).event.value == 4
    # A declaration that is another one is not begun.
    refused = asyncio.run(deliver(order_of(folder, "quick", attempt=3, digest="0ther"), 4))
    assert refused.refused
    assert "0ther" in refused.event.message
    assert order.digest in refused.event.message
    assert placed.log() == ["quick 3", "quick 4"]


def test_the_same_delivery_twice_at_once_is_one_call(placed: Any) -> None:
    folder = placed.folder
    order = order_of(folder, "slow")
    placed.write("tools.py", TOOLS.replace("await asyncio.Event().wait()", RELEASE))

    async def both() -> list[Outcome]:
        receipts = Receipts(str(folder / "receipts.db"))
        calls = HostCalls(Library([str(folder / "main.orch")]), receipts, {}, {}, None)
        one = asyncio.ensure_future(
            ActivityEnvironment().run(calls.call_worker, order, Json({"n": 3}))
        )
        await asyncio.to_thread(wait_for, placed, 1)
        two = asyncio.ensure_future(
            ActivityEnvironment().run(calls.call_worker, order, Json({"n": 3}))
        )
        await asyncio.sleep(0)
        placed.write("release", "go")
        try:
            return list(await asyncio.gather(one, two))
        finally:
            await calls.close()
            receipts.close()

    first, second = asyncio.run(both())
    assert first == second
    assert placed.log() == ["slow"]


def test_a_once_call_that_was_begun_is_not_begun_again(placed: Any) -> None:
    folder = placed.folder
    order = order_of(folder, "pay")

    async def cut_off_and_again() -> Outcome:
        receipts = Receipts(str(folder / "receipts.db"))
        calls = HostCalls(Library([str(folder / "main.orch")]), receipts, {}, {}, None)
        cut = asyncio.ensure_future(
            ActivityEnvironment().run(calls.call_worker, order, Json({"n": 3}))
        )
        await asyncio.to_thread(wait_for, placed, 1)
        cut.cancel()
        await asyncio.gather(cut, return_exceptions=True)
        try:
            return await ActivityEnvironment().run(calls.call_worker, order, Json({"n": 3}))
        finally:
            await calls.close()
            receipts.close()

    outcome = asyncio.run(cut_off_and_again())
    assert outcome.event.mode == "crashed"
    assert placed.log() == ["pay"]


def test_hosts_of_two_programs_with_the_same_names_share_a_queue(desk: Any) -> None:
    """The server hands calls to any host of a queue; those that are another's are refused."""
    desk.settings["heartbeat"] = "60s"  # nothing dies here
    tasks = [{"id": f"t{n}", "worker": "quick", "input": {"n": n}} for n in range(6)]
    desk.write("script.json", json.dumps([{"assessment": "a", "tasks": tasks}, DONE]))
    desk.write("tools.py", TOOLS)
    desk.write("main.orch", PROGRAM)
    desk.write("other.orch", PROGRAM.replace("tools:quick", "tools:fast"))
    desk.write("tools.py", TOOLS + "\n\nfast = quick\n")
    desk.host("main.orch")
    other = desk.host("other.orch")
    code, out, said = desk.orch("run", "main.orch", "--format", "json")
    assert (code, json.loads(out)["failures"]) == (0, []), said
    assert sorted(desk.log()) == [f"quick {n}" for n in range(6)]
    # Where there is no other, the refusal is the failure, and says which version is where.
    desk.hosts[0].kill()
    desk.host("main.orch", "--only", "workflows")
    desk.host("main.orch", "--serve", "planner")
    code, out, said = desk.orch("run", "main.orch", "--format", "json")
    assert code == 0, said
    assert {failure["mode"] for failure in json.loads(out)["failures"]} == {"denied"}
    assert "another version of `quick`" in json.loads(out)["failures"][0]["message"]
    assert other.process.poll() is None
