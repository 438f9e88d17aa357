"""Decisions with steps: which are accepted, and the one sentence that answers each other one."""

from __future__ import annotations

from typing import Any

import pytest
from step_program import decisions

from engine.runtime.decision import DecisionError
from engine.sema.plans.values import FromStep

ITEM = {"$item": "/path"}
EACH: dict[str, Any] = {
    "id": "all",
    "worker": "review",
    "each": {"$from": "s", "at": "/files"},
    "input": {"path": ITEM},
}
REDUCE: dict[str, Any] = {
    "id": "m",
    "worker": "merge",
    "reduce": {"$from": "all"},
    "size": 20,
    "input": {"parts": {"$parts": True}},
}
TASK: dict[str, Any] = {"id": "a", "worker": "review", "input": {"path": "x"}}
RISKY = [[{"value": {"$item": "/risk"}, "is": "==", "than": "high"}]]


def each(**more: Any) -> dict[str, Any]:
    return {**EACH, "each": {**EACH["each"], **more}}


GOOD = [
    TASK,
    {**TASK, "after": ["b"]},
    {**TASK, "when": [[{"value": {"$from": "b"}, "is": "failed"}]]},
    EACH,
    {**EACH, "label": ITEM, "parallel": 3, "in_order": True, "tolerate": 0.5},
    {**EACH, "label": "one"},
    {**EACH, "input": {"path": ITEM, "at": {"$index": True}, "extra": {"deep": [ITEM]}}},
    {**EACH, "input": {"path": ITEM, "extra": {"$from": "b", "pairs": True}}},
    {**EACH, "input": {"path": ITEM, "tags": [ITEM, "x", {"$from": "b", "at": "/n"}]}},
    {**EACH, "input": {"path": {"$literal": "x"}}},
    each(where=[[{"value": {"$item": "/commits"}, "is": ">", "than": 3}]]),
    each(where=[[{"value": {"$index": True}, "is": "<", "than": {"$from": "s", "at": "/total"}}]]),
    each(where=[[{"value": {"$item": "/owner"}, "is": "empty"}], *RISKY]),
    each(where=[[{"value": {"$item": "/risk"}, "is": "in", "than": ["low", "high"]}]]),
    each(unique_by="/owner", sort_by="/commits", desc=True, take=0),
    each(flatten="/tags"),
    each(flatten=True, entries=True),
    {**EACH, "each": {"$from": ["r", "q"], "pairs": True}},
    REDUCE,
    {**REDUCE, "empty": {"risk": "low", "notes": "", "lines": []}},
]


@pytest.mark.parametrize("entry", GOOD, ids=str)
def test_an_entry_that_is_well_formed_is_accepted(entry: Any) -> None:
    assert decisions().read({"tasks": [entry]}) == {"tasks": [entry]}


def without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


#: An entry, and what is said of it.
BAD: list[tuple[Any, str]] = [
    (
        {**EACH, "reduce": EACH["each"], "size": 2},
        "task `all` has `each` and `reduce`: make two entries, and let one refer to the other",
    ),
    (
        {**TASK, "parallel": 2},
        "task `a`: `parallel` is allowed only with `each`: add `each`, or leave out `parallel`",
    ),
    (
        {**EACH, "size": 2},
        "task `all`: `size` is allowed only with `reduce`: add `reduce`, or leave out `size`",
    ),
    (
        {**REDUCE, "tolerate": 2},
        "task `m`: `tolerate` is allowed only with `each`: add `each`, or leave out `tolerate`",
    ),
    ({**EACH, "paralel": 2}, "task `all` has an unknown key `paralel`; did you mean `parallel`?"),
    (
        without(REDUCE, "size"),
        "task `m` has no `size`: say how many values one call combines, at least 2",
    ),
    ({**REDUCE, "size": 1}, "task `m`: `size` must be a whole number of 2 or more"),
    ({**EACH, "parallel": 0}, "task `all`: `parallel` must be a whole number of 1 or more"),
    ({**EACH, "in_order": "yes"}, "task `all`: `in_order` must be true or false"),
    (
        {**EACH, "tolerate": -1},
        "task `all`: `tolerate` must be a whole number of items, or a share",
    ),
    (
        {**EACH, "tolerate": 1.5},
        "task `all`: `tolerate` must be a whole number of items, or a share below 1",
    ),
    ({**EACH, "label": 3}, "task `all`: `label` must be a string, or a part of the item"),
    ({**EACH, "after": "s"}, "task `all`: `after` must be a list of ids of tasks and steps"),
    ({**EACH, "each": [1, 2]}, "task `all`: `each` must be a selection such as"),
    ({**EACH, "each": "s"}, "task `all`: `each` must be a selection such as"),
    (
        {**EACH, "each": {"at": "/files"}},
        "task `all`: `each` has no `$from`: name the task or step whose values it selects",
    ),
    (each(take=-1), "task `all`: `each/take` must be a whole number of 0 or more"),
    (each(take="5"), "task `all`: `each/take` must be a whole number of 0 or more"),
    (each(sort_by="commits"), "task `all`: `each/sort_by` must be a JSON Pointer"),
    (each(desc=True), "task `all`: `each` has `desc` without `sort_by`: add `sort_by`"),
    (each(flatten=False), "task `all`: `each/flatten` must be true, or the JSON Pointer"),
    (each(pairs=True, failures=True), "task `all`: `each` has `pairs` and `failures`: keep one"),
    (each(filter=RISKY), "task `all`: `each` has an unknown key `filter`"),
    (each(sort="/x"), "task `all`: `each` has an unknown key `sort`; did you mean `sort_by`?"),
    (each(where=RISKY[0]), "task `all`: `each/where` must be a test: a list (any) of lists (all)"),
    (each(where="risk"), "task `all`: `each/where` must be a test: a list (any) of lists (all)"),
    (each(where=[[]]), "task `all`: `each/where` must be a test: a list (any) of lists (all)"),
    (each(where=[["x"]]), "task `all`: the condition at `each/where/0/0` has no `value`"),
    (
        each(where=[[{"value": ITEM, "is": "=", "than": 1}]]),
        "task `all`: `each/where/0/0/is` must be one of `==`, `!=`, `<`",
    ),
    (
        each(where=[[{"value": ITEM, "is": ">"}]]),
        "task `all`: the condition at `each/where/0/0` has no `than`",
    ),
    (
        each(where=[[{"value": ITEM, "is": "empty", "than": 1}]]),
        "task `all`: `each/where/0/0/than` is not used with `empty`: leave it out",
    ),
    (
        each(where=[[{"value": "/risk", "is": "==", "than": 1}]]),
        "task `all`: `each/where/0/0/value` must be a reference such as",
    ),
    (
        each(where=[[{"value": ITEM, "is": "==", "than": {"a": 1}}]]),
        "task `all`: `each/where/0/0/than` must be a text, number, true",
    ),
    (
        each(where=[[{"value": ITEM, "is": "==", "than": 1, "or": 1}]]),
        "task `all`: the condition at `each/where/0/0` has an unknown key `or`",
    ),
    (
        {**TASK, "input": {"path": ITEM}},
        'task `a`: input/path holds {"$item": ...}, which exists only in an entry with `each`',
    ),
    # An input that takes any value takes these too, and they have no value.
    (
        {**TASK, "input": {"path": "x", "extra": {"deep": [{"$index": True}]}}},
        'task `a`: input/extra/deep/0 holds {"$index": ...}, which exists only in an entry with',
    ),
    (
        {**EACH, "input": {"path": ITEM, "extra": {"$parts": True}}},
        'task `all`: input/extra holds {"$parts": true}, which exists only in the input of an',
    ),
    (
        {**REDUCE, "input": {**REDUCE["input"], "title": ITEM}},
        'task `m`: input/title holds {"$item": ...}, but a call of `reduce` combines many values',
    ),
    (
        {**EACH, "when": RISKY},
        'task `all`: when/0/0/value holds {"$item": ...}, but `when` is tested once',
    ),
    ({**REDUCE, "empty": ITEM}, 'task `m`: empty holds {"$item": ...}, which exists only in'),
    ({**TASK, "input": {"path": {"$item": "path"}}}, "task `a` (review): input/path: "),
]


@pytest.mark.parametrize(("entry", "sentence"), BAD, ids=str)
def test_an_entry_that_is_not_gets_one_sentence_that_says_what_to_do(
    entry: Any, sentence: str
) -> None:
    with pytest.raises(DecisionError) as found:
        decisions().read({"tasks": [entry]})
    assert len(found.value.problems) == 1, found.value.problems
    assert found.value.problems[0].startswith(sentence)


@pytest.mark.parametrize("entry", [entry for entry in GOOD if entry is not TASK], ids=str)
def test_without_max_items_there_are_plain_tasks_only(entry: Any) -> None:
    if set(entry) == {"id", "worker", "input"}:
        return
    with pytest.raises(DecisionError) as found:
        decisions(steps=False).read({"tasks": [entry]})
    assert "needs `max_items` in the policy" in found.value.problems[0]


RESULT = {"summary": "s", "reviews": [], "best": None}


@pytest.mark.parametrize(
    "finish",
    [
        {"$from": "m"},
        {"summary": "s", "reviews": {"$from": "all"}, "best": {"$from": "m"}},
        {"summary": "s", "reviews": [{"$from": "all", "at": "/0"}]},
        {"summary": {"$from": "m", "at": "/notes"}, "reviews": {"$from": "all", "pairs": True}},
    ],
)
def test_a_result_with_references_is_kept_as_it_is(finish: Any) -> None:
    decision = decisions().read({"finish": finish})
    assert decision == {"finish": finish}
    assert decisions().finish_tree(decision) is not None


def test_a_plain_result_is_the_result() -> None:
    decision = decisions().read({"finish": {"summary": "s", "reviews": []}})
    assert decision == {"finish": RESULT}
    assert decisions().finish_tree(decision) is None


def test_a_literal_in_a_result_is_not_read_twice() -> None:
    finish = {**RESULT, "summary": {"$literal": "s"}}
    decision = decisions().read({"finish": finish})
    assert decisions().finish_tree(decision) == RESULT
    assert decisions().finish_tree({"finish": {"$from": "m"}}) == FromStep("m")


@pytest.mark.parametrize(
    ("finish", "sentence"),
    [
        ({"summary": "s", "reviews": ITEM}, 'finish/reviews holds {"$item": ...}, which has no'),
        ({"reviews": {"$from": "all"}}, "finish: (root): `summary` is missing"),
        ({"summary": 3, "reviews": {"$from": "all"}}, "finish/summary: "),
        ({"summary": {"$literal": 3}, "reviews": []}, "finish/summary: "),
        (3, "finish: "),
    ],
)
def test_a_result_that_cannot_be_one_is_rejected(finish: Any, sentence: str) -> None:
    with pytest.raises(DecisionError) as found:
        decisions().read({"finish": finish})
    assert found.value.problems[0].startswith(sentence), found.value.problems


REASON = "needs `max_items` in the policy of the orchestrator, and it is not set"


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (EACH, "`each`"),
        (REDUCE, "`reduce`"),
        ({**TASK, "when": RISKY}, "`when`"),
        ({**TASK, "after": ["b"]}, "`after`"),
        ({**TASK, "note": 1, "tolerate": 2}, "`tolerate`"),
        ({**TASK, "input": {"path": ITEM}}, '{"$item": ...}'),
        ({**TASK, "input": {"path": {"$from": "b", "pairs": True}}}, '{"$from": ..., "pairs": tr'),
    ],
    ids=str,
)
def test_without_max_items_a_step_is_told_what_it_needs(entry: Any, what: str) -> None:
    with pytest.raises(DecisionError) as caught:
        decisions(steps=False).read({"tasks": [entry]})
    first = next(problem for problem in caught.value.problems if REASON in problem)
    assert first.startswith(f"task `{entry['id']}`: {what}")
    assert sum(REASON in problem for problem in caught.value.problems) == 1


@pytest.mark.parametrize(
    "finish",
    [{"$from": "m"}, {"summary": {"$from": "m", "at": "/notes"}, "reviews": []}],
    ids=str,
)
def test_without_max_items_a_reference_in_a_result_is_told_what_it_needs(finish: Any) -> None:
    with pytest.raises(DecisionError) as caught:
        decisions(steps=False).read({"finish": finish})
    assert caught.value.problems[0].startswith(f'finish: {{"$from": ...}} {REASON}')


def test_what_is_wrong_without_a_reference_does_not_speak_of_max_items() -> None:
    with pytest.raises(DecisionError) as caught:
        decisions(steps=False).read({"finish": {"summary": 1, "reviews": []}})
    assert "max_items" not in str(caught.value)


def test_without_max_items_a_result_holds_no_references() -> None:
    with pytest.raises(DecisionError):
        decisions(steps=False).read({"finish": {"$from": "m"}})
    assert decisions(steps=False).finish_tree({"finish": {"$from": "m"}}) is None
