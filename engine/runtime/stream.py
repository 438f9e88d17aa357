"""Reading a decision while it streams: which tasks have closed so far.

A small scanner, not a parser: it follows strings and brackets just far enough to know where an
element of the root object's `tasks` begins and ends, looks at each character once, and leaves
the JSON inside to the real parser. What it finds is only ever a head start; the whole decision
is read and validated when it has come.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

__all__ = ["ClosedTasks"]

_SPECIAL = re.compile(r'[\[\]{}":\\]')
_IN_STRING = re.compile(r'["\\]')


class ClosedTasks:
    """Feed it the text as it comes; it gives each task object once it has closed."""

    def __init__(self) -> None:
        #: What came of the string or task that is being kept; None where nothing is.
        self._kept: list[str] | None = None
        #: Where that goes on in the piece at hand.
        self._from = 0
        self._depth = 0
        self._in_string = False
        #: Whether the piece before ended in a backslash.
        self._escaped = False
        self._last_string = ""
        self._key = ""
        self._in_tasks = False

    def feed(self, piece: str) -> list[dict[str, Any]]:
        """Take the next piece of text.

        Returns:
            The tasks that this piece has closed, in order; what is no object or no JSON is
            passed over, for the whole decision will be judged anyway.
        """
        closed: list[dict[str, Any]] = []
        self._from = 0
        at = 0
        if self._escaped and piece:
            self._escaped = False
            at = 1
        while True:
            pattern = _IN_STRING if self._in_string else _SPECIAL
            found = pattern.search(piece, at)
            if found is None:
                break
            char = found.group()
            at = found.end()
            if char == "\\":
                if self._in_string:
                    # The escaped character may come with the next piece.
                    self._escaped = at == len(piece)
                    at += 1
            elif char == '"':
                self._quote(piece, at)
            elif not self._in_string:
                self._bracket(char, piece, at, closed)
        if self._kept is not None:
            self._kept.append(piece[self._from :])
        return closed

    def _keep(self, begin: int) -> None:
        self._kept = []
        self._from = begin

    def _taken(self, piece: str, end: int) -> str:
        text = "".join([*(self._kept or ()), piece[self._from : end]])
        self._kept = None
        return text

    def _quote(self, piece: str, at: int) -> None:
        self._in_string = not self._in_string
        if self._depth == 1:
            if self._in_string:
                self._keep(at)
            else:
                self._last_string = self._taken(piece, at - 1)

    def _bracket(self, char: str, piece: str, at: int, closed: list[dict[str, Any]]) -> None:
        if char == ":":
            if self._depth == 1:
                self._key = self._last_string
        elif char in "{[":
            self._depth += 1
            if self._depth == 2 and char == "[" and self._key == "tasks":
                self._in_tasks = True
            elif self._depth == 3 and char == "{" and self._in_tasks:
                self._keep(at - 1)
        elif char in "}]":
            if self._depth == 3 and char == "}" and self._in_tasks:
                try:
                    task = msgspec.json.decode(self._taken(piece, at))
                except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
                    task = None
                if isinstance(task, dict):
                    closed.append(task)
            self._depth -= 1
            if self._depth == 1:
                self._in_tasks = False
