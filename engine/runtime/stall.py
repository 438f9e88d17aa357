"""Stall and drift detection without a model: did this round bring anything new?

A round is new if a task of it gave an output that no task gave before, and was not merely an
earlier task put in other words. The same output, the same failure, the same result offered to
the same verifiers again: nothing new. It is a first line, cheap and certain; a verifier with a
model is the second, `max_rounds` the last.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from engine.runtime.prompts import remarks
from engine.runtime.state import Loop, Round, Task

__all__ = ["Novelty", "observe"]

_encode = msgspec.json.Encoder(order="sorted").encode
_WORDS = re.compile(r"\w+")


class Novelty(msgspec.Struct, frozen=True):
    """Whether a round brought something new, and if not, why not, in half a sentence."""

    new: bool
    why: str = ""


def observe(loop: Loop, over: Round) -> Novelty:
    """Compare a round with all before it, and remember it."""
    found = [_task(loop, task) for task in over.tasks]
    if over.decision is not None and "finish" in over.decision:
        found.append(_seen(loop, ["finish", over.decision["finish"]], remarks.SAME_RESULT))
    if not found:
        return Novelty(False, remarks.NOTHING_RUN)
    if any(why is None for why in found):
        return Novelty(True)
    reasons = sorted({why for why in found if why})
    return Novelty(False, ", ".join(reasons))


def _task(loop: Loop, task: Task) -> str | None:
    """None if a task brought something new, else why it did not."""
    name = task.worker.name
    exact = hash(_encode(["task", name, task.input]))
    words = {key: sorted(set(_words(value))) for key, value in task.input.items()}
    near = hash(_encode(["near", name, words]))
    reworded = near in loop.seen and exact not in loop.seen
    repeated = exact in loop.seen
    loop.seen.update((exact, near))
    if task.failure is not None:
        failure = ["failure", name, task.failure.mode, task.failure.message]
        again = _seen(loop, failure, remarks.SAME_FAILURE)
        return again or remarks.TASK_FAILED
    old = _seen(loop, ["output", name, task.output], remarks.SAME_OUTPUT)
    if repeated and old:
        return remarks.SAME_TASK
    if reworded:
        return remarks.SAME_TASK_REWORDED
    return old


def _seen(loop: Loop, what: Any, why: str) -> str | None:
    mark = hash(_encode(what))
    if mark in loop.seen:
        return why
    loop.seen.add(mark)
    return None


def _words(value: Any) -> list[str]:
    """The words of an input's field in lower case, with the keys they are under."""
    return _WORDS.findall(_encode(value).decode().lower())
