"""Types as text: of the inputs and the output of a plan that is written from a run."""

from __future__ import annotations

import json
from typing import Any

from engine.sema.plans.orch_form import value_text
from engine.sema.types.definitions import (
    Array,
    Constant,
    Constrained,
    Field,
    Optional,
    Record,
    Scalar,
    Type,
    Union,
    options_of,
    strip,
)

__all__ = ["field_text", "is_choice", "type_at", "type_of_value", "type_text"]


def type_text(type_: Type) -> str:
    """A type as it is written, with the constraints of its whole value."""
    if isinstance(type_, Constrained):
        return type_text(type_.item) + _constraints(type_)
    if isinstance(type_, Optional) and isinstance(type_.item, Constrained):
        return f"{_grouped(type_.item.item)}?{_constraints(type_.item)}"
    if isinstance(type_, Optional):
        return f"{_grouped(type_.item)}?"
    return str(type_)


def _grouped(type_: Type) -> str:
    text = str(type_)
    return f"({text})" if isinstance(type_, Union) else text


def _constraints(type_: Constrained) -> str:
    keywords = type_.keywords
    found = []
    for name, low, high in (
        ("length", "minLength", "maxLength"),
        ("items", "minItems", "maxItems"),
    ):
        given = []
        if low in keywords:
            given.append(f"min: {keywords[low]}")
        if high in keywords:
            given.append(f"max: {keywords[high]}")
        if given:
            found.append(f"@{name}({', '.join(given)})")
    for name, keyword in (("min", "minimum"), ("max", "maximum")):
        if keyword in keywords:
            found.append(f"@{name}({value_text(keywords[keyword])})")
    if "pattern" in keywords:
        found.append(f"@pattern({json.dumps(keywords['pattern'], ensure_ascii=False)})")
    if "format" in keywords:
        found.append(f"@format({json.dumps(keywords['format'])})")
    if keywords.get("uniqueItems"):
        found.append("@unique")
    if type_.untrusted:
        found.append("@untrusted")
    return "".join(f" {one}" for one in found)


def field_text(field: Field) -> str:
    """An input as it is written, with its default."""
    marked = " @untrusted" if field.untrusted else ""
    text = type_text(field.type)
    text += marked if marked.strip() not in text else ""
    if not field.required and field.default is not None and isinstance(field.default, _JSON):
        text += f" = {value_text(field.default)}"
    return f"{field.name}: {text}"


_JSON = (str, int, float, bool, list, dict)


def is_choice(type_: Type | None) -> bool:
    """Whether a type names its values one by one, as `"low" | "high"` and `bool` do."""
    if type_ is None:
        return False
    return all(
        isinstance(option, Constant) or (isinstance(option, Scalar) and option.name == "bool")
        for option in options_of(type_)
    )


def type_at(type_: Type | None, token: str) -> Type | None:
    """The type of a part of a value, as far as its type says."""
    for option in () if type_ is None else options_of(type_):
        option = strip(option)
        if isinstance(option, Record):
            field = option.field(token)
            if field is not None:
                return field.type
        if isinstance(option, Array) and token.isdecimal():
            return option.item
    return None


def type_of_value(value: Any) -> str:
    """A type that a value has, for what no type says."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "int" if isinstance(value, int) else "float"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        kinds = {type_of_value(item) for item in value}
        return f"{kinds.pop()}[]" if len(kinds) == 1 else "json[]"
    return "json"
