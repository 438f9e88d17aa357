"""What a run remembers of values: those of the caller's request, of named outputs, endorsed ones.

`Known` is a part of `RunState`. Nothing of it is stored: it is made from the folded state, the
request's index and those of outputs when something first asks for them (`engine.runtime.sourced`),
endorsed values as hooks pass (`engine.runtime.endorsed`). Each set is bounded.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from engine.runtime.leaf_values import MOST_LEAVES, key_of, leaves_in, parts_at, readings
from engine.runtime.same_call import Sent
from engine.runtime.whole_tokens import collapsed, is_whole_token, nfc, numbers_in
from engine.sema.model import AllowedSource
from engine.sema.types.definitions import Type
from engine.source import Span

if TYPE_CHECKING:
    from engine.runtime.state import Loop, Task

__all__ = ["MOST_TEXT", "Known", "OutputLeaves", "RequestValues", "SourceRule"]

#: How much text of the request is searched, in characters; what comes after it is not found.
MOST_TEXT = 1_000_000
#: How many answers about values are remembered.
_MOST_ANSWERS = 10_000


class SourceRule(msgspec.Struct, frozen=True):
    """One `@from`, with what follows from the types.

    Attributes:
        path: The input, then fields in it; `*` is each item of a list.
        allowed: What it names.
        defaults: What the input is where it is left out.
        open: Its values may have fields that no declaration names.
        deep: The type of the input, if a schema in it holds itself; None for every other.
        span: Where the `@from` is written.
        literals: Options of literal unions in it. Whoever may pick one decides too little for the
            rest of a task to be a stranger's.
    """

    path: tuple[str, ...]
    allowed: tuple[AllowedSource, ...]
    defaults: list[Any]
    open: bool
    deep: Type | None
    span: Span
    literals: frozenset[str | int | float]


class RequestValues:
    """The values of the caller's request, found by value and by whole tokens."""

    __slots__ = ("_answers", "_keys", "_numbers", "_texts")

    def __init__(self, values: Iterable[Any]) -> None:
        texts: list[str] = []
        self._keys: set[Hashable] = set()
        for value in values:
            for _, leaf in leaves_in(value):
                if leaf.__class__ is str:
                    texts.append(nfc(leaf))
                self._keys.update(readings(leaf) if leaf.__class__ is int else [key_of(leaf)])
        # No value may run from one text into the next: NUL is in none that is looked for.
        text = "\0".join(texts)[:MOST_TEXT]
        flat = collapsed(text)
        self._texts = [text] if flat == text else [text, flat]
        self._numbers: set[int | float] | None = None
        self._answers: dict[Hashable, bool] = {}

    def has(self, leaf: Any, key: Hashable) -> bool:
        """Whether the request has a leaf value.

        Args:
            key: What `key_of` gives for it.
        """
        if key in self._keys:
            return True
        if leaf.__class__ is str:
            found = self._answers.get(key)
            if found is None:
                found = "\0" not in leaf and any(
                    is_whole_token(nfc(leaf), text) for text in self._texts
                )
                if len(self._answers) < _MOST_ANSWERS:
                    self._answers[key] = found
            return found
        if leaf.__class__ is int or leaf.__class__ is float:
            if self._numbers is None:
                self._numbers = set(numbers_in(self._texts[0]))
            return leaf in self._numbers
        return False


class OutputLeaves:
    """The leaf values of one part of what the tasks of one worker have given, as far as asked."""

    __slots__ = ("_keys", "_path", "_read")

    def __init__(self, path: tuple[str, ...]) -> None:
        self._path = path
        self._keys: set[Hashable] = set()
        #: By loop: the list of its tasks that are done, and how many of these are read.
        self._read: dict[int, tuple[list[Task], int]] = {}

    def read(self, loops: Iterable[Loop], worker: str) -> bool:
        """Read what has come since.

        Returns:
            Whether what was read before still is what the worker has given; a retry of the run may
            take tasks back.
        """
        for loop in loops:
            done = loop.done.get(worker)
            before = self._read.get(id(loop))
            if before is None:
                if done:
                    self._read_on(loop, done, 0)
            elif before[0] is not done:
                return False
            elif before[1] < len(before[0]):
                self._read_on(loop, before[0], before[1])
        return True

    def _read_on(self, loop: Loop, done: list[Task], count: int) -> None:
        for task in done[count:]:
            self._add(task.output)
        self._read[id(loop)] = done, len(done)

    def _add(self, output: Any) -> None:
        for _, part in parts_at(output, self._path):
            for _, leaf in leaves_in(part):
                if len(self._keys) >= MOST_LEAVES:
                    return
                self._keys.update(readings(leaf))

    def has(self, key: Hashable) -> bool:
        """Whether one of the values is equal to a leaf value with this key."""
        return key in self._keys


class Known:
    """What a run remembers of values.

    Attributes:
        loops: Every orchestrator at work in the run, also those that are over.
        request: The caller's request, once something asked for it.
        outputs: By worker and part: what it has given, once something asked for it.
        rules: By worker: its `@from`, once something asked for it.
        sent: By worker: what its `once` tasks were started with.
        endorsed: The keys of values that hooks have let pass and endorsed.
    """

    __slots__ = ("endorsed", "loops", "outputs", "request", "rules", "sent")

    def __init__(self) -> None:
        self.loops: list[Loop] = []
        self.request: RequestValues | None = None
        self.outputs: dict[tuple[str, tuple[str, ...]], OutputLeaves] = {}
        self.rules: dict[str, list[SourceRule]] = {}
        self.sent: dict[str, Sent] = {}
        self.endorsed: set[Hashable] = set()

    def gave(self, worker: str, path: tuple[str, ...], key: Hashable) -> bool:
        """Whether a worker has given a leaf value with a key in a part of its output."""
        known = self.outputs.get((worker, path))
        if known is None or not known.read(self.loops, worker):
            known = self.outputs[worker, path] = OutputLeaves(path)
            known.read(self.loops, worker)
        return known.has(key)
