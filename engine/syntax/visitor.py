"""Walks over syntax trees: the nodes right below a node, and all of them, from first to last.

The order is that of the fields, which is that of the text, but for a default: it comes after the
constraints.

Which fields of a class can hold nodes is read from its annotations once, so a walk looks at those
only, and a new kind of node needs no entry anywhere. Nothing recurses, for trees may be deep.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from inspect import get_annotations
from typing import Any

from engine.syntax import ast

__all__ = ["children", "walk"]

#: What is in the annotation of a field that can hold no node.
_PLAIN = frozenset({"None", "SourceFile", "Span", "bool", "float", "int", "str", "tuple"})
_NAME = re.compile(r"\w+")


@cache
def _fields(kind: type[ast.Node]) -> tuple[str, ...]:
    """The fields of a class that can hold nodes, the last first."""
    annotations: dict[str, str] = {}
    for base in kind.__mro__:
        annotations.update(get_annotations(base))
    return tuple(
        name
        for name in reversed(kind.__struct_fields__)
        if not _PLAIN.issuperset(_NAME.findall(annotations[name]))
    )


def children(node: ast.Node) -> list[ast.Node]:
    """The nodes right below a node, from first to last."""
    found: list[ast.Node] = []
    todo: list[Any] = [getattr(node, name) for name in _fields(type(node))]
    while todo:
        value = todo.pop()
        if isinstance(value, ast.Node):
            found.append(value)
        elif isinstance(value, tuple):
            todo.extend(reversed(value))
    return found


def walk(root: Any, into: Callable[[ast.Node], bool] | None = None) -> Iterator[ast.Node]:
    """A node (or every node of a tuple) and all below it, from first to last.

    Args:
        into: Whether to go below a node; it is given out anyway. None goes everywhere.
    """
    todo: list[Any] = [root]
    while todo:
        value = todo.pop()
        if isinstance(value, ast.Node):
            yield value
            if into is None or into(value):
                todo.extend([getattr(value, name) for name in _fields(type(value))])
        elif isinstance(value, tuple):
            todo.extend(reversed(value))
