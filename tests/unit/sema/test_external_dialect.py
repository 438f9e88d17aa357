"""A JSON Schema of an older dialect is refused with the name of what it declares."""

from __future__ import annotations

import json

import pytest

from engine.sema.check import check_file
from engine.sema.names.loader import MemoryReader

PAIR = {"type": "array", "items": [{"type": "string"}]}


def messages(schema: dict[str, object]) -> list[str]:
    files = {"a.orch": 'orch 1\nschema Pair from "pair.json"\n', "pair.json": json.dumps(schema)}
    found = check_file("/s/a.orch", reader=MemoryReader(files, "/s"), env={}).diagnostics
    return [item.message for item in found]


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("http://json-schema.org/draft-07/schema#", "declares draft-07 and"),
        ("http://json-schema.org/draft-04/schema#", "declares draft-04 and"),
        ("https://json-schema.org/draft/2019-09/schema", "declares 2019-09 and"),
        ("https://example.org/own", "declares https://example.org/own and"),
    ],
)
def test_the_dialect_is_named(declared: str, said: str) -> None:
    (message,) = messages({"$schema": declared, **PAIR})
    assert f"pair.json: it {said} is read as 2020-12: `#/items`: " in message


@pytest.mark.parametrize(
    "declared", [{}, {"$schema": "https://json-schema.org/draft/2020-12/schema"}, {"$schema": 7}]
)
def test_nothing_is_said_of_ours(declared: dict[str, object]) -> None:
    (message,) = messages({**declared, **PAIR})
    assert message.startswith("pair.json: `#/items`: ")


def test_what_both_dialects_know_is_taken() -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"}
    assert messages(schema) == []
