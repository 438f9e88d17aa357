"""Contracts: validity, problems in words, invariants, defaults."""

import math

import pytest

from engine.sema.declarations.resolve import TypeResolver
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import (
    INT,
    STRING,
    Array,
    Constant,
    Constrained,
    Definition,
    Field,
    Json,
    Named,
    Optional,
    Record,
    Scalar,
    Union,
)
from engine.sema.types.json_schema import tolerant
from engine.source import SourceFile
from engine.syntax.parser import parse


def contract_of(text: str, name: str = "T") -> Contract:
    document, found = parse(SourceFile("t.orch", "orch 1\n" + text))
    definitions = {}
    for decl in document.declarations[1:]:
        definitions[decl.name.text] = Definition(decl.name.text, decl.name.span)
    resolver = TypeResolver(lambda n, s: Named(definitions[n]), found.append)
    for decl in document.declarations[1:]:
        resolver.definition(decl, definitions[decl.name.text])
    resolver.finish()
    assert found == []
    return Contract(Named(definitions[name]))


REPORT = """
schema T { findings: Finding[], mood: "good" | "bad" = "good", note: string? }
schema Finding { claim: string @length(10, 400), source: url, n: int @min(0) = 1 }
"""
GOOD = {"findings": [{"claim": "long enough", "source": "https://a.example/x"}]}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({}, "(root): `findings` is missing (required)"),
        (3, "(root): 3 is not an object (type)"),
        (
            {"findings": [{"claim": "ab", "source": "https://a.example"}]},
            '/findings/0/claim: "ab" is shorter than 10 characters (minLength)',
        ),
        (
            {"findings": [{"claim": "long enough", "source": "ftp://a.example"}]},
            '/findings/0/source: "ftp://a.example" does not begin with http:// or https:// '
            "(pattern)",
        ),
        (
            {"findings": [{"claim": "long enough", "source": "https://a b"}]},
            '/findings/0/source: "https://a b" is not a URL (format)',
        ),
        (
            {"findings": [], "mod": "good"},
            "(root): `mod` (did you mean `mood`?) is not a field here; the fields are "
            "`findings`, `mood`, `note` (additionalProperties)",
        ),
        (
            {"findings": [], "mood": "god"},
            '/mood: "god" is not one of "good", "bad"; did you mean "good"? (enum)',
        ),
        (
            {"findings": [{"claim": "long enough", "source": "https://a.example", "n": -1}]},
            "/findings/0/n: -1 is less than 0 (minimum)",
        ),
        ({"findings": [], "note": 3}, "/note: 3 is not a string or null (anyOf)"),
        ({"findings": {"a/b": 1}}, '/findings: {"a/b":1} is not a list (type)'),
    ],
)
def test_a_problem_names_the_place_and_the_reason(value, problem):
    contract = contract_of(REPORT)
    assert not contract.is_valid(value)
    assert contract.problems(value) == [problem]


def test_a_valid_value_has_no_problems():
    contract = contract_of(REPORT)
    assert contract.is_valid(GOOD)
    assert contract.problems(GOOD) == []


def test_no_more_problems_than_asked_for():
    contract = contract_of(REPORT)
    value = {"findings": [{"claim": "x", "source": "x", "n": -1}] * 20}
    assert len(contract.problems(value)) == 5
    assert len(contract.problems(value, limit=2)) == 2


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, object(), {1: 2}, b"x", {"findings": b"x"}, "\ud800", {"a": set()}],
)
def test_what_is_no_json_is_invalid_and_explained(value):
    contract = contract_of(REPORT)
    assert not contract.is_valid(value)
    assert contract.problems(value)


def test_what_is_no_json_is_no_json_value_either():
    contract = Contract(Json())
    assert contract.is_valid({"a": [1, None]})
    assert not contract.is_valid(object())
    assert contract.problems(object())[0].startswith("(root): this is not a JSON value")


def test_a_very_deep_value_is_handled():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    contract = Contract(Array(STRING))
    assert not contract.is_valid(deep)
    assert contract.problems(deep)


def test_the_branch_of_a_union_that_was_meant_is_explained():
    refund = Record("Refund", (Field("refund_id", STRING), Field("amount", INT)))
    reply = Record("Reply", (Field("subject", STRING), Field("body", STRING)))
    definitions = []
    for record in (refund, reply):
        definition = Definition(str(record.name))
        definition.type = record
        definitions.append(Named(definition))
    contract = Contract(Union(tuple(definitions)))
    assert contract.problems({"subject": "a", "body": 3}) == ["/body: 3 is not a string (type)"]
    assert contract.problems(3) == ["(root): 3 is not a valid Refund or a valid Reply (anyOf)"]


def test_max_bytes_counts_utf8_of_strings_and_json_of_the_rest():
    contract = Contract(Constrained(Json(), {"x-max-bytes": 4}))
    assert contract.is_valid("abcd")
    assert not contract.is_valid("éàü")
    assert contract.is_valid([12])
    assert contract.problems([1234]) == ["(root): has 6 bytes, at most 4 are allowed (max-bytes)"]


@pytest.mark.parametrize(
    ("scalar", "good", "bad"),
    [
        ("date", ["2026-02-28"], ["2026-02-30", "26-01-01", "2026-1-1", "", "\uff12026-01-01"]),
        (
            "datetime",
            ["2026-02-28T10:00:00Z", "2026-02-28T10:00:00.5+02:00"],
            ["2026-02-28", "2026-02-28 10:00:00Z", "2026-02-28T25:00:00Z", "2026-02-28T10:00:00"],
        ),
        ("duration", ["30s", "1h30m", "PT30S", "P1W", "P1Y2M3DT4H"], ["30", "P", "PT", "1x", ""]),
        ("email", ["a@b", "a.b+c@d.example"], ["a", "a@", "@b", "a@b@c", "a b@c"]),
        ("path", ["a/b", "/x", "."], ["", "a\0b"]),
        (
            "url",
            ["http://a", "https://a.example/x?y=%20#z"],
            [
                "a.example",
                "ftp://a.example",
                "http://",
                "https://a b",
                "http://a/%zz",
                "mailto:a@b",
            ],
        ),
    ],
)
def test_formats_are_asserted(scalar, good, bad):
    contract = Contract(Scalar(scalar))
    assert [v for v in good if not contract.is_valid(v)] == []
    assert [v for v in bad if contract.is_valid(v)] == []
    assert not contract.is_valid(3)


def test_an_int_is_what_json_schema_says():
    contract = Contract(INT)
    assert contract.is_valid(1)
    assert contract.is_valid(1.0)
    assert not contract.is_valid(1.5)
    assert not contract.is_valid(True)


INVARIANT = """
schema T {
  low: int, high: int, note: string?, step: int = 2
  assert low < high else "{{ low }} is not below {{ high }}"
  assert note != "x"
  assert step > 1
}
"""


def test_invariants_hold_in_both_directions():
    contract = contract_of(INVARIANT)
    assert contract.is_valid({"low": 1, "high": 2})
    assert contract.problems({"low": 2, "high": 1}) == ["(root): 2 is not below 1 (asserts)"]
    assert contract.problems({"low": 1, "high": 2, "note": "x"}) == [
        '(root): `note != "x"` does not hold (asserts)'
    ]
    assert not contract.is_valid({"low": 1, "high": 2, "step": 1})


def test_an_invariant_that_cannot_be_checked_does_not_hold():
    contract = contract_of("schema T { a: json\n assert a.b.c > 1 }")
    assert contract.is_valid({"a": {"b": {"c": 2}}})
    (problem,) = contract.problems({"a": {"b": 1}})
    assert "cannot be checked" in problem


def test_invariants_inside_lists_are_checked_there():
    contract = contract_of(
        'schema T { items: In[] }\nschema In { a: int\n assert a > 3 else "too small" }'
    )
    assert contract.problems({"items": [{"a": 4}, {"a": 1}]}) == ["/items/1: too small (asserts)"]


def test_an_invariant_chooses_the_branch_of_a_union():
    contract = contract_of("""
schema T = Big | Small
schema Big { a: int, note: string = "big"
  assert a > 3 }
schema Small { a: int, note: string = "small"
  assert a <= 3 }
""")
    assert contract.with_defaults({"a": 9}) == {"a": 9, "note": "big"}
    assert contract.with_defaults({"a": 1}) == {"a": 1, "note": "small"}


def test_defaults_are_filled_at_any_depth_and_the_argument_is_left_alone():
    contract = contract_of(REPORT)
    filled = contract.with_defaults(GOOD)
    assert filled == {
        "findings": [{"claim": "long enough", "source": "https://a.example/x", "n": 1}],
        "mood": "good",
        "note": None,
    }
    assert GOOD == {"findings": [{"claim": "long enough", "source": "https://a.example/x"}]}
    assert contract.with_defaults(filled) is filled
    assert contract.is_valid(filled)


def test_a_default_is_never_shared():
    contract = Contract.of_fields([Field("items", Array(INT), default=[])], "w")
    first = contract.with_defaults({})
    first["items"].append(1)
    assert contract.with_defaults({}) == {"items": []}


def test_defaults_inside_a_union_are_those_of_the_branch_that_fits():
    one = Record(None, (Field("kind", Constant("a")), Field("n", INT, default=1)))
    two = Record(None, (Field("kind", Constant("b")), Field("m", INT, default=2)))
    contract = Contract(Array(Optional(Union((one, two)))))
    value = [{"kind": "b"}, None, {"kind": "a"}]
    assert contract.with_defaults(value) == [{"kind": "b", "m": 2}, None, {"kind": "a", "n": 1}]


def test_a_contract_of_a_schema():
    contract = Contract.of_schema(
        {
            "title": "verdict",
            "type": "object",
            "properties": {
                "ok": {"type": "boolean"},
                "feedback": {"type": "string", "default": ""},
                "score": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]},
            },
            "required": ["ok"],
            "additionalProperties": False,
        }
    )
    assert contract.with_defaults({"ok": True}) == {"ok": True, "feedback": ""}
    assert contract.problems({"ok": "yes"}) == ['/ok: "yes" is not true or false (type)']


def test_inputs_are_a_closed_object():
    contract = Contract.of_fields([Field("q", STRING), Field("n", INT, default=3)], "search")
    assert contract.schema["required"] == ["q"]
    assert contract.schema["title"] == "search"
    assert [field.name for field in contract.type.fields] == ["q", "n"]
    assert not contract.is_valid({"q": "a", "z": 1})


def test_a_problem_in_a_place_that_takes_references_is_about_the_value():
    schema = tolerant(contract_of(REPORT).schema)
    contract = Contract.of_schema({**schema["$defs"]["T"], "$defs": schema["$defs"]})
    assert contract.is_valid({"findings": {"$from": "a1", "at": "/items"}})
    assert contract.is_valid({"findings": [{"$from": "a1"}, {"$literal": {"$from": "x"}}]})
    assert contract.problems({"findings": 3}) == ["/findings: 3 is not a list (type)"]
    (problem,) = contract.problems({"findings": {"$from": "a1", "att": "/items"}})
    assert "`att` (did you mean `at`?)" in problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", None),
        ('{"a": ', "line 1, column 7: Expecting value"),
        ("{\n  a: 1}", "line 2, column 3: Expecting property name enclosed in double quotes"),
        ("[" * 200_000, "the JSON is nested too deeply"),
    ],
)
def test_why_a_text_is_no_json(text, problem):
    assert Contract(Json()).parse_problem(text) == problem


def test_a_float_that_is_no_number_counts_as_null():
    assert Contract(Json()).is_valid(math.nan)
    assert not Contract(Scalar("float")).is_valid(math.nan)
    assert Contract(Scalar("float")).problems(math.inf) == ["(root): null is not a number (type)"]
