"""The Pygments lexer: every file in colour, nothing lost, and the grammar's words known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.token import Comment, Error, Keyword, Name, Operator, String, Token

from grammar import grammar_text
from grammar.highlighting import OrchLexer

ROOT = Path(__file__).parents[3]
FILES = [
    *(ROOT / "tests" / "fixtures" / "examples").glob("*.orch"),
    *(ROOT / "workflows").rglob("*.orch"),
    *(ROOT / "tests" / "cases").rglob("*.orch"),
]


def tokens(text):
    return list(OrchLexer(stripnl=False, ensurenl=False).get_tokens(text))


def kinds(text):
    """The kind of each word of a text that is seen."""
    return {word: kind for kind, word in tokens(text) if word.strip()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_of_a_file_is_lost(path):
    text = path.read_text("utf-8", errors="replace").replace("\r\n", "\n").removeprefix("\ufeff")

    assert "".join(word for _, word in tokens(text)) == text


@pytest.mark.parametrize("path", FILES[:6], ids=lambda path: path.name)
def test_a_right_file_has_no_errors(path):
    assert not [word for kind, word in tokens(path.read_text("utf-8")) if kind is Error]


def test_every_keyword_of_the_grammar_is_one_here():
    grammar = grammar_text()
    soft = re.findall(r'^[A-Z]+: "([a-z]+)"$', grammar, re.M)
    hard = re.findall(r"^[A-Z]+\.2: /([a-z]+)\(", grammar, re.M)
    assert len(soft) > 15
    assert len(hard) > 7
    for word in soft:
        line = {
            "orch": "orch 1",
            "fails": "x fails y",
            "via": "x via y",
            "for": 'test "x" for y',
            "as": 'import "x" as y',
        }.get(word, f"{word} x")
        assert kinds(line)[word] in Keyword, word
    for word in hard:
        kind = kinds(f"x = a {word} b")[word]
        assert kind in Keyword or kind is Operator.Word, word


def test_a_keyword_may_be_a_name():
    seen = kinds("x { model = fast  if: int  in = 3 }")

    assert seen["model"] is Name.Attribute
    assert seen["if"] is Name.Variable
    assert seen["in"] is Name.Attribute


def test_comments_docs_suppressions_and_templates_are_told_apart():
    text = """\
/// Doc.
// Comment.
// orch: allow[ORC302] so
x = "a {{ b }} \\n"
y = \"\"\"{% if c %} " \"\"\"
"""
    seen = kinds(text)

    assert seen["/// Doc."] is String.Doc
    assert seen["// Comment."] is Comment.Single
    assert seen["orch: allow"] is Comment.Special
    assert seen["{{ b }}"] is String.Interpol
    assert seen["\\n"] is String.Escape
    assert seen["{% if c %}"] is String.Interpol


def test_declarations_say_what_they_declare():
    seen = kinds("orch 1\nschema Finding {}\nworker find() -> string via llm {}\n")

    assert seen["Finding"] is Name.Class
    assert seen["find"] is Name.Function
    assert seen["string"] is Keyword.Type
    assert seen["llm"] is Name.Builtin
    assert Token.Error not in seen.values()


def test_pygments_finds_it_by_name_and_by_file():
    assert type(get_lexer_by_name("orch")).__name__ == "OrchLexer"
    assert type(get_lexer_for_filename("x.orch")).__name__ == "OrchLexer"


def test_a_step_of_a_plan_is_a_keyword_and_a_name():
    found = kinds("worker p(q: string) -> string via plan { step one { call = f(q=q) } }")
    assert (found["step"], found["one"]) == (Keyword, Name.Variable)
    assert found["call"] is Name.Attribute
    assert kinds("x = step")["step"] is Name
