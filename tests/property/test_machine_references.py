"""References against a naive model: found where they stand, replaced by what they point at."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.runtime.references import PointerError, find_references, follow, resolve

KEYS = st.sampled_from(["a", "b", "/", "~", "~1", "", "0", "$from", "at", "$literal", "x y"])
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["", "t1", "/a"]))
REFERENCES = st.fixed_dictionaries(
    {"$from": st.sampled_from(["t1", "t2"])},
    optional={"at": st.sampled_from(["", "/a", "/b/0", "/~1", "/~01", "a", "/00", "/²", "/-1"])},
)
VALUES = st.recursive(
    st.one_of(LEAVES, REFERENCES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3),
        st.fixed_dictionaries({"$literal": inner}),
    ),
    max_leaves=12,
)


def is_reference(value: Any) -> bool:
    if not isinstance(value, dict) or not set(value) <= {"$from", "at"} or "$from" not in value:
        return False
    return all(isinstance(item, str) for item in value.values())


def is_literal(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == ["$literal"]


def escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def naive_find(value: Any, path: str = "") -> list[tuple[str, str, str]]:
    if is_reference(value):
        return [(value["$from"], value.get("at", ""), path)]
    if is_literal(value):
        return []
    if isinstance(value, dict):
        parts = [(f"{path}/{escape(key)}", item) for key, item in value.items()]
    elif isinstance(value, list):
        parts = [(f"{path}/{index}", item) for index, item in enumerate(value)]
    else:
        parts = []
    return [found for at, item in parts for found in naive_find(item, at)]


def pointers(value: Any, path: str = "") -> dict[str, Any]:
    """Every pointer that leads somewhere, and where."""
    found = {path: value}
    if isinstance(value, dict):
        for key, item in value.items():
            found |= pointers(item, f"{path}/{escape(key)}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found |= pointers(item, f"{path}/{index}")
    return found


class Nowhere(Exception):
    pass


class Outputs(dict[str, Any]):
    """The outputs of tasks; planning lets through no reference to another."""

    def __missing__(self, task: str) -> Any:
        return self["t1"]


def naive_resolve(value: Any, outputs: Outputs) -> Any:
    if is_reference(value):
        known = pointers(outputs[value["$from"]])
        if value.get("at", "") not in known:
            raise Nowhere
        return known[value.get("at", "")]
    if is_literal(value):
        return value["$literal"]
    if isinstance(value, dict):
        return {key: naive_resolve(item, outputs) for key, item in value.items()}
    if isinstance(value, list):
        return [naive_resolve(item, outputs) for item in value]
    return value


@settings(deadline=None, max_examples=400)
@given(VALUES)
def test_references_are_found_where_they_stand(value):
    special, found = find_references(value)
    assert [(r.task, r.at, r.path) for r in found] == naive_find(value)
    for reference in found:
        assert follow(value, reference.path)["$from"] == reference.task
    if not special:
        assert resolve(value, {}.__getitem__) == value


@settings(deadline=None, max_examples=400)
@example({"$from": ""}, [], None)
@given(VALUES, VALUES, VALUES)
def test_resolving_agrees_with_the_naive_model(value, one, two):
    outputs = Outputs(t1=one, t2=two)
    before = copy.deepcopy((value, outputs))
    try:
        expected = naive_resolve(value, outputs)
    except Nowhere:
        with pytest.raises(PointerError):
            resolve(value, outputs.__getitem__)
    else:
        assert resolve(value, outputs.__getitem__) == expected
    assert (value, outputs) == before


@settings(deadline=None, max_examples=300)
@given(VALUES, st.text("ab/~01-²", max_size=6))
def test_a_pointer_leads_where_it_says_or_nowhere(value, pointer):
    known = pointers(value)
    for at, target in known.items():
        assert follow(value, at) is target
    # `~` that escapes nothing is not a JSON Pointer; what it leads to is not said.
    if pointer.replace("~0", "").replace("~1", "").count("~") == 0:
        if pointer in known:
            assert follow(value, pointer) is known[pointer]
        else:
            with pytest.raises(PointerError):
                follow(value, pointer)


@pytest.mark.parametrize("digits", [19, 5000])
def test_an_index_may_have_any_number_of_digits(digits):
    with pytest.raises(PointerError, match="the value has 1 items, no item 1"):
        follow([0], f"/{'1' * digits}")
