"""Context: prompts that only grow, bounded by compaction in steps."""

from __future__ import annotations

import json
from itertools import pairwise

from engine.events import Usage
from engine.runtime.ports import ModelReply, ModelRequest

SOURCE = """
model thinker { id = "scripted/none.json"  context = %d  price { input = $1.00  output = $1.00 } }
worker look(x: int) -> { text: string, n: int } via python { call = "tools:look" }
verifier never(rounds: json) via rules { assert rounds | length > 100 else "keep to the point" }
orchestrator main(topic: string) -> { n: int } {
  model = thinker  goal = "Find out about {{ topic }}."  workers = [look]
  policy { max_rounds = 40  context { keep_last = 2  preview = 1KiB  compact_at = 50%% } }
  verify { after_round { with = never  on_fail = warn } }
}
"""
TOOLS = """
async def look(x):
    return {"text": f"page {x} " + "y" * 600, "n": x}
"""


class Planner:
    """Thirty rounds of one task each, with a reference far back; counts a byte as a token.

    With `bytes_a_token` it counts as a provider does, and says so.
    """

    def __init__(self, rounds: int, bytes_a_token: int | None = None) -> None:
        self.rounds = rounds
        self.bytes_a_token = bytes_a_token
        self.prompts: list[list[str]] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.prompts.append([f"{m.role}: {m.content}" for m in request.messages])
        number = len(self.prompts)
        usage = None
        if self.bytes_a_token is not None:
            usage = Usage(input_tokens=size(self.prompts[-1]) // self.bytes_a_token)
        if number > self.rounds:
            finish = {"assessment": "enough", "finish": {"n": number}}
            return ModelReply(json.dumps(finish), usage)
        back = 1 if number == 1 else {"$from": "t1", "at": "/n"}
        task = {"id": f"t{number}", "worker": "look", "input": {"x": number if back == 1 else back}}
        if number % 2:
            task["input"] = {"x": number}
        return ModelReply(json.dumps({"assessment": f"step {number}", "tasks": [task]}), usage)

    async def close(self) -> None:
        return


def play(load, rounds: int, window: int, bytes_a_token: int | None = None):
    planner = Planner(rounds, bytes_a_token)
    run = load(SOURCE % window, TOOLS).run(models={"thinker": planner}, topic="herons & egrets")
    assert run.status == "finished", run.reason
    return run, planner.prompts


def size(prompt: list[str]) -> int:
    return sum(len(text.encode()) for text in prompt)


def shared(earlier: list[str], later: list[str]) -> int:
    """Bytes of `later` that a prefix cache which has seen `earlier` would hit."""
    hit = 0
    for one, other in zip(earlier, later, strict=False):
        if one != other:
            break
        hit += len(other.encode())
    return hit


def test_a_prompt_is_a_prefix_of_the_next_unless_a_step_lies_between(load):
    _, prompts = play(load, 30, 30_000)
    steps = 0
    for earlier, later in pairwise(prompts):
        if later[: len(earlier)] != earlier:
            steps += 1
            assert later[0] == earlier[0]
            assert size(later) < size(earlier)
    assert 1 <= steps <= 4


def test_nine_tenths_of_thirty_rounds_hit_a_prefix_cache(load):
    _, prompts = play(load, 30, 400_000)
    hits = sum(shared(a, b) for a, b in pairwise(prompts))
    assert hits / sum(size(p) for p in prompts[1:]) >= 0.9


def test_the_prompt_stays_under_its_limit_and_keeps_what_matters(load):
    run, prompts = play(load, 30, 30_000)
    assert all(size(prompt) <= 15_000 for prompt in prompts)
    for prompt in prompts:
        assert "<goal>\nFind out about herons & egrets.\n</goal>" in prompt[0]
        assert "<goal>" in prompt[-1]
    after_step = next(p for p in prompts if "shortened" in p[1])
    assert "- t1 (look, round 1): done" in after_step[1]
    assert "Your last assessments" in after_step[1]
    # A reference to a task that only the record still names.
    tasks = {t["id"]: t for r in run.report()["history"] for t in r["tasks"]}
    assert tasks["t30"]["output"]["n"] == 1


def test_total_tokens_grow_linearly_once_compaction_begins(load):
    totals = [sum(size(p) for p in play(load, rounds, 30_000)[1]) for rounds in (12, 24, 36)]
    assert totals[2] - totals[1] < 1.5 * (totals[1] - totals[0])


def test_a_round_too_large_to_keep_is_recorded_too(load):
    _, prompts = play(load, 8, 9_000)
    assert all(size(prompt) <= 4_500 or len(prompt) <= 3 for prompt in prompts[2:])
    assert all(prompt[-1].startswith("user: ") for prompt in prompts)
    assert all("<goal>" in prompt[-1] for prompt in prompts)


def test_a_step_leaves_the_last_rounds_as_they_are_where_a_provider_counts(load):
    _, prompts = play(load, 30, 10_000, bytes_a_token=4)
    steps = [(a, b) for a, b in pairwise(prompts) if b[: len(a)] != a]
    assert 1 <= len(steps) <= 3
    for earlier, later in steps:
        assert later[2:4] == earlier[-2:]
    assert all(size(prompt) / 4 <= 5_000 for prompt in prompts)
