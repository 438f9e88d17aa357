"""`format_text`: the text of a file in the standard style.

The formatter trusts itself with nothing: what it has written is parsed again, and refused if it
says anything else than the original, or leaves out a comment.
"""

from __future__ import annotations

import re

from engine.diagnostics import diagnostic, sort_diagnostics
from engine.errors import CompileError, InternalError
from engine.formatter.agreement import difference
from engine.formatter.declarations import DeclarationLayout
from engine.formatter.writer import Writer
from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.parser import no_collections, parse, parse_tree

__all__ = ["format_source", "format_text"]

_LONE_LINE_FEED = re.compile(r"(?<!\r)\n")

#: A file without its first line `orch 1` is wrong, but all of it can be read.
_HARMLESS = frozenset({"ORC007"})


def format_text(text: str, filename: str = "text.orch") -> str:
    """The text of a `.orch` file in the standard style.

    Args:
        text: The text; its first line says how its lines end, with or without a carriage return.
        filename: The path as messages should name it.

    Returns:
        A text with the same declarations and comments; formatting it again changes nothing.

    Raises:
        CompileError: It has a syntax error or an unknown declaration: who knows how it is meant.
        InternalError: The result would say something else: a bug in orch.
    """
    return format_source(SourceFile(filename, text))


def format_source(source: SourceFile) -> str:
    """`format_text`, for a file that was read. Same errors."""
    document, found, tree = parse_tree(source)
    found += [
        diagnostic("ORC006", f"unknown declaration `{item.keyword.text}`", item.keyword.span)
        for item in document.declarations
        if isinstance(item, ast.UnknownDecl)
    ]
    if any(item.severity == "error" and item.code not in _HARMLESS for item in found):
        raise CompileError(sort_diagnostics(found))
    assert tree is not None  # without errors there is one
    with no_collections():
        writer = Writer()
        writer.file(DeclarationLayout(source, tree).file(tree))
        text = writer.text()
    if _ends_lines_with_two(source.text):
        text = _LONE_LINE_FEED.sub("\r\n", text)
    if text != source.text:
        again, problems = parse(SourceFile(source.path, text))
        wrong = difference(document, again)
        if [item.code for item in problems] != [item.code for item in found]:
            wrong = "it would not be read any more"
        if wrong is not None:
            raise InternalError(f"{source.path} cannot be formatted: {wrong}")
    return text


def _ends_lines_with_two(text: str) -> bool:
    """Whether the first line ends with a carriage return before its line feed."""
    at = text.find("\n")
    return at > 0 and text[at - 1] == "\r"
