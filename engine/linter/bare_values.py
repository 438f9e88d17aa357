"""Where a template prints a value, or a part of it, that does not go through `| untrusted`.

Follows values by name: through attributes, loops, `{% set %}`, `{% with %}`, filters and included
files. What a macro or a template function does with its arguments is its own business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec
from jinja2 import nodes

from engine.sema.expressions.positions import Located, TemplateFault, parse_template
from engine.sema.templates.typing_rules import attribute_of, item_of, open_up
from engine.sema.trust import carries, untrusted_inside
from engine.sema.types.definitions import ANY, STRING, Optional, Record, Type, strip
from engine.sema.types.json_schema import schema_of
from engine.source import SourceFile, Span

__all__ = ["Bare", "Value", "bare_values"]

#: Filters after which nothing of the text is left.
_NUMBERS = frozenset(["abs", "count", "float", "int", "length", "round", "sum", "wordcount"])
_MAX_DEPTH = 8


class Value(msgspec.Struct, frozen=True, eq=False):
    """A value in a template.

    Attributes:
        whole: Whether all of it is a stranger's; else only its fields marked `@untrusted` are.
        name: The input it is, or is a part of.
    """

    type: Type
    whole: bool
    name: str = ""


class Bare(msgspec.Struct, frozen=True, eq=False):
    """A printed value.

    Attributes:
        name: The input it is a part of.
        text: As it is written, as far as it is a name or a chain of attributes.
        span: Where, if it can be put through a filter there; else None.
        place: Where it begins.
    """

    name: str
    text: str
    span: Span | None
    place: Span


def bare_values(
    where: Located, values: Mapping[str, Value], load: Callable[[str], SourceFile | None]
) -> list[Bare]:
    """Every place of a template that prints one of these values without a fence."""
    scope = {name: Value(value.type, value.whole, name) for name, value in values.items()}
    return list(_Reader(load).template(where, scope, 0))


class _Reader:
    def __init__(self, load: Callable[[str], SourceFile | None]) -> None:
        self._load = load

    def template(self, where: Located, scope: dict[str, Value], depth: int) -> Iterator[Bare]:
        if not any(name in where.text for name in scope) and "include" not in where.text:
            return
        try:
            tree = parse_template(where.text)
        except TemplateFault:
            return
        yield from self._statements(where, tree.body, scope, depth)

    def _statements(
        self, where: Located, body: list[nodes.Node], scope: dict[str, Value], depth: int
    ) -> Iterator[Bare]:
        for node in body:
            match node:
                case nodes.Output():
                    for child in node.nodes:
                        yield from self._printed(where, child, scope)
                case nodes.For():
                    inner = dict(scope)
                    _bind(node.target, _item(_value(node.iter, scope)), inner)
                    yield from self._statements(where, node.body, inner, depth)
                    yield from self._statements(where, node.else_, scope, depth)
                case nodes.If():
                    for branch in [node, *node.elif_]:
                        yield from self._statements(where, branch.body, dict(scope), depth)
                    yield from self._statements(where, node.else_, dict(scope), depth)
                case nodes.Assign():
                    _bind(node.target, _value(node.node, scope), scope)
                case nodes.With():
                    inner = dict(scope)
                    for target, value in zip(node.targets, node.values, strict=True):
                        _bind(target, _value(value, scope), inner)
                    yield from self._statements(where, node.body, inner, depth)
                case nodes.FilterBlock():
                    if not _has_fence(node.filter):
                        yield from self._statements(where, node.body, dict(scope), depth)
                case nodes.Block() | nodes.Scope() | nodes.ScopedEvalContextModifier():
                    yield from self._statements(where, node.body, dict(scope), depth)
                case nodes.Include(template=nodes.Const(value=str() as name)):
                    source = self._load(name) if depth < _MAX_DEPTH else None
                    if source is not None:
                        inside = Located.in_file(source, name)
                        yield from self.template(inside, dict(scope), depth + 1)

    def _printed(self, where: Located, node: nodes.Expr, scope: dict[str, Value]) -> Iterator[Bare]:
        if isinstance(node, nodes.CondExpr):
            for branch in (node.expr1, node.expr2):
                if branch is not None:
                    yield from self._printed(where, branch, scope)
            return
        if isinstance(node, nodes.Concat):
            for part in node.nodes:
                yield from self._printed(where, part, scope)
            return
        value = _value(node, scope)
        if value is None or not _prints_text(value):
            return
        root: nodes.Node = node
        while isinstance(root, nodes.Filter | nodes.Call) and root.node is not None:
            root = root.node
        span = where.whole(node)
        first = where.whole(root)
        shown = span or first
        text = shown.text if shown is not None else value.name
        yield Bare(value.name, text, span, shown or where.name_of(root))


def _value(node: nodes.Node | None, scope: Mapping[str, Value]) -> Value | None:
    """The followed value that an expression is or is made of, or None."""
    match node:
        case nodes.Name():
            return scope.get(node.name)
        case nodes.Getattr():
            return _part(_value(node.node, scope), node.attr)
        case nodes.Getitem(arg=nodes.Const(value=str() as key)):
            return _part(_value(node.node, scope), key)
        case nodes.Getitem():
            return _item(_value(node.node, scope))
        case nodes.Filter():
            if node.name == "untrusted" or node.name in _NUMBERS:
                return None
            if node.name in ("first", "last"):
                return _item(_value(node.node, scope))
            inner = _value(node.node, scope)
            return inner and Value(inner.type, inner.whole, inner.name)
        case nodes.Call(node=nodes.Getattr() as method):
            owner = _value(method.node, scope)
            return owner and Value(STRING if owner.whole else owner.type, owner.whole, owner.name)
        case nodes.CondExpr():
            return _value(node.expr1, scope) or _value(node.expr2, scope)
        case nodes.Add() | nodes.Or() | nodes.And():
            return _value(node.left, scope) or _value(node.right, scope)
    return None


def _part(value: Value | None, name: str) -> Value | None:
    """A field of a value."""
    if value is None:
        return None
    type_ = _open(value.type)
    field = type_.field(name) if isinstance(type_, Record) else None
    if field is None:
        options = [attribute_of(option, name) or ANY for option in open_up(type_)]
        known = options[0] if len(options) == 1 else ANY
        return Value(known, True, value.name) if value.whole else None
    whole = value.whole or field.untrusted
    return Value(field.type, whole, value.name) if whole or untrusted_inside(field.type) else None


def _item(value: Value | None) -> Value | None:
    """An item of a value that is a list."""
    if value is None:
        return None
    return Value(item_of(_open(value.type)) or ANY, value.whole, value.name)


def _open(type_: Type) -> Type:
    while isinstance(type_ := strip(type_), Optional):
        type_ = type_.item
    return type_


def _bind(target: nodes.Node, value: Value | None, scope: dict[str, Value]) -> None:
    if isinstance(target, nodes.Name):
        scope.pop(target.name, None)
        if value is not None:
            scope[target.name] = value
    elif isinstance(target, nodes.Tuple):
        for item in target.items:
            _bind(item, value and Value(ANY, value.whole, value.name), scope)


def _prints_text(value: Value) -> bool:
    if not value.whole and not untrusted_inside(value.type):
        return False
    schema = schema_of(value.type)
    return carries(schema, schema)


def _has_fence(node: nodes.Node | None) -> bool:
    while isinstance(node, nodes.Filter):
        if node.name == "untrusted":
            return True
        node = node.node
    return False
