"""Writes pieces of layout: decides for each, outermost first, whether it breaks.

A piece that fits on the rest of its line, with what follows up to the next place where a line
can end, is written as it is; else it breaks where it says it can.

Invariant: after a comment nothing but a comma is written on its line, whatever a piece says. And
no decision depends on the layout of the source: written, parsed and written again, pieces decide
alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.formatter.layout import (
    HELD,
    INDENT,
    WIDTH,
    Body,
    Break,
    Comments,
    Concat,
    Doc,
    Group,
    Item,
    OwnLines,
    Piece,
    Signature,
    TextBlock,
    flat_of,
    lead_of,
    tail_of,
)
from engine.syntax.literals import read_text_block

__all__ = ["Writer"]


class Writer:
    """Collects the text."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._column = 0
        self._fresh = True
        #: The indentation of the line, and of a line that a comment forces in the middle of it.
        self._indent = 0
        self._margin = 0
        self._pending: list[str] = []
        self._before_comma = False

    def text(self) -> str:
        """What was written; ends with a line feed if there is anything."""
        if not self._fresh or self._pending:
            self._newline(0)
        return "".join(self._out)

    # ------------------------------------------------------------ lines

    def _put(self, text: str) -> None:
        if not text:
            return
        if self._pending and (text != "," or self._before_comma):
            self._newline(self._margin + INDENT, forced=True)
        if self._fresh:
            text = text.lstrip(" ")
            if not text:
                return
            self._out.append(" " * self._indent)
            self._column = self._indent
            self._fresh = False
        self._out.append(text)
        self._column += len(text)

    def _put_flat(self, doc: Doc) -> None:
        """Write a piece on one line."""
        flat = flat_of(doc)
        assert flat is not None
        self._put(flat)
        tail = tail_of(doc)
        if tail is not None:
            self._comments(tail)

    def _comments(self, piece: Comments) -> None:
        self._pending.extend(piece.texts)
        self._before_comma = self._before_comma or piece.before_comma

    def _newline(self, indent: int, *, forced: bool = False) -> None:
        """End the line, with the comments that wait for its end."""
        if not self._fresh:
            self._out[-1] = self._out[-1].rstrip(" ")
        if self._pending:
            first, *more = self._pending
            self._out.append(first if self._fresh else "  " + first)
            for comment in more:
                self._out.append("\n" + " " * (self._margin + INDENT) + comment)
            self._pending = []
            self._before_comma = False
        self._out.append("\n")
        self._fresh = True
        self._indent = self._column = indent
        if not forced:
            self._margin = indent

    # ------------------------------------------------------------ pieces

    def _write(self, doc: Doc, indent: int, after: int) -> None:
        """Write a piece.

        Args:
            doc: The piece.
            indent: The indentation of the lines around it.
            after: Columns that must stay free behind it.
        """
        if isinstance(doc, str):
            self._put(doc)
        elif isinstance(doc, Comments):
            self._comments(doc)
        elif isinstance(doc, OwnLines):
            self._own_lines(doc)
        elif isinstance(doc, TextBlock):
            self._text_block(doc, indent)
        elif isinstance(doc, Concat):
            self._sequence(doc.parts, indent, after)
        elif self._fits(doc, self._column, after):
            self._put_flat(doc)
        elif isinstance(doc, Group):
            self._group(doc, indent, after)
        elif isinstance(doc, Body):
            self._body(doc, indent)
        else:
            assert isinstance(doc, Signature)
            self._signature(doc, indent, after)

    def _fits(self, doc: Doc, column: int, after: int) -> bool:
        flat = flat_of(doc)
        if flat is None:
            return False
        tail = tail_of(doc)
        return column + len(flat) + (after if tail is None else tail.lead) <= WIDTH

    def _sequence(self, parts: Sequence[Doc], indent: int, after: int) -> None:
        """Write pieces of which each may break by itself."""
        room = [after]
        for part in reversed(parts[1:]):
            lead = lead_of(part)
            room.append(room[-1] + lead if isinstance(part, str) else lead)
        for part, behind in zip(parts, reversed(room), strict=True):
            self._write(part, indent, behind)

    def _group(self, group: Group, indent: int, after: int) -> None:
        step = indent + INDENT
        run: list[Doc] = []
        # What breaks inside the first part must not look like a part of this group.
        inside = step if _breaks_open(group.parts[0]) else indent
        for part in group.parts:
            if isinstance(part, Break):
                self._sequence_before(run, inside, len(part.broken))
                run, inside = [], indent if part.closing else step
                self._put(part.broken)
                self._newline(indent if part.closing else step)
            else:
                run.append(part)
        self._sequence_before(run, inside, after)

    def _sequence_before(self, parts: list[Doc], indent: int, after: int) -> None:
        if len(parts) == 1:
            self._write(parts[0], indent, after)
        elif parts:
            self._sequence(parts, indent, after)

    def _own_lines(self, piece: OwnLines) -> None:
        if not self._fresh or self._pending:
            self._newline(self._margin + INDENT, forced=True)
        for comment in piece.texts:
            self._put(comment)
            self._newline(self._indent, forced=True)

    def _text_block(self, block: TextBlock, indent: int) -> None:
        margin = " " * (indent + INDENT)
        lines = [margin + line if line else "" for line in block.lines]
        if not block.lines[-1]:
            lines[-1] = " " * indent
        token = '"""\n' + "\n".join(lines) + '"""'
        if read_text_block(token, 0)[0].split("\n") != block.lines:
            token = block.token  # such as one whose lines end with carriage returns
        self._put(token)
        self._column = len(token) - token.rfind("\n") - 1

    def _signature(self, piece: Signature, indent: int, after: int) -> None:
        name, inputs, output, clause = piece.name, piece.inputs, piece.output, piece.clause
        # A comment above that is about the very line keeps it from breaking.
        brace = 1 + lead_of(piece.body) + min(after, 0)
        first = [flat_of(part) for part in (name, inputs, output)]
        commented = any(tail_of(part) is not None for part in (name, inputs, output, clause))
        short = not commented and None not in first
        width = indent + sum(len(part) for part in first if part is not None)
        second = flat_of(clause)
        line: list[Doc] = [name, inputs, output]
        if not short or second is None:
            line += [" ", clause] if clause else []
            self._sequence([*line, " "], indent, lead_of(piece.body))
        elif width + (1 + len(second) if second else 0) + brace <= WIDTH:
            self._put("".join(part for part in first if part) + (" " + second if second else ""))
            self._put(" ")
        elif second and width <= WIDTH and indent + INDENT + len(second) + brace <= WIDTH:
            self._put("".join(part for part in first if part))
            self._newline(indent + INDENT)
            self._put_flat(clause)
            self._put(" ")
        else:
            line += [" ", clause] if clause else []
            self._write(name, indent, 0)
            if isinstance(inputs, Group) and len(inputs.parts) > 1:
                self._group(inputs, indent, 0)
            else:
                self._write(inputs, indent, 0)
            self._sequence([*line[2:], " "], indent, lead_of(piece.body))
        self._body(piece.body, indent)

    # ------------------------------------------------------------ members

    def _body(self, body: Body, indent: int) -> None:
        self._write(body.opening, indent, 0)
        if body.items:
            self._newline(indent + INDENT)
            self._items(body.items, indent + INDENT)
            self._newline(indent)
        self._write(body.closing, indent, 0)

    def file(self, items: Sequence[Item]) -> None:
        """Write declarations: those of several lines are between blank lines."""
        self._separate(items)
        self._items(items, 0)

    def _separate(self, items: Sequence[Item]) -> None:
        previous_wants = seen = False
        begin = 0
        for number, item in enumerate(items):
            if item.kind == "comment":
                continue
            edition = item.kind == "edition"
            wants = edition or not self._one_line(item, 0)
            between = items[begin : number + 1]
            apart = any(other.blank for other in between)
            if seen and (previous_wants or wants) and not apart:
                between[0].blank = True
            previous_wants, seen = wants, True
            begin = number + 1

    def _items(self, items: Sequence[Item], indent: int) -> None:
        columns, reserved = self._columns(items, indent)
        for number, item in enumerate(items):
            if number:
                self._newline(indent)
                if item.blank:
                    self._newline(indent)
            if item.head:
                self._put(item.head.ljust(columns[number]) + item.joint)
            if self._one_line(item, reserved[number] + indent):
                self._put_flat(item.doc)
            else:
                behind = HELD if item.held else reserved[number] - columns[number]
                self._write(item.doc, indent, behind)
            tail = tail_of(item.doc)
            if tail is not None and tail.before_comma:
                self._put(",")

    def _columns(self, items: Sequence[Item], indent: int) -> tuple[list[int], list[int]]:
        """How wide each head is written, and how wide it counts when a line is measured.

        Settings line up with the settings before them, blocks with the blocks right before
        them, up to a blank line or a member of several lines. Whether a member needs several
        lines is measured as if all up to the blank line were lined up: it must not depend on
        the final columns, which depend on it.
        """
        reserved = [0] * len(items)
        runs: list[list[int]] = []
        run: dict[str, list[int]] = {}
        for number, item in enumerate(items):
            if item.blank:
                run = {}
            if item.kind == "comment":
                continue
            if item.kind != "block":
                run.pop("block", None)
            if item.kind not in ("setting", "block"):
                continue
            if item.kind not in run:
                runs.append(run.setdefault(item.kind, []))
            run[item.kind].append(number)
        columns = [0] * len(items)
        for members in runs:
            widest = max(len(items[number].head) for number in members)
            for number in members:
                reserved[number] = widest
        self._line_up(items, reserved, columns, runs, indent)
        return columns, reserved

    def _line_up(
        self,
        items: Sequence[Item],
        reserved: list[int],
        columns: list[int],
        runs: list[list[int]],
        indent: int,
    ) -> None:
        several = {
            number
            for number, item in enumerate(items)
            if item.kind != "comment" and not self._one_line(item, indent + reserved[number])
        }
        for members in runs:
            part: list[int] = []
            previous = members[0]
            for number in members:
                if any(between in several for between in range(previous, number)):
                    self._share(items, part, columns)
                    part = []
                previous = number
                if items[number].kind == "block" and number in several:
                    columns[number] = len(items[number].head)
                else:
                    part.append(number)
            self._share(items, part, columns)

    def _share(self, items: Sequence[Item], part: list[int], columns: list[int]) -> None:
        widest = max((len(items[number].head) for number in part), default=0)
        for number in part:
            columns[number] = widest

    def _one_line(self, item: Item, column: int) -> bool:
        """Whether a member is on one line if its doc begins at a column of the head."""
        if isinstance(item.doc, str):
            return True
        if item.held and item.doc.flat is not None:
            return True
        return not self._can_break(item.doc) or self._fits(item.doc, column + len(item.joint), 0)

    def _can_break(self, piece: Piece) -> bool:
        return piece.flat is None or not (
            isinstance(piece, Concat)
            and all(isinstance(part, (str, Comments)) for part in piece.parts)
        )


def _breaks_open(part: Doc | Break) -> bool:
    """Whether a piece breaks without going back to where it began, as brackets do."""
    return isinstance(part, Group) and not any(
        isinstance(inner, Break) and inner.closing for inner in part.parts
    )
