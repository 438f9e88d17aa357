"""The syntax tree of one `.orch` file: frozen records, a span on every node.

The tree says what was written, not what it means: bodies are generic (settings, blocks,
assertions), names are unresolved, and a typo in a setting is a perfectly good node. Meaning is
given by `engine.sema`.

Strings keep a map from their value back to the source (`String.offset_map`), so that a finding
inside a prompt points at the character the user typed.
"""

from __future__ import annotations

import msgspec

from engine.source import SourceFile, Span

__all__ = [
    "Alias",
    "ArrayType",
    "Assertion",
    "Attribute",
    "Binary",
    "Block",
    "Body",
    "Boolean",
    "Call",
    "Comparison",
    "Conditional",
    "Constraint",
    "Declaration",
    "Document",
    "Edition",
    "Expr",
    "ExternalSchema",
    "FieldDecl",
    "FilterCall",
    "FromImport",
    "Import",
    "Index",
    "ListExpr",
    "LiteralType",
    "MapEntry",
    "MapExpr",
    "Member",
    "ModelDecl",
    "Name",
    "NamedType",
    "Null",
    "Number",
    "NumberedSetting",
    "OptionalType",
    "OrchestratorDecl",
    "ParamDecl",
    "Quantity",
    "RecordBody",
    "RecordType",
    "SchemaDecl",
    "SecretDecl",
    "ServerDecl",
    "Setting",
    "String",
    "TemplateDecl",
    "TestCall",
    "TestDecl",
    "TypeExpr",
    "Unary",
    "UnionType",
    "UnknownDecl",
    "Variable",
    "VerifierDecl",
    "WorkerDecl",
]


class Node(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Base of every node.

    Nodes are trees and so in no cycle: the garbage collector need not look at them (`gc=False`,
    which subclasses inherit), a third of its work in a server that makes trees all day.
    """

    span: Span


class Name(Node, frozen=True, eq=False):
    """An identifier where a thing is named or referred to; `common.fast` keeps its dots."""

    text: str


# ---------------------------------------------------------------- expressions


class Number(Node, frozen=True, eq=False):
    """An int or float without a unit: `3`, `0.8`, `-1` (the sign is a `Unary`)."""

    value: int | float


class Quantity(Node, frozen=True, eq=False):
    """A number with a unit, in its canonical form.

    Attributes:
        unit: `duration` (value: int milliseconds), `money` (int micro-dollars), `size` (int
            bytes), `count` (int; from `200k`, `2M`), `percent` (float share: `60%` is 0.6).
        value: The canonical value.
        text: As written, for messages and the formatter.
    """

    unit: str
    value: int | float
    text: str


class String(Node, frozen=True, eq=False):
    """A string, quoted `"..."` (with JSON's escapes) or as a text block in triple quotes.

    Attributes:
        value: The text meant. A text block loses the line end after its opening quotes and
            the indentation that all of its non-blank lines share; it knows no escapes.
        triple: Whether it is a text block.
        offset_map: Pairs `(value_offset, source_offset)`, ascending: from `value_offset` on,
            value and source run in step until the next pair.
    """

    value: str
    triple: bool
    offset_map: tuple[tuple[int, int], ...]

    def source_offset(self, value_offset: int) -> int:
        """The offset in the source file of an offset in the value."""
        at = (0, self.span.start)
        for pair in self.offset_map:
            if pair[0] > value_offset:
                break
            at = pair
        return min(at[1] + value_offset - at[0], self.span.end)

    def sub_span(self, start: int, end: int) -> Span:
        """The source span of a range of the value."""
        begin = self.source_offset(start)
        return Span(self.span.source, begin, max(begin, self.source_offset(end)))


class Boolean(Node, frozen=True, eq=False):
    """`true` or `false`."""

    value: bool


class Null(Node, frozen=True, eq=False):
    """`null`."""


class Variable(Node, frozen=True, eq=False):
    """A bare name in an expression."""

    name: str


class Attribute(Node, frozen=True, eq=False):
    """`object.name`; `name_span` covers the name alone."""

    object: Expr
    name: str
    name_span: Span


class Index(Node, frozen=True, eq=False):
    """`object[index]`."""

    object: Expr
    index: Expr | Slice


class Slice(Node, frozen=True, eq=False):
    """`1:3` in `object[1:3]`; each part may be left out. May be used only as an index."""

    start: Expr | None
    stop: Expr | None
    step: Expr | None


class Call(Node, frozen=True, eq=False):
    """`function(args, name=value)`; in `file("x.j2")` the function is a `Variable`."""

    function: Expr
    args: tuple[Expr, ...]
    kwargs: tuple[tuple[Name, Expr], ...]


class FilterCall(Node, frozen=True, eq=False):
    """`operand | name(args, key=value)`."""

    operand: Expr
    name: Name
    args: tuple[Expr, ...]
    kwargs: tuple[tuple[Name, Expr], ...]


class TestCall(Node, frozen=True, eq=False):
    """`operand is [not] name(args)`."""

    operand: Expr
    name: Name
    args: tuple[Expr, ...]
    negated: bool


class Unary(Node, frozen=True, eq=False):
    """`not x`, `-x`, `+x`."""

    operator: str
    operand: Expr


class Binary(Node, frozen=True, eq=False):
    """`or and ~ + - * / // % **` with Jinja2's precedence."""

    operator: str
    left: Expr
    right: Expr


class Comparison(Node, frozen=True, eq=False):
    """`a < b <= c`, `x in y`, `x not in y`: a first operand and `(operator, operand)` pairs."""

    first: Expr
    rest: tuple[tuple[str, Expr], ...]


class Conditional(Node, frozen=True, eq=False):
    """`then if test else otherwise`."""

    then: Expr
    test: Expr
    otherwise: Expr


class ListExpr(Node, frozen=True, eq=False):
    """`[a, b]`."""

    items: tuple[Expr, ...]


class MapEntry(Node, frozen=True, eq=False):
    """`key: value`; a bare key is a string."""

    key: Name
    value: Expr


class MapExpr(Node, frozen=True, eq=False):
    """`{ a: 1, "b c": 2 }`."""

    entries: tuple[MapEntry, ...]


Expr = (
    Number
    | Quantity
    | String
    | Boolean
    | Null
    | Variable
    | Attribute
    | Index
    | Call
    | FilterCall
    | TestCall
    | Unary
    | Binary
    | Comparison
    | Conditional
    | ListExpr
    | MapExpr
)

# ---------------------------------------------------------------- types


class Constraint(Node, frozen=True, eq=False):
    """`@min(1)`, `@length(min: 10, max: 400)`, `@untrusted`.

    `args` holds `(key or None, value)`: keys are written with `:`.
    """

    name: Name
    args: tuple[tuple[Name | None, Expr], ...]


class NamedType(Node, frozen=True, eq=False):
    """`string`, `Finding`, `common.Finding`."""

    name: str


class LiteralType(Node, frozen=True, eq=False):
    """One literal: `"low"`, `3`, `true`, `null`."""

    value: str | int | float | bool | None


class ArrayType(Node, frozen=True, eq=False):
    """`T[]`."""

    item: TypeExpr


class OptionalType(Node, frozen=True, eq=False):
    """`T?`: the value may be null; as a field it may be left out."""

    item: TypeExpr


class UnionType(Node, frozen=True, eq=False):
    """`A | B | "c"`."""

    options: tuple[TypeExpr, ...]


class RecordType(Node, frozen=True, eq=False):
    """An inline `{ a: int, b: T }`."""

    fields: tuple[FieldDecl, ...]


TypeExpr = NamedType | LiteralType | ArrayType | OptionalType | UnionType | RecordType


class FieldDecl(Node, frozen=True, eq=False):
    """`name: type @constraints = default`, a field of a schema or an input of a callable."""

    name: Name
    type: TypeExpr
    constraints: tuple[Constraint, ...]
    default: Expr | None
    doc: str | None


# ---------------------------------------------------------------- bodies


class Setting(Node, frozen=True, eq=False):
    """`name = expr`."""

    name: Name
    value: Expr
    doc: str | None = None


class NumberedSetting(Node, frozen=True, eq=False):
    """`INT = expr`, as in `on_status { 404 = not_found }`."""

    number: int
    value: Expr
    doc: str | None = None


class Block(Node, frozen=True, eq=False):
    """`name label* { ... }`; several labels have commas between them."""

    name: Name
    labels: tuple[Name, ...]
    body: Body
    doc: str | None = None


class Assertion(Node, frozen=True, eq=False):
    """`assert expr [else expr]`."""

    test: Expr
    message: Expr | None
    doc: str | None = None


Member = Setting | NumberedSetting | Block | Assertion


class Body(Node, frozen=True, eq=False):
    """`{ ... }` with its members in the order written."""

    members: tuple[Member, ...]


class RecordBody(Node, frozen=True, eq=False):
    """The `{ ... }` of a schema: fields and invariants."""

    fields: tuple[FieldDecl, ...]
    assertions: tuple[Assertion, ...]


# ---------------------------------------------------------------- declarations


class Declaration(Node, frozen=True, eq=False):
    """Base of every declaration at top level. `doc` is its `///` text, or None."""

    doc: str | None


class Edition(Declaration, frozen=True, eq=False):
    """`orch 1`."""

    number: int


class Import(Declaration, frozen=True, eq=False):
    """`import "x.orch" as x`."""

    path: String
    alias: Name


class Alias(Node, frozen=True, eq=False):
    """`a` or `a as b` in a from-import; `local` is the name it gets here."""

    name: Name
    local: Name


class FromImport(Declaration, frozen=True, eq=False):
    """`from "x.orch" import a, b as c`."""

    path: String
    names: tuple[Alias, ...]


class ParamDecl(Declaration, frozen=True, eq=False):
    """`param region: "eu" | "us" = "eu"`."""

    name: Name
    type: TypeExpr
    constraints: tuple[Constraint, ...]
    default: Expr | None


class SecretDecl(Declaration, frozen=True, eq=False):
    """`secret STRIPE_KEY`."""

    name: Name


class ExternalSchema(Node, frozen=True, eq=False):
    """`from "t.schema.json#/$defs/Ticket"`."""

    path: String


class SchemaDecl(Declaration, frozen=True, eq=False):
    """`schema X { ... }`, `schema X from "..."` or `schema X = type @constraints`."""

    name: Name
    definition: RecordBody | ExternalSchema | TypeExpr
    constraints: tuple[Constraint, ...]


class ModelDecl(Declaration, frozen=True, eq=False):
    """`model fast { ... }`."""

    name: Name
    body: Body


class ServerDecl(Declaration, frozen=True, eq=False):
    """`server kb via mcp { ... }`."""

    name: Name
    kind: Name
    body: Body


class TemplateDecl(Declaration, frozen=True, eq=False):
    """`template t = "..."` or `template t(a: string) = "..."`; `text` may be any expression."""

    name: Name
    params: tuple[FieldDecl, ...]
    text: Expr


class WorkerDecl(Declaration, frozen=True, eq=False):
    """`worker name(inputs) -> Output fails a, b via KIND { ... }`."""

    name: Name
    params: tuple[FieldDecl, ...]
    output: TypeExpr
    output_constraints: tuple[Constraint, ...]
    fails: tuple[Name, ...]
    kind: Name
    body: Body


class VerifierDecl(Declaration, frozen=True, eq=False):
    """`verifier name(inputs) via KIND { ... }`."""

    name: Name
    params: tuple[FieldDecl, ...]
    kind: Name
    body: Body


class OrchestratorDecl(Declaration, frozen=True, eq=False):
    """`orchestrator name(inputs) -> Output fails a { ... }`."""

    name: Name
    params: tuple[FieldDecl, ...]
    output: TypeExpr
    output_constraints: tuple[Constraint, ...]
    fails: tuple[Name, ...]
    body: Body


class TestDecl(Declaration, frozen=True, eq=False):
    """`test "title" for name { ... }`."""

    title: String
    target: Name
    body: Body


class UnknownDecl(Declaration, frozen=True, eq=False):
    """A declaration whose first word is not a keyword; kept so that a typo gets a suggestion."""

    keyword: Name
    name: Name | None


class Document(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One parsed file.

    Attributes:
        comments: All comments but the doc comments that are attached to nodes.
        lost: Names of declarations that could not be read and are missing from `declarations`;
            whoever looks for unknown names should not report these.
    """

    source: SourceFile
    declarations: tuple[Declaration, ...]
    comments: tuple[Span, ...]
    lost: tuple[Name, ...] = ()
