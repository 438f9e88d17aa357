"""`lint`: the rules' registry, the catalogue, suppression, unsaved texts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import engine
from engine.diagnostics import RULES
from engine.linter import lint
from engine.linter.fixing import apply_fixes
from engine.sema.names.loader import MemoryReader

ROOT = Path(engine.__file__).parent

BASE = """orch 1

model m { id = "openai/x" }
worker w(q: string) -> string via http {
  url = "https://a.example/" ~ (q | segment)%s
}
"""


def codes(text: str) -> list[tuple[str, int]]:
    found = lint("/base/l.orch", reader=MemoryReader({"l.orch": text}, "/base"))
    return [(item.code, item.span.begin_position.line) for item in found]


def test_every_rule_of_the_catalogue_is_built_and_every_built_one_is_in_it() -> None:
    used: set[str] = set()
    for path in ROOT.rglob("*.py"):
        if path.name != "catalogue.py":
            used |= set(re.findall(r'"(ORC\d{3})"', path.read_text()))
    assert used == set(RULES)


def test_every_rule_has_a_case_or_a_test_of_its_own() -> None:
    tests = Path("tests")
    texts = "\n".join(
        path.read_text()
        for path in tests.rglob("*")
        if path.suffix in (".orch", ".py") and path.is_file()
    )
    assert [code for code in RULES if code not in texts] == []


def test_an_unsaved_text_is_linted_instead_of_the_file() -> None:
    path = "tests/fixtures/examples/minimal.orch"
    broken = Path(path).read_text().replace("model   = gpt", "model   = gtp")
    found = lint(path, source_text=broken)
    assert [item.code for item in found if item.severity == "error"] == ["ORC101"]


def test_a_suppression_at_the_end_of_the_line() -> None:
    text = BASE % ""
    assert codes(text) == [("ORC504", 4)]
    assert codes(text.replace("via http {", "via http {  // orch: allow[ORC504] local")) == []


def test_a_suppression_on_the_line_above() -> None:
    text = (BASE % "").replace("worker w", "// orch: allow[ORC504] local\nworker w")
    assert codes(text) == []


def test_a_suppression_of_something_else_is_unused() -> None:
    text = (BASE % "").replace("worker w", "// orch: allow[ORC405]\nworker w")
    assert codes(text) == [("ORC901", 4), ("ORC504", 5)]


@pytest.mark.parametrize("comment", ["orch: allow[]", "orch: allow[ORC9]", "orch: allow[orc504]"])
def test_a_suppression_that_names_no_rule(comment: str) -> None:
    text = (BASE % "  timeout = 1s").replace("worker w", f"// {comment}\nworker w")
    assert codes(text) == [("ORC901", 4)]


@pytest.mark.parametrize(
    ("comment", "after"),
    [
        ("// orch: allow[]", ""),
        ("// orch: allow[ORC405] why", ""),
        ("// orch: allow[ORC405, ORC504] why", "// orch: allow[ORC504] why\n"),
        ("// orch: allow[ORC504, no-budget] why", "// orch: allow[ORC504] why\n"),
        ("// orch: allow[ORC405, ORC504, ORC409] why", "// orch: allow[ORC504] why\n"),
        ("// orch: allow[orc504] why", "// orch: allow[ORC504] why\n"),
        ("// orch: allow[No-Timeout] why", "// orch: allow[no-timeout] why\n"),
    ],
)
def test_a_suppression_without_use_can_be_taken_out(comment: str, after: str) -> None:
    text = (BASE % "").replace("worker w", f"{comment}\nworker w")
    for _ in range(2):
        found = lint("a.orch", source_text=text)
        text, _applied = apply_fixes(text, [d for d in found if d.code == "ORC901"])
    assert text == (BASE % "").replace("worker w", f"{after}worker w")


def test_a_suppression_says_why() -> None:
    text = (BASE % "").replace("worker w", "// orch: allow[no-timeout]\nworker w")
    assert codes(text) == [("ORC910", 4)]
    assert codes(text.replace("]", "] it is local")) == []


def test_an_error_that_leaves_the_program_sound_may_be_allowed() -> None:
    text = (BASE % "  timeout = 1s") + (
        "worker p(q: string) -> string via python {\n"
        '  call = "not_here:f"  // orch: allow[ORC506] on the other machine\n}\n'
    )
    assert codes(text) == []


def test_an_error_of_names_may_not() -> None:
    text = (BASE % "  timeout = 1s") + (
        "worker p(q: string) -> string via llm {\n"
        '  model = n  // orch: allow[ORC101]\n  prompt = "{{ q }}"\n}\n'
    )
    assert codes(text) == [("ORC101", 8), ("ORC901", 8)]


def test_warnings_keep_quiet_about_a_declaration_with_an_error() -> None:
    assert codes(BASE % "  timeout = 30") == [("ORC203", 5)]


def test_unused_things_are_told_only_when_everything_could_be_read() -> None:
    rest = (
        "schema Unused { a: int }\nverifier v(result: json) via rules { assert result }\n"
        'orchestrator o(t: string) -> string { model = m  goal = "{{ t }}"  workers = [w]\n'
        "  policy { max_rounds = 1  budget { cost = $1 } }\n"
        "  verify { before_finish { with = v } } }\n"
    )
    text = (BASE % "  timeout = 1s") + rest
    assert codes(text) == [("ORC705", 7)]
    assert codes(text.replace("with = v ", "with = vv ")) == [("ORC101", 11)]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("assert n > 7 // 2", ["ORC909"]),
        ("assert n > (7 // 2)\n > 1)", ["ORC909"]),
        ("assert n > 7 // two at least", []),
        ("assert n > 7  // 2 of 3", []),
        ("// 2\n  assert n > 7", []),
    ],
)
def test_a_comment_that_looks_like_a_division_is_told(line: str, found: list[str]) -> None:
    text = f"orch 1\nverifier v(n: int) via rules {{\n  {line}\n}}\n"
    assert [item.code for item in lint("main.orch", source_text=text)] == found
