"""Steps: what an evaluation of a template or expression may cost, counted as it goes.

Whatever is made of a value, step by step, is paid for before or while it is made: an item of a
loop, a character of a text, a node of a list. When the steps are used up, the evaluation ends as
an `EvaluationError`. So neither time nor memory of an evaluation depends on what it is given, and
the same evaluation takes the same steps everywhere: nothing here looks at a clock.

The evaluation that is under way in a thread has one meter, whatever other templates and
expressions it evaluates on its way. What costs how much is said by who does it: the environment,
the filters, the methods. Outside of any evaluation nothing is counted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from engine.errors import OrchError
from engine.source import Span

__all__ = [
    "CHARACTERS_PER_STEP",
    "CONTAINERS",
    "MAX_STEPS",
    "MAX_TEXT",
    "UNBOUNDED",
    "EvaluationError",
    "check_text",
    "counted",
    "counted_list",
    "current",
    "is_under_way",
    "key_characters",
    "metered",
    "out_of_steps",
    "paid",
    "take",
    "take_size",
    "take_text",
    "weight",
]

#: Steps an evaluation may take. A step is about half a microsecond at most.
MAX_STEPS = 200_000
#: Characters a template, or any text inside an expression, may have at most.
MAX_TEXT = 4 * 1024 * 1024
#: How much text is made for one step.
CHARACTERS_PER_STEP = 64
#: What a meter holds outside of any evaluation, and what no evaluation ever has.
UNBOUNDED = 1 << 62
_LEAST_UNBOUNDED = 1 << 61

#: What may hold other values.
CONTAINERS = frozenset({dict, list, tuple})
#: Walking over a value adds up this much before it pays.
_TAB = 512


class EvaluationError(OrchError):
    """A template or expression could not be evaluated; `str()` is one sentence.

    Attributes:
        span: The part of the source that could not be, where that is known.
    """

    span: Span | None = None


class Meter:
    """The rest of an evaluation.

    Attributes:
        left: Steps; below zero when too many were taken.
        limit: The steps it began with.
        shares: Whether a list or map was made that may hold something more than once. Without
            one, a value is no larger than the data it comes from.
    """

    __slots__ = ("left", "limit", "shares")

    def __init__(self) -> None:
        self.left = self.limit = UNBOUNDED
        self.shares = False

    def begin(self, steps: int = MAX_STEPS) -> bool:
        """Begin an evaluation; False where one is under way, which it is then a part of."""
        if self.left < _LEAST_UNBOUNDED:
            return False
        self.left = self.limit = steps
        self.shares = False
        return True


class _Current(threading.local):
    def __init__(self) -> None:
        self.meter = Meter()


#: The meter of this thread.
current = _Current()


def is_under_way() -> bool:
    """Whether this thread evaluates something, so that steps are counted."""
    return current.meter.left < _LEAST_UNBOUNDED


def out_of_steps() -> EvaluationError:
    """What an evaluation ends with when its steps are used up."""
    return EvaluationError(f"it takes more than {current.meter.limit} steps")


@contextmanager
def metered(steps: int = MAX_STEPS) -> Iterator[None]:
    """Let everything that is evaluated inside share one meter; inside another, that one."""
    if is_under_way():
        yield
        return
    meter = current.meter
    meter.begin(steps)
    try:
        yield
    finally:
        meter.left = UNBOUNDED


def take(steps: int) -> None:
    """Pay for what is about to be done.

    Raises:
        EvaluationError: Not so many steps are left.
    """
    meter = current.meter
    meter.left -= steps
    if meter.left < 0:
        raise out_of_steps()


def check_text(characters: int) -> None:
    """Refuse a text that would be too long.

    Raises:
        EvaluationError: It would be longer than `MAX_TEXT`.
    """
    if characters > MAX_TEXT:
        raise EvaluationError(f"a text would be longer than {MAX_TEXT // 1024 // 1024} MiB")


def take_text(characters: int) -> None:
    """Pay for a text that is about to be made.

    Raises:
        EvaluationError: It would be longer than `MAX_TEXT`, or not so many steps are left.
    """
    check_text(characters)
    if characters >= CHARACTERS_PER_STEP:
        take(characters // CHARACTERS_PER_STEP)


def take_size(value: Any) -> None:
    """Pay for a walk over all of a value: comparing it, say.

    Raises:
        EvaluationError: Not so many steps are left.
    """
    take(weight(value))


def weight(value: Any, indent: int | None = None) -> int:
    """The steps a walk over a value takes, as deep as it goes; a value that occurs twice counts
    twice. The walk itself ends when it has found more than is left.

    Args:
        indent: Given where the value is to be written as JSON: the blanks for each level.

    Raises:
        EvaluationError: Not so many steps are left, or a text of the value would be too long.
    """
    kind = type(value)
    if kind is str:
        return len(value) // CHARACTERS_PER_STEP
    if kind not in CONTAINERS:
        return 1
    left = current.meter.left
    total = due = characters = depth = 0
    level: list[Any] = [value]
    while level:
        inner: list[Any] = []
        depth += 1
        margin = 0 if indent is None else indent * depth
        for box in level:
            items: Iterable[Any] = box
            if type(box) is dict:
                items = box.values()
                characters += key_characters(box)
            due += 1 + len(box) // 4
            characters += len(box) * margin
            for item in items:
                kind = type(item)
                if kind is str:
                    characters += len(item)
                elif kind in CONTAINERS:
                    inner.append(item)
            if due > _TAB:
                total, due = total + due, 0
                if total > left:
                    raise out_of_steps()
                if indent is not None:
                    check_text(characters)
        level = inner
    if indent is not None:
        check_text(characters)
    return total + due + characters // CHARACTERS_PER_STEP


def key_characters(box: dict[Any, Any]) -> int:
    """The length of a map's keys together."""
    try:
        return sum(map(len, box))
    except TypeError:
        return sum(len(key) for key in box if isinstance(key, str))


def counted(items: Iterable[Any], steps: int = 1) -> Iterator[Any]:
    """The items one by one, each paid for."""
    meter = current.meter
    for item in items:
        meter.left -= steps
        if meter.left < 0:
            raise out_of_steps()
        yield item


def paid(items: Iterable[Any], steps: int = 1) -> Iterable[Any]:
    """The items, paid for at once where it is known how many they are."""
    if type(items) in CONTAINERS:
        take(len(items) * steps)  # type: ignore[arg-type]
        return items
    return counted(items, steps)


def counted_list(items: Iterable[Any]) -> list[Any]:
    """A new list of the items, paid for."""
    if type(items) in CONTAINERS or isinstance(items, range | str):
        each = 4 if isinstance(items, str) else 8
        take(1 + len(items) // each)  # type: ignore[arg-type]
        return list(items)
    return list(counted(items))
