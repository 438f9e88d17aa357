"""What happens inside plan workers and passes, as reports, records and terminals show it."""

from __future__ import annotations

import asyncio
import io

import msgspec
import pytest

import engine
from engine.cli.plain_view import PlainWatch
from engine.cli.run_text import run_text
from engine.cli.step_lines import entry_path
from engine.drive import launch
from engine.drive.launch import Options
from engine.journal import MemoryJournal
from engine.runtime.report import run_report
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.sema.plans.conditions import Condition, Test
from engine.sema.plans.selection import Selection
from engine.sema.plans.steps import EachStep, Plan, RepeatStep, TaskStep
from engine.sema.plans.values import FromInput, FromItem, FromLast, FromStep

PROGRAM = """orch 1
model planner { id = "scripted/none.json" }
worker add(n: int) -> int via python { call = "tools:add"  effect = read }
worker many(values: int[]) -> json via command { run = ["true"]  effect = read }
orchestrator main() -> json {
  model = planner  goal = "g"  workers = [many]
  policy { max_rounds = 3  max_items = 500  breaker { after = 1000  canary = 0 } }
}
"""

TOOLS = """
def add(n):
    if n == 13:
        raise ValueError("no luck")
    return n + 1
"""

PLAN = Plan(
    steps=(
        EachStep(
            id="all",
            worker="add",
            input={"n": FromItem()},
            each=Selection((FromInput("/values"),)),
        ),
        RepeatStep(
            id="loop",
            steps=(TaskStep(id="draft", worker="add", input={"n": FromLast()}),),
            until=Test(((Condition(FromStep("draft"), ">=", 3),),)),
            max=5,
            gives="draft",
            start=1,
        ),
        TaskStep(id="more", worker="add", input={"n": FromStep("loop")}),
    ),
    result={"all": FromStep("all"), "loop": FromStep("loop")},
    max_items=100,
)


@pytest.fixture
def program(tmp_path, monkeypatch) -> Program:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.orch").write_text(PROGRAM)
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "none.json").write_text("[]")
    found = check_file("a.orch").program
    assert found is not None
    many = msgspec.structs.replace(found.workers["many"], plan=PLAN)
    return msgspec.structs.replace(found, workers={**found.workers, "many": many})


@pytest.fixture
def state(program):
    """A run with a task of a plan worker over 15 values, and the lines that were shown."""
    decisions = [
        {"tasks": [{"id": "t", "worker": "many", "input": {"values": list(range(15))}}]},
        {"finish": {"$from": "t"}},
    ]
    stream = io.StringIO()

    async def drive():
        with PlainWatch(stream, color=False) as watching:
            options = Options(
                models={"planner": engine.Scripted(decisions)}, observers=list(watching.observers)
            )
            main = program.orchestrators["main"]
            return await launch.start(program, main, {}, MemoryJournal(), options)

    return asyncio.run(drive()), stream.getvalue().splitlines()


def test_ids_inside_a_plan_worker_begin_with_its_own(state):
    found, lines = state
    assert found.status == "finished", found.reason
    told = [line.strip() for line in lines]
    assert any(line.startswith("t/all add: done in") for line in told)
    assert [line for line in told if line.startswith("t/all[13] add: failed, crashed")]
    assert any(line.startswith("t/loop[0].draft add: done in") for line in told)
    ids = [entry_path(task) for task in found.loop.every_task()]
    assert ids[0] == "t"
    assert {"t/all[0]", "t/loop[0].draft", "t/loop[1].draft"} <= set(ids)


def test_a_report_has_what_is_inside(state):
    found, _ = state
    report = run_report(found, details=True, items=True)
    assert [one["task"] for one in report["failures"]] == ["t/all[13]"]
    assert report["failures"][0]["step"] == "t/all"
    (task,) = report["history"][0]["tasks"]
    every, loop = task["plan"]["steps"]
    assert (every["id"], every["counts"]["done"], len(every["items"])) == ("all", 14, 15)
    assert (loop["kind"], loop["counts"]["done"], loop["output"]) == ("repeat", 2, 3)
    assert [one["id"] for one in loop["passes"][1]["tasks"]] == ["loop[1].draft"]
    # In the order of the plan, where a plain task may follow steps.
    assert (every["position"], loop["position"]) == (0, 1)
    text = run_text(
        {
            **report,
            "started": "2026-01-01T00:00:00+00:00",
            "workflow": "a.orch",
            "params": {},
            "lost": 0,
        },
        full=False,
        width=100,
    )
    assert "loop: repeat, done" in text
    assert "2 passes" in text
    assert "      pass 1\n        loop[1].draft add: done" in text
