"""The record as workers, and as the model that decides.

A worker is asked with arguments that the engine has resolved; it answers from the record of the
goal at hand, found by the name and those arguments. So a reference that was resolved wrongly
finds nothing, and fails.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Literal

import engine
from bench.complexfunc.data import Call, Goal, pointer_of, reference_of, resolved
from bench.complexfunc.plans import plan_of
from bench.complexfunc.program import worker_name
from engine.runtime.ports import ModelReply, ModelRequest

Mode = Literal["rounds", "references", "stream", "plans"]
MODES: tuple[Mode, ...] = ("rounds", "references", "stream", "plans")

#: Characters in a piece of a stream: about a token.
PIECE = 4


def _key(name: str, arguments: dict[str, Any]) -> str:
    return f"{name} {json.dumps(arguments, sort_keys=True)}"


class Record:
    """What the APIs answered while one goal was recorded; each answer is given once."""

    def __init__(self, goal: Goal) -> None:
        #: How much of the decision has been written, as a share; and when each call was made.
        self.written = 0.0
        self.starts: list[float] = []
        self._answers: dict[str, deque[Any]] = {}
        for call in goal.output:
            key = _key(call.name, resolved(goal, call))
            self._answers.setdefault(key, deque()).append(call.response)

    def take(self, name: str, arguments: dict[str, Any]) -> Any:
        answers = self._answers.get(_key(name, arguments))
        if not answers:
            raise engine.Failure("crashed", f"the record has no such call of {name}")
        self.starts.append(self.written)
        return answers.popleft()

    @property
    def left(self) -> int:
        return sum(len(answers) for answers in self._answers.values())


#: The record of the goal that is being played, in the context of its run.
RECORD: ContextVar[Record] = ContextVar("RECORD")


def answer(name: str, arguments: dict[str, Any]) -> Any:
    """What the API answered; called by the generated workers.

    An optional input that was left out comes as None, which no recorded call holds.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    return RECORD.get().take(name, given)


def task_of(goal: Goal, call: Call) -> dict[str, Any]:
    """A recorded call as a task, its references in the engine's notation."""
    responses = {other.label: other.response for other in goal.output}
    arguments: dict[str, Any] = {}
    for name, value in call.arguments.items():
        reference = reference_of(value)
        if reference is not None:
            pointer = pointer_of(reference, responses[reference.label])
            value = {"$from": reference.label, "at": pointer}
        arguments[name] = value
    return {"id": call.label, "worker": worker_name(call.name), "input": arguments}


def decisions_of(goal: Goal, mode: Mode) -> list[dict[str, Any]]:
    """The ground truth as decisions: a round for each call, or one round for all."""
    tasks = [task_of(goal, call) for call in goal.output]
    rounds = [[task] for task in tasks] if mode == "rounds" else [tasks]
    if mode == "plans":
        rounds = [plan_of(goal).entries]
    return [
        *({"assessment": "as recorded", "tasks": group} for group in rounds),
        {"assessment": "done", "finish": {"calls": len(goal.output)}},
    ]


class Player:
    """A model that gives the recorded decisions, one a round, and stops when one is rejected."""

    def __init__(self, goal: Goal, mode: Mode, record: Record) -> None:
        self._record = record
        self._decisions = decisions_of(goal, mode)
        self._streams = mode == "stream"
        #: What the engine said of a decision that it did not accept.
        self.problems: list[str] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        number = request.index or 0
        if not request.key.endswith("/ decision 1"):
            said = request.messages[-1].content.splitlines()
            self.problems += [line[2:] for line in said if line.startswith("- ")]
            number = len(self._decisions) - 1
        text = json.dumps(self._decisions[min(number, len(self._decisions) - 1)])
        if self._streams:
            await self._stream(text, request.on_text)
        return ModelReply(text)

    async def _stream(self, text: str, on_text: Callable[[str], None] | None) -> None:
        if on_text is None:
            raise engine.Failure("unavailable", "nobody listens to the stream")
        for at in range(0, len(text), PIECE):
            self._record.written = min(1.0, (at + PIECE) / len(text))
            on_text(text[at : at + PIECE])
            await _breath()

    async def close(self) -> None:
        return


async def _breath() -> None:
    """Let everything that is ready run, as it would while the next token is made."""
    for _ in range(3):
        await asyncio.sleep(0)
