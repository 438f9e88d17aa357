"""The models of the experiment: a planner that drifts, judges, and wrappers that hide the goal.

They see the rendered prompt and nothing else. All they remember is what stands in it, and their
luck is drawn from a seed and the number of the call, so a run can be repeated.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from engine.events import Usage
from engine.runtime.ports import ChatModel, Message, ModelReply, ModelRequest

#: Where the goal stands: in the newest block, only further up, or nowhere.
Place = Literal["newest", "far", "absent"]

_GOAL = re.compile(r"<goal>\n(.*?)\n</goal>\n*", re.DOTALL)
_TOPIC = re.compile(r"report on (\w+)")
_STEP = re.compile(r"(toward|elsewhere|again): step (\d+) of (\w+)")
_ALARM = ("the check of this round did not pass", "stalled:")


@dataclass(frozen=True)
class Habits:
    """How a planner drifts.

    Attributes:
        steps: K, the steps that the goal takes.
        newest, far, absent: The probability of leaving the goal in one round, by where it stands.
        loops: The share of departures that repeat the last step instead of going elsewhere.
        onset: The one round in which it leaves, instead of by chance.
    """

    steps: int = 8
    newest: float = 0.02
    far: float = 0.10
    absent: float = 0.25
    loops: float = 0.0
    onset: int | None = None

    def leave(self, place: Place) -> float:
        return {"newest": self.newest, "far": self.far, "absent": self.absent}[place]


def priced(messages: Sequence[Message], text: str) -> Usage:
    """Four characters a token; $1 and $4 for a million tokens of prompt and answer."""
    given = sum(len(message.content) for message in messages) // 4
    made = len(text) // 4
    return Usage(input_tokens=given, output_tokens=made, cost_micro_usd=given + 4 * made)


class Planner:
    """Goes step by step toward the goal, until it does not.

    In each round it goes on, or leaves the goal with the probability that belongs to where the
    goal stands in its prompt. Away from the goal it stays away, counts its steps all the same and
    calls itself done in the end; or it repeats its last step without end. What is said to it in
    the newest block (a check that did not pass, a stall) makes it look for the goal, and throw
    away its last step if it was on the way.
    """

    def __init__(self, habits: Habits, seed: int) -> None:
        self._habits = habits
        self._seed = seed
        #: Tokens of the longest prompt.
        self.largest = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        messages = list(request.messages)
        text = json.dumps(self._decide(messages, request.index or 0))
        usage = priced(messages, text)
        self.largest = max(self.largest, usage.input_tokens)
        return ModelReply(text, usage)

    async def close(self) -> None:
        return

    def _decide(self, messages: Sequence[Message], number: int) -> dict[str, object]:
        place, topic = where_is_the_goal(messages)
        whole = "\n".join(message.content for message in messages)
        past = [(mode, int(step), of) for mode, step, of in _STEP.findall(whole)]
        mode, step, of = past[-1] if past else ("toward", 0, topic)
        newest = messages[-1].content
        alarm = any(words in newest for words in _ALARM)
        if alarm and place != "absent":
            reached = max((s for m, s, o in past if m != "elsewhere" and o == topic), default=0)
            step = reached if mode != "toward" else max(0, step - 1)
            mode, of = "toward", topic
        last = step >= self._habits.steps
        if last and mode != "again":
            return {"assessment": "done", "finish": {"topic": of, "steps": step}}
        if mode == "toward":
            mode = self._luck(place, number, step)
            of = topic if mode != "elsewhere" else f"detour{number}"
        if mode != "again":
            step += 1
        return {
            "assessment": f"{mode}: step {step} of {of}",
            "tasks": [{"id": f"t{number}", "worker": "work", "input": {"topic": of, "step": step}}],
        }

    def _luck(self, place: Place, number: int, step: int) -> str:
        luck = random.Random(f"{self._seed} {number}")
        if self._habits.onset is not None:
            return "elsewhere" if number + 1 == self._habits.onset else "toward"
        if luck.random() >= self._habits.leave(place):
            return "toward"
        return "again" if step and luck.random() < self._habits.loops else "elsewhere"


def where_is_the_goal(messages: Sequence[Message]) -> tuple[Place, str]:
    """Where the goal stands in a prompt, and its topic (`unknown` where it stands nowhere)."""
    for message in reversed(messages):
        found = _GOAL.search(message.content)
        if found:
            topic = _TOPIC.search(found[1])
            assert topic is not None
            return ("newest" if message is messages[-1] else "far"), topic[1]
    return "absent", "unknown"


class WithoutGoal:
    """A planner that is shown its prompt without the goal: in every block but the first, or in all.

    What the engine puts into each block is taken out again, for it cannot be told not to.
    """

    def __init__(self, inner: ChatModel, place: Place) -> None:
        self._inner = inner
        self._kept = 1 if place == "far" else 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        messages = [
            message if index < self._kept else Message(message.role, strip(message.content))
            for index, message in enumerate(request.messages)
        ]
        return await self._inner.complete(msgspec.structs.replace(request, messages=messages))

    async def close(self) -> None:
        await self._inner.close()


def strip(text: str) -> str:
    return _GOAL.sub("", text)


class Judge:
    """A verifier that compares the plan's topic with the goal's, and errs at known rates.

    Args:
        hit: The probability of raising the alarm when the plan has left the goal.
        false_alarm: The same when it has not.
    """

    def __init__(self, hit: float, false_alarm: float, seed: int) -> None:
        self._hit = hit
        self._false_alarm = false_alarm
        self._seed = seed
        self.calls = 0
        self.alarms = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        messages = list(request.messages)
        _, topic = where_is_the_goal(messages)
        planned = re.search(r'"topic":\s*"(\w+)"', messages[-1].content)
        assert planned is not None
        rate = self._false_alarm if planned[1] == topic else self._hit
        luck = random.Random(f"judge {self._seed} {request.index}")
        alarm = luck.random() < rate
        self.calls += 1
        self.alarms += alarm
        text = json.dumps({"ok": not alarm, "feedback": "this leads away" if alarm else ""})
        return ModelReply(text, priced(messages, text))

    async def close(self) -> None:
        return
