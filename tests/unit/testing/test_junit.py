"""JUnit XML: well formed whatever the tests are called, with counts that add up."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from engine.source import SourceFile, Span
from engine.testing import Finding, TestResult, junit_xml

SOURCE = SourceFile("a <b>.orch", 'test "x"\n  assert run.x == 1\n')
SPAN = Span(SOURCE, 18, 28)


def result(title: str, *findings: Finding, file: str = "a <b>.orch") -> TestResult:
    return TestResult(
        title=title,
        target="main",
        file=file,
        line=1,
        ms=12.5,
        findings=findings,
        story=("the run: failed & \x00gone",) if findings else (),
    )


def test_a_file_is_a_suite_and_a_test_a_case():
    wrong = Finding("assertion", 'assert run.x == "<1>"', SPAN, (("run.x", {"a": "]]>"}),))
    text = junit_xml(
        [result('says "hi" & bye'), result("two\nlines", wrong), result("c", file="b.orch")]
    )
    root = ElementTree.fromstring(text)
    assert (root.tag, root.attrib["tests"], root.attrib["failures"]) == ("testsuites", "3", "1")
    assert root.attrib["time"] == "0.037"
    first, second = root
    assert (first.attrib["name"], first.attrib["tests"]) == ("a <b>.orch", "2")
    assert (second.attrib["name"], second.attrib["failures"]) == ("b.orch", "0")
    passed, failed = first
    assert passed.attrib["name"] == 'says "hi" & bye'
    assert (passed.attrib["classname"], len(passed)) == ("main", 0)
    assert failed.attrib["name"] == "two\nlines"
    (failure,) = failed
    assert failure.attrib == {"type": "assertion", "message": 'assert run.x == "<1>"'}
    assert failure.text == (
        'a <b>.orch:2:10: assert run.x == "<1>"\n'
        '  run.x = {"a": "]]>"}\nthe run: failed & \N{REPLACEMENT CHARACTER}gone'
    )


def test_no_tests_are_an_empty_file():
    root = ElementTree.fromstring(junit_xml([]))
    assert (root.attrib["tests"], len(root)) == ("0", 0)
