"""Whatever the text, the linter answers: no exception, places inside the text, in linear time.

    make fuzz SEEDS=200000      the long run; ORCH_FUZZ_FROM=N begins at another seed

A failing seed is printed and replays by itself: `ORCH_FUZZ=1 ORCH_FUZZ_FROM=SEED`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable

import pytest
from fuzz_texts import CORPUS, text_of

from engine.diagnostics import RULES, Diagnostic
from engine.linter import lint
from engine.sema.names.loader import MemoryReader
from engine.source import SourceFile
from engine.syntax.parser import parse

FIRST = int(os.environ.get("ORCH_FUZZ_FROM", "0"))
SEEDS = int(os.environ.get("ORCH_FUZZ", "400"))
CHUNK = 200

#: What stands in a message only if an exception was caught and shown.
_EXCEPTION = re.compile(
    r"\b\w+(?:Error|Exception)\b|Traceback|NoneType|object at 0x|<class |\bengine\.\w+\.\w+"
)


def linted(text: str) -> list[Diagnostic]:
    return lint("/nowhere/x.orch", reader=MemoryReader({"x.orch": text}, "/nowhere"))


def check(text: str) -> list[Diagnostic]:
    found = linted(text)
    for item in found:
        assert item.code in RULES
        assert item.message
        source = item.span.source.text
        assert 0 <= item.span.start <= item.span.end <= len(source)
        assert not _EXCEPTION.search(f"{item.message} {item.help or ''}"), item
        for fix in [item.fix] if item.fix else []:
            for edit in fix.edits:
                assert 0 <= edit.span.start <= edit.span.end <= len(edit.span.source.text)
    return found


def syntax(found: Iterable[Diagnostic]) -> int:
    return sum(item.code.startswith("ORC0") for item in found)


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, CHUNK))
def test_any_text_is_answered(first):
    faults = reports = 0
    for seed in range(first, min(first + CHUNK, FIRST + SEEDS)):
        text, injected = text_of(seed)
        try:
            found = check(text)
        except BaseException:
            print(f"seed {seed}")
            raise
        if injected is not None:
            faults += injected
            reports += syntax(found)
    # The files themselves may have syntax errors (some cases are about them); a fault adds two
    # reports at most in the mean.
    assert reports <= 2 * faults + 20


def calls(text: str) -> int:
    """How many functions a lint of the text calls: a measure of time that never jitters."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += 1

    sys.setprofile(profile)
    try:
        linted(text)
    finally:
        sys.setprofile(None)
    return count


LONG = {
    "declarations": lambda n: "orch 1\n" + "".join(f"schema A{i} {{ x: int }}\n" for i in range(n)),
    "one block never closed": lambda n: "orch 1\nmodel m {\n" + "  id = 1\n" * n,
    "many blocks never closed": lambda n: "orch 1\n" + "model m {\n" * n,
    "brackets": lambda n: "orch 1\nmodel m { id = " + "[" * n,
    "closing brackets": lambda n: "orch 1\n" + "} ] ) " * n,
    "quotes": lambda n: "orch 1\n" + 'x = "\n' * n,
    "text blocks never closed": lambda n: "orch 1\n" + 'x = """ \n' * n,
    "stray characters": lambda n: "orch 1\n" + "§ " * n,
    "one long line": lambda n: "orch 1\nmodel m { id = " + "1 + " * n + "1 }",
    "comments": lambda n: "orch 1\n" + "// x\n" * n,
    "doc comments": lambda n: "orch 1\n" + "/// x\n" * n,
    "unknown names": lambda n: "orch 1\n" + "".join(
        f"worker w{i}(a: Nme{i}) -> Oter{i} via llm {{ model = m{i} }}\n" for i in range(n)
    ),
    "doubled names": lambda n: "orch 1\n" + "schema A { x: int }\n" * n,
    "template tags": lambda n: 'orch 1\ntemplate t = """' + "{% if x %}{{ y " * n + '"""\n',
    "union": lambda n: "orch 1\nschema A = " + " | ".join(f'"a{i}"' for i in range(n)) + "\n",
    "suppressions": lambda n: "orch 1\n" + "// orch: allow[ORC101] so\n" * n,
}  # fmt: skip


@pytest.mark.parametrize("shape", LONG)
def test_time_is_linear(shape):
    linted(LONG[shape](3))  # what is loaded once
    small, large = calls(LONG[shape](60)), calls(LONG[shape](480))

    assert large <= 8 * small * 1.25


@pytest.mark.parametrize("seed", range(24))
def test_time_is_linear_for_faulty_files(seed):
    text = text_of(3 * seed + 10_000)[0]
    body = text.removeprefix("orch 1\n")
    small, large = "orch 1\n" + body * 2, "orch 1\n" + body * 16
    linted(small)

    assert calls(large) <= 8 * calls(small) * 1.5 + 5_000


def test_the_corpus_is_real():
    assert len(CORPUS) > 80
    found = [[item.code for item in parse(SourceFile("x", text))[1]] for text in CORPUS]
    # Many pages show a part of a file, which has no first line.
    clean = [codes for codes in found if set(codes) <= {"ORC007"}]
    assert len(clean) > 0.8 * len(CORPUS)
