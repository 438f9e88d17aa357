"""Sizes of values: never below their JSON where they are large, and cheap where they are too large.

And what is built on them: the beginning of a value, and of what is wrong with it.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.stream import ClosedTasks
from engine.sema.types.contract import Contract
from engine.sizes import beginning, held_bytes, roughly, size_of, size_words

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.text(max_size=5).map(lambda text: text * 300),
)
REPEATED = st.lists(LEAVES, max_size=2).map(lambda items: items * 60)
VALUES = st.recursive(
    st.one_of(LEAVES, REPEATED),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.dictionaries(st.text(max_size=6), inner, max_size=6),
    ),
    max_leaves=8,
)


@given(VALUES)
def test_a_large_value_is_never_smaller_than_its_json(value):
    size, written = size_of(value), len(msgspec.json.encode(value))
    if size > 2048:
        assert size >= written
    else:
        # An estimate: escapes and wide characters are not looked at.
        assert written <= 8 * size + 64


@given(VALUES, st.integers(0, 20_000))
def test_too_large_is_too_large_however_soon_it_is_known(value, most):
    assert (size_of(value, most) > most) is (size_of(value) > most)


@given(VALUES)
def test_what_a_value_takes_while_it_is_kept_is_at_least_its_size(value):
    assert held_bytes(value, size_of(value)) >= size_of(value)


@pytest.mark.parametrize(
    ("value", "least"),
    [
        (["x" * 1_000_000], 1_000_000),
        ([{}] * 10_000, 10_000 * 190),
        ([[]] * 10_000, 10_000 * 90),
        (list(range(10_000)), 10_000 * 32),
        ([{"a": 1}] * 1_000, 1_000 * 220),
        ("\x01" * 10_000, 60_000),
    ],
)
def test_small_values_count_as_what_they_take(value, least):
    assert size_of(value) >= least
    assert size_of(value, least // 2) > least // 2


def test_one_wide_character_makes_a_text_wide():
    narrow, wide = "x" * 100_000, "x" * 99_999 + "\N{GRINNING FACE}"
    assert held_bytes([narrow], 100_000) == 100_000
    assert held_bytes({"a": [wide]}, 100_000) == 500_000


@given(VALUES, st.integers(0, 200))
def test_the_beginning_of_a_value_is_the_beginning_of_its_json(value, characters):
    whole = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    assert beginning(value, characters) == whole[:characters]


@pytest.mark.parametrize(
    ("size", "words", "about"),
    [
        (10 * 1024**2, "10 MiB", "10 MiB"),
        (2 * 1024**3, "2 GiB", "2 GiB"),
        (1500, "1500 bytes", "1.46 KiB"),
        (840, "840 bytes", "840 bytes"),
        (4_100_000_000, "4100000000 bytes", "3.82 GiB"),
    ],
)
def test_sizes_are_told_in_units(size, words, about):
    assert (size_words(size), roughly(size)) == (words, about)


LISTS = Contract.of_schema({"type": "array", "items": {"type": "string"}, "maxItems": 30_000})


def test_a_list_that_is_wrong_everywhere_is_explained_by_its_beginning():
    problems = LISTS.problems(list(range(20_000)))
    assert problems[0] == "/0: 0 is not a string (type)"
    assert len(problems) == 5


def test_what_is_wrong_far_behind_the_beginning_is_found():
    assert LISTS.problems(["x"] * 4_000 + [1]) == ["/4000: 1 is not a string (type)"]
    few = Contract.of_schema({"type": "array", "maxItems": 10})
    assert few.problems([1] * 50_000) == [
        "(root): a list of 50000 has more than 10 items (maxItems)"
    ]


def test_a_deep_value_is_shown_in_a_line():
    deep: Any = 1
    for _ in range(400):
        deep = [deep]
    (said,) = LISTS.problems(deep)
    assert said.endswith("is not a string (type)")
    assert len(said) < 300


TRICKY = st.sampled_from(['a"b', "\\", '{"tasks":[', "]}", "tasks", ""])
TASKS = st.recursive(
    st.one_of(st.none(), st.integers(), TRICKY),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["tasks", "a", 'b"', "c\\"]), inner, max_size=3),
    ),
    max_leaves=10,
)


@given(st.lists(TASKS, max_size=4), TASKS, st.lists(st.integers(1, 7), min_size=1))
def test_tasks_close_in_the_same_way_however_the_text_is_cut(items, other, steps):
    text = json.dumps({"assessment": other, "tasks": items, "more": other})
    scanner, found, at = ClosedTasks(), [], 0
    while at < len(text):
        step = steps[at % len(steps)]
        found += scanner.feed(text[at : at + step])
        at += step
    assert found == [item for item in items if isinstance(item, dict)]
