"""The types of the language, as values.

A type says what a value may be; `engine.sema.types.json_schema` says the same as JSON Schema, and
`engine.sema.declarations.resolve` makes types from what was written. A declared schema is a
`Definition`, and a `Named` type points at it, so recursive schemas are finite values and come out
as `$ref`.

Types hold no positions except where a later check needs one: the expressions of defaults and
invariants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.source import Span
from engine.syntax import ast

__all__ = [
    "ANY",
    "BOOL",
    "FLOAT",
    "INT",
    "MISSING",
    "NULL",
    "SCALARS",
    "STRING",
    "Array",
    "Constant",
    "Constrained",
    "Definition",
    "External",
    "Field",
    "Function",
    "Invariant",
    "Json",
    "Named",
    "Optional",
    "Record",
    "Scalar",
    "SourceName",
    "StepOutputs",
    "Type",
    "Union",
    "is_optional",
    "options_of",
    "strip",
    "union_of",
]

#: The scalar types by name, `json` being anything at all.
SCALARS = (
    "string",
    "int",
    "float",
    "bool",
    "json",
    "url",
    "path",
    "email",
    "date",
    "datetime",
    "duration",
)
_TEXTS = frozenset({"string", "url", "path", "email", "date", "datetime", "duration"})


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


#: The default of a field that has none.
MISSING = _Missing()


class Type(msgspec.Struct, frozen=True, eq=False):
    """Base of every type. `str()` is how a user writes it."""


class Json(Type, frozen=True, eq=False):
    """`json`: any JSON value."""

    def __str__(self) -> str:
        return "json"


class Scalar(Type, frozen=True, eq=False):
    """A scalar other than `json`, by its name in the language."""

    name: str

    @property
    def is_text(self) -> bool:
        """Whether its values are strings."""
        return self.name in _TEXTS

    def __str__(self) -> str:
        return self.name


class Constant(Type, frozen=True, eq=False):
    """Exactly one value."""

    value: str | int | float | bool | None

    def __str__(self) -> str:
        return msgspec.json.encode(self.value).decode()


class Array(Type, frozen=True, eq=False):
    """`T[]`."""

    item: Type

    def __str__(self) -> str:
        inner = str(self.item)
        return f"({inner})[]" if isinstance(strip(self.item), Union) else f"{inner}[]"


class StepOutputs(Array, frozen=True, eq=False):
    """What a step of a plan gives for each value of a list; never part of a contract.

    Attributes:
        pairs: The type of `step.pairs`.
        failures: The type of `step.failures`.
    """

    pairs: Type
    failures: Type


class Optional(Type, frozen=True, eq=False):
    """`T?`: null is allowed, and as a field it may be left out."""

    item: Type

    def __str__(self) -> str:
        return f"{self.item}?"


class Union(Type, frozen=True, eq=False):
    """`A | B`; the options are not unions themselves."""

    options: tuple[Type, ...]

    def __str__(self) -> str:
        return " | ".join(str(option) for option in self.options)


class Constrained(Type, frozen=True, eq=False):
    """A type with constraints, as JSON Schema keywords (`x-max-bytes` is our own).

    `untrusted` says that it is marked `@untrusted`, which no keyword says.
    """

    item: Type
    keywords: Mapping[str, Any]
    untrusted: bool = False

    def __str__(self) -> str:
        return str(self.item)


class SourceName(msgspec.Struct, frozen=True, eq=False):
    """One name in `@from(request, contacts, mails.sender)`, as it is written.

    Attributes:
        name: `request`, `person`, or a name that the file gives a worker or orchestrator, with the
            fields after it: `mails.sender`.
        span: Where it is written.
    """

    name: str
    span: Span


class Field(msgspec.Struct, frozen=True, eq=False):
    """A field of a record, an input of a callable, or a parameter of a template.

    Attributes:
        default: The value it has when it is left out, or MISSING.
        untrusted: It is marked `@untrusted`.
        sources: What its `@from` names; None where it has none.
        sources_span: Where its `@from` is written.
    """

    name: str
    type: Type
    doc: str | None = None
    default: Any = MISSING
    untrusted: bool = False
    span: Span | None = None
    sources: tuple[SourceName, ...] | None = None
    sources_span: Span | None = None

    @property
    def required(self) -> bool:
        """Whether an object without it breaks the contract."""
        return self.default is MISSING and not is_optional(self.type)


class Invariant(msgspec.Struct, frozen=True, eq=False):
    """`assert test else message` in a schema. `key` tells it apart from every other."""

    key: str
    test: ast.Expr
    message: ast.Expr | None

    @property
    def text(self) -> str:
        """The test as written, on one line."""
        return " ".join(self.test.span.text.split())


class Record(Type, frozen=True, eq=False):
    """An object with exactly these fields. `name` is None for one written inline."""

    name: str | None
    fields: tuple[Field, ...]
    invariants: tuple[Invariant, ...] = ()
    doc: str | None = None

    def field(self, name: str) -> Field | None:
        """The field of that name, or None."""
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        return None

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        return "{ " + ", ".join(f"{field.name}: {field.type}" for field in self.fields) + " }"


class External(Type, frozen=True, eq=False):
    """A JSON Schema from a file, used as it is.

    Attributes:
        name: What `$defs` calls it.
        schema: The schema; its references are `#/$defs/...` into `definitions`.
        definitions: Everything `schema` refers to, under names that begin with its own.
    """

    name: str
    schema: Mapping[str, Any] | bool
    definitions: Mapping[str, Any]
    doc: str | None = None

    @property
    def document(self) -> dict[str, Any] | bool:
        """One self-contained schema."""
        if isinstance(self.schema, bool) or not self.definitions:
            return self.schema if isinstance(self.schema, bool) else dict(self.schema)
        return {**self.schema, "$defs": dict(self.definitions)}

    def __str__(self) -> str:
        return self.name


class Function(Type, frozen=True, eq=False):
    """A template with parameters, as templates see it; never part of a contract."""

    name: str
    params: tuple[Field, ...]
    result: Type

    def __str__(self) -> str:
        return f"template {self.name}"


class Definition:
    """A declared schema: a name that gets its type once every name is known.

    Attributes:
        name: Its canonical name, the key in `$defs`.
        type: What it means; `json` until `engine.sema.declarations.resolve` has filled it in.
        span: Where it is declared, or None.
    """

    def __init__(self, name: str, span: Span | None = None, doc: str | None = None) -> None:
        self.name = name
        self.span = span
        self.doc = doc
        self.type: Type = ANY

    def __repr__(self) -> str:
        return f"Definition({self.name!r})"


class Named(Type, frozen=True, eq=False):
    """A use of a declared schema."""

    definition: Definition

    def __str__(self) -> str:
        return self.definition.name


ANY = Json()
STRING = Scalar("string")
INT = Scalar("int")
FLOAT = Scalar("float")
BOOL = Scalar("bool")
NULL = Constant(None)


def strip(type_: Type) -> Type:
    """The type itself: constraints and names looked through (an alias of itself gives `json`)."""
    if not isinstance(type_, Constrained | Named):
        return type_
    for _ in range(64):
        if isinstance(type_, Constrained):
            type_ = type_.item
        elif isinstance(type_, Named):
            type_ = type_.definition.type
        else:
            return type_
    return ANY


def options_of(type_: Type) -> tuple[Type, ...]:
    """The options of a union or optional (null included), flat; other types alone."""
    first = strip(type_)
    if not isinstance(first, Union | Optional):
        return (first,)  # nearly always, and asked for every field of every record
    found: list[Type] = []
    todo: list[Type] = [first]
    seen: set[int] = set()
    while todo:
        current = strip(todo.pop(0))
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, Union):
            todo = [*current.options, *todo]
        elif isinstance(current, Optional):
            todo = [current.item, NULL, *todo]
        else:
            found.append(current)
    return tuple(found)


def is_optional(type_: Type) -> bool:
    """Whether null is one of the values, by `?` or by a union with null."""
    first = strip(type_)
    if isinstance(first, Union):
        options = options_of(first)
        return any(isinstance(item, Constant) and item.value is None for item in options)
    return isinstance(first, Optional) or (isinstance(first, Constant) and first.value is None)


def union_of(types: list[Type]) -> Type:
    """The union of types, as flat and small as it gets without comparing records."""
    found: list[Type] = []
    keys: set[Any] = set()
    for type_ in types:
        for option in options_of(type_):
            if isinstance(option, Json):
                return ANY
            key: Any = id(option)
            if isinstance(option, Scalar):
                key = option.name
            elif isinstance(option, Constant):
                key = (type(option.value).__name__, option.value)
            if key not in keys:
                keys.add(key)
                found.append(option)
    if not found:
        return ANY
    return found[0] if len(found) == 1 else Union(tuple(found))
