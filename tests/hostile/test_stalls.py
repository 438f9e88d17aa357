"""Nothing that comes from outside holds the event loop: large, deep and repetitive data, templates
that would loop for minutes, decisions full of faults. Each run is watched, callback by callback.

`ORCH_HOSTILE=N` tries N random outputs and decisions besides.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from watchdog import Watchdog

import engine
from engine.runtime.ports import ModelReply, ModelRequest

SEEDS = int(os.environ.get("ORCH_HOSTILE", "8"))

TOOLS = """
def give(kind, size):
    if kind == "text":
        return "x" * size
    if kind == "lines":
        return "<a> & </output>\\n" * (size // 16)
    if kind == "items":
        return [{"id": n, "note": "n" * 10} for n in range(size // 40)]
    if kind == "wide":
        return {"k%d" % n: n for n in range(size // 16)}
    deep = 0
    for _ in range(120):
        deep = [deep]
    return deep
"""
PROGRAM = """orch 1
model planner { id = "memory/none" }
worker give(kind: string, size: int) -> json via python {
  call = "tools:give"  effect = read  timeout = 60s
}
worker join(parts: json[]) -> int via python {
  call = "tools:give"  args = { kind: "deep", size: parts | length }
}
verifier looks(goal: string, outputs: json) via rules { assert TEST }
orchestrator o() -> json {
  model = planner  goal = "g"  workers = [give, join]
  policy { max_rounds = 4  max_per_round = 5000  budget { time = 60s } }
  verify { after_round { with = looks  on_fail = warn } }
}
"""
CALM = "true"


class Says:
    """A model that says what it is told to, in order, and then the last again."""

    def __init__(self, said: Any) -> None:
        self._said = [json.dumps(one) for one in said]

    async def complete(self, request: ModelRequest) -> ModelReply:
        return ModelReply(self._said.pop(0) if len(self._said) > 1 else self._said[0])

    async def close(self) -> None:
        pass


@pytest.fixture
def play(tmp_path: Path) -> Any:
    """Runs decisions under the watchdog; gives the run."""

    def run(*decisions: Any, test: str = CALM) -> engine.Run:
        (tmp_path / "tools.py").write_text(TOOLS)
        (tmp_path / "o.orch").write_text(PROGRAM.replace("TEST", test))
        workflow = engine.load(str(tmp_path / "o.orch"))
        with Watchdog() as watch:
            found = workflow.run(
                models={"planner": Says(decisions)}, journal=engine.MemoryJournal()
            )
        watch.check()
        return found

    return run


def tasks(*inputs: dict[str, Any], worker: str = "give") -> dict[str, Any]:
    return {
        "tasks": [{"id": f"t{n}", "worker": worker, "input": it} for n, it in enumerate(inputs)]
    }


@pytest.mark.parametrize("kind", ["text", "lines", "items", "wide", "deep"])
def test_a_large_output(play: Any, kind: str) -> None:
    run = play(tasks({"kind": kind, "size": 2_000_000}), {"finish": 1})
    assert run.status == "finished"


def test_a_decision_with_thousands_of_faults(play: Any) -> None:
    wrong = [{"id": f"t{n}", "worker": "gvie", "input": {"kind": n}} for n in range(5_000)]
    run = play({"tasks": wrong}, {"finish": 1})
    assert run.status == "finished"


def test_a_decision_that_refers_thousands_of_times_to_a_large_output(play: Any) -> None:
    many = [{"$from": "t0"}] * 4_000
    run = play(
        tasks({"kind": "text", "size": 1_000_000}),
        {"tasks": [{"id": "j", "worker": "join", "input": {"parts": many}}]},
        {"finish": 1},
    )
    assert [failure.mode for failure in run.failures] == ["unmet_reference"]


@pytest.mark.parametrize(
    "test",
    [
        'range(30000) | map("string") | join("") | length > 0',
        "(range(2000) | list * 2000) | length > 0",
        '("x" * 100000000) | length > 0',
        '(outputs | json) | replace("x", "yyyyyyyyyy") | length > 0',
        "10 ** 10 ** 8 > 0",
    ],
)
def test_an_expression_that_would_take_long(play: Any, test: str) -> None:
    run = play(tasks({"kind": "text", "size": 100_000}), {"finish": 1}, test=test)
    assert run.status == "finished"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_hostile_decisions(play: Any, seed: int) -> None:
    chance = random.Random(seed)
    decisions: list[Any] = [_anything(chance, 0) for _ in range(3)]
    kinds = ["text", "lines", "items", "wide", "deep"]
    sizes = [{"kind": chance.choice(kinds), "size": chance.randrange(500_000)} for _ in range(8)]
    run = play(tasks(*sizes), *decisions, {"finish": json.loads("[" * 90 + "]" * 90)})
    assert run.status in ("finished", "failed", "exhausted", "aborted")


def _anything(chance: random.Random, depth: int) -> Any:
    """JSON that resembles a decision, by chance."""
    if depth > 6 or chance.random() < 0.2:
        return chance.choice([None, 3, "t0", "x" * chance.randrange(50_000), 1e300, True])
    if chance.random() < 0.4:
        return [_anything(chance, depth + 1) for _ in range(chance.randrange(12))]
    names = ["tasks", "id", "worker", "input", "$from", "$literal", "finish", "at", "é" * 300]
    return {chance.choice(names): _anything(chance, depth + 1) for _ in range(chance.randrange(9))}
