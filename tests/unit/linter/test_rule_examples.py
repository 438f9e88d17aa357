"""The examples that `orch explain` prints: the bad one reports the rule, the good one does not."""

from __future__ import annotations

import pytest

from engine.diagnostics import RULES, explained
from engine.diagnostics.rule import PRELUDE
from engine.linter import lint

SHOWN = sorted(code for code in RULES if explained(code).bad)


def _codes(text: str, code: str) -> list[str]:
    whole = text.startswith("orch ") or code == "ORC007"
    return [
        item.code
        for item in lint(
            "main.orch", source_text=text if whole else PRELUDE + text + "\n", also={code}
        )
    ]


def test_every_rule_says_why_it_is_there() -> None:
    for code, row in RULES.items():
        rule = explained(code)
        assert rule.why.endswith((".", "`")), code
        assert bool(rule.bad) == bool(rule.good), code
        shared = ("code", "name", "severity", "summary", "allowable", "optional")
        assert [getattr(rule, it) for it in shared] == [getattr(row, it) for it in shared]


@pytest.mark.parametrize("code", SHOWN)
def test_the_bad_example_reports_the_rule_and_the_good_one_does_not(code: str) -> None:
    example = explained(code)
    assert code in _codes(example.bad, code)
    good = _codes(example.good, code)
    assert code not in good
    allowed = {"warning", "info"}
    assert {RULES[found].severity for found in good} <= allowed, good
