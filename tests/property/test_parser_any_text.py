"""Whatever the text: `parse` gives a document, and positions inside the text."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.source import SourceFile
from engine.syntax.parser import parse

EXAMPLES = [
    path.read_text("utf-8")
    for path in sorted((Path(__file__).parents[1] / "fixtures" / "examples").glob("*.orch"))
]
MARKS = r'''" """ { } ( ) [ ] = : , | # // /// worker model in not if assert $ 1h \ ' -> @'''
PIECES = st.sampled_from([*MARKS.split(" "), "\n", "\0", "model x {"])


def check(text: str) -> None:
    document, found = parse(SourceFile("x.orch", text))
    for item in found:
        assert 0 <= item.span.start <= item.span.end <= len(text)
        assert item.message
    for declaration in document.declarations:
        assert 0 <= declaration.span.start < declaration.span.end <= len(text)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(EXAMPLES),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), PIECES), min_size=1, max_size=6),
)
def test_mutated_files(text: str, edits: list[tuple[float, int, str]]) -> None:
    for place, removed, piece in edits:
        at = int(place * len(text))
        text = text[:at] + piece + text[at + removed :]
    check(text)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(PIECES | st.text(max_size=5), max_size=40).map("".join))
def test_any_text(text: str) -> None:
    check(text)
