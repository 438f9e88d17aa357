"""Edits that read as if a person had made them: lines taken out whole, settings added in place.

They look at the text around a span, never at its meaning.
"""

from __future__ import annotations

import re

from engine.diagnostics.diagnostic import Edit
from engine.source import Span

__all__ = ["appended", "removed"]

_INDENT = "  "


def removed(span: Span) -> Edit:
    """Take a span out: with its lines if nothing else is on them, else with the space before it.

    Doc comments right above go with the lines, and one of two blank lines that would meet.
    """
    text = span.source.text
    start, end = span.start, span.end
    while start > 0 and text[start - 1] in " \t":
        start -= 1
    rest = re.compile(r"[ \t]*(\r?\n|\Z)").match(text, end)
    if start > 0 and text[start - 1] != "\n":
        return Edit(Span(span.source, start, end), "")
    if rest is None:
        return Edit(span, "")
    end = rest.end()
    while doc := re.compile(r"(?:^|(?<=\n))[ \t]*///[^\n]*\n\Z").search(text, 0, start):
        start = doc.start()
    blank = re.compile(r"[ \t]*\r?\n").match(text, end)
    after_blank = re.compile(r"(?:\A|\n)[ \t]*\r?\n\Z").search(text[max(0, start - 200) : start])
    if after_blank and end >= len(text.rstrip()):
        # The last one of a file takes the blank line above it along.
        start -= len(after_blank[0].lstrip("\n")) or 1
    elif blank and (after_blank or start == 0):
        end = blank.end()
    return Edit(Span(span.source, start, end), "")


def appended(body: Span, setting: str) -> Edit:
    """Add a setting or block as the last member of a body, whose span ends with its `}`.

    On a line of its own where the `}` has one, indented as the member before it; else in line.
    """
    text = body.source.text
    close = body.end - 1
    line = text.rfind("\n", 0, close) + 1
    if line > body.start and not text[line:close].strip():
        members = [each for each in text[body.start + 1 : line].split("\n") if each.strip()]
        own = text[line:close]
        indent = own + _INDENT
        if members:
            shallowest = min(members, key=lambda each: len(each) - len(each.lstrip()))
            indent = shallowest[: len(shallowest) - len(shallowest.lstrip())]
        return Edit(Span(body.source, line, line), f"{indent}{setting}\n")
    inside = text[body.start + 1 : close]
    kept = body.start + 1 + len(inside.rstrip())
    gap = "  " if inside.strip() else " "
    return Edit(Span(body.source, kept, close), f"{gap}{setting} ")
