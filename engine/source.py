"""Source text and positions in it.

A `SourceFile` is a path and its text. A `Span` is a half-open range of character offsets in one
source file. Offsets are what the syntax tree carries; lines and columns are computed only when
someone looks at them. Lines and columns shown to people are 1-based, and a column counts
characters (Unicode code points), as ruff and the JSON output of `orch lint` do.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property

import msgspec

__all__ = ["Place", "Position", "Range", "SourceFile", "Span"]


class Position(msgspec.Struct, frozen=True, order=True):
    """A place a person can find: 1-based line, 1-based column (characters)."""

    line: int
    column: int


class Range(msgspec.Struct, frozen=True):
    """From one position up to another, which is not part of it any more."""

    start: Position
    end: Position


class Place(msgspec.Struct, frozen=True):
    """A range of a file as other programs read it: the `file` and `range` of `orch lint`.

    Attributes:
        file: The path, as the user would name it.
        range: 1-based lines and columns; the end is exclusive.
    """

    file: str
    range: Range

    def __str__(self) -> str:
        return f"{self.file}:{self.range.start.line}:{self.range.start.column}"


class SourceFile:
    """The text of one file, and the map from offsets to lines.

    Args:
        path: The path as the user should read it in a message.
        text: The whole text, already decoded.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text

    def __repr__(self) -> str:
        return f"SourceFile({self.path!r})"

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        find = self.text.find
        at = find("\n")
        while at != -1:
            starts.append(at + 1)
            at = find("\n", at + 1)
        return starts

    @property
    def line_count(self) -> int:
        """How many lines the file has; an empty file has one."""
        return len(self._line_starts)

    def position(self, offset: int) -> Position:
        """The 1-based line and column of a character offset (clamped to the text)."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._line_starts, offset)
        return Position(line, offset - self._line_starts[line - 1] + 1)

    def offset(self, line: int, column: int) -> int:
        """The character offset of a 1-based line and column (clamped to the line)."""
        start = self._line_starts[line - 1]
        end = self._line_starts[line] - 1 if line < self.line_count else len(self.text)
        return min(start + column - 1, end)

    def line(self, number: int) -> str:
        """The text of a 1-based line, without its line end."""
        start = self._line_starts[number - 1]
        end = self._line_starts[number] if number < self.line_count else len(self.text)
        return self.text[start:end].rstrip("\r\n")


class Span(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A range of characters `[start, end)` in one file. Spans are told apart by identity."""

    source: SourceFile
    start: int
    end: int

    @property
    def begin_position(self) -> Position:
        """Where the range begins (1-based)."""
        return self.source.position(self.start)

    @property
    def end_position(self) -> Position:
        """Where the range ends (1-based, exclusive column)."""
        return self.source.position(self.end)

    @property
    def place(self) -> Place:
        """The range as other programs read it."""
        return Place(self.source.path, Range(self.begin_position, self.end_position))

    @property
    def text(self) -> str:
        """The characters in the range."""
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The span from the beginning of this one to the end of `other` (same file)."""
        return Span(self.source, self.start, max(self.end, other.end))

    def sub(self, start: int, end: int) -> Span:
        """A span given by offsets relative to this one's beginning."""
        return Span(self.source, self.start + start, self.start + end)

    def __str__(self) -> str:
        at = self.begin_position
        return f"{self.source.path}:{at.line}:{at.column}"
