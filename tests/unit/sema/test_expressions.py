"""Expressions: their value, constants, and errors in the user's words."""

import pytest

from engine.sema.expressions.compiler import (
    Expression,
    NotConstantError,
    constant,
    free_names,
    is_constant,
)
from engine.sema.expressions.template import EvaluationError
from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.parser import parse


def expr(text: str) -> ast.Expr:
    document, found = parse(SourceFile("t.orch", f"orch 1\nmodel m {{ x = {text} }}\n"))
    assert found == []
    return document.declarations[1].body.members[0].value


SCOPE = {
    "a": 2,
    "b": None,
    "s": "text",
    "items": [{"n": 1, "tags": ["x"]}, {"n": 5, "tags": ["x", "y"]}],
    "m": {"items": 1, "get": {"deep": True}},
    "result": {
        "findings": [{"sources": [{"url": "u"}, {"url": "v"}]}, {"sources": [{"url": "u"}]}]
    },
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("a * 100 | round | int", 200),
        ("(a * 2.4) | round | int", 5),
        ("2 ** 3 % 3", 2),
        ("-a", -2),
        ("a == 2 and not b", True),
        ("b or s", "text"),
        ("1 < a <= 2", True),
        ("1 < a < 2", False),
        ('"e" in s', True),
        ('"q" not in s', True),
        ("b is none", True),
        ("a is not none", True),
        ("a is divisibleby(2)", True),
        ('"yes" if a > 1 else "no"', "yes"),
        ('"Bearer " ~ s', "Bearer text"),
        ('"x" ~ b ~ true', "xnulltrue"),
        ("m.items", 1),
        ("m.get.deep", True),
        ('m["items"]', 1),
        ("items[1].n", 5),
        ('items | map(attribute="n") | sum', 6),
        ('items | map(attribute="n")', [1, 5]),
        ("items | length >= 2", True),
        ('{ a: a, "b c": [null, true, 1.5] }', {"a": 2, "b c": [None, True, 1.5]}),
        ("s.upper()", "TEXT"),
        ("range(3) | list", [0, 1, 2]),
        (
            "{ r: range(2), k: m.keys(), l: [items | map(attribute='n')] }".replace("'", '"'),
            {"r": [0, 1], "k": ["items", "get"], "l": [[1, 5]]},
        ),
        ("30s", 30_000),
        ("$2.50", 2_500_000),
        ("20KiB", 20_480),
        ("60%", 0.6),
        ('"quote \\" and {{ braces }} \\n"', 'quote " and {{ braces }} \n'),
        (
            'result.findings | map(attribute="sources") | sum(start=[]) | map(attribute="url")'
            " | unique | list | length >= 2",
            True,
        ),
    ],
)
def test_the_value_of_an_expression(text, value):
    assert Expression(expr(text)).evaluate(SCOPE) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nope + 1", "`nope` is not defined (in `nope + 1`)"),
        ("items[0].m", "there is no `m` here"),
        ("[1, { x: nope }]", "`nope` is not defined"),
        ("range", "a function is not a value"),
        ('items | map(attribute="zz")', "there is no `zz` here"),
        ("b.x", "cannot read `x` of null"),
        ("a.x.y", "a number has no `x`"),
        ("a / 0", "division by zero"),
        ("s + 1", "can only concatenate"),
        ("s | uper", "uper"),
        ('"a" * 10 ** 10', "would make a string"),
        ("s.__class__", "a string has no `__class__`"),
        ("s | map(attribute=3, x=1)", "(in `"),
    ],
)
def test_an_error_is_one_sentence_in_the_users_words(text, words):
    with pytest.raises(EvaluationError) as caught:
        Expression(expr(text)).evaluate(SCOPE)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_variables_are_seen_besides_the_scope():
    expression = Expression(expr("param.n + a"), {"param": {"n": 40}})
    assert expression.evaluate({"a": 2}) == 42
    assert expression.evaluate({"a": 3}) == 43


def test_a_name_may_be_called_anything():
    for name in ("result", "loop", "context", "environment", "template", "lambda", "class"):
        assert Expression(expr(f"{name}.x")).evaluate({name: {"x": 1}}) == 1


def test_the_text_is_as_written():
    expression = Expression(expr("a  +  1"))
    assert expression.text == "a  +  1"
    assert expression.names == {"a"}


def test_a_deep_expression_is_refused_not_a_crash():
    tree: ast.Expr = expr("1")
    for _ in range(20_000):
        tree = ast.Unary(tree.span, "-", tree)
    with pytest.raises(EvaluationError, match="nested too deeply"):
        Expression(tree).evaluate({})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("+1.5", 1.5),
        ("-30s", -30_000),
        ('"x"', "x"),
        ("true", True),
        ("null", None),
        ("[1, { a: 2 }]", [1, {"a": 2}]),
        ("200k", 200_000),
    ],
)
def test_constants_are_read_without_evaluating(text, value):
    assert constant(expr(text)) == value
    assert is_constant(expr(text))


@pytest.mark.parametrize(
    ("text", "part"), [("a", "a"), ("[1, b]", "b"), ("1 + 2", "1 + 2"), ("{ x: f(1) }", "f(1)")]
)
def test_what_is_no_constant_is_pointed_at(text, part):
    with pytest.raises(NotConstantError) as caught:
        constant(expr(text))
    assert caught.value.span.text == part
    assert not is_constant(expr(text))


def test_free_names():
    found = free_names(expr('a.b + c[d] | f(e, x=g) if h is t(i) else { k: [l, "m"] } == n(o=p)'))
    assert found == {"a", "c", "d", "e", "g", "h", "i", "l", "n", "p"}
