"""Filters: what they give where that is known, and what they need.

Functions from types to types, and tables; findings are made in `engine.sema.templates.typer`.
What is not known to give anything in particular is `json`.
"""

from __future__ import annotations

from typing import Any

from jinja2 import nodes

from engine.sema.templates.typing_rules import (
    STRING_FILTERS,
    Tuple,
    attribute_of,
    is_null,
    item_of,
    not_null,
    open_up,
    type_of_value,
)
from engine.sema.types.definitions import (
    ANY,
    FLOAT,
    INT,
    STRING,
    Array,
    Type,
    options_of,
    union_of,
)

__all__ = ["NEED_VALUE", "attribute_argument", "filter_type"]

_SAME_ITEMS = frozenset({"list", "reject", "rejectattr", "select", "selectattr", "sort", "unique"})
_ONE_ITEM = frozenset({"first", "last", "max", "min"})


#: Filters that make no sense of null.
NEED_VALUE = frozenset(
    {
        "abs",
        "batch",
        "count",
        "dictsort",
        "first",
        "groupby",
        "items",
        "join",
        "last",
        "length",
        "list",
        "map",
        "max",
        "min",
        "reject",
        "rejectattr",
        "reverse",
        "round",
        "select",
        "selectattr",
        "slice",
        "sort",
        "sum",
        "unique",
    }
)


def attribute_argument(node: nodes.Filter) -> nodes.Const | None:
    """The string that names a field in a filter's arguments, if there is one."""
    found: Any = None
    for keyword in node.kwargs:
        if keyword.key == "attribute":
            found = keyword.value
    place = {"selectattr": 0, "rejectattr": 0, "groupby": 0, "sum": 0, "join": 1}.get(node.name)
    if found is None and place is not None and len(node.args) > place:
        found = node.args[place]
    if isinstance(found, nodes.Const) and isinstance(found.value, str):
        return found
    return None


def filter_type(node: nodes.Filter, operand: Type) -> Type:
    """The type of `operand | name(...)`."""
    name: str = node.name
    if name in STRING_FILTERS:
        return STRING
    if name in ("count", "length", "wordcount", "int"):
        return INT
    if name in ("float", "round"):
        return FLOAT
    if name == "abs":
        return operand
    if name in ("default", "d"):
        return _default(node, operand)
    item = item_of(operand)
    if item is None:
        # A string is a list of letters; of a number nothing is known.
        item = STRING if any(str(option) == "string" for option in open_up(operand)) else ANY
        if name == "reverse":
            return operand
    if name in _SAME_ITEMS or name == "reverse":
        return Array(item)
    if name in _ONE_ITEM:
        return item
    if name in ("batch", "slice"):
        return Array(Array(item))
    if name in ("items", "dictsort"):
        return Array(Tuple((STRING, ANY)))
    if name == "groupby":
        return _group(node, item)
    if name == "map":
        return Array(_mapped(node, item))
    if name == "sum":
        return _sum(node, item)
    return ANY


def _argument(node: nodes.Filter, key: str, place: int | None = None) -> Any:
    """The constant given for an argument, or None."""
    for keyword in node.kwargs:
        if keyword.key == key:
            return keyword.value.value if isinstance(keyword.value, nodes.Const) else None
    if place is not None and len(node.args) > place:
        argument = node.args[place]
        return argument.value if isinstance(argument, nodes.Const) else None
    return None


def _default(node: nodes.Filter, operand: Type) -> Type:
    if not node.args:
        return union_of([not_null(operand), STRING])
    value = node.args[0]
    other = type_of_value(value.value) if isinstance(value, nodes.Const) else ANY
    if isinstance(value, nodes.List) and not value.items:
        return not_null(operand)
    if any(str(option) == str(other) for option in options_of(operand)):
        return not_null(operand)
    return union_of([not_null(operand), other])


def _path(item: Type, path: Any) -> Type:
    """The type at a dotted path of fields inside an item."""
    current = item
    for part in str(path).split("."):
        if part.isdigit():
            current = item_of(current) or ANY
            continue
        options = [option for option in open_up(current) if not is_null(option)]
        found = [attribute_of(option, part) for option in options]
        there = [type_ for type_ in found if type_ is not None]
        current = there[0] if len(there) == 1 else union_of(there)
    return current


def _mapped(node: nodes.Filter, item: Type) -> Type:
    attribute = _argument(node, "attribute")
    if attribute is not None:
        return _path(item, attribute)
    name = _argument(node, "", 0)
    if isinstance(name, str):
        if name in STRING_FILTERS:
            return STRING
        if name in ("count", "int", "length"):
            return INT
    return ANY


def _group(node: nodes.Filter, item: Type) -> Type:
    attribute = _argument(node, "attribute", 0)
    key = ANY if attribute is None else _path(item, attribute)
    return Array(Tuple((key, Array(item)), ("grouper", "list")))


def _sum(node: nodes.Filter, item: Type) -> Type:
    attribute = _argument(node, "attribute", 0)
    summed = item if attribute is None else _path(item, attribute)
    options = open_up(summed)
    if options and all(isinstance(option, Array) for option in options):
        return summed
    kinds = {str(option) for option in options}
    if kinds <= {"int"}:
        return INT
    return FLOAT if kinds <= {"int", "float"} else ANY
