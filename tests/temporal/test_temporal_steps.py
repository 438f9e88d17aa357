"""Decisions with steps run alike on this machine and on a cluster, wide steps included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from engine.distributed.address import connect
from engine.distributed.remote import start_run
from engine.drive import launch
from engine.drive.launch import Options
from engine.events import TimerFired
from engine.journal import MemoryJournal
from engine.runtime.state import RunState
from engine.sema.check import check_file
from engine.sema.model import Program

pytestmark = pytest.mark.temporal

PROGRAM = """orch 1
model planner { id = "python/tools:plan" }
worker numbers(most: int) -> json via python { call = "tools:numbers"  effect = read }
worker add(n: int) -> int via python { call = "tools:add"  effect = read }
worker say(text: string) -> string via python { call = "tools:say"  effect = pure }
worker total(parts: int[]) -> int via python { call = "tools:total"  effect = pure }
orchestrator main() -> json {
  model = planner  goal = "g"  workers = [numbers, add, say, total]
  policy {
    max_rounds = 3  max_per_round = 9  max_parallel = 3  max_items = 2000
    breaker { after = 5000  canary = 0 }
  }
}
"""
#: No number is a text, so 1,200 items end at once: more than one step of the machine may make.
TOOLS = """
def numbers(most):
    return list(range(most))


def add(n):
    return n + 1


def say(text):
    return text


def total(parts):
    return sum(parts)


def plan(state):
    if state.round > 1:
        return {"finish": {"$from": "m"}}
    item = {"$item": ""}
    return {"tasks": [
        {"id": "a", "worker": "numbers", "input": {"most": 6}},
        {"id": "b", "worker": "numbers", "input": {"most": 1200}},
        {"id": "r", "worker": "add", "each": {"$from": "a"}, "input": {"n": item}},
        {"id": "s", "worker": "add", "each": {"$from": "r"}, "input": {"n": item}},
        {"id": "m", "worker": "total", "reduce": {"$from": "s"}, "size": 2,
         "input": {"parts": {"$parts": True}}},
        {"id": "w", "worker": "say", "each": {"$from": "b"}, "input": {"text": item}},
    ]}
"""


async def _here(program: Program) -> tuple[list[Any], RunState]:
    journal = MemoryJournal()
    state = await launch.start(program, launch.choose(program, None), {}, journal, Options())
    return journal.read(state.run), state


async def _there(program: Program, desk: Any) -> tuple[list[Any], RunState]:
    client = await connect(desk.address)
    record, began = launch.prepare(program, launch.choose(program, None), {}, Options(), {})
    run = await start_run(client, desk.address, record, began)
    seen: list[Any] = []
    state = await run.follow(
        RunState(program), 0, [lambda event, state: seen.append(event)], lambda line: None
    )
    return seen, state


def test_steps_run_alike(desk: Any, by_key: Callable[..., Any]) -> None:
    desk.write("tools.py", TOOLS)
    result = check_file(str(desk.write("main.orch", PROGRAM)))
    program = result.program
    assert program is not None, result.diagnostics
    desk.host("main.orch")
    there, on_cluster = asyncio.run(_there(program, desk))
    here, embedded = asyncio.run(_here(program))
    for events, state in ((here, embedded), (there, on_cluster)):
        assert (state.status, state.loop.output) == ("finished", 27), state.reason
        assert len(state.loop.steps["w"].items) == 1200
        assert sum(isinstance(event, TimerFired) for event in events) >= 2
    assert by_key(here).keys() == by_key(there).keys()
