"""What keeps a contract can be said under its wire schema, and comes back as it was.

In some dialects the wire schema asks for every key, with null for what is absent. So an absent
value and a null are one where null is a value of the field; everything else must survive the way
there and back.
"""

from __future__ import annotations

import functools
from typing import Any

import jsonschema_rs
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.dialects.problems import problems
from engine.dialects.table import DIALECTS
from engine.runtime.decision import DecisionContract
from engine.runtime.wire_schema import WireDecision, wire_output, wrapper_of
from engine.runtime.wire_values import read_decision, read_output, write_decision
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.sema.names.loader import MemoryReader
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import (
    BOOL,
    FLOAT,
    INT,
    MISSING,
    STRING,
    Array,
    Constant,
    Constrained,
    Definition,
    Field,
    Named,
    Optional,
    Record,
    Type,
    Union,
)
from engine.sema.types.schema_facts import follow

NAMES = ["a", "b", "result", "at", "$from", "tasks", "a/b", "$defs"]
TEXT = st.text('ab\u00e9"\n', max_size=3)
LITERALS = Union((Constant("low"), Constant("high")))


@functools.cache
def named(name: str, item: Type) -> Named:
    definition = Definition(name)
    definition.type = item
    return Named(definition)


def record(fields: dict[str, tuple[Type, Any]]) -> Record:
    return Record(
        None,
        tuple(Field(name, type_, default=default) for name, (type_, default) in fields.items()),
    )


def fields_of(types: st.SearchStrategy[Type]) -> st.SearchStrategy[Record]:
    field = types.flatmap(
        lambda type_: st.tuples(
            st.just(type_),
            st.one_of(st.just(MISSING), value_of(type_)) if not _has(type_) else st.just(MISSING),
        )
    )
    return st.dictionaries(st.sampled_from(NAMES), field, max_size=4).map(record)


def told_apart(records: tuple[Record, Record]) -> Union:
    """A union of records that say which they are."""
    return Union(
        tuple(
            Record(None, (Field("kind", Constant(name)), *item.fields))
            for name, item in zip("xy", records, strict=True)
        )
    )


def pick(value: Any, type_: Union) -> Type:
    """Which of a union's types a value is of."""
    if not isinstance(value, dict):
        return type_.options[0]
    return next(
        option
        for option in type_.options
        if isinstance(option, Record)
        and any(f.name == "kind" and f.type.value == value["kind"] for f in option.fields)  # type: ignore[attr-defined]
    )


def _has(type_: Type) -> bool:
    return isinstance(type_, Record | Named | Array | Union)


LEAVES = st.sampled_from(
    [
        STRING,
        INT,
        FLOAT,
        BOOL,
        LITERALS,
        Constant("x"),
        Constrained(STRING, {"minLength": 0, "maxLength": 9}),
        Optional(INT),
        Optional(LITERALS),
    ]
)
TYPES: st.SearchStrategy[Type] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(Array),
        inner.filter(lambda t: not isinstance(t, Optional)).map(Optional),
        fields_of(inner),
        fields_of(inner).map(lambda r: named(f"N{id(r)}", r)),
        st.tuples(fields_of(inner), fields_of(inner)).map(told_apart),
    ),
    max_leaves=8,
)


def value_of(type_: Type) -> st.SearchStrategy[Any]:
    """Values of a type, by the type's own meaning and not by its schema."""
    if isinstance(type_, Named):
        return value_of(type_.definition.type)
    if isinstance(type_, Optional):
        return st.one_of(st.none(), value_of(type_.item))
    if isinstance(type_, Constrained):
        return value_of(type_.item)
    if isinstance(type_, Array):
        return st.lists(value_of(type_.item), max_size=2)
    if isinstance(type_, Constant):
        return st.just(type_.value)
    if isinstance(type_, Union):
        return st.one_of(*map(value_of, type_.options))
    if isinstance(type_, Record):
        needed = {f.name: value_of(f.type) for f in type_.fields if not _may_miss(f)}
        rest = {f.name: value_of(f.type) for f in type_.fields if _may_miss(f)}
        return st.fixed_dictionaries(needed, optional=rest)
    scalars = {
        "string": TEXT,
        "int": st.integers(-9, 9),
        "float": st.floats(-9, 9),
        "bool": st.booleans(),
    }
    return scalars[type_.name]  # type: ignore[attr-defined]


def _may_miss(field: Field) -> bool:
    return field.default is not MISSING or isinstance(field.type, Optional)


def to_wire(value: Any, type_: Type) -> Any:
    """As a model has to say it: every key, null for what is absent."""
    if isinstance(type_, Named):
        return to_wire(value, type_.definition.type)
    if isinstance(type_, Optional):
        return None if value is None else to_wire(value, type_.item)
    if isinstance(type_, Array):
        return [to_wire(item, type_.item) for item in value]
    if isinstance(type_, Union):
        return to_wire(value, pick(value, type_))
    if isinstance(type_, Record):
        return {
            f.name: to_wire(value[f.name], f.type) if f.name in value else None
            for f in type_.fields
        }
    return value


def settled(value: Any, type_: Type) -> Any:
    """A value with null for each nullable field that is absent: what the wire cannot tell apart."""
    if value is None:
        return None
    if isinstance(type_, Named):
        return settled(value, type_.definition.type)
    if isinstance(type_, Optional):
        return settled(value, type_.item)
    if isinstance(type_, Array):
        return [settled(item, type_.item) for item in value]
    if isinstance(type_, Union):
        return settled(value, pick(value, type_))
    if isinstance(type_, Record):
        return {
            f.name: settled(value.get(f.name), f.type)
            for f in type_.fields
            if f.name in value or isinstance(f.type, Optional)
        }
    return value


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from(["openai", "anthropic", "ollama"]))
def test_an_output_survives_its_wire_schema(data, dialect):
    type_ = data.draw(TYPES)
    contract = Contract(type_)
    value = data.draw(value_of(type_))
    assume(contract.is_valid(value))
    wire = wire_output(contract, dialect)
    assume(wire is not None)
    said = to_wire(value, type_) if dialect == "openai" else without_nulls(value, type_)
    root = follow(contract.schema, contract.schema.get("$ref", "#"))
    if root.get("type") != "object":
        said = {wrapper_of(contract): said}
    jsonschema_rs.Draft202012Validator(wire).validate(said)
    assert problems(wire, DIALECTS[dialect]) == []
    back = read_output(said, contract)
    assert contract.is_valid(back), (said, back)
    assert settled(back, type_) == settled(value, type_)


def without_nulls(value: Any, type_: Type) -> Any:
    """As a model says it that may leave keys out: no null where absence says the same."""
    if isinstance(type_, Named):
        return without_nulls(value, type_.definition.type)
    if isinstance(type_, Optional):
        return None if value is None else without_nulls(value, type_.item)
    if isinstance(type_, Array):
        return [without_nulls(item, type_.item) for item in value]
    if isinstance(type_, Union):
        return without_nulls(value, pick(value, type_))
    if isinstance(type_, Record):
        return {
            f.name: without_nulls(value[f.name], f.type)
            for f in type_.fields
            if f.name in value and not (value[f.name] is None and _may_miss(f))
        }
    return value


def test_nulls_are_dropped_behind_every_union():
    plain = record({"kind": (Constant("a"), MISSING), "v": (INT, 1)})
    other = record({"kind": (Constant("b"), MISSING), "v": (Optional(INT), MISSING)})
    for type_, said, meant in (
        (Optional(Array(plain)), [{"kind": "a", "v": None}], [{"kind": "a"}]),
        (Union((plain, other)), {"kind": "a", "v": None}, {"kind": "a"}),
        (Union((plain, other)), {"kind": "b", "v": None}, {"kind": "b", "v": None}),
        (Array(Optional(Union((plain, other)))), [None, {"kind": "a", "v": 2}], ...),
    ):
        contract = Contract(type_)
        expected = said if meant is ... else meant
        assert read_output({"result": said}, contract) == expected
        assert contract.is_valid(expected)


SOURCE = """orch 1
model m { id = "memory/m"  structured = native }
schema Item { name: string  count: int = 1  tags: string[]?  inner: Item? }
worker one(item: Item, style: "short" | "long" = "short", note: string?) -> Item via command {
  run = ["w"]  effect = pure
}
worker two(items: Item[], at: string) -> int via command { run = ["w"]  effect = pure }
orchestrator main() -> { items: Item[], total: int?, best: Item? } {
  model = m  goal = "g"  workers = [one, two]  policy { max_rounds = 3 }
}
"""


@functools.cache
def program() -> Program:
    reader = MemoryReader({"main.orch": SOURCE}, "/p")
    found = check_file("/p/main.orch", reader=reader, env={}).program
    assert found is not None
    return found


@functools.cache
def decisions() -> DecisionContract:
    return DecisionContract(program(), program().orchestrators["main"])


@functools.cache
def form(dialect: str) -> WireDecision:
    found = decisions().wire(dialect)
    assert found is not None
    assert problems(found.schema, DIALECTS[dialect]) == []
    return found


@functools.cache
def validator(dialect: str) -> Any:
    return jsonschema_rs.Draft202012Validator(form(dialect).schema)


NATIVE = [name for name, row in DIALECTS.items() if row.native]
ITEMS = st.recursive(
    st.fixed_dictionaries(
        {"name": TEXT},
        optional={"count": st.integers(0, 3), "tags": st.one_of(st.none(), st.lists(TEXT))},
    ),
    lambda inner: st.builds(lambda item, below: {**item, "inner": below}, inner, inner),
    max_leaves=3,
)
REFERENCES = st.sampled_from([{"$from": "t1"}, {"$from": "t1", "at": "/inner"}])


def item_to_wire(item: Any) -> Any:
    if item is None:
        return None
    if "$from" in item:
        return {"$from": item["$from"], "at": item.get("at")}
    return {
        "name": item["name"],
        "count": item.get("count"),
        "tags": item.get("tags"),
        "inner": item_to_wire(item.get("inner")),
    }


def item_settled(item: Any) -> Any:
    if item is None or "$from" in item:
        return item
    return {
        **({"count": item["count"]} if "count" in item else {}),
        "name": item["name"],
        "tags": item.get("tags"),
        "inner": item_settled(item.get("inner")),
    }


def said(value: Any, dialect: str) -> Any:
    """A value of the program as a model writes it in a dialect."""
    nulls = DIALECTS[dialect].optional == "nullable"
    return item_to_wire(value) if nulls else item_plain(value)


def item_plain(item: Any) -> Any:
    """An item without a key whose null says the same as its absence."""
    if item is None:
        return None
    rest = {k: v for k, v in item.items() if v is not None}
    return {**rest, "inner": item_plain(rest["inner"])} if "inner" in rest else rest


@settings(deadline=None, max_examples=300)
@given(
    st.one_of(ITEMS, REFERENCES),
    st.sampled_from(["short", "long", None]),
    st.one_of(st.just({}), st.fixed_dictionaries({"note": TEXT})),
    st.sampled_from(NATIVE),
)
def test_a_tasks_input_survives_the_wire_form(item, style, note, dialect):
    spec = {"item": item, **({} if style is None else {"style": style}), **note}
    given_item = item if "$from" in item else said(item, dialect)
    wire = write_decision(
        {"tasks": [{"worker": "one", "id": "t2", "input": {**spec, "item": given_item}}]},
        form(dialect),
    )
    validator(dialect).validate(wire)
    decision = decisions().read(read_decision(wire, decisions()))
    got = decision["tasks"][0]["input"]
    assert item_settled(got["item"]) == item_settled(item)
    assert (got.get("style"), got.get("note")) == (spec.get("style"), spec.get("note"))


@settings(deadline=None, max_examples=300)
@given(
    st.lists(ITEMS, max_size=2),
    st.one_of(st.none(), st.integers(-9, 9)),
    st.none() | ITEMS,
    st.sampled_from(NATIVE),
)
def test_a_result_survives_the_wire_form(items, total, best, dialect):
    optional = {"total": total, "best": said(best, dialect)}
    if DIALECTS[dialect].optional == "absent":
        optional = {key: value for key, value in optional.items() if value is not None}
    finish = {"items": [said(item, dialect) for item in items], **optional}
    wire = write_decision({"finish": finish}, form(dialect))
    validator(dialect).validate(wire)
    got = decisions().read(read_decision(wire, decisions()))["finish"]
    for one, other in zip(got["items"], items, strict=True):
        assert item_settled(one) == item_settled({"count": 1, **other}) | {
            "inner": item_settled(one)["inner"]
        }
    assert got.get("total") == total
