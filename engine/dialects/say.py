"""A contract's schema rewritten into a dialect, or the reason why it cannot be.

What a dialect cannot check (lengths, bounds, patterns) is said in the description instead, for the
model reads it and the contract checks it. What it cannot express at all raises `Inexpressible`,
and the caller puts the schema into the prompt. The rewriting never admits less than the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.dialects.dialect import Dialect
from engine.dialects.problems import over_limits

__all__ = ["Inexpressible", "nullable", "say"]

#: Keywords that limit a value: each with how its limit reads in a description.
_LIMITS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "x-max-bytes": "at most {} bytes",
    "pattern": "matches {}",
    "format": "format {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "above {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "uniqueItems": "no item twice",
    "minProperties": "at least {} keys",
    "maxProperties": "at most {} keys",
}
#: Keywords that say nothing about which values are valid.
_ANNOTATIONS = frozenset(
    {
        "$comment",
        "$id",
        "$schema",
        "contentEncoding",
        "contentMediaType",
        "default",
        "deprecated",
        "description",
        "examples",
        "readOnly",
        "title",
        "writeOnly",
    }
)
_STRUCTURE = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "enum",
        "items",
        "oneOf",
        "properties",
        "required",
        "type",
    }
)
#: A schema grows by what is written out in place of references; past this it goes to the prompt.
_MAX_PLACES = 20_000


class Inexpressible(Exception):
    """A schema that the dialect cannot express.

    Attributes:
        place: Where, as the names of fields on the way joined by dots; "" for the whole.
        why: What cannot be said, as a noun phrase.
    """

    def __init__(self, path: tuple[str, ...], why: str) -> None:
        super().__init__(why)
        self.place = ".".join(path)
        self.why = why


def say(
    schema: Mapping[str, Any], dialect: Dialect, *, whole: bool = True, bare: bool = False
) -> dict[str, Any]:
    """Rewrite a self-contained schema into a dialect, its `$defs` at the root.

    Args:
        schema: The contract's schema; every `$ref` in it is `#/$defs/NAME`.
        dialect: What to say it in.
        whole: Whether it is sent by itself, so that the dialect's limits apply to it.
        bare: Whether to leave out descriptions and limits: the prompt tells them.

    Raises:
        Inexpressible: It cannot be said.
    """
    if not dialect.native:
        raise Inexpressible((), "a schema")
    writer = _Writer(schema, dialect, bare=bare)
    said = writer.write(schema, (), ())
    if writer.defs:
        said["$defs"] = writer.defs
    if whole:
        for words in over_limits(said, dialect):
            raise Inexpressible((), words)
    return said


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema, with null allowed."""
    if schema.get("type") == "null":
        return schema
    options = schema.get("anyOf")
    if options is None:
        return {"anyOf": [schema, {"type": "null"}]}
    if any(option.get("type") == "null" for option in options):
        return schema
    return {**schema, "anyOf": [*options, {"type": "null"}]}


def _without_null(said: dict[str, Any], schema: Any) -> dict[str, Any]:
    """A key that may be left out needs no null if leaving it out means null: a union less."""
    if (
        "anyOf" not in said
        or not isinstance(schema, Mapping)
        or schema.get("default", 0) is not None
    ):
        return said
    options = [option for option in said["anyOf"] if option.get("type") != "null"]
    rest = {key: value for key, value in said.items() if key != "anyOf"}
    return {**options[0], **rest} if len(options) == 1 else {**rest, "anyOf": options}


class _Writer:
    """One schema being rewritten; `defs` collects the definitions that references lead to."""

    def __init__(self, root: Mapping[str, Any], dialect: Dialect, *, bare: bool) -> None:
        self._root = root
        self._dialect = dialect
        self._bare = bare
        self._places = 0
        self.defs: dict[str, Any] = {}

    def write(self, schema: Any, path: tuple[str, ...], open_: tuple[str, ...]) -> dict[str, Any]:
        """Rewrite one place; `open_` are the definitions that are being written out around it."""
        self._places += 1
        if self._places > _MAX_PLACES:
            raise Inexpressible(path, "a schema that grows too large")
        if schema is True or schema == {}:
            return self._any(path)
        if not isinstance(schema, Mapping):
            raise Inexpressible(path, "a place that takes no value")
        if "$ref" in schema:
            return self._reference(schema, path, open_)
        unknown = schema.keys() - _STRUCTURE - _ANNOTATIONS - _LIMITS.keys()
        for key in sorted(key for key in unknown if not key.startswith("x-")):
            raise Inexpressible(path, f"the keyword `{key}`")
        said = self._body(schema, path, open_)
        self._describe(said, schema)
        return said

    def _any(self, path: tuple[str, ...]) -> dict[str, Any]:
        if self._dialect.any_value:
            return {}
        raise Inexpressible(path, "a place that takes any value")

    def _body(
        self, schema: Mapping[str, Any], path: tuple[str, ...], open_: tuple[str, ...]
    ) -> dict[str, Any]:
        options = schema.get("anyOf", schema.get("oneOf"))
        if options is not None:
            if schema.keys() & {"const", "enum", "items", "properties", "required"}:
                raise Inexpressible(path, "a union with other keywords next to it")
            return _union([self.write(option, path, open_) for option in options])
        if "const" in schema or "enum" in schema:
            return self._constants(schema.get("enum", [schema.get("const")]), path)
        kinds = schema.get("type")
        if isinstance(kinds, list):
            return _union([self._of_type(kind, schema, path, open_) for kind in kinds])
        if isinstance(kinds, str):
            return self._of_type(kinds, schema, path, open_)
        if "properties" in schema:
            return self._of_type("object", schema, path, open_)
        return self._any(path)

    def _of_type(
        self, kind: str, schema: Mapping[str, Any], path: tuple[str, ...], open_: tuple[str, ...]
    ) -> dict[str, Any]:
        if kind == "object":
            return self._object(schema, path, open_)
        said: dict[str, Any] = {"type": kind}
        if kind == "array":
            if "items" in schema:
                said["items"] = self.write(schema["items"], path, open_)
            elif not self._dialect.any_value:
                raise Inexpressible(path, "a list of any values")
        for key in () if self._bare else sorted(self._dialect.keywords & schema.keys()):
            if key != "format" or schema["format"] in self._dialect.formats:
                said[key] = schema[key]
        return said

    def _object(
        self, schema: Mapping[str, Any], path: tuple[str, ...], open_: tuple[str, ...]
    ) -> dict[str, Any]:
        rest = schema.get("additionalProperties", True)
        said: dict[str, Any] = {"type": "object"}
        if rest is not False and not self._dialect.open_objects:
            raise Inexpressible(path, "an object with keys that are not named")
        required = list(schema.get("required", ()))
        properties: dict[str, Any] = {}
        for name, inner in schema.get("properties", {}).items():
            written = self.write(inner, (*path, name), open_)
            if name not in required:
                nulls = self._dialect.optional == "nullable"
                written = nullable(written) if nulls else _without_null(written, inner)
            properties[name] = written
        if not set(required) <= properties.keys():
            raise Inexpressible(path, "a required key that is not described")
        said["properties"] = properties
        said["required"] = list(properties) if self._dialect.optional == "nullable" else required
        said["additionalProperties"] = (
            self.write(rest, path, open_) if isinstance(rest, Mapping) and rest else rest
        )
        return said

    def _constants(self, values: list[Any], path: tuple[str, ...]) -> dict[str, Any]:
        """An enumeration by types: several providers refuse one without a `type`."""
        groups: dict[str, list[Any]] = {}
        for value in values:
            groups.setdefault(_type_of(value, path), []).append(value)
        options: list[dict[str, Any]] = []
        for kind, members in groups.items():
            if kind == "null":
                options.append({"type": "null"})
            elif kind == "string" or self._dialect.mixed_enum:
                options.append({"type": kind, "enum": members})
            else:
                words = ", ".join(str(member).lower() for member in members)
                options.append({"type": kind, "description": f"one of {words}"})
        return _union(options)

    def _reference(
        self, schema: Mapping[str, Any], path: tuple[str, ...], open_: tuple[str, ...]
    ) -> dict[str, Any]:
        prefix, _, name = str(schema["$ref"]).rpartition("/")
        target = self._root.get("$defs", {}).get(name)
        if prefix != "#/$defs" or target is None:
            raise Inexpressible(path, f"the reference `{schema['$ref']}`")
        beside = schema.keys() - {"$ref", "$defs"} - _ANNOTATIONS
        if any(not key.startswith("x-") for key in beside):
            raise Inexpressible(path, "a reference with other keywords next to it")
        commented = "description" in schema and not self._bare and not self._holds_itself(name)
        if not self._dialect.refs or commented:
            if name in open_:
                raise Inexpressible(path, f"the type `{name}`, which holds itself")
            # A comment of its own needs a copy of its own: no provider takes both in one place.
            said = self.write(target, path, (*open_, name))
            if "description" in schema:
                self._describe(said, {**target, "description": schema["description"]})
            return said
        if name not in self.defs:
            self.defs[name] = {}
            self.defs[name] = self.write(target, path, open_)
        if not self._dialect.recursion and self._holds_itself(name):
            raise Inexpressible(path, f"the type `{name}`, which holds itself")
        return {"$ref": f"#/$defs/{name}"}

    def _holds_itself(self, name: str) -> bool:
        """Whether a definition leads back to itself."""
        seen: set[str] = set()
        todo = [name]
        while todo:
            for to in _references(self._root["$defs"].get(todo.pop(), {})):
                if to == name:
                    return True
                if to not in seen:
                    seen.add(to)
                    todo.append(to)
        return False

    def _describe(self, said: dict[str, Any], schema: Mapping[str, Any]) -> None:
        """Give a place the author's words, and those limits that the dialect leaves unchecked."""
        if self._bare:
            said.pop("description", None)
            return
        parts = [str(schema["description"]).strip()] if schema.get("description") else []
        limits = [
            "no item twice" if key == "uniqueItems" else words.format(schema[key])
            for key, words in _LIMITS.items()
            if schema.get(key) not in (None, False) and key not in said
        ]
        if limits:
            parts.append(f"({', '.join(limits)})")
        if "description" in said and not schema.get("description"):
            parts.insert(0, said["description"])
        if parts and "$ref" not in said:
            said["description"] = " ".join(parts)


def _references(schema: Any) -> set[str]:
    if isinstance(schema, Mapping):
        own = {str(schema["$ref"]).rpartition("/")[2]} if "$ref" in schema else set()
        return own.union(*map(_references, schema.values())) if schema else own
    if isinstance(schema, list):
        return set().union(*map(_references, schema))
    return set()


def _union(options: list[dict[str, Any]]) -> dict[str, Any]:
    """One place for several alternatives; a union inside a union is one."""
    flat: list[dict[str, Any]] = []
    for option in options:
        inner = option["anyOf"] if set(option) == {"anyOf"} else [option]
        flat += [one for one in inner if one not in flat]
    return flat[0] if len(flat) == 1 else {"anyOf": flat}


def _type_of(value: Any, path: tuple[str, ...]) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
    raise Inexpressible(path, "an enumeration of lists or objects")
