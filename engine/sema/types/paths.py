"""What a path of field names leads to in a type, through lists, optional values and unions.

A `json` value or a schema from a file may have any field: what is there is `json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.sema.types.definitions import (
    ANY,
    Array,
    Constant,
    External,
    Field,
    Json,
    Record,
    Scalar,
    Type,
    options_of,
)

__all__ = [
    "fields_at",
    "first_unknown",
    "is_open",
    "is_recursive",
    "leaf_kinds",
    "literals_in",
    "may_be_equal",
    "types_at",
]


def types_at(type_: Type, path: Sequence[str]) -> list[Type]:
    """The types that a path may lead to; empty where it leads nowhere.

    Args:
        path: Names of fields, from the outside in; `*` is each item of a list. Lists on the way
            are gone through without it too.
    """
    if not path:
        return [type_]
    found: list[Type] = []
    for option in options_of(type_):
        if isinstance(option, Array):
            found += types_at(option.item, path[1:] if path[0] == "*" else path)
        elif isinstance(option, Record):
            field = option.field(path[0])
            found += [] if field is None else types_at(field.type, path[1:])
        elif isinstance(option, Json | External):
            found.append(ANY)
    return found


def fields_at(fields: Sequence[Field], path: Sequence[str]) -> Iterator[Field]:
    """The fields that a path ends with; several where a union has more than one."""
    for field in fields:
        if field.name != path[0]:
            continue
        if len(path) == 1:
            yield field
        else:
            yield from _fields_in(field.type, path[1:])


def _fields_in(type_: Type, path: Sequence[str]) -> Iterator[Field]:
    for option in options_of(type_):
        if isinstance(option, Array):
            yield from _fields_in(option.item, path[1:] if path[0] == "*" else path)
        elif isinstance(option, Record):
            yield from fields_at(option.fields, path)


def first_unknown(type_: Type, path: Sequence[str]) -> int | None:
    """The place of the first name in a path that leads nowhere; None if there is none."""
    for length in range(1, len(path) + 1):
        if not types_at(type_, path[:length]):
            return length - 1
    return None


def is_recursive(type_: Type) -> bool:
    """Whether values of a type may hold values of a part of it again, to any depth."""
    return _holds_itself(type_, frozenset(), set())


def _holds_itself(type_: Type, inside: frozenset[int], clear: set[int]) -> bool:
    for option in options_of(type_):
        if id(option) in inside:
            return True
        parts: list[Type] = []
        if isinstance(option, Array):
            parts = [option.item]
        elif isinstance(option, Record) and id(option) not in clear:
            parts = [field.type for field in option.fields]
        if any(_holds_itself(part, inside | {id(option)}, clear) for part in parts):
            return True
        clear.add(id(option))
    return False


def is_open(type_: Type) -> bool:
    """Whether values may have fields that no declaration names."""
    return any(isinstance(option, Json | External) for option in _options_inside(type_))


def leaf_kinds(type_: Type) -> frozenset[str]:
    """What the leaf values of a type may be: `text`, `number`, `bool`, `null`, or `any`."""
    found: set[str] = set()
    for option in _options_inside(type_):
        if isinstance(option, Constant):
            found.add(_kind_of(option.value))
        elif isinstance(option, Scalar):
            found.add("text" if option.is_text else _SCALARS.get(option.name, "any"))
        elif not isinstance(option, Array | Record):
            found.add("any")
    return frozenset(found)


def literals_in(type_: Type) -> frozenset[str | int | float]:
    """The strings and numbers that are options of literal unions anywhere in a type."""
    return frozenset(
        option.value
        for option in _options_inside(type_)
        if isinstance(option, Constant) and not isinstance(option.value, bool | None)
    )


def _options_inside(type_: Type) -> Iterator[Type]:
    """The options of a type and of all that is in it, each once."""
    seen: set[int] = set()
    todo = [type_]
    while todo:
        for option in options_of(todo.pop()):
            if id(option) in seen:
                continue
            seen.add(id(option))
            yield option
            if isinstance(option, Array):
                todo.append(option.item)
            elif isinstance(option, Record):
                todo += [field.type for field in option.fields]


def may_be_equal(one: Type, other: Type) -> bool:
    """Whether leaf values of two types may be equal; a text may be a number, and the other way."""
    first, second = leaf_kinds(one), leaf_kinds(other)
    if "any" in first | second:
        return True
    written = frozenset({"text", "number"})
    return bool(first & second - {"null"}) or bool(first & written and second & written)


_SCALARS = {"int": "number", "float": "number", "bool": "bool"}


def _kind_of(value: str | float | bool | None) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "bool"
    return "text" if isinstance(value, str) else "number"
