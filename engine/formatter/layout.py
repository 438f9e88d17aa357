"""Pieces of layout: what can be on one line, and where it breaks when it cannot.

A piece is a string, which never breaks, or a `Piece`, which knows its one-line form (`flat`) and
how many columns it takes up to the first place where it can break (`lead`). This is Wadler's
pretty printer with the measuring done while the pieces are made, so that writing is linear: a
line that fits is written as the string it has been all along.

A comment runs to the end of its line. Where it ends a piece (`tail`) that piece can still be on
one line; anywhere else it keeps the piece from that, and so breaks whatever is around it.
Comments do not count towards the width.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "HELD",
    "INDENT",
    "WIDTH",
    "Body",
    "Break",
    "Comments",
    "Concat",
    "Doc",
    "Group",
    "Item",
    "OwnLines",
    "Piece",
    "Signature",
    "TextBlock",
    "concat",
    "flat_of",
    "lead_of",
    "tail_of",
]

#: Columns of a line, as in the project's Python files.
WIDTH = 100
INDENT = 2

#: The lead of a comment that has to stay on the line it ends: that line is never too long.
HELD = -1_000_000

#: Longer one-line forms are not kept, so that the work stays linear however deep things nest.
_LONGEST_FLAT = 10 * WIDTH


class Piece:
    """Base of the pieces that can break.

    Attributes:
        flat: The piece on one line, without `tail`; None if it cannot be.
        lead: Columns up to the first place where it can break.
        tail: The comments after its last token, or None.
    """

    __slots__ = ("flat", "lead", "tail")

    flat: str | None
    lead: int
    tail: Comments | None


Doc = str | Piece


class Comments(Piece):
    """Comments after a token: the first on its line, more of them on lines of their own.

    Args:
        texts: The comments.
        held: Whether the first says something about the very line it is on.
        before_comma: Whether they must not come to be behind a comma that follows. Only a
            doc comment that documents nothing need care: behind the comma it would.
    """

    __slots__ = ("before_comma", "texts")

    def __init__(self, texts: tuple[str, ...], *, held: bool, before_comma: bool) -> None:
        self.texts = texts
        self.before_comma = before_comma
        self.flat = ""
        self.lead = HELD if held else 0
        self.tail = self


class OwnLines(Piece):
    """Comments on lines of their own before a token."""

    __slots__ = ("texts",)

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.texts = texts
        self.flat = None
        self.lead = 0
        self.tail = None


class TextBlock(Piece):
    """A text block of several lines.

    Attributes:
        token: As written.
        lines: The lines of its value.
    """

    __slots__ = ("lines", "token")

    def __init__(self, token: str, value: str) -> None:
        self.token = token
        self.lines = value.split("\n")
        self.flat = None
        self.lead = 3
        self.tail = None


class Break:
    """A place in a `Group` where a line ends when the group is broken.

    Attributes:
        flat: What is there when it is not.
        broken: What ends the line: the comma after a last item.
        closing: Whether the indentation goes back for a closing bracket.
    """

    __slots__ = ("broken", "closing", "flat")

    def __init__(self, flat: str = " ", broken: str = "", *, closing: bool = False) -> None:
        self.flat = flat
        self.broken = broken
        self.closing = closing


class Concat(Piece):
    """Pieces one after the other; it breaks where they do."""

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[Doc]) -> None:
        self.parts = parts
        self.flat = _joined(parts)
        self.tail = tail_of(parts[-1])
        self.lead = 0
        for part in parts:
            self.lead += lead_of(part)
            if not isinstance(part, str):
                break


class Group(Piece):
    """Pieces and breaks: all on one line, or else every break ends a line."""

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[Doc | Break], *, forced: bool = False) -> None:
        self.parts = parts
        flats: list[Doc] = [part.flat if isinstance(part, Break) else part for part in parts]
        self.flat = None if forced else _joined(flats)
        last = parts[-1]
        assert not isinstance(last, Break)
        self.tail = tail_of(last)
        self.lead = 0
        for part in parts:
            if isinstance(part, Break):
                break
            self.lead += lead_of(part)
            if not isinstance(part, str):
                break


class Item:
    """One line, or several, of a `Body` or of a file.

    Attributes:
        kind: `comment`, `setting`, `block` or `other`.
        head: What is before the aligned column: the name of a setting, the name and labels
            of a block.
        doc: What follows, for settings without the `=`; for others all of it.
        blank: Whether a blank line is before it.
        held: Whether a comment above says something about its very line.
    """

    __slots__ = ("blank", "doc", "head", "held", "kind")

    def __init__(
        self, kind: str, doc: Doc, *, head: str = "", blank: bool = False, held: bool = False
    ) -> None:
        self.kind = kind
        self.head = head
        self.doc = doc
        self.blank = blank
        self.held = held

    @property
    def joint(self) -> str:
        """What is between head and doc."""
        return {"setting": " = ", "block": " "}.get(self.kind, "")


class Body(Piece):
    """`{ ... }` of a declaration or a block: members on lines of their own, or all on one.

    Attributes:
        opening: The opening bracket, with comments after it.
        items: Members and comments.
        closing: The closing bracket, likewise.
    """

    __slots__ = ("closing", "items", "opening")

    def __init__(
        self,
        opening: Doc,
        items: Sequence[Item],
        closing: Doc,
        *,
        between: str,
        forced: bool,
    ) -> None:
        self.opening = opening
        self.items = items
        self.closing = closing
        self.lead = lead_of(opening)
        self.tail = tail_of(closing)
        self.flat = None
        if not items:
            self.flat = _joined([opening, closing])
        elif not forced and all(item.kind != "comment" for item in items):
            parts: list[Doc] = [opening, " "]
            for item in items:
                parts += [item.head + item.joint, item.doc, between]
            self.flat = _joined([*parts[:-1], " ", closing])


class Signature(Piece):
    """The declaration of a callable. Too long, it first breaks before `fails`, then its inputs.

    Attributes:
        name: Up to the inputs.
        inputs: With their brackets.
        output: After them, up to `fails`; may be empty.
        clause: From `fails` on to `via KIND`; empty if it begins without `fails`.
        body: The declaration's body.
    """

    __slots__ = ("body", "clause", "inputs", "name", "output")

    def __init__(self, name: Doc, inputs: Doc, output: Doc, clause: Doc, body: Body) -> None:
        self.name = name
        self.inputs = inputs
        self.output = output
        self.clause = clause
        self.body = body
        whole: list[Doc] = [name, inputs, output]
        if clause:
            whole += [" ", clause]
        self.flat = _joined([*whole, " ", body])
        self.tail = body.tail
        self.lead = 0


def concat(*parts: Doc) -> Doc:
    """Pieces one after the other, strings joined."""
    pieces: list[Doc] = []
    run: list[str] = []
    for part in parts:
        if isinstance(part, str):
            run.append(part)
            continue
        if text := "".join(run):
            pieces.append(text)
        run = []
        pieces.append(part)
    text = "".join(run)
    if not pieces:
        return text
    if text:
        pieces.append(text)
    return pieces[0] if len(pieces) == 1 else Concat(pieces)


def flat_of(doc: Doc) -> str | None:
    """The one-line form."""
    return doc if isinstance(doc, str) else doc.flat


def lead_of(doc: Doc) -> int:
    """Columns up to the first place where it can break; all of them if there is none."""
    return len(doc) if isinstance(doc, str) else doc.lead


def tail_of(doc: Doc) -> Comments | None:
    """The comments at its end."""
    return None if isinstance(doc, str) else doc.tail


def _joined(parts: Sequence[Doc]) -> str | None:
    """The one-line forms of pieces, joined, if no comment is between them."""
    flats: list[str] = []
    ended = False
    length = 0
    for part in parts:
        if isinstance(part, str):
            flat: str | None = part
        else:
            flat = part.flat
        if flat is None or (ended and flat):
            return None
        ended = ended or (not isinstance(part, str) and part.tail is not None)
        length += len(flat)
        flats.append(flat)
    return "".join(flats) if length <= _LONGEST_FLAT else None
