"""A worker that fails alike for each of 112 items: how many calls are made before it is stopped."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import engine
from bench.report import table
from engine.events import CallStarted
from engine.journal import MemoryJournal
from engine.runtime.ports import ModelReply, ModelRequest

ITEMS = 112

PROGRAM = """orch 1
model planner { id = "scripted/none.json" }
worker survey() -> int[] via python { call = "alike:survey"  effect = pure }
worker fetch(item: int) -> string fails no_access via python { call = "alike:fetch"  effect = read }
orchestrator main() -> string {
  model = planner  goal = "Fetch all."  workers = [survey, fetch]
  policy { max_rounds = 3  max_per_round = 200  max_parallel = 16 STEPS }
}
"""

TOOLS = """
import orch
async def survey():
    return list(range(ITEMS))
async def fetch(item):
    if item >= GOOD:
        raise orch.Failure("no_access", "the key is not valid")
    return "fine"
"""


class _Planner:
    def __init__(self, steps: bool) -> None:
        self.steps = steps

    async def complete(self, request: ModelRequest) -> ModelReply:
        return ModelReply(json.dumps({"assessment": "-", **self._decision(request.index or 0)}))

    def _decision(self, number: int) -> dict[str, Any]:
        if number == 0:
            return {"tasks": [{"id": "s", "worker": "survey", "input": {}}]}
        if number == 2:
            return {"finish": "done"}
        if self.steps:
            value = {"item": {"$item": ""}}
            step = {"id": "f", "worker": "fetch", "each": {"$from": "s"}, "input": value}
            return {"tasks": [step]}
        return {
            "tasks": [
                {"id": f"f{item}", "worker": "fetch", "input": {"item": item}}
                for item in range(ITEMS)
            ]
        }

    async def close(self) -> None:
        return


async def _calls(steps: str, good: int) -> int:
    """How many calls of the worker are started."""
    journal = MemoryJournal()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tools = f"alike_{id(folder)}"
        text = TOOLS.replace("ITEMS", str(ITEMS)).replace("GOOD", str(good))
        (folder / f"{tools}.py").write_text(text)
        program = PROGRAM.replace("alike", tools).replace("STEPS", steps)
        (folder / "main.orch").write_text(program)
        workflow = engine.load(folder / "main.orch")
        planner = _Planner(bool(steps))
        run = await workflow.arun(models={"planner": planner}, journal=journal)
    if run.status != "finished":
        raise AssertionError(run.reason)
    events = journal.read(run.id)
    started = [event.key for event in events if isinstance(event, CallStarted)]
    return sum("round 2 / decision 1 / task f" in key for key in started)


def main() -> None:
    every, later = "from the first on", "from the 41st on"
    rows: list[tuple[str, ...]] = []
    for words, steps in (
        ("plain tasks", ""),
        ("`each`, with the defaults", " max_items = 200"),
        ("`each`, `canary = 3`", " max_items = 200  breaker { canary = 3 }"),
        ("`each`, `canary = 0  after = 5`", " max_items = 200  breaker { canary = 0  after = 5 }"),
    ):
        counts = [str(asyncio.run(_calls(steps, good))) for good in (0, 40)]
        rows.append((words, *counts))
    print(f"\n{ITEMS} items, and the worker fails alike {every}, or {later}: calls made\n")
    print(table(("", every, later), rows), flush=True)
