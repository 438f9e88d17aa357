"""A bare loop over `asyncio.gather`: what the language itself costs, with nothing checked."""

from __future__ import annotations

import asyncio

from bench.job import RESULT, Job, plan


async def work(question: str) -> dict[str, str]:
    return {"text": RESULT}


def prepare(rounds: int, width: int, folder: str | None) -> Job:
    async def job() -> None:
        results: list[dict[str, str]] = []
        for number in range(rounds):
            results += await asyncio.gather(*(work(item) for item in plan(number, width)))
        if len(results) != rounds * width:
            raise AssertionError(len(results))

    return job
