"""The contenders. Each carries out a job's plan; what they differ in is when a task starts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import engine
from bench.eager.job import Job
from bench.eager.tools import JOB
from engine.runtime.ports import ModelReply, ModelRequest

PROGRAM = Path(__file__).parent / "eager.orch"


class Planner:
    """Streams the job's plan, then finishes.

    Args:
        heard: Whether the engine hears the pieces as they come, or the whole in the end.
    """

    def __init__(self, job: Job, heard: bool) -> None:
        self._job = job
        self._heard = heard

    async def complete(self, request: ModelRequest) -> ModelReply:
        if request.index:
            return ModelReply(json.dumps({"assessment": "done", "finish": {"text": "done"}}))
        return ModelReply(await self._job.stream(request.on_text if self._heard else None))

    async def close(self) -> None:
        return


async def _orch(job: Job, heard: bool) -> None:
    token = JOB.set(job)
    try:
        workflow = engine.load(PROGRAM)
        run = await workflow.arun(models={"planner": Planner(job, heard)}, topic="tides")
    finally:
        JOB.reset(token)
    if run.status != "finished" or run.failures:
        raise AssertionError(run.reason or run.failures)


async def eager(job: Job) -> None:
    """This engine: a task starts when its object has closed in the stream."""
    await _orch(job, heard=True)


async def withheld(job: Job) -> None:
    """This engine with the stream withheld: the whole plan, then each task as it can."""
    await _orch(job, heard=False)


async def loop(job: Job) -> None:
    """A loop of one's own: the whole plan, then each task once what it needs is done."""
    decision = json.loads(await job.stream())
    running: dict[str, asyncio.Task[dict[str, str]]] = {}

    async def one(task: dict[str, Any]) -> dict[str, str]:
        needed = task["input"].get("context")
        if needed is not None:
            await running[needed["$from"]]
        return await job.work(task["input"]["question"], task["input"]["seconds"])

    for task in decision["tasks"]:
        running[task["id"]] = asyncio.create_task(one(task))
    await asyncio.gather(*running.values())
