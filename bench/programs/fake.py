"""The fake worker."""

from __future__ import annotations

RESULT = "x" * 1000


async def work(question: str) -> dict[str, str]:
    return {"text": RESULT}
