"""A step takes a few lines of a terminal, however many items it has."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

import engine
from engine.cli.live_view import LiveWatch
from engine.cli.plain_view import PlainWatch
from engine.cli.task_names import task_name, typed
from engine.drive import launch
from engine.drive.launch import Options
from engine.journal import MemoryJournal

PROGRAM = """orch 1
model planner { id = "scripted/plan.json" }
worker survey(n: int) -> { path: string }[] via python { call = "w:survey"  effect = read }
worker review(path: string) -> string via python { call = "w:review"  effect = read }
worker merge(parts: string[]) -> string via python { call = "w:merge"  effect = read }
/// Reviews a few files.
orchestrator child(path: string) -> string {
  model = planner  goal = "g"  workers = [review]
  policy { max_rounds = 2 }
}
verifier fine(output: string) via python { call = "w:fine" }
orchestrator main() -> json {
  model = planner  goal = "g"  workers = [survey, review, merge, child]
  verify { after_dispatch review { with = fine  on_fail = warn } }
  policy { max_rounds = 4  max_items = 20000  breaker { after = 100000  canary = 0 } }
}
"""

WORKERS = """
def survey(n):
    return [{"path": f"f{i}.py"} for i in range(n)]

def review(path):
    if path.endswith("7.py"):
        raise ValueError(f"cannot read {path}")
    return path

def merge(parts):
    return "+".join(parts)[:10]

def fine(output):
    return {"ok": output != "f8.py", "feedback": "not that one"}
"""


def each(worker="review"):
    return {
        "id": "r",
        "worker": worker,
        "each": {"$from": "s"},
        "input": {"path": {"$item": "/path"}},
        "label": {"$item": "/path"},
    }


def a_plan(number, *steps):
    first = {"id": "s", "worker": "survey", "input": {"n": number}}
    return [{"tasks": [first, *(steps or [each()])]}, {"finish": 1}]


@pytest.fixture
def lines(tmp_path: Path, monkeypatch):
    """What a watcher writes about a run of some decisions."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.orch").write_text(PROGRAM)
    (tmp_path / "w.py").write_text(WORKERS)
    (tmp_path / "plan.json").write_text("[]")
    program = engine.load("a.orch").program

    def lines(planner, watch=PlainWatch):
        stream = io.StringIO()
        if isinstance(planner, list):
            planner = engine.Scripted(planner)

        async def drive():
            with watch(stream, color=False) as watching:
                options = Options(models={"planner": planner}, observers=list(watching.observers))
                main = program.orchestrators["main"]
                return await launch.start(program, main, {}, MemoryJournal(), options)

        state = asyncio.run(drive())
        assert state.status == "finished", state.reason
        return stream.getvalue().splitlines()

    return lines


def about(found, step):
    return [line.strip() for line in found if line.strip().startswith(f"{step} ")]


def test_a_step_of_a_thousand_items_takes_a_dozen_lines(lines):
    found = lines(a_plan(1000))
    told = about(found, "r")
    assert told[0] == "r review: started, 1000 items"
    assert 9 <= len(told) <= 11
    assert "900 of 1000 done, 100 failed (crashed 100)" in told[-1]
    # The first failure of its kind is told when it happens, with its label.
    failed = [line for line in found if "failed, crashed" in line]
    assert [line.strip() for line in failed] == [
        "r[7] (f7.py) review: failed, crashed: ValueError: cannot read f7.py"
    ]
    assert len(found) < 25


def test_a_plan_is_counted_in_tasks_and_steps(lines):
    found = lines(a_plan(20))
    assert "  plan, 1 task and 1 step" in found
    assert "  plan, finish" in found


def test_verdicts_of_items_are_told_once_and_counted(lines):
    found = [line for line in lines(a_plan(50)) if "fine (after_dispatch)" in line]
    assert sorted(line.strip() for line in found) == [
        "fine (after_dispatch): not passed: not that one",
        "fine (after_dispatch): passed",
        "fine (after_dispatch): passed, 44 times in all",
    ]


def test_steps_without_items_are_told_at_the_end_of_their_round(lines):
    never = [[{"value": {"$from": "s"}, "is": "empty"}]]
    nothing = {**each(), "id": "none", "each": {"$from": "s", "take": 0}}
    found = lines(a_plan(3, nothing, {**each(), "when": never}))
    assert about(found, "none") == ["none review: done in 0 ms, nothing to do"]
    assert about(found, "r") == ["r review: skipped"]


def deciding(state):
    """Each child reviews one file; the root finishes."""
    if state.name == "main":
        return {"finish": 1}
    if state.round == 1:
        path = "g" + state.input["path"][1:]
        return {"tasks": [{"id": "a", "worker": "review", "input": {"path": path}}]}
    return {"finish": "x"}


@pytest.mark.parametrize("number", [4, 12])
def test_what_happens_inside_items_is_told_where_there_are_few(lines, number):
    def planner(state):
        if state.name == "main" and state.round == 1:
            return a_plan(number, each("child"))[0]
        return deciding(state)

    found = lines(planner)
    inside = [line for line in found if "child: round 1 of 2" in line]
    assert len(inside) == (4 if number == 4 else 0)
    assert about(found, "r")[-1].endswith(f"{number} of {number} done")


def test_the_live_view_keeps_the_end_of_a_step(lines):
    found = lines(a_plan(300), watch=LiveWatch)
    kept = [line for line in found if "r review: done in" in line]
    assert len(kept) == 1
    assert "270 of 300 done, 30 failed (crashed 30)" in kept[0]
    assert not [line for line in found if "r[12]" in line]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("r:7", "r[7]"),
        ("r[7]", "r[7]"),
        ("a2/r:3.0", "a2/r[3.0]"),
        ("t/r:0.draft", "t/r[0].draft"),
        ("a1", "a1"),
        ("a:b", "a:b"),
    ],
)
def test_the_names_of_items_need_no_quotes(said, meant):
    assert task_name(said) == meant
    assert task_name(typed(meant)) == meant
