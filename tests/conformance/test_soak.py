"""Two hundred runs at once on one journal, again and again: nothing is kept of those that are over.

Objects are counted, not bytes: how much memory a process has says little about what it keeps.
`ORCH_SOAK_S=N` goes on for N seconds and says what the memory did.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import time
from collections import Counter
from pathlib import Path
from typing import Any

import engine
from engine.drive import active as drives
from engine.journal import SqliteJournal

_AT_ONCE = 200
_SOAK_S = float(os.environ.get("ORCH_SOAK_S", "0"))

PROGRAM = """orch 1
model planner { id = "scripted/none.json" }
worker add(n: int) -> int via python { call = "tools:add"  effect = once }
worker ask(n: int) -> int via python { call = "tools:add"  effect = once }
verifier boss(n: int) via human { message = "Add {{ n }}?" }
orchestrator main(n: int) -> int {
  model = planner  goal = "Add."  workers = [add, ask]  policy { max_rounds = 2 }
  verify { before_dispatch ask { with = boss } }
}
"""
TOOLS = "async def add(n):\n    return n + 1\n"


def planner(n: int) -> dict[str, Any]:
    task = {"id": "a", "worker": "add" if n % 4 else "ask", "input": {"n": n}}
    return {"planner": engine.Scripted([{"tasks": [task]}, {"finish": n}])}


async def one(workflow: engine.Workflow, journal: SqliteJournal, n: int) -> None:
    """A run to its end: every fourth waits for a person, some are interrupted on their way."""
    models = planner(n)
    running = asyncio.ensure_future(workflow.arun(journal=journal, models=models, n=n))
    if n % 8 == 1:
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        return
    run = await running
    while run.status == "waiting":
        # Two answer at once: one drives, or is told that the other has answered.
        said = await asyncio.gather(
            *(
                engine.aresume(
                    run.id, journal=journal, models=models, reply=engine.Reply("approve")
                )
                for _ in range(2)
            ),
            return_exceptions=True,
        )
        run = next(result for result in said if isinstance(result, engine.Run))
        assert all(isinstance(it, engine.Run | engine.UsageError) for it in said), said
    assert run.status == "finished", run.reason


def count() -> Counter[str]:
    gc.collect()
    return Counter(f"{type(it).__module__}.{type(it).__qualname__}" for it in gc.get_objects())


def held(journal: SqliteJournal) -> dict[str, int]:
    """How many entries there are of what is kept for each run."""
    return {
        "drives": len(drives._drives),
        "owned": len(journal._owned),
        "owners": sum(len(writer._owners) for writer in journal._writers.values()),
        "watches": len(journal.inbox._watches),
    }


async def soak(workflow: engine.Workflow, journal: SqliteJournal) -> list[Counter[str]]:
    counts: list[Counter[str]] = []
    began = time.monotonic()
    while len(counts) < 3 or time.monotonic() - began < _SOAK_S:
        first = len(counts) * _AT_ONCE
        async with asyncio.TaskGroup() as wave:
            for n in range(first, first + _AT_ONCE):
                wave.create_task(one(workflow, journal, n))
        # What was released last is still to be written.
        while not all(writer.is_idle for writer in journal._writers.values()):
            await asyncio.sleep(0)
        assert set(held(journal).values()) == {0}, held(journal)
        counts.append(count())
        if _SOAK_S:
            peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{first + _AT_ONCE} runs, {counts[-1].total()} objects, peak {peak_mb:.0f} MB")
    return counts


def test_nothing_is_kept_of_runs_that_are_over(tmp_path: Path) -> None:
    (tmp_path / "main.orch").write_text(PROGRAM)
    (tmp_path / "tools.py").write_text(TOOLS)
    workflow = engine.load(tmp_path / "main.orch")
    with SqliteJournal(tmp_path / "journal") as journal:
        counts = asyncio.run(soak(workflow, journal))
    # The first waves fill caches, each of which has a bound, some only after thousands of runs: the
    # second half of a long soak must be flat. Python's own vary by some dozens.
    settled = counts[max(1, len(counts) // 2)]
    grown = {
        name: more
        for name, more in (counts[-1] - settled).items()
        if more > (_AT_ONCE // 10 if name.startswith("engine.") else _AT_ONCE * 0.95)
    }
    assert grown == {}
