"""The small pieces of the gateway that need no server."""

import pytest

from engine.models.faults import missing_key, retry_after_ms, struck_out
from engine.models.strict import is_strict

TEXT = {"type": "string"}


def record(properties, **more):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


@pytest.mark.parametrize(
    "schema",
    [
        record({"a": TEXT}),
        record({}),
        record({"a": {"anyOf": [TEXT, {"type": "null"}]}, "b": {"enum": [1, 2]}}),
        record({"a": {"$ref": "#/$defs/A"}}, **{"$defs": {"A": record({"b": TEXT})}}),
        record({"a": {"type": "array", "items": record({"b": {"const": "x"}})}}),
        record({"a": {"type": ["string", "null"], "format": "date-time"}}),
    ],
)
def test_inside_the_subset(schema):
    assert is_strict(schema)


@pytest.mark.parametrize(
    "schema",
    [
        TEXT,
        {},
        record({"a": TEXT}, required=[]),
        record({"a": TEXT}, additionalProperties=True),
        {"type": "object", "properties": {}},
        record({"a": {}}),
        record({"a": True}),
        record({"a": {"description": "anything"}}),
        record({"a": {"type": "array"}}),
        record({"a": {"oneOf": [TEXT]}}),
        record({"a": {"type": "string", "format": "uri"}}),
        record({"a": {"type": "array", "items": {"type": "object"}}}),
        record({"a": {"$ref": "#/$defs/A"}}, **{"$defs": {"A": {"type": "object"}}}),
        record({"a": {"anyOf": [TEXT, {"type": "object"}]}}),
        {"type": "object", "anyOf": [record({"a": TEXT})]},
    ],
)
def test_outside_of_the_subset(schema):
    assert not is_strict(schema)


@pytest.mark.parametrize(
    ("headers", "expected_ms"),
    [
        ({"Retry-After": "7"}, 7_000),
        ({"retry-after": "0.25"}, 250),
        ({"retry-after-ms": "120", "retry-after": "1"}, 120),
        ({"retry-after": "-3"}, 0),
        (
            {
                "date": "Wed, 21 Oct 2026 07:28:00 GMT",
                "retry-after": "Wed, 21 Oct 2026 07:28:30 GMT",
            },
            30_000,
        ),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers, expected_ms):
    assert retry_after_ms(headers) == expected_ms


def test_keys_are_struck_out():
    text = "key hunter2hunter2 and sk-proj-abcdefghijklmnop and Bearer abc.def, not risk-free"
    assert struck_out(text, {"hunter2hunter2"}) == "key *** and *** and *** not risk-free"


def test_which_variable_to_ask_for():
    both = ["GOOGLE_API_KEY", "GEMINI_API_KEY"]
    assert missing_key(both, "gemini", {}) == "GEMINI_API_KEY"
    assert missing_key(["AZURE_API_KEY"], "azure", {"AZURE_AD_TOKEN": "x"}) is None
    assert missing_key(["AWS_ACCESS_KEY_ID", "VERTEXAI_PROJECT"], "bedrock", {}) is None
    assert missing_key([], "openai", {}) is None
