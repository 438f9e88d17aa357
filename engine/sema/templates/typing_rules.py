"""How types flow through expressions: fields, items, filters.

Functions from types to types; nothing here reports or knows positions. None as a result means
"there is no such thing", which the checker turns into a finding; `json` means "anything goes".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.sema.types.definitions import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    NULL,
    STRING,
    Array,
    Constant,
    External,
    Field,
    Json,
    Record,
    Scalar,
    StepOutputs,
    Type,
    options_of,
    union_of,
)
from engine.sema.types.json_schema import follow, json_types, subschema_at

__all__ = [
    "STRING_FILTERS",
    "TEXT_FILTERS",
    "Module",
    "Tuple",
    "attribute_of",
    "field_names",
    "is_null",
    "is_structured",
    "item_of",
    "loop_type",
    "method_of",
    "not_null",
    "open_up",
    "type_of_value",
]


class Tuple(Type, frozen=True, eq=False):
    """A tuple made by a filter or `.items()`; `names` are its attributes, if it has any."""

    items: tuple[Type, ...]
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "a pair" if len(self.items) == 2 else "a tuple"


class Module(Type, frozen=True, eq=False):
    """What `{% import "x" as m %}` gives."""

    name: str
    exports: Mapping[str, Type]

    def __str__(self) -> str:
        return self.name


_KINDS: dict[str, Type] = {
    "null": NULL,
    "boolean": BOOL,
    "integer": INT,
    "number": FLOAT,
    "string": STRING,
}

#: Filters that give a string whatever they are given.
STRING_FILTERS = frozenset(
    [
        "capitalize",
        "center",
        "e",
        "escape",
        "filesizeformat",
        "format",
        "indent",
        "join",
        "json",
        "lower",
        "replace",
        "segment",
        "string",
        "striptags",
        "title",
        "tojson",
        "trim",
        "truncate",
        "untrusted",
        "upper",
        "urlencode",
        "wordwrap",
    ]
)

#: Those of them that would print null as a word.
TEXT_FILTERS = STRING_FILTERS - {"filesizeformat", "format", "join", "json", "tojson"}

_STRING_METHODS: dict[str, Type] = {
    **dict.fromkeys(
        [
            "capitalize",
            "casefold",
            "center",
            "expandtabs",
            "format",
            "join",
            "ljust",
            "lower",
            "lstrip",
            "removeprefix",
            "removesuffix",
            "replace",
            "rjust",
            "rstrip",
            "strip",
            "swapcase",
            "title",
            "translate",
            "upper",
            "zfill",
        ],
        STRING,
    ),
    **dict.fromkeys(
        [
            "endswith",
            "isalnum",
            "isalpha",
            "isascii",
            "isdecimal",
            "isdigit",
            "isidentifier",
            "islower",
            "isnumeric",
            "isprintable",
            "isspace",
            "istitle",
            "isupper",
            "startswith",
        ],
        BOOL,
    ),
    **dict.fromkeys(["count", "find", "index", "rfind", "rindex"], INT),
    **dict.fromkeys(["split", "rsplit", "splitlines", "partition", "rpartition"], Array(STRING)),
}
_MAP_METHODS = ("items", "keys", "values", "get")


def open_up(type_: Type) -> tuple[Type, ...]:
    """The options of a type, external schemas read as types where they are simple enough."""
    found: list[Type] = []
    for option in options_of(type_):
        found.extend(_read_external(option, 0) if isinstance(option, External) else (option,))
    return tuple(found)


def _read_external(type_: External, depth: int) -> list[Type]:
    schema: Any = type_.schema
    root = type_.document
    while isinstance(schema, Mapping) and "$ref" in schema and depth < 32:
        schema = follow(root, schema["$ref"])
        depth += 1
    if not isinstance(schema, Mapping) or depth >= 32:
        return [ANY]
    for key in ("anyOf", "oneOf"):
        if key in schema and "properties" not in schema:
            found: list[Type] = []
            for branch in schema[key]:
                found.extend(
                    _read_external(External(type_.name, branch, type_.definitions), depth + 1)
                )
            return found
    kinds = json_types(root, schema)
    if len(kinds) == 7:
        if "properties" not in schema:
            return [ANY]
        kinds = frozenset({"object"})
    if {"integer", "number"} <= kinds:
        kinds -= {"integer" if "number" in str(schema.get("type", "number")) else "number"}
    result: list[Type] = []
    for kind in sorted(kinds):
        if kind == "object":
            result.append(External(type_.name, schema, type_.definitions))
        elif kind == "array":
            result.append(Array(_inside(type_, schema, "/0")))
        else:
            result.append(_KINDS[kind])
    return result


def _inside(type_: External, schema: Any, pointer: str) -> Type:
    """The type at a place where something may be; `json` where nothing is said."""
    found = subschema_at({**schema, "$defs": dict(type_.definitions)}, pointer)
    if found is None or found == "unknown" or isinstance(found, str):
        return ANY
    definitions = found.pop("$defs", {})
    return External(type_.name, found, definitions)


def is_null(type_: Type) -> bool:
    """Whether it is the type of null alone."""
    return isinstance(type_, Constant) and type_.value is None


def not_null(type_: Type) -> Type:
    """The type without null."""
    options = open_up(type_)
    if not any(is_null(option) for option in options):
        return type_
    kept = [option for option in options if not is_null(option)]
    return union_of(kept) if kept else ANY


def is_structured(type_: Type) -> bool:
    """Whether a value may be an object or a list, as far as the type tells."""
    return any(isinstance(option, Record | Array | External | Tuple) for option in open_up(type_))


def _is_text(type_: Type) -> bool:
    if isinstance(type_, Constant):
        return isinstance(type_.value, str)
    return isinstance(type_, Scalar) and type_.is_text


def attribute_of(option: Type, name: str) -> Type | None:
    """The type of `value.name` for one option (not null); None if it has no such thing."""
    match option:
        case Record():
            field = option.field(name)
            return None if field is None else field.type
        case External() if isinstance(option.schema, Mapping):
            pointer = "/" + name.replace("~", "~0").replace("/", "~1")
            document = {**option.schema, "$defs": dict(option.definitions)}
            found = subschema_at(document, pointer)
            if found is None:
                return None
            if isinstance(found, str):
                return ANY
            definitions = found.pop("$defs", {})
            return External(f"{option.name}.{name}", found, definitions)
        case Tuple():
            if name in option.names:
                return option.items[option.names.index(name)]
            return None
        case Module():
            return option.exports.get(name)
        case StepOutputs():
            return {"pairs": option.pairs, "failures": option.failures}.get(name)
        case Scalar() | Constant() | Array():
            return None
    return ANY


def method_of(option: Type, name: str) -> Type | None:
    """What `value.name(...)` gives for a method of Python's that templates may call."""
    if _is_text(option):
        return _STRING_METHODS.get(name)
    if isinstance(option, Array):
        return INT if name in ("count", "index") else None
    if isinstance(option, Record | External) and name in _MAP_METHODS:
        values: Type = ANY
        if isinstance(option, Record) and option.fields:
            values = union_of([field.type for field in option.fields])
        if name == "keys":
            return Array(STRING)
        if name == "values":
            return Array(values)
        return Array(Tuple((STRING, values))) if name == "items" else ANY
    return None


def field_names(options: tuple[Type, ...]) -> list[str]:
    """The names one may read from a value, for suggestions."""
    found: list[str] = []
    for option in options:
        if isinstance(option, Record):
            found.extend(field.name for field in option.fields)
        elif isinstance(option, External) and isinstance(option.schema, Mapping):
            found.extend(option.schema.get("properties", {}))
        elif isinstance(option, StepOutputs):
            found += ["pairs", "failures"]
        elif isinstance(option, Tuple):
            found.extend(option.names)
        elif isinstance(option, Module):
            found.extend(option.exports)
    return list(dict.fromkeys(found))


def item_of(type_: Type) -> Type | None:
    """What a loop over a value gives (null aside); None if every option is a scalar."""
    found: list[Type] = []
    for option in open_up(type_):
        match option:
            case Array():
                found.append(option.item)
            case Tuple():
                found.append(union_of(list(option.items)))
            case Record() | External():
                found.append(STRING)
            case Json():
                found.append(ANY)
            case Scalar() | Constant():
                continue
            case _:
                found.append(ANY)
    return union_items(found) if found else None


def union_items(types: list[Type]) -> Type:
    """One type as it is (its name kept), several as a union."""
    return types[0] if len(types) == 1 else union_of(types)


def loop_type(item: Type) -> Record:
    """The type of `loop` in a loop over items."""
    numbers = ("index", "index0", "revindex", "revindex0", "length", "depth", "depth0")
    fields = [Field(name, INT) for name in numbers]
    fields += [Field("first", BOOL), Field("last", BOOL)]
    # Both are undefined at the ends, which `loop.first` and `loop.last` tell.
    fields += [Field("previtem", item), Field("nextitem", item)]
    fields += [Field("cycle", ANY), Field("changed", ANY)]
    return Record("loop", tuple(fields))


def type_of_value(value: Any) -> Type:
    """The type of a literal."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return FLOAT
        case str():
            return STRING
    return ANY
