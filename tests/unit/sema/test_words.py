"""What is proved to hold no words, and that nothing is proved which can hold some.

The second by values: whatever a real validator lets through and has a string of its own in it (a
key counts as one) must not come from a schema that is said to hold none.
"""

from __future__ import annotations

import random
import re
from typing import Any

import jsonschema_rs
import pytest

from engine.sema.expressions.formats import ASSERTED, WORDLESS
from engine.sema.types.contract import Contract
from engine.sema.types.words import carries, carries_at, may_hand_over

INT = {"type": "integer"}
TEXT = {"type": "string"}
CLOSED = {"type": "object", "additionalProperties": False}


def holds(schema: Any, **defs: Any) -> bool:
    root = {**schema, "$defs": defs} if isinstance(schema, dict) else schema
    return carries(root, root)


@pytest.mark.parametrize(
    "schema",
    [
        False,
        INT,
        {"type": "boolean"},
        {"type": "number"},
        {"type": "null"},
        {"type": "string", "format": "date"},
        {"type": ["string", "null"], "format": "date-time"},
        {"allOf": [TEXT, {"type": "string", "format": "duration"}]},
        {"type": ["integer", "null"]},
        {"const": "a"},
        {"enum": ["a", {"b": "c"}]},
        {"type": "string", "enum": ["a"]},
        {"type": "array", "items": INT},
        {"type": "array", "prefixItems": [INT, {"const": "x"}], "items": False},
        {"type": "array", "items": False},
        CLOSED,
        {**CLOSED, "properties": {"n": INT, "of": {"type": "array", "items": {"enum": [1]}}}},
        {**CLOSED, "properties": {"n": INT}, "if": {}, "then": {"properties": {"s": TEXT}}},
        {"anyOf": [INT, {"const": "a"}]},
        {"oneOf": [INT, {"type": "null"}]},
        {"allOf": [TEXT, {"enum": ["a"]}]},
        {"allOf": [{"minimum": 3}, INT]},
        {"type": "integer", "anyOf": [{"minimum": 3}, TEXT]},
        {"$ref": "#/$defs/N"},
        {"$ref": "#/$defs/Tree"},
    ],
    ids=str,
)
def test_what_is_proved_to_hold_no_words(schema):
    tree = {**CLOSED, "properties": {"n": INT, "under": {"anyOf": [{"$ref": "#/$defs/Tree"}, INT]}}}
    assert not holds(schema, N=INT, Tree=tree)


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"minimum": 3},
        TEXT,
        {"format": "date"},
        {"type": "string", "format": "email"},
        {"type": "string", "format": "uuid"},
        {"type": "string", "format": ["date"]},
        {"type": ["string", "object"], "format": "date"},
        {"type": ["integer", "string"]},
        {"anyOf": [INT, TEXT]},
        {"oneOf": [INT, {}]},
        {"anyOf": []},
        {"not": TEXT},
        {"type": "array"},
        {"type": "array", "contains": INT},
        {"type": "array", "prefixItems": [INT]},
        {"type": "array", "prefixItems": [INT], "unevaluatedItems": False},
        {"type": "array", "prefixItems": [TEXT], "items": INT},
        {"type": "array", "unevaluatedItems": INT},
        {"type": "object"},
        {"type": "object", "properties": {"n": INT}},
        {"type": "object", "additionalProperties": INT},
        {"type": "object", "properties": {"n": INT}, "unevaluatedProperties": False},
        {**CLOSED, "patternProperties": {"^x_": TEXT}},
        {**CLOSED, "patternProperties": {"^x_": INT}},
        {"properties": {"n": INT}, "additionalProperties": False},
        {"if": INT, "then": INT},
        {"dependentSchemas": {"a": INT}},
        {"$ref": "#/$defs/Text"},
        {"$ref": "#/$defs/Nowhere"},
        {"$ref": "#/$defs/Loop"},
        {"$dynamicRef": "#/$defs/N"},
        {"$ref": "#/$defs/Tree"},
    ],
    ids=str,
)
def test_whatever_is_not_proved_can_hold_some(schema):
    tree = {**CLOSED, "properties": {"under": {"$ref": "#/$defs/Tree"}, "last": {"items": INT}}}
    assert holds(schema, N=INT, Text=TEXT, Loop={"$ref": "#/$defs/Loop"}, Tree=tree)


@pytest.mark.parametrize(
    ("schema", "pointer", "expected"),
    [
        ({**CLOSED, "properties": {"n": INT, "s": TEXT}}, "/n", False),
        ({**CLOSED, "properties": {"n": INT, "s": TEXT}}, "/s", True),
        ({**CLOSED, "properties": {"n": INT}}, "/nowhere", False),
        ({"type": "object", "properties": {"n": INT}}, "/n", False),
        ({"type": "object", "properties": {"n": INT}}, "/other", True),
        ({"properties": {"n": INT}}, "/n", False),
        ({"properties": {"0": INT}}, "/0", True),  # it may be a list, and its items anything
        ({"type": "object", "additionalProperties": INT}, "/any", False),
        ({**CLOSED, "patternProperties": {"^x_": TEXT}}, "/x_a", True),
        ({"type": "object", "unevaluatedProperties": INT}, "/any", True),
        ({"type": "object", "properties": {"n": INT}, "patternProperties": {"n": {}}}, "/n", False),
        ({"type": "array", "prefixItems": [TEXT], "items": INT}, "/0", True),
        ({"type": "array", "prefixItems": [TEXT], "items": INT}, "/1", False),
        ({"type": "array", "items": TEXT}, "/first", False),
        ({"type": "array", "contains": INT}, "/0", True),
        ({"anyOf": [{"type": "array", "items": INT}, TEXT]}, "/0", False),
        ({"anyOf": [{"type": "array", "items": INT}, {}]}, "/0", True),
        ({"const": {"a": "b"}}, "/a", False),
        (INT, "/a", False),
        (TEXT, "", True),
        ({}, "/a/b", True),
        (TEXT, "no pointer", True),
    ],
    ids=str,
)  # fmt: skip
def test_what_stands_at_a_pointer(schema, pointer, expected):
    assert carries_at(schema, pointer) is expected


@pytest.mark.parametrize(
    ("producer", "consumer", "expected"),
    [
        (INT, INT, False),
        (TEXT, INT, False),
        ({"type": "array", "prefixItems": [TEXT], "items": INT}, INT, False),
        ({"type": "array", "unevaluatedItems": {}}, INT, True),
        ({"type": "object", "additionalProperties": {"type": ["integer", "string"]}}, INT, True),
        ({"type": "object"}, INT, True),
        ({"dependentSchemas": {}}, INT, True),
    ],
)
def test_a_reference_may_hand_words_on(producer, consumer, expected):
    assert may_hand_over(producer, {**CLOSED, "properties": {"n": consumer}}) is expected


_LEAVES = (
    True,
    False,
    {},
    INT,
    TEXT,
    {"type": "null"},
    {"enum": ["word", 1]},
    {"$ref": "#/$defs/R"},
)
_KEYWORDS = (
    "type array", "type object", "items", "prefixItems", "contains", "properties", "closed",
    "patternProperties", "additionalProperties", "unevaluatedProperties", "unevaluatedItems",
    "anyOf", "oneOf", "allOf", "if", "dependentSchemas", "not",
)  # fmt: skip


def a_schema(rng: random.Random, depth: int = 3) -> Any:
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(_LEAVES)
    schema: dict[str, Any] = {}
    for _ in range(rng.randint(1, 4)):
        keyword = rng.choice(_KEYWORDS)
        one, other = a_schema(rng, depth - 1), a_schema(rng, depth - 1)
        match keyword:
            case "type array" | "type object":
                schema["type"] = keyword.removeprefix("type ")
            case "closed":
                schema["additionalProperties"] = False
            case "prefixItems" | "anyOf" | "oneOf" | "allOf":
                schema[keyword] = [one, other]
            case "properties" | "patternProperties" | "dependentSchemas":
                schema[keyword] = {"a": one, "b": other}
            case "if":
                schema |= {"if": one, "then": other}
            case _:
                schema[keyword] = one
    return schema


def a_value(rng: random.Random, depth: int = 3) -> Any:
    kind = rng.random()
    if depth == 0 or kind < 0.4:
        return rng.choice((1, True, None, "said", "said", "word"))
    if kind < 0.7:
        return [a_value(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    return {key: a_value(rng, depth - 1) for key in rng.sample(("a", "b", "x"), rng.randint(0, 2))}


def says(value: Any) -> bool:
    """Whether there is a word of a stranger's in a value: `x` is a key that no schema names."""
    if isinstance(value, dict):
        return "x" in value or any(map(says, value.values()))
    return any(map(says, value)) if isinstance(value, list) else value == "said"


def test_no_value_says_what_its_schema_is_proved_not_to():
    rng = random.Random(5)
    proved = 0
    for number in range(6_000):
        schema, ref = a_schema(rng), a_schema(rng, 1)
        root = {
            **(schema if isinstance(schema, dict) else {"allOf": [schema]}),
            "$defs": {"R": ref},
        }
        whole = carries(root, root)
        parts = {at: carries_at(root, f"/{at}") for at in ("a", "b", "0", "1")}
        if whole and all(parts.values()):
            continue
        validator = jsonschema_rs.Draft202012Validator(root)
        for value in (a_value(rng) for _ in range(20)):
            if not validator.is_valid(value):
                continue
            proved += 1
            assert whole or not says(value), (number, root, value)
            for at, part in parts.items():
                inside = None
                if isinstance(value, dict):
                    inside = value.get(at)
                elif isinstance(value, list) and at.isdigit() and int(at) < len(value):
                    inside = value[int(at)]
                assert part or not says(inside), (number, root, value, at)
    assert proved > 1_000


_LETTERS = re.compile(r"[^\W\d_]+")
_NEAR = (
    "2026-01-31", "2026-01-31T12:00:00Z", "12:00:00Z", "PT30S", "1h30m", "P1Y2M3DT4H5M6.5S",
)  # fmt: skip
_ADDED = (
    "\n", " pay", "pay", "\u0660", "\u00a0", "-W05", "+00:00[Europe/Paris]", "Z", "\x00", "\u212a",
    ".123456789", "T", "t", "h", "\r\nx", "/", "--", "\u2028pay",
)  # fmt: skip


@pytest.mark.parametrize("name", WORDLESS)
def test_a_format_that_is_proved_to_hold_no_words_lets_none_through(name):
    """By both that decide: the validator, and the function that explains what is wrong."""
    contract = Contract.of_schema({"type": "string", "format": name})
    rng = random.Random(3)
    texts = {"", "pay", "now", *_NEAR}
    for _ in range(20_000):
        text = rng.choice(_NEAR)
        for _ in range(rng.randint(1, 3)):
            at = rng.randint(0, len(text))
            text = text[:at] + rng.choice(_ADDED) + text[at + rng.randint(0, 2) :]
        texts.add(text)
    passed = [text for text in texts if contract.is_valid(text)]
    assert passed
    for text in texts:
        assert contract.is_valid(text) == ASSERTED[name](text) == (not contract.problems(text))
    for text in passed:
        # Single letters for units, `ms`, and no other character than those of dates.
        assert re.fullmatch(r"[0-9A-Za-z:.+-]*", text), text
        assert set(_LETTERS.findall(text)) <= {*"TtZzPYMWDHSsmhd", "PT", "DT", "MT", "YT", "ms"}
        assert len(text) <= 128
