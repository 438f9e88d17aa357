"""Where in the entry file something is written: declarations, their settings, names in lists.

The checked program keeps the place of a declaration's name and little else; a rule that points
into a body looks it up in the tree. What is computed or is in another file has no place here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.sema.names.scope import dotted
from engine.source import Span
from engine.syntax import ast

__all__ = ["blocks_of", "item_span", "nodes_in", "setting_of", "strings_in"]


def setting_of(body: ast.Body, name: str) -> ast.Expr | None:
    """The value of a setting of a body, or None."""
    for member in body.members:
        if isinstance(member, ast.Setting) and member.name.text == name:
            return member.value
    return None


def blocks_of(body: ast.Body, name: str) -> Iterator[ast.Block]:
    """The blocks of a name in a body."""
    for member in body.members:
        if isinstance(member, ast.Block) and member.name.text == name:
            yield member


def item_span(body: ast.Body, setting: str, name: str) -> Span | None:
    """Where a name is in a list of names, `common.search` included."""
    value = setting_of(body, setting)
    items = value.items if isinstance(value, ast.ListExpr) else () if value is None else (value,)
    for item in items:
        if dotted(item) == name:
            return item.span
    return None


def nodes_in(node: Any) -> Iterator[ast.Node]:
    """A node and every node in it, in the order of the text."""
    todo = [node]
    while todo:
        current = todo.pop()
        if isinstance(current, tuple):
            todo += reversed(current)
        elif isinstance(current, ast.Node):
            yield current
            todo += [
                getattr(current, name)
                for name in reversed(current.__struct_fields__)
                if name != "span"
            ]


def strings_in(node: Any) -> Iterator[ast.String]:
    """Every string in a node."""
    return (inner for inner in nodes_in(node) if isinstance(inner, ast.String))
