"""`format_text`: what it refuses, line ends, and that it would notice its own bugs."""

from __future__ import annotations

import pytest

import engine
from engine.errors import CompileError, InternalError
from engine.formatter import trivia
from engine.formatter.agreement import difference
from engine.formatter.formatting import format_text
from engine.source import SourceFile
from engine.syntax.parser import parse


def differ(one: str, other: str) -> str | None:
    left, right = (parse(SourceFile("x.orch", text))[0] for text in (one, other))
    return difference(left, right)


def test_public_face() -> None:
    assert engine.format_text("orch   1", filename="x.orch") == "orch 1\n"


def test_nothing_stays_nothing() -> None:
    assert format_text("") == ""
    assert format_text(" \n\n") == ""


def test_a_syntax_error_is_refused() -> None:
    with pytest.raises(CompileError) as caught:
        format_text('orch 1\nmodel m { id "x" }\n', "a.orch")
    assert "a.orch:2" in str(caught.value)


def test_an_unknown_declaration_is_refused() -> None:
    with pytest.raises(CompileError, match="unknown declaration `modle`"):
        format_text('orch 1\nmodle m { id = "x" }\n')


def test_a_file_without_its_edition_is_formatted() -> None:
    assert format_text("param   a:int") == "param a: int\n"


def test_line_ends_are_those_of_the_first_line() -> None:
    text = 'orch 1\r\ntemplate t = """\n  a\r\n  b\n"""\nparam a:int\n'
    expected = 'orch 1\r\n\r\ntemplate t = """\r\n  a\r\n  b\r\n"""\r\n\r\nparam a: int\r\n'
    assert format_text(text) == expected
    assert format_text(expected) == expected
    assert "\r" not in format_text("orch 1\nparam a: int\r\n")


def test_a_text_that_cannot_be_indented_stays() -> None:
    token = '"""\na\r\r\nb\n"""'
    assert token in format_text(f"orch 1\ntemplate t = {token}")
    token = '"""\r\na\r\r\nb\r\n"""'
    assert token in format_text(f"orch 1\r\ntemplate t = {token}")


def test_deep_nesting() -> None:
    for text in ("[" * 99 + "]" * 99, "(" * 99 + "1" + ")" * 99, "1 if a else " * 170 + "2"):
        result = format_text(f"orch 1\nmodel m {{ x = {text} }}\n")
        assert format_text(result) == result


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("param a: int", "param b: int"),
        ("param a: int = 1", "param a: int = 1.0"),
        ("param a: int = 1", "param a: int = true"),
        ("param a: int", "param a: int\nparam a: int"),
        ('template t = """\n  a\n"""', 'template t = """\n  a"""'),
        ("model m { a = (1 + 2) * 3 }", "model m { a = 1 + 2 * 3 }"),
        ("param a: (int | string)[]", "param a: int | string[]"),
        ("// one\nparam a: int", "// two\nparam a: int"),
        ("// one\nparam a: int", "param a: int"),
        ("/// one\nparam a: int", "// one\nparam a: int"),
        ("schema S {\n/// doc\na: int\nb: int }", "schema S { a: int\n/// doc\nb: int }"),
    ],
)
def test_what_differs(one: str, other: str) -> None:
    assert differ(one, one) is None
    assert differ(one, other) is not None


def test_layout_is_no_difference() -> None:
    assert differ("param a:int=1//x", "\n param a :\nint = 1  //x  \n") is None


def test_a_planted_bug_that_loses_comments_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    attach = trivia.Trivia._attach

    def forgetful(self, comments, tree):  # type: ignore[no-untyped-def]
        attach(self, comments[1:], tree)

    monkeypatch.setattr(trivia.Trivia, "_attach", forgetful)
    with pytest.raises(InternalError, match=r"x\.orch cannot be formatted: a comment"):
        format_text("orch 1\n// lost\nparam a:int", "x.orch")


def test_a_planted_bug_that_changes_the_meaning_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from engine.formatter.expressions import ExpressionLayout

    monkeypatch.setattr(ExpressionLayout, "_text", lambda self, token: str(token).lower())
    with pytest.raises(InternalError, match="a declaration would be another one"):
        format_text("orch 1\nparam A:int", "x.orch")
