"""The types of expressions in a plan, and whether a value fits where it goes.

`PlanTyper` reports what is wrong with an expression at its place, in the words of plans: a name may
be a step that comes later, and what may be null is an error here. `lenient` questions (which kinds
of values a type has, how long a list may be) report nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.sema.declarations.plans.names import PlanNames, escaped
from engine.sema.declarations.prompts import Texts
from engine.sema.declarations.written_values import parts_of, wrong_constants
from engine.sema.expressions.compiler import is_constant
from engine.sema.names.scope import Scope
from engine.sema.plans.conditions import End
from engine.sema.plans.counts import Count
from engine.sema.templates.check_template import check_expression
from engine.sema.templates.typing_rules import is_null, not_null, open_up
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import ANY, Type
from engine.sema.types.json_schema import (
    follow,
    json_types,
    map_subschemas,
    may_fit,
    schema_of,
    subschema_at,
)
from engine.source import Span
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = [
    "PlanTyper",
    "ended_test",
    "kinds_of",
    "length_of",
    "may_be_null",
    "most_number",
    "rewritten",
    "schema_for",
]

_KINDS = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


class PlanTyper:
    """Types the expressions of one plan; see the module's docstring."""

    def __init__(self, scope: Scope, texts: Texts) -> None:
        self.texts = texts
        self._scope = scope
        self._reads: list[set[str]] = []

    def report(self, found: Diagnostic) -> None:
        """Add a finding."""
        self._scope.diagnostics.append(found)

    # ------------------------------------------------------------ types

    def type_of(self, expr: ast.Expr, names: PlanNames) -> Type | None:
        """The type of an expression; None if it has a fault (reported)."""
        before = len(self._scope.diagnostics)
        self._note_steps(expr, names)
        plain = rewritten(expr, lambda node: _without_ended(node, names))

        def change(found: Diagnostic) -> Diagnostic:
            return _in_plan(found, names)

        type_ = self.texts.planned_type(plain, names.types(), names.facts, change)
        errors = self._scope.diagnostics[before:]
        return None if any(found.severity == "error" for found in errors) else type_

    def quiet(self, expr: ast.Expr, names: PlanNames) -> Type:
        """The same where what is wrong has been reported already."""
        plain = rewritten(expr, lambda node: _without_ended(node, names))
        scope = {**self.texts.types, **names.types()}
        return check_expression(plain, scope, lambda _: None, known=names.facts)

    def reading(self) -> Callable[[], frozenset[str]]:
        """Begin to note the steps that expressions read; the result ends it and gives them."""
        noted: set[str] = set()
        self._reads.append(noted)

        def end() -> frozenset[str]:
            self._reads = [other for other in self._reads if other is not noted]
            return frozenset(noted)

        return end

    def read_step(self, name: str, span: Span, names: PlanNames) -> None:
        """Note that a step is read at a place."""
        step = names.steps[name]
        step.uses += 1
        for noted in self._reads:
            noted.add(name)
        if self._scope.observer is not None:
            self._scope.observer.step(span, step.span, step.type)

    def _note_steps(self, expr: ast.Expr, names: PlanNames) -> None:
        for node in walk(expr):
            if not isinstance(node, ast.Variable):
                continue
            if node.name in names.extra:
                for noted in self._reads:
                    noted.add(node.name)
            elif node.name in names.steps:
                self.read_step(node.name, node.span, names)

    # ------------------------------------------------------------ where a value goes

    def fits(self, expr: ast.Expr, found: Type, wanted: Type, what: str, names: PlanNames) -> bool:
        """Whether a value fits where it goes; reports it if not.

        Args:
            what: What takes it, for messages: "`path` of `review`".
        """
        schema = Contract(wanted).schema
        wrong = list(wrong_constants(expr, schema))
        for problem, span in wrong:
            self.report(diagnostic("ORC202", f"this does not fit {what}: {problem}", span))
        if wrong or is_constant(expr):
            return not wrong
        if self._null_inside(expr, schema, what, names):
            return False
        null = may_be_null(found)
        if null and "null" not in json_types(schema, schema):
            self.null(expr, found, what, names)
            return False
        given = not_null(found) if null else found
        if may_fit(_with_items(schema_for(given)), schema):
            return True
        self.report(
            diagnostic(
                "ORC202",
                f"this is `{found}`, but {what} is `{wanted}`",
                expr.span,
                help="the types have no value in common",
            )
        )
        return False

    def _null_inside(
        self, expr: ast.Expr, schema: Mapping[str, Any], what: str, names: PlanNames
    ) -> bool:
        """Whether a part of a list or map as written may be null where it may not (reported)."""
        wrong = False
        for key, part in parts_of(expr):
            inner = subschema_at(schema, f"/{escaped(key)}")
            if not isinstance(inner, Mapping):
                continue
            type_ = self.quiet(part, names)
            if may_be_null(type_) and "null" not in json_types(inner, inner):
                self.null(part, type_, f"this part of {what}", names)
                wrong = True
            else:
                wrong |= self._null_inside(part, inner, what, names)
        return wrong

    def null(self, expr: ast.Expr, found: Type, what: str, names: PlanNames) -> None:
        """ORC220: a value may be null that must not be."""
        text = " ".join(expr.span.text.split())
        shown = f"`{text}`" if len(text) < 40 else "this"
        related: tuple[Related, ...] = ()
        step = names.steps.get(text)
        if step is not None:
            related = (Related("this step may be skipped", step.span),)
        self.report(
            diagnostic(
                "ORC220",
                f"{shown} may be null (`{found}`), and {what} may not",
                expr.span,
                help=_without_null(text if isinstance(expr, ast.Variable | ast.Attribute) else ""),
                related=related,
            )
        )


def _in_plan(found: Diagnostic, names: PlanNames) -> Diagnostic:
    """A finding of an expression in the words of plans."""
    name = found.span.text
    if found.code == "ORC303" and name in names.later:
        return diagnostic(
            "ORC710",
            f"`{name}` is not known yet here: a step reads earlier steps only",
            found.span,
            help="move this step below it",
            related=(Related("the step", names.later[name]),),
        )
    if found.code == "ORC303" and name in names.inside:
        outer = names.inside[name]
        return diagnostic(
            "ORC712",
            f"`{name}` is a step inside `{outer}`, which is not seen here",
            found.span,
            help=f"read what it gives: `{outer}`",
        )
    if found.code == "ORC303" and name in ("item", "index", "parts", "last"):
        where = {
            "item": "there is an item in a step with `each` or `reduce` only",
            "index": "there is an index in a step with `each` or `reduce` only",
            "parts": "there are parts in the `call` of a `reduce` only",
            "last": "there is a last pass inside a `repeat` only",
        }
        return msgspec.structs.replace(found, help=where[name], fix=None)
    if found.code == "ORC305":
        path = found.message.removesuffix(" may be null here")
        help = _without_null(path.strip("`") if path.startswith("`") else "")
        return diagnostic("ORC220", found.message, found.span, help=help)
    return found


def _without_null(path: str) -> str:
    """What helps where a path may be null; "" for what is not a path."""
    if not path:
        return "give a value for that case: `... or ...`"
    setting = "where" if path.partition(".")[0] == "item" else "when"
    return (
        f"add `{setting} = {path} is not none` to the step, or give another value for that case: "
        f"`{path} or ...`"
    )


# ---------------------------------------------------------------- trees


def rewritten(node: Any, change: Callable[[ast.Node], ast.Node | None]) -> Any:
    """A tree in which `change` has replaced nodes (None keeps one and goes below it)."""
    if isinstance(node, tuple):
        items = tuple(rewritten(item, change) for item in node)
        same = all(new is old for new, old in zip(items, node, strict=True))
        return node if same else items
    if not isinstance(node, ast.Node):
        return node
    other = change(node)
    if other is not None:
        return other
    changed: dict[str, Any] = {}
    for name in node.__struct_fields__:
        value = getattr(node, name)
        if isinstance(value, ast.Node | tuple):
            new = rewritten(value, change)
            if new is not value:
                changed[name] = new
    return msgspec.structs.replace(node, **changed) if changed else node


def ended_test(node: ast.Node, names: PlanNames) -> tuple[str, End, bool] | None:
    """The step of `s is ok` or `s is failed`, the end it asks for, and whether it must be so."""
    if (
        isinstance(node, ast.TestCall)
        and node.name.text in ("ok", "failed")
        and not node.args
        and isinstance(node.operand, ast.Variable)
        and node.operand.name in names.steps
    ):
        return node.operand.name, "ok" if node.name.text == "ok" else "failed", not node.negated
    return None


def _without_ended(node: ast.Node, names: PlanNames) -> ast.Node | None:
    """How a step ended is a bool, which the language's own tests do not know.

    The test of a name that is not a step of this place is the name alone: that is what is wrong.
    """
    if ended_test(node, names) is not None:
        return ast.Boolean(node.span, True)
    if (
        isinstance(node, ast.TestCall)
        and node.name.text in ("ok", "failed")
        and isinstance(node.operand, ast.Variable)
        and not names.has(node.operand.name)
    ):
        return node.operand
    return None


# ---------------------------------------------------------------- what types say


def schema_for(type_: Type) -> dict[str, Any]:
    """The JSON Schema of a type; `{}` for one that no contract has."""
    try:
        return schema_of(type_)
    except TypeError:
        return {}


def kinds_of(type_: Type) -> frozenset[str]:
    """The JSON types that values of a type may have; integers are numbers too."""
    if type_ is ANY:
        return _KINDS
    schema = schema_for(type_)
    return json_types(schema, schema)


def may_be_null(type_: Type) -> bool:
    """Whether null is one of the values that a type names; not for `json`."""
    options = open_up(type_)
    return any(is_null(option) for option in options)


def _with_items(schema: Any) -> Any:
    """The schema where each list has an item: a list that fits only while empty does not fit."""
    result = map_subschemas(schema, _with_items)
    if isinstance(result, Mapping) and result.get("items") == {"anyOf": []}:
        return {"type": "array"}  # `[]` fits every list
    if isinstance(result, Mapping) and result.get("type") == "array":
        return {**result, "minItems": max(1, result.get("minItems", 0))}
    return result


def length_of(type_: Type) -> tuple[int, Count]:
    """How many values a list or map of a type has: at least, and at most."""
    schema = schema_for(type_)
    return _length(schema, schema, 0)


def _length(root: Any, schema: Any, depth: int) -> tuple[int, Count]:
    if not isinstance(schema, Mapping) or depth > 16:
        return 0, None
    if "$ref" in schema:
        return _length(root, follow(root, schema["$ref"]), depth + 1)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            found = [_length(root, branch, depth + 1) for branch in schema[key]]
            most = [most for _, most in found]
            return min(least for least, _ in found), None if None in most else max(
                m or 0 for m in most
            )
    kinds = json_types(root, schema)
    if kinds <= {"null", "boolean", "integer", "number", "string"}:
        return 0, 0
    if kinds == {"array"}:
        return _whole(schema.get("minItems")) or 0, _whole(schema.get("maxItems"))
    most_keys = _whole(schema.get("maxProperties"))
    if schema.get("additionalProperties") is False and not schema.get("patternProperties"):
        most_keys = len(schema.get("properties", {}))
    least = len(schema.get("required", ())) if kinds == {"object"} else 0
    return least, most_keys if kinds == {"object"} else None


def _whole(value: Any) -> Count:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def most_number(type_: Type) -> Count:
    """The largest value of a whole number's type; None if it says nothing."""
    schema = schema_for(not_null(type_))
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list) and values:
        known = [value for value in map(_whole, values) if value is not None]
        return max(known) if len(known) == len(values) else None
    return _whole(schema.get("maximum"))
