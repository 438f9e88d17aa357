"""One turn of a run does not hold up others: what it takes in and makes is bounded."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import engine

ITEMS = 3_000

PROGRAM = """orch 1
model planner { id = "scripted/script.json" }
worker list() -> int[] via python { call = "turns:numbers"  effect = pure }
worker get(n: int) -> int via python { call = "turns:get"  effect = read }
orchestrator main() -> int {
  model = planner  goal = "Get all."  workers = [list, get]
  policy { max_rounds = 2  max_items = 4000  max_parallel = 4000  breaker { canary = 0 } }
}
"""

TOOLS = """
import asyncio
ticks = 0
async def count_ticks():
    global ticks
    while True:
        ticks += 1
        await asyncio.sleep(0)
async def numbers():
    global counting
    counting = asyncio.create_task(count_ticks())
    return list(range(ITEMS))
async def get(n):
    return ticks
"""

DECISIONS = [
    {
        "assessment": "-",
        "tasks": [
            {"id": "a", "worker": "list", "input": {}},
            {"id": "r", "worker": "get", "each": {"$from": "a"}, "input": {"n": {"$item": ""}}},
        ],
    },
    {"assessment": "-", "finish": 1},
]


def test_items_that_end_at_once_do_not_come_in_one_turn(tmp_path: Path) -> None:
    (tmp_path / "main.orch").write_text(PROGRAM)
    (tmp_path / "turns.py").write_text(TOOLS.replace("ITEMS", str(ITEMS)))
    (tmp_path / "script.json").write_text(json.dumps(DECISIONS))
    workflow = engine.load(tmp_path / "main.orch")

    run = asyncio.run(workflow.arun(journal=None))
    assert run.status == "finished"
    calls = Counter(task.output for task in run.tasks if task.worker == "get")
    assert calls.total() == ITEMS
    # One turn makes 500 tasks by its timer, and one for each of the 500 that it takes in. Two turns
    # may come between two ticks; without a bound, one makes all of them.
    assert max(calls.values()) <= 2_000
