"""How much of an orchestrator's prompts a provider's prefix cache would hit, and how they grow.

`python -m bench.prefix_cache`: runs of 30 rounds with four tasks each and 1 to 6 KB outputs,
through the engine. A cached token is one in the longest common prefix with the prompt before;
tokens are counted as bytes, which leaves shares as they are. The same run with a small context
window shows what the compaction steps cost and that prompts stay under `compact_at`.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from itertools import pairwise
from pathlib import Path

import engine
from engine.runtime.ports import ModelReply, ModelRequest

PROGRAM = """orch 1
model thinker {{
  id = "scripted/none.json"  context = {window}  price {{ input = $1  output = $1 }}
}}
worker look(topic: string, page: int) -> {{ text: string, n: int }} via python {{
  call = "pages:look"  effect = pure
}}
orchestrator read(topic: string) -> {{ n: int }} {{
  model   = thinker
  goal    = "Find out everything about {{{{ topic }}}}, page by page."
  workers = [look]
  policy  {{ max_rounds = 200  context {{ keep_last = 3  preview = 2KiB  compact_at = 60% }} }}
}}
"""
TOOLS = """
async def look(topic, page):
    return {"text": f"page {page} on {topic}. " + "word " * (200 + page * 37 % 1000), "n": page}
"""


class Planner:
    """Reads page after page; keeps the prompts it is given."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.prompts: list[str] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.prompts.append("".join(f"{m.role}\n{m.content}\n" for m in request.messages))
        number = len(self.prompts)
        if number > self.rounds:
            return ModelReply(json.dumps({"assessment": "enough", "finish": {"n": number}}))
        tasks = [
            {
                "id": f"r{number}p{i}",
                "worker": "look",
                "input": {"topic": "herons", "page": number * 4 + i},
            }
            for i in range(4)
        ]
        return ModelReply(json.dumps({"assessment": f"Reading on, part {number}.", "tasks": tasks}))

    async def close(self) -> None:
        return


def common_prefix(one: str, other: str) -> int:
    """Length of the longest common prefix, by bisection."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def play(rounds: int, window: int) -> list[str]:
    """The prompts of one run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "read.orch"
        path.write_text(PROGRAM.format(window=window))
        (Path(folder) / "pages.py").write_text(TOOLS)
        (Path(folder) / "none.json").write_text("[]")
        planner = Planner(rounds)
        run = asyncio.run(
            engine.load(path).arun(models={"thinker": planner}, topic="herons and egrets")
        )
    if run.status != "finished":
        raise SystemExit(run.reason)
    return planner.prompts


def hit_share(prompts: list[str]) -> float:
    """Share of prompt tokens, from the second prompt on, that stand in the one before."""
    pairs = list(pairwise(prompts))
    return sum(common_prefix(a, b) for a, b in pairs) / sum(len(b) for _, b in pairs)


def main() -> None:
    print("\nPrompt tokens that a prefix cache would hit, over a run of 30 rounds\n")
    for window, what in ((10_000_000, "never compacted"), (120_000, "compacted at 72,000 tokens")):
        prompts = play(30, window)
        steps = sum(len(b) < len(a) for a, b in pairwise(prompts))
        print(
            f"  {hit_share(prompts):6.1%}  {what}: {steps} steps, largest prompt "
            f"{max(map(len, prompts)):,}, all prompts {sum(map(len, prompts)):,}"
        )
    print("\nAll prompts of a run, by its length (linear once compaction begins)\n")
    for rounds in (15, 30, 60, 120):
        free = sum(map(len, play(rounds, 10_000_000)))
        bounded = sum(map(len, play(rounds, 120_000)))
        print(
            f"  {rounds:4} rounds   never compacted {free:12,}   compacted {bounded:12,}",
            flush=True,
        )


if __name__ == "__main__":
    main()
