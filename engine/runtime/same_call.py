"""What `once` tasks are given where their inputs have `@from`, to find a call that is made again.

Two calls are the same where the tokens of one contain those of the other, in either direction: so
another spelling, a dropped full stop, an added recipient or a longer list are no other call. A
token is a run of letters and digits without its case, or a number by its value. Nothing here knows
where values must come from; that is in `engine.runtime.sourced`.

A task counts only against those that are noted after it, so of two calls that wait for their
checks at the same time the first is never the repeat.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from engine.runtime.whole_tokens import as_number

if TYPE_CHECKING:
    from engine.runtime.state import Task

__all__ = ["Sent", "Tokens", "tokens_of"]

_RUN = re.compile(r"[^\W_]+")
_ENDS = ".,;:!?()[]{}<>\"'"


class Tokens(msgspec.Struct, frozen=True):
    """The values of a call: its tokens, and its values without what is between tokens."""

    parts: frozenset[Hashable]
    wholes: frozenset[Hashable]


def tokens_of(leaves: Iterable[Any]) -> Tokens:
    """The tokens of values, strings and numbers."""
    parts: set[Hashable] = set()
    wholes: set[Hashable] = set()
    for leaf in leaves:
        if leaf.__class__ is str:
            number = as_number(leaf)
            if number is not None:
                parts.add(number)
                wholes.add(number)
                continue
            text = unicodedata.normalize("NFKC", leaf).casefold()
            runs = [*_runs(text)]
            # What has neither letters nor digits is compared as it is.
            parts.update(runs or [text.strip()])
            wholes.add("".join(_RUN.findall(text)) or text.strip())
        else:
            parts.add(leaf)
            wholes.add(leaf)
    return Tokens(frozenset(parts), frozenset(wholes))


def _runs(text: str) -> Iterator[Hashable]:
    for word in text.split():
        number = as_number(word.strip(_ENDS))
        if number is not None:
            yield number
            continue
        for run in _RUN.findall(word):
            yield int(run) if run.isascii() and run.isdecimal() and len(run) <= 40 else run


class _Entry(msgspec.Struct, frozen=True, eq=False):
    task: Any
    resolved: Any
    number: int

    def still_holds(self, limit: int) -> bool:
        """Whether the call was made, or may still be, as it was noted, and before another one."""
        task = self.task
        if self.number >= limit or (task.over and not task.attempts and task.plan is None):
            return False
        return task.resolved is self.resolved or task.resolved == self.resolved


class _Sets:
    """Sets, found by those that contain another set or are contained in it."""

    __slots__ = ("_by_one", "_by_value")

    def __init__(self) -> None:
        self._by_value: dict[Hashable, list[tuple[frozenset[Hashable], _Entry]]] = {}
        #: Each set under its rarest value only: it is in all that contain the set.
        self._by_one: dict[Hashable, list[tuple[frozenset[Hashable], _Entry]]] = {}

    def add(self, values: frozenset[Hashable], entry: _Entry) -> None:
        if not values:
            return
        rarest = min(values, key=lambda value: len(self._by_value.get(value, ())))
        self._by_one.setdefault(rarest, []).append((values, entry))
        for value in values:
            self._by_value.setdefault(value, []).append((values, entry))

    def related(self, wanted: frozenset[Hashable]) -> Iterator[_Entry]:
        if not wanted:
            return
        fewest = min((self._by_value.get(value, []) for value in wanted), key=len)
        for others, entry in fewest:
            if wanted <= others:
                yield entry
        for value in wanted:
            for others, entry in self._by_one.get(value, ()):
                if others <= wanted:
                    yield entry


class Sent:
    """The calls of one `once` worker, in the order in which they were noted.

    It is looked through only for tainted decisions, so values are read when it is.
    """

    __slots__ = ("_new", "_noted", "_parts", "_wholes")

    def __init__(self) -> None:
        self._parts = _Sets()
        self._wholes = _Sets()
        self._noted: dict[Task, tuple[int, Any]] = {}
        self._new: list[Task] = []

    def add(self, task: Task) -> None:
        """Note a task that is to start, before its checks; or again, if its input has changed."""
        number, resolved = self._noted.get(task, (len(self._noted), None))
        if resolved is not task.resolved:
            self._noted[task] = number, task.resolved
            self._new.append(task)

    def before(self, task: Task, tokens: Callable[[Task], Tokens]) -> Task | None:
        """Another task that was noted earlier and makes, or may make, the same call."""
        for noted in self._new:
            values = tokens(noted)
            entry = _Entry(noted, noted.resolved, self._noted[noted][0])
            self._parts.add(values.parts, entry)
            self._wholes.add(values.wholes, entry)
        self._new.clear()
        wanted = tokens(task)
        limit = self._noted.get(task, (len(self._noted), None))[0]
        for index, own in ((self._parts, wanted.parts), (self._wholes, wanted.wholes)):
            for entry in index.related(own):
                if entry.task is not task and entry.still_holds(limit):
                    found: Task = entry.task
                    return found
        return None
