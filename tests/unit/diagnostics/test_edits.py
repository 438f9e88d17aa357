"""Edits that read as if a person had made them."""

from __future__ import annotations

import pytest

from engine.diagnostics.edits import appended, removed
from engine.linter.fixing import splice
from engine.source import SourceFile, Span


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\n\n[x]\n\nb\n", "a\n\nb\n"),
        ("a\n[x]\nb\n", "a\nb\n"),
        ("a\n  [x y\n  z]\n  b\n", "a\n  b\n"),
        ("a\n\n/// doc\n/// more\n[x]\n\nb\n", "a\n\nb\n"),
        ("a\n\n[x]\n", "a\n"),
        ("[x]\n\nb\n", "b\n"),
        ("a\n[x]", "a\n"),
        ("a  // said [x] b", "a  // said b"),
        ("{ a [x] b }", "{ a b }"),
        ("a  [x]\nb", "a\nb"),
        ("[x]  b\n", "  b\n"),
        ("a\r\n[x]\r\nb\r\n", "a\r\nb\r\n"),
    ],
)
def test_removed(text: str, left: str) -> None:
    start, end = text.index("["), text.index("]") + 1
    assert splice(text, [removed(Span(SourceFile("a", text), start, end))]) == left


@pytest.mark.parametrize(
    ("text", "grown"),
    [
        ("{}", "{ new }"),
        ("{ }", "{ new }"),
        ("{ a = 1 }", "{ a = 1  new }"),
        ("{\n}", "{\n  new\n}"),
        ("{\n    a = 1\n}", "{\n    a = 1\n    new\n}"),
        ("  {\n    a {\n      b\n    }\n  }", "  {\n    a {\n      b\n    }\n    new\n  }"),
        ("{ a = 1\n  b = 2 }", "{ a = 1\n  b = 2  new }"),
        ("{\r\n  a = 1\r\n}", "{\r\n  a = 1\r\n  new\r\n}"),
        ("{\n  a = 1  // why\n}", "{\n  a = 1  // why\n  new\n}"),
    ],
)
def test_appended(text: str, grown: str) -> None:
    body = Span(SourceFile("a", text), text.index("{"), len(text))
    assert splice(text, [appended(body, "new")]) == grown
