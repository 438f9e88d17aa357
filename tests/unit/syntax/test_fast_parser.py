"""The fast parser and Lark agree: the same texts have an error, the rest have the same tree."""

from __future__ import annotations

import random
from pathlib import Path

import lark
import pytest

from grammar import Token, Tree, load_parser, parse

ROOT = Path(__file__).parents[3]
FILES = sorted(
    path
    for folder in ("engine", "workflows", "tests", "bench")
    for path in (ROOT / folder).rglob("*.orch")
)
#: What decides how a text is cut into tokens: put where it is not expected.
WORDS = (
    *("and", "or", "not", "not in", "in", "is", "if", "else", "assert", "assert not x {", "orchid"),
    *("worker", "orchestrator", "via", "for", "true", "null", "not  in =", "in:", "-", "->", "- >"),
    *("*", "**", "=", "==", "|", "?", "@", "~", "%", "60%", "60 % n", "1.5e+3", "$1.00", "5m"),
    *('"a"', '""', '"""', '""""""', "//", "// x\n", "\ufeff", "\n", "(", ")", "[", "]", "{", "}"),
    *(",", ".", ":", "#", "\\"),
)


def by_lark(text: str) -> lark.Tree[lark.Token] | None:
    try:
        return load_parser().parse(text)
    except lark.exceptions.UnexpectedInput:
        return None


def plain(part: object) -> object:
    """A tree of either parser, to be compared."""
    if isinstance(part, (Tree, lark.Tree)):
        return (str(part.data), [plain(child) for child in part.children])
    assert isinstance(part, (Token, lark.Token))
    return (part.type, str(part), part.start_pos)


def compare(text: str) -> bool:
    """Compare the parsers; tells whether the text has a tree."""
    tree, expected = parse(text), by_lark(text)
    assert (None if tree is None else plain(tree)) == (
        None if expected is None else plain(expected)
    ), text
    return tree is not None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_trees_are_those_of_lark(path: Path) -> None:
    compare(path.read_bytes().decode(errors="replace"))


@pytest.mark.parametrize("seed", range(8))
def test_the_trees_are_those_of_lark_after_any_edit(seed: int) -> None:
    dice = random.Random(seed)
    texts = [text for path in FILES if len(text := path.read_text(errors="replace")) < 1500]
    read = 0
    for _ in range(60):
        text = dice.choice(texts)
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(text) + 1)
            text = text[:at] + dice.choice(WORDS) + text[at + dice.choice((0, 0, 1, 4)) :]
        read += compare(text)
    assert read


@pytest.mark.parametrize("first", WORDS)
def test_the_trees_are_those_of_lark_for_any_two_words(first: str) -> None:
    for second in WORDS:
        compare(f"orch 1\nworker w(a: int) -> int via x {{ a = {first} {second} }}")
        compare(f"{first} {second}")
