"""What may be written at a place of a file that may be half typed.

The tree of a file in that state lacks exactly what is being typed, so this looks at lexemes: which
bodies are open around the cursor, which setting is being given a value, whether the cursor is in a
string. It reads one declaration, never the whole file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from engine.lsp.bodies import inner_kind
from engine.sema.kinds import body_of
from engine.sema.settings.table import KINDS, Kind
from engine.sema.settings.values import BlockValue
from engine.syntax.problem import Lexeme, tokenize
from engine.syntax.recovery import declaration_starts

__all__ = ["Context", "Frame", "context_at"]

_BODIES = {"model": "model", "orchestrator": "orchestrator", "test": "test"}
_CLOSING = {"{": "}", "[": "]", "(": ")"}


@dataclass(eq=False)
class Frame:
    """An open bracket.

    Attributes:
        bracket: `{`, `[` or `(`.
        kind: What the body is, or None where it is a map, a list, a schema or unknown.
        header: The lexemes that lead to the bracket.
        items: Those after it, on its own level, brackets that are closed left out.
    """

    bracket: str
    kind: Kind | None
    header: list[str]
    items: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Context:
    """Where the cursor is.

    Attributes:
        keyword: The first word of the declaration, or an empty string between declarations.
        start: Where the declaration begins.
        frames: The open brackets, the outermost first.
        head: The lexemes of the declaration outside of all brackets.
        word: The part of a name that is before the cursor.
        after: The lexemes after the cursor on its own level, brackets left out.
        string: The string the cursor is in, or None.
    """

    keyword: str
    start: int
    frames: list[Frame]
    head: list[str]
    word: str
    string: Lexeme | None
    after: list[str] = field(default_factory=list)

    @property
    def frame(self) -> Frame | None:
        """The innermost open bracket."""
        return self.frames[-1] if self.frames else None

    @property
    def body(self) -> Frame | None:
        """The innermost open body of a known kind."""
        return next((frame for frame in reversed(self.frames) if frame.kind is not None), None)

    @property
    def items(self) -> list[str]:
        """The lexemes before the cursor on its own level."""
        return self.frames[-1].items if self.frames else self.head

    @property
    def setting(self) -> str | None:
        """The setting of the innermost body that is being given a value, or None."""
        body = self.body
        if body is None:
            return None
        items = body.items
        inside = body is not self.frame
        if inside:
            first = self.frames[self.frames.index(body) + 1]
            items = first.header
        for index in range(len(items) - 1, 0, -1):
            if items[index] == "=":
                after = items[index + 1 :]
                if _begins_another(after):
                    return None
                complete = bool(after) and not inside and not _continues(after[-1])
                return None if complete else items[index - 1]
        return None


def context_at(text: str, offset: int) -> Context:
    """Where an offset of a text is."""
    starts = declaration_starts(text)
    at = bisect_right(starts, offset)
    start = starts[at - 1] if at else 0
    end = starts[at] if at < len(starts) else len(text)
    every = tokenize(text[start:end])
    lexemes = [item for item in every if start + item.start < offset]
    after = every[len(lexemes) :]
    word, string = "", None
    if lexemes:
        last = lexemes[-1]
        begin, end = start + last.start, start + last.end
        if last.kind in ("string", "text") and begin < offset < end + (not last.closed):
            string = Lexeme(last.kind, last.text, begin, end, last.closed)
            lexemes.pop()
        elif last.text[:1].isidentifier() and end >= offset:
            word = text[begin:offset]
            lexemes.pop()
    context = Context("", start, [], [], word, string, list(_level(after)))
    for item in lexemes:
        _take(context, item.text)
    context.keyword = context.head[0] if context.head else ""
    if context.keyword and not context.frames and _is_complete(context.head):
        context.keyword, context.head = "", []
    return context


def _level(lexemes: list[Lexeme]) -> Iterator[str]:
    """The lexemes up to the end of the bracket they begin in, deeper ones left out."""
    depth = 0
    for item in lexemes:
        depth += (item.text in _CLOSING) - (item.text in _CLOSING.values())
        if depth < 0:
            return
        if depth == 0:
            yield item.text


def _take(context: Context, text: str) -> None:
    if text in _CLOSING:
        header = list(context.items)
        context.frames.append(Frame(text, _opened(context, text, header), header))
        return
    if text in _CLOSING.values():
        if context.frames:
            closed = context.frames.pop()
            context.items.append(closed.bracket + text)
        return
    context.items.append(text)


def _opened(context: Context, bracket: str, header: list[str]) -> Kind | None:
    """The kind of a body that begins here."""
    if bracket != "{" or header[-1:] == ["->"]:
        return None
    if not context.frames:
        word = header[0] if header else ""
        if word in _BODIES:
            return KINDS[_BODIES[word]]
        if "via" in header[:-1]:
            return body_of(header[header.index("via") + 1], word)
        return None
    kind = context.frames[-1].kind
    if kind is None or (header and header[-1] in ("=", ":", ",")):
        return None
    if len(header) > 1 and header[-2].isidentifier() and (named := kind.row(header[-2])):
        # `step take {`: a new name may be that of a setting.
        value = named.value
        if isinstance(value, BlockValue) and value.declares:
            return inner_kind(kind, named.name)
    for name in reversed(header):
        row = kind.row(name)
        if row is not None:
            return inner_kind(kind, name)
        if not name[:1].isidentifier() and name not in (".", ","):
            return None
    return None


def _begins_another(items: list[str]) -> bool:
    """Whether what follows a `=` is more than one expression: another member has begun."""
    return any(
        not _continues(before) and item[:1].isidentifier() and not _continues(item)
        for before, item in pairwise(items)
    )


def _continues(text: str) -> bool:
    """Whether an expression continues after a lexeme."""
    return text in ("|", ".", ",", "+", "-", "*", "/", "~", "and", "or", "not", "if", "else", "in",
                    "==", "!=", "<", ">", "<=", ">=", "is")  # fmt: skip


def _is_complete(head: list[str]) -> bool:
    """Whether a declaration needs nothing more, so that another may begin."""
    keyword = head[0]
    if keyword in ("secret", "orch"):
        return len(head) >= 2
    if keyword in ("import", "from"):
        return len(head) >= 4
    if keyword in ("param", "template"):
        return "=" in head[:-1]
    if keyword == "schema":
        return len(head) >= 3 and head[-1] not in ("=", "|", "from")
    return head[-1] == "{}" and head[-2:-1] != ["->"]
