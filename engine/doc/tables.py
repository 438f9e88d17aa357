"""Markdown's tables, and types and constraints in words for their cells.

What a file says may hold any character: cells are escaped, so a `|` or a line break in a doc
comment never breaks a table, and text is never taken for HTML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.sema.types.definitions import (
    MISSING,
    Array,
    Constrained,
    Field,
    Optional,
    Record,
    Type,
    strip,
)

__all__ = ["code", "fenced", "fields_table", "paragraph", "prose", "table"]

#: What makes the beginning of a line begin another block than a paragraph.
_BLOCK = re.compile(r"^(\d*)(#{1,6}(?!\S)|`{3}|~{3}|[>=]|[-+*](?!\S)|[-*_]{3}|(?<=\d)[.)](?!\S))")

#: JSON Schema's keywords as people say them.
_WORDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "matches {}",
    "format": "format {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "uniqueItems": "no item twice",
    "x-max-bytes": "at most {} bytes",
}


def code(text: object) -> str:
    """Inline code that holds any text, for a table cell or a line."""
    shown = " ".join(str(text).split()).replace("|", "\\|")
    ticks = "`" * (_longest_ticks(shown) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}" if shown else ""


def fenced(language: str, text: str) -> list[str]:
    """The lines of a block of code that holds any text."""
    fence = "`" * max(3, _longest_ticks(text) + 1)
    return [f"{fence}{language}", text, fence]


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)


def prose(text: str | None) -> str:
    """A doc comment as text in a line: its Markdown stays, HTML and table bars do not."""
    escaped = (text or "").replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return " ".join(escaped.split())


def paragraph(text: str | None) -> str:
    """The same as a paragraph of its own: it begins no heading, list or block of code."""
    return _BLOCK.sub(r"\1\\\2", prose(text))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table with the columns left out that are empty in every row."""
    kept = list(rows)
    used = [i for i in range(len(head)) if any(row[i] for row in kept)]
    lines = [[head[i] for i in used], ["---"] * len(used)]
    lines += [[row[i] for i in used] for row in kept]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def fields_table(fields: Iterable[Field]) -> list[str]:
    """The fields of a record, or the inputs of a callable: one a row."""
    head = ("name", "type", "default", "limits", "meaning")
    return table(head, (row for field in fields for row in _rows(field)))


def _rows(field: Field, prefix: str = "") -> list[tuple[str, str, str, str, str]]:
    """The row of a field, and those of the fields of a record written inline."""
    name = prefix + field.name
    inner = strip(field.type)
    many = ""
    while isinstance(inner, Array | Optional):
        many += "[]" if isinstance(inner, Array) else ""
        inner = strip(inner.item)
    inline = isinstance(inner, Record) and inner.name is None
    shown = f"object{many}" if inline else str(field.type)
    limits = [*_limits(field.type)]
    if field.untrusted:
        limits.append("untrusted")
    if field.sources:
        limits.append("from " + " or ".join(code(source.name) for source in field.sources))
    rows = [
        (
            code(name),
            code(shown),
            "" if field.default is MISSING else code(json.dumps(field.default)),
            ", ".join(limits),
            prose(field.doc),
        )
    ]
    if inline:
        assert isinstance(inner, Record)
        for below in inner.fields:
            rows += _rows(below, f"{name}{many}.")
    return rows


def _limits(type_: Type) -> list[str]:
    said: list[str] = []
    while True:
        if isinstance(type_, Constrained):
            said += _spoken(type_.keywords)
            type_ = type_.item
        elif isinstance(type_, Optional):
            type_ = type_.item
        else:
            return said


def _spoken(keywords: Mapping[str, Any]) -> list[str]:
    return [
        _WORDS[key].format(code(value) if key in ("pattern", "format") else value)
        for key, value in keywords.items()
        if key in _WORDS and value is not False
    ]
