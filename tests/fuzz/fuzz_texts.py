"""Texts that nobody meant: random ones, and real files with faults in them. A seed gives a text.

Most are real files with a few faults, for a text that is wrong from its first character on is
not what finds the corners of a checker.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent

_TOKEN = re.compile(
    r'"""(?:[^"]|"(?!""))*"""|"(?:[^"\\\n]|\\.)*"|//[^\n]*|\$?\d[\w.]*%?|\w+|\s+|[^\w\s]'
)
#: Everything that stands in files, and what stands in none.
_VOCABULARY = r"""
    orch import from as schema param secret model server worker verifier template orchestrator test
    via fails for assert else if then policy verify limit budget stall context retry repair mock
    input output goal workers prompt system timeout effect trust llm python command http mcp human
    rules true false null not and or in is string int float bool json url path duration $1.50 30s
    4KiB 12% 1e9 0 -1 @min(1) @max(3) @length(1, @items(min: 1) @pattern("[") @untrusted @enum
    { } ( ) [ ] = : , . ? | ~ + - * / // /// == != < <= -> [] {{ }} {% %} "x" "{{x}}" " ' ; #
    & ^ \ @ $ § é 日本 😀
"""
_INVISIBLE = ["\n", "\n\n", " ", "\t", "\r", "\0", "\ufeff", "\u2028", "\ud7ff"]
_PIECES = [*_VOCABULARY.split(), *_INVISIBLE, *['"""', '"', "\n", " "] * 3]


def _corpus() -> list[str]:
    files = sorted((TESTS / "fixtures" / "examples").glob("*.orch"))
    files += sorted((TESTS / "cases").rglob("*.orch"))
    files += sorted((ROOT / "workflows").rglob("*.orch"))
    texts = [path.read_text("utf-8", errors="replace") for path in files]
    for page in sorted((ROOT / "docs").rglob("*.md")):
        texts += re.findall(r"^```orch[^\n]*\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    return [text for text in texts if len(text) < 12_000]


CORPUS = _corpus()


def text_of(seed: int) -> tuple[str, int | None]:
    """The text of a seed, and how many faults were put into a real file; None if all is chance."""
    rng = random.Random(seed)
    kind = rng.random()
    if kind < 0.06:
        return "".join(chr(_character(rng)) for _ in range(rng.randint(0, 300))), None
    if kind < 0.16:
        return _soup(rng), None
    if kind < 0.20:
        return _nested(rng), None
    text = rng.choice(CORPUS)
    if kind < 0.28:
        return text[: rng.randint(0, len(text))], None
    if kind < 0.34:
        other = rng.choice(CORPUS)
        return text[: rng.randint(0, len(text))] + other[rng.randint(0, len(other)) :], None
    if kind < 0.42:
        return _flipped(text, rng), None
    tokens = _TOKEN.findall(text)
    faults = rng.choice((1, 1, 1, 2, 3, 5, 8))
    for _ in range(faults):
        _fault(tokens, rng)
    return "".join(tokens), faults


def _character(rng: random.Random) -> int:
    return rng.randint(*rng.choice(((0, 127), (32, 126), (0, 0xD7FF), (0x1F300, 0x1F6FF))))


def _soup(rng: random.Random) -> str:
    start = rng.choice(("", "orch 1\n", "orch 1\nworker a() -> string via llm {\n"))
    return start + " ".join(rng.choices(_PIECES, k=rng.randint(1, 200)))


def _nested(rng: random.Random) -> str:
    depth = rng.choice((5, 50, 400, 3_000))
    opening = rng.choice(("{", "[", "(", "{ x: ", "x ? ", "not ", "-", "a.b[", "{% if x %}", "{{"))
    closing = "" if rng.random() < 0.4 else {"{": "}", "[": "]", "(": ")"}.get(opening[0], "")
    where = rng.choice(
        (
            "orch 1\nschema A {} {}\n",
            "orch 1\nmodel m {{ id = {} }}\n",
            "orch 1\norchestrator o() -> {} {{ }}\n",
            'orch 1\ntemplate t(x: string) = "{}"\n',
            "{}",
        )
    )
    return where.replace("{}", opening * depth + "x" + closing * depth, 1)


def _flipped(text: str, rng: random.Random) -> str:
    characters = list(text)
    for _ in range(rng.randint(1, 12)):
        if characters:
            characters[rng.randrange(len(characters))] = chr(_character(rng))
    return "".join(characters)


def _fault(tokens: list[str], rng: random.Random) -> None:
    """One fault, at one place: a token is lost, doubled, changed, moved, or put in."""
    if not tokens:
        return
    at = rng.randrange(len(tokens))
    kind = rng.randrange(6)
    if kind == 0:
        del tokens[at]
    elif kind == 1:
        tokens.insert(at, tokens[at])
    elif kind == 2:
        tokens[at] = rng.choice(_PIECES)
    elif kind == 3:
        tokens.insert(at, rng.choice(_PIECES))
    elif kind == 4:
        other = rng.randrange(len(tokens))
        tokens[at], tokens[other] = tokens[other], tokens[at]
    else:
        word = tokens[at]
        place = rng.randint(0, len(word))
        tokens[at] = word[:place] + rng.choice("abx_0 ") + word[place + rng.randint(0, 1) :]
