"""Offsets to positions and back, in every encoding and over every line end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pygls")

from lsprotocol import types as lsp

from engine.lsp.positions import Places

UNITS = {
    "utf-8": lambda text: len(text.encode()),
    "utf-16": lambda text: len(text.encode("utf-16-le")) // 2,
    "utf-32": len,
}
PIECES = st.sampled_from(["a", "é", "文", "😀", "\n", "\r\n", "\r", "\u2028", "\x0b", "\x85", " "])


def reference(text: str, offset: int, encoding: str) -> tuple[int, int]:
    """By the words of the protocol, one character after the other."""
    line, start, at = 0, 0, 0
    while at < offset:
        if text.startswith("\r\n", at):
            if at + 1 == offset:
                break
            at += 2
        elif text[at] in "\r\n":
            at += 1
        else:
            at += 1
            continue
        line, start = line + 1, at
    return line, UNITS[encoding](text[start:at])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from(sorted(UNITS)))
def test_offsets_and_positions(text: str, encoding: str) -> None:
    places = Places(text, encoding)
    for offset in range(len(text) + 1):
        position = places.position(offset)
        assert (position.line, position.character) == reference(text, offset, encoding)
        inside = text.startswith("\r\n", offset - 1) and offset > 0
        assert places.offset(position) == offset - inside


def test_positions_outside_of_the_text_are_its_nearest() -> None:
    places = Places("ab\ncd", "utf-16")
    assert places.offset(lsp.Position(0, 99)) == 2
    assert places.offset(lsp.Position(9, 0)) == 5
    assert places.position(-3) == lsp.Position(0, 0)
    assert places.position(99) == lsp.Position(1, 2)


def test_a_column_inside_of_a_wide_character_is_its_end() -> None:
    assert Places("😀x", "utf-16").offset(lsp.Position(0, 1)) == 1
