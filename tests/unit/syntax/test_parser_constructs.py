"""Every construct of the language: the node it gives, and where it stands."""

from __future__ import annotations

from typing import Any

import pytest

from engine.diagnostics import Diagnostic
from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.parser import MAX_CHARACTERS, parse


def read(text: str) -> tuple[ast.Document, list[Diagnostic]]:
    return parse(SourceFile("x.orch", text))


def one(text: str) -> Any:
    """The only declaration after `orch 1`."""
    document, found = read("orch 1\n" + text)
    assert [item.message for item in found] == []
    assert len(document.declarations) == 2
    return document.declarations[1]


def place(node: Any) -> tuple[int, int, int, int]:
    begin, end = node.span.begin_position, node.span.end_position
    return begin.line, begin.column, end.line, end.column


def setting(text: str) -> Any:
    return one(f"model m {{ a = {text} }}").body.members[0].value


def test_imports() -> None:
    node = one('import "lib/x.orch" as lib')
    assert (node.path.value, node.alias.text, place(node)) == ("lib/x.orch", "lib", (2, 1, 2, 27))
    node = one('from "x.orch" import a, b as c')
    assert [(n.name.text, n.local.text) for n in node.names] == [("a", "a"), ("b", "c")]
    assert place(node.names[1]) == (2, 25, 2, 31)


def test_param_and_secret() -> None:
    node = one('/// Where.\nparam region: "eu" | "us" = "eu" @length(max: 2)')
    assert node.doc == "Where."
    assert [option.value for option in node.type.options] == ["eu", "us"]
    assert node.default.value == "eu"
    key, value = node.constraints[0].args[0]
    assert (key.text, value.value) == ("max", 2)
    assert one("secret KEY").name.text == "KEY"


def test_schemas() -> None:
    assert one('schema T from "t.json#/$defs/T"').definition.path.value == "t.json#/$defs/T"
    alias = one('schema Q = "a" | "b" @length(1)')
    assert isinstance(alias.definition, ast.UnionType)
    assert alias.constraints[0].name.text == "length"
    record = one('schema S { a: int @min(1) = 3 @max(9), b: T? assert a > 1 else "no" c: url[] }')
    names = [field.name.text for field in record.definition.fields]
    assert names == ["a", "b", "c"]
    first = record.definition.fields[0]
    assert [c.name.text for c in first.constraints] == ["min", "max"]
    assert first.default.value == 3
    assert record.definition.assertions[0].message.value == "no"


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("string", "string"),
        ("lib.Finding", "lib.Finding"),
        ("T[]?", "opt(list(T))"),
        ("T?[]", "list(opt(T))"),
        ('("a" | "b")[]', "list('a' | 'b')"),
        ('"a" | int[] | null', "'a' | list(int) | None"),
        ("-1 | 2.5 | true", "-1 | 2.5 | True"),
        ("{ a: int, b: { c: T[] }, }[]", "list({a: int, b: {c: list(T)}})"),
        ("{}", "{}"),
    ],
)
def test_types(text: str, shape: str) -> None:
    def show(node: ast.TypeExpr) -> str:
        match node:
            case ast.NamedType():
                return node.name
            case ast.LiteralType():
                return repr(node.value)
            case ast.ArrayType():
                return f"list({show(node.item)})"
            case ast.OptionalType():
                return f"opt({show(node.item)})"
            case ast.UnionType():
                return " | ".join(map(show, node.options))
            case ast.RecordType():
                return "{" + ", ".join(f"{f.name.text}: {show(f.type)}" for f in node.fields) + "}"

    assert show(one(f"schema S = {text}").definition) == shape


def test_callables() -> None:
    node = one(
        "worker w(a: int = 1 @max(2), b: T,) -> T[] @items(1, 2) fails x, lib.y via http {\n"
        "  on_status { 404 = x }\n}"
    )
    assert [p.name.text for p in node.params] == ["a", "b"]
    assert isinstance(node.output, ast.ArrayType)
    assert len(node.output_constraints[0].args) == 2
    assert [f.text for f in node.fails] == ["x", "lib.y"]
    assert node.kind.text == "http"
    assert place(node.body) == (2, 81, 4, 2)
    block = node.body.members[0]
    assert (block.members if isinstance(block, ast.Body) else block.body.members)[0].number == 404
    verifier = one('verifier v(r: T) via rules { assert r.ok else "no" assert r.x }')
    assert [m.message is None for m in verifier.body.members] == [False, True]
    orchestrator = one("orchestrator o() -> { s: string } fails z { model = m }")
    assert isinstance(orchestrator.output, ast.RecordType)
    assert orchestrator.fails[0].text == "z"


def test_server_template_test() -> None:
    server = one('server kb via mcp { allow = ["a", "b",] }')
    assert (server.name.text, server.kind.text) == ("kb", "mcp")
    template = one('template t(a: string) = """x {{ a }}"""')
    assert (template.params[0].name.text, template.text.value) == ("a", "x {{ a }}")
    assert one('template t = file("x.j2")').text.function.name == "file"
    test = one('test "it works" for lib.run { mock w { returns = 1 } }')
    assert (test.title.value, test.target.text) == ("it works", "lib.run")
    assert [label.text for label in test.body.members[0].labels] == ["w"]


def test_blocks_take_qualified_labels_and_lists_take_qualified_names() -> None:
    node = one("orchestrator o() -> T { workers = [lib.fast, pay] limit lib.pay { after = [x] } }")
    assert isinstance(node.body.members[0].value.items[0], ast.Attribute)
    assert node.body.members[1].labels[0].text == "lib.pay"


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("30s", "duration", 30_000),
        ("1h30m", "duration", 5_400_000),
        ("500ms", "duration", 500),
        ("1.5h", "duration", 5_400_000),
        ("2d", "duration", 172_800_000),
        ("$2.50", "money", 2_500_000),
        ("$0.000001", "money", 1),
        ("200k", "count", 200_000),
        ("2M", "count", 2_000_000),
        ("1.5k", "count", 1_500),
        ("20KiB", "size", 20_480),
        ("1MiB", "size", 1_048_576),
        ("3MB", "size", 3_000_000),
        ("60%", "percent", 0.6),
        ("7%", "percent", 0.07),
    ],
)
def test_units(text: str, unit: str, value: float) -> None:
    node = setting(text)
    assert (node.unit, node.value, node.text) == (unit, value, text)


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("1_000", 1000), ("0.8", 0.8), ("1e3", 1e3), ("1.5e-3", 0.0015)]
)
def test_plain_numbers(text: str, value: float) -> None:
    node = setting(text)
    assert isinstance(node, ast.Number)
    assert node.value == value
    assert type(node.value) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30sec", "unknown unit in `30sec`"),
        ("5x", "`5x` is not a number"),
        ("$1.0000001", "is not an amount of money"),
        ("1.5B", "is not a whole number"),
        ("0.5ms", "is finer than a millisecond"),
        ("9" * 5000, "is too large"),
        ("1e999", "is too large"),
    ],
)
def test_bad_numbers_are_explained(text: str, message: str) -> None:
    document, found = read(f"orch 1 model m {{ a = {text} b = 1 }}")
    assert [item.code for item in found] == ["ORC001"]
    assert message in found[0].message
    assert found[0].span.text == text
    assert len(document.declarations) == 2


def test_a_unit_that_is_nearly_right_has_a_fix() -> None:
    _, found = read("orch 1 model m { a = 30sec }")
    assert found[0].fix is not None
    assert found[0].fix.edits[0].text == "30s"


def test_percent_is_no_remainder() -> None:
    assert isinstance(setting("60 % n"), ast.Binary)
    assert isinstance(setting("60%n"), ast.Binary)
    members = one("model m { a = 60% b = 1 }").body.members
    assert [m.name.text for m in members] == ["a", "b"]


def test_string_escapes_and_where_they_stand() -> None:
    node = setting(r'"a\n\u0041\"\ud83d\ude00 end"')
    assert node.value == 'a\nA"\U0001f600 end'
    assert node.sub_span(node.value.index("end"), len(node.value)).text == "end"
    assert node.sub_span(1, 2).text == "\\n"


@pytest.mark.parametrize("text", [r'"a\q"', r'"\u12"', r'"\ud800"'])
def test_bad_escapes_are_reported_where_they_stand(text: str) -> None:
    document, found = read(f"orch 1 model m {{ a = {text} }}")
    assert [item.code for item in found] == ["ORC001"]
    assert found[0].span.text.startswith("\\")
    assert len(document.declarations) == 2


def test_text_block_loses_its_margin_and_keeps_its_places() -> None:
    node = setting('"""\n    one\n\n      two\n    three\n  \n"""')
    assert node.value == "one\n\n  two\nthree\n\n"
    for word in ("one", "two", "three"):
        at = node.value.index(word)
        assert node.sub_span(at, at + len(word)).text == word


def test_text_block_on_one_line_and_with_quotes() -> None:
    assert setting('"""say "hi" \\n"""').value == 'say "hi" \\n'
    assert setting('"""a\r\nb"""').value == "a\nb"


def test_doc_comments_belong_to_what_follows() -> None:
    node = one(
        "/// One.\n/// Two.\nworker w(\n  /// The a.\n  a: int)\n"
        "-> { /// The f.\n f: int } via llm {\n"
        "  /// The s.\n  s = 1\n  /// The b.\n  b { }\n  /// dangling\n}"
    )
    assert node.doc == "One.\nTwo."
    assert node.params[0].doc == "The a."
    assert node.output.fields[0].doc == "The f."
    assert [m.doc for m in node.body.members] == ["The s.", "The b."]


def test_a_misplaced_doc_comment_is_no_error_and_stays_a_comment() -> None:
    text = (
        "orch 1 // one\n//// two\nmodel m { /// doc\n a = [1, /// x\n 2 /// y\n] /// z\n }\n/// end"
    )
    document, found = read(text)
    assert found == []
    assert [span.text for span in document.comments] == [
        "// one",
        "//// two",
        "/// x",
        "/// y",
        "/// z",
        "/// end",
    ]
    model = document.declarations[1]
    assert isinstance(model, ast.ModelDecl)
    assert model.body.members[0].doc == "doc"


def test_commas_between_members_are_optional() -> None:
    assert len(one("model m { a = 1, b = 2 c = 3, }").body.members) == 3
    _, found = read("orch 1 model m { a = [1 2] }")
    assert found[0].message == "expected `,` before `2`"


@pytest.mark.parametrize(
    ("text", "keyword", "name"),
    [
        ("wroker x(a: int) -> T fails b via llm { a = 1 }", "wroker", "x"),
        ("foo bar {}", "foo", "bar"),
        ("secert KEY", "secert", "KEY"),
        ('tset "x" for y {}', "tset", "y"),
        ('schmea S from "x.json"', "schmea", "S"),
        ("paramm x: int = 1", "paramm", "x"),
    ],
)
def test_unknown_declarations_are_kept(text: str, keyword: str, name: str | None) -> None:
    document, found = read("orch 1\n" + text + "\nmodel m { id = x }")
    assert found == []
    node = document.declarations[1]
    assert isinstance(node, ast.UnknownDecl)
    assert node.keyword.text == keyword
    assert (node.name.text if node.name else None) == name
    assert len(document.declarations) == 3


def test_the_header() -> None:
    _, found = read("model m { id = x }")
    assert [item.code for item in found] == ["ORC007"]
    assert found[0].fix is not None
    assert found[0].fix.edits[0].text == "orch 1\n\n"
    _, found = read("orch 2\nnew syntax = = {")
    assert [item.code for item in found] == ["ORC008"]
    assert read("\ufefforch 1")[1] == []
    _, found = read("model m { id = x }\norch 1")
    assert [item.code for item in found] == ["ORC001"]


def test_a_file_too_large_is_not_read() -> None:
    document, found = read(" " * (MAX_CHARACTERS + 1))
    assert [item.code for item in found] == ["ORC001"]
    assert document.declarations == ()


@pytest.mark.parametrize(
    "value",
    [
        "[" * 5000 + "]" * 5000,
        "{a:" * 3000 + "1" + "}" * 3000,
        "not " * 5000 + "1",
        " ~ ".join(["a"] * 5000),
        "a" + ".b" * 5000,
        "1 if a else " * 3000 + "2",
    ],
)
def test_nesting_has_a_limit(value: str) -> None:
    document, found = read(f"orch 1\nmodel m {{ a = {value} }}\nsecret S")
    assert [item.code for item in found] == ["ORC001"]
    assert "nested" in found[0].message
    assert len(document.declarations) == 2
