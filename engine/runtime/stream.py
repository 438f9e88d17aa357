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
        self._text = ""
        self._at = 0
        self._depth = 0
        self._string_from: int | None = None
        self._last_string = ""
        self._key = ""
        self._in_tasks = False
        self._task_from = 0

    def feed(self, piece: str) -> list[dict[str, Any]]:
        """Take the next piece of text.

        Returns:
            The tasks that this piece has closed, in order; what is no object or no JSON is
            passed over, for the whole decision will be judged anyway.
        """
        self._text += piece
        closed: list[dict[str, Any]] = []
        while True:
            pattern = _SPECIAL if self._string_from is None else _IN_STRING
            found = pattern.search(self._text, self._at)
            if found is None:
                self._at = len(self._text)
                return closed
            at = found.start()
            char = found.group()
            if char == "\\" and self._string_from is not None:
                if at + 1 >= len(self._text):
                    self._at = at  # the escaped character comes with the next piece
                    return closed
                self._at = at + 2
                continue
            self._at = at + 1
            if char == '"':
                self._quote(at)
            elif self._string_from is None:
                self._bracket(char, at, closed)

    def _quote(self, at: int) -> None:
        if self._string_from is None:
            self._string_from = at + 1
            return
        if self._depth == 1:
            self._last_string = self._text[self._string_from : at]
        self._string_from = None

    def _bracket(self, char: str, at: int, closed: list[dict[str, Any]]) -> None:
        if char == ":":
            if self._depth == 1:
                self._key = self._last_string
        elif char in "{[":
            self._depth += 1
            if self._depth == 2 and char == "[" and self._key == "tasks":
                self._in_tasks = True
            elif self._depth == 3 and char == "{" and self._in_tasks:
                self._task_from = at
        elif char in "}]":
            if self._depth == 3 and char == "}" and self._in_tasks:
                try:
                    task = msgspec.json.decode(self._text[self._task_from : at + 1])
                except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
                    task = None
                if isinstance(task, dict):
                    closed.append(task)
            self._depth -= 1
            if self._depth == 1:
                self._in_tasks = False
