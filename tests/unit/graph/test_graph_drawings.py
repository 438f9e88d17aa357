"""Mermaid, DOT, JSON and SVG: everything is in them, and no name can break out of its place."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest
from msgspec.structs import replace

from engine.graph import collect
from engine.graph.lines import lines
from engine.graph.svg import to_svg
from engine.graph.text import to_dot, to_json, to_mermaid

HOSTILE = 'a"]; click n0 "javascript:x" \\ <b>&amp;`end`\n#quot; --> \x1b'


@pytest.fixture
def hostile(flow):
    """The program with a model whose id tries everything."""
    model = replace(flow.models["fast"], id=HOSTILE)
    return collect(replace(flow, models={**flow.models, "fast": model}))


def test_related_relations_share_a_line(flow):
    drawn = {(line.source, line.target, line.family): line for line in lines(collect(flow))}

    assert drawn["report", "search", "flow"].both
    assert ("search", "report", "flow") not in drawn
    assert drawn["report", "cited", "check"].both
    assert not drawn["allowed", "publish", "check"].both
    assert drawn["report", "write", "flow"].label == "at most 3"


def test_json_lists_every_relation_by_itself(flow):
    graph = collect(flow)
    data = json.loads(to_json(graph, flow.entry))

    assert data["entry"] == "report"
    assert [node["name"] for node in data["nodes"]] == list(graph.nodes)
    assert len(data["edges"]) == len(graph.edges)
    assert {"source": "report", "target": "write", "kind": "dispatch", "orchestrator": "report",
            "max_dispatches": 3} in data["edges"]  # fmt: skip


def test_mermaid_escapes_what_could_be_syntax(hostile):
    text = to_mermaid(hostile)

    (line,) = (line for line in text.splitlines() if "click" in line)
    assert re.fullmatch(r'  n\d+\[\("fast<br/>[^"<>`\\\x1b\[\]]+"\)\]:::model', line)
    assert len(text.splitlines()) == len(to_mermaid(hostile).split("\n")) - 1


def test_dot_escapes_quotes_and_backslashes(hostile):
    text = to_dot(hostile)

    (line,) = (line for line in text.splitlines() if "click" in line)
    unescaped = re.sub(r'\\\\|\\"', "", line)
    assert unescaped.count('"') == 4  # the id's two and the label's two
    assert text.startswith("digraph workflow {")
    assert text.endswith("}\n")


def test_svg_is_well_formed_and_shows_every_name(hostile):
    root = ET.fromstring(to_svg(hostile, "t & t"))
    texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}

    assert set(hostile.nodes) <= texts
    assert HOSTILE.replace("\x1b", "\ufffd") in texts
    assert root.find("{http://www.w3.org/2000/svg}title").text == "t & t"


def test_svg_draws_an_orchestrator_that_calls_itself(flow):
    def paths(*workers):
        report = replace(flow.orchestrators["report"], workers=workers)
        graph = collect(replace(flow, orchestrators={**flow.orchestrators, "report": report}))
        return to_svg(graph, "t").count("<path")

    assert paths("search", "report") == paths("search") + 1
