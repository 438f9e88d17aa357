"""The exact rule: rounds in which nothing came back that was not there before.

A round makes progress if one of its tasks returned an output that no task returned before, and the
task did not merely repeat an earlier one in other words. The same output, the same failure, or the
same result for the same verifiers is not progress. One byte makes an output another one; what
differs only a little is judged in `score`.

A step is one task here. It is new if one of its items is: one that is done, with a resolved input
and an output that no item or task of the worker had together before.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

import msgspec

from engine.runtime.prompts import remarks
from engine.runtime.state import Loop, Round, Step, Task

__all__ = ["Novelty", "observe"]

_encode = msgspec.json.Encoder(order="sorted").encode
_WORDS = re.compile(r"\w+")


class Novelty(msgspec.Struct, frozen=True):
    """Whether a round made progress, and if not, why not, in half a sentence.

    Attributes:
        certain: It brought nothing new at all; False: it only has the signs of no progress.
    """

    new: bool
    why: str = ""
    certain: bool = True


def observe(loop: Loop, over: Round) -> Novelty:
    """Compare a round with all before it, and remember it."""
    found = [
        _step(loop, entry) if isinstance(entry, Step) else _task(loop, entry)
        for entry in over.entries
    ]
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
    if task.status == "skipped":
        return remarks.SKIPPED
    exact = _mark(["task", name, task.input])
    words = {key: sorted(set(_words(value))) for key, value in task.input.items()}
    near = _mark(["near", name, words])
    reworded = near in loop.seen and exact not in loop.seen
    repeated = exact in loop.seen
    loop.seen.update((exact, near))
    if task.failure is not None:
        failure = ["failure", name, task.failure.mode, task.failure.message]
        again = _seen(loop, failure, remarks.SAME_FAILURE)
        return again or remarks.TASK_FAILED
    old = _seen(loop, ["output", name, task.output], remarks.SAME_OUTPUT)
    if loop.orchestrator.policy.max_items is not None:
        loop.seen.add(_pair(task))
    if repeated and old:
        return remarks.SAME_TASK
    if reworded:
        return remarks.SAME_TASK_REWORDED
    return old


def _step(loop: Loop, step: Step) -> str | None:
    """None if an item of a step brought something new, else why none did."""
    if step.status == "skipped":
        return remarks.SKIPPED
    items = [task for frame in step.passes for task in frame.tasks.values()]
    new = {_pair(task) for task in [*step.items.values(), *items] if task.status == "done"}
    fresh = not new <= loop.seen
    loop.seen |= new
    if fresh:
        return None
    name = "" if step.worker is None else step.worker.name
    if step.failure is not None:
        failure = ["failure", name, step.failure.mode, step.failure.message]
        return _seen(loop, failure, remarks.SAME_FAILURE) or remarks.TASK_FAILED
    if new:
        return remarks.SAME_OUTPUT
    # Nothing was selected: news, the first time.
    return _seen(loop, ["step", name, step.output], remarks.SAME_OUTPUT)


def _pair(task: Task) -> int:
    """What one unit of work was and what it gave."""
    return _mark(["pair", task.worker.name, task.resolved, task.output])


def _seen(loop: Loop, what: Any, why: str) -> str | None:
    mark = _mark(what)
    if mark in loop.seen:
        return why
    loop.seen.add(mark)
    return None


def _mark(what: Any) -> int:
    return int.from_bytes(blake2b(_encode(what), digest_size=8).digest(), "big")


def _words(value: Any) -> list[str]:
    """The words of an input's field in lower case, with the keys they are under."""
    return _WORDS.findall(_encode(value).decode().lower())
