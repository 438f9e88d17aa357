"""`python -m bench.plans.next_prompt`: by how much N items make a planner's next prompt longer.

The job is one review per file, once as an `each` and once as plain tasks, as a planner without
steps writes them. Counted is the message with the results of the round, less that of a round with
one task; the decision itself is not part of it. Tokens are those of cl100k, whose table LiteLLM
contains.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import engine
from engine.runtime.ports import ModelReply, ModelRequest

SIZES = (200, 1_000, 10_000)

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


def _encoder() -> Callable[[str], list[int]]:
    litellm = find_spec("litellm")
    assert litellm is not None
    assert litellm.origin is not None
    folder = Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(folder))
    # Reads a table of 1.7 MB, which only this needs.
    import tiktoken

    encoding = tiktoken.get_encoding("cl100k_base")
    return lambda text: encoding.encode(text, disallowed_special=())


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
    encode = _encoder()
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
            plain = [
                {
                    "id": f"r{i}",
                    "worker": "review",
                    "input": {"path": f"src/pkg_{i % 40}/mod_{i}.py"},
                }
                for i in range(size)
            ]
            breaker = "breaker { after = 100_000 }"
            with_step = _next_prompt(folder, [source, each], f"max_items = 20_000  {breaker}")
            with_tasks = _next_prompt(folder, plain, "")
            alone = _next_prompt(folder, plain[:1], "")
            tokens = len(encode(with_tasks)) - len(encode(alone))
            step_tokens = len(encode(with_step)) - len(encode(one))
            step_bytes = len(with_step.encode()) - len(one.encode())
            found.append((size, tokens, step_tokens, step_bytes))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.plans.next_prompt")
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES)
    print("Growth of the next prompt, one review per file (tokens of cl100k)\n")
    print("| items | plain tasks | `each` | `each`, bytes |")
    print("| ---: | ---: | ---: | ---: |")
    for row in rows(parser.parse_args().sizes):
        print("| " + " | ".join(f"{figure:,}" for figure in row) + " |")


if __name__ == "__main__":
    main()
