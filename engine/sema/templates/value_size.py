"""How long a value of a type can be when it is printed in a template.

What nothing bounds (a string without `@length`, `json`) counts as nothing, and a list without
`@items` as one item: the sizes are the most that the types promise, never more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.sema.expressions.environment import EvaluationError, json_text, text_of
from engine.sema.templates.typing_rules import Tuple, attribute_of, item_of, open_up
from engine.sema.types.definitions import (
    ANY,
    NULL,
    Array,
    Constant,
    Constrained,
    External,
    Json,
    Named,
    Optional,
    Record,
    Scalar,
    Type,
    Union,
)

__all__ = ["KnownValue", "Widths", "field_type", "item_type", "most_items", "printed_length"]

#: The longest a value of a scalar type is where nothing else bounds it.
_WIDTHS = {"bool": 5, "int": 20, "float": 24, "date": 10, "datetime": 20}

Limits = tuple[Mapping[str, Any], ...]


class KnownValue(Type, frozen=True, eq=False):
    """The type of a value that is known: a param's, a template's."""

    value: Any


def opened(type_: Type, limits: Limits = (), depth: int = 0) -> Iterator[tuple[Type, Limits]]:
    """The options of a type, names looked through, each with the constraints that hold for it."""
    if depth > 32:
        return
    depth += 1
    match type_:
        case Constrained():
            yield from opened(type_.item, (*limits, type_.keywords), depth)
        case Named():
            yield from opened(type_.definition.type, limits, depth)
        case Optional():
            yield NULL, ()
            yield from opened(type_.item, limits, depth)
        case Union():
            for option in type_.options:
                yield from opened(option, limits, depth)
        case External() if isinstance(type_.schema, Mapping):
            for option in open_up(type_):
                yield option, (*limits, type_.schema)
        case _:
            yield type_, limits


def _least(limits: Limits, *keywords: str) -> int | None:
    """The tightest of some upper bounds, or None."""
    known = [limit[k] for limit in limits for k in keywords if isinstance(limit.get(k), int)]
    return min(known) if known else None


class Widths:
    """Measures what values of a type print as, each record once."""

    def __init__(self) -> None:
        self._known: dict[Record, int] = {}

    def of(self, type_: Type, as_json: bool = False) -> int:
        """The most characters a value prints as; what nothing bounds counts as nothing.

        Args:
            as_json: Strings have their quotes; escapes are not counted.
        """
        return max(
            (self._option(option, limits, as_json) for option, limits in opened(type_)), default=0
        )

    def _option(self, type_: Type, limits: Limits, as_json: bool) -> int:
        quotes = 2 if as_json else 0
        match type_:
            case KnownValue() | Constant():
                return printed_length(type_.value, as_json=as_json)
            case Scalar() if type_.is_text:
                most = _least(limits, "maxLength", "x-max-bytes")
                return (_WIDTHS.get(type_.name, 0) if most is None else most) + quotes
            case Scalar():
                return _number(type_, limits)
            case Array():
                count = _least(limits, "maxItems")
                count = 1 if count is None else count
                size = 2 + count * self.of(type_.item, True) + max(count - 1, 0)
                return _capped(size, limits)
            case Tuple():
                return 2 + sum(self.of(item, True) + 1 for item in type_.items)
            case Record():
                return _capped(self._record(type_), limits)
            case Json():
                return _least(limits, "x-max-bytes") or 0
        return 0

    def _record(self, type_: Record) -> int:
        if type_ not in self._known:
            # Where a record holds itself, it may as well end.
            self._known[type_] = 0
            self._known[type_] = 1 + sum(
                len(field.name) + 4 + self.of(field.type, True) for field in type_.fields
            )  # `"name":value,`
        return self._known[type_]


def _capped(size: int, limits: Limits) -> int:
    most = _least(limits, "x-max-bytes")
    return size if most is None else min(size, most)


def _number(type_: Scalar, limits: Limits) -> int:
    """A number with both bounds is as long as the longer of them."""
    bounds = [limit[k] for limit in limits for k in ("minimum", "maximum") if k in limit]
    if type_.name == "int" and len(bounds) > 1:
        return max(len(str(bound)) for bound in bounds)
    return _WIDTHS.get(type_.name, 0)


def printed_length(value: Any, *, as_json: bool = False) -> int:
    """How many characters a known value prints as."""
    try:
        return len(json_text(value) if as_json else text_of(value))
    except EvaluationError:
        return 0


def most_items(type_: Type) -> int:
    """How often a loop over a value runs at most; once where nothing bounds a list."""
    found = 0
    for option, limits in opened(type_):
        match option:
            case Array():
                most = _least(limits, "maxItems")
                # Items that share a number of bytes cannot all be at their longest.
                shared = _least(limits, "x-max-bytes") is not None
                found = max(found, 1 if most is None or shared else most)
            case Tuple():
                found = max(found, len(option.items))
            case Record():
                found = max(found, len(option.fields))
            case KnownValue() if isinstance(option.value, list | tuple | Mapping):
                found = max(found, len(option.value))
    return found


def item_type(type_: Type) -> Type:
    """What a loop over a value gives, constraints kept."""
    found: list[Type] = []
    for option, _ in opened(type_):
        if isinstance(option, KnownValue):
            items = list(option.value) if isinstance(option.value, list | tuple | Mapping) else []
            found.extend(KnownValue(item) for item in items)
        else:
            item = item_of(option)
            found.extend([] if item is None else [item])
    return _any_of(found)


def field_type(type_: Type, name: str) -> Type:
    """The type of `value.name`, constraints kept; `json` if it is not known."""
    found: list[Type] = []
    for option, _ in opened(type_):
        if isinstance(option, KnownValue):
            if isinstance(option.value, Mapping) and name in option.value:
                found.append(KnownValue(option.value[name]))
        else:
            there = attribute_of(option, name)
            found.extend([] if there is None or there is ANY else [there])
    return _any_of(found)


def _any_of(types: list[Type]) -> Type:
    if not types:
        return ANY
    return types[0] if len(types) == 1 else Union(tuple(types))
