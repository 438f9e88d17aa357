"""Positions: our character offsets and the protocol's lines and columns.

A column of the protocol counts code units of an encoding that client and server agree on: UTF-16
unless the client offers better. Lines end at `\\n`, `\\r\\n` or a lone `\\r`, as the protocol says,
and not at what else Unicode calls a line end.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from lsprotocol import types as lsp

from engine.source import Span

__all__ = ["Places"]

_LINE_END = re.compile(r"\r\n|\n|\r")


class Places:
    """The positions of one text.

    Args:
        text: The text.
        encoding: What columns count.
    """

    def __init__(self, text: str, encoding: lsp.PositionEncodingKind | str) -> None:
        self.text = text
        self._encoding = encoding
        self._starts = [0, *(found.end() for found in _LINE_END.finditer(text))]
        self._plain = text.isascii() or encoding == lsp.PositionEncodingKind.Utf32

    def position(self, offset: int) -> lsp.Position:
        """The position of a character offset (clamped to the text)."""
        offset = max(0, min(offset, len(self.text)))
        if self.text.startswith("\r\n", offset - 1) and offset:
            offset -= 1  # there is no position inside of a line end
        line = bisect_right(self._starts, offset) - 1
        start = self._starts[line]
        if self._plain:
            return lsp.Position(line, offset - start)
        return lsp.Position(line, self._units(self.text[start:offset]))

    def offset(self, position: lsp.Position) -> int:
        """The character offset of a position; past a line's end is its end."""
        if position.line >= len(self._starts):
            return len(self.text)
        start = self._starts[position.line]
        line = self.line(position.line)
        if self._plain or line.isascii():
            return start + min(position.character, len(line))
        units = 0
        for index, character in enumerate(line):
            if units >= position.character:
                return start + index
            units += self._units(character)
        return start + len(line)

    def line(self, number: int) -> str:
        """The text of a line, from 0, without its end."""
        start = self._starts[number]
        end = self._starts[number + 1] if number + 1 < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def range(self, start: int, end: int) -> lsp.Range:
        """The range between two offsets."""
        return lsp.Range(self.position(start), self.position(end))

    def span(self, span: Span) -> lsp.Range:
        """The range of a span of this text."""
        return self.range(span.start, span.end)

    def length(self, start: int, end: int) -> int:
        """How many code units are between two offsets."""
        return end - start if self._plain else self._units(self.text[start:end])

    @property
    def whole(self) -> lsp.Range:
        """The range of the whole text."""
        return self.range(0, len(self.text))

    def _units(self, text: str) -> int:
        if text.isascii() or self._encoding == lsp.PositionEncodingKind.Utf32:
            return len(text)
        if self._encoding == lsp.PositionEncodingKind.Utf8:
            return len(text.encode("utf-8", "surrogatepass"))
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
