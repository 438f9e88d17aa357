"""Formatting: `orch fmt` on what is in the editor, as edits of the lines that change."""

from __future__ import annotations

from difflib import SequenceMatcher

from lsprotocol import types as lsp

from engine.errors import CompileError
from engine.formatter.formatting import format_source
from engine.lsp.project import Analysis

__all__ = ["formatting"]


def formatting(analysis: Analysis) -> list[lsp.TextEdit] | None:
    """The edits that bring a file into the standard style; None while it has syntax errors."""
    source = analysis.module.source
    try:
        text = format_source(source)
    except CompileError:
        return None
    before, after = source.text.splitlines(keepends=True), text.splitlines(keepends=True)
    starts = [0]
    for line in before:
        starts.append(starts[-1] + len(line))
    places = analysis.places(source)
    # With its heuristic for lines that are everywhere, such as `}`: without it, a file of 10,000
    # lines takes more than a minute; the edits are a little larger.
    return [
        lsp.TextEdit(places.range(starts[a], starts[b]), "".join(after[c:d]))
        for tag, a, b, c, d in SequenceMatcher(None, before, after).get_opcodes()
        if tag != "equal"
    ]
