"""Every fix of every case and example: its finding is gone, and there are no more errors."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from engine.diagnostics import RULES, Diagnostic, explained
from engine.diagnostics.rule import PRELUDE
from engine.linter import lint
from engine.linter.fixing import apply_fixes
from engine.linter.fixpoint import EditedReader
from engine.sema.names.loader import DiskReader

HERE = Path(__file__).parent
CASES = Path(__file__).parents[2] / "cases"
#: Suggestions that are wrong. They add errors, so `--fix` drops them (test_fixpoint).
GUESSES = {("workers/mcp_snapshot.orch", "ORC512")}
HIDING = {"ORC001", "ORC002", "ORC003", "ORC004", "ORC005", "ORC006", "ORC907"}


def example(code: str) -> str:
    text = explained(code).bad
    return text if text.startswith("orch ") or code == "ORC007" else f"{PRELUDE}{text}\n"


TEXTS = {
    **{str(path.relative_to(CASES)): path.read_text() for path in sorted(CASES.rglob("*.orch"))},
    **{code: example(code) for code in RULES if explained(code).bad},
}


def linted(name: str, texts: dict[str, str]) -> list[Diagnostic]:
    path = str(CASES / (name if name.endswith(".orch") else "example.orch"))
    texts = {path: TEXTS[name], **texts}
    return lint(path, reader=EditedReader(DiskReader(), texts))


def identities(found: list[Diagnostic]) -> Counter[tuple[str, str, str]]:
    return Counter((item.span.source.path, item.code, item.message) for item in found)


def errors(found: list[Diagnostic]) -> int:
    return sum(item.severity == "error" for item in found)


def hiding(found: list[Diagnostic]) -> int:
    return sum(item.code in HIDING for item in found)


@pytest.mark.parametrize("name", TEXTS)
def test_a_fix_takes_its_finding_away_and_adds_no_error(name: str) -> None:
    before = linted(name, {})
    for item in before:
        if item.fix is None:
            continue
        source = item.fix.edits[0].span.source
        text, applied = apply_fixes(source.text, [item], unsafe=True)
        assert applied == [item], f"{item.location}: {item.code}: overlapping edits"
        after = linted(name, {source.path: text})
        identity = (item.span.source.path, item.code, item.message)
        said = f"{item.location}: {item.code} {item.message}: {item.fix.title}\n{text}"
        assert identities(after)[identity] < identities(before)[identity], said
        if hiding(after) >= hiding(before) and (name, item.code) not in GUESSES:
            # Others may come to light behind an error, but no more than are gone.
            assert errors(after) <= errors(before), said


#: Rules whose fix is tried above. What else can be fixed is a mistake of spelling.
FIXED = {
    "ORC001", "ORC002", "ORC003", "ORC004", "ORC006", "ORC007", "ORC101", "ORC103", "ORC104",
    "ORC105", "ORC106", "ORC201", "ORC202", "ORC203", "ORC302", "ORC303", "ORC304", "ORC305",
    "ORC308", "ORC310", "ORC401", "ORC402", "ORC403", "ORC405", "ORC406", "ORC411", "ORC414",
    "ORC504", "ORC506", "ORC507", "ORC512", "ORC601", "ORC605", "ORC606", "ORC705", "ORC901",
    "ORC907",
}  # fmt: skip


def test_these_rules_have_a_fix_somewhere() -> None:
    found = {item.code for name in TEXTS for item in linted(name, {}) if item.fix is not None}
    assert found >= FIXED, sorted(FIXED - found)
