"""JSON Schemas of every dialect are read as that dialect means them, or refused with its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.sema.check import CheckResult, check_file
from engine.sema.names.loader import MemoryReader
from engine.sema.types.contract import Contract

DRAFT = "http://json-schema.org/draft-%s/schema#"
D4, D6, D7 = DRAFT % "04", DRAFT % "06", DRAFT % "07"
D2019 = "https://json-schema.org/draft/2019-09/schema"


def checked(schema: Any, pointer: str = "", **files: Any) -> CheckResult:
    texts = {f"{name.replace('__', '/')}.json": json.dumps(it) for name, it in files.items()}
    texts["pair.json"] = json.dumps(schema)
    texts["a.orch"] = (
        f'orch 1\nschema Pair from "pair.json{pointer}"\n'
        'worker w(x: Pair) -> json via python { call = "a:b" }\n'
    )
    reader = MemoryReader(texts, "/s", with_python=False)
    return check_file("/s/a.orch", reader=reader, env={})


def messages(schema: Any, pointer: str = "", **files: Any) -> list[str]:
    return [item.message for item in checked(schema, pointer, **files).diagnostics]


def contract(schema: Any, pointer: str = "", **files: Any) -> Contract:
    result = checked(schema, pointer, **files)
    assert result.program is not None, [item.message for item in result.diagnostics]
    return result.program.workers["w"].inputs


def takes(schema: Any, value: Any, pointer: str = "", **files: Any) -> bool:
    return contract(schema, pointer, **files).is_valid({"x": value})


OPENAPI = {
    "openapi": "3.0.3",
    "info": {"title": "t", "version": "1"},
    "paths": {},
    "components": {
        "schemas": {
            "Pet": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "nullable": True},
                    "age": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
                    "kind": {"$ref": "#/components/schemas/Kind"},
                },
                "discriminator": {"propertyName": "kind"},
            },
            "Kind": {"type": "string", "enum": ["cat", "dog"], "example": "cat"},
        }
    },
}
PET = "#/components/schemas/Pet"


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"$schema": D7, "items": [{"type": "string"}, {"type": "integer"}]}, ["a", 1, {}], [1]),
        ({"$schema": D7, "items": [{}], "additionalItems": False}, [1], [1, 2]),
        ({"$schema": D4, "items": [{}], "additionalItems": {"type": "null"}}, [1, None], [1, 2]),
        ({"$schema": D7, "items": {}, "additionalItems": False}, [1, 2], None),
        ({"$schema": D4, "minimum": 1, "exclusiveMinimum": True}, 2, 1),
        ({"$schema": D4, "maximum": 1, "exclusiveMaximum": False}, 1, 2),
        ({"minimum": 1, "exclusiveMinimum": True}, 2, 1),
        ({"$schema": D7, "dependencies": {"a": ["b"]}}, {"a": 1, "b": 2}, {"a": 1}),
        ({"$schema": D4, "dependencies": {"a": {"required": ["b"]}}}, {"b": 1}, {"a": 1}),
        ({"dependencies": {"a": ["b"]}}, {"b": 1}, {"a": 1}),
        ({"$schema": D7, "definitions": {"A": {"$id": "#a", "type": "null"}}, "$ref": "#a"},
         None, 1),
        ({"$schema": D4, "definitions": {"A": {"id": "#a", "type": "null"}}, "$ref": "#a"},
         None, 1),
        ({"$ref": "#/$defs/A%20B", "$defs": {"A B": {"type": "string"}}}, "a", 1),
        ({"$ref": "#/$defs/A~1B%25", "$defs": {"A/B%": {"type": "string"}}}, "a", 1),
        ({"$id": "https://a.example/t.json", "anyOf": [{"type": "null"}, {"properties": {
            "next": {"$ref": "https://a.example/t.json"}}, "type": "object"}]},
         {"next": {"next": None}}, {"next": 1}),
        ({"$id": "https://a.example/t.json", "$ref": "t.json#/$defs/A",
          "$defs": {"A": {"type": "null"}}}, None, 1),
        ({"$ref": "https://b.example/n", "$defs": {"N": {
            "$id": "https://b.example/n", "$ref": "#/$defs/M", "$defs": {"M": {"type": "null"}}}}},
         None, 1),
        ({"$schema": D2019, "$recursiveAnchor": True, "type": "object",
          "additionalProperties": {"$recursiveRef": "#"}}, {"a": {}}, {"a": 1}),
        ({"$schema": D2019, "items": [{"type": "null"}], "additionalItems": False}, [None], [1]),
        ({"$anchor": "me", "properties": {"a": {"$ref": "#me"}}, "type": "object"},
         {"a": {}}, {"a": 1}),
        ({"$ref": "http://json-schema.org/draft-07/schema#"}, {"type": "null"}, {"type": "nil"}),
        ({"type": "string", "nullable": True}, None, 1),
        ({"$schema": D7, "properties": {"id": {"type": "string"}, "$id": {"type": "null"}}},
         {"id": "a", "$id": None}, {"id": 1}),
    ],
)  # fmt: skip
def test_each_dialect_means_what_it_says(schema: Any, good: Any, bad: Any) -> None:
    assert takes(schema, good)
    assert bad is None or not takes(schema, bad)


def test_an_openapi_document() -> None:
    assert takes(OPENAPI, {"name": None, "age": 1, "kind": "cat"}, PET)
    for wrong in ({}, {"name": 1}, {"name": "a", "age": 0}, {"name": "a", "kind": "cow"}):
        assert not takes(OPENAPI, wrong, PET)
    assert messages(OPENAPI, PET) == []


@pytest.mark.parametrize("draft", [D4, D6, D7])
def test_what_stands_beside_a_ref_counts_for_nothing_and_is_told(draft: str) -> None:
    schema = {
        "$schema": draft,
        "properties": {"a": {"$ref": "#/definitions/A", "minLength": 3, "description": "d"}},
        "definitions": {"A": {"type": "string"}},
    }
    assert takes(schema, {"a": "x"})
    (message,) = messages(schema)
    assert message.startswith("pair.json: this is draft-0")
    assert "`minLength` next to `$ref` has no effect" in message
    newer = {**schema, "$schema": D2019}
    assert not takes(newer, {"a": "x"})


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"$schema": D4, "const": 1}, "draft-04: `const`"),
        ({"$schema": D6, "if": {"type": "null"}, "then": False}, "draft-06: `if`"),
        ({"$schema": D7, "type": "string", "nullable": True}, "draft-07: `nullable`"),
        ({"$schema": D7, "dependentRequired": {"a": ["b"]}}, "draft-07: `dependentRequired`"),
        ({"type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema",
          "dependencies": {"a": ["b"]}}, "2020-12: `dependencies`"),
        ({"openapi": "3.0.0", "enum": ["a"], "type": "string", "nullable": True}, "where `enum`"),
        ({"openapi": "3.0.0", "nullable": True}, "`nullable` without `type`"),
    ],
)  # fmt: skip
def test_a_keyword_without_meaning_is_told(schema: Any, said: str) -> None:
    assert any(said in message for message in messages(schema))
    assert all(item.code == "ORC212" for item in checked(schema).diagnostics)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"$schema": DRAFT % "03"}, "written in draft-03, a dialect"),
        ({"$schema": "https://example.org/own"}, "written in https://example.org/own, a dialect"),
        ({"swagger": "2.0"}, "written in Swagger 2.0, a dialect"),
        ({"$schema": D7, "items": 7}, "this is draft-07: `#/items`: "),
        ({"$schema": D4, "exclusiveMinimum": 1}, "this is draft-04: `#"),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "items": [{}]}, "`#/items`: "),
        ({"openapi": "3.0.0", "type": ["string", "null"]}, "this is OpenAPI 3.0: `type` is one"),
        ({"$schema": D2019, "contains": {}, "unevaluatedItems": False}, "next to `contains`"),
        ({"$ref": "https://a.example/b.json"}, "`https://a.example/b.json`, which is not in it"),
        ({"$ref": "b.json"}, "`b.json`, which does not exist"),
        ({"$ref": "#/$defs/Nothing"}, "`#/$defs/Nothing`, which does not exist in it"),
        ({"$ref": "file:///etc/hostname"}, "which is not in it, and nothing is fetched"),
        ({"$schema": D2019, "$recursiveAnchor": True, "$recursiveRef": "#", "$defs": {
            "A": {"$id": "a", "$recursiveAnchor": True}}}, "by the way that leads to it"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_words(schema: Any, said: str) -> None:
    result = checked(schema)
    assert result.program is None
    assert any(said in item.message for item in result.diagnostics)


def test_references_lead_to_other_files_also_in_circles() -> None:
    tree = {"$schema": D7, "properties": {"left": {"$ref": "parts/leaf.json#/definitions/Leaf"}}}
    leaf = {"definitions": {"Leaf": {"type": "object", "properties": {
        "up": {"$ref": "../pair.json"}, "n": {"$ref": "#/definitions/N"}}},
        "N": {"type": "integer"}}}  # fmt: skip
    good = {"left": {"n": 1, "up": {"left": {"n": 2}}}}
    assert takes(tree, good, parts__leaf=leaf)
    assert not takes(tree, {"left": {"up": {"left": {"n": "x"}}}}, parts__leaf=leaf)
    named = {"$id": "https://a.example/s/pair.json", **tree}
    assert takes(named, good, parts__leaf={"$id": "https://a.example/s/parts/leaf.json", **leaf})


def test_another_file_has_its_own_dialect() -> None:
    old = {"$schema": D4, "minimum": 1, "exclusiveMinimum": True}
    assert not takes({"$ref": "old.json"}, 1, old=old)
    assert takes({"$ref": "old.json"}, 2, old=old)


def test_no_reference_leads_out_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"type": "null"}')
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "orch.toml").write_text("")
    (folder / "a.orch").write_text('orch 1\nschema Pair from "pair.json"\n')
    for reference in ("../secret.json", str(tmp_path / "secret.json"), "link.json"):
        (folder / "pair.json").write_text(json.dumps({"$ref": reference}))
        if reference == "link.json":
            (folder / "link.json").symlink_to(tmp_path / "secret.json")
        (found,) = check_file(str(folder / "a.orch"), env={}).diagnostics
        assert found.code == "ORC110"
