"""Reading a decision while it streams: which tasks have closed so far.

A small scanner, not a parser. It follows strings and brackets just far enough to know where an
element of the root object's `tasks` begins and ends. It looks at each character once, because a
scan from the start for every piece would be quadratic, and leaves the JSON inside to the real
parser. What it finds is only ever a head start; the whole decision is read and validated when it
has come.

Only an answer that begins with its root object gives a head start; a thought between its tags and
an opening fence may come first. Tasks in prose are drafts, and those inside a thought are none.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from engine.runtime.answer_text import Opening

__all__ = ["ClosedTasks"]

_SPECIAL = re.compile(r'[\[\]{}":\\]')
_IN_STRING = re.compile(r'["\\]')


class ClosedTasks:
    """Feed it the text as it comes; it gives each task object once it has closed.

    What has been read is kept only while a task, or a string that may be a key, is open.
    """

    def __init__(self) -> None:
        self._opening = Opening()
        self._over = False
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._string: list[str] = []
        self._last_string = ""
        self._key = ""
        self._in_tasks = False
        self._task: list[str] | None = None

    def feed(self, piece: str) -> list[dict[str, Any]]:
        """Take the next piece of text.

        Returns:
            The tasks that this piece has closed, in order; what is not an object or no JSON is
            passed over, for the whole decision will be judged anyway.
        """
        # Pieces may be cut anywhere, even after a backslash, so the state between pieces includes a
        # pending escape. Each piece is searched once, from its start: parsing the whole text again
        # for each piece would take time that grows with the square of the answer.
        closed: list[dict[str, Any]] = []
        piece = self._opening.rest(piece)
        if self._over or not piece:
            return closed
        at = taken = 0
        if self._escaped and piece:
            self._escaped = False
            at = 1
        while not self._over:
            found = (_IN_STRING if self._in_string else _SPECIAL).search(piece, at)
            if found is None:
                break
            place, char = found.start(), found.group()
            at = place + 1
            if char == "\\":
                if self._in_string:
                    at += 1  # what it escapes may come with the next piece
                    self._escaped = at > len(piece)
                continue
            opens_task = self._opens_task(char)
            self._keep(piece[taken : place if opens_task else at])
            taken = place if opens_task else at
            if char == '"':
                self._quote()
            elif not self._in_string:
                self._bracket(char, opens_task, closed)
        self._keep(piece[taken:])
        return closed

    def _opens_task(self, char: str) -> bool:
        return char == "{" and self._depth == 2 and self._in_tasks and not self._in_string

    def _keep(self, text: str) -> None:
        """Take note of text that may be wanted when what is open closes."""
        if self._task is not None:
            self._task.append(text)
        elif self._in_string and self._depth == 1:
            self._string.append(text)

    def _quote(self) -> None:
        self._in_string = not self._in_string
        if self._in_string:
            self._string = []
        elif self._depth == 1:
            self._last_string = "".join(self._string)[:-1]  # without its closing quote

    def _bracket(self, char: str, opens_task: bool, closed: list[dict[str, Any]]) -> None:
        if char == ":":
            if self._depth == 1:
                self._key = self._last_string
        elif char in "{[":
            self._depth += 1
            if self._depth == 2 and char == "[" and self._key == "tasks":
                self._in_tasks = True
            elif opens_task:
                self._task = []
        elif char in "}]":
            if self._depth == 3 and char == "}" and self._task is not None:
                task = _read("".join(self._task))
                if isinstance(task, dict):
                    closed.append(task)
            self._depth -= 1
            if self._depth < 3:
                self._task = None
            if self._depth == 1:
                self._in_tasks = False
            self._over = self._depth == 0


def _read(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
