"""This engine: a `.orch` program, decisions as JSON text, every boundary validated."""

from __future__ import annotations

import json
from pathlib import Path

import engine
from bench.job import Job, plan
from engine.runtime.ports import ModelReply, ModelRequest

PROGRAM = Path(__file__).parents[1] / "programs" / "fanout.orch"


class Planner:
    """Gives each round's decision as a model would: as text."""

    def __init__(self, rounds: int, width: int) -> None:
        self.rounds = rounds
        self.width = width

    async def complete(self, request: ModelRequest) -> ModelReply:
        number = request.index or 0
        if number == self.rounds:
            return ModelReply(json.dumps({"assessment": "done", "finish": {"text": "done"}}))
        tasks = [
            {"id": f"t{number}_{index}", "worker": "work", "input": {"question": question}}
            for index, question in enumerate(plan(number, self.width))
        ]
        return ModelReply(json.dumps({"assessment": "go on", "tasks": tasks}))

    async def close(self) -> None:
        return


def prepare(rounds: int, width: int, folder: str | None) -> Job:
    workflow = engine.load(PROGRAM, params={"rounds": rounds + 1, "width": width})

    async def job() -> None:
        result = await workflow.arun(
            models={"planner": Planner(rounds, width)}, journal=folder, topic="fan-out"
        )
        done = result.report(details=False)["dispatches"]
        if result.status != "finished" or done != rounds * width:
            raise AssertionError(result.reason)

    return job
