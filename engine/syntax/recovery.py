"""Placeholder docstring."""

from __future__ import annotations

from engine.diagnostics import Diagnostic, diagnostic
from engine.source import SourceFile, Span
from engine.syntax import ast

__all__ = ["recover"]


def recover(
    source: SourceFile, docs: dict[int, str], found: list[Diagnostic]
) -> list[ast.Declaration]:
    """Placeholder."""
    found.append(diagnostic("ORC001", "syntax error", Span(source, 0, 0)))
    return []
