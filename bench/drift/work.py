"""The worker: a step done."""

from __future__ import annotations


async def work(topic: str, step: int) -> dict[str, object]:
    return {"topic": topic, "step": step, "text": f"part {step} on {topic}. " * 8}
