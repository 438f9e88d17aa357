"""Shapes of values: what is kept, and that nothing of a worker's words is, in any schema."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema_rs
import pytest

from engine.runtime.shape import list_of, shape_of

MARK = "SECRET"
INT = {"type": "integer"}
TEXT = {"type": "string"}
MAIL = {
    "type": "object",
    "properties": {
        "subject": TEXT,
        "at": {"type": "string", "format": "date-time"},
        "urgent": {"type": "boolean"},
        "score": {"type": "number"},
        "kind": {"enum": ["bill", "news"]},
        "note": {"anyOf": [TEXT, {"type": "null"}]},
        "tags": {"type": "array", "items": TEXT},
        "by_name": {"type": "object", "additionalProperties": INT},
        "extra": {},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (TEXT, "hello", {"$text": 5}),
        (INT, 7, 7),
        ({}, {"a": 1, "b": 2}, {"$object": 2}),
        ({}, ["x", "y"], {"$list": 2}),
        ({}, [], []),
        ({"type": "array", "items": INT}, [1, 2], [1, 2]),
        ({"type": "array", "items": TEXT}, ["a", "bc"], [{"$text": 1}, {"$text": 2}]),
        ({"type": "array", "items": {}}, ["a", "bc"], {"$list": 2}),
        ({"type": "object", "properties": {"n": INT}}, {"n": 1, "x": 2}, {"n": 1, "$more": 1}),
        ({"anyOf": [INT, TEXT]}, "a", {"$text": 1}),
        ({"enum": ["a", {"b": "c"}]}, {"b": "c"}, {"b": "c"}),
    ],
    ids=str,
)
def test_what_a_shape_tells(schema, value, expected):
    assert shape_of(value, schema, 2048) == expected


def test_a_record_keeps_what_cannot_hold_words():
    value = {
        "subject": "Pay at once",
        "at": "2026-01-31T12:00:00Z",
        "urgent": True,
        "score": 0.25,
        "kind": "bill",
        "note": None,
        "tags": ["a", "b"],
        "by_name": {"Mallory": 1},
        "extra": {"deep": ["x"]},
    }
    assert shape_of(value, MAIL, 2048) == {
        "subject": {"$text": 11},
        "at": "2026-01-31T12:00:00Z",
        "urgent": True,
        "score": 0.25,
        "kind": "bill",
        "note": None,
        "tags": [{"$text": 1}, {"$text": 1}],
        "by_name": {"$object": 1},
        "extra": {"$object": 1},
    }


def test_a_long_list_is_told_by_its_length_and_its_beginning():
    shape = shape_of([{"n": n} for n in range(500)], list_of({"type": "object"}), 2048)
    assert shape == {"$list": 500, "items": [{"$object": 1}] * 20}


@pytest.mark.parametrize("most", [40, 200, 2048])
def test_a_shape_is_never_longer_than_its_bound(most):
    rows = [{"subject": "x" * 90, "tags": ["t"] * 90, "score": n / 3} for n in range(300)]
    for value, schema in (
        (rows, list_of(MAIL)),
        (list(range(5_000)), {"type": "array", "items": INT}),
        ({f"k{n}": n for n in range(900)}, {}),
        (10**500, INT),
    ):
        assert len(json.dumps(shape_of(value, schema, most), separators=(",", ":"))) <= most


def a_schema(rng: random.Random, depth: int = 3) -> Any:
    """A schema by chance, of keywords that may be read wrongly."""
    if depth == 0 or rng.random() < 0.25:
        dates = {"type": "string", "format": "date"}
        return rng.choice(
            [True, {}, INT, TEXT, dates, {"enum": ["word", 1]}, {"$ref": "#/$defs/R"}]
        )
    schema: dict[str, Any] = {}
    for _ in range(rng.randint(1, 4)):
        one, other = a_schema(rng, depth - 1), a_schema(rng, depth - 1)
        match rng.randint(0, 9):
            case 0:
                schema["type"] = rng.choice(["array", "object", ["object", "string"]])
            case 1:
                schema["additionalProperties"] = rng.choice([False, one])
            case 2:
                schema["properties"] = {"a": one, "b": other}
            case 3:
                schema["patternProperties"] = {"^x": one}
            case 4:
                schema["prefixItems"] = [one, other]
            case 5:
                schema["items"] = one
            case 6:
                schema[rng.choice(["anyOf", "oneOf", "allOf"])] = [one, other]
            case 7:
                schema |= {"if": one, "then": other}
            case 8:
                schema["unevaluatedProperties"] = one
            case _:
                schema["contains"] = one
    return schema


def a_value(rng: random.Random, depth: int = 3) -> Any:
    chance = rng.random()
    if depth == 0 or chance < 0.45:
        return rng.choice([MARK, MARK, 5, 0.5, None, True, "word", "2026-01-31"])
    if chance < 0.7:
        return [a_value(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    keys = rng.sample(["a", "b", f"x{MARK}", MARK], rng.randint(0, 4))
    return {key: a_value(rng, depth - 1) for key in keys}


def test_no_word_is_in_a_shape_whatever_the_schema():
    looked_at = 0
    for seed in range(4_000):
        rng = random.Random(seed)
        schema = {"anyOf": [a_schema(rng)], "$defs": {"R": a_schema(rng, 2)}}
        try:
            validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        except ValueError:
            continue
        for _ in range(6):
            value = a_value(rng)
            if validator.is_valid(value) and MARK in json.dumps(value):
                looked_at += 1
                assert MARK not in json.dumps(shape_of(value, schema, 4096)), (seed, schema, value)
    assert looked_at > 2_000
