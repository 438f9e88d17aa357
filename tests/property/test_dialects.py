"""A schema of an older draft, said in 2020-12, takes the same values as by its own draft.

The second opinion is `jsonschema`, which knows every draft. Schemas and values are made at random
from a seed; 1.0 is left out, which draft-04 does not take for an integer.
"""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema_rs
import pytest
from jsonschema.validators import validator_for

from engine.sema.types.dialects import DRAFT_04, DRAFT_06, DRAFT_07, DRAFT_2019, Dialect
from engine.sema.types.external_schema import load_external
from engine.source import SourceFile, Span
from engine.syntax import ast

SCALARS = [None, True, False, 0, 1, 2, 2.5, -1, "", "a", "bb", "ccc"]
NAMES = ["a", "b", "c"]


class Maker:
    """Makes schemas of one draft, and values."""

    def __init__(self, dialect: Dialect, seed: int) -> None:
        self.level = dialect.level
        self.chance = random.Random(seed)

    def schema(self, depth: int = 0) -> Any:
        chance = self.chance
        if self.level >= 6 and chance.random() < 0.1:
            return chance.random() < 0.7
        keywords = [name for name in dir(self) if name.startswith("say_")]
        made: dict[str, Any] = {}
        for name in chance.sample(keywords, chance.randrange(1, 4)):
            made.update(getattr(self, name)(depth + 1))
        if isinstance(made.get("items"), bool):
            made.pop("additionalItems", None)  # jsonschema 4.26 raises a TypeError there
        return made

    def inner(self, depth: int) -> Any:
        return self.schema(depth) if depth < 4 else {"type": self.chance.choice(["null", "string"])}

    def say_type(self, depth: int) -> Any:
        return {
            "type": self.chance.choice(["string", "integer", "object", "array", ["null", "number"]])
        }

    def say_bounds(self, depth: int) -> Any:
        if self.level > 4:
            return {"exclusiveMinimum": self.chance.randrange(3)}
        return {"minimum": self.chance.randrange(3), "exclusiveMinimum": self.chance.random() < 0.5}

    def say_maximum(self, depth: int) -> Any:
        exclusive = (
            {"exclusiveMaximum": True} if self.level == 4 and self.chance.random() < 0.5 else {}
        )
        return {"maximum": self.chance.randrange(3), **exclusive}

    def say_tuple(self, depth: int) -> Any:
        made = {"items": [self.inner(depth) for _ in range(self.chance.randrange(1, 3))]}
        if self.chance.random() < 0.6:
            made["additionalItems"] = self.chance.choice([False, True, {"type": "null"}])
        return made

    def say_items(self, depth: int) -> Any:
        return {"items": self.inner(depth), "additionalItems": False}

    def say_properties(self, depth: int) -> Any:
        made = {"properties": {name: self.inner(depth) for name in self.chance.sample(NAMES, 2)}}
        return {**made, **self.chance.choice([{}, {"additionalProperties": False}])}

    def say_dependencies(self, depth: int) -> Any:
        if self.level > 7:
            return {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"b": self.inner(depth)}}
        return {"dependencies": {"a": ["b"], "b": self.inner(depth)}}

    def say_branches(self, depth: int) -> Any:
        key = self.chance.choice(["anyOf", "allOf", "oneOf"])
        return {key: [self.inner(depth), self.inner(depth)]}

    def say_reference(self, depth: int) -> Any:
        names = ["#/definitions/x", "#/definitions/a%20b", "#anchor"]
        return {"$ref": self.chance.choice(names)}

    def say_newer(self, depth: int) -> Any:
        if self.level == 4:
            return {"const": 1}  # counts for nothing there
        return {"contains": self.inner(depth)} if self.chance.random() < 0.5 else {"const": 1}

    def say_condition(self, depth: int) -> Any:
        return {"if": self.inner(depth), "then": self.inner(depth), "else": self.inner(depth)}

    def value(self, depth: int = 0) -> Any:
        chance = self.chance
        kind = chance.random()
        if depth > 2 or kind < 0.4:
            return chance.choice(SCALARS)
        if kind < 0.7:
            return [self.value(depth + 1) for _ in range(chance.randrange(4))]
        return {name: self.value(depth + 1) for name in NAMES if chance.random() < 0.5}


def document(dialect: Dialect, seed: int) -> tuple[dict[str, Any], Maker]:
    maker = Maker(dialect, seed)
    named = {"$anchor": "anchor"} if dialect.level > 7 else {dialect.id_keyword: "#anchor"}
    return {
        "$schema": dialect.schema,
        "allOf": [maker.schema()],
        "definitions": {
            "x": {"type": ["object", "string"], "properties": {"a": {"$ref": "#/definitions/x"}}},
            "a b": {"items": {"type": "integer"}},
            "named": {**named, "maxProperties": 1},
        },
    }, maker


@pytest.mark.parametrize(
    "dialect", [DRAFT_04, DRAFT_06, DRAFT_07, DRAFT_2019], ids=lambda it: it.name
)
def test_both_take_the_same_values(dialect: Dialect) -> None:
    taken = 0
    for seed in range(250):
        schema, maker = document(dialect, seed)
        found: list[Any] = []
        source = SourceFile("a.orch", '"x.json"')
        written = ast.String(Span(source, 0, 8), "x.json", False, ())
        external = load_external("X", written, json.dumps(schema), found.append)
        assert external is not None, (seed, schema, [item.message for item in found])
        theirs = validator_for(schema)(schema)
        ours = jsonschema_rs.Draft202012Validator(external.document, validate_formats=False)
        for _ in range(12):
            value = maker.value()
            expected = theirs.is_valid(value)
            taken += expected
            assert ours.is_valid(value) == expected, (seed, schema, value)
    assert taken > 300
