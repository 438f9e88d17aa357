"""Every step that keeps the contract can be said in the wire form, and reads as the same step."""

from __future__ import annotations

import functools
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from step_program import decisions

from engine.dialects.problems import problems
from engine.dialects.table import DIALECTS
from engine.runtime.wire_schema import WireDecision
from engine.runtime.wire_values import read_decision, write_decision
from engine.sema.plans.json_form import read_step, write_step
from engine.sema.plans.values import read_value

NATIVE = [name for name, row in DIALECTS.items() if row.native]
IDS = st.sampled_from(["s", "r1", "a-b", "r[3]", "r[1.0]"])
POINTERS = st.sampled_from(["", "/a", "/a/0", "/a~1b/\u00e9"])
ITEMS = st.builds(lambda at: {"$item": at}, POINTERS)
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.text('ab"\n', max_size=3), st.integers(-9, 9), st.floats(-9, 9), st.booleans()
)


def with_some(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


@st.composite
def references(draw: st.DrawFn) -> dict[str, Any]:
    view = draw(st.sampled_from([{}, {}, {"pairs": True}, {"failures": True}]))
    return {**draw(with_some({"$from": IDS}, at=POINTERS)), **view}


LITERAL = st.just({"$literal": {"$from": "s"}})
LITERALS = LITERAL | st.just({"$literal": [1, {"a": None}]})


def conditions(*values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    value = st.one_of(*values)
    than = st.one_of(SCALARS, st.none(), st.lists(SCALARS, max_size=2), LITERALS, *values)
    compared = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in"])
    ended = st.sampled_from(["empty", "ok", "failed"])
    return st.one_of(
        st.fixed_dictionaries({"value": value, "is": compared, "than": than}),
        st.fixed_dictionaries({"value": value, "is": ended}),
    )


def any_of_all(*values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    group = st.lists(conditions(*values), min_size=1, max_size=3)
    return st.lists(group, min_size=1, max_size=3)


WHERE = any_of_all(ITEMS, st.just({"$index": True}), references())
WHEN = any_of_all(references())


@st.composite
def selections(draw: st.DrawFn) -> dict[str, Any]:
    view = draw(st.sampled_from([{}, {}, {"pairs": True}, {"failures": True}]))
    sort = draw(st.one_of(st.just({}), with_some({"sort_by": POINTERS}, desc=st.booleans())))
    rest = draw(
        with_some(
            {"$from": IDS | st.lists(IDS, min_size=1, max_size=3)},
            at=POINTERS,
            entries=st.just(True),
            flatten=st.just(True) | POINTERS,
            where=WHERE,
            unique_by=POINTERS,
            take=st.integers(0, 9),
        )
    )
    return {**rest, **view, **sort}


def inputs(*leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    leaf = st.one_of(*leaves, references(), LITERAL)
    deep = st.recursive(
        SCALARS | st.none() | leaf | LITERALS,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("k"), inner),
        max_leaves=4,
    )
    path, tags = st.text(max_size=3) | leaf, st.lists(st.text(max_size=2) | leaf, max_size=2) | leaf
    return with_some({"path": path}, tags=tags, extra=deep)


INDEX = st.just({"$index": True})


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["task", "each", "reduce"]))
    common = draw(with_some({}, when=WHEN, after=st.lists(IDS, max_size=2)))
    if kind == "task":
        return {"id": "t", "worker": "review", "input": draw(inputs()), **common}
    if kind == "each":
        own = with_some(
            {"each": selections(), "input": inputs(ITEMS, INDEX)},
            label=st.text(max_size=3) | ITEMS | INDEX,
            parallel=st.integers(1, 9),
            in_order=st.booleans(),
            tolerate=st.integers(0, 9) | st.floats(0, 1),
        )
        return {"id": "t", "worker": "review", **draw(own), **common}
    parts = st.just({"$parts": True})
    own = with_some(
        {
            "reduce": selections(),
            "size": st.integers(2, 9),
            "input": with_some({"parts": parts}, title=st.text(max_size=2) | references()),
        },
        empty=SCALARS | st.none() | references() | LITERALS | st.just({"a": [1]}),
    )
    return {"id": "t", "worker": "merge", **draw(own), **common}


@functools.cache
def form(dialect: str) -> WireDecision:
    found = decisions().wire(dialect)
    assert found is not None
    return found


@functools.cache
def validator(dialect: str) -> Any:
    return jsonschema_rs.Draft202012Validator(form(dialect).schema)


@pytest.mark.parametrize("dialect", NATIVE)
def test_the_form_keeps_to_its_dialect(dialect: str) -> None:
    assert problems(form(dialect).schema, DIALECTS[dialect]) == []


@settings(deadline=None, max_examples=400)
@given(entries(), st.sampled_from(NATIVE))
def test_a_step_survives_the_wire_form(entry: dict[str, Any], dialect: str) -> None:
    said = write_decision({"tasks": [entry]}, form(dialect))
    validator(dialect).validate(said)
    (back,) = decisions().read(read_decision(said, decisions()))["tasks"]
    assert read_step(back) == read_step(entry)


@settings(deadline=None, max_examples=300)
@given(entries())
def test_a_step_survives_being_a_record(entry: dict[str, Any]) -> None:
    (read,) = decisions().read({"tasks": [entry]})["tasks"]
    step = read_step(read)
    assert read_step(write_step(step)) == step
    assert decisions().read({"tasks": [write_step(step)]})


REVIEW = {"risk": "low", "notes": "n", "lines": [1]}
RESULTS = st.one_of(
    st.builds(lambda given: {**given}, references()),
    st.fixed_dictionaries(
        {
            "summary": st.text(max_size=3) | references() | st.just({"$literal": "s"}),
            "reviews": references() | st.lists(references() | st.just(REVIEW), max_size=2),
            "best": st.none() | st.just(REVIEW) | references(),
        }
    ),
)


@settings(deadline=None, max_examples=300)
@given(RESULTS, st.sampled_from(NATIVE))
def test_a_result_survives_the_wire_form(finish: Any, dialect: str) -> None:
    decision = decisions().read({"finish": finish})
    if DIALECTS[dialect].optional == "absent" and decision["finish"].get("best", 0) is None:
        del decision["finish"]["best"]
    said = write_decision(decision, form(dialect))
    validator(dialect).validate(said)
    back = decisions().read(read_decision(said, decisions()))
    meant = decision["finish"]
    if "summary" in meant:
        meant = {"best": None, **meant}
    got = back["finish"]
    assert read_value({"best": None, **got} if "summary" in got else got) == read_value(meant)
