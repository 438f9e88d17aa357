"""Faults injected into real files: about one report each, and nearly every declaration kept.

The kinds of faults are those people make: a forgotten `=`, a `:` for `=`, a value not yet typed,
a comma, a quote or a brace forgotten, a stray character, a brace too many.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.source import SourceFile
from engine.syntax.parser import parse

EXAMPLES = sorted(
    (Path(__file__).parents[2] / "fixtures" / "examples").glob("*.orch"), key=lambda p: p.name
)
ROUNDS = 12

_BLOCKS = re.compile(r'"""(?:[^"]|"(?!""))*"""|//[^\n]*|"(?:[^"\\\n]|\\.)*"')


def _places(text: str, pattern: str, *, in_strings: bool = False) -> list[re.Match[str]]:
    hidden = [match.span() for match in _BLOCKS.finditer(text)]
    return [
        match
        for match in re.finditer(pattern, text, re.MULTILINE)
        if in_strings or not any(start <= match.start() < end for start, end in hidden)
    ]


def _replace(pattern: str, new: str) -> Callable[[str, random.Random], str | None]:
    def mutate(text: str, rng: random.Random) -> str | None:
        places = _places(text, pattern)
        if not places:
            return None
        match = rng.choice(places)
        return text[: match.start(1)] + new + text[match.end(1) :]

    return mutate


def _quote_forgotten(text: str, rng: random.Random) -> str | None:
    comments = [m.span() for m in _BLOCKS.finditer(text) if m[0].startswith("//")]
    quotes = [
        i
        for i, c in enumerate(text)
        if c == '"' and not any(start <= i < end for start, end in comments)
    ]
    at = rng.choice(quotes)
    return text[:at] + text[at + 1 :]


def _stray(text: str, rng: random.Random) -> str | None:
    match = rng.choice(_places(text, r"(?<=[ \n])()(?=\S)"))
    return text[: match.start()] + rng.choice("§;&^`\\") + text[match.start() :]


def _extra_brace(text: str, rng: random.Random) -> str | None:
    match = rng.choice(_places(text, r"\}"))
    return text[: match.end()] + " }" + text[match.end() :]


FAULTS: dict[str, Callable[[str, random.Random], str | None]] = {
    "equals forgotten": _replace(r"^\s+\w+\s*( = )\S", " "),
    "colon for equals": _replace(r"^\s+\w+\s*( = )\S", ": "),
    "value not typed": _replace(r"^\s+\w+\s*=[ ]([^\n{\[\"]+)$", ""),
    "comma forgotten": _replace(r"\w(,)[ ]\w[^\n{}]*\]", ""),
    "stray character": _stray,
    "quote forgotten": _quote_forgotten,
    "brace forgotten": _replace(r"(\})", ""),
    "brace too many": _extra_brace,
}


def measure(fault: str, rounds: int = ROUNDS) -> tuple[float, float]:
    """Reports a fault, and the share of declarations kept."""
    reports = kept = total = cases = 0
    for path in EXAMPLES:
        text = path.read_text("utf-8")
        whole = len(parse(SourceFile(path.name, text))[0].declarations)
        for seed in range(rounds):
            broken = FAULTS[fault](text, random.Random(f"{path.name} {fault} {seed}"))
            if broken is None:
                continue
            document, found = parse(SourceFile(path.name, broken))
            if not found:
                continue  # still a legal file
            cases += 1
            reports += len(found)
            total += whole
            kept += min(len(document.declarations), whole)
    assert cases
    return reports / cases, kept / total


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_gives_about_one_report_and_costs_no_declaration(fault: str) -> None:
    reports, kept = measure(fault)
    assert reports <= 1.5
    assert kept >= 0.97
