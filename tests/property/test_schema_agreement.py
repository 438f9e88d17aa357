"""Both JSON Schema libraries say the same of every value, for every schema our types make."""

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sema.expressions.formats import ASSERTED
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STRING,
    Array,
    Constant,
    Constrained,
    Definition,
    Field,
    Named,
    Optional,
    Record,
    Scalar,
    Union,
)
from engine.sema.types.json_schema import may_fit, tolerant
from tests.support.second_opinion import second_opinion

NAMES = ["a", "b", "c", "a/b", "$from"]
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "low",
            "high",
            "2026-01-31",
            "2026-02-30",
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00+24:00",
            "30s",
            "PT30S",
            "P",
            "a@b.example",
            "a@",
            "http://a.example/x",
            "https://",
            "ftp://a",
            "a\n",
            "aaa\n",
            "x\0y",
            "1.2.3.4",
            "::1",
            "2001:db8::%1",
            "0d1c2b3a-0000-0000-0000-000000000000",
            "[",
        ]
    ),
)
NUMBERS = st.one_of(
    st.integers(-5, 5),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0.0, 1.0, -1.0, 1.5, 2.5, 1e300]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=8,
)

SCALARS = st.sampled_from(
    [ANY, STRING, INT, FLOAT, BOOL]
    + [Scalar(name) for name in ("url", "path", "email", "date", "datetime", "duration")]
)
CONSTANTS = st.sampled_from(
    [Constant(value) for value in ("low", "high", 1, 1.0, 0, 2.5, True, False, None)]
)
KEYWORDS = st.fixed_dictionaries(
    {},
    optional={
        "minimum": st.sampled_from([-1, 0, 1.5]),
        "maximum": st.sampled_from([0, 1, 3.5]),
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(0, 8),
        "minItems": st.integers(0, 2),
        "maxItems": st.integers(0, 3),
        "uniqueItems": st.just(True),
        "pattern": st.sampled_from(["^a+$", r"\d", r"^\w*$", r"\s", "[^a]", "^.$"]),
        "format": st.sampled_from([*ASSERTED, "json-pointer", "nonsense"]),
        "x-max-bytes": st.integers(0, 20),
    },
)


@st.composite
def types(draw, depth=2):
    if depth == 0:
        return draw(st.one_of(SCALARS, CONSTANTS))
    inner = types(depth=depth - 1)
    kind = draw(st.integers(0, 6))
    if kind == 0:
        return draw(st.one_of(SCALARS, CONSTANTS))
    if kind == 1:
        return Array(draw(inner))
    if kind == 2:
        return Optional(draw(inner))
    if kind == 3:
        return Union(tuple(draw(st.lists(inner, min_size=2, max_size=3))))
    if kind == 4:
        return Constrained(draw(inner), draw(KEYWORDS))
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
    record = Record("R", tuple(Field(name, draw(inner)) for name in names))
    if kind == 5:
        return record
    # A recursive schema: the record again, behind an optional and a list.
    definition = Definition("D" + "".join(draw(st.lists(st.sampled_from("xyz"), max_size=4))))
    again = (Field("next", Optional(Named(definition))), Field("more", Array(Named(definition))))
    definition.type = Record(definition.name, record.fields + again[: draw(st.integers(1, 2))])
    return Named(definition)


@settings(max_examples=300, deadline=None)
@given(types(), st.lists(VALUES, min_size=1, max_size=6))
def test_the_two_libraries_agree(type_, values):
    contract = Contract(type_)
    slow = second_opinion(contract.schema, contract.failed_invariants)
    for value in values:
        fast = contract.is_valid(value)
        assert fast == slow.is_valid(value), (contract.schema, value)
        assert (contract.problems(value) == []) == fast


@settings(max_examples=200, deadline=None)
@given(types(), st.lists(VALUES, min_size=1, max_size=6))
def test_what_fits_a_contract_fits_where_references_are_allowed(type_, values):
    strict = Contract.of_fields([Field("x", type_)], "w")
    loose = Contract.of_schema(tolerant(strict.schema))
    for value in values:
        if strict.is_valid({"x": value}):
            assert loose.is_valid({"x": value})
    assert loose.is_valid({"x": {"$from": "t", "at": "/a"}})


@settings(max_examples=200, deadline=None)
@given(types(), types(), st.lists(VALUES, min_size=1, max_size=6))
def test_a_value_of_both_schemas_proves_that_they_may_fit(left, right, values):
    producer, consumer = Contract(left), Contract(right)
    if any(producer.is_valid(value) and consumer.is_valid(value) for value in values):
        assert may_fit(producer.schema, consumer.schema)


@settings(max_examples=200, deadline=None)
@given(types(), VALUES)
def test_filling_defaults_keeps_a_valid_value_valid_and_is_done_once(type_, value):
    contract = Contract(type_)
    if contract.is_valid(value):
        filled = contract.with_defaults(value)
        assert contract.is_valid(filled)
        assert contract.with_defaults(filled) == filled


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(ASSERTED)), st.text(string.printable + "é\u0663", max_size=24))
def test_no_format_raises(name, text):
    assert ASSERTED[name](text) in (True, False)
