"""From a flat sequence of operands and operators to a tree: Jinja2's precedence, by hand.

From loosest to tightest: `x if c else y`, `or`, `and`, `not`, comparisons (one chain, with `in`
and `not in`), `+ -`, `~`, `* / %`, `**` (from the left, as in Jinja2), the signs, then `.name
[index] (call)`; filters and `is` tests apply after the signs: `-x | abs` is `(-x) | abs`. A
differential test holds this against Jinja2's own parser.

Invariant: the tree is never deeper than `MAX_DEPTH`, so that later phases need not fear a
recursion error. `//` is a comment in `.orch` files and so no operator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from engine.source import Span
from engine.syntax import ast
from grammar import Token, Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    Part = Token | Tree

__all__ = ["BRACKET_COST", "MAX_DEPTH", "ExpressionBuilder", "Reporter", "TooDeepError"]

#: The deepest tree that is built. A pair of brackets costs two, an operator or postfix one.
MAX_DEPTH = 200
BRACKET_COST = 2

_NOT_LEVEL = 3
_COMPARE_LEVEL = 4
_LEVELS = {
    "OR": 1,
    "AND": 2,
    "COMPARE": _COMPARE_LEVEL,
    "IN": _COMPARE_LEVEL,
    "NOT_IN": _COMPARE_LEVEL,
    "PLUS": 5,
    "MINUS": 5,
    "TILDE": 6,
    "TIMES": 7,
    "POWER": 8,
}
_PREFIXES = frozenset({"MINUS", "PLUS", "NOT"})


class Reporter(Protocol):
    """Takes what is wrong with a tree that the grammar let through."""

    def __call__(
        self, message: str, span: Span, help: str | None = None, replacement: str | None = None
    ) -> None:
        """Report one fault; `replacement` is the text that would fix it safely."""


class TooDeepError(Exception):
    """The tree would be deeper than `MAX_DEPTH`; carries where."""

    def __init__(self, span: Span) -> None:
        self.span = span
        super().__init__("nested too deeply")


class _Operator(msgspec.Struct):
    level: int
    text: str
    start: int


class ExpressionBuilder:
    """Base of the tree builder: everything about expressions.

    Subclasses give `span`, `name`, `string`, `number` and `report`.
    """

    report: Reporter

    def span(self, start: int, end: int) -> Span:
        """A span from offsets in the text that Lark saw."""
        raise NotImplementedError

    def name(self, token: Part) -> ast.Name:
        """A name node from a token."""
        raise NotImplementedError

    def string(self, token: Token) -> ast.String:
        """A string node from a token."""
        raise NotImplementedError

    def number(self, token: Token) -> ast.Number | ast.Quantity:
        """A number node from a token."""
        raise NotImplementedError

    def expression(self, node: Part, depth: int) -> ast.Expr:
        """The node of an expression. `depth` is how deep it will be in the tree."""
        if isinstance(node, Token):
            return self._atom_token(node)
        kind = node.data
        children = node.children
        if kind == "flat":
            return self._flat(children, depth)
        if depth > MAX_DEPTH:
            raise TooDeepError(self._span_of(node))
        if kind == "list":
            inner = [c for c in children if not _is_bracket(c)]
            items = tuple(self.expression(item, depth + BRACKET_COST) for item in inner)
            return ast.ListExpr(self._span_of(node), items)
        if kind == "map":
            return self._map(node, depth)
        if kind == "group":
            value = self.expression(children[1], depth + BRACKET_COST)
            # The brackets belong to the span, so that what is around it is one stretch.
            return msgspec.structs.replace(value, span=self._span_of(node))
        # conditional: then IF test ELSE otherwise
        then = self.expression(children[0], depth + 1)
        test = self.expression(children[2], depth + 1)
        otherwise = self.expression(children[4], depth + 1)
        return ast.Conditional(then.span.to(otherwise.span), then, test, otherwise)

    def _atom_token(self, token: Token) -> ast.Expr:
        kind = token.type
        if kind == "NAME":
            return ast.Variable(self._token_span(token), str(token))
        if kind in ("STRING", "TEXT"):
            return self.string(token)
        if kind == "NUMBER":
            return self.number(token)
        if kind == "TRUE" or kind == "FALSE":
            return ast.Boolean(self._token_span(token), kind == "TRUE")
        if kind == "NULL":
            return ast.Null(self._token_span(token))
        return ast.Variable(self._token_span(token), str(token))

    def _map(self, node: Tree, depth: int) -> ast.Expr:
        entries: list[ast.MapEntry] = []
        seen: set[str] = set()
        for child in node.children:
            if isinstance(child, Token):
                continue
            key_token = child.children[0]
            assert isinstance(key_token, Token)
            if key_token.type == "STRING":
                text = self.string(key_token)
                key = ast.Name(text.span, text.value)
            else:
                key = self.name(key_token)
            value = self.expression(child.children[1], depth + BRACKET_COST)
            if key.text in seen:
                self.report(f"the key `{key.text}` is given twice", key.span)
            seen.add(key.text)
            entries.append(ast.MapEntry(key.span.to(value.span), key, value))
        return ast.MapExpr(self._span_of(node), tuple(entries))

    def _flat(self, parts: Sequence[Part], depth: int) -> ast.Expr:
        inner = depth + len(parts)
        if inner > MAX_DEPTH:
            raise TooDeepError(self._token_span(_first_token(parts[0])))
        operands: list[ast.Expr] = []
        operators: list[_Operator] = []
        at = 0
        while True:
            at = self._operand(parts, at, inner, operands, operators)
            if at == len(parts):
                break
            token = parts[at]
            assert isinstance(token, Token)
            level = _LEVELS[token.type]
            self._reduce(operands, operators, level)
            text = "not in" if token.type == "NOT_IN" else str(token)
            operators.append(_Operator(level, text, self._token_span(token).start))
            at += 1
        self._reduce(operands, operators, 0)
        return operands[0]

    def _reduce(self, operands: list[ast.Expr], operators: list[_Operator], level: int) -> None:
        """Build every operator that binds at least as tight as `level` (a chain: tighter)."""
        while operators:
            top = operators[-1].level
            if top < level or (top == level == _COMPARE_LEVEL):
                return
            if top == _NOT_LEVEL:
                operator = operators.pop()
                operand = operands.pop()
                span = Span(operand.span.source, operator.start, operand.span.end)
                operands.append(ast.Unary(span, "not", operand))
            elif top == _COMPARE_LEVEL:
                count = 1
                while len(operators) > count and operators[-count - 1].level == _COMPARE_LEVEL:
                    count += 1
                names = [operator.text for operator in operators[-count:]]
                values = operands[-count:]
                del operators[-count:], operands[-count:]
                first = operands.pop()
                rest = tuple(zip(names, values, strict=True))
                operands.append(ast.Comparison(first.span.to(values[-1].span), first, rest))
            else:
                right = operands.pop()
                left = operands.pop()
                operator = operators.pop()
                operands.append(ast.Binary(left.span.to(right.span), operator.text, left, right))

    def _operand(
        self,
        parts: Sequence[Part],
        at: int,
        depth: int,
        operands: list[ast.Expr],
        operators: list[_Operator],
    ) -> int:
        """Read prefixes, an atom and its postfixes; gives the index after them."""
        signs: list[Token] = []
        while isinstance(part := parts[at], Token) and part.type in _PREFIXES:
            if part.type == "NOT":
                if signs or (operators and operators[-1].level > _NOT_LEVEL):
                    self.report(
                        "`not` needs brackets here",
                        self._token_span(part),
                        "write `(not ...)`: `not` binds looser than the operator before it",
                    )
                else:
                    start = self._token_span(part).start
                    operators.append(_Operator(_NOT_LEVEL, "not", start))
            else:
                signs.append(part)
            at += 1
        value = self.expression(part, depth)
        at += 1
        count = len(parts)
        while at < count:
            part = parts[at]
            if isinstance(part, Token):
                if part.type != "DOT":
                    break
                value = self._member(value, parts[at + 1])
                at += 2
            elif part.data == "index":
                value = self._index(value, part, depth)
                at += 1
            elif part.data == "arguments":
                args, kwargs = self._arguments(part, depth)
                value = ast.Call(self._until(value, part), value, args, kwargs)
                at += 1
            else:
                break
        for sign in reversed(signs):
            span = Span(value.span.source, self._token_span(sign).start, value.span.end)
            value = ast.Unary(span, str(sign), value)
        at, value = self._filters(parts, at, value, depth)
        operands.append(value)
        return at

    def _index(self, value: ast.Expr, part: Tree, depth: int) -> ast.Expr:
        inside = part.children[1]
        index: ast.Expr | ast.Slice
        if isinstance(inside, Tree) and inside.data == "slice":
            places: list[ast.Expr | None] = [None, None, None]
            at = 0
            for child in inside.children:
                if isinstance(child, Token) and child.type == "COLON":
                    at += 1
                else:
                    places[at] = self.expression(child, depth + BRACKET_COST)
            colons = [c for c in inside.children if isinstance(c, Token) and c.type == "COLON"]
            span = self._token_span(colons[0])
            for place in places:
                if place is not None:
                    span = Span(
                        span.source,
                        min(span.start, place.span.start),
                        max(span.end, place.span.end),
                    )
            index = ast.Slice(span, *places)
        else:
            index = self.expression(inside, depth + BRACKET_COST)
        return ast.Index(self._until(value, part), value, index)

    def _member(self, value: ast.Expr, part: Part) -> ast.Expr:
        assert isinstance(part, Token)
        end = self._token_span(part)
        if part.type == "NUMBER":
            return ast.Index(value.span.to(end), value, self.number(part))
        return ast.Attribute(value.span.to(end), value, str(part), end)

    def _filters(
        self, parts: Sequence[Part], at: int, value: ast.Expr, depth: int
    ) -> tuple[int, ast.Expr]:
        """Read filters, tests and calls of their results, up to an operator or the end."""
        count = len(parts)
        while at < count:
            part = parts[at]
            if isinstance(part, Token):
                if part.type != "DOT":
                    break
                self._needs_brackets(part)
                value = self._member(value, parts[at + 1])
                at += 2
                continue
            at += 1
            if part.data == "index":
                self._needs_brackets(part)
                value = self._index(value, part, depth)
                continue
            if part.data == "arguments":
                args, kwargs = self._arguments(part, depth)
                value = ast.Call(self._until(value, part), value, args, kwargs)
                continue
            end: Part = part
            args, kwargs = (), ()
            if at < count:
                following = parts[at]
                if isinstance(following, Tree) and following.data == "arguments":
                    args, kwargs = self._arguments(following, depth)
                    end = following
                    at += 1
            span = self._until(value, end)
            name = self.name(part.children[-1])
            if part.data == "filter":
                value = ast.FilterCall(span, value, name, args, kwargs)
            else:
                if kwargs:
                    self.report("a test takes no arguments by name", kwargs[0][0].span)
                if isinstance(value, ast.TestCall) and value.span.end < name.span.start:
                    previous = parts[at - 2 if end is not part else at - 1]
                    if previous is part and not self._grouped(value):
                        self.report(
                            "tests with `is` cannot be chained",
                            name.span,
                            "join them: `x is a and x is b`",
                        )
                negated = len(part.children) == 3
                value = ast.TestCall(span, value, name, args, negated)
        return at, value

    def _grouped(self, value: ast.Expr) -> bool:
        return value.span.text.startswith("(") and value.span.text.endswith(")")

    def _needs_brackets(self, part: Part) -> None:
        self.report(
            "a filter's or test's result needs brackets before `.` or `[`",
            self._token_span(_first_token(part)),
            "write `(x | filter).name` or `(x | filter)[0]`",
        )

    def _arguments(
        self, node: Tree, depth: int
    ) -> tuple[tuple[ast.Expr, ...], tuple[tuple[ast.Name, ast.Expr], ...]]:
        args: list[ast.Expr] = []
        kwargs: list[tuple[ast.Name, ast.Expr]] = []
        for child in node.children:
            if _is_bracket(child):
                continue
            if isinstance(child, Tree) and child.data == "keyword":
                name = self.name(child.children[0])
                if any(name.text == known.text for known, _ in kwargs):
                    self.report(f"the argument `{name.text}` is given twice", name.span)
                value = self.expression(child.children[1], depth + BRACKET_COST)
                kwargs.append((name, value))
                continue
            value = self.expression(child, depth + BRACKET_COST)
            if kwargs:
                self.report("positional arguments come before named arguments", value.span)
            args.append(value)
        return tuple(args), tuple(kwargs)

    def _until(self, value: ast.Expr, part: Part) -> Span:
        return value.span.to(self._token_span(_last_token(part)))

    def _token_span(self, token: Token) -> Span:
        start = token.start_pos or 0
        return self.span(start, start + len(token))

    def _span_of(self, node: Tree) -> Span:
        last = _last_token(node)
        return self.span(_first_token(node).start_pos or 0, (last.start_pos or 0) + len(last))


def _is_bracket(part: Part) -> bool:
    return isinstance(part, Token) and part.type in ("LSQB", "RSQB", "LPAR", "RPAR")


def _first_token(part: Part) -> Token:
    while not isinstance(part, Token):
        part = part.children[0]
    return part


def _last_token(part: Part) -> Token:
    while not isinstance(part, Token):
        part = part.children[-1]
    return part
