"""Syntax errors: the code, the words, the place, the fix, and what is still read."""

from __future__ import annotations

import re

import pytest

from engine.diagnostics import Diagnostic
from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.parser import parse

HEAD = "orch 1\n\nmodel fast { id = x }\n\n"
TAIL = "\n\nsecret LAST\n"


def faults(text: str) -> tuple[ast.Document, list[Diagnostic]]:
    return parse(SourceFile("x.orch", HEAD + text + TAIL))


def one(text: str) -> Diagnostic:
    """The only report, with every declaration still there."""
    document, found = faults(text)
    assert len(found) == 1, [item.message for item in found]
    assert len(document.declarations) == 4
    assert isinstance(document.declarations[-1], ast.SecretDecl)
    return found[0]


def mended(text: str, report: Diagnostic) -> list[Diagnostic]:
    """What is left to report once the fix is applied."""
    assert report.fix is not None
    assert report.fix.safety == "safe"
    whole = HEAD + text + TAIL
    for edit in sorted(report.fix.edits, key=lambda e: -e.span.start):
        whole = whole[: edit.span.start] + edit.text + whole[edit.span.end :]
    return parse(SourceFile("x.orch", whole))[1]


@pytest.mark.parametrize(
    ("text", "code", "message", "shown"),
    [
        (
            "model m {\n  timeout: 30s\n  id = y\n}",
            "ORC003",
            "settings use `=`; write `timeout = 30s`",
            ":",
        ),
        (
            "model m {\n  max_rounds 6\n  id = y\n}",
            "ORC004",
            "`=` is missing; did you mean `max_rounds = 6`?",
            "max_rounds 6",
        ),
        (
            "model m {\n  fallback fast\n  id = y\n}",
            "ORC004",
            "`=` is missing; did you mean `fallback = fast`?",
            "fallback fast",
        ),
        ("model m {\n  id = y # note\n}", "ORC907", "comments begin with `//`, not `#`", "#"),
        ("model m { a = [x y] }", "ORC001", "expected `,` before `y`", "y"),
        ("model m { a = 'x' }", "ORC001", "strings need double quotes", "'x'"),
        ("model m { id = y }\n}", "ORC001", "this `}` closes nothing", "}"),
        (
            "schema S { a = int }",
            "ORC001",
            "fields and map entries use `:`; write `a: int`",
            "=",
        ),
        ("schema S { a int }", "ORC001", "expected `:` between `a` and its type or value", "int"),
    ],
)
def test_faults_with_a_safe_fix(text: str, code: str, message: str, shown: str) -> None:
    report = one(text)
    assert (report.code, report.message, report.span.text) == (code, message, shown)
    assert mended(text, report) == []


@pytest.mark.parametrize(
    ("text", "code", "message", "at"),
    [
        (
            "model m {\n  timeout =\n  id = y\n}",
            "ORC001",
            "expected a value after `timeout =`",
            (6, 3),
        ),
        ("model m {\n  timeout =\n}", "ORC001", "expected a value after `timeout =`", (6, 3)),
        ("model m {\n  b { t = u = 3 }\n}", "ORC001", "expected a value after `t =`", (6, 7)),
        ("model m {\n  a = { k: , j: 1 }\n}", "ORC001", "expected a value after `k:`", (6, 9)),
        ("template t =", "ORC001", "expected a value after `t =`", (5, 10)),
        ("schema S {\n  a:\n  b: int\n}", "ORC001", "expected a type after `a:`", (6, 3)),
        ('model m {\n  id = "y\n  a = 1\n}', "ORC005", "this string is never closed", (6, 8)),
        ('model m {\n  id = y"\n  a = 1\n}', "ORC005", "this string is never opened", (6, 8)),
        (
            'worker w() -> T via llm {\n  prompt = """\n  text\n  model = y\n}',
            "ORC005",
            'this `"""` text block is never closed',
            (6, 12),
        ),
        (
            "worker w() -> T via llm {\n  model = y\n",
            "ORC002",
            "`worker w` opened at line 5 is never closed",
            (5, 25),
        ),
        (
            "orchestrator o() -> T {\n  policy {\n    a = 1\n  limit x { b = 1 }\n}",
            "ORC002",
            "`policy` opened at line 6 is never closed",
            (6, 10),
        ),
        ("worker w(a: int -> T via llm {}", "ORC002", "this `(` is never closed", (5, 9)),
        ("model m { id = y § }", "ORC001", "unexpected character `§`", (5, 18)),
        ("model m { id = y && z }", "ORC001", "there is no operator `&&`", (5, 18)),
        ("model m { id = x if y }", "ORC001", "`x if c` needs its `else`", (5, 18)),
    ],
)
def test_faults_and_where_they_are(text: str, code: str, message: str, at: tuple[int, int]) -> None:
    _, found = faults(text)
    report = found[0]
    assert (report.code, report.message) == (code, message)
    position = report.span.begin_position
    assert (position.line, position.column) == at
    assert len(found) == 1 or "&&" in text


def test_a_block_closed_by_indentation_keeps_its_neighbours_in_place() -> None:
    document, _ = faults("orchestrator o() -> T {\n  policy {\n    a = 1\n  limit x { b = 1 }\n}")
    node = document.declarations[2]
    assert isinstance(node, ast.OrchestratorDecl)
    assert [m.name.text for m in node.body.members if isinstance(m, ast.Block)] == [
        "policy",
        "limit",
    ]


def test_nodes_after_a_repair_stand_where_they_stood() -> None:
    document, _ = faults("model m {\n  max_rounds 6\n  b: 2\n  id = y\n}")
    node = document.declarations[2]
    assert isinstance(node, ast.ModelDecl)
    assert [m.span.text for m in node.body.members] == ["max_rounds 6", "b: 2", "id = y"]


def test_at_most_two_reports_a_declaration_and_all_declarations_are_looked_at() -> None:
    bad = "model m{0} {{\n  a: 1\n  b: 2\n  c: 3\n  d: 4\n}}\n"
    document, found = faults(bad.format(1) + bad.format(2))
    assert [item.code for item in found] == ["ORC003"] * 4
    assert len(document.declarations) == 5


def test_a_hopeless_body_keeps_its_head() -> None:
    text = "model m {\n" + "".join(f"  = {i} = = )\n" for i in range(20)) + "}"
    document, found = faults(text)
    assert 1 <= len(found) <= 2
    assert [type(d).__name__ for d in document.declarations][2:] == ["ModelDecl", "SecretDecl"]


def test_no_report_names_a_terminal_of_the_grammar() -> None:
    pieces = ["=", "{", "}", "(", ")", "[", "]", ",", ":", "->", "via", "1", '"s"', "x", "@", "|"]
    for piece in pieces:
        for place in (
            "model {0} m {{ }}",
            "worker w{0}(a: t) -> t via llm {{ }}",
            "schema S {0} {{ a: t }}",
            "model m {{ a = {0} }}",
            "schema S {{ a: t {0} }}",
            "import {0}",
            "worker w(a: t) {0} t via llm {{ b = 1 }}",
        ):
            for item in faults(place.format(piece))[1]:
                assert not re.search(r"[A-Z]{3}|__", item.message), item.message


def test_a_declaration_inside_a_text_block_stays_text() -> None:
    text = 'template t = """\nmodel inner {\n}\n"""\nmodel m { a: 1 }'
    document, found = faults(text)
    assert [item.code for item in found] == ["ORC003"]
    assert [type(d).__name__ for d in document.declarations] == [
        "Edition",
        "ModelDecl",
        "TemplateDecl",
        "ModelDecl",
        "SecretDecl",
    ]


def test_the_name_of_a_declaration_that_is_lost_is_kept() -> None:
    document, found = faults("worker w(1) -> string via llm {}")
    assert [item.message for item in found] == ["expected a name or `)` after `(`, found `1`"]
    assert [name.text for name in document.lost] == ["w"]
    assert document.lost[0].span.begin_position.line == 5
