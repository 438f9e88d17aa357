"""The text of a finding as a person sees it: carets, widths, clipping, colours, the summary."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.diagnostics import Edit, Fix, Related, diagnostic, render_terminal
from engine.source import SourceFile, Span

TEXT = """\
orch 1

model fast {
  id = "openai/gpt-5-mini"
}
"""


def span(source: SourceFile, text: str) -> Span:
    start = source.text.index(text)
    return Span(source, start, start + len(text))


def shown(text: str) -> str:
    return dedent(text).lstrip("\n")


def test_a_finding_shows_its_line_with_carets_under_the_range():
    source = SourceFile("a.orch", TEXT)
    item = diagnostic("ORC103", "models have no setting `id`", span(source, "id ="), help="drop it")

    assert render_terminal.render([item]) == shown(
        """
        error[ORC103]: models have no setting `id`
         --> a.orch:4:3
          |
        4 |   id = "openai/gpt-5-mini"
          |   ^^^^
          = help: drop it
        """
    )


def test_related_places_and_fixes_are_shown():
    source = SourceFile("a.orch", TEXT)
    item = diagnostic(
        "ORC102",
        "`fast` is already declared",
        span(source, "fast"),
        related=(Related("first declared here", span(source, "orch")),),
        fix=Fix("rename it", (Edit(span(source, "fast"), "faster"),), "unsafe"),
    )

    assert render_terminal.render([item]) == shown(
        """
        error[ORC102]: `fast` is already declared
         --> a.orch:3:7
          |
        3 | model fast {
          |       ^^^^
          = note: first declared here
         --> a.orch:1:1
          |
        1 | orch 1
          | ----
          = fix: rename it (may change the meaning)
        """
    )


def test_a_range_over_several_lines_has_a_bar():
    source = SourceFile("a.orch", TEXT)
    item = diagnostic("ORC002", "never closed", span(source, TEXT[8:-1]))

    assert render_terminal.render([item]) == shown(
        """
        error[ORC002]: never closed
         --> a.orch:3:1
          |
        3 | / model fast {
        4 | |   id = "openai/gpt-5-mini"
        5 | | }
          | |_^
        """
    )


def test_the_middle_of_a_long_range_is_left_out():
    text = "a {\n" + "x\n" * 20 + "}"
    source = SourceFile("a.orch", text)

    lines = render_terminal.render([diagnostic("ORC002", "m", Span(source, 0, len(text)))])

    assert [line.split("|")[0].strip() for line in lines.splitlines()[2:]] == [
        "", "1", "2", "3", "...", "22", ""
    ]  # fmt: skip


def test_a_range_that_ends_after_a_line_end_stays_on_its_line():
    source = SourceFile("a.orch", TEXT)
    text = render_terminal.render([diagnostic("ORC001", "m", span(source, "orch 1\n"))])

    assert text.endswith("1 | orch 1\n  | ^^^^^^\n")


@pytest.mark.parametrize(
    ("line", "word", "drawn", "marks"),
    [
        ('\tx = "a"', "x", '    x = "a"', "    ^"),
        ("ab\tx", "x", "ab  x", "    ^"),
        ("日本 = 日本語", "日本語", "日本 = 日本語", "       ^^^^^^"),
        ("e\u0301t\u00e9 = x", "x", "e\u0301t\u00e9 = x", "      ^"),
    ],
)
def test_carets_stand_under_tabs_and_wide_characters(line, word, drawn, marks):
    source = SourceFile("a.orch", line)
    start = line.rindex(word)
    item = diagnostic("ORC001", "m", Span(source, start, start + len(word)))

    assert render_terminal.render([item]).splitlines()[3:] == [f"1 | {drawn}", f"  | {marks}"]


def test_a_long_line_is_clipped_around_the_range():
    line = "x" * 5_000 + "HERE" + "y" * 5_000
    source = SourceFile("a.orch", line)
    item = diagnostic("ORC001", "m", Span(source, 5_000, 5_004))

    text, marks = render_terminal.render([item], width=80).splitlines()[3:]

    assert len(text) <= 80
    assert text.startswith("1 | …x")
    assert text.endswith("y…")
    assert text.index("HERE") == marks.index("^^^^")


def test_the_end_of_a_file_gets_one_caret():
    source = SourceFile("a.orch", "orch 1\n")
    item = diagnostic("ORC001", "expected a declaration", Span(source, 7, 7))

    assert render_terminal.render([item]).splitlines()[1:] == [
        " --> a.orch:2:1",
        "  |",
        "2 |",
        "  | ^",
    ]


def test_control_characters_never_reach_the_terminal():
    source = SourceFile("a\x1b[2J.orch", "x = \x1b]0;owned\x07 \u202e \r")
    item = diagnostic("ORC001", "bad \x1b[31m", Span(source, 4, 5), help="see \x07")

    text = render_terminal.render([item])

    assert not set(text) & {"\x1b", "\x07", "\r", "\u202e"}


@given(st.text(max_size=60), st.data())
def test_any_text_and_range_can_be_shown(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    item = diagnostic("ORC001", "m", Span(SourceFile("a.orch", text), start, end))

    shown_text = render_terminal.render([item], width=50)

    assert "^" in shown_text.splitlines()[-1]
    assert "\x1b" not in shown_text


def test_colours_only_where_asked_and_nothing_else_changes():
    item = diagnostic("ORC405", "no budget", span(SourceFile("a.orch", TEXT), "fast"), help="h")
    plain = render_terminal.render([item])
    painted = render_terminal.render([item], color=True)

    assert "\x1b[" not in plain
    assert "\x1b[1;33mwarning[ORC405]\x1b[0m" in painted
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == plain


@pytest.mark.parametrize(
    ("codes", "files", "expected"),
    [
        ([], 1, "no problems found in 1 file"),
        (["ORC001"], 1, "1 error in 1 file"),
        (["ORC001", "ORC002", "ORC405"], 2, "2 errors and 1 warning in 2 files"),
        (["ORC001", "ORC405", "ORC411"], 3, "1 error, 1 warning and 1 note in 3 files"),
    ],
)
def test_the_summary_counts(codes, files, expected):
    source = SourceFile("a.orch", TEXT)
    found = [diagnostic(code, "m", span(source, "fast")) for code in codes]

    assert render_terminal.summary(found, files) == expected
