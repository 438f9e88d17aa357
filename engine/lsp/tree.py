"""What is at an offset of a syntax tree, and which fields a declaration declares."""

from __future__ import annotations

from collections.abc import Iterator

from engine.syntax import ast
from engine.syntax.visitor import children, walk

__all__ = ["declaration_at", "fields_of", "path_to"]


def declaration_at(document: ast.Document, offset: int) -> ast.Declaration | None:
    """The declaration an offset is in, or None."""
    for node in document.declarations:
        if node.span.start <= offset <= node.span.end:
            return node
    return None


def path_to(document: ast.Document, offset: int) -> list[ast.Node]:
    """The nodes around an offset, the declaration first, the innermost last."""
    found: list[ast.Node] = []
    node: ast.Node | None = declaration_at(document, offset)
    while node is not None:
        found.append(node)
        inside = [c for c in children(node) if c.span.start <= offset <= c.span.end]
        # Of two that touch there, the one that begins there is meant.
        node = max(inside, key=lambda c: c.span.start, default=None)
    return found


def fields_of(node: ast.Declaration) -> Iterator[ast.FieldDecl]:
    """All fields and inputs that a declaration declares, those of inline records too."""
    for inner in walk(node):
        if isinstance(inner, ast.FieldDecl):
            yield inner
