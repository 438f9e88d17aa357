"""The plan, the stream that it comes in, and the worker: the same for every contender.

Token n comes at n / 50 seconds after the call, whatever the contender does meanwhile. A worker
sleeps for as long as its task says. `scale` stretches both alike.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TOKENS_PER_S = 50

#: Seconds of work of each of the eight tasks.
LENGTHS = (6.0, 1.0, 3.0, 0.5, 4.0, 2.0, 1.0, 5.0)
#: In the plan with references: which earlier task each needs.
NEEDS = (None, None, None, None, 1, 0, 3, 2)

#: Characters of a token, on average.
TOKEN = 4


def lengths(order: int) -> list[float]:
    """The tasks' lengths in one of many orders."""
    return random.Random(order).sample(LENGTHS, len(LENGTHS))


def plan(order: int, *, linked: bool) -> dict[str, Any]:
    """A decision with eight tasks, four of which refer to earlier ones where `linked`."""
    tasks: list[dict[str, Any]] = []
    for number, seconds in enumerate(lengths(order)):
        inputs: dict[str, Any] = {"question": f"part {number} of the report", "seconds": seconds}
        needed = NEEDS[number]
        if linked and needed is not None:
            inputs["context"] = {"$from": f"t{needed}", "at": "/text"}
        tasks.append({"id": f"t{number}", "worker": "work", "input": inputs})
    return {"assessment": "Eight parts are to be found out, side by side.", "tasks": tasks}


def tokens(text: str) -> list[str]:
    return [text[at : at + TOKEN] for at in range(0, len(text), TOKEN)]


def ideal_s(order: int, *, linked: bool) -> float:
    """The least possible makespan: a task starts when it has closed and what it needs is done."""
    decision = plan(order, linked=linked)
    done: list[float] = []
    for number, seconds in enumerate(lengths(order)):
        so_far = {**decision, "tasks": decision["tasks"][: number + 1]}
        # Without the brackets that close the list and the decision.
        closed_s = len(tokens(json.dumps(so_far)[:-2])) / TOKENS_PER_S
        needed = NEEDS[number] if linked else None
        begin_s = max(closed_s, done[needed] if needed is not None else 0.0)
        done.append(begin_s + seconds)
    return max(done)


@dataclass
class Job:
    """One measured plan: streams it, carries out its tasks, and says how long it took.

    Attributes:
        scale: Seconds of the clock for a second of the story.
        spans: When each task ran, by its question, in seconds of the story since the call.
    """

    order: int
    linked: bool
    scale: float = 1.0
    began: float = 0.0
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)

    def now_s(self) -> float:
        return (time.perf_counter() - self.began) / self.scale

    async def stream(self, on_text: Callable[[str], None] | None = None) -> str:
        """Give the plan token by token; the whole of it in the end."""
        self.began = time.perf_counter()
        text = json.dumps(plan(self.order, linked=self.linked))
        for number, piece in enumerate(tokens(text), start=1):
            await asyncio.sleep(max(0.0, number / TOKENS_PER_S - self.now_s()) * self.scale)
            if on_text is not None:
                on_text(piece)
        return text

    async def work(self, question: str, seconds: float) -> dict[str, str]:
        begin = self.now_s()
        await asyncio.sleep(seconds * self.scale)
        self.spans[question] = (begin, self.now_s())
        return {"text": f"what is known of {question}"}

    @property
    def makespan_s(self) -> float:
        if len(self.spans) != len(LENGTHS):
            raise AssertionError(f"{len(self.spans)} of {len(LENGTHS)} tasks have run")
        return max(end for _, end in self.spans.values())
