"""What the detectors remember of a loop: marks of words, never text, and a bounded number of them.

A loop with a `stall` block keeps at most about 4 MB: 10,240 tokens (100 bytes each), and 16
sketches for each of 32 workers (6 KB each). A loop of 30 rounds with one task each keeps some
400 KB. What is forgotten looks new again, so a full memory causes fewer alarms, not more.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar
from zlib import crc32

import msgspec

from engine.runtime.stall.reading import Asked, Told, asked, told

__all__ = ["NOTHING", "RESULT", "Entry", "Fifo", "Finding", "Memory", "read", "with_worker"]

#: The name of a result that was not accepted, among the names of workers.
RESULT = "the result"

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_KNOWN = 8_192
_ASKED_FACTS = 2_048
_LOOKS = 256
_WORKERS = 32
_ASKS = 16
_OPEN_POINTS = 64


class Entry(msgspec.Struct, frozen=True):
    """What the detectors know of one task: the worker, its input, and its output."""

    worker: str
    asked: Asked
    told: Told
    failed: bool = False


def read(worker: str, input: object, output: object, *, failed: bool = False) -> Entry:
    """Read a task, within the bounds of `reading`. A failed one has told nothing."""
    return Entry(worker, asked(input), Told() if failed else told(output), failed)


class Finding(msgspec.Struct, frozen=True):
    """What a detector says about a round: 0 is progress, 1 is none. `why` is half a sentence."""

    score: float
    why: str = ""


NOTHING = Finding(0.0)


class Fifo(Generic[_Key, _Value]):
    """A dict of at most `most` keys: a new one pushes out the oldest."""

    __slots__ = ("_items", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: dict[_Key, _Value] = {}

    def __contains__(self, key: _Key) -> bool:
        return key in self._items

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: _Key) -> _Value | None:
        """The value of a key, or None."""
        return self._items.get(key)

    def put(self, key: _Key, value: _Value) -> None:
        """Set the value of a key."""
        if key not in self._items and len(self._items) >= self._most:
            del self._items[next(iter(self._items))]
        self._items[key] = value

    def drop(self, key: _Key) -> bool:
        """Forget a key; whether it was there."""
        if key not in self._items:
            return False
        del self._items[key]
        return True

    def items(self) -> list[tuple[_Key, _Value]]:
        """All of it, oldest first."""
        return list(self._items.items())


class Memory:
    """What is remembered of the rounds of one loop.

    Attributes:
        goal: The words of the goal, without endings.
        known: Every token of the goal, of inputs and of outputs.
        asks: By worker: the sketches of its last inputs.
        asked_facts: Facts in inputs, each with its worker.
        looks: By template of an output, with its worker: the numbers of the last one.
        turns: Of the last rounds: which workers had tasks, and how much was old.
        idle: By worker: for how many rounds in a row it brought few facts.
        open_points: Failed tasks and failed checks, each with its age in rounds.
        unclosed: For how many rounds none of them was closed.
        distance: How far inputs are from the goal, smoothed; `nearest` is the least it was.
        level: The evidence of all rounds, smoothed.
    """

    __slots__ = (
        "asked_facts",
        "asks",
        "distance",
        "goal",
        "idle",
        "known",
        "level",
        "looks",
        "nearest",
        "open_points",
        "turns",
        "unclosed",
    )

    def __init__(self, goal: str) -> None:
        words = asked(goal)
        self.goal = words.stems
        self.known: Fifo[int, None] = Fifo(_KNOWN)
        for mark in words.words:
            self.known.put(mark, None)
        self.asks: Fifo[str, deque[frozenset[int]]] = Fifo(_WORKERS)
        self.asked_facts: Fifo[int, None] = Fifo(_ASKED_FACTS)
        self.looks: Fifo[int, tuple[float, ...]] = Fifo(_LOOKS)
        self.turns: deque[tuple[tuple[str, ...], float]] = deque(maxlen=4)
        self.idle: Fifo[str, int] = Fifo(_WORKERS)
        self.open_points: Fifo[tuple[str, frozenset[int]], int] = Fifo(_OPEN_POINTS)
        self.unclosed = 0
        self.distance: float | None = None
        self.nearest = 1.0
        self.level = 0.0

    def remember(self, entry: Entry) -> None:
        """Take in a task, once every detector has looked at it."""
        asks = self.asks.get(entry.worker)
        if asks is None:
            asks = deque(maxlen=_ASKS)
            self.asks.put(entry.worker, asks)
        asks.append(entry.asked.sketch)
        for mark, is_fact in entry.asked.words.items():
            self.known.put(mark, None)
            if is_fact:
                self.asked_facts.put(with_worker(entry.worker, mark), None)
        for mark in entry.told.tokens:
            self.known.put(mark, None)
        if entry.told.template:
            look = with_worker(entry.worker, entry.told.template)
            self.looks.put(look, entry.told.numbers)

    def begin_again(self) -> None:
        """There is a new plan: what was asked and found stays known, the evidence is gone."""
        self.level = 0.0
        self.unclosed = 0
        self.turns.clear()


def with_worker(worker: str, mark: int) -> int:
    """A mark that only this worker has."""
    return crc32(worker.encode(), mark)
