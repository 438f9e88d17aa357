"""The bounds on sizes, as far as the machine applies them: inputs, what a run keeps, what is said.

What comes in is measured where it comes in (`engine.attempt`), and its size is in the event. Here
sizes are only added up: the input of a task is the size of what the decision wrote and of each
output that it refers to, so it is known before anything of it is laid out.

A run of an engine without bounds is folded without them (`RunState.bounds` is 0): a bound must not
stop what the journal says has happened. They hold from the moment that this engine takes it over.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from engine.errors import Failure
from engine.runtime.references import PointerError, follow
from engine.runtime.state import Loop, RunState, Task, Todo
from engine.sema.contract import Contract
from engine.sizes import size_of, size_words

__all__ = [
    "MAX_ASKED",
    "MAX_SAID",
    "cut",
    "fingerprint",
    "keep",
    "larger_than",
    "too_large",
    "too_large_to_start",
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


def keep(state: RunState, loop: Loop, size_bytes: int) -> None:
    """Count what has come back in a loop, and end the outermost that keeps too much now."""
    full: Loop | None = None
    for at in loop.lineage():
        at.kept_bytes += size_bytes
        if at.kept_bytes > at.orchestrator.policy.max_kept_bytes:
            full = at
    if full is not None:
        # After what has just come back is taken in: it may be the result.
        state.todo(Todo.LOOP_FULL, full)


def too_large(state: RunState, task: Task) -> Failure | None:
    """Why a task cannot start whose input is too large with what it refers to; None if it can.

    The outputs it refers to must be there. Nothing is copied.
    """
    if not state.bounds or not task.special:
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
    )


def too_large_to_start(state: RunState, task: Task) -> Failure | None:
    """The same for a task that became ready before the bounds held."""
    return too_large(state, task) if task.input_bytes is None else None


def _size_at(producer: Task, pointer: str) -> int:
    """The size of a task's output, or of a part of it; measured once."""
    if not pointer:
        if not producer.output_bytes:
            producer.output_bytes = size_of(producer.output)
        return producer.output_bytes
    sizes = producer.part_bytes
    if sizes is None:
        sizes = producer.part_bytes = {}
    if pointer not in sizes:
        try:
            sizes[pointer] = size_of(follow(producer.output, pointer))
        except PointerError:
            sizes[pointer] = 0  # resolving says what is wrong with it
    return sizes[pointer]


def larger_than(value: Any, most: int, contract: Contract) -> bool:
    """Whether a value that was small enough as it came has become too large by its defaults.

    Defaults inside of lists may multiply; others add what the program's own text holds.
    """
    return contract.multiplies and size_of(value, most) > most


def unfit(state: RunState, value: Any, contract: Contract, most: int) -> str:
    """What is wrong with a value that no call gave: its size or its contract; "" if nothing is."""
    if state.bounds and size_of(value, most) > most:
        return f"it takes more than {size_words(most)}"
    return "" if contract.is_valid(value) else "; ".join(contract.problems(value))


def cut(state: RunState, text: str, most: int = MAX_SAID) -> str:
    """Words of somebody else, cut where they are too long to be kept and shown again."""
    if not state.bounds or len(text) <= most:
        return text
    return f"{text[:most]}... (cut: {len(text):,} characters in all)"
