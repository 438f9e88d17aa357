"""The command line on a cluster: the codes, the results and the words of the embedded engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.temporal

PROGRAM = """orch 1

model planner { id = "scripted/none.json" }
worker add(n: int) -> int via python { call = "tools:add"  effect = pure }
worker flaky(n: int) -> int via python {
  call = "tools:flaky"  effect = read  retry { max = 2  on = [crashed]  backoff = 5ms }
}
worker hang(n: int) -> int via python { call = "tools:hang"  effect = read }
worker send(n: int) -> int via python { call = "tools:boom"  effect = once }
verifier person() via human { message = "May it go on?" }
verifier hasty() via human { message = "Quick!"  timeout = 50ms  on_timeout = escalate }

orchestrator inner(n: int) -> { n: int } {
  model = planner  goal = "Inner {{ n }}."  workers = [add]  policy { max_rounds = 2 }
}
orchestrator main(n: int = 1) -> { n: int } {
  model = planner  goal = "Count from {{ n }}."  workers = [add, flaky, hang, send, inner]
  policy { max_rounds = 2 }
}
orchestrator asked() -> { n: int } {
  model = planner  goal = "Ask."  workers = [add]  policy { max_rounds = 2 }
  verify { before_finish { with = person  on_fail = abort } }
}
orchestrator unasked() -> { n: int } {
  model = planner  goal = "Ask."  workers = [add]  policy { max_rounds = 2 }
  verify { before_finish { with = hasty  on_fail = abort } }
}
orchestrator timed() -> { n: int } {
  model = planner  goal = "Wait."  workers = [hang]
  policy { max_rounds = 2  budget { time = 300ms } }
}
"""
TOOLS = """
import pathlib
import time

HERE = pathlib.Path(__file__).parent


def note(line):
    with open(HERE / "log.txt", "a") as file:
        file.write(line + "\\n")


def add(n):
    return n + 1


def flaky(n):
    note(f"flaky {n}")
    if (HERE / "log.txt").read_text().splitlines().count(f"flaky {n}") % 3:
        raise RuntimeError("not yet")
    return n


async def hang(n):
    import asyncio
    await asyncio.Event().wait()


def boom(n):
    note(f"boom {n}")
    raise RuntimeError("boom")
"""


def task(name: str, worker: str, **input: Any) -> dict[str, Any]:
    return {"id": name, "worker": worker, "input": input}


def plan(*tasks: dict[str, Any]) -> dict[str, Any]:
    return {"assessment": "go", "tasks": list(tasks)}


DONE = {"assessment": "done", "finish": {"n": 2}}
NESTED = {
    "entries": {
        "decision:main": [
            plan(task("a", "inner", n=1), *(task(f"b{n}", "flaky", n=n) for n in range(6))),
            DONE,
        ],
        "decision:inner": [plan(task("x", "add", n=1)), DONE],
    }
}

#: Orchestrator, script, exit code.
RUNS: dict[str, tuple[str, Any, int]] = {
    "finished": ("main", [plan(task("a", "add", n=1)), DONE], 0),
    "nested": ("main", NESTED, 0),
    "failed": ("main", [{"$fail": "refused", "message": "no"}], 1),
    "exhausted": ("main", [plan(task("a", "add", n=1)), plan(task("b", "add", n=2))], 4),
    "waiting": ("asked", [DONE], 5),
    "unknown": ("main", [plan(task("a", "send", n=1))], 5),
    "out_of_time": ("timed", [plan(task("a", "hang", n=1))], 4),
}


@pytest.fixture(scope="module")
def all_runs(tmp_path_factory: pytest.TempPathFactory, server: Any, desk_on: Any) -> Iterator[Any]:
    """A desk with a program for each run, and a host for all of them."""
    desk = desk_on(tmp_path_factory.mktemp("runs"), server)
    desk.write("tools.py", TOOLS)
    for name, (_, script, _) in RUNS.items():
        desk.write(f"{name}.orch", PROGRAM.replace("none.json", f"{name}.json"))
        desk.write(f"{name}.json", json.dumps(script))
    host = desk.host(*(f"{name}.orch" for name in RUNS))
    yield desk
    assert host.stop() == (0, "stopped\n")


@pytest.mark.parametrize("name", RUNS)
def test_a_run_ends_alike(all_runs: Any, name: str) -> None:
    orchestrator, _, code = RUNS[name]
    arguments = ("run", f"{name}.orch", orchestrator, "--format", "json")
    here = all_runs.orch(*arguments, on=False)
    there = all_runs.orch(*arguments)
    assert (here[0], there[0]) == (code, code), (here[2], there[2])
    assert told(there[1]) == told(here[1])
    shown = all_runs.orch("show", json.loads(there[1])["run"], "--format", "json")
    assert told(shown[1], history=True) == told(
        all_runs.orch("show", "last", "--format", "json", on=False)[1], history=True
    )


def told(text: str, *, history: bool = False) -> Any:
    """A report without what differs from run to run."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: plain(item)
                for key, item in value.items()
                if not key.endswith(("ms", "_at"))
                and key not in ("run", "journal", "started", "ended", "opened", "at", "program")
            }
        if isinstance(value, list):
            return [plain(item) for item in value]
        return value

    report = plain(json.loads(text))
    if not history:
        report.pop("history", None)
    return report


def test_a_gate_is_answered_from_elsewhere_and_only_once(desk: Any) -> None:
    desk.write("main.orch", PROGRAM)
    desk.write("tools.py", TOOLS)
    desk.write("none.json", json.dumps([DONE]))
    desk.host("main.orch")
    code, _, said = desk.orch("run", "main.orch", "asked")
    assert code == 5
    assert "--on" in said  # the commands that answer say where
    run = said.splitlines()[0].removeprefix("run ")
    _, listed, _ = desk.orch("gates", "--format", "json")
    (gate,) = json.loads(listed)
    assert (gate["run"], gate["message"]) == (run, "May it go on?")
    answers = [
        desk.begin("approve", run, "--by", "ann", "--format", "json"),
        desk.begin("reject", run, "--by", "bob", "--format", "json"),
    ]
    results = []
    for process in answers:
        out, said = process.communicate()
        results.append((process.returncode, out, said))
    codes = sorted(code for code, _, _ in results)
    assert codes in ([0, 2], [2, 6]), results
    lost = next(said for code, _, said in results if code == 2)
    assert "has been answered already" in lost or "has ended" in lost or "no open gate" in lost
    _, runs, _ = desk.orch("runs", "--format", "json")
    assert [r["status"] for r in json.loads(runs)] == ["finished" if 0 in codes else "aborted"]
    code, _, said = desk.orch("approve", run)
    assert (code, "has ended" in said) == (2, True)


def test_a_gate_that_nobody_answers_in_time_goes_on_by_itself(desk: Any) -> None:
    desk.write("main.orch", PROGRAM)
    desk.write("tools.py", TOOLS)
    desk.write("none.json", json.dumps([DONE]))
    desk.host("main.orch")
    desk.orch("run", "main.orch", "unasked")
    # Its timeout is a durable timer; then it escalates, which opens another gate.
    code, out, _ = desk.orch("gates", "last", "--format", "json")
    while code == 0 and [gate["kind"] for gate in json.loads(out)] != ["escalation"]:
        code, out, _ = desk.orch("gates", "last", "--format", "json")
    assert code == 0


def test_a_run_under_way_is_followed_and_cancelled(desk: Any) -> None:
    desk.write("main.orch", PROGRAM.replace("tools:hang", "tools:nap"))
    desk.write("tools.py", TOOLS + NAP)
    desk.write("none.json", json.dumps([plan(task("a", "hang", n=1))]))
    desk.pipe()
    desk.host("main.orch")
    follower = desk.begin("run", "main.orch", "main", "--format", "json")
    assert desk.wait_ready() == "begun"
    code, out, _ = desk.orch("cancel", "last", "--reason", "enough", "--format", "json")
    assert code == 7
    assert json.loads(out)["reason"] == "enough"
    # Cancellation reaches the worker; it says so.
    assert desk.wait_ready() == "stopped"
    assert follower.communicate()[0]
    assert follower.returncode == 7


NAP = """

async def nap(n):
    import asyncio, os
    pipe = os.open(HERE / "ready", os.O_RDWR)
    os.write(pipe, b"begun")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        os.write(pipe, b"stopped")
        raise
"""


def test_who_leaves_a_run_does_not_stop_it(desk: Any) -> None:
    desk.write("main.orch", PROGRAM.replace("tools:hang", "tools:nap"))
    desk.write("tools.py", TOOLS + NAP)
    desk.write("none.json", json.dumps([plan(task("a", "hang", n=1))]))
    desk.pipe()
    desk.host("main.orch")
    follower = desk.begin("run", "main.orch", "main")
    assert desk.wait_ready() == "begun"
    follower.terminate()
    _, said = follower.communicate()
    assert follower.returncode == 143
    assert "orch resume" in said
    assert json.loads(desk.orch("runs", "--format", "json")[1])[0]["status"] == "running"


BAD: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no server": (("runs", "--on", "temporal://127.0.0.1:9/default"), 3, "cannot be reached"),
    "no namespace": (("runs", "--on", "{url}nope"), 3, "has no namespace"),
    "no address": (("runs", "--on", "http://127.0.0.1"), 2, "does not begin with temporal://"),
    "no port": (("runs", "--on", "temporal://127.0.0.1"), 2, "is not an address"),
    "a secret": (("runs", "--on", "temporal://me:pw@127.0.0.1:1/x"), 2, "holds no secrets"),
    "a setting": (("runs", "--on", "temporal://127.0.0.1:1/x?quee=a"), 2, "did you mean `queue`"),
    "no run": (("show", "nothing", "--on", "{url}default"), 2, "no run `nothing`"),
    "two places": (("runs", "--journal", "x", "--on", "{url}default"), 2, "two places"),
    "recording": (
        ("run", "main.orch", "main", "--record", "x", "--on", "{url}default"),
        2,
        "--record",
    ),
    "a name": (("worker", "main.orch", "--serve", "ad"), 2, "did you mean `add`"),
    "a file": (("worker", "nothing.orch"), 3, "nothing.orch"),
    "a host's blobs": (("worker", "main.orch", "--blobs", "main.orch/x"), 3, "cannot be kept in"),
    "a host's server": (("worker", "main.orch", "--address", "127.0.0.1:9"), 3, "reached"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_said_in_a_line(desk: Any, name: str) -> None:
    arguments, code, words = BAD[name]
    desk.write("main.orch", PROGRAM)
    desk.write("tools.py", TOOLS)
    desk.write("none.json", "[]")
    url = f"temporal://{desk.server.address}/"
    got = desk.orch(*(argument.replace("{url}", url) for argument in arguments), on=False)
    assert got[0] == code, got
    assert words in got[2]


def test_a_run_is_told_while_it_waits_and_while_it_runs(desk: Any) -> None:
    desk.write("main.orch", PROGRAM.replace("tools:hang", "tools:nap"))
    desk.write("tools.py", TOOLS + NAP)
    desk.write("none.json", json.dumps([plan(task("a", "hang", n=1)), DONE]))
    desk.pipe()
    desk.host("main.orch")
    desk.begin("run", "main.orch", "main")
    assert desk.wait_ready() == "begun"
    code, _, said = desk.orch("tell", "last", "hurry up", "--by", "ann")
    assert (code, said.startswith("noted; the planner of run ")) == (0, True)
    code, _, said = desk.orch("tell", "last", "x", "--to", "nothing")
    assert (code, "has no task `nothing`" in said) == (2, True)
    assert desk.orch("cancel", "last")[0] == 7
    assert "a note to the planner: hurry up" in desk.orch("tail", "last")[1]


def test_a_run_that_waits_is_told_and_waits_on(desk: Any) -> None:
    desk.write("main.orch", PROGRAM)
    desk.write("tools.py", TOOLS)
    desk.write("none.json", json.dumps([DONE, DONE]))
    desk.host("main.orch")
    assert desk.orch("run", "main.orch", "asked")[0] == 5
    assert desk.orch("tell", "last", "look twice", "--by", "bob")[0] == 0
    code, out, _ = desk.orch("gates", "last", "--format", "json")
    assert (code, len(json.loads(out))) == (0, 1)
    assert "a note to the planner: look twice" in desk.orch("tail", "last")[1]
    assert desk.orch("approve", "last")[0] == 0
    code, _, said = desk.orch("tell", "last", "too late")
    assert (code, "takes no note" in said) == (3, True)
