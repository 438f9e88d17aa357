"""The worker of eager.orch: the job at hand does the work."""

from __future__ import annotations

from contextvars import ContextVar

from bench.eager.job import Job

JOB: ContextVar[Job] = ContextVar("JOB")


async def work(question: str, seconds: float, context: str | None = None) -> dict[str, str]:
    return await JOB.get().work(question, seconds)
