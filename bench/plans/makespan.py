"""Two stages over 100 items of known latency, with fewer slots than items: `python -m bench.plans`.

Every contender has the same items, latencies and slots, and only waits. The tables compare them
with the least possible makespan (the work divided by the slots, or the longest item) and with a
list schedule: whatever is ready starts as soon as a slot is free, first in, first out. With a
barrier, the second stage begins when the first has ended.
"""

from __future__ import annotations

import asyncio
import heapq
import importlib.util
import json
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import engine
from bench.report import table
from engine.runtime.ports import ModelReply, ModelRequest

ITEMS = 100
SLOTS = (8, 32, 64)
#: Seconds that a call takes, before `scale`.
LATENCIES = (0.5, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)

PROGRAM = """orch 1
model planner { id = "scripted/none.json" }
worker survey() -> int[] via python { call = "TOOLS:survey"  effect = pure }
worker read(item: int) -> { item: int } via python { call = "TOOLS:read"  effect = read }
worker judge(item: int) -> { item: int } via python { call = "TOOLS:judge"  effect = read }
orchestrator main() -> int {
  model = planner  goal = "Judge all."  workers = [survey, read, judge]
  policy { max_rounds = 2  max_items = 1000  max_parallel = SLOTS  breaker { canary = 0 } }
}
"""

TOOLS = """
from bench.plans.makespan import STORY
async def survey():
    return list(range(len(STORY[-1].first)))
async def read(item):
    return {"item": await STORY[-1].work(0, item)}
async def judge(item):
    return {"item": await STORY[-1].work(1, item)}
"""


@dataclass
class Story:
    """The latencies of one measurement, and when its last call ended."""

    slots: int
    scale: float
    seed: int = 0
    calls: int = 0
    began: float = 0.0
    ended: float = 0.0
    first: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)
        self.first = [chance.choice(LATENCIES) for _ in range(ITEMS)]
        self.second = [chance.choice(LATENCIES) for _ in range(ITEMS)]

    async def work(self, stage: int, item: int) -> int:
        if not self.calls:
            self.began = time.perf_counter()
        self.calls += 1
        await asyncio.sleep((self.first, self.second)[stage][item] * self.scale)
        self.ended = time.perf_counter()
        return item

    @property
    def makespan_s(self) -> float:
        """From the first call to the end of the last, in seconds before `scale`."""
        if self.calls != 2 * ITEMS:
            raise AssertionError(f"{self.calls} of {2 * ITEMS} calls were made")
        return (self.ended - self.began) / self.scale

    def least_s(self) -> float:
        """No schedule is shorter."""
        work = sum(self.first) + sum(self.second)
        return max(
            work / self.slots, *(a + b for a, b in zip(self.first, self.second, strict=True))
        )

    def list_schedule_s(self, *, barrier: bool = False) -> float:
        """How long it takes where a free slot takes what has been ready for longest."""
        if barrier:
            return _scheduled(self.first, [], self.slots) + _scheduled(self.second, [], self.slots)
        return _scheduled(self.first, self.second, self.slots)


def _scheduled(first: list[float], second: list[float], slots: int) -> float:
    ready = [(0.0, number, 0, number) for number in range(len(first))]
    free = [0.0] * slots
    turn, last = len(first), 0.0
    while ready:
        since, _, stage, item = heapq.heappop(ready)
        end = max(since, heapq.heappop(free)) + (first, second)[stage][item]
        heapq.heappush(free, end)
        last = max(last, end)
        if stage == 0 and second:
            heapq.heappush(ready, (end, turn, 1, item))
            turn += 1
    return last


#: The story that is being measured; the workers of the program read it.
STORY: list[Story] = []


class _Planner:
    """Two steps; the second takes the items as they come, or waits for the whole list."""

    def __init__(self, barrier: bool) -> None:
        # What is sorted needs the whole list.
        self._shapers = {"sort_by": "/item"} if barrier else {}

    async def complete(self, request: ModelRequest) -> ModelReply:
        if request.index:
            return ModelReply(json.dumps({"assessment": "done", "finish": ITEMS}))
        item = {"item": {"$item": "/item"}}
        judged = {"$from": "r", **self._shapers}
        tasks: list[dict[str, Any]] = [
            {"id": "s", "worker": "survey", "input": {}},
            {"id": "r", "worker": "read", "each": {"$from": "s"}, "input": {"item": {"$item": ""}}},
            {"id": "j", "worker": "judge", "each": judged, "input": item},
        ]
        return ModelReply(json.dumps({"assessment": "go on", "tasks": tasks}))

    async def close(self) -> None:
        return


async def _orch(story: Story, *, barrier: bool = False) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tools = f"tools_{id(story)}"
        (folder / f"{tools}.py").write_text(TOOLS)
        text = PROGRAM.replace("TOOLS", tools).replace("SLOTS", str(story.slots))
        (folder / "main.orch").write_text(text)
        workflow = engine.load(folder / "main.orch")
        result = await workflow.arun(models={"planner": _Planner(barrier)})
    if result.status != "finished":
        raise AssertionError(result.reason)


async def _orch_barrier(story: Story) -> None:
    await _orch(story, barrier=True)


Contender = Callable[[Story], Awaitable[None]]


def contenders() -> dict[str, Contender]:
    """Those that are installed, by name."""
    found: dict[str, Contender] = {
        "orch, `each` of an `each`": _orch,
        "orch, with a barrier": _orch_barrier,
    }
    if importlib.util.find_spec("langgraph") is not None:
        from bench.plans import langgraph_sends

        found[f"LangGraph {version('langgraph')}, `Send`"] = langgraph_sends.by_stage
        found["LangGraph, `Send` of a subgraph"] = langgraph_sends.by_item
    else:
        print("(langgraph is not installed here; `make bench` installs it)")
    if importlib.util.find_spec("pydantic_ai_harness") is not None:
        from bench.plans import dynamic_workflow

        name = f"PydanticAI harness {version('pydantic-ai-harness')}, `DynamicWorkflow`"
        found[name] = dynamic_workflow.scripted
    else:
        print("(not installed here: pydantic-ai-harness[dynamic-workflow])")
    return found


def main(repeat: int, scale: float) -> None:
    ready = contenders()
    for contender in ready.values():  # imports and first calls are not measured
        _measured(contender, Story(64, 0.001))
    for slots in SLOTS:
        story = Story(slots, scale)
        print(f"\nTwo stages over {ITEMS} items, {slots} slots: makespan in s ({repeat} runs)\n")
        best = story.list_schedule_s()
        rows: list[tuple[str, ...]] = [
            ("least possible", f"{story.least_s():.2f}", "", ""),
            ("list schedule", f"{best:.2f}", "1.00 x", ""),
            (
                "list schedule, with a barrier",
                f"{story.list_schedule_s(barrier=True):.2f}",
                f"{story.list_schedule_s(barrier=True) / best:.2f} x",
                "",
            ),
        ]
        for name, contender in ready.items():
            found = [_measured(contender, Story(slots, scale)) for _ in range(repeat)]
            makespan = statistics.median(one for one, _ in found)
            cpu_ms = statistics.median(cpu for _, cpu in found)
            rows.append((name, f"{makespan:.2f}", f"{makespan / best:.2f} x", f"{cpu_ms:.2f}"))
        head = ("", "makespan, s", "of the list schedule", "CPU a call, ms")
        print(table(head, rows), flush=True)


def _measured(contender: Contender, story: Story) -> tuple[float, float]:
    """The makespan in seconds, and the CPU of a call in milliseconds."""
    STORY.append(story)
    began = time.process_time()
    asyncio.run(contender(story))  # type: ignore[arg-type]
    cpu_ms = (time.process_time() - began) * 1000 / (2 * ITEMS)
    return story.makespan_s, cpu_ms
