"""Test results as JUnit XML, as CI systems read it: a `testsuite` a file, a `testcase` a test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import groupby

from engine.testing.result import Finding, TestResult

__all__ = ["junit_xml"]

#: Characters that XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\t": "&#9;"}


def junit_xml(results: Iterable[TestResult]) -> str:
    """The results as a JUnit file's text; times are seconds."""
    cases = list(results)
    failed = sum(not case.passed for case in cases)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="orch" tests="{len(cases)}" failures="{failed}" errors="0" '
        f'time="{_seconds(cases)}">',
    ]
    for file, group in groupby(cases, key=lambda case: case.file):
        suite = list(group)
        failed = sum(not case.passed for case in suite)
        lines.append(
            f'  <testsuite name="{_attribute(file)}" tests="{len(suite)}" failures="{failed}" '
            f'errors="0" skipped="0" time="{_seconds(suite)}">'
        )
        for case in suite:
            lines.extend(_case(case))
        lines.append("  </testsuite>")
    lines.append("</testsuites>")
    return "\n".join(lines) + "\n"


def _case(case: TestResult) -> list[str]:
    opening = (
        f'    <testcase classname="{_attribute(case.target)}" name="{_attribute(case.title)}" '
        f'file="{_attribute(case.file)}" line="{case.line}" time="{_seconds([case])}"'
    )
    if case.passed:
        return [f"{opening} />"]
    first = case.findings[0]
    body = "\n".join([*map(_told, case.findings), *case.story])
    return [
        f"{opening}>",
        f'      <failure type="{first.kind}" message="{_attribute(first.message)}">'
        f"{_text(body)}</failure>",
        "    </testcase>",
    ]


def _told(finding: Finding) -> str:
    values = [f"  {text} = {json.dumps(value)}" for text, value in finding.values]
    return "\n".join([f"{finding.span}: {finding.message}", *values])


def _seconds(cases: Iterable[TestResult]) -> str:
    return f"{sum(case.ms for case in cases) / 1000:.3f}"


def _text(text: str) -> str:
    return "".join(_ESCAPES.get(c, c) if c in '&<>"' else c for c in _allowed(text))


def _attribute(text: str) -> str:
    return "".join(_ESCAPES.get(c, c) for c in _allowed(text))


def _allowed(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
