"""From types as written to types as values: names, constraints, defaults, invariants.

A `TypeResolver` reads type expressions and reports what is wrong with them; it never stops, an
unknown name becomes `json`. What depends on every name being known (defaults and invariants) is
kept and checked by `finish`, so declarations may be in any order.

JSON Schema files are read by `engine.sema.types.external_schema`; recursion without end is found
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engine.diagnostics import Diagnostic, Edit, Fix, Related, diagnostic
from engine.sema.expressions.compiler import NotConstantError, constant
from engine.sema.suggest import closest
from engine.sema.types.constraints import constrain, sources_of
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import (
    ANY,
    MISSING,
    SCALARS,
    Array,
    Constant,
    Constrained,
    Definition,
    Field,
    Invariant,
    Named,
    Optional,
    Record,
    Scalar,
    Type,
    Union,
    strip,
)
from engine.source import Span
from engine.syntax import ast

__all__ = ["Report", "ResolveName", "TypeResolver", "check_recursion", "resolve_type"]

Report = Callable[[Diagnostic], None]
#: The type a name has at a place, or None if there is none (the resolver reports it).
ResolveName = Callable[[str, Span], Type | None]


def resolve_type(
    expr: ast.TypeExpr,
    constraints: tuple[ast.Constraint, ...],
    resolve_name: ResolveName,
    report: Report,
    names: Iterable[str] = (),
) -> Type:
    """The type of one type expression with its constraints.

    An unknown name is reported here (ORC201); `names` are what it may have been meant to be,
    besides the scalars. `@untrusted` says nothing about values; it is kept in `Constrained`.
    """
    resolver = TypeResolver(resolve_name, report, names)
    type_ = resolver.type(expr, constraints)
    resolver.finish()
    return type_


class TypeResolver:
    """Reads types, fields and records; see the module's docstring.

    Args:
        resolve_name: The type of a declared name, or None.
        report: Where findings go.
        names: Declared names of types, for suggestions.
    """

    def __init__(
        self, resolve_name: ResolveName, report: Report, names: Iterable[str] = ()
    ) -> None:
        self._resolve_name = resolve_name
        self._report = report
        self._names = names
        self._later: list[Callable[[], object]] = []

    def finish(self) -> None:
        """Check the defaults and invariants read so far; every `Definition` has its type now."""
        later, self._later = self._later, []
        for check in later:
            check()

    # ------------------------------------------------------------ types

    def type(self, expr: ast.TypeExpr, constraints: tuple[ast.Constraint, ...] = ()) -> Type:
        """The type of a type expression, constraints applied."""
        return constrain(self._read(expr), constraints, self._report)

    def _read(self, expr: ast.TypeExpr) -> Type:
        match expr:
            case ast.NamedType():
                return self._name(expr)
            case ast.LiteralType():
                return Constant(expr.value)
            case ast.ArrayType():
                return Array(self._read(expr.item))
            case ast.OptionalType():
                inner = self._read(expr.item)
                return inner if isinstance(inner, Optional) else Optional(inner)
            case ast.UnionType():
                self._each_once(expr)
                return _union([self._read(option) for option in expr.options])
            case ast.RecordType():
                return Record(None, self.fields(expr.fields))

    def _each_once(self, expr: ast.UnionType) -> None:
        """ORC105: a literal or name that is in the union before."""
        seen: set[tuple[str, Any]] = set()
        before: ast.TypeExpr | None = None
        for option in expr.options:
            key: tuple[str, Any] | None = None
            if isinstance(option, ast.LiteralType):
                key = (type(option.value).__name__, option.value)
            elif isinstance(option, ast.NamedType):
                key = ("name", option.name)
            if key is not None and key in seen:
                fix = None
                if before is not None:
                    span = option.span
                    gap = Span(span.source, before.span.end, span.end)
                    if gap.text.removesuffix(span.text).strip() == "|":
                        fix = Fix("remove the second one", (Edit(gap, ""),))
                message = f"`{option.span.text}` appears twice in this union"
                self._report(diagnostic("ORC105", message, option.span, fix=fix))
            elif key is not None:
                seen.add(key)
            before = option

    def _name(self, expr: ast.NamedType) -> Type:
        if expr.name == "json":
            return ANY
        if expr.name in SCALARS:
            return Scalar(expr.name)
        found = self._resolve_name(expr.name, expr.span)
        if found is not None:
            return found
        near = closest(expr.name, [*SCALARS, *self._names])
        if near is None and "." not in expr.name:
            # `Claim` for `common.Claim`: the alias was forgotten.
            near = next((n for n in self._names if n.rpartition(".")[2] == expr.name), None)
        fix = None
        if near is not None:
            fix = Fix(f"Replace it with `{near}`", (Edit(expr.span, near),))
        self._report(
            diagnostic(
                "ORC201",
                f"unknown type `{expr.name}`",
                expr.span,
                help=f"did you mean `{near}`?"
                if near is not None
                else "declare it with `schema`, or use a built-in type: " + ", ".join(SCALARS),
                fix=fix,
            )
        )
        return ANY

    # ------------------------------------------------------------ fields and records

    def fields(self, decls: tuple[ast.FieldDecl, ...]) -> tuple[Field, ...]:
        """The fields of a record, the inputs of a callable or the parameters of a template."""
        found: dict[str, Field] = {}
        for decl in decls:
            name = decl.name.text
            if name in found:
                first = found[name].span
                self._report(
                    diagnostic(
                        "ORC102",
                        f"`{name}` is already declared",
                        decl.name.span,
                        related=() if first is None else (Related("first declared here", first),),
                    )
                )
                continue
            found[name] = self._field(decl)
        return tuple(found.values())

    def _field(self, decl: ast.FieldDecl) -> Field:
        type_ = self.type(decl.type, decl.constraints)
        default: Any = MISSING
        if decl.default is not None:
            default = self._default(decl.default, type_)
        sources, at = sources_of(decl.constraints)
        untrusted = any(item.name.text == "untrusted" for item in decl.constraints)
        if untrusted and at is not None:
            self._report(
                diagnostic(
                    "ORC205",
                    "`@untrusted` and `@from` contradict each other: a value from these sources is "
                    "no stranger's",
                    at,
                    help="remove one of them",
                )
            )
        return Field(
            name=decl.name.text,
            type=type_,
            doc=decl.doc,
            default=default,
            untrusted=untrusted,
            span=decl.name.span,
            sources=sources,
            sources_span=at,
        )

    def _default(self, expr: ast.Expr, type_: Type) -> Any:
        """The value of a default; whether it fits is checked in `finish`."""
        try:
            value = _default_value(expr, type_)
        except NotConstantError as error:
            self._report(
                diagnostic(
                    "ORC204",
                    "a default must be a constant",
                    error.span,
                    help="write a literal, a list or a map of literals",
                )
            )
            # Not MISSING: the field is meant to have a default, so it is not required.
            return None
        self._later.append(lambda: self.check_value(value, expr.span, type_, "default"))
        return value

    def check_value(self, value: Any, span: Span, type_: Type, what: str) -> bool:
        """Whether a constant fits a type; reports ORC204 if not. `what` begins the message."""
        if _fits_plainly(value, type_):
            return True
        contract = Contract(type_)
        if contract.is_valid(value):
            return True
        problem = contract.problems(value, limit=1)[0].removeprefix("(root): ")
        self._report(diagnostic("ORC204", f"{what} does not fit `{type_}`: {problem}", span))
        return False

    def record(
        self,
        name: str,
        fields: tuple[ast.FieldDecl, ...],
        assertions: tuple[ast.Assertion, ...],
        doc: str | None = None,
    ) -> Record:
        """The record of a `schema NAME { ... }`."""
        read = self.fields(fields)
        invariants = tuple(
            Invariant(f"{name}.{index}", assertion.test, assertion.message)
            for index, assertion in enumerate(assertions, start=1)
        )
        return Record(name, read, invariants, doc)

    def definition(self, decl: ast.SchemaDecl, definition: Definition) -> None:
        """Fill in what a declared schema means; one from a file is left to the caller."""
        definition.doc = decl.doc
        match decl.definition:
            case ast.RecordBody() as body:
                definition.type = self.record(
                    definition.name, body.fields, body.assertions, decl.doc
                )
            case ast.ExternalSchema():
                pass
            case type_expr:
                definition.type = self.type(type_expr, decl.constraints)


def _default_value(expr: ast.Expr, type_: Type) -> Any:
    inner = strip(type_)
    while isinstance(inner, Optional):
        inner = strip(inner.item)
    if isinstance(inner, Scalar) and inner.name == "duration" and isinstance(expr, ast.Quantity):
        return expr.text
    return constant(expr)


def _union(types: list[Type]) -> Type:
    """A union without unions inside; `T | null` stays a union of two."""
    options: list[Type] = []
    literals: set[tuple[str, Any]] = set()
    for type_ in types:
        for option in type_.options if isinstance(type_, Union) else (type_,):
            if isinstance(option, Constant):
                key = (type(option.value).__name__, option.value)
                if key in literals:
                    continue
                literals.add(key)
            options.append(option)
    return options[0] if len(options) == 1 else Union(tuple(options))


# ---------------------------------------------------------------- recursion


def check_recursion(definitions: Iterable[Definition], report: Report) -> None:
    """Report ORC206 for schemas no finite value can have, once for each cycle."""
    definitions = list(definitions)
    finite: set[int] = set()
    grown = True
    while grown:
        grown = False
        for definition in definitions:
            if id(definition) not in finite and _is_finite(definition.type, finite):
                finite.add(id(definition))
                grown = True
    told: set[int] = set()
    for definition in definitions:
        if id(definition) in finite or id(definition) in told:
            continue
        cycle = _cycle(definition, finite)
        if any(id(item) in told for item in cycle):
            continue
        told.update(id(item) for item in cycle)
        first = cycle[0]
        path = " -> ".join(item.name for item in [*cycle, first])
        if first.span is not None:
            report(
                diagnostic(
                    "ORC206",
                    f"`{first.name}` contains `{first.name}` with no optional or list in between"
                    + (f" ({path})" if len(cycle) > 1 else ""),
                    first.span,
                    help="make one of the fields optional (`T?`) or a list (`T[]`)",
                )
            )


def _is_finite(type_: Type, finite: set[int]) -> bool:
    match type_:
        case Named():
            return id(type_.definition) in finite
        case Constrained():
            return _is_finite(type_.item, finite)
        case Union():
            return any(_is_finite(option, finite) for option in type_.options)
        case Record():
            return all(_is_finite(field.type, finite) for field in type_.fields if field.required)
    return True


def _needed(type_: Type) -> list[Definition]:
    """The definitions a value of the type cannot do without, or may choose among."""
    match type_:
        case Named():
            return [type_.definition]
        case Constrained():
            return _needed(type_.item)
        case Union():
            return [inner for option in type_.options for inner in _needed(option)]
        case Record():
            return [
                inner for field in type_.fields if field.required for inner in _needed(field.type)
            ]
    return []


def _cycle(start: Definition, finite: set[int]) -> list[Definition]:
    """The cycle a definition without finite values leads to (or is part of)."""
    path: list[Definition] = []
    places: dict[int, int] = {}
    current = start
    while id(current) not in places:
        places[id(current)] = len(path)
        path.append(current)
        endless = [item for item in _needed(current.type) if id(item) not in finite]
        if not endless:
            return path
        current = endless[0]
    return path[places[id(current)] :]


def _fits_plainly(value: Any, type_: Type) -> bool:
    """Whether a value fits a type so plainly that no validator need be asked.

    Most defaults do, and jsonschema-rs costs 7 ms to import and 0.1 ms for each schema.
    """
    if not isinstance(type_, Scalar):
        return False
    match value:
        case bool():
            return type_.name == "bool"
        case int():
            return type_.name == "int" and abs(value) < 2**53
        case str():
            return type_.name == "string" and value.isascii()
    return False
