"""Whether two texts say the same: their trees without positions, and their comments.

This protects users' files from bugs in the formatter.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.comments import scan_comments

__all__ = ["difference"]

#: What only says where a thing is.
_LAYOUT = frozenset({"span", "name_span", "offset_map", "source", "comments"})


def difference(one: ast.Document, other: ast.Document) -> str | None:
    """What the second document says otherwise than the first, in half a sentence; else None."""
    if not _same(one.declarations, other.declarations):
        return "a declaration would be another one"
    if _comments(one.source) != _comments(other.source):
        return "a comment would be another one"
    return None


def _same(one: Any, other: Any) -> bool:
    """Compare node by node; without recursion, for trees may be deep."""
    pairs = [(one, other)]
    while pairs:
        left, right = pairs.pop()
        if type(left) is not type(right):
            return False
        if isinstance(left, msgspec.Struct):
            pairs.extend(
                (getattr(left, name), getattr(right, name))
                for name in left.__struct_fields__
                if name not in _LAYOUT
            )
        elif isinstance(left, tuple):
            if len(left) != len(right):
                return False
            pairs.extend(zip(left, right, strict=True))
        elif left != right:
            return False
    return True


def _comments(source: SourceFile) -> list[str]:
    scanned = scan_comments(source)
    spans = [*scanned.plain, *((start, end) for start, end, _ in scanned.doc_lines)]
    return [source.text[start:end].rstrip() for start, end in sorted(spans)]
