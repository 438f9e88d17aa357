"""The selection of an `each` or a `reduce`: its sources, its shapers, and what one value is.

A selection is read in the order in which the machine applies it, so each shaper sees the type that
the ones before it leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from engine.diagnostics import diagnostic
from engine.sema.declarations.plans.compiling import computed, leaf_of, test_of
from engine.sema.declarations.plans.names import VIEWS, Known, PlanNames
from engine.sema.declarations.plans.tests import check_test, proved
from engine.sema.declarations.plans.typing import (
    PlanTyper,
    kinds_of,
    length_of,
    may_be_null,
    most_number,
)
from engine.sema.expressions.compiler import NotConstantError, constant
from engine.sema.plans.counts import Count, least_of, plus, times
from engine.sema.plans.selection import Selection
from engine.sema.plans.values import Computed, FromInput, FromItem, FromStep, Index
from engine.sema.settings.bodies import Settings
from engine.sema.templates.typing_rules import not_null, open_up
from engine.sema.types.definitions import (
    ANY,
    INT,
    STRING,
    Array,
    External,
    Field,
    Json,
    Record,
    Type,
    union_of,
)
from engine.source import Span
from engine.syntax import ast

__all__ = ["SHAPERS", "Chosen", "read_selection"]

#: The settings that shape a selection, besides `each` and `reduce`.
SHAPERS = (
    "entries",
    "flatten",
    "where",
    "unique_by",
    "sort_by",
    "desc",
    "take",
)


@dataclass(eq=False)
class Chosen:
    """What a selection gives.

    Attributes:
        item: The type of one value.
        depth: How many whole numbers the number of a value has.
        least: How many values there are at the very least.
        most: How many there are at most.
        names: What an expression about one value sees.
        is_sound: Whether nothing was reported.
    """

    selection: Selection
    item: Type
    depth: int
    least: int
    most: Count
    names: PlanNames
    is_sound: bool


@dataclass(eq=False)
class _Source:
    leaf: FromStep | FromInput | Computed
    item: Type
    depth: int
    least: int
    most: Count


def read_selection(settings: Settings, head: str, names: PlanNames, typer: PlanTyper) -> Chosen:
    """Read the selection of a step.

    Args:
        head: `each` or `reduce`: the setting that names the sources.
    """
    entries = settings.get("entries")
    operands = _operands(settings.exprs[head])
    found = [_source(operand, head, entries, names, typer) for operand in operands]
    known = [source for source in found if source is not None]
    sound = len(known) == len(found)
    several = len(operands) > 1
    item = (
        union_of([source.item for source in known]) if several else known[0].item if known else ANY
    )
    if several and len({id(source.item) for source in known}) == 1:
        item = known[0].item
    chosen = Chosen(
        Selection(tuple(source.leaf for source in known), several, entries),
        item,
        max((source.depth for source in known), default=1) + several,
        sum(source.least for source in known),
        plus(*(source.most for source in known)) if sound else None,
        names,
        sound,
    )
    _flatten(settings, chosen, typer)
    chosen.names = _item_names(chosen)
    _where(settings, chosen, typer)
    _arrange(settings, chosen, names, typer)
    return chosen


# ---------------------------------------------------------------- sources


def _operands(expr: ast.Expr) -> list[ast.Expr]:
    """`a + b` as its sources."""
    if isinstance(expr, ast.Binary) and expr.operator == "+":
        return [*_operands(expr.left), *_operands(expr.right)]
    return [expr]


def _source(
    expr: ast.Expr, head: str, entries: bool, names: PlanNames, typer: PlanTyper
) -> _Source | None:
    type_ = typer.type_of(expr, names)
    if type_ is None:
        return None
    if may_be_null(type_) and not isinstance(expr, ast.Null):
        typer.null(expr, type_, f"what `{head}` selects from", names)
        return None
    inner = _entry_of(type_) if entries else _element_of(type_)
    if inner is None:
        _not_a_list(expr, type_, head, entries, typer)
        return None
    leaf = leaf_of(expr, names)
    if not isinstance(leaf, FromStep | FromInput):
        leaf = computed(expr, names, typer)
    least, most = _length(expr, type_, names, typer)
    depth = 1
    if isinstance(leaf, FromStep) and leaf.at == "" and names.steps[leaf.name].depth:
        depth = names.steps[leaf.name].depth
    return _Source(leaf, inner, depth, least, most)


def _length(expr: ast.Expr, type_: Type, names: PlanNames, typer: PlanTyper) -> tuple[int, Count]:
    """How many values a list has, as it is written, as a param is set, or as its type says."""
    if isinstance(expr, ast.ListExpr):
        return len(expr.items), len(expr.items)
    if isinstance(expr, ast.Conditional):
        return _longer((expr.then, expr.otherwise), names, typer)
    if isinstance(expr, ast.Binary) and expr.operator == "or":
        return _longer((expr.left, expr.right), names, typer)
    leaf = leaf_of(expr, names)
    if isinstance(leaf, FromStep) and leaf.at == "" and names.steps[leaf.name].depth:
        return 0, names.steps[leaf.name].most
    value = _param_value(expr, typer)
    if isinstance(value, list | dict):
        return len(value), len(value)
    return length_of(type_)


def _longer(
    sides: tuple[ast.Expr, ast.Expr], names: PlanNames, typer: PlanTyper
) -> tuple[int, Count]:
    """How many values there are in one of two lists, at least and at most."""
    found = [_length(side, typer.quiet(side, names), names, typer) for side in sides]
    known = [most for _, most in found if most is not None]
    most = max(known) if len(known) == len(found) else None
    return min(least for least, _ in found), most


def _element_of(type_: Type) -> Type | None:
    """The type of the values in a list; None if it is not one."""
    found: list[Type] = []
    for option in open_up(type_):
        if isinstance(option, Array):
            found.append(option.item)
        elif isinstance(option, Json) or (
            isinstance(option, External) and "array" in kinds_of(option)
        ):
            found.append(ANY)
    return (found[0] if len(found) == 1 else union_of(found)) if found else None


def _entry_of(type_: Type) -> Type | None:
    """The type of `{ key, value }` of a map; None if it is not one."""
    found: list[Type] = []
    for option in open_up(type_):
        if isinstance(option, Record):
            found.append(union_of([field.type for field in option.fields]))
        elif isinstance(option, Json) or (
            isinstance(option, External) and "object" in kinds_of(option)
        ):
            found.append(ANY)
    if not found:
        return None
    value = found[0] if len(found) == 1 else union_of(found)
    return Record(None, (Field("key", STRING), Field("value", value)))


def _not_a_list(expr: ast.Expr, type_: Type, head: str, entries: bool, typer: PlanTyper) -> None:
    wanted = "a map" if entries else "a list"
    help = None
    source = _reference_of(expr)
    if source is not None:
        help = f"a plan names its values: write `{head} = {source}`"
    elif not entries and _entry_of(type_) is not None:
        help = "add `entries = true` to select its keys and values, or name a list in it"
        lists = [
            field.name
            for option in open_up(type_)
            if isinstance(option, Record)
            for field in option.fields
            if _element_of(not_null(field.type)) is not None and not may_be_null(field.type)
        ]
        if lists:
            text = " ".join(expr.span.text.split())
            help = f"did you mean `{text}.{lists[0]}`?"
    elif entries and _element_of(type_) is not None:
        help = "remove `entries`, which is for maps"
    typer.report(
        diagnostic(
            "ORC221",
            f"`{head}` needs {wanted}, and this is `{type_}`",
            expr.span,
            help=help,
        )
    )


def _reference_of(expr: ast.Expr) -> str | None:
    """What `{ "$from": "files", "at": "/new" }` names, as a plan writes it: `files.new`."""
    entries = expr.entries if isinstance(expr, ast.MapExpr) else ()
    found = {
        entry.key.text: entry.value.value
        for entry in entries
        if isinstance(entry.value, ast.String)
    }
    if "$from" not in found:
        return None
    views = [f".{entry.key.text}" for entry in entries if entry.key.text in VIEWS]
    return found["$from"] + "".join(views) + found.get("at", "").replace("/", ".")


# ---------------------------------------------------------------- shapers


def _item_names(chosen: Chosen) -> PlanNames:
    index = INT if chosen.depth == 1 else STRING
    return chosen.names.seeing(item=Known(chosen.item, FromItem()), index=Known(index, Index()))


def _flatten(settings: Settings, chosen: Chosen, typer: PlanTyper) -> None:
    expr = settings.exprs.get("flatten")
    if expr is None or (isinstance(expr, ast.Boolean) and not expr.value):
        return
    names = _item_names(chosen)
    pointer = ""
    type_: Type | None = chosen.item
    if not isinstance(expr, ast.Boolean):
        type_ = typer.type_of(expr, names)
        leaf = leaf_of(expr, names)
        if type_ is not None and not isinstance(leaf, FromItem):
            typer.report(
                diagnostic(
                    "ORC202",
                    "`flatten` needs the path of a list in each value, or `true`",
                    expr.span,
                    help="write `flatten = item.NAME`",
                )
            )
            type_ = None
        pointer = leaf.at if isinstance(leaf, FromItem) else ""
    inner = None
    least, most = 0, None
    if type_ is not None and may_be_null(type_):
        typer.null(expr, type_, "what `flatten` opens", names)
    elif type_ is not None:
        inner = _element_of(type_)
        least, most = length_of(type_)
        if inner is None and chosen.is_sound:
            typer.report(
                diagnostic("ORC221", f"`flatten` needs a list, and this is `{type_}`", expr.span)
            )
    chosen.is_sound = chosen.is_sound and inner is not None
    chosen.item = ANY if inner is None else inner
    chosen.depth += 1
    chosen.least *= least
    chosen.most = times(chosen.most, most)
    chosen.selection = msgspec.structs.replace(chosen.selection, flatten=pointer)


def _where(settings: Settings, chosen: Chosen, typer: PlanTyper) -> None:
    expr = settings.exprs.get("where")
    if expr is None:
        return
    chosen.least = 0
    if not check_test(expr, chosen.names, typer, "where"):
        chosen.is_sound = False
        return
    test = test_of(expr, chosen.names, typer)
    chosen.selection = msgspec.structs.replace(chosen.selection, where=test)
    chosen.names = chosen.names.knowing(proved(expr, chosen.names))


def _arrange(settings: Settings, chosen: Chosen, outer: PlanNames, typer: PlanTyper) -> None:
    changes: dict[str, Any] = {"desc": settings.get("desc")}
    for name in ("unique_by", "sort_by"):
        if name in settings.exprs:
            changes[name] = _key(settings.exprs[name], name, chosen, typer)
            chosen.least = min(chosen.least, 1) if name == "unique_by" else chosen.least
    if settings.get("desc") and "sort_by" not in settings.written:
        typer.report(
            diagnostic(
                "ORC104",
                "`desc` needs `sort_by`",
                settings.spans["desc"],
                help="say what the values are sorted by: `sort_by = item.NAME`",
            )
        )
    if "take" in settings.exprs:
        changes["take"], most = _take(settings.exprs["take"], outer, typer)
        chosen.most = least_of(chosen.most, most)
        chosen.least = min(chosen.least, most or 0) if isinstance(changes["take"], int) else 0
    chosen.selection = msgspec.structs.replace(chosen.selection, **changes)


def _key(expr: ast.Expr, name: str, chosen: Chosen, typer: PlanTyper) -> str | Computed | None:
    type_ = typer.type_of(expr, chosen.names)
    if type_ is None:
        return None
    if name == "sort_by" and kinds_of(type_) <= {"array", "object", "null"}:
        typer.report(
            diagnostic(
                "ORC222",
                f"values cannot be sorted by `{type_}`",
                expr.span,
                help="sort by a number or a text in it",
            )
        )
    leaf = leaf_of(expr, chosen.names)
    return leaf.at if isinstance(leaf, FromItem) else computed(expr, chosen.names, typer)


def _take(expr: ast.Expr, names: PlanNames, typer: PlanTyper) -> tuple[Any, Count]:
    """What `take` is when the plan runs, and how many it is at most."""
    try:
        value = constant(expr)
    except NotConstantError:
        value = typer
    if value is not typer:
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value, value
        return _bad_take(expr.span, " ".join(expr.span.text.split()), typer)
    param = _param_value(expr, typer)
    if isinstance(param, int) and not isinstance(param, bool) and param >= 0:
        typer.type_of(expr, names)
        return param, param
    type_ = typer.type_of(expr, names)
    if type_ is None:
        return None, None
    if may_be_null(type_):
        typer.null(expr, type_, "`take`", names)
    elif not kinds_of(type_) & {"integer", "number"}:
        return _bad_take(expr.span, f"`{type_}`", typer)
    leaf = leaf_of(expr, names)
    most = _most_of(expr, names, typer)
    return computed(expr, names, typer) if leaf is None else leaf, most


def _most_of(expr: ast.Expr, names: PlanNames, typer: PlanTyper) -> Count:
    """The largest number that an expression can be; None where that is not known."""
    if isinstance(expr, ast.Conditional):
        sides = (expr.then, expr.otherwise)
    elif isinstance(expr, ast.Binary) and expr.operator == "or":
        sides = (expr.left, expr.right)
    else:
        value = _param_value(expr, typer)
        value = expr.value if isinstance(expr, ast.Number | ast.Quantity) else value
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        return most_number(typer.quiet(expr, names))
    known = [_most_of(side, names, typer) for side in sides]
    return None if None in known else max(most or 0 for most in known)


def _bad_take(span: Span, given: str, typer: PlanTyper) -> tuple[None, None]:
    typer.report(
        diagnostic("ORC202", f"`take` needs a whole number of 0 or more, got {given}", span)
    )
    return None, None


def _param_value(expr: ast.Expr, typer: PlanTyper) -> Any:
    """The value of `param.NAME`, as far as it is known; None for anything else."""
    if not (isinstance(expr, ast.Attribute) and isinstance(expr.object, ast.Variable)):
        return None
    known = typer.texts.values.get("param", {}) if expr.object.name == "param" else {}
    return known.get(expr.name)
