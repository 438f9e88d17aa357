"""Hover: what the thing under the cursor is."""

from __future__ import annotations

import re

from lsprotocol import types as lsp

from engine.lsp.bodies import member_at
from engine.lsp.markdown import (
    about_filter,
    about_rule,
    about_setting,
    about_target,
    code,
)
from engine.lsp.project import Analysis
from engine.lsp.tree import path_to
from engine.lsp.value_sources import SOURCE_WORDS
from engine.sema.kinds import usable
from engine.sema.types.definitions import SCALARS, Constrained
from engine.source import SourceFile
from engine.syntax import ast

__all__ = ["hover"]

_FILTER = re.compile(r"\|\s*([^\W\d]\w*)")
_FROM = re.compile(r"@\s*from\s*\(([^()]*)\)")
_WORD = re.compile(r"(?<![.\w])[^\W\d]\w*")


def hover(analysis: Analysis, source: SourceFile, offset: int) -> lsp.Hover | None:
    """What is known about a place in a file of a program."""
    parts: list[str] = []
    at: tuple[int, int] | None = None
    for found in (
        _name(analysis, source.path, offset),
        _setting(analysis, source, offset),
        _filter(source.text, offset),
        _source_word(source.text, offset),
    ):
        if found is not None:
            text, start, end = found
            parts.append(text)
            at = (start, end)
            break
    findings = [
        item
        for item in analysis.diagnostics
        if item.span.source.path == source.path and item.span.start <= offset <= item.span.end
    ]
    for item in {item.code: item for item in findings}.values():
        parts.append(about_rule(item))
        at = at or (item.span.start, item.span.end)
    if not parts or at is None:
        return None
    content = lsp.MarkupContent(lsp.MarkupKind.Markdown, "\n\n---\n\n".join(parts))
    return lsp.Hover(content, analysis.places(source).range(*at))


def _name(analysis: Analysis, path: str, offset: int) -> tuple[str, int, int] | None:
    use = analysis.index.use_at(path, offset)
    reading = analysis.index.reading_at(path, offset)
    if use is not None:
        text = about_target(use.target, analysis)
        if reading is not None and use.target.kind not in ("field", "input", "param"):
            text += f"\n\ntype `{reading.type}`"
        return text, use.start, use.end
    if reading is not None:
        type_ = reading.type
        limits = f" {dict(type_.keywords)}" if isinstance(type_, Constrained) else ""
        return code(f"{reading.name}: {type_}{limits}"), reading.start, reading.end
    return None


def _setting(analysis: Analysis, source: SourceFile, offset: int) -> tuple[str, int, int] | None:
    if source is not analysis.module.source:
        return None
    path = path_to(analysis.document, offset)
    if not path:
        return None
    kind = getattr(path[0], "kind", None)
    if isinstance(kind, ast.Name) and kind.span.start <= offset <= kind.span.end:
        known = usable(kind.text)
        words = None if known is None else known.summary
        return (
            None if words is None else (f"`{kind.text}`: {words}", kind.span.start, kind.span.end)
        )
    for node in reversed(path):
        if isinstance(node, ast.NamedType) and node.name in SCALARS:
            return f"built-in type `{node.name}`", node.span.start, node.span.end
    found = member_at(path)
    if found is not None:
        body, row, member = found
        name = member.name.span
        if name.start <= offset <= name.end:
            return about_setting(body, row), name.start, name.end
        return None
    return None


def _filter(text: str, offset: int) -> tuple[str, int, int] | None:
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[start : end if end >= 0 else len(text)]
    for found in _FILTER.finditer(line):
        if found.start(1) <= offset - start <= found.end(1):
            words = about_filter(found[1])
            if words is not None:
                return words, start + found.start(1), start + found.end(1)
    return None


def _source_word(text: str, offset: int) -> tuple[str, int, int] | None:
    """`request` or `person` in a `@from(...)`; what else is there is a name."""
    begin = text.rfind("@", 0, offset)
    found = _FROM.match(text, begin) if begin >= 0 else None
    if found is None or offset > found.end():
        return None
    for word in _WORD.finditer(text, found.start(1), found.end(1)):
        if word.start() <= offset <= word.end() and word[0] in SOURCE_WORDS:
            return f"`{word[0]}`: {SOURCE_WORDS[word[0]]}", word.start(), word.end()
    return None
