"""Dialects of JSON Schema: told apart, and each schema said in 2020-12 as its own dialect means it.

Drafts 04, 06 and 07, 2019-09, 2020-12 and the schemas of OpenAPI 3.0 are read. A document says its
dialect in `$schema` or `openapi`; where it does not, its form does. `modernised` rewrites one
schema and leaves those inside it to the caller. What a keyword of another dialect says counts for
nothing, as it does for every validator of that dialect, and is noted: nothing is dropped silently.

Knows no files and follows no reference (`engine.sema.types.resources`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

__all__ = [
    "DRAFT_2020",
    "OPENAPI_30",
    "Dialect",
    "UnknownDialect",
    "dialect_of",
    "modernised",
    "places",
]


class Dialect(msgspec.Struct, frozen=True):
    """One dialect; `level` orders the drafts.

    Attributes:
        name: What messages call it.
        schema: The address of its metaschema; "" where it has none.
    """

    name: str
    level: int
    schema: str = ""

    @property
    def id_keyword(self) -> str:
        """What names a schema; "" where nothing does."""
        return {3: "", 4: "id"}.get(self.level, "$id")

    @property
    def ref_is_alone(self) -> bool:
        """Whether the keywords next to `$ref` are ignored."""
        return self.level < _2019


_2019, _2020 = 8, 9
OPENAPI_30 = Dialect("OpenAPI 3.0", 3)
DRAFT_04 = Dialect("draft-04", 4, "http://json-schema.org/draft-04/schema#")
DRAFT_06 = Dialect("draft-06", 6, "http://json-schema.org/draft-06/schema#")
DRAFT_07 = Dialect("draft-07", 7, "http://json-schema.org/draft-07/schema#")
DRAFT_2019 = Dialect("2019-09", _2019, "https://json-schema.org/draft/2019-09/schema")
DRAFT_2020 = Dialect("2020-12", _2020, "https://json-schema.org/draft/2020-12/schema")
_BY_NAME = {
    "04": DRAFT_04, "05": DRAFT_04, "06": DRAFT_06, "07": DRAFT_07,
    "2019-09": DRAFT_2019, "2020-12": DRAFT_2020,
}  # fmt: skip
_DECLARED = re.compile(r"https?://json-schema\.org/draft[-/]([0-9-]+)/(?:hyper-)?schema#?/?")
_NEWEST = re.compile(r"https?://json-schema\.org/schema#?")
_OPENAPI_31 = re.compile(r"https://spec\.openapis\.org/oas/3\.[12]/dialect/.*")

#: Keywords that say what a value may be, with the first and the last level that knows them.
_KEYWORDS: dict[str, tuple[int, int]] = {
    "const": (6, 9),
    "contains": (6, 9),
    "propertyNames": (6, 9),
    "if": (7, 9),
    "then": (7, 9),
    "else": (7, 9),
    "patternProperties": (4, 9),
    "dependencies": (4, 7),
    "dependentRequired": (8, 9),
    "dependentSchemas": (8, 9),
    "maxContains": (8, 9),
    "minContains": (8, 9),
    "unevaluatedItems": (8, 9),
    "unevaluatedProperties": (8, 9),
    "additionalItems": (4, 8),
    "$recursiveRef": (8, 8),
    "$dynamicRef": (9, 9),
    "prefixItems": (9, 9),
    "nullable": (3, 3),
    "disallow": (0, 2),
    "divisibleBy": (0, 2),
    "extends": (0, 2),
}
_ALWAYS = frozenset(
    {
        "additionalProperties", "allOf", "anyOf", "enum", "exclusiveMaximum", "exclusiveMinimum",
        "format", "items", "maxItems", "maxLength", "maxProperties", "maximum", "minItems",
        "minLength", "minProperties", "minimum", "multipleOf", "not", "oneOf", "pattern",
        "properties", "required", "type", "uniqueItems",
    }
)  # fmt: skip
_OPENAPI_TYPES = ("array", "boolean", "integer", "number", "object", "string")
#: Maps whose keys are names, and keywords whose values are data.
_MAPS = frozenset(
    ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"]
)
_DATA = frozenset(["const", "default", "enum", "example", "examples"])


class UnknownDialect(Exception):
    """A document is of a dialect that is not read; `str()` is what it is called."""


# ---------------------------------------------------------------- telling them apart


def dialect_of(document: Any, otherwise: Dialect = DRAFT_2020) -> Dialect:
    """The dialect of a document; `otherwise` where neither what it says nor its form tells.

    Raises:
        UnknownDialect: It says that it is something else.
    """
    if not isinstance(document, Mapping):
        return otherwise
    version = document.get("openapi")
    if isinstance(version, str) and not version.startswith("3.0"):
        own = document.get("jsonSchemaDialect")
        if not version.startswith("3."):
            raise UnknownDialect(f"OpenAPI {version[:20]}")
        return _declared(own) if isinstance(own, str) else DRAFT_2020
    if isinstance(version, str):
        return OPENAPI_30
    if isinstance(document.get("swagger"), str):
        raise UnknownDialect(f"Swagger {document['swagger'][:20]}")
    declared = document.get("$schema")
    if isinstance(declared, str) and not _NEWEST.fullmatch(declared):
        return _declared(declared)
    return _by_form(document, otherwise)


def _declared(schema: str) -> Dialect:
    found = _DECLARED.fullmatch(schema.strip())
    if found is not None:
        if found[1] in _BY_NAME:
            return _BY_NAME[found[1]]
        raise UnknownDialect(f"draft-{found[1]}" if len(found[1]) == 2 else found[1])
    if _OPENAPI_31.fullmatch(schema):
        return DRAFT_2020
    raise UnknownDialect(schema[:80])


def _by_form(document: Mapping[str, Any], otherwise: Dialect) -> Dialect:
    """The dialect that a document without a name is written in."""
    used: set[str] = set()
    for schema, _ in places(document):
        used.update(key for key, value in schema.items() if not isinstance(value, str))
        if isinstance(schema.get("items"), list):
            used.add("items[]")
        if any(isinstance(schema.get(f"exclusive{end}imum"), bool) for end in ("Min", "Max")):
            used.add("exclusive: bool")
        if str(schema.get("$id", "")).startswith("#"):
            used.add("$id: #")
    newer = used & {
        "prefixItems", "dependentRequired", "dependentSchemas", "minContains", "maxContains",
        "unevaluatedItems", "unevaluatedProperties",
    }  # fmt: skip
    old = used & {"items[]", "dependencies", "additionalItems", "$id: #"}
    if newer:
        return DRAFT_2019 if "items[]" in used and "prefixItems" not in used else otherwise
    if "exclusive: bool" in used:
        return OPENAPI_30 if "nullable" in used else DRAFT_04
    if old:
        return otherwise if otherwise.level < _2019 else DRAFT_07
    if "nullable" in used:
        return OPENAPI_30
    return otherwise


def places(document: Any) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Every object in a document where a schema may be, with its JSON Pointer; none in data."""
    todo: list[tuple[Any, str, bool]] = [(document, "", False)]
    while todo:
        node, pointer, is_map = todo.pop()
        if isinstance(node, Mapping):
            if not is_map:
                yield node, pointer
            for key, inner in node.items():
                if isinstance(inner, Mapping | list) and (is_map or key not in _DATA):
                    step = str(key).replace("~", "~0").replace("/", "~1")
                    todo.append((inner, f"{pointer}/{step}", not is_map and key in _MAPS))
        elif isinstance(node, list):
            todo += [(inner, f"{pointer}/{at}", False) for at, inner in enumerate(node)]


# ---------------------------------------------------------------- saying it in 2020-12


def modernised(
    schema: Mapping[str, Any],
    dialect: Dialect,
    note: Callable[[str], None],
    refuse: Callable[[str], None],
) -> dict[str, Any]:
    """One schema in 2020-12; those inside it are as they were.

    Args:
        note: Told half a sentence for each keyword that does not count.
        refuse: Told half a sentence for what cannot be said, or is wrong in its dialect.
    """
    result = dict(schema)
    if dialect.ref_is_alone and isinstance(schema.get("$ref"), str):
        for key in schema:
            if key in _ALWAYS or key in _KEYWORDS:
                note(f"`{key}` next to `$ref` has no effect")
        return {"$ref": schema["$ref"]}
    for key, (first, last) in _KEYWORDS.items():
        is_foreign = key in result and not first <= dialect.level <= last
        if is_foreign and _counts(key, result.pop(key)):
            note(f"`{key}` has no effect")
    if dialect is OPENAPI_30:
        _openapi(result, note, refuse)
    if dialect.level <= DRAFT_04.level:
        _bounds(result, refuse)
    if dialect.level <= _2019:
        _lists(result)
    if dialect.level <= DRAFT_07.level:
        _dependencies(result)
    return result


def _counts(key: str, value: Any) -> bool:
    """Whether a keyword would say anything if it counted."""
    if key == "nullable":
        return value is True
    return value is not True and value != {}


def _openapi(
    result: dict[str, Any], note: Callable[[str], None], refuse: Callable[[str], None]
) -> None:
    for key in ("discriminator", "example", "externalDocs", "xml"):
        result.pop(key, None)
    kind = result.get("type")
    if "type" in result and kind not in _OPENAPI_TYPES:
        refuse(f"`type` is one of {', '.join(_OPENAPI_TYPES)}")
    if isinstance(result.get("items"), list):
        refuse("`items` is one schema")
    if result.pop("nullable", None) is not True:
        return
    if kind is None:
        note("`nullable` without `type` allows no null")
        return
    result["type"] = [kind, "null"]
    if isinstance(result.get("enum"), list) and None not in result["enum"]:
        note("`nullable` allows no null where `enum` does not list it")


def _bounds(result: dict[str, Any], refuse: Callable[[str], None]) -> None:
    """`minimum: 1, exclusiveMinimum: true` is `exclusiveMinimum: 1`."""
    for end in ("minimum", "maximum"):
        key = f"exclusive{end.capitalize()}"
        is_exclusive = result.pop(key, False)
        if not isinstance(is_exclusive, bool):
            refuse(f"`{key}` is true or false")
        elif is_exclusive and end in result:
            result[key] = result.pop(end)


def _lists(result: dict[str, Any]) -> None:
    """A list under `items` is `prefixItems`, and `additionalItems` what comes behind it."""
    rest = result.pop("additionalItems", None)
    first = result.get("items")
    if isinstance(first, list):
        del result["items"]
        if first:
            result["prefixItems"] = first
        if rest is not None:
            result["items"] = rest


def _dependencies(result: dict[str, Any]) -> None:
    """`dependencies` are names that are needed too, or schemas that hold too."""
    given = result.pop("dependencies", None)
    if not isinstance(given, Mapping):
        return
    names = {key: value for key, value in given.items() if isinstance(value, list)}
    schemas = {key: value for key, value in given.items() if not isinstance(value, list)}
    if names:
        result["dependentRequired"] = names
    if schemas:
        result["dependentSchemas"] = schemas
