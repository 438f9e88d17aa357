"""What is found wrong with the steps of a decision before any of it starts."""

from __future__ import annotations

from typing import Any

import pytest
from step_program import decisions, program

from engine.runtime.step_checks import Producer, StepChecks, depends_on
from engine.sema.plans.json_form import read_step
from engine.sema.plans.shapes import SchemaShape
from engine.sema.plans.values import read_value

SURVEY: dict[str, Any] = {"id": "s", "worker": "survey", "input": {"repo": "."}}
FILES = {"$from": "s", "at": "/files"}
PATH = {"$item": "/path"}


def each(source: Any = FILES, **more: Any) -> dict[str, Any]:
    """An `each` over reviews; the keys of a selection go into it."""
    entry: dict[str, Any] = {
        "id": "all",
        "worker": "review",
        "each": dict(source),
        "input": {"path": PATH},
    }
    for key, value in more.items():
        place = (
            entry if key in ("id", "worker", "input", "when", "after", "label") else entry["each"]
        )
        place[key] = value  # type: ignore[index]
    return entry


def reduce(source: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": "m",
        "worker": "merge",
        "reduce": source,
        "size": 5,
        "input": {"parts": {"$parts": True}},
        **more,
    }


def where(value: Any, operator: str, *than: Any) -> Any:
    return [[{"value": value, "is": operator, **({"than": than[0]} if than else {})}]]


def item(pointer: str) -> dict[str, str]:
    return {"$item": pointer}


def output_of(worker: str) -> SchemaShape:
    return SchemaShape(program().workers[worker].output.schema)


EARLIER = {
    "old": Producer("task", "survey", output_of("survey")),
    "gone": Producer("task", "survey", output_of("survey"), failure="timeout"),
    "bad": Producer("each", "review", output_of("review"), failure="http"),
    "done": Producer("each", "review", output_of("review"), nested=False),
}


def checks(*entries: dict[str, Any]) -> StepChecks:
    steps = [read_step(entry) for entry in decisions().read({"tasks": list(entries)})["tasks"]]
    return StepChecks(steps, decisions().workers, EARLIER.get, EARLIER)


def task(**given: Any) -> dict[str, Any]:
    return {"id": "a", "worker": "review", "input": given}


ALL = each()
PAIRS = {"$from": "all", "pairs": True}
GOOD: list[list[dict[str, Any]]] = [
    [each(), SURVEY],  # in any order
    [each({"$from": "old", "at": "/files"})],
    [SURVEY, each(where=where(item("/commits"), ">", 3), sort_by="/commits", desc=True, take=20)],
    [SURVEY, each(where=where(item("/owner"), "==", None), unique_by="/owner")],
    [SURVEY, each(where=where(item("/owner"), "in", ["a", "b"]))],
    [SURVEY, each(where=where(item("/path"), "in", "abc"))],
    [SURVEY, each(where=where({"$from": "s", "at": "/total"}, "<", item("/commits")))],
    [SURVEY, each(where=where({"$index": True}, "<", 3))],
    [SURVEY, each(flatten="/tags", input={"path": item("")})],
    [SURVEY, each({"$from": "s", "at": "/by_owner"}, entries=True, input={"path": item("/key")})],
    [SURVEY, each({"$from": "s", "at": "/by_owner"}, input={"path": item("/anything")})],
    [SURVEY, each(input={"path": PATH, "at": {"$index": True}})],
    [SURVEY, each(flatten="/tags", input={"path": {"$index": True}})],
    [SURVEY, each(input={"path": PATH, "extra": {"deep": [item("/tags"), {"$from": "s"}]}})],
    [SURVEY, each(label=item("/path"), after=["old", "gone"])],
    [SURVEY, ALL, each(PAIRS, id="b", input={"path": item("/item/path")})],
    [SURVEY, ALL, reduce({"$from": "all"})],
    [SURVEY, ALL, reduce({"$from": "all"}, input={"parts": {"$parts": True}, "title": "x"})],
    [reduce({"$from": ["done", "done"]})],
    [reduce({"$from": "done"}), each({"$from": "m", "at": "/lines"}, input={"path": "x"})],
    # What finished of a step that failed can be read; how something ended can be tested.
    [each({"$from": "bad", "failures": True}, input={"path": item("/item")})],
    [each({"$from": "bad", "pairs": True}, input={"path": item("/output/notes")})],
    [each({"$from": "old", "at": "/files"}, when=where({"$from": "gone"}, "failed"))],
    [task(path={"$from": "done[3]", "at": "/notes"})],
    [SURVEY, ALL, task(path={"$from": "all[0]", "at": "/notes"})],
]  # fmt: skip


@pytest.mark.parametrize("entries", GOOD, ids=str)
def test_nothing_is_said_against_what_may_fit(entries: list[dict[str, Any]]) -> None:
    assert list(checks(*entries).problems()) == []


BAD: list[tuple[list[dict[str, Any]], str]] = [
    ([each({"$from": "survay"})], "task `all`: each refers to `survay`, which is not a task or st"),
    ([each({"$from": "olt"})], "each refers to `olt`, which is not a task or step; did you mean `"),
    ([each({"$from": "a b"})], "each refers to something that is not an id"),
    ([each({"$from": "all"})], "each refers to the step itself"),
    ([each({"$from": "gone", "at": "/files"})], "each refers to `gone`, which failed (timeout)"),
    ([each({"$from": "bad"})], "each refers to `bad`, which failed (http)"),
    ([SURVEY, each({"$from": "s"})], "each: the output of `s` is not a list: point at a list"),
    ([SURVEY, each({"$from": "s", "at": "/total"})], "each: the output of `s` at `/total` is not "),
    ([SURVEY, each({"$from": "s", "at": "/file"})], "each: the output of `s` (survey) can have no"),
    ([SURVEY, each({"$from": "s", "pairs": True})], "each: `s` has no `pairs`, only an entry with"),
    ([SURVEY, each(entries=True)], "each: the output of `s` at `/files` is not an object: leave o"),
    ([SURVEY, each(flatten="/path")], "each: the values have no list at `/path`: correct `flatten"),
    ([SURVEY, each(flatten=True)], "each: the values are not lists: correct `flatten`"),
    (
        [SURVEY, each(sort_by="/comits")],
        "each/sort_by: the item can have nothing at `/comits`; did you mean `/commits`?",
    ),
    (
        [SURVEY, each(), each(PAIRS, id="b", sort_by="/commits", input={"path": "x"})],
        "each/sort_by: the item can have nothing at `/commits`; did you mean `/item/commits`?",
    ),
    (
        [SURVEY, each(), each(PAIRS, id="b", input={"path": item("/item/pat")})],
        "input/path: the item can have nothing at `/item/pat`; did you mean `/item/path`?",
    ),
    (
        [SURVEY, each({"$from": "s", "at": "/file"})],
        "each: the output of `s` (survey) can have nothing at `/file`; did you mean `/files`?",
    ),
    (
        [SURVEY, each(flatten="/tag")],
        "each: the values have no list at `/tag`; did you mean `/tags`?",
    ),
    (
        [SURVEY, each({"$from": "s", "at": "/files/0/tagz"})],
        "each: the output of `s` (survey) can have nothing at `/files/0/tagz`; did you mean `/fil",
    ),
    ([SURVEY, each(sort_by="/tags")], "each/sort_by: what is at `/tags` is neither a number nor a"),
    ([SURVEY, each(unique_by="/x")], "each/unique_by: the item can have nothing at `/x`"),
    ([SURVEY, each(where=where(item("/x"), "empty"))], "each/where/0/0: the item can have nothing"),
    (
        [SURVEY, each(where=where(item("/commits"), ">", "3"))],
        "each/where/0/0: `>` cannot compare a number with a text: both must be numbers",
    ),
    (
        [SURVEY, each(where=where(item("/tags"), "<", 3))],
        "each/where/0/0: `<` cannot compare a list with a number",
    ),
    (
        [SURVEY, each(where=where(item("/commits"), "in", item("/path")))],
        "each/where/0/0: `in` cannot look into a text",
    ),
    ([SURVEY, each(where=where(item("/path"), "in", 3))], "each/where/0/0: `in` cannot look into "),
    ([SURVEY, each(where=where(item("/path"), "ok"))], "each/where/0/0: `ok` is about how a task"),
    (
        [SURVEY, each(when=where({"$from": "s", "at": "/total"}, "ok"))],
        "when/0/0: `ok` is about how a task or step ended",
    ),
    ([SURVEY, each(when=where({"$from": "zz"}, "ok"))], "when/0/0 refers to `zz`, which is not a"),
    ([SURVEY, each(input={"path": item("/name")})], "input/path: the item can have nothing at `/n"),
    (
        [SURVEY, each(input={"path": item("/commits")})],
        "input/path of `review` cannot take the item at `/commits`: pass a value of the right type",
    ),
    # Null does not count: a text or null cannot be a number or null.
    (
        [SURVEY, each(input={"path": PATH, "at": item("/owner")})],
        "input/at of `review` cannot take the item at `/owner`",
    ),
    (
        [SURVEY, each(input={"path": {"$index": True}})],
        "input/path of `review` cannot take the number of the item",
    ),
    (
        [SURVEY, each(flatten="/tags", input={"path": item(""), "at": {"$index": True}})],
        "input/at of `review` cannot take the number of the item",
    ),
    ([SURVEY, each(label=item("/x"))], "label: the item can have nothing at `/x`"),
    ([each({"$from": "old", "at": "/files"}, after=["nobody"])], "after refers to `nobody`, which"),
    ([each({"$from": "old", "at": "/files"}, after=["all"])], "after refers to the step itself"),
    ([task(path={"$from": "old[3]"})], "input/path refers to `old[3]`, but `old` is a single task"),
    ([task(path={"$from": "done[x]"})], "input/path refers to `done[x]`: an item is named by its "),
    ([task(path={"$from": "dune[3]"})], "input/path refers to `dune`, which is not a task or step"),
    ([task(path={"$from": "done"})], "input/path of `review` cannot take the output of `done`"),
    (
        [reduce({"$from": "done"}, input={"parts": []})],
        '`merge`: its input must hold {"$parts": true}, the list of values to combine',
    ),
    (
        [reduce({"$from": "done"}, worker="save")],
        "reduce: `save` has the effect `write` and cannot be used with `reduce`",
    ),
    (
        [reduce({"$from": "done"}, input={"parts": {"$parts": True}, "title": {"$parts": True}})],
        "input/title of `merge` cannot take a list of parts",
    ),
    (
        [reduce({"$from": "old", "at": "/files"})],
        "input/parts of `merge` takes a list that cannot hold the selected values, which `reduce`",
    ),
    (
        [reduce({"$from": "done", "at": "/0/lines"}, worker="count")],
        "input/parts of `count` takes a list that cannot hold its own output, which `reduce`",
    ),
    (
        [
            each({"$from": "b", "at": "/0/lines"}, input={"path": "x"}),
            each({"$from": "all", "at": "/0/lines"}, id="b", input={"path": "x"}),
        ],
        "`all`, `b` wait for each other: references, `after` and limits must not form a cycle",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("entries", "sentence"), BAD, ids=str)
def test_each_fault_is_one_sentence(entries: list[dict[str, Any]], sentence: str) -> None:
    found = list(checks(*entries).problems())
    assert len(found) == 1, found
    assert sentence in found[0]


def test_a_cycle_through_after_and_an_item_is_found() -> None:
    a = {**task(path="x"), "after": ["all[3]"]}
    b = each({"$from": "old", "at": "/files"}, when=where({"$from": "a"}, "ok"))
    assert "wait for each other" in list(checks(a, b).problems())[-1]


def test_a_long_chain_is_checked_without_deep_recursion() -> None:
    first = each({"$from": "old", "at": "/files"}, id="n0")
    rest = [
        each({"$from": f"n{n}"}, id=f"n{n + 1}", input={"path": item("/notes")})
        for n in range(2000)
    ]
    steps = [read_step(entry) for entry in [*reversed(rest), first]]
    assert list(StepChecks(steps, decisions().workers, EARLIER.get).problems()) == []


def test_references_of_a_result_are_checked_with_it() -> None:
    found = checks(reduce({"$from": "done"}))
    output = decisions().orchestrator.output.schema
    good = {"summary": {"$from": "m", "at": "/notes"}, "reviews": {"$from": "done"}, "best": None}
    assert list(found.finish_problems(read_value(good), output)) == []
    for result, sentence in (
        ({**good, "summary": {"$from": "done"}}, "finish/summary cannot be the output of `done`"),
        ({**good, "best": {"$from": "bad"}}, "finish/best refers to `bad`, which failed (http)"),
        (
            {**good, "best": {"$from": "x"}},
            "finish/best refers to `x`, which is not a task or step",
        ),
        ({"$from": "done"}, "finish cannot be the output of `done`"),
    ):
        (problem,) = found.finish_problems(read_value(result), output)
        assert problem.startswith(sentence)


def test_dependencies_are_steps_and_not_their_items() -> None:
    entry = each(
        input={"path": {"$from": "b[3]", "at": "/notes"}},
        where=where(item("/commits"), "<", {"$from": "c", "at": "/total"}),
        when=where({"$from": "d"}, "ok"),
        after=["e"],
    )
    assert list(depends_on(read_step(entry))) == ["s", "d", "c", "b", "e"]
