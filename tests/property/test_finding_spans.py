"""Every finding has a place: a range of characters in the file that it is about.

Over all cases and examples, and over what is left of them when a piece is cut out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.diagnostics import RULES, Diagnostic, explained
from engine.diagnostics.rule import PRELUDE
from engine.linter import lint
from engine.linter.fixpoint import EditedReader
from engine.sema.names.loader import DiskReader
from engine.source import Span

CASES = Path(__file__).parents[1] / "cases"
FILES = sorted(CASES.rglob("*.orch"))


def spans(item: Diagnostic) -> Iterator[Span]:
    yield item.span
    yield from (place.span for place in item.related)


def check(found: list[Diagnostic], entry: Path, text: str) -> None:
    for item in found:
        said = f"{item.location}: {item.code} {item.message}"
        for span in spans(item):
            source = span.source
            assert source.text == "" or 0 <= span.start < span.end <= len(source.text), said
            assert source.text == "" or span.begin_position < span.end_position, said
            known = text if Path(source.path) == entry else None
            if known is None:
                with open(source.path, encoding="utf-8-sig", newline="") as file:
                    known = file.read()
            assert source.text == known, f"{said}: not the text of {source.path}"
        for edit in item.fix.edits if item.fix else ():
            assert 0 <= edit.span.start <= edit.span.end <= len(edit.span.source.text), said


@pytest.mark.parametrize("case", FILES, ids=lambda case: str(case.relative_to(CASES)))
def test_findings_of_cases(case: Path) -> None:
    found = lint(str(case))
    check(found, case, case.read_text())


@pytest.mark.parametrize("code", [code for code in RULES if explained(code).bad])
def test_findings_of_examples(code: str) -> None:
    path = CASES / "example.orch"
    text = explained(code).bad
    text = text if text.startswith("orch ") or code == "ORC007" else f"{PRELUDE}{text}\n"
    check(lint(str(path), source_text=text), path, text)


def test_findings_in_templates_are_in_their_files() -> None:
    found = [item for case in FILES for item in lint(str(case))]
    elsewhere = {os.path.splitext(item.span.source.path)[1] for item in found}
    assert {".orch", ".j2"} <= elsewhere


@settings(max_examples=100, deadline=None, derandomize=True)
@given(case=st.sampled_from(FILES), data=st.data())
def test_findings_of_cases_with_a_piece_cut_out(case: Path, data: st.DataObject) -> None:
    text = case.read_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 60)))
    cut = text[:start] + text[end:]
    reader = EditedReader(DiskReader(), {str(case): cut})
    check(lint(str(case), reader=reader), case, cut)
