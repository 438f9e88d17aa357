"""Whole example files against kept dumps of their trees, with the place of every node.

`ORCH_REWRITE_GOLDEN=1` writes the dumps anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.source import SourceFile, Span
from engine.syntax.parser import parse

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.stem for path in (ROOT / "fixtures" / "examples").glob("*.orch"))


def dump(value: Any, indent: int = 0) -> list[str]:
    """One line a node or field, with `line:column-line:column`."""
    pad = "  " * indent
    if isinstance(value, tuple):
        if not value:
            return [pad + "()"]
        return [line for item in value for line in dump(item, indent)]
    if not isinstance(value, msgspec.Struct):
        return [pad + repr(value)]
    span = getattr(value, "span", None)
    lines = [f"{pad}{type(value).__name__}{_place(span) if span else ''}"]
    for name in value.__struct_fields__:
        part = getattr(value, name)
        if name in ("span", "source", "comments") or part is None or part == ():
            continue
        if isinstance(part, Span):
            lines.append(f"{pad}  {name}{_place(part)}")
        elif isinstance(part, msgspec.Struct) or (
            isinstance(part, tuple) and isinstance(part[0], msgspec.Struct)
        ):
            lines.append(f"{pad}  {name}:")
            lines += dump(part, indent + 2)
        elif isinstance(part, tuple) and name != "offset_map":
            lines.append(f"{pad}  {name}:")
            for item in part:
                lines += dump(item, indent + 2)
        else:
            lines.append(f"{pad}  {name} = {part!r}")
    return lines


def _place(span: Span) -> str:
    begin, end = span.begin_position, span.end_position
    return f" {begin.line}:{begin.column}-{end.line}:{end.column}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_gives_its_tree(name: str) -> None:
    path = ROOT / "fixtures" / "examples" / f"{name}.orch"
    document, found = parse(SourceFile(path.name, path.read_text("utf-8")))
    assert found == []
    text = "\n".join(dump(document)) + "\n"
    golden = Path(__file__).parent / "golden" / f"{name}.txt"
    if os.environ.get("ORCH_REWRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")
