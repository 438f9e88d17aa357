"""Slips in the steps of a plan: one finding each, which says what to write."""

from __future__ import annotations

import pytest

from engine.linter import lint

PLAN = """orch 1

model m { id = "openai/gpt-5-mini" }

schema Note { title: string, words: int }

worker list_notes(topic: string) -> Note[] @items(max: 20) via llm {
  model  = m
  prompt = "{{ topic }}"
}
worker sum_up(title: string) -> Note via llm { model = m  prompt = "{{ title }}" }
worker join(parts: Note[]) -> Note via llm { model = m  prompt = "{{ parts | json }}" }

/// Sums up.
worker digest(
  topic: string, files: string[] @items(max: 5), most: int = 9 @max(40)
) -> Note via plan {
  max_items = 200
  step notes { call = list_notes(topic=topic) }
  step sums {
    each = notes
    take = most
    call = sum_up(title=item.title)
  }
  step again { each = files  call = sum_up(title=item) }
  step merged { reduce = sums + again  size = 10  call = join(parts=parts) }
  result = merged
}
"""
IS_ITEM = "an expression is not a function: the value is `item`"

SLIPS = [
    (
        "take = most",
        "where = lambda i: i.words > 3",
        f"{IS_ITEM} (write `where = item.words > 3`)",
    ),
    ("take = most", "where = i => i.words > 3", f"{IS_ITEM} (write `where = item.words > 3`)"),
    ("take = most", "sort_by = (i) => i.words", f"{IS_ITEM} (write `sort_by = item.words`)"),
    ("take = most", "where = lambda a, b: a.words > 3", f"{IS_ITEM} (write `where = item...`)"),
    ("take = most", "where = item.words => 3", "there is no operator `=>` (write `>=`)"),
    ("take = most", "limit = most", "steps have no setting `limit` (did you mean `take`?)"),
    ("take = most", "filter = true", "steps have no setting `filter` (did you mean `where`?)"),
    ("take = most", "sort = item.words", "no setting `sort` (did you mean `sort_by`?)"),
    (
        "each = files",
        'each = { "$from": "files" }',
        "this is `{ $from: string }` (a plan names its values: write `each = files`)",
    ),
    (
        "reduce = sums + again",
        'reduce = { "$from": "notes", "at": "/0/titles" }',
        "a plan names its values: write `reduce = notes.0.titles`",
    ),
    (
        "take = most",
        "when = merged is ok",
        "`merged` is not known yet here: a step reads earlier steps only",
    ),
    ("take = most", "when = mergd is failed", "`mergd` is not defined here"),
]


def _found(text: str) -> list[str]:
    return [
        item.message if item.help is None else f"{item.message} ({item.help})"
        for item in lint("main.orch", source_text=text)
        if item.code not in ("ORC711", "ORC401")
    ]


def test_the_plan_without_a_slip_is_clean() -> None:
    assert _found(PLAN) == []


@pytest.mark.parametrize(("right", "wrong", "said"), SLIPS, ids=[wrong for _, wrong, _ in SLIPS])
def test_a_slip_is_one_finding_that_says_what_to_write(right: str, wrong: str, said: str) -> None:
    found = _found(PLAN.replace(right, wrong, 1))
    assert len(found) == 1, found
    assert said in found[0]


def test_the_fix_of_a_function_is_the_expression_and_is_not_applied_unasked() -> None:
    (found,) = lint(
        "main.orch", source_text=PLAN.replace("take = most", "where = lambda i: i.words")
    )
    assert found.fix is not None
    assert found.fix.safety == "unsafe"
    assert [edit.text for edit in found.fix.edits] == ["item.words"]


@pytest.mark.parametrize(
    "reduce",
    ["(sums or [])", "(sums if sums is not none else [])", "(sums or []) + again"],
)
def test_a_value_for_a_skipped_step_keeps_its_bound(reduce: str) -> None:
    text = PLAN.replace("take = most", 'take = most\n    when = topic != "x"')
    text = text.replace("reduce = sums + again", f"reduce = {reduce}")
    assert _found(text) == []


def test_the_longer_of_two_lists_is_the_bound() -> None:
    text = PLAN.replace("max_items = 200", "max_items = 45")
    text = text.replace("each = files", "each = (files if most > 3 else sums)")
    text = text.replace("call = sum_up(title=item) }", "call = sum_up(title=topic) }")
    (found,) = _found(text)
    assert "the steps may become 46 tasks" in found
