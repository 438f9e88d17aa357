"""Constraints as written (`@min(1)`, `@length(10, 400)`) to JSON Schema keywords on a type.

One table says which constraint exists, what it takes and which types it belongs to. Reports an
unknown or misplaced constraint as ORC202, one that nothing can satisfy as ORC205.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.sema.expressions.compiler import NotConstantError, constant
from engine.sema.expressions.formats import FORMATS
from engine.sema.suggest import closest, names_list
from engine.sema.types.definitions import (
    Array,
    Constant,
    Constrained,
    External,
    Json,
    Optional,
    Scalar,
    SourceName,
    Type,
    options_of,
    strip,
)
from engine.source import Span
from engine.syntax import ast
from engine.syntax.dotted import dotted

__all__ = ["CONSTRAINTS", "constrain", "sources_of"]

Report = Callable[[Diagnostic], None]


class _Rule(msgspec.Struct, frozen=True):
    """One constraint: what it belongs to, in words, and whether a type is that."""

    belongs_to: str
    accepts: Callable[[Type], bool]


def _is_number(type_: Type) -> bool:
    if isinstance(type_, Constant):
        return isinstance(type_.value, int | float) and not isinstance(type_.value, bool)
    return isinstance(type_, Scalar) and type_.name in ("int", "float")


def _is_text(type_: Type) -> bool:
    if isinstance(type_, Constant):
        return isinstance(type_.value, str)
    return isinstance(type_, Scalar) and type_.is_text


def _is_list(type_: Type) -> bool:
    return isinstance(type_, Array)


def _is_anything(type_: Type) -> bool:
    return True


CONSTRAINTS: dict[str, _Rule] = {
    "min": _Rule("numbers", _is_number),
    "max": _Rule("numbers", _is_number),
    "length": _Rule("strings", _is_text),
    "items": _Rule("lists", _is_list),
    "pattern": _Rule("strings", _is_text),
    "format": _Rule("strings", _is_text),
    "max_bytes": _Rule("any type", _is_anything),
    "unique": _Rule("lists", _is_list),
    "untrusted": _Rule("any type", _is_anything),
    "from": _Rule("any type", _is_anything),
}


def constrain(type_: Type, constraints: tuple[ast.Constraint, ...], report: Report) -> Type:
    """The type with its constraints; of an optional, they bind the value that is not null."""
    if not constraints:
        return type_
    keywords: dict[str, Any] = {}
    seen: set[str] = set()
    for constraint in constraints:
        name = constraint.name.text
        if not _is_known(constraint, type_, report):
            continue
        if name in seen:
            report(diagnostic("ORC205", f"`@{name}` is given twice", constraint.span))
            continue
        seen.add(name)
        keywords.update(_read(constraint, report))
    _check_possible(type_, keywords, constraints, report)
    untrusted = "untrusted" in seen
    if not keywords and not untrusted:
        return type_
    if isinstance(type_, Optional):
        return Optional(Constrained(type_.item, keywords, untrusted))
    return Constrained(type_, keywords, untrusted)


def _is_known(constraint: ast.Constraint, type_: Type, report: Report) -> bool:
    """Whether there is such a constraint and it belongs to the type."""
    name = constraint.name.text
    rule = CONSTRAINTS.get(name)
    if rule is None:
        near = _meant(constraint)
        span = constraint.name.span
        fix = None
        if near is not None:
            fix = Fix(f"Replace it with `{near}`", (Edit(span, near),))
        report(
            diagnostic(
                "ORC202",
                f"unknown constraint `@{name}`",
                span,
                help=f"did you mean `@{near}`?"
                if near is not None
                else "there are " + names_list([f"@{item}" for item in CONSTRAINTS]),
                fix=fix,
            )
        )
        return False
    options = options_of(type_)
    if any(rule.accepts(item) or isinstance(item, Json | External) for item in options):
        return True
    report(
        diagnostic(
            "ORC202",
            f"`@{name}` is for {rule.belongs_to}, this is `{type_}`",
            constraint.span,
            help=_better(name, options),
        )
    )
    return False


def _meant(constraint: ast.Constraint) -> str | None:
    """The constraint that a mistyped one most likely is; only `@from` takes names."""
    name, args = constraint.name.text, constraint.args
    names = [dotted(expr) if key is None else None for key, expr in args]
    if names and None not in names and not FORMATS.keys() & set(names):
        return closest(name, ["from"])
    return closest(name, [known for known in CONSTRAINTS if known != "from" or not args])


def _better(name: str, options: tuple[Type, ...]) -> str | None:
    """Which constraint was meant, where another one says it for the type at hand."""
    if name in ("length", "min", "max") and any(_is_list(item) for item in options):
        return "use `@items` to bound how many items a list has"
    if name in ("items", "min", "max") and any(_is_text(item) for item in options):
        return "use `@length` to bound how long a string is"
    if name in ("length", "items") and any(_is_number(item) for item in options):
        return "use `@min` and `@max` to bound a number"
    return None


def _read(constraint: ast.Constraint, report: Report) -> dict[str, Any]:
    """The JSON Schema keywords of one constraint; what is wrong with its arguments is told."""
    reader = _Arguments(constraint, report)
    match constraint.name.text:
        case "min":
            return reader.one("minimum", reader.number)
        case "max":
            return reader.one("maximum", reader.number)
        case "length":
            return reader.range("minLength", "maxLength")
        case "items":
            return reader.range("minItems", "maxItems")
        case "pattern":
            return reader.one("pattern", reader.pattern)
        case "format":
            return reader.one("format", reader.format)
        case "max_bytes":
            return reader.one("x-max-bytes", reader.count)
        case "unique":
            return reader.none({"uniqueItems": True})
        case "from":
            reader.sources()
            return {}
    return reader.none({})


def sources_of(
    constraints: tuple[ast.Constraint, ...],
) -> tuple[tuple[SourceName, ...], Span] | tuple[None, None]:
    """What `@from` names, as far as it can be read, and where it is; None where there is none."""
    for constraint in constraints:
        if constraint.name.text == "from":
            reader = _Arguments(constraint, lambda _: None)
            return reader.sources(), constraint.span
    return None, None


class _Arguments:
    """The arguments of one constraint."""

    def __init__(self, constraint: ast.Constraint, report: Report) -> None:
        self.constraint = constraint
        self.name = constraint.name.text
        self.report = report

    def fail(self, message: str, node: ast.Node | None = None, code: str = "ORC202") -> None:
        span = self.constraint.span if node is None else node.span
        self.report(diagnostic(code, f"`@{self.name}` {message}", span))

    def none(self, keywords: dict[str, Any]) -> dict[str, Any]:
        if self.constraint.args:
            self.fail("takes no argument")
        return keywords

    def one(self, keyword: str, read: Callable[[ast.Expr], Any]) -> dict[str, Any]:
        args = self.constraint.args
        if len(args) != 1 or args[0][0] is not None:
            self.fail("takes one argument")
            return {}
        value = read(args[0][1])
        return {} if value is None else {keyword: value}

    def range(self, low: str, high: str) -> dict[str, Any]:
        """`(min: 1, max: 8)`, either alone, or `(1, 8)`."""
        args = self.constraint.args
        keys = [None if key is None else key.text for key, _ in args]
        if keys == [None, None]:
            keys = ["min", "max"]
        if not keys or len(set(keys)) != len(keys) or not set(keys) <= {"min", "max"}:
            self.fail("takes `(min, max)`, `(min: n)`, `(max: n)` or both")
            return {}
        found: dict[str, Any] = {}
        for key, (_, expr) in zip(keys, args, strict=True):
            value = self.count(expr)
            if value is not None:
                found[low if key == "min" else high] = value
        return found

    def sources(self) -> tuple[SourceName, ...]:
        """Names, with fields after them: `(request, contacts, mails.sender)`."""
        found: list[SourceName] = []
        if not self.constraint.args:
            self.fail("needs at least one source: `request`, `person` or a worker")
        for key, expr in self.constraint.args:
            name = dotted(expr)
            if key is not None or name is None:
                self.fail(
                    "takes `request`, `person` and names of workers, without quotes",
                    expr if key is None else key,
                )
            elif any(name == other.name for other in found):
                self.fail(f"names `{name}` twice", expr, "ORC205")
            else:
                found.append(SourceName(name, expr.span))
        return tuple(found)

    def value(self, expr: ast.Expr) -> Any:
        try:
            return constant(expr)
        except NotConstantError as error:
            self.fail("takes a constant", expr)
            del error
            return None

    def number(self, expr: ast.Expr) -> int | float | None:
        value = self.value(expr)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(f"takes a number, got {expr.span.text}", expr)
            return None
        return value

    def count(self, expr: ast.Expr) -> int | None:
        value = self.number(expr)
        if value is None:
            return None
        if not isinstance(value, int):
            self.fail(f"takes a whole number, got {expr.span.text}", expr)
            return None
        if value < 0:
            self.fail(f"cannot be negative, got {expr.span.text}", expr, "ORC205")
            return None
        return value

    def text(self, expr: ast.Expr) -> str | None:
        value = self.value(expr)
        if value is not None and not isinstance(value, str):
            self.fail(f"takes a string, got {expr.span.text}", expr)
            return None
        return value

    def pattern(self, expr: ast.Expr) -> str | None:
        value = self.text(expr)
        if value is None:
            return None
        # 30 ms to import; only a file with patterns pays for it here.
        import jsonschema_rs

        try:
            jsonschema_rs.Draft202012Validator({"pattern": value})
        except (ValueError, jsonschema_rs.ValidationError):
            self.fail(f"is not a regular expression: {expr.span.text}", expr, "ORC205")
            return None
        return value

    def format(self, expr: ast.Expr) -> str | None:
        value = self.text(expr)
        if value is None or value in FORMATS:
            return value
        near = closest(value, FORMATS)
        hint = f"; did you mean `{near}`?" if near else ""
        self.fail(f"knows no format `{value}`{hint}", expr)
        return None


def _check_possible(
    type_: Type,
    keywords: dict[str, Any],
    constraints: tuple[ast.Constraint, ...],
    report: Report,
) -> None:
    """Report ORC205 where a lower bound lies over its upper one; the bounds are then dropped."""
    for low, high in (
        ("minimum", "maximum"),
        ("minLength", "maxLength"),
        ("minItems", "maxItems"),
    ):
        if low not in keywords or high not in keywords:
            continue
        least, most = keywords[low], keywords[high]
        inner = strip(type_.item if isinstance(type_, Optional) else type_)
        whole = isinstance(inner, Scalar) and inner.name == "int"
        if least > most or (whole and math.ceil(least) > math.floor(most)):
            shown = " ".join(
                item.span.text
                for item in constraints
                if item.name.text in ("min", "max", "length", "items")
            )
            span = constraints[0].span.to(constraints[-1].span)
            report(diagnostic("ORC205", f"`{shown}` accepts nothing", span))
            del keywords[low], keywords[high]
