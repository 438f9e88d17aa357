"""Comments and doc comments of a file, found in one scan of the text.

Keeps apart `///` (text for whatever token comes next) and everything else. It needs no parser, so
it works on a file that does not parse.
"""

from __future__ import annotations

import re

import msgspec

from engine.source import SourceFile, Span

__all__ = ["Comments", "scan_comments"]

_SCAN = re.compile(r'//[^\n]*|"""(?:[^"]|"(?!""))*(?:"""|\Z)|"(?:[^"\\\n]|\\.)*"?')
_GAP = re.compile(r"(?:[\s\ufeff]+|//[^\n]*)*")


class Comments(msgspec.Struct):
    """The comments of one file.

    Attributes:
        docs: Text of doc comments by the offset of the token after them; the tree builder takes
            out what it attaches.
    """

    source: SourceFile
    docs: dict[int, str]
    plain: list[tuple[int, int]]
    doc_lines: list[tuple[int, int, int]]

    def free(self) -> tuple[Span, ...]:
        """All plain comments, and the doc comments that were not attached, in order."""
        spans = list(self.plain)
        spans += [(start, end) for start, end, target in self.doc_lines if target in self.docs]
        return tuple(Span(self.source, start, end) for start, end in sorted(spans))


def scan_comments(source: SourceFile) -> Comments:
    """Find all comments. A run of `///` lines is one text, its lines joined by line feeds."""
    text = source.text
    plain: list[tuple[int, int]] = []
    doc_lines: list[tuple[int, int, int]] = []
    lines: dict[int, list[str]] = {}
    target = -1
    for found in _SCAN.finditer(text):
        comment = found.group()
        if comment[0] == '"':
            continue
        start, end = found.span()
        if comment.endswith("\r"):
            end -= 1
        if not comment.startswith("///") or comment.startswith("////"):
            plain.append((start, end))
            continue
        if start >= target:
            gap = _GAP.match(text, end)
            target = gap.end() if gap else end
        doc_lines.append((start, end, target))
        lines.setdefault(target, []).append(comment[3:].removeprefix(" ").rstrip())
    docs = {at: "\n".join(parts) for at, parts in lines.items()}
    return Comments(source, docs, plain, doc_lines)
