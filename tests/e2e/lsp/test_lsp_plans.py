"""Plans in an editor: hover, names, completion, outline, colours, hints."""

from __future__ import annotations

from typing import Any

import pytest

PLAN = """orch 1

model fast { id = "openai/gpt-5-mini" }

schema File { path: path, commits: int }

schema Review { path: path, risk: "low" | "high", summary: string }

worker churn(repo: path) -> File[] via llm { model = fast  prompt = "{{ repo }}" }

worker review(path: path, focus: string?) -> Review via llm {
  model  = fast
  prompt = "{{ path }} {{ focus or 'all' }}"
}

worker merge(parts: Review[]) -> Review via llm { model = fast  prompt = "{{ parts | json }}" }

worker review_all(repo: path, top: int = 20 @max(50)) -> Review via plan {
  max_items = 200
  step survey { call = churn(repo=repo) }
  step all {
    each  = survey
    where = item.commits > 3
    take  = top
    call  = review(path=item.path)
  }
  step risky {
    each  = all.pairs
    where = item.output.risk == "high"
    call  = review(path=item.item.path, focus="security")
  }
  step merged { reduce = all + risky  size = 20  call = merge(parts=parts) }
  step final {
    when = merged.risk == "high"
    repeat     { max = 3  until = draft.risk == "low"  start = merged  gives = draft }
    step draft { call = merge(parts=[last]) }
  }
  step tail { after = [final]  call = churn(repo=repo) }
  result = final if final is not none and tail != [] else merged
}
"""


@pytest.fixture
def plan(work: Any) -> Any:
    """The editor with a plan in `main.orch`."""
    assert work.set(PLAN) == []
    return work


def hover(work: Any, *place: Any) -> str:
    found = work.ask("hover", work.at(*place))
    return "" if found is None else str(found["contents"]["value"])


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (("step all", "all"), "type `Review[]`"),
        (("step all", "all"), "a step of `review_all`: each, at most 50 tasks"),
        (("= survey", "survey"), "type `File[]`"),
        (("all + risky", "risky"), "type `Review[]`"),
        (("final if", "final"), "type `Review?`"),
        (("step draft", "draft"), "at most 3 tasks"),
        (("gives = draft", "draft"), "type `Review`"),
        (("after = [final]", "final"), "a step of `review_all`: repeat"),
        (("all.pairs", "pairs"), "pairs: { index: int, item: File, output: Review }[]"),
        (("item.commits", "item"), "item: File"),
        (("item.commits", "commits"), "field of `File`"),
        (("path=item.path", "path"), "input of `review`"),
        (("parts=parts", "=parts", 1), "parts: Review[]"),
        (("parts=[last]", "last"), "last: Review"),
        (("call  = review(path=item.path)", "review"), "worker review(path"),
        (("call  = review(path=item.path)", "call"), "The worker and its inputs"),
        (("repo=repo", "=repo", 1), "input of `review_all`"),
        (("gives = draft", "gives"), "The step whose output a pass gives."),
        (("via plan", "plan"), "a plan: steps that call other workers"),
    ],
)
def test_hover(plan: Any, place: tuple[Any, ...], words: str) -> None:
    assert words in hover(plan, *place)


def line_of(work: Any, place: tuple[Any, ...]) -> list[str]:
    lines = PLAN.split("\n")
    found = work.ask("definition", work.at(*place))
    return [lines[item["range"]["start"]["line"]].strip() for item in found]


def test_definition(plan: Any) -> None:
    assert line_of(plan, ("all + risky", "risky")) == ["step risky {"]
    assert line_of(plan, ("gives = draft", "draft")) == [
        "step draft { call = merge(parts=[last]) }"
    ]
    assert line_of(plan, ("path=item.path", "path"))[0].startswith("worker review(")
    assert line_of(plan, ("item.commits", "commits"))[0].startswith("schema File")
    assert line_of(plan, ("call  = review(path=item.path)", "review"))[0].startswith(
        "worker review("
    )


def test_references_and_rename(plan: Any) -> None:
    place = plan.at("step merged", "merged")
    found = plan.ask("references", place, context={"includeDeclaration": True})
    assert len(found) == 4
    edit = plan.ask("rename", place, newName="whole")
    [change] = edit["documentChanges"]
    assert len(change["edits"]) == 4
    place = plan.at('risk == "low"', "risk")
    edit = plan.ask("rename", plan.at("focus: string?", "focus"), newName="about")
    assert len(edit["documentChanges"][0]["edits"]) == 3


def test_a_rename_to_a_name_that_is_taken_is_refused(plan: Any) -> None:
    from lsp_client import RequestError

    with pytest.raises(RequestError, match="risky"):
        plan.ask("rename", plan.at("step all", "all"), newName="risky")


#: A piece of the plan, what is typed in its place, what must and what must not be offered.
CASES = [
    ("    take  = top\n", "    ^\n", ["sort_by", "take", "tolerate"], ["max_items", "where"]),
    ("  max_items = 200\n", "  ^\n", ["max_items", "step"], ["effect", "each"]),
    ("{ max = 3  until", "{ ^ until", ["max", "settle"], ["call"]),
    (
        "call = churn(repo=repo) }\n  step all",
        "call = ^ }\n  step all",
        ["churn", "review"],
        ["fast"],
    ),
    ("call  = review(path=item.path)", "call  = review(^)", ["path", "focus"], ["survey"]),
    ("call  = review(path=item.path)", "call  = review(path=item.path, ^)", ["focus"], ["path"]),
    ("path=item.path)", "path=item.^)", ["path", "commits"], ["survey"]),
    ("path=item.path)", "path=^)", ["item", "index", "survey", "repo", "param"], ["risky", "last"]),
    ("where = item.commits > 3", "where = item.^", ["commits"], []),
    ('item.output.risk == "high"', "item.output.^", ["risk", "summary"], []),
    ('item.output.risk == "high"', 'item.output.risk == "^"', ["low", "high"], []),
    ("each  = all.pairs", "each  = all.^", ["pairs", "failures"], ["path"]),
    ("each  = survey", "each  = ^", ["survey", "repo"], ["all"]),
    ("gives = draft", "gives = ^", ["draft"], ["merged"]),
    ("after = [final]", "after = [^]", ["final", "merged"], ["tail", "repo"]),
    ("parts=[last]", "parts=[^]", ["last", "merged"], ["item"]),
    ('when = merged.risk == "high"', "when = merged is ^", ["ok", "failed", "none"], []),
    ("result = final if", "result = ^ if", ["final", "merged"], ["draft", "item"]),
    ("step risky {", "step ^ {", [], ["survey", "review"]),
]


@pytest.mark.parametrize(("piece", "typed", "offered", "not_offered"), CASES)
def test_completion(
    work: Any, piece: str, typed: str, offered: list[str], not_offered: list[str]
) -> None:
    assert PLAN.count(piece) == 1, piece
    found = work.type(PLAN.replace(piece, typed))
    assert [label for label in offered if label not in found] == [], found[:40]
    assert [label for label in not_offered if label in found] == []


def test_outline(plan: Any) -> None:
    symbol = plan.ask_all("documentSymbol")[-1]
    steps = [child["name"] for child in symbol["children"] if child["name"].startswith("step")]
    assert steps == [
        "step survey",
        "step all",
        "step risky",
        "step merged",
        "step final",
        "step tail",
    ]


def test_hints_tell_the_types_of_steps(plan: Any) -> None:
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}
    found = plan.ask_all("inlayHint", range=whole)
    assert ": Review[]" in [hint["label"] for hint in found]


def test_steps_have_a_colour(plan: Any) -> None:
    legend = plan.client.server["capabilities"]["semanticTokensProvider"]["legend"]["tokenTypes"]
    data = plan.ask_all("semanticTokens/full")["data"]
    lines, at, column = PLAN.split("\n"), 0, 0
    found = set()
    for number in range(0, len(data), 5):
        line, start, length, look, modifiers = data[number : number + 5]
        at, column = at + line, start if line else column + start
        found.add((lines[at][column : column + length], legend[look], modifiers))
    assert {("all", "variable", 1), ("all", "variable", 0), ("review", "function", 0)} <= found
