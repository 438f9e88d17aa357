"""A place where a parse stopped: the lexemes around it, what was accepted, how to report it.

Cuts any text, however broken, into lexemes, which Lark's lexer cannot. Also the two ways of
changing a text without moving anything: blanking a range, and writing over a blank.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.source import SourceFile, Span
from engine.syntax.expected import accepted_terminals, expected_words

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

__all__ = [
    "CLOSERS",
    "PAIRS",
    "Lexeme",
    "Problem",
    "Repair",
    "blank",
    "over_blank",
    "short",
    "tokenize",
]

_LEXEME = re.compile(
    r'(?P<skip>[\s\ufeff]+|//[^\n]*)|(?P<text>"""(?:[^"]|"(?!""))*(?:"""|(?P<open_text>\Z)))'
    r'|(?P<string>"(?:[^"\\\n]|\\.)*(?:"|(?P<open_string>\\?(?=\n)|\\?\Z)))'
    r"|(?P<name>[^\W\d]\w*)|(?P<number>\$?\d[\w.]*%?)|(?P<other>->|==|!=|<=|>=|\*\*|.)",
    re.DOTALL,
)
PAIRS = {")": "(", "]": "[", "}": "{"}
CLOSERS = {"(": ")", "[": "]", "{": "}"}


class Lexeme(msgspec.Struct, frozen=True):
    """A token of a text that may be broken. `kind` is `name number string text other`;
    `closed` is False for a string or text block without its end.
    """

    kind: str
    text: str
    start: int
    end: int
    closed: bool = True


class Repair(msgspec.Struct, frozen=True):
    """A changed text, and what to tell if it is the right one."""

    text: str
    diagnostic: Diagnostic


def tokenize(text: str) -> list[Lexeme]:
    """Cut a text, whatever it holds, into lexemes; blanks and comments are left out."""
    found: list[Lexeme] = []
    for match in _LEXEME.finditer(text):
        kind = match.lastgroup or "other"
        if match["skip"] is not None:
            continue
        closed = match["open_text"] is None and match["open_string"] is None
        if kind == "open_text":
            kind = "text"
        elif kind == "open_string":
            kind = "string"
        found.append(Lexeme(kind, match[0], match.start(), match.end(), closed))
    return found


class Problem(msgspec.Struct):
    """Where and why a parse of one part of a file stopped.

    Attributes:
        text: The part, perhaps repaired before; `base` is its offset in the file.
        offset: Where the parser stopped; the length of the text at its end.
        index: Which lexeme is there (their number at the end).
        accepted: The terminals that would have been taken.
    """

    source: SourceFile
    text: str
    base: int
    offset: int
    tokens: list[Lexeme]
    index: int
    accepted: frozenset[str]

    @classmethod
    def of(cls, source: SourceFile, text: str, base: int, error: UnexpectedInput) -> Problem:
        """Look at a parse error."""
        token = getattr(error, "token", None)
        at_end = token is not None and token.type == "$END"
        offset = len(text) if at_end else int(error.pos_in_stream or 0)
        tokens = tokenize(text)
        index = next((i for i, item in enumerate(tokens) if item.end > offset), len(tokens))
        return cls(source, text, base, offset, tokens, index, accepted_terminals(error))

    def span(self, start: int, end: int) -> Span:
        """A span from offsets in the part (clamped to the file)."""
        size = len(self.source.text)
        return Span(self.source, min(self.base + start, size), min(self.base + end, size))

    def at(self, index: int) -> Lexeme | None:
        """A lexeme by index, or None outside."""
        return self.tokens[index] if 0 <= index < len(self.tokens) else None

    @property
    def token(self) -> Lexeme | None:
        """The lexeme at which the parser stopped; None at the end."""
        return self.at(self.index)

    def line_start(self, offset: int) -> int:
        """Where the line of an offset begins."""
        return self.text.rfind("\n", 0, offset) + 1

    def line_end(self, offset: int) -> int:
        """Where the line of an offset ends (before its line feed)."""
        end = self.text.find("\n", offset)
        return len(self.text) if end == -1 else end

    def plain(self) -> Diagnostic:
        """The report for a fault no repair explains better: what was expected after what."""
        token = self.token
        before = self.at(self.index - 1)
        words = expected_words(self.accepted)
        message = f"expected {words}"
        if before is not None:
            shown = short(before.text)
            earlier = self.at(self.index - 2)
            if before.text in ("=", ":") and earlier is not None:
                shown = f"{short(earlier.text)} =" if before.text == "=" else f"{earlier.text}:"
            message += f" after `{shown}`"
        if token is None:
            anchor = before.end if before else 0
            return self._report(message + ", found the end", max(anchor - 1, 0), anchor)
        if not self.accepted or words == "the end of the file":
            message = f"unexpected `{short(token.text)}`"
        else:
            message += f", found `{short(token.text)}`"
        return self._report(message, token.start, token.end)

    def _report(self, message: str, start: int, end: int) -> Diagnostic:
        return diagnostic("ORC001", message, self.span(start, end))

    def fixed(
        self, code: str, message: str, start: int, end: int, title: str, edit: tuple[int, int, str]
    ) -> Diagnostic:
        """A report with a safe fix: `edit` replaces a range of the part by a text."""
        fix = Fix(title, (Edit(self.span(edit[0], edit[1]), edit[2]),))
        return diagnostic(code, message, self.span(start, end), help=title, fix=fix)


def blank(text: str, start: int, end: int) -> str:
    """The text with a range of it turned to blanks; line feeds stay."""
    kept = re.sub(r"[^\n]", " ", text[start:end])
    return text[:start] + kept + text[end:]


def over_blank(text: str, offset: int, mark: str) -> str | None:
    """Write `mark` over the blank before `offset`; None if there is none."""
    if offset > 0 and text[offset - 1].isspace():
        return text[: offset - 1] + mark + text[offset:]
    return None


def short(text: str) -> str:
    """The text as a message shows it: one line, at most 30 characters."""
    first = text.split("\n", 1)[0]
    return first if first == text and len(text) <= 30 else first[:27] + "..."
