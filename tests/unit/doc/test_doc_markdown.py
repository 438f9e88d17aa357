"""What a file says stays where the page puts it, for a parser of CommonMark with tables."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from engine.doc import page
from engine.doc.tables import code, fenced, paragraph, table
from engine.sema.check import check_file

MARKDOWN = MarkdownIt("commonmark").enable("table")
STEADY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXTS = st.text(st.sampled_from("`~|\\<>&!-+*_#=1.) \nab"), max_size=20)


def tokens(text: str) -> list[Token]:
    found = MARKDOWN.parse(text)
    return [inner for token in found for inner in (token, *(token.children or ()))]


@STEADY
@given(TEXTS)
def test_inline_code_holds_any_text(text: str) -> None:
    shown = " ".join(text.split())
    cells = table(("a", "b"), [(code(text), "x")])[2]
    found = tokens("\n".join(["| a | b |", "| --- | --- |", cells]))
    assert [t.content for t in found if t.type == "code_inline"] == ([shown] if shown else [])
    assert not [t for t in found if t.type.startswith("html")]


@STEADY
@given(TEXTS)
def test_a_block_of_code_holds_any_text(text: str) -> None:
    found = tokens("\n".join([*fenced("console", text), "", "after"]))
    assert [t.content for t in found if t.type == "fence"] == [text + "\n"]
    assert found[-2].content == "after"


@STEADY
@given(TEXTS)
def test_a_doc_comment_is_one_paragraph(text: str) -> None:
    found = tokens(f"before\n\n{paragraph(text)}\n\nafter\n")
    blocks = [t.type for t in found if t.nesting == 1 and t.block]
    assert set(blocks) == {"paragraph_open"}
    assert not [t for t in found if t.type.startswith(("html", "fence", "hr", "code_block"))]
    assert [t.content for t in found if t.type == "text"][-1] == "after"


PROGRAM = """orch 1
/// ~~~ a fence
model planner {{ id = "scripted/plan.json" }}
/// ``` another
schema Kind = {value}
/// # no heading
worker look(q: Kind) -> Kind via command {{ run = ["true", q]  effect = read  timeout = 5s }}
/// - no list <img src=x>
orchestrator main() -> string {{
  model = planner
  goal = "Go."
  workers = [look]
  policy {{ max_rounds = 1 }}
}}
"""


@pytest.mark.parametrize("value", ["a``<img src=x>", "`<b>`", "```", "a\\n```\\n<i>x</i>"])
def test_no_page_has_html_or_loses_its_end(tmp_path: Path, value: str) -> None:
    path = tmp_path / "``` <img src=y>.orch"
    path.write_text(PROGRAM.format(value=f'"{value}" | "other"'))
    program = check_file(str(path)).partial
    found = tokens(page(program))
    assert not [t for t in found if t.type.startswith("html")]
    headings = [a.content for t, a in pairwise(found) if t.type == "heading_open"]
    assert headings[-1] == "`Kind`"


def test_the_page_says_where_values_must_come_from_and_what_is_endorsed(tmp_path: Path) -> None:
    case = Path(__file__).parents[2] / "cases" / "security" / "what_strangers_choose.orch"
    program = check_file(str(case)).partial
    text = page(program)
    assert "| `name` | `string` |  | from `contacts.name` or `request` |" in text
    assert "| before dispatch of `reply` | `looked` | deny | `cc` |" in text
