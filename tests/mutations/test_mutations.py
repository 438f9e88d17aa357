"""Every planted fault is found, by its rule and on its line; the table in the docs says the same.

`ORCH_UPDATE_GOLDEN=1` writes the table into docs/explanation/what-the-linter-catches.md.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections import Counter
from itertools import takewhile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from faults import FAULTS, REVIEW, ROOT, SUPPORT, Fault

from engine.diagnostics import RULES, Diagnostic, sort_diagnostics
from engine.linter import lint

PAGE = ROOT / "docs" / "explanation" / "what-the-linter-catches.md"
BEGIN, END = "<!-- faults -->\n", "<!-- end of faults -->"


def entry_of(folder: Path) -> str:
    return "support.orch" if folder == SUPPORT else "repo_review.orch"


def spaced(text: str) -> str:
    """A pattern for a text in any layout: the formatter owns it."""
    return r"\s+".join(map(re.escape, text.split()))


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def planted(fault: Fault, folder: Path) -> tuple[Path, int]:
    """Plant a fault in a copy; gives the file and the line where it must be found."""
    shutil.copytree(fault.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / fault.file
    text = path.read_text()
    (found,) = re.finditer(spaced(fault.old), text)
    new = fault.new.strip()
    text = text[: found.start()] + new + text[found.end() :]
    path.write_text(text)
    if not fault.at:
        # Where the first word that differs stands now.
        pairs = zip(fault.old.split(), new.split(), strict=False)
        same = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
        before = re.compile(rf"(?:\S+\s+){{{same}}}").match(text, found.start())
        return path, line_of(text, before.end())
    where = fault.at.removeprefix("orch:")
    path = path if where == fault.at else folder / entry_of(fault.folder)
    text = path.read_text()
    return path, line_of(text, re.search(spaced(where), text).start())


def linted(fault: Fault, folder: Path) -> list[Diagnostic]:
    """What `orch lint FOLDER` finds in the entry file, and in the faulty one if it is imported."""
    files = dict.fromkeys([entry_of(fault.folder), fault.file])
    found = [d for name in files if name.endswith(".orch") for d in lint(str(folder / name))]
    return sort_diagnostics(found)


@pytest.mark.parametrize("folder", [SUPPORT, REVIEW], ids=lambda folder: folder.name)
def test_the_files_are_clean_without_a_fault(folder):
    assert lint(str(folder / entry_of(folder))) == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_fault_is_found_where_it_is(fault, tmp_path):
    path, line = planted(fault, tmp_path / "mutant")
    found = linted(fault, tmp_path / "mutant")
    told = {(item.code, item.span.source.path, item.span.begin_position.line) for item in found}
    if fault.code:
        assert (fault.code, str(path), line) in told, (line, sorted(told))
    else:
        assert found == [], "it is found by now: move it up, and be glad"


def test_a_fault_makes_few_findings(tmp_path):
    """One fault, one finding; what else is told is as true, and seldom."""
    counts = Counter()
    for number, fault in enumerate(FAULTS):
        planted(fault, tmp_path / str(number))
        found = linted(fault, tmp_path / str(number))
        counts[len(found)] += 1
    assert sum(n * count for n, count in counts.items()) <= 1.25 * len(FAULTS)
    assert max(counts) <= 3


def table() -> str:
    """The table of the documentation."""
    caught = [fault for fault in FAULTS if fault.code]
    lines = [
        f"**{len(caught)} of {len(FAULTS)}** are found, each by the rule named here and on the",
        "line where the fault is.",
        "",
        "| fault | found by |",
        "| --- | --- |",
    ]
    for fault in FAULTS:
        by = f"{fault.code} {RULES[fault.code].name}" if fault.code else f"not found: {fault.why}"
        lines.append(f"| {fault.what} | {by} |")
    return "\n".join(lines) + "\n"


def test_the_documentation_tells_the_same():
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    shown, _, after = rest.partition(END)
    if os.environ.get("ORCH_UPDATE_GOLDEN") == "1":
        PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")
        return
    assert shown.strip() == table().strip()
