"""Types as written: what they mean as JSON Schema, and what is wrong with them."""

import pytest

from engine.diagnostics import Diagnostic
from engine.sema.declarations.resolve import TypeResolver, check_recursion, resolve_type
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import Definition, Named, Record
from engine.sema.types.external_schema import load_external
from engine.sema.types.json_schema import schema_of
from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.parser import parse


def read(text: str) -> tuple[dict[str, Definition], list[Diagnostic]]:
    """Every schema of a text, and what was found."""
    document, found = parse(SourceFile("t.orch", "orch 1\n" + text))
    assert found == []
    decls = [d for d in document.declarations if isinstance(d, ast.SchemaDecl)]
    definitions = {d.name.text: Definition(d.name.text, d.name.span) for d in decls}

    def resolve(name, span):
        return Named(definitions[name]) if name in definitions else None

    resolver = TypeResolver(resolve, found.append, definitions)
    for decl in decls:
        resolver.definition(decl, definitions[decl.name.text])
    check_recursion(definitions.values(), found.append)
    resolver.finish()
    return definitions, found


def field_schema(text: str) -> dict:
    definitions, found = read(f"schema T {{ f: {text} }}")
    assert found == []
    return schema_of(definitions["T"].type)["properties"]["f"]


def codes(text: str) -> list[tuple[str, str]]:
    return [(d.code, d.span.text) for d in read(text)[1]]


@pytest.mark.parametrize(
    ("written", "schema"),
    [
        ("string", {"type": "string"}),
        ("int", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("json", {}),
        ("url", {"type": "string", "format": "uri", "pattern": "^https?://"}),
        ("datetime", {"type": "string", "format": "date-time"}),
        ('"low" | "high"', {"type": "string", "enum": ["low", "high"]}),
        ('"only"', {"type": "string", "const": "only"}),
        ('"a" | 1', {"enum": ["a", 1]}),
        ("string | int", {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ("string | null", {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}),
        ("string?", {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}),
        ("int[]", {"type": "array", "items": {"type": "integer"}}),
        (
            "string @length(10, 400)",
            {"type": "string", "minLength": 10, "maxLength": 400},
        ),
        ("string @length(max: 5)", {"type": "string", "maxLength": 5}),
        (
            "string? @length(min: 3)",
            {"anyOf": [{"type": "string", "minLength": 3}, {"type": "null"}], "default": None},
        ),
        ("int @min(1) @max(20)", {"type": "integer", "minimum": 1, "maximum": 20}),
        ("float @min(-0.5)", {"type": "number", "minimum": -0.5}),
        (
            "int[] @items(min: 1, max: 8) @unique",
            {
                "type": "array",
                "items": {"type": "integer"},
                "minItems": 1,
                "maxItems": 8,
                "uniqueItems": True,
            },
        ),
        ('string @pattern("^a+$")', {"type": "string", "pattern": "^a+$"}),
        ('string @format("uuid")', {"type": "string", "format": "uuid"}),
        ("json @max_bytes(20KiB)", {"x-max-bytes": 20480}),
        ("int = 3", {"type": "integer", "default": 3}),
        ("int = 200k", {"type": "integer", "default": 200_000}),
        ("duration = 30s", {"type": "string", "format": "duration", "default": "30s"}),
    ],
)
def test_a_type_means_this_schema(written, schema):
    assert field_schema(written) == schema


def test_records_are_closed_named_and_documented():
    definitions, found = read(
        """
/// A statement.
schema Finding {
  /// One sentence.
  claim: string
  kids: Finding[]
  inner: { a: int, b: bool? }
}
"""
    )
    assert found == []
    assert schema_of(Named(definitions["Finding"])) == {
        "$ref": "#/$defs/Finding",
        "$defs": {
            "Finding": {
                "title": "Finding",
                "type": "object",
                "description": "A statement.",
                "properties": {
                    "claim": {"type": "string", "description": "One sentence."},
                    "kids": {"type": "array", "items": {"$ref": "#/$defs/Finding"}},
                    "inner": {
                        "type": "object",
                        "properties": {
                            "a": {"type": "integer"},
                            "b": {
                                "anyOf": [{"type": "boolean"}, {"type": "null"}],
                                "default": None,
                            },
                        },
                        "required": ["a"],
                        "additionalProperties": False,
                    },
                },
                "required": ["claim", "kids", "inner"],
                "additionalProperties": False,
            }
        },
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("schema T { f: strng }", [("ORC201", "strng")]),
        ("schema T { f: Fnding }\nschema Finding { a: int }", [("ORC201", "Fnding")]),
        ("schema T { f: Xyzzy }", [("ORC201", "Xyzzy")]),
        ("schema T { f: int @mni(1) }", [("ORC202", "mni")]),
        ("schema T { f: string @min(1) }", [("ORC202", "@min(1)")]),
        ("schema T { f: int[] @length(max: 1) }", [("ORC202", "@length(max: 1)")]),
        ("schema T { f: string @length(3) }", [("ORC202", "@length(3)")]),
        ("schema T { f: string @length(min: 1, min: 2) }", [("ORC202", "@length(min: 1, min: 2)")]),
        ('schema T { f: int @min("a") }', [("ORC202", '"a"')]),
        ("schema T { f: string @length(max: -1) }", [("ORC205", "-1")]),
        ("schema T { f: int @min(5) @max(3) }", [("ORC205", "@min(5) @max(3)")]),
        ("schema T { f: int @min(1.2) @max(1.8) }", [("ORC205", "@min(1.2) @max(1.8)")]),
        ("schema T { f: int @min(1) @min(2) }", [("ORC205", "@min(2)")]),
        ("schema T { f: string @length(9, 2) }", [("ORC205", "@length(9, 2)")]),
        ('schema T { f: string @pattern("[") }', [("ORC205", '"["')]),
        ('schema T { f: string @format("emial") }', [("ORC202", '"emial"')]),
        ("schema T { f: int[] @unique(true) }", [("ORC202", "@unique(true)")]),
        ("schema T { f: int = 1.5 }", [("ORC204", "1.5")]),
        ('schema T { f: "a" | "b" = "c" }', [("ORC204", '"c"')]),
        ("schema T { f: int = other }", [("ORC204", "other")]),
        ('schema T { q: Q = "bill" }\nschema Q = "billing" | "other"', [("ORC204", '"bill"')]),
        ('schema T { q: Q = "billing" }\nschema Q = "billing" | "other"', []),
        ('schema T { f: string @length(min: 3) = "a" }', [("ORC204", '"a"')]),
        ("schema T { a: int, a: int }", [("ORC102", "a")]),
        ("schema A { a: A }", [("ORC206", "A")]),
        ("schema A { a: A? }", []),
        ("schema A { a: A[] }", []),
        ("schema A { a: A | int }", []),
        ("schema A { b: B }\nschema B { a: A }", [("ORC206", "A")]),
        ("schema A { b: B }\nschema B { b: B }", [("ORC206", "B")]),
        ("schema A = A", [("ORC206", "A")]),
        ("schema A = B | C\nschema B { a: A }\nschema C { a: A }", [("ORC206", "A")]),
    ],
)
def test_what_is_wrong_is_told_once_where_it_stands(text, expected):
    assert codes(text) == expected


def test_an_unknown_type_comes_with_a_fix():
    (found,) = read("schema T { f: strng }")[1]
    assert found.help == "did you mean `string`?"
    assert found.fix is not None
    assert [(e.span.text, e.text) for e in found.fix.edits] == [("strng", "string")]


def test_a_misplaced_constraint_says_which_one_is_meant():
    (found,) = read("schema T { f: int[] @length(max: 1) }")[1]
    assert found.help == "use `@items` to bound how many items a list has"


def test_untrusted_is_a_mark_of_the_field():
    definitions, found = read("schema T { f: string @untrusted, g: string }")
    record = definitions["T"].type
    assert isinstance(record, Record)
    assert found == []
    assert [field.untrusted for field in record.fields] == [True, False]


def test_resolve_type_is_complete_in_one_call():
    document, _ = parse(SourceFile("t.orch", 'orch 1\nschema T = "a"[] @items(max: 2)\n'))
    decl = document.declarations[-1]
    found: list[Diagnostic] = []
    type_ = resolve_type(decl.definition, decl.constraints, lambda n, s: None, found.append)
    assert str(type_) == '"a"[]'
    assert found == []
    assert schema_of(type_)["maxItems"] == 2


def external(text: str, reference: str = "t.json") -> tuple[object, list[Diagnostic]]:
    source = f'orch 1\nschema T from "{reference}"\n'
    document, found = parse(SourceFile("t.orch", source))
    path = document.declarations[-1].definition.path
    return load_external("T", path, text, found.append), found


def test_an_external_schema_keeps_its_meaning():
    text = """{"$defs": {"A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"},
        "again": {"$ref": "#/$defs/A"}}}, "B": {"enum": [{"$ref": "data, not a reference"}]}}}"""
    type_, found = external(text, "t.json#/$defs/A")
    assert found == []
    contract = Contract(type_)
    assert contract.is_valid({"b": {"$ref": "data, not a reference"}, "again": {"again": {}}})
    assert not contract.is_valid({"b": 1})
    assert not contract.is_valid({"again": {"again": 3}})


def test_the_root_of_an_external_schema_may_refer_to_itself():
    type_, found = external('{"type": "object", "properties": {"next": {"$ref": "#"}}}')
    assert found == []
    assert Contract(type_).is_valid({"next": {"next": {}}})
    assert not Contract(type_).is_valid({"next": {"next": 1}})


@pytest.mark.parametrize(
    ("text", "reference", "code", "words"),
    [
        ("{", "t.json", "ORC207", "line 1"),
        ("[]", "t.json", "ORC207", "must be an object"),
        ('{"type": "strng"}', "t.json", "ORC207", "'strng'"),
        ('{"pattern": "["}', "t.json", "ORC207", "regex"),
        ("[" * 100_000, "t.json", "ORC207", "nested too deeply"),
        ('{"$defs": {"Pull": {}}}', "t.json#/$defs/PullReq", "ORC208", "does not exist"),
        ('{"$ref": "#/$defs/X"}', "t.json", "ORC208", "`#/$defs/X`"),
        ('{"$ref": "other.json"}', "t.json", "ORC208", "other.json"),
        ('{"x": 3}', "t.json#/x", "ORC207", "is not a schema"),
    ],
)
def test_a_bad_external_schema_is_told(text, reference, code, words):
    type_, found = external(text, reference)
    assert type_ is None
    assert [d.code for d in found] == [code]
    assert words in found[0].message


def test_a_missing_pointer_is_underlined_and_suggested():
    _, found = external('{"$defs": {"Pull": {}}}', "t.json#/$defs/Pul")
    assert found[0].span.text == "#/$defs/Pul"
    assert found[0].help == "did you mean `#/$defs/Pull`?"
