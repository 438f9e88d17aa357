"""The parser for texts without an error: an LALR loop over plain tables.

Nearly every text that is parsed has no error, and `orch lint` spent most of its time in Lark: its
import, its tables, and 6 µs for each token. This loop does what Lark's does with the same tables,
makes the same trees and costs a third. It explains nothing: where it stops, Lark parses the text
again and says why (`grammar.parse`).

Lexing is contextual as Lark's is, with less to compile: a pattern of all terminals is tried first.
Its alternatives are in the order of every state's own pattern, so a terminal that it finds and
the state accepts is the one that the state's pattern would find. Else that pattern is asked.
"""

from __future__ import annotations

import re
from typing import Any

from grammar.tables import END, Shape, Tables
from grammar.trees import Token, Tree

__all__ = ["FastParser"]


class FastParser:
    """Parses by tables; keeps no state between parses, so threads may share it.

    Attributes:
        tables: What it runs on.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._match = re.compile(tables.everywhere.pattern).match
        #: The patterns of states, each made when it is first asked.
        self._patterns: dict[int, re.Pattern[str]] = {}

    def parse(self, text: str) -> Tree | None:
        """The tree of a text, or None if it has an error."""
        tables = self.tables
        state, end = tables.start, tables.end
        actions, gotos, shapes = tables.actions, tables.gotos, tables.shapes
        states = [state]
        values: list[Any] = []
        at, size = 0, len(text)
        while True:
            kind, at, after = self._lex(text, at, state) if at < size else (END, at, at)
            action = actions[state].get(kind)
            while action is None or action < 0:
                if action is None:
                    return None
                shape = shapes[~action]
                if shape.passes:
                    states.pop()
                else:
                    _reduce(shape, states, values)
                state = gotos[states[-1]][shape.origin]
                states.append(state)
                if state == end and kind is END:
                    tree: Tree = values[-1]
                    return tree
                action = actions[state].get(kind)
            token = Token(text[at:after])
            token.type = kind
            token.start_pos = at
            values.append(token)
            states.append(state := action)
            at = after

    def _lex(self, text: str, at: int, state: int) -> tuple[str, int, int]:
        """The next terminal: its name, start and end. A name that no state accepts, if none fits.

        `END` behind blanks and comments at the end of the text.
        """
        row = self.tables.actions[state]
        match = self._match
        while at < len(text):
            found = match(text, at)
            kind = found.lastgroup if found is not None else None
            if kind == "NAME" and kind in row:
                assert found is not None
                word = self.tables.everywhere.keywords.get(found[0])
                kind = word if word in row else kind
            elif kind not in row and kind not in self.tables.ignored:
                found, kind = self._look_closer(text, at, state)
            if found is None or kind is None:
                return "", at, at
            if kind not in self.tables.ignored:
                return kind, at, found.end()
            at = found.end()
        return END, at, at

    def _look_closer(
        self, text: str, at: int, state: int
    ) -> tuple[re.Match[str] | None, str | None]:
        """What the pattern of a state finds: only what the state accepts is looked for."""
        number = self.tables.lexing[state]
        lexing = self.tables.lexings[number]
        pattern = self._patterns.get(number)
        if pattern is None:
            pattern = self._patterns[number] = re.compile(lexing.pattern)
        found = pattern.match(text, at)
        if found is None:
            return None, None
        kind = found.lastgroup
        return found, lexing.keywords.get(found[0], kind) if kind == "NAME" else kind


def _reduce(shape: Shape, states: list[int], values: list[Any]) -> None:
    """Take the parts of a rule off the stacks, and put its tree there."""
    parts: list[Any] = []
    if shape.size:
        parts = values[-shape.size :]
        del values[-shape.size :]
        del states[-shape.size :]
    if shape.takes is not None:
        kept: list[Any] = []
        for at, is_spliced in shape.takes:
            if not is_spliced:
                kept.append(parts[at])
            elif kept:
                kept += parts[at]
            else:
                kept = parts[at]  # a long list grows by one: copying it each time would be n**2
        parts = kept
    if shape.name is None:
        values.append(parts)
    elif shape.single and len(parts) == 1:
        values.append(parts[0])
    else:
        values.append(Tree(shape.name, parts))
