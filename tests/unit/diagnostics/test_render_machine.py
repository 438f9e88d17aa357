"""Findings for other programs: the JSON array and GitHub's workflow commands."""

from __future__ import annotations

import json

from engine.diagnostics import Edit, Fix, diagnostic, render_github, render_json
from engine.source import SourceFile, Span

SOURCE = SourceFile("a.orch", 'orch 1\n\n/// é日本\nmodle fast { id = "x" }\n')


def at(text: str) -> Span:
    start = SOURCE.text.index(text)
    return Span(SOURCE, start, start + len(text))


def test_json_has_exactly_the_promised_shape():
    item = diagnostic(
        "ORC006",
        "unknown declaration `modle`",
        at("modle"),
        help="did you mean `model`?",
        fix=Fix("write `model`", (Edit(at("modle"), "model"),)),
    )
    where = {"start": {"line": 4, "column": 1}, "end": {"line": 4, "column": 6}}

    assert json.loads(render_json.render([item])) == [
        {
            "code": "ORC006",
            "name": "unknown-declaration",
            "severity": "error",
            "message": "unknown declaration `modle`",
            "file": "a.orch",
            "range": where,
            "help": "did you mean `model`?",
            "fix": {
                "title": "write `model`",
                "safety": "safe",
                "edits": [{"file": "a.orch", "range": where, "text": "model"}],
            },
            "page": "docs/reference/rules/ORC006.md",
        }
    ]


def test_json_says_null_where_there_is_no_help_or_fix():
    (item,) = json.loads(render_json.render([diagnostic("ORC405", "m", at("日本"))]))

    assert (item["help"], item["fix"], item["severity"]) == (None, None, "warning")
    assert item["range"]["start"] == {"line": 3, "column": 6}


def test_json_of_nothing_is_an_empty_array():
    assert json.loads(render_json.render([])) == []


def test_github_names_the_place_and_the_rule():
    item = diagnostic("ORC302", "no field `qoute`", at("fast"))

    assert render_github.render([item]) == (
        "::error file=a.orch,line=4,col=7,endLine=4,endColumn=11,"
        "title=ORC302 unknown-template-field::no field `qoute`\n"
    )


def test_github_levels():
    found = [diagnostic(code, "m", at("fast")) for code in ("ORC001", "ORC405", "ORC411")]

    assert [line.split()[0] for line in render_github.render(found).splitlines()] == [
        "::error",
        "::warning",
        "::notice",
    ]


def test_github_escapes_what_would_end_a_property_or_a_line():
    source = SourceFile("a,b:c%.orch", "x")
    item = diagnostic("ORC001", "50% is\r\nno: value, see ::", Span(source, 0, 1), help="try 5")

    assert render_github.render([item]) == (
        "::error file=a%2Cb%3Ac%25.orch,line=1,col=1,endLine=1,endColumn=2,"
        "title=ORC001 syntax-error::50%25 is%0Ano: value, see ::%0Atry 5\n"
    )


def test_github_gives_no_columns_for_a_range_over_several_lines():
    item = diagnostic("ORC002", "m", Span(SOURCE, 0, 10))

    assert render_github.render([item]).startswith("::error file=a.orch,line=1,endLine=3,title=")
