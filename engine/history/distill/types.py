"""Types as text: of the inputs and the output of a plan that is written from a run."""

from __future__ import annotations

import json
from typing import Any

from engine.sema.plans.orch_form import value_text
from engine.sema.types.definitions import (
    Array,
    Constant,
    Constrained,
    External,
    Field,
    Named,
    Optional,
    Record,
    Scalar,
    Type,
    Union,
    options_of,
    strip,
)

__all__ = ["Types", "is_choice", "type_at", "type_of_value"]


class Types:
    """Writes types as a file sees them.

    A worker may be imported and the schemas of its contract not. Such a schema has no name in the
    file, and is written out; one that contains itself, or is a JSON Schema from a file, is `json`.

    Args:
        aliases: The names that the file gives to modules: `lib` of `import "lib.orch" as lib`.
    """

    def __init__(self, aliases: frozenset[str] = frozenset()) -> None:
        self._aliases = aliases

    def text(self, type_: Type) -> str:
        """A type as it is written, with the constraints of its whole value."""
        if isinstance(type_, Constrained):
            return self._plain(type_.item, ()) + _constraints(type_)
        if isinstance(type_, Optional) and isinstance(type_.item, Constrained):
            return self._grouped(type_.item.item, (), "?") + _constraints(type_.item)
        return self._plain(type_, ())

    def list_text(self, type_: Type) -> str:
        """Lists of values of a type, as it is written."""
        return self._grouped(type_, (), "[]")

    def field_text(self, field: Field) -> str:
        """An input as it is written, with its default."""
        text = self.text(field.type)
        if field.untrusted and "@untrusted" not in text:
            text += " @untrusted"
        if not field.required and field.default is not None and isinstance(field.default, _JSON):
            text += f" = {value_text(field.default)}"
        return f"{field.name}: {text}"

    def _plain(self, type_: Type, within: tuple[str, ...]) -> str:
        match type_:
            case Constrained():
                return self._plain(type_.item, within)
            case Array():
                return self._grouped(type_.item, within, "[]")
            case Optional():
                return self._grouped(type_.item, within, "?")
            case Union():
                return " | ".join(self._plain(option, within) for option in type_.options)
            case Record(name=None):
                return self._fields(type_, within)
            case Record() | External() if not self._is_seen(type_.name or ""):
                return self._written_out(type_, type_.name or "", within)
            case Named() if not self._is_seen(type_.definition.name):
                return self._written_out(type_.definition.type, type_.definition.name, within)
        return str(type_)

    def _grouped(self, type_: Type, within: tuple[str, ...], after: str) -> str:
        text = self._plain(type_, within)
        several = " | " in text and not text.startswith("{")
        return f"({text}){after}" if several else text + after

    def _is_seen(self, name: str) -> bool:
        return "." not in name or name.partition(".")[0] in self._aliases

    def _written_out(self, type_: Type, name: str, within: tuple[str, ...]) -> str:
        if name in within or isinstance(type_, External):
            return "json"
        if isinstance(type_, Record):
            return self._fields(type_, (*within, name))
        return self._plain(type_, (*within, name))

    def _fields(self, record: Record, within: tuple[str, ...]) -> str:
        fields = ", ".join(f"{one.name}: {self._plain(one.type, within)}" for one in record.fields)
        return f"{{ {fields} }}" if fields else "json"


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
