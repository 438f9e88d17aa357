"""Gives every comment of a file to a token of its parse tree.

A comment belongs to the token before it on its line (`after`), else to the token that comes next
(`before`). A doc comment that documents something belongs to what it documents, wherever it
is. Punctuation is not a token here: Lark leaves out of the tree what the grammar implies.

Invariant: no comment is given to two tokens, none to none, and their order stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.formatter.layout import Comments
from engine.source import SourceFile
from engine.syntax.comments import scan_comments
from grammar import Token, Tree

__all__ = ["Trivia", "about_line"]

_GAP = re.compile(r"(?:[\s\ufeff]+|//[^\n]*)*")
_BLANK_LINE = re.compile(r"\n[ \t\r\f\v\ufeff]*\n")
#: A comment about the very line it ends, or the one below it.
_ABOUT_LINE = re.compile(r"//+\s*orch:\s*allow\b")


class Trivia:
    """The comments of a file by the offset of their token; who writes a token takes them out.

    Attributes:
        before: Offsets and texts of the comments on lines of their own before a token; those at
            the end of the file are at its length.
        after: The comments behind a token.
    """

    def __init__(self, source: SourceFile, tree: Tree) -> None:
        self._text = source.text
        self.before: dict[int, list[tuple[int, str]]] = {}
        self.after: dict[int, Comments] = {}
        scanned = scan_comments(source)
        comments = sorted([*scanned.plain, *((start, end) for start, end, _ in scanned.doc_lines)])
        if comments:
            self._attach(comments, tree)

    def _attach(self, comments: list[tuple[int, int]], tree: Tree) -> None:
        text = self._text
        tokens = _tokens(tree)
        previous: Token | None = None
        following = next(tokens, None)
        behind: list[str] = []
        last = -1
        for start, end in comments:
            while following is not None and (following.start_pos or 0) < start:
                previous, following = following, next(tokens, None)
            if previous is not None and previous.start_pos != last:
                behind, last = [], previous.start_pos or 0
            comment = text[start:end].rstrip()
            target = len(text) if following is None else following.start_pos or 0
            doc = comment.startswith("///") and not comment.startswith("////")
            gap = _GAP.match(text, end)
            reached = gap.end() if gap else end
            if previous is not None and (
                (doc and reached != target)
                or (not doc and "\n" not in text[_end(previous) : start])
            ):
                behind += [one for _, one in self.before.pop(target, ())]
                behind.append(comment)
                self.after[last] = Comments(
                    tuple(behind),
                    held=_ABOUT_LINE.match(behind[0]) is not None,
                    before_comma=any(one.startswith("///") for one in behind)
                    and text[reached : reached + 1] == ",",
                )
            else:
                self.before.setdefault(target, []).append((start, comment))

    def blank_between(self, start: int, end: int) -> bool:
        """Whether a blank line is in a range of the text."""
        return _BLANK_LINE.search(self._text, start, end) is not None

    def breaks_after(self, offset: int) -> bool:
        """Whether the line ends at an offset, but for blanks and a comment."""
        text = self._text
        while text[offset : offset + 1] in (" ", "\t", "\r", "\ufeff"):
            offset += 1
        return text[offset : offset + 1] == "\n" or text.startswith("//", offset)


def about_line(comment: str) -> bool:
    """Whether a comment says something about the very line it is on, or above."""
    return _ABOUT_LINE.match(comment) is not None


def _end(token: Token) -> int:
    return (token.start_pos or 0) + len(token)


def _tokens(tree: Tree) -> Iterator[Token]:
    """The tokens of a tree in order."""
    stack: list[Token | Tree] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Tree):
            stack.extend(reversed(node.children))
        else:
            yield node
