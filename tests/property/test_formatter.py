"""The formatter over every program there is, and over the same programs laid out at random.

Formatting keeps the tree and the comments (else it raises), and formatting again changes nothing.
"""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "simulation"), str(ROOT / "tests" / "support")]

from doc_pages import BLOCKS  # noqa: E402
from simulated_programs import SHAPES, text_of  # noqa: E402

from engine.errors import CompileError  # noqa: E402
from engine.formatter.agreement import difference  # noqa: E402
from engine.formatter.formatting import format_text  # noqa: E402
from engine.formatter.layout import WIDTH  # noqa: E402
from engine.source import SourceFile  # noqa: E402
from engine.syntax.parser import parse  # noqa: E402

FILES = {
    str(path.relative_to(ROOT)): path.read_bytes().decode()
    for folder in ("workflows", "tests")
    for path in sorted((ROOT / folder).rglob("*.orch"))
    if path.is_file()
}
TEXTS = {
    **FILES,
    **{f"{block}": block.text for block in BLOCKS if block.language == "orch"},
    **{f"shape {shape}": text_of(shape) for shape in range(0, SHAPES, 8)},
}

#: Files about syntax errors.
BROKEN = {
    "tests/cases/names/unknown_declaration.orch",
    "tests/cases/settings/missing_unit.orch",
    "tests/cases/syntax/newer_edition.orch",
    "tests/cases/syntax/typed_wrong.orch",
}

_TOKEN = re.compile(
    r'(?P<gap>(?:[\s\ufeff]+|//[^\n]*)+)|"""(?:[^"]|"(?!""))*"""|"(?:[^"\\\n]|\\.)*"|'
    r"\$?\d[\w.]*(?:[eE][+-]\d+)?(?:%(?![\w$(\"'\[{]))?|\w+|->|[=!<>]=|\*\*|.",
    re.S,
)
_TEXT_BLOCK = re.compile(r'"""(?:[^"]|"(?!""))*"""')
_SPACES = (" ", "  ", "\t", "\n", "\n\n\n", "\r\n ")
_COMMENTS = ("// one\n", "//two  \n", " // orch: allow[ORC302] x\n", "/// three\n", "////\n")


def formatted(text: str) -> str:
    """Format, and hold what comes out against what is promised."""
    result = format_text(text)
    before, _ = parse(SourceFile("x.orch", text))
    after, _ = parse(SourceFile("x.orch", result))
    assert difference(before, after) is None
    assert format_text(result) == result
    assert result == "" or (result.endswith("\n") and not result.endswith("\n\n"))
    return result


def scramble(text: str, rng: random.Random) -> str:
    """Other blanks, line ends and comments between the same tokens."""
    rate = rng.choice((0.05, 0.2, 0.5, 0.9))
    pieces: list[str] = []
    for found in _TOKEN.finditer(text):
        token = found.group()
        if found["gap"]:
            pieces.append(_gap(rng) or " " if rng.random() < rate else token)
        else:
            if rng.random() < rate / 2:
                pieces.append(_gap(rng))
            pieces.append(token)
    return "".join(pieces)


def _gap(rng: random.Random) -> str:
    pieces = rng.choices(_SPACES + _COMMENTS, k=rng.choice((0, 1, 1, 2, 3)))
    return "".join(pieces)


@pytest.mark.parametrize("name", TEXTS)
def test_every_program(name: str) -> None:
    try:
        formatted(TEXTS[name])
    except CompileError:
        assert name in BROKEN


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(TEXTS)), st.integers(0, 2**32))
def test_every_program_laid_out_at_random(name: str, seed: int) -> None:
    text = scramble(TEXTS[name], random.Random(seed))
    try:
        formatted(text)
    except CompileError:
        reject()  # a comment after `in` makes an operator of a name: then nothing is promised


@pytest.mark.parametrize("name", FILES)
def test_no_line_is_too_long_that_can_be_broken(name: str) -> None:
    """Of a file on as few lines as its comments allow; what has a string in it may be long."""
    pieces = [
        " " if found["gap"] and "//" not in found.group() else found.group()
        for found in _TOKEN.finditer(FILES[name])
    ]
    try:
        result = formatted("".join(pieces))
    except CompileError:
        return
    for line in _TEXT_BLOCK.sub('""', result).splitlines():
        assert len(line) <= WIDTH or '"' in line or "//" in line, line
