"""A contract's schema rewritten into a dialect: what is kept, what is told, what cannot be said."""

from __future__ import annotations

from typing import Any

import pytest

from engine.dialects.problems import problems
from engine.dialects.say import Inexpressible, say
from engine.dialects.table import DIALECTS

OPENAI, CLAUDE, GEMINI, OLLAMA = (
    DIALECTS[name] for name in ("openai", "anthropic", "gemini", "ollama")
)


def record(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TEXT = {"type": "string"}
TREE = {
    "$ref": "#/$defs/Tree",
    "$defs": {
        "Tree": record(name=TEXT, children={"type": "array", "items": {"$ref": "#/$defs/Tree"}})
    },
}


def test_a_comment_on_a_field_of_a_declared_type_stands_beside_no_reference() -> None:
    schema = record(hero={"$ref": "#/$defs/Source", "description": "The hero."})
    schema["$defs"] = {"Source": {"title": "Source", "description": "Any.", **record(name=TEXT)}}
    said = say(schema, OPENAI)
    assert said["properties"]["hero"] == {**record(name=TEXT), "description": "The hero."}
    assert problems(said, OPENAI) == []


@pytest.mark.parametrize("beside", [{"title": "x"}, {"default": None}, {"examples": [1]}])
def test_nothing_stands_beside_a_reference(beside: dict[str, Any]) -> None:
    schema = {**record(a={"$ref": "#/$defs/A", **beside}), "$defs": {"A": record(b=TEXT)}}
    assert say(schema, OPENAI)["properties"]["a"] == {"$ref": "#/$defs/A"}


def test_an_optional_key_is_null_for_openai_and_absent_for_claude() -> None:
    schema = record(a=TEXT, b={"anyOf": [TEXT, {"type": "null"}], "default": None})
    schema["required"] = ["a"]
    nullable = say(schema, OPENAI)
    assert nullable["required"] == ["a", "b"]
    assert nullable["properties"]["b"] == {"anyOf": [TEXT, {"type": "null"}]}
    absent = say(schema, CLAUDE)
    assert absent["required"] == ["a"]
    assert absent["properties"]["b"] == TEXT


def test_a_required_null_stays_a_value() -> None:
    schema = record(a={"anyOf": [TEXT, {"type": "null"}]})
    assert say(schema, CLAUDE)["properties"]["a"] == {"anyOf": [TEXT, {"type": "null"}]}


@pytest.mark.parametrize("dialect", [OPENAI, CLAUDE, GEMINI], ids=lambda d: d.name)
def test_several_types_keep_their_null(dialect: Any) -> None:
    schema = record(
        a={"type": ["object", "null"], **{k: v for k, v in record(b=TEXT).items() if k != "type"}}
    )
    said = say(schema, dialect)["properties"]["a"]
    assert said == {"anyOf": [record(b=TEXT), {"type": "null"}]}


def test_a_constant_is_an_enumeration_with_a_type() -> None:
    said = say(record(a={"const": "x"}, b={"enum": ["x", 1, None]}), OPENAI)["properties"]
    assert said["a"] == {"type": "string", "enum": ["x"]}
    assert said["b"] == {
        "anyOf": [
            {"type": "string", "enum": ["x"]},
            {"type": "integer", "enum": [1]},
            {"type": "null"},
        ]
    }


def test_numbers_of_an_enumeration_are_told_where_only_strings_may_be_listed() -> None:
    said = say(record(a={"type": "integer", "enum": [1, 2]}), GEMINI)["properties"]["a"]
    assert said == {"type": "integer", "description": "one of 1, 2"}


def test_what_a_dialect_does_not_check_is_told() -> None:
    schema = record(a={"type": "string", "maxLength": 5, "description": "A name."})
    assert say(schema, OPENAI)["properties"]["a"] == {
        "type": "string",
        "description": "A name. (at most 5 characters)",
    }


def test_bounds_are_kept_where_they_are_taken() -> None:
    schema = record(a={"type": "integer", "minimum": 1, "maximum": 9})
    assert say(schema, OPENAI)["properties"]["a"] == {"type": "integer", "minimum": 1, "maximum": 9}
    assert say(schema, CLAUDE)["properties"]["a"] == {
        "type": "integer",
        "description": "(at least 1, at most 9)",
    }


def test_recursion_is_said_where_it_is_taken_and_refused_elsewhere() -> None:
    schema = {**record(tree={"$ref": "#/$defs/Tree"}), "$defs": TREE["$defs"]}
    assert problems(say(schema, OPENAI), OPENAI) == []
    for dialect in (CLAUDE, GEMINI, DIALECTS["xai"]):
        with pytest.raises(Inexpressible) as found:
            say(schema, dialect)
        assert found.value.why == "the type `Tree`, which holds itself"


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({}, "a place that takes any value"),
        (
            {"type": "object", "additionalProperties": TEXT},
            "an object with keys that are not named",
        ),
        ({"type": "array"}, "a list of any values"),
        ({"type": "string", "not": {"const": "x"}}, "the keyword `not`"),
        ({"$ref": "#/properties/a"}, "the reference `#/properties/a`"),
        ({"enum": [[1]]}, "an enumeration of lists or objects"),
    ],
)
def test_what_cannot_be_said_names_the_place_and_the_reason(
    schema: dict[str, Any], why: str
) -> None:
    with pytest.raises(Inexpressible) as found:
        say(record(outer=record(inner=schema)), OPENAI)
    assert (found.value.place, found.value.why) == ("outer.inner", why)


def test_open_objects_are_said_where_they_are_taken() -> None:
    schema = record(a={"type": "object", "additionalProperties": {"type": "integer"}}, b={})
    assert problems(say(schema, OLLAMA), OLLAMA) == []


def test_limits_on_sizes_are_kept() -> None:
    many = record(a={"type": "string", "enum": [f"v{n}" for n in range(1_001)]})
    with pytest.raises(Inexpressible, match="1001 values of enumerations, where OpenAI takes 1000"):
        say(many, OPENAI)
    deep: dict[str, Any] = TEXT
    for _ in range(11):
        deep = record(a=deep)
    with pytest.raises(Inexpressible, match="11 levels of nesting"):
        say(deep, OPENAI)


def test_a_dialect_without_schemas_says_nothing() -> None:
    with pytest.raises(Inexpressible):
        say(record(a=TEXT), DIALECTS["deepseek"])
