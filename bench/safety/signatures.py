"""The types of the package's functions as types of the language, and their values as JSON.

A model of pydantic becomes a schema, a dict with text keys a list of `{key, value}` (so that its
keys have a place of their own), a time without a zone one in UTC. Which fields strangers fill in is
not known from a signature: `bench.safety.declared` says it. Nothing here knows a suite.
"""

from __future__ import annotations

import datetime
import enum
import inspect
import json
import types
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.networks import EmailStr

_SCALARS: dict[Any, str] = {
    str: "string",
    int: "int",
    float: "float",
    bool: "bool",
    EmailStr: "email",
    datetime.datetime: "datetime",
    datetime.date: "date",
    type(None): "null",
    Any: "json",
    dict: "json",
    inspect.Parameter.empty: "json",
}


class Schemas:
    """The schemas that types turn into, in the order in which they are met.

    Args:
        untrusted: The fields that hold strangers' text, by the name of their model.
        narrower: Types of fields that their annotations do not say, by `Model.field`.
    """

    def __init__(
        self, untrusted: Mapping[str, tuple[str, ...]], narrower: Mapping[str, str]
    ) -> None:
        self._untrusted = untrusted
        self._narrower = narrower
        self._texts: dict[str, str] = {}

    @property
    def text(self) -> str:
        return "\n".join(self._texts.values())

    def type_of(self, annotation: Any, *, untrusted: bool = False) -> str:
        """An annotation as a type of the language.

        Args:
            untrusted: Whether the values of a dict are strangers' text.
        """
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated:
            return self.type_of(arguments[0], untrusted=untrusted)
        if origin in (typing.Union, types.UnionType):
            return self._union(arguments)
        if origin is list or annotation is list:
            inner = self.type_of(arguments[0]) if arguments else "json"
            return f"({inner})[]" if "|" in inner else f"{inner}[]"
        if origin is dict and arguments[0] in (str, EmailStr):
            mark = " @untrusted" if untrusted else ""
            key, value = (self.type_of(one) for one in arguments)
            return f"{{ key: {key}, value: {value}{mark} }}[]"
        if inspect.isclass(annotation) and issubclass(annotation, enum.Enum):
            return " | ".join(json.dumps(member.value) for member in annotation)
        if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
            return self._record(annotation)
        return _SCALARS.get(annotation, "json")

    def _union(self, arguments: tuple[Any, ...]) -> str:
        kinds = [self.type_of(one) for one in arguments if one is not type(None)]
        # Text of some format is text as well.
        kinds = [kind for kind in kinds if not (kind == "email" and "string" in kinds)]
        text = " | ".join(kinds)
        if type(None) not in arguments:
            return text
        return f"({text})?" if "|" in text else f"{text}?"

    def _record(self, model: type[BaseModel]) -> str:
        name = model.__name__
        if name not in self._texts:
            self._texts[name] = ""  # before its fields, which may hold it again
            marked = self._untrusted.get(name, ())
            lines = []
            for field, of in model.model_fields.items():
                kind = self._narrower.get(f"{name}.{field}") or self.type_of(of.annotation)
                lines.append(f"  {field}: {kind}{' @untrusted' if field in marked else ''}")
            self._texts[name] = f"schema {name} {{\n" + "\n".join(lines) + "\n}\n"
        return name


def as_json(value: Any) -> Any:
    """What a function of the package gave, as JSON that fits the type of its annotation."""
    if isinstance(value, BaseModel):
        return {name: as_json(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=datetime.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, dict):
        return [{"key": key, "value": as_json(inner)} for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    return value
