"""A check with a cache finds what one without it finds, after whatever edits."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from engine.linter import lint_result
from engine.sema.check import check_file
from engine.sema.names.cache import CheckCache
from engine.sema.names.loader import MemoryReader
from engine.source import SourceFile, Span
from engine.syntax import ast
from engine.syntax.parser import parse
from engine.syntax.reuse import ParseCache

TESTS = Path(__file__).parents[1]

#: What people type, and what makes trouble where declarations are told apart.
TYPED = (
    " ", "\n", "}", "{", '"', '"""', "(", ")", "=", ",", "//", "///", "x", "1", "model = fast\n",
    "\nmodel m { id = \"a/b\" }\n", "\nworker w(", "\nfrom \"x.orch\"\nimport a\n", "\nsecret",
    "\nsecret S\n", "\nimport", "\ntest \"t\" for w {}\n", "\nwroker w() -> int via llm {}\n",
    "\nparam p: int = a\n", "\nand foo (3)\n", "schema S = A\n", "\nfrom \"a.json\"\n", "# no\n",
    "\n/// doc\n", "@min(3)", " if a else b", "orch 1\n", "\norch 2\n", "\r\n", "é", "😀", "\ttest",
    "{{ x.y }}", "{% if %}", "\ntemplate t = \"\"\"\nworker a() {\n\"\"\"\n",
)  # fmt: skip


def dump(node: Any) -> Any:
    """A tree as plain values, spans as offsets."""
    if isinstance(node, Span):
        return (node.start, node.end)
    if isinstance(node, SourceFile):
        return node.text
    if isinstance(node, tuple | list):
        return [dump(item) for item in node]
    if isinstance(node, ast.Node | ast.Document):
        return [type(node).__name__, *(dump(getattr(node, f)) for f in node.__struct_fields__)]
    return repr(node)


def findings(found: list[Any]) -> list[Any]:
    return [
        (d.code, d.message, d.help, d.span.source.path, d.span.start, d.span.end, repr(d.fix))
        for d in found
    ]


def edited(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    kind = rng.random()
    if kind < 0.5:
        return text[:at] + rng.choice(TYPED) + text[at:]
    if kind < 0.8:
        return text[:at] + text[at + rng.choice((1, 1, 3, 20, 200)) :]
    start = rng.randrange(len(text) + 1)
    piece = text[start : start + rng.choice((1, 5, 40, 300))]
    return text[:at] + piece + text[at + rng.choice((0, 0, 5)) :]


def read(folder: str) -> list[str]:
    files = sorted((TESTS / folder).rglob("*.orch"))
    return [path.read_text(encoding="utf-8") for path in files]


EXAMPLES = read("fixtures/examples")
CASES = read("cases")


def any_file(rng: random.Random) -> str:
    """A real file, a faulty one, or two faulty ones in one."""
    kind = rng.randrange(3)
    if kind == 0:
        return rng.choice(EXAMPLES)
    return "\n".join(rng.choice(CASES) for _ in range(kind))


@pytest.mark.parametrize("seed", range(12))
def test_parsing_again_gives_what_parsing_gives(seed: int) -> None:
    rng = random.Random(seed)
    text = any_file(rng)
    cache = ParseCache()
    for _ in range(25):
        source = SourceFile("a.orch", text)
        cold, warm = parse(source), parse(source, cache)
        assert dump(warm[0]) == dump(cold[0])
        assert findings(warm[1]) == findings(cold[1])
        text = edited(text, rng) if rng.random() < 0.9 else any_file(rng)


@pytest.mark.parametrize("seed", range(10))
def test_checking_again_finds_what_checking_finds(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    base = {
        "a.orch": any_file(rng) + '\nimport "b.orch" as b\n',
        "b.orch": rng.choice(CASES),
    }
    cache = CheckCache()
    for _ in range(12):
        reader = MemoryReader(base, str(tmp_path))
        path = str(tmp_path / "a.orch")
        cold = lint_result(check_file(path, reader=reader, env={}))
        warm = lint_result(check_file(path, reader=reader, env={}, cache=cache))
        assert findings(warm) == findings(cold)
        name = rng.choice(("a.orch", "a.orch", "b.orch"))
        base[name] = edited(base[name], rng)
