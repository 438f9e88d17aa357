"""Templates and expressions against types: each finding at the exact character."""

import pytest

from engine.diagnostics import Diagnostic
from engine.sema.templates.check_template import (
    check_expression,
    check_template,
    check_template_file,
)
from engine.sema.types.definitions import (
    ANY,
    INT,
    STRING,
    Array,
    Constant,
    Definition,
    External,
    Field,
    Function,
    Named,
    Optional,
    Record,
    Scalar,
    Union,
)
from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.parser import parse

SOURCE = Record("Source", (Field("url", Scalar("url")), Field("title", STRING)))
FINDING = Definition("Finding")
FINDING.type = Record(
    "Finding",
    (
        Field("claim", STRING),
        Field("quote", Optional(STRING)),
        Field("sources", Array(SOURCE)),
        Field("best", Optional(SOURCE)),
        Field("n", INT),
        Field("next", Optional(Named(FINDING))),
        Field("mood", Union((Constant("good"), Constant("bad")))),
    ),
)
TICKET = External(
    "Ticket",
    {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "user": {"$ref": "#/$defs/Ticket.User"},
            "maybe": {"type": ["string", "null"]},
        },
        "additionalProperties": False,
    },
    {"Ticket.User": {"type": "object", "properties": {"name": {"type": "string"}}}},
)
SCOPE = {
    "topic": STRING,
    "finding": Named(FINDING),
    "findings": Array(Named(FINDING)),
    "maybe": Optional(Array(Named(FINDING))),
    "data": ANY,
    "either": Union((Named(FINDING), SOURCE)),
    "ticket": TICKET,
    "param": Record("param", (Field("min", INT),)),
    "house": Function("house", (Field("tone", STRING), Field("n", INT, default=1)), STRING),
}


def check(text: str, files: dict[str, str] | None = None) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    sources = {name: SourceFile(f"{name}.j2", body) for name, body in (files or {}).items()}
    check_template_file(SourceFile("t.j2", text), SCOPE, load=sources.get, report=found.append)
    return found


def told(text: str, files: dict[str, str] | None = None) -> list[tuple[str, str]]:
    return [(d.code, d.span.text) for d in check(text, files)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no placeholder } { at all",
        "{{ topic }} {{ finding.claim | upper }} {{ param.min }}",
        "{% for f in findings %}{{ loop.index }}/{{ loop.length }} {{ f.claim }}{% endfor %}",
        "{% for f in findings recursive %}{{ f.claim }}{{ loop([]) }}{% else %}none{% endfor %}",
        "{{ finding.quote or 'none' }}{{ finding.quote | default('none') }}",
        "{% if finding.quote %}{{ finding.quote.upper() }}{% endif %}",
        "{% if finding.quote is not none %}{{ finding.quote }}{% endif %}",
        "{% if finding.quote != none %}{{ finding.quote }}{% endif %}",
        "{% if finding.quote is none %}-{% else %}{{ finding.quote }}{% endif %}",
        "{% if not finding.quote %}-{% elif finding.n %}{{ finding.quote }}{% endif %}",
        "{% if finding.next and finding.next.best %}{{ finding.next.best.url }}{% endif %}",
        "{% if finding.n > 1 or finding.n < 0 %}{{ finding.n }}{% endif %}",
        "{{ finding.best.url if finding.best else 'none' }}",
        "{% for f in findings if f.quote %}{{ f.quote }}{% endfor %}",
        "{% for f in maybe or [] %}{{ f.claim }}{% endfor %}",
        "{% for f in findings | selectattr('quote') | sort(attribute='n') %}{{ f.n }}{% endfor %}",
        "{{ findings | map(attribute='best.url') | join(', ') }}",
        "{{ findings | map(attribute='sources') | sum(start=[]) | map(attribute='url') | first }}",
        "{% for g in findings | groupby('n') %}{{ g.grouper }}{{ g.list | length }}{% endfor %}",
        "{% for n, fs in findings | groupby('n') %}{{ fs[0].claim }}{% endfor %}",
        "{% for k, v in data.items() %}{{ k }}{{ v }}{% endfor %}{{ data.a[0].b }}",
        "{% for k, v in finding.items() %}{{ k }}{% endfor %}",
        "{% for k in finding %}{{ k }}{% endfor %}",
        "{% set x = finding %}{{ x.claim }}{% set y %}text{% endset %}{{ y.upper() }}",
        "{% set ns = namespace(n=0) %}{% set ns.n = ns.n + 1 %}{{ ns.n }}",
        "{% macro m(a, b=1) %}{{ a }}{{ b }}{{ caller() }}{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}",
        "{% macro m() %}x{% endmacro %}{% call m() %}body{% endcall %}",
        "{% with a = finding %}{{ a.claim }}{% endwith %}{% filter upper %}x{% endfilter %}",
        "{% raw %}{{ nope }}{% endraw %}{# {{ nope }} #}",
        "{{ either.claim }} {{ either.title }}",
        "{{ ticket.id }} {{ ticket.user.name }} {{ ticket.user.anything }}",
        "{% for t in ticket.tags %}{{ t.upper() }}{% endfor %}",
        "{{ house('dry') }}{{ house(tone='dry', n=2) }}",
        "{{ finding | json }}{{ findings | tojson }}{{ data }}",
        "{{ dict(a=1).a }}{% for i in range(3) %}{{ i }}{% endfor %}{{ cycler('a').next() }}",
        '{"topic": 1} ${topic} {{ topic }} {not_an_input}',
        "{{ topic[0] }}{{ topic[:3] }}{{ findings[0].claim }}{{ findings[1:][0].claim }}",
        "{{ 'a' if topic }}{{ -finding.n }}{{ finding.n ** 2 }}{{ topic ~ 1 }}",
        "{{ topic.split(',')[0] }}{% for w in topic.split() %}{{ w }}{% endfor %}",
        "{{ {'a': finding}.a.claim }}{{ [finding][0].claim }}{{ (finding, 1)[0].claim }}",
    ],
)
def test_what_is_right_is_left_alone(text):
    assert told(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ finding.clam }}", [("ORC302", "clam")]),
        ("{{ finding['clam'] }}", [("ORC302", "'clam'")]),
        ("{{ findings[0].clam }}", [("ORC302", "clam")]),
        ("{{ finding.clam.x.y }}", [("ORC302", "clam")]),
        ("{{ finding.n.x }}", [("ORC302", "x")]),
        ("{{ topic.foo() }}", [("ORC302", "foo")]),
        ("{{ param.mn }}", [("ORC302", "mn")]),
        ("{{ either.zzz }}", [("ORC302", "zzz")]),
        ("{{ ticket.idd }}", [("ORC302", "idd")]),
        ("{{ ticket.id.x }}", [("ORC302", "x")]),
        ("{{ findings.claim }}", [("ORC302", "claim")]),
        ("{% for f in findings %}{{ f.clam }}{% endfor %}", [("ORC302", "clam")]),
        ("{% for f in findings %}{{ loop.indx }}{% endfor %}", [("ORC302", "indx")]),
        ("{% set x = finding %}{{ x.clam }}", [("ORC302", "clam")]),
        ("{{ findings | map(attribute='clam') | join }}", [("ORC302", "clam")]),
        ("{{ findings | map(attribute='best.ulr') | join }}", [("ORC302", "ulr")]),
        ("{{ (findings | first).clam }}", [("ORC302", "clam")]),
        ("{{ findings | groupby('nn') | length }}", [("ORC302", "nn")]),
        ("{{ topci }}", [("ORC303", "topci")]),
        ("{{ topci.x | upper }}", [("ORC303", "topci")]),
        ("{% if topci %}{% endif %}", [("ORC303", "topci")]),
        (
            "{% for f in topci %}{{ f.x }}{% endfor %}{{ f }}",
            [("ORC303", "topci"), ("ORC303", "f")],
        ),
        ("{% with a = 1 %}{% endwith %}{{ a }}", [("ORC303", "a")]),
        ("{{ topic | uper }}", [("ORC304", "uper")]),
        ("{{ topic is strng }}", [("ORC304", "strng")]),
        ("{{ topic is not strng }}", [("ORC304", "strng")]),
        ("{{ findings | map('uper') | join }}", [("ORC304", "uper")]),
        ("{{ findings | select('strng') | length }}", [("ORC304", "strng")]),
        ("{{ findings | selectattr('n', 'evn') | length }}", [("ORC304", "evn")]),
        ("{{ topic | random }}", [("ORC304", "random")]),
        ("{{ finding.quote }}", [("ORC305", "quote")]),
        ("{{ finding.best.url }}", [("ORC305", "best")]),
        ("{{ finding.next.best.url }}", [("ORC305", "next"), ("ORC305", "best")]),
        ("{% for f in maybe %}{{ f.clam }}{% endfor %}", [("ORC305", "maybe"), ("ORC302", "clam")]),
        ("{{ maybe | length }}", [("ORC305", "maybe")]),
        ("{{ ticket.maybe }}", [("ORC305", "maybe")]),
        ("{% if finding.quote is none %}{{ finding.quote }}{% endif %}", [("ORC305", "quote")]),
        ("{% if finding.quote or topic %}{{ finding.quote }}{% endif %}", [("ORC305", "quote")]),
        ("{% for c in topic %}{% endfor %}", [("ORC306", "topic")]),
        ("{% for c in finding.n %}{% endfor %}", [("ORC306", "n")]),
        ("{% for c in finding.mood %}{% endfor %}", [("ORC306", "mood")]),
        ("{{ finding.n | length }}", [("ORC306", "length")]),
        ("{{ finding }}", [("ORC308", "finding")]),
        ("{{ findings }}", [("ORC308", "findings")]),
        ("{{ finding.sources }}", [("ORC308", "finding.sources")]),
        ("{{ ticket }}", [("ORC308", "ticket")]),
        ("about {topic}.", [("ORC310", "{topic}")]),
        ("about { topic }.", [("ORC310", "{ topic }")]),
        ("{{ house() }}", [("ORC202", "house")]),
        ("{{ house('a', 1, 2) }}", [("ORC202", "house")]),
        ("{{ house('a', m=1) }}", [("ORC202", "house")]),
        ("{{ topic() }}", [("ORC202", "topic")]),
    ],
)
def test_what_is_wrong_is_told_at_its_place(text, expected):
    assert told(text) == expected


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a\n  {{ x.", "{{ x.", "expected name or number"),
        ("{{ topic", "topic", "too early"),
        ("a\n{% if topic %}b", "if", "`{% if %}` is never closed"),
        ("{% for f in findings %}{% if f %}{% endfor %}", "endfor", "unexpected tag `endfor`"),
        ("{% endif %}", "endif", "unexpected tag"),
        ("{% foo %}", "foo", "unexpected tag `foo`"),
        ("{{ topic $ }}", "$", "unexpected '$'"),
        ("{{ (topic }}", "}", "expected ')'"),
        ("{{ 'open }}", "'", "this string is never closed"),
        ("{{{ topic }}}", "}", "expected token ':'"),
        ("{# open", "{# open", "this comment is never closed"),
        ("{% raw %} x", "{% raw %}", "never closed with `{% endraw %}`"),
        ("{{ }}", "}}", "got `}}`"),
        ("{{ " + "(" * 5000, None, "nested too deeply"),
        ("{{ " + "+".join(["1"] * 5000) + " }}", None, "nested too deeply"),
        ("{% if topic %}" * 3000, None, "nested too deeply"),
    ],
)
def test_a_malformed_template_is_one_finding(text, place, words):
    (found,) = check(text)
    assert found.code == "ORC301"
    assert words in found.message
    if place is not None:
        assert text.index(place) <= found.span.start < text.index(place) + len(place)


def test_positions_count_stripped_space_line_ends_and_wide_characters():
    text = (
        "é\U0001f600 \r\n {%- for f in findings -%} \r\n {{- f . clam -}} {% endfor %}\n{{ topci }}"
    )
    assert told(text) == [("ORC302", "clam"), ("ORC303", "topci")]
    assert [str(d.span) for d in check(text)] == ["t.j2:3:10", "t.j2:4:4"]


def test_fixes_are_safe_edits_of_the_word():
    for text, fixed in [
        ("{{ finding.clam }}", "{{ finding.claim }}"),
        ("{{ topci }}", "{{ topic }}"),
        ("{{ topic | uper }}", "{{ topic | upper }}"),
        (
            "{{ findings | map(attribute='clam') | join }}",
            "{{ findings | map(attribute='claim') | join }}",
        ),
        ("{{ finding.sources }}", "{{ finding.sources | json }}"),
        ("about {topic}", "about {{ topic }}"),
    ]:
        (found,) = check(text)
        assert found.fix is not None
        (edit,) = found.fix.edits
        assert text[: edit.span.start] + edit.text + text[edit.span.end :] == fixed
        assert found.fix.safety == "safe"


def test_included_files_are_checked_where_they_stand():
    files = {
        "part": "x\n {{ topci }}{{ f.clam }}",
        "macros": "{% macro one(a) %}{{ a }}{{ b }}{% endmacro %}",
        "base": "{% block body %}{% endblock %}{{ topci }}",
    }
    found = check("{% for f in findings %}{% include 'part' %}{% endfor %}", files)
    assert [(d.code, str(d.span)) for d in found] == [
        ("ORC303", "part.j2:2:5"),
        ("ORC302", "part.j2:2:18"),
    ]
    assert told("{% import 'macros' as m %}{{ m.one(1) }}{{ m.two() }}", files) == [
        ("ORC303", "b"),
        ("ORC302", "two"),
    ]
    assert told("{% from 'macros' import one, tow %}{{ one(1) }}{{ tow }}", files) == [
        ("ORC303", "b"),
        ("ORC303", "'macros'"),
    ]
    assert told("{% extends 'base' %}{% block body %}{{ super() }}{% endblock %}", files) == [
        ("ORC303", "topci")
    ]


def test_files_that_are_missing_or_go_in_a_circle():
    files = {"a": "{% include 'b' %}", "b": "{% include 'a' %}", "self": "{% include 'self' %}"}
    assert told("{% include 'gone' %}") == [("ORC309", "'gone'")]
    assert told("{% include 'gone' ignore missing %}") == []
    assert told("{% include 'a' %}", files) == [("ORC313", "'a'")]
    assert told("{% include 'self' %}", files) == [("ORC313", "'self'")]
    assert told("{% include topic %}", files) == []
    many = {f"f{i}": f"{{% include 'f{i + 1}' %}}" for i in range(100)}
    assert [code for code, _ in told("{% include 'f0' %}", many)] == ["ORC313"]


def test_the_names_used_are_given_back():
    used = check_template_file(
        SourceFile("t.j2", "{% set finding = 1 %}{{ finding }}{% include 'p' %}{{ nope }}"),
        SCOPE,
        load={"p": SourceFile("p.j2", "{{ topic }}")}.get,
        report=lambda d: None,
    )
    assert used == {"topic"}


def strings(text: str) -> tuple[SourceFile, ast.Expr]:
    source = SourceFile("t.orch", f"orch 1\nmodel m {{\n  x = {text}\n}}\n")
    document, found = parse(source)
    assert found == []
    return source, document.declarations[1].body.members[0].value


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('"""\n    Hello\n      {{ topci }}\n    """', "t.orch:5:10"),
        ('"a \\"quoted\\" \\u00e9 {{ topci }}"', "t.orch:3:31"),
        ('"{{ topci }}"', "t.orch:3:11"),
    ],
)
def test_a_finding_inside_a_string_points_at_the_character_typed(text, place):
    _, expr = strings(text)
    assert isinstance(expr, ast.String)
    found: list[Diagnostic] = []
    check_template(expr, SCOPE, report=found.append)
    assert [(d.code, str(d.span), d.span.text) for d in found] == [("ORC303", place, "topci")]


def expression(text: str) -> tuple[str, list[tuple[str, str]], set[str]]:
    _, expr = strings(text)
    found: list[Diagnostic] = []
    used: set[str] = set()
    type_ = check_expression(expr, SCOPE, found.append, used)
    return str(type_), [(d.code, d.span.text) for d in found], used


@pytest.mark.parametrize(
    ("text", "type_", "told_", "used"),
    [
        ("finding.claim", "string", [], {"finding"}),
        ("finding.n + 1", "int", [], {"finding"}),
        ("finding.n / 2", "float", [], {"finding"}),
        ("findings | length >= param.min", "bool", [], {"findings", "param"}),
        ('findings | map(attribute="claim") | list', "string[]", [], {"findings"}),
        ("finding.quote or topic", "string", [], {"finding", "topic"}),
        ("topic ~ finding.n", "string", [], {"topic", "finding"}),
        ("finding.best and finding.best.url", "null | url", [], {"finding"}),
        (
            "{ a: finding.clam, b: topci }",
            "{ a: json, b: json }",
            [("ORC302", "clam"), ("ORC303", "topci")],
            {"finding"},
        ),
        ('finding["clam"]', "json", [("ORC302", '"clam"')], {"finding"}),
        ("topic | uper", "json", [("ORC304", "uper")], {"topic"}),
        ("topic is strng", "bool", [("ORC304", "strng")], {"topic"}),
        ("topic is not strng", "bool", [("ORC304", "strng")], {"topic"}),
        ("finding.best.url", "url", [("ORC305", "best")], {"finding"}),
        ('findings | map(attribute="clam")', "json[]", [("ORC302", "clam")], {"findings"}),
        ("[1, 2][0]", "int", [], set()),
        ("topic if finding.n > 1 else null", "string | null", [], {"topic", "finding"}),
        ("data.x.y(1) | default([])", "json", [], {"data"}),
    ],
)
def test_an_expression_is_typed_and_checked(text, type_, told_, used):
    assert expression(text) == (type_, told_, used)


def test_a_deep_expression_is_one_finding():
    _, expr = strings("topic")
    for _ in range(20_000):
        expr = ast.Unary(expr.span, "not", expr)
    found: list[Diagnostic] = []
    check_expression(expr, SCOPE, found.append)
    assert [d.code for d in found] == ["ORC301"]


def test_a_huge_template_is_checked():
    text = "{% for f in findings %}{{ f.claim }} {{ f.clam }}{% endfor %}\n" * 2_000
    assert told(text) == [("ORC302", "clam")] * 2_000
