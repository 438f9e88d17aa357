"""The graphs of the example programs, in every format, against files that people can look at.

`ORCH_UPDATE_GOLDEN=1 pytest tests/golden` writes the files again; look at the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.graph import collect
from engine.graph.svg import to_svg
from engine.graph.text import to_dot, to_json, to_mermaid
from engine.sema.check import check_file

ROOT = Path(__file__).parents[2]
FORMATS = {
    "mmd": lambda graph, program: to_mermaid(graph),
    "dot": lambda graph, program: to_dot(graph),
    "json": lambda graph, program: to_json(graph, program.entry),
    "svg": lambda graph, program: to_svg(graph, f"The workflow {program.entry}"),
}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("name", ["minimal", "report", "triage"])
def test_graph(name, ending, monkeypatch):
    monkeypatch.chdir(ROOT)
    checked = check_file(f"tests/fixtures/examples/{name}.orch", env={})
    assert checked.program is not None

    text = FORMATS[ending](collect(checked.program), checked.program)

    golden = Path(__file__).parent / "graph" / f"{name}.{ending}"
    if os.environ.get("ORCH_UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8", newline="\n")
    assert text == golden.read_text(encoding="utf-8")
