"""Finds a setting again in the text of its file, from the place of its declaration.

A checked program keeps where declarations are, and not where each of their settings is written:
only a failure that is shown needs that. Then the one declaration is parsed once more.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache

from engine.source import SourceFile, Span
from engine.syntax import ast
from engine.syntax.parser import parse
from engine.syntax.recovery import declaration_starts

__all__ = ["setting_span"]

_ITEM = re.compile(r"(?P<name>[^\[]+)\[(?P<index>\d{1,6})\]")

_Owner = ast.Declaration | ast.Block


@lru_cache(maxsize=256)
def setting_span(declared: Span, path: str) -> Span | None:
    """Where a setting is written: all of `name = value`, or the name of a block.

    Args:
        declared: The span of the name of a declaration, or of a block in one.
        path: Its name, with those of the blocks around it before it (`policy.budget.cost`), or with
            the number of an item of a list (`run[0]`). `->` is the type of the output, `via` the
            kind. Where only a part of the way is written, that part counts.

    Returns:
        None where nothing of it is written.
    """
    text = declared.source.text
    starts = declaration_starts(text)
    number = bisect_right(starts, declared.start)
    begin = starts[number - 1] if number else 0
    end = starts[number] if number < len(starts) else len(text)
    owner = _owner(text[begin:end], declared.start - begin)
    if owner is None:
        begin, owner = 0, _owner(text, declared.start)
    found = None if owner is None else _member(owner, path)
    if found is None:
        return None
    return Span(declared.source, begin + found.start, begin + found.end)


@lru_cache(maxsize=64)
def _owner(text: str, at: int) -> _Owner | None:
    """The declaration or block whose name begins at an offset."""
    document, _ = parse(SourceFile("", text))
    todo: list[_Owner] = list(document.declarations)
    while todo:
        node = todo.pop()
        name = getattr(node, "name", None)
        if isinstance(name, ast.Name) and name.span.start == at:
            return node
        body = getattr(node, "body", None)
        if isinstance(body, ast.Body) and node.span.start <= at < node.span.end:
            todo.extend(m for m in body.members if isinstance(m, ast.Block))
    return None


def _member(owner: _Owner, path: str) -> Span | None:
    if path == "->":
        output = getattr(owner, "output", None)
        return None if output is None else output.span
    if path == "via":
        kind = getattr(owner, "kind", None)
        return None if kind is None else kind.span
    found: Span | None = None
    for step in path.split("."):
        body = getattr(owner, "body", None)
        if body is None:
            break
        item = _ITEM.fullmatch(step)
        name = item["name"] if item else step
        member = next((m for m in body.members if _is_named(m, name)), None)
        if member is None:
            break
        if isinstance(member, ast.Block):
            found, owner = member.name.span, member
            continue
        assert isinstance(member, ast.Setting)
        value = member.value
        if item and isinstance(value, ast.ListExpr) and int(item["index"]) < len(value.items):
            return value.items[int(item["index"])].span
        return member.span
    return found


def _is_named(member: ast.Member, name: str) -> bool:
    return isinstance(member, ast.Setting | ast.Block) and member.name.text == name
