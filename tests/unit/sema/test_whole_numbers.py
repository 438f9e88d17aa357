"""`5.0` for an `int` is 5, wherever a schema says `integer`, and nothing else changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.sema.check import check_file
from engine.sema.names.loader import MemoryReader
from engine.sema.types.contract import Contract


def contract(type_: str, **files: Any) -> Contract:
    texts = {f"{name}.json": json.dumps(value) for name, value in files.items()}
    imports = "".join(f'schema {name} from "{name}.json"\n' for name in files)
    source = (
        f"orch 1\n{imports}"
        "schema Tree { size: int, children: Tree[] }\n"
        'schema Shape = { kind: "dot", n: float } | { kind: "box", n: int }\n'
        f'worker w(x: {type_}) -> json via python {{ call = "a:b" }}\n'
    )
    reader = MemoryReader({"a.orch": source, **texts}, "/s", with_python=False)
    result = check_file("/s/a.orch", reader=reader, env={})
    assert result.program is not None, [item.message for item in result.diagnostics]
    return result.program.workers["w"].inputs


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)


@pytest.mark.parametrize(
    ("type_", "given", "meant"),
    [
        ("int", 5.0, 5),
        ("int", 1e3, 1000),
        ("int", -0.0, 0),
        ("int", 1e21, 10**21),
        ("int", 2**70, 2**70),
        ("int @min(1)", 2.0, 2),
        ("int?", 5.0, 5),
        ("int?", None, None),
        ("int[]", [1, 2.0, 3], [1, 2, 3]),
        ("int[][]?", [[1.0], []], [[1], []]),
        ("{ a: { b: int[] }, c: float }", {"a": {"b": [1.0]}, "c": 1.0},
         {"a": {"b": [1]}, "c": 1.0}),
        ("1 | 2", 2.0, 2),
        ('"a" | 1', 1.0, 1),
        ("string | int", 5.0, 5),
        ("Tree", {"size": 1.0, "children": [{"size": 2.0, "children": []}]},
         {"size": 1, "children": [{"size": 2, "children": []}]}),
        ("Shape", {"kind": "box", "n": 1.0}, {"kind": "box", "n": 1}),
        ("Shape", {"kind": "dot", "n": 1.0}, {"kind": "dot", "n": 1.0}),
        ("float", 5.0, 5.0),
        ("json", [5.0], [5.0]),
        ("string", "5.0", "5.0"),
        ("bool", True, True),
    ],
)  # fmt: skip
def test_whole_numbers_are_ints(type_: str, given: Any, meant: Any) -> None:
    checked = contract(type_)
    assert checked.is_valid({"x": given})
    assert same(checked.with_defaults({"x": given}), {"x": meant})


@pytest.mark.parametrize(
    ("schema", "given", "meant"),
    [
        ({"type": ["integer", "null"]}, 5.0, 5),
        ({"type": ["integer", "number"]}, 5.0, 5.0),
        ({"allOf": [{"type": "number"}, {"type": "integer"}]}, 5.0, 5),
        ({"additionalProperties": {"type": "integer"}}, {"a": 1.0}, {"a": 1}),
        ({"properties": {"b": {}}, "patternProperties": {"^n": {"type": "integer"}},
          "additionalProperties": {"enum": [1, 2]}},
         {"n": 5.0, "m": 2.0, "b": 1.0}, {"n": 5, "m": 2, "b": 1.0}),
        ({"prefixItems": [{"type": "integer"}, {}], "items": {"type": "integer"}},
         [1.0, 2.0, 3.0], [1, 2.0, 3]),
        ({"if": {"required": ["k"]}, "then": {"properties": {"n": {"type": "integer"}}}},
         {"k": 0, "n": 1.0}, {"k": 0, "n": 1}),
        ({"if": {"required": ["k"]}, "then": {"properties": {"n": {"type": "integer"}}}},
         {"n": 1.0}, {"n": 1.0}),
        ({"$ref": "#/$defs/N", "$defs": {"N": {"const": 7}}}, 7.0, 7),
    ],
)  # fmt: skip
def test_schemas_of_others(schema: Any, given: Any, meant: Any) -> None:
    assert same(contract("T", T=schema).with_defaults({"x": given}), {"x": meant})


@pytest.mark.parametrize("type_", ["int", "int[]", "Tree", "Shape", "string", "{ a: int }[]"])
def test_what_needs_no_change_is_not_copied(type_: str) -> None:
    values = {
        "int": 5,
        "int[]": [1, 2],
        "Tree": {"size": 1, "children": [{"size": 2, "children": []}]},
        "Shape": {"kind": "box", "n": 1},
        "string": "x",
        "{ a: int }[]": [{"a": 1}],
    }
    value = {"x": values[type_]}
    assert contract(type_).with_defaults(value) is value


def test_a_value_is_not_changed_in_place() -> None:
    value = {"x": [1.0, {"y": 2}]}
    contract("int[]").with_whole_numbers(value)
    assert same(value, {"x": [1.0, {"y": 2}]})
