"""Parse trees of the pieces of a file, kept from one version of it to the next.

An editor parses the same file again and again with one declaration changed. A `ParseCache` cuts
the text where declarations begin, remembers the tree of each piece by its text, and parses the
pieces it has not seen; offsets are added when nodes are built, so a piece may move.

Invariant: what comes out is what a parse of the whole text gives. Whoever makes the pieces may
therefore be wrong (`model = fast` at the beginning of a line is not a declaration): from the first
piece that does not parse alone, the rest of the text is parsed in one.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from grammar import Tree, parse

__all__ = ["ParseCache"]


class ParseCache:
    """The trees of one file's pieces; give the same one to each `parse` of that file.

    It keeps what the last two parses used, so it never grows beyond twice the file. It is not
    for two threads at once.
    """

    def __init__(self) -> None:
        self._now: dict[str, Tree | None] = {}
        self._before: dict[str, Tree | None] = {}

    def begin(self) -> None:
        """Begin another parse: forget what the one before the last has used."""
        self._before, self._now = self._now, {}

    def tree(self, text: str) -> Tree | None:
        """The tree of a text, or None if it does not parse."""
        if text not in self._now:
            self._now[text] = self._before[text] if text in self._before else parse(text)
        return self._now[text]

    def trees(self, text: str, starts: Iterable[int]) -> list[tuple[Tree, int]] | None:
        """The trees of a whole text with their offsets, or None if it does not parse.

        Args:
            starts: Where keywords are that seem to begin declarations, ascending.
        """
        edges = [0, *(start for start in starts if start > 0), len(text)]
        found: list[tuple[Tree, int]] = []
        for start, end in pairwise(edges):
            tree = self.tree(text[start:end])
            if tree is None:
                rest = self.tree(text[start:])
                return None if rest is None else [*found, (rest, start)]
            found.append((tree, start))
        return found
