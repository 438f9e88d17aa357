"""Where a JSON Pointer leads in the text of a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pygls")

from engine.lsp.jsontext import offset_of_pointer

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet='ab/~"{}', min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def pointers(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every pointer into a value below the root, with what the text has there."""
    if isinstance(value, dict):
        for key, item in value.items():
            path = f"{at}/{key.replace('~', '~0').replace('/', '~1')}"
            yield path, key
            yield from pointers(item, path)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            path = f"{at}/{number}"
            yield path, item
            yield from pointers(item, path)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(VALUES, st.sampled_from([None, 2]))
def test_each_pointer_leads_to_its_key_or_item(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    for pointer, there in pointers(value):
        offset = offset_of_pointer(text, pointer)
        assert offset is not None, (text, pointer)
        decoded, _ = json.JSONDecoder().raw_decode(text[offset:])
        assert decoded == there


@pytest.mark.parametrize("text", ["", "{", '{"a": [', "]", "nonsense", '{"a" "b"}', ","])
def test_texts_that_are_no_json(text: str) -> None:
    offset_of_pointer(text, "/a/0")


def test_a_pointer_to_nothing() -> None:
    assert offset_of_pointer('{"a": {"b": 1}}', "/a/c") is None
    assert offset_of_pointer('  {"a": 1}', "") == 2
