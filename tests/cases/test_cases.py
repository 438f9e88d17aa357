"""Data-driven cases: each `*.orch` file here says on its own lines what the linter finds there.

    model fast { idd = "openai/gpt-5-mini" }  // ORC103: have no setting `idd`

An expectation is a comment at the end of the causing line: a code, optionally `@COLUMN`, and a
fragment of the message or the help; several are separated by `//`. Every finding must be expected
and every expectation found. A finding in another file (a template, an import) is expected on the
first line, as `ORC302 in prompts/x.j2: ...`. Optional rules count in the folder `optional`.

`ORCH_REWRITE=1 pytest tests/cases` writes the expectations from what is found.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from engine.diagnostics import OPTIONAL, Diagnostic
from engine.linter import lint

HERE = Path(__file__).parent
CASES = sorted(HERE.rglob("*.orch"))
_EXPECTED = re.compile(r"//\s*(ORC\d{3})(?:@(\d+))?(?: in ([^:]+))?: (.*?)\s*(?=//\s*ORC\d{3}|$)")


def _text(item: Diagnostic) -> str:
    return item.message if item.help is None else f"{item.message} ({item.help})"


def _line(item: Diagnostic, case: Path) -> int:
    path = Path(item.span.source.path)
    return item.span.begin_position.line if path == case else 1


def _rewrite(case: Path, found: list[Diagnostic]) -> None:
    lines = [re.sub(r"\s*//\s*ORC\d{3}.*$", "", line) for line in case.read_text().split("\n")]
    for item in found:
        number = _line(item, case)
        column = f"@{item.span.begin_position.column}"
        path = Path(item.span.source.path)
        elsewhere = "" if path == case else f" in {os.path.relpath(path, case.parent)}"
        lines[number - 1] += f"  // {item.code}{column if not elsewhere else ''}{elsewhere}: "
        lines[number - 1] += item.message
    case.write_text("\n".join(lines))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.relative_to(HERE))[:-5])
def test_case(case: Path) -> None:
    found = lint(str(case), also=OPTIONAL if case.parent.name == "optional" else ())
    if os.environ.get("ORCH_REWRITE") == "1":
        _rewrite(case, found)
        return
    expected = [
        (number, *match.groups())
        for number, line in enumerate(case.read_text().split("\n"), start=1)
        for match in _EXPECTED.finditer(line)
    ]
    left = list(found)
    missing = []
    for number, code, column, file, fragment in expected:
        for item in left:
            path = Path(item.span.source.path)
            if (
                item.code == code
                and _line(item, case) == number
                and (column is None or item.span.begin_position.column == int(column))
                and (path == case if file is None else path == case.parent / file)
                and fragment in _text(item)
            ):
                left.remove(item)
                break
        else:
            missing.append(f"line {number}: {code}: {fragment}")
    unexpected = [f"{item.location}: {item.code}: {_text(item)}" for item in left]
    assert not missing, f"not found: {missing}; found instead: {unexpected}"
    assert not unexpected, f"not expected: {unexpected}"
