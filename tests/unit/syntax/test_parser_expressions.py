"""Expressions have Jinja2's precedence: our tree and Jinja2's own, printed with all brackets."""

from __future__ import annotations

import random

import jinja2
import pytest
from jinja2 import nodes

from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.parser import parse

PREFIX = "orch 1 template t = "


def expression(text: str) -> ast.Expr:
    document, found = parse(SourceFile("x.orch", PREFIX + text))
    assert found == [], text
    declaration = document.declarations[1]
    assert isinstance(declaration, ast.TemplateDecl)
    return declaration.text


def ours(node: ast.Expr) -> str:
    match node:
        case ast.Number() | ast.String() | ast.Boolean():
            return repr(node.value)
        case ast.Null():
            return "None"
        case ast.Variable():
            return node.name
        case ast.Attribute():
            return f"{ours(node.object)}.{node.name}"
        case ast.Index():
            return f"{ours(node.object)}[{ours(node.index)}]"
        case ast.Call():
            return f"call({ours(node.function)}{_args(node)})"
        case ast.FilterCall():
            return f"filter({node.name.text}, {ours(node.operand)}{_args(node)})"
        case ast.TestCall():
            args = "".join(f", {ours(arg)}" for arg in node.args)
            test = f"test({node.name.text}, {ours(node.operand)}{args})"
            return f"(not {test})" if node.negated else test
        case ast.Unary():
            return f"({node.operator} {ours(node.operand)})"
        case ast.Binary():
            return f"({ours(node.left)} {node.operator} {ours(node.right)})"
        case ast.Comparison():
            rest = "".join(f" {operator} {ours(value)}" for operator, value in node.rest)
            return f"({ours(node.first)}{rest})"
        case ast.Conditional():
            return f"({ours(node.then)} if {ours(node.test)} else {ours(node.otherwise)})"
        case ast.ListExpr():
            return "[" + ", ".join(map(ours, node.items)) + "]"
        case ast.MapExpr():
            return "{" + ", ".join(f"{e.key.text!r}: {ours(e.value)}" for e in node.entries) + "}"
    raise AssertionError(node)


def _args(node: ast.Call | ast.FilterCall) -> str:
    kwargs = "".join(f", {name.text}={ours(value)}" for name, value in node.kwargs)
    return "".join(f", {ours(arg)}" for arg in node.args) + kwargs


_OPERATORS = {
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.Mod: "%",
    nodes.Pow: "**",
    nodes.And: "and",
    nodes.Or: "or",
}
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">="}
_COMPARE |= {"in": "in", "notin": "not in"}


def theirs(node: nodes.Node) -> str:
    if type(node) in _OPERATORS:
        assert isinstance(node, nodes.BinExpr)
        return f"({theirs(node.left)} {_OPERATORS[type(node)]} {theirs(node.right)})"
    match node:
        case nodes.Const():
            return repr(node.value)
        case nodes.Name():
            return node.name
        case nodes.Getattr():
            return f"{theirs(node.node)}.{node.attr}"
        case nodes.Getitem():
            return f"{theirs(node.node)}[{theirs(node.arg)}]"
        case nodes.Call():
            return f"call({theirs(node.node)}{_their_args(node)})"
        case nodes.Filter():
            return f"filter({node.name}, {theirs(node.node)}{_their_args(node)})"
        case nodes.Test():
            return f"test({node.name}, {theirs(node.node)}{_their_args(node)})"
        case nodes.Not():
            return f"(not {theirs(node.node)})"
        case nodes.Neg():
            return f"(- {theirs(node.node)})"
        case nodes.Pos():
            return f"(+ {theirs(node.node)})"
        case nodes.Concat():
            text = theirs(node.nodes[0])
            for part in node.nodes[1:]:
                text = f"({text} ~ {theirs(part)})"
            return text
        case nodes.Compare():
            rest = "".join(f" {_COMPARE[o.op]} {theirs(o.expr)}" for o in node.ops)
            return f"({theirs(node.expr)}{rest})"
        case nodes.CondExpr():
            return f"({theirs(node.expr1)} if {theirs(node.test)} else {theirs(node.expr2)})"
        case nodes.List():
            return "[" + ", ".join(map(theirs, node.items)) + "]"
        case nodes.Dict():
            return "{" + ", ".join(f"{theirs(p.key)}: {theirs(p.value)}" for p in node.items) + "}"
    raise AssertionError(node)


def _their_args(node: nodes.Call | nodes.Filter | nodes.Test) -> str:
    kwargs = "".join(f", {pair.key}={theirs(pair.value)}" for pair in node.kwargs)
    return "".join(f", {theirs(arg)}" for arg in node.args) + kwargs


def jinja(text: str) -> str:
    output = jinja2.Environment().parse("{{ " + text + " }}").body[0]
    assert isinstance(output, nodes.Output)
    return theirs(output.nodes[0])


_BINARY = ["or", "and", "==", "!=", "<", "<=", ">", ">=", "in", "not in"]
_BINARY += ["+", "-", "~", "*", "/", "%", "**"]


class Generator:
    """Random expressions that both parsers read, with no brackets but those it means."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def expression(self, depth: int) -> str:
        if depth > 0 and self.rng.random() < 0.1:
            parts = [self.chain(depth - 1) for _ in range(2)]
            return f"{parts[0]} if {parts[1]} else {self.expression(depth - 1)}"
        return self.chain(depth)

    def chain(self, depth: int) -> str:
        text = "not " * self.rng.choice([0, 0, 0, 0, 1, 2]) + self.operand(depth)
        for _ in range(self.rng.choice([0, 1, 1, 2, 3, 5])):
            operator = self.rng.choice(_BINARY)
            negated = "not " if operator in ("and", "or") and self.rng.random() < 0.2 else ""
            text += f" {operator} {negated}{self.operand(depth)}"
        return text

    def operand(self, depth: int) -> str:
        text = self.rng.choice(["", "", "", "-", "+", "- -"]) + self.atom(depth)
        for _ in range(self.rng.choice([0, 0, 0, 1, 2])):
            text += self.rng.choice([".name", "[0]", f"({self.some(depth)})", ".a.b"])
        for _ in range(self.rng.choice([0, 0, 0, 1, 2])):
            text += self.rng.choice([" | first", f" | f({self.some(depth)})", " | g(k=1)"])
        if self.rng.random() < 0.15:
            text += self.rng.choice([" is odd()", " is not t(1)", f" is t({self.some(depth)})"])
            if self.rng.random() < 0.3:
                text += " | h"
        return text

    def atom(self, depth: int) -> str:
        if depth <= 0 or self.rng.random() < 0.6:
            return self.rng.choice(["a", "b", "model", "1", "2.5", '"s"', "true", "none_", "test"])
        inner = self.expression(depth - 1)
        return self.rng.choice([f"({inner})", f"[{inner}, {inner}]", '{"k": ' + inner + "}"])

    def some(self, depth: int) -> str:
        return self.expression(depth - 1) if depth > 0 else "x"


@pytest.mark.parametrize("seed", range(300))
def test_random_expressions_have_the_tree_that_jinja_gives_them(seed: int) -> None:
    text = Generator(seed).expression(3)
    assert ours(expression(text)) == jinja(text)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a ~ b + c", "((a ~ b) + c)"),
        ("-x | abs", "filter(abs, (- x))"),
        ("-x.y", "(- x.y)"),
        ("2 ** 3 ** 2", "((2 ** 3) ** 2)"),
        ("-2 ** 2", "((- 2) ** 2)"),
        ("not a == b", "(not (a == b))"),
        ("a < b <= c", "(a < b <= c)"),
        ("x is not defined and y", "((not test(defined, x)) and y)"),
        ("x is none", "test(none, x)"),
        ("x is in([1, 2])", "test(in, x, [1, 2])"),
        ("x not in y", "(x not in y)"),
        ("a if b else c if d else e", "(a if b else (c if d else e))"),
        ("x is defined if y else z", "(test(defined, x) if y else z)"),
        ("(a + b) | sum", "filter(sum, (a + b))"),
        ("xs.0.name", "xs[0].name"),
        ("60 % 2", "(60 % 2)"),
        ("60%2", "(60 % 2)"),
        ("f(model=1, if=2)", "call(f, model=1, if=2)"),
        ("a.in.is.if", "a.in.is.if"),
        ('{ a: null, "b c": [] }', "{'a': None, 'b c': []}"),
    ],
)
def test_precedence(text: str, tree: str) -> None:
    assert ours(expression(text)) == tree


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a + not b", "`not` needs brackets here"),
        ("x is a is b", "tests with `is` cannot be chained"),
        ("xs | sort[0]", "needs brackets before"),
        ("f(a=1, 2)", "positional arguments"),
        ("f(a=1, a=2)", "given twice"),
        ("{ a: 1, a: 2 }", "given twice"),
        ("x is t(a=1)", "takes no arguments by name"),
    ],
)
def test_what_jinja_refuses_is_refused_in_words(text: str, message: str) -> None:
    _, found = parse(SourceFile("x.orch", PREFIX + text))
    assert [item.code for item in found] == ["ORC001"]
    assert message in found[0].message


def test_spans_cover_brackets_and_all_parts() -> None:
    node = expression("(amount * 100) | round | int")
    assert node.span.text == "(amount * 100) | round | int"
    assert isinstance(node, ast.FilterCall)
    assert isinstance(node.operand, ast.FilterCall)
    assert node.operand.operand.span.text == "(amount * 100)"
    assert node.name.span.text == "int"
