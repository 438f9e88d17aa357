"""What the engine knows about schemas: references for values, pointers, compatibility."""

import pytest

from engine.sema.types.contract import Contract
from engine.sema.types.json_schema import may_fit, subschema_at, tolerant

NODE = {
    "type": "object",
    "properties": {
        "v": {"type": "integer"},
        "kids": {"type": "array", "items": {"$ref": "#/$defs/N"}},
    },
    "required": ["v"],
    "additionalProperties": False,
}
TREE = {
    "type": "object",
    "properties": {"root": {"$ref": "#/$defs/N"}, "any": {}, "tag": {"enum": ["a", "b"]}},
    "required": ["root"],
    "additionalProperties": False,
    "$defs": {"N": NODE},
}
REF = {"$from": "a1"}
AT = {"$from": "a1", "at": "/x/0"}


@pytest.mark.parametrize(
    "value",
    [
        {"root": {"v": 1}},
        {"root": REF},
        {"root": {"v": AT}},
        {"root": {"v": 1, "kids": AT}},
        {"root": {"v": 1, "kids": [REF, {"v": AT}, {"v": 2}]}},
        {"root": {"$literal": {"v": 1}}},
        {"root": REF, "any": {"deep": [REF]}, "tag": REF},
    ],
)
def test_a_reference_may_stand_for_any_value(value):
    assert Contract.of_schema(tolerant(TREE)).is_valid(value)


@pytest.mark.parametrize(
    "value",
    [
        REF,
        {"root": {"v": "x"}},
        {"root": {"$from": "a1", "more": 1}},
        {"root": {"$from": 3}},
        {"root": {"$from": ""}},
        {"root": {"at": "/x"}},
        {"root": {"v": 1, "kids": [3]}},
        {"root": REF, "tag": "c"},
        {"root": REF, "unknown": REF},
    ],
)
def test_what_is_neither_value_nor_reference_is_refused(value):
    assert not Contract.of_schema(tolerant(TREE)).is_valid(value)


def test_what_cannot_be_decided_yet_is_left_for_later():
    schema = {
        "type": "object",
        "properties": {
            "one": {"oneOf": [{"type": "integer"}, {"minimum": 5}]},
            "list": {"type": "array", "items": {}, "uniqueItems": True, "contains": {"const": 1}},
            "not": {"not": {"required": ["$from"]}},
            "pair": {"prefixItems": [{"type": "integer"}, {"type": "string"}]},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        "x-asserts": {"T.1": "one > 1"},
    }
    contract = Contract.of_schema(tolerant(schema))
    assert contract.is_valid({"one": REF, "list": [REF, REF], "not": REF, "map": {"a": REF}})
    assert contract.is_valid({"pair": [REF, "x"]})
    assert not contract.is_valid({"pair": ["x", "x"]})
    assert not contract.is_valid({"map": {"a": "x"}})


def test_the_schema_given_is_not_changed():
    before = repr(TREE)
    tolerant(TREE)
    assert repr(TREE) == before


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/root/v", {"type": "integer"}),
        ("/root/kids/3/v", {"type": "integer"}),
        ("/root/kids/01", None),
        ("/root/kids/-1", None),
        ("/root/nope", None),
        ("/root/v/x", None),
        ("/nope", None),
        ("root", None),
        ("/any", "unknown"),
        ("/any/x/y", "unknown"),
        ("/tag/x", None),
    ],
)
def test_following_a_pointer(pointer, expected):
    found = subschema_at(TREE, pointer)
    if isinstance(found, dict):
        found.pop("$defs")
    assert found == expected


def test_a_pointer_into_a_union_gives_what_its_branches_have():
    schema = {
        "anyOf": [
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"a": {"type": "integer"}},
                "additionalProperties": False,
            },
            {"type": "null"},
        ]
    }
    assert subschema_at(schema, "/a") == {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    assert subschema_at(schema, "/b") is None


def test_pointers_know_open_objects_escapes_and_bounds():
    schema = {
        "type": "object",
        "properties": {
            "a/b": {"type": "string"},
            "l": {"type": "array", "maxItems": 2, "items": {"type": "null"}},
        },
        "additionalProperties": {"type": "integer"},
    }
    assert subschema_at(schema, "/a~1b") == {"type": "string"}
    assert subschema_at(schema, "/other") == {"type": "integer"}
    assert subschema_at(schema, "/l/1") == {"type": "null"}
    assert subschema_at(schema, "/l/2") is None
    assert subschema_at({"type": "object", "allOf": [{}]}, "/x") == "unknown"
    assert subschema_at({"$ref": "#/$defs/Gone"}, "/x") == "unknown"


def test_a_circle_of_references_ends():
    loop = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert subschema_at(loop, "/x") == "unknown"
    assert may_fit(loop, {"type": "string"})


OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("producer", "consumer", "fits"),
    [
        ({"type": "string"}, {"type": "string"}, True),
        ({"type": "string"}, {"type": "integer"}, False),
        ({"type": "number"}, {"type": "integer"}, True),
        ({}, {"type": "integer"}, True),
        (True, False, False),
        ({"enum": ["a", "b"]}, {"enum": ["b", "c"]}, True),
        ({"enum": ["a", "b"]}, {"const": "c"}, False),
        ({"const": True}, {"const": 1}, False),
        ({"type": "array", "items": {"type": "string"}}, {"type": "string"}, False),
        (
            {"type": "array", "items": {"type": "string"}},
            {"type": "array", "items": {"type": "integer"}},
            True,
        ),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
            {"type": "array", "items": {"type": "integer"}},
            False,
        ),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string"}, True),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "integer"}, False),
        (OBJECT, {"type": "object", "required": ["b"]}, False),
        (
            OBJECT,
            {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
            False,
        ),
        (OBJECT, {"type": "object", "properties": {"a": {"type": "integer"}}}, True),
        ({**OBJECT, "required": ["a"]}, {"type": "object", "additionalProperties": False}, False),
        ({"$ref": "#/$defs/N", "$defs": {"N": NODE}}, {"type": "object", "required": ["w"]}, False),
        (
            {"$ref": "#/$defs/N", "$defs": {"N": NODE}},
            {"$ref": "#/$defs/N", "$defs": {"N": NODE}},
            True,
        ),
    ],
)
def test_incompatible_only_if_it_is_certain(producer, consumer, fits):
    assert may_fit(producer, consumer) is fits
