"""One run of a wide round, measured: `python job.py FORM MODE ITEMS`.

It imports nothing of `bench`, so that it also measures an earlier checkout of the engine, which
PYTHONPATH then names. The form is `tasks` (one task per value, written by the planner) or `each`
(one step). Both have the same survey, the same worker and the same number of slots. Prints one JSON
object.

CPU time is that of the whole process, all threads, while the run goes on; imports and a small run
before it are not counted. A turn is one callback of the event loop, in CPU time of the loop's
thread: what other runs in the process have to wait for.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from asyncio.events import Handle
from pathlib import Path
from typing import Any

import engine
from engine.runtime.ports import ModelReply, ModelRequest

#: How many tasks run at once.
SLOTS = 64

PROGRAM = """orch 1
param width: int = 10
model planner { id = "scripted/none.json" }
/// Lists the files.
worker survey() -> { path: string, commits: int }[] via python {
  call = "FAKES:survey"  effect = read
}
/// Reviews a file.
worker review(path: string) -> { text: string } via python {
  call = "FAKES:review"  effect = read
}
orchestrator main() -> string {
  model = planner  goal = "Review."  workers = [survey, review]
  policy { max_rounds = 3  max_per_round = param.width  max_parallel = SLOTS STEPS }
}
"""

FAKES = """
RESULT = {"text": "x" * 1000}
async def survey():
    return [{"path": f"src/module_{number}.py", "commits": number} for number in range(WIDTH)]
async def review(path):
    return RESULT
"""


class Planner:
    """Gives the decisions as a model would: as text."""

    def __init__(self, form: str, width: int) -> None:
        self.form = form
        self.width = width

    async def complete(self, request: ModelRequest) -> ModelReply:
        return ModelReply(json.dumps({"assessment": "go on", **self._decision(request.index or 0)}))

    def _decision(self, number: int) -> dict[str, Any]:
        if number == 0:
            return {"tasks": [{"id": "s", "worker": "survey", "input": {}}]}
        if number == 2:
            return {"finish": "done"}
        if self.form == "each":
            each = {"$from": "s"}
            value = {"path": {"$item": "/path"}}
            return {"tasks": [{"id": "r", "worker": "review", "each": each, "input": value}]}
        return {
            "tasks": [
                {"id": f"r{i}", "worker": "review", "input": {"path": f"src/module_{i}.py"}}
                for i in range(self.width)
            ]
        }

    async def close(self) -> None:
        return


class Turns:
    """The longest callback of the event loop while this is entered, in CPU milliseconds."""

    longest_ms = 0.0

    def __enter__(self) -> Turns:
        self._run = run = Handle._run

        def timed(handle: Handle) -> None:
            began = time.thread_time()
            run(handle)
            self.longest_ms = max(self.longest_ms, (time.thread_time() - began) * 1000)

        Handle._run = timed  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        Handle._run = self._run  # type: ignore[method-assign]


def workflow_of(form: str, width: int, folder: Path) -> Any:
    # A module is imported once a process, so each width has its own.
    fakes = f"fakes_{width}"
    (folder / f"{fakes}.py").write_text(FAKES.replace("WIDTH", str(width)))
    steps = " max_items = param.width  breaker { canary = 0 }" if form == "each" else ""
    text = PROGRAM.replace("FAKES", fakes).replace("SLOTS", str(SLOTS)).replace("STEPS", steps)
    (folder / "main.orch").write_text(text)
    return engine.load(folder / "main.orch", params={"width": width})


async def once(form: str, width: int, folder: Path, journal: Path | None) -> float:
    """Run it, and give its CPU seconds."""
    workflow = workflow_of(form, width, folder)
    began = time.process_time()
    result = await workflow.arun(models={"planner": Planner(form, width)}, journal=journal)
    took = time.process_time() - began
    if result.status != "finished":
        raise AssertionError(result.reason)
    return took


def main() -> None:
    form, mode, width = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # Temporary folders are often in memory, where a durable write costs nothing: use the disk.
    base = Path(__file__).resolve().parents[1] / ".work"
    base.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base) as name:
        folder = Path(name)
        asyncio.run(once(form, 50, folder, None))
        journal = folder / "journal" if mode == "durable" else None
        turns = Turns()
        if mode == "turns":
            with turns:
                took = asyncio.run(once(form, width, folder, journal))
        else:
            took = asyncio.run(once(form, width, folder, journal))
        size = sum(path.stat().st_size for path in folder.glob("journal/*.db"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "cpu_us": took / width * 1e6,
                "bytes": size / width,
                "turn_ms": turns.longest_ms,
                "peak_mib": peak / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
