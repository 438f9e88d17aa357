"""By how much N items make a planner's next prompt longer: plain tasks, and one `each`.

The job is one review per file, once as an `each` and once as plain tasks, as a planner without
steps writes them. Counted is the message with the results of the round, less that of a round with
one task; the decision itself is not part of it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import engine
from bench.plans.decisions import SIZES, plain, tokenizer
from engine.runtime.ports import ModelReply, ModelRequest

__all__ = ["rows"]

_PROGRAM = """orch 1
model planner { id = "scripted/none.json" }
schema Review { risk: "low" | "high"  lines: int  notes: string }
worker files(n: int) -> { path: string }[] via python { call = "reviews:files"  effect = read }
worker review(path: string) -> Review via python { call = "reviews:review"  effect = read }
orchestrator audit() -> string {
  model = planner
  goal = "Review every file."
  workers = [files, review]
  policy { max_rounds = 4  max_per_round = 10_000  STEPS }
}
"""
_WORKERS = """
def files(n):
    return [{"path": path(i)} for i in range(n)]


def path(i):
    return f"src/pkg_{i % 40}/mod_{i}.py"


def review(path):
    if path.endswith("13.py"):
        raise ValueError(f"{path} is not UTF-8")
    risk = "high" if len(path) % 5 == 0 else "low"
    return {"risk": risk, "lines": len(path) * 7, "notes": f"Nothing unusual in {path}."}
"""


class _Planner:
    """Answers from a list, and keeps the last message of each prompt."""

    def __init__(self, answers: Sequence[Any]) -> None:
        self._answers = list(answers)
        self.read: list[str] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.read.append(request.messages[-1].content)
        return ModelReply(json.dumps(self._answers.pop(0)))

    async def close(self) -> None:
        return


def _next_prompt(folder: Path, tasks: list[dict[str, Any]], steps: str) -> str:
    """The message that follows a round in which `tasks` were run."""
    path = folder / "reviews.orch"
    path.write_text(_PROGRAM.replace("STEPS", steps))
    planner = _Planner([{"tasks": tasks}, {"finish": "done"}])
    run = engine.load(str(path)).run(models={"planner": planner})
    assert run.status == "finished", run.reason
    return planner.read[-1]


def rows(sizes: Sequence[int] = SIZES) -> list[tuple[int, int, int, int]]:
    """By the number of items: tokens of plain tasks, tokens and bytes of an `each`."""
    _, tokens = tokenizer()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "reviews.py").write_text(_WORKERS)
        (folder / "none.json").write_text("[]")
        found = []
        for size in sizes:
            source = {"id": "s", "worker": "files", "input": {"n": size}}
            one = _next_prompt(folder, [source], "")
            each = {
                "id": "r",
                "worker": "review",
                "each": {"$from": "s"},
                "input": {"path": {"$item": "/path"}},
            }
            tasks = plain(size)["tasks"]
            breaker = "breaker { after = 100_000 }"
            with_step = _next_prompt(folder, [source, each], f"max_items = 20_000  {breaker}")
            with_tasks = _next_prompt(folder, tasks, "")
            alone = _next_prompt(folder, tasks[:1], "")
            task_tokens = tokens(with_tasks) - tokens(alone)
            step_tokens = tokens(with_step) - tokens(one)
            step_bytes = len(with_step.encode()) - len(one.encode())
            found.append((size, task_tokens, step_tokens, step_bytes))
        return found
