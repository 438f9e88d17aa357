"""The bounds on sizes, as far as the machine applies them: inputs, what a run keeps, what is said.

What comes in is measured where it comes in (`engine.drive.intake`), and its size is in the event:
here these are only added up. The size of a task's input is that of what the decision wrote and of
each output that it refers to, measured once, so it is known before anything of it is laid out.

A run of an engine without bounds is folded without them (`RunState.bounds` is 0): a bound must not
stop what the journal says has happened. They hold from the moment that this engine takes it over.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from engine.errors import Failure
from engine.runtime.causes import Cause
from engine.runtime.prompts import remarks
from engine.runtime.references import PointerError, follow
from engine.runtime.state import Loop, RunState, Task, Todo
from engine.sema.types.contract import Contract
from engine.sizes import size_of, size_words

__all__ = [
    "MAX_ASKED",
    "MAX_SAID",
    "cut",
    "digest",
    "fingerprint",
    "is_full",
    "keep",
    "too_large",
    "unfit",
]

#: The longest that a verifier's or a person's words are kept, in characters.
MAX_SAID = 8_000
#: The longest question to a person, in characters.
MAX_ASKED = 64_000
#: What is longer is told apart by its hash, in bytes.
_LONG = 1024

_canonical = msgspec.json.Encoder(order="sorted").encode


def fingerprint(value: Any) -> bytes:
    """What tells a JSON value from every other: its canonical JSON, or its hash."""
    data = _canonical(value)
    return data if len(data) <= _LONG else blake2b(data, digest_size=32).digest()


def digest(value: Any) -> str:
    """A short hash of a JSON value, in hex."""
    return blake2b(_canonical(value), digest_size=8).hexdigest()


def keep(state: RunState, loop: Loop, size_bytes: int) -> None:
    """Count what has come back in a loop, and end the outermost that keeps too much now."""
    full: Loop | None = None
    at: Loop | None = loop
    while at is not None:  # not `lineage`, for this is done for every answer
        at.kept_bytes += size_bytes
        if at.kept_bytes > at.orchestrator.policy.max_kept_bytes:
            full = at
        at = at.task.loop if at.task is not None else None
    if full is not None:
        # After what has just come back is taken in: it may be the result.
        state.todo(Todo.LOOP_FULL, full)


def is_full(state: RunState, loop: Loop) -> bool:
    """Whether a loop, or one above it, keeps more than it may."""
    return bool(state.bounds) and any(
        at.kept_bytes > at.orchestrator.policy.max_kept_bytes for at in loop.lineage()
    )


def too_large(state: RunState, task: Task) -> Failure | None:
    """Why a task with references cannot start: its input is too large with them. None if it can.

    The outputs it refers to must be there. Nothing is copied.
    """
    if not state.bounds:
        return None
    most = task.loop.orchestrator.policy.max_input_bytes
    total = size_of(task.input, most)
    for reference in task.references:
        if total > most:
            break
        total += _size_at(task.loop.tasks[reference.task], reference.at)
    task.input_bytes = total
    if total <= most:
        return None
    return Failure(
        "unmet_reference",
        f"with what it refers to, its input takes more than {size_words(most)} "
        '(`max_input_bytes`): refer to a part of an output with "at", or to fewer outputs',
        cause=Cause(task.loop.orchestrator, "policy.max_input_bytes"),
    )


def _size_at(producer: Task, pointer: str) -> int:
    """The size of a task's output, or of a part of it; measured once."""
    sizes = producer.part_bytes
    if sizes is None:
        sizes = producer.part_bytes = {}
    if pointer not in sizes:
        try:
            sizes[pointer] = size_of(follow(producer.output, pointer))
        except PointerError:
            sizes[pointer] = 0  # resolving says what is wrong with it
    return sizes[pointer]


def unfit(state: RunState, value: Any, contract: Contract, most: int) -> str:
    """What is wrong with a value that no call gave: its size or its contract; "" if nothing is."""
    if state.bounds and size_of(value, most) > most:
        return f"it takes more than {size_words(most)}"
    return "" if contract.is_valid(value) else "; ".join(contract.problems(value))


def cut(state: RunState, text: str, most: int = MAX_SAID) -> str:
    """Foreign text, cut where they are too long to be kept and shown again."""
    if not state.bounds or len(text) <= most:
        return text
    return remarks.shortened(text[:most], len(text))
