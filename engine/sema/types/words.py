"""Which values can hold words: a proof over JSON Schemas, and whatever is not proved can.

A value holds no words if it is a number, a boolean, null, a member of an `enum` or a date, time or
duration, or a list or a closed record of these. A date is a text whose `format` every contract
asserts. Keywords only ever narrow a schema, so one keyword that proves it is enough.
A keyword that is not known here proves nothing. Neither do `prefixItems` without `items`, an open
object, `patternProperties`, `unevaluatedItems`, a missing `type`, or `additionalProperties` with a
schema (its keys are words). So a schema from a file can be read wrongly in one direction only: as
one that holds words.

The machine follows words through a run and the linter through the graph; both ask here
(`engine.sema.trust`), so they cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from engine.sema.expressions.formats import WORDLESS
from engine.sema.types.identity import ByIdentity
from engine.sema.types.schema_facts import follow, may_fit, pointer_tokens

__all__ = ["carries", "carries_at", "carries_outside", "may_hand_over"]

_INDEX = re.compile(r"0|[1-9][0-9]*")
_SCALARS = frozenset({"integer", "boolean", "null"})

#: As many references in a row lead nowhere.
_MOST_REFERENCES = 64

#: Keywords that a schema may have without its values having places that `_places` does not know.
_KNOWN = frozenset(
    {
        "$comment", "$defs", "$id", "$ref", "$schema", "additionalProperties", "allOf", "anyOf",
        "const", "default", "definitions", "deprecated", "description", "enum", "examples",
        "exclusiveMaximum", "exclusiveMinimum", "format", "items", "maxItems", "maxLength",
        "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum",
        "multipleOf", "oneOf", "pattern", "prefixItems", "properties", "readOnly", "required",
        "title", "type", "uniqueItems", "writeOnly", "x-asserts", "x-external", "x-max-bytes",
    }
)  # fmt: skip


def carries(schema: Any, root: Any, *, older: bool = False) -> bool:
    """Whether a value of this schema can hold text that a stranger chose.

    Args:
        schema: A JSON Schema 2020-12, or True or False.
        root: The document that `$ref` in it refers to.
        older: By the rule that was in force before numbers with a fraction and dates were known to
            hold none: what a run of then has denied stays denied.
    """
    worded: set[int] = set()
    while True:
        proof = _Proof(root, worded, older)
        if not proof.holds(schema):
            return True
        # The places inside were taken on trust. One that fails may be what another rests on.
        failed = proof.failed()
        if not failed:
            return False
        worded |= failed


def carries_at(schema: Any, pointer: str, *, older: bool = False) -> bool:
    """Whether what is at a JSON Pointer in values of a self-contained schema can hold text.

    Where the pointer leads nowhere in any value, nothing can. `older` is as for `carries`.
    """
    return _carries_at(ByIdentity(schema), pointer, older)


# Taint asks it of each part of each input, of a few schemas: 10 µs each time.
@lru_cache(maxsize=4096)
def _carries_at(schema: ByIdentity, pointer: str, older: bool) -> bool:
    tokens = pointer_tokens(pointer)
    whole = schema.value
    return tokens is None or not _Place(whole, older).holds(whole, tokens, frozenset())


def carries_outside(schema: Any, paths: frozenset[tuple[str, ...]], root: Any = None) -> bool:
    """Whether a value can hold text that a stranger chose elsewhere than at certain places.

    Args:
        schema: A JSON Schema 2020-12, or True or False.
        paths: The places, as names of fields from the outside in.
        root: The document that `$ref` in it refers to; itself if it is not given.
    """
    root = schema if root is None else root
    if () in paths:
        return False
    if not carries(schema, root):
        return False
    for _ in range(_MOST_REFERENCES):
        if not isinstance(schema, Mapping) or not paths:
            return True
        if "$ref" not in schema:
            break
        schema = follow(root, schema["$ref"])
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if options:
        return any(carries_outside(option, paths, root) for option in options)
    if _kinds(schema) != ["object"] or schema.get("additionalProperties") is not False:
        return True  # names of fields may be words too
    if schema.get("patternProperties"):
        return True
    return any(
        carries_outside(field, frozenset(path[1:] for path in paths if path[0] == name), root)
        for name, field in schema.get("properties", {}).items()
    )


def may_hand_over(producer: Mapping[str, Any], consumer: Mapping[str, Any]) -> bool:
    """Whether a reference to a part of one value that carries text may fit a part of another.

    For consumers that take no text themselves: an int may come out of `json`, and an empty list
    of strings is one of ints.
    """
    if not carries(producer, producer):
        return False
    given, wanted = _places(producer), _places(consumer)
    if given is None or wanted is None:
        return True
    parts = [part for part in given if carries(part, producer)]
    if any(part is True for part in parts):
        return True
    return any(
        may_fit(_alone(part, producer), _alone(place, consumer))
        for part in parts
        for place in wanted
    )


class _Proof:
    """One pass: a schema is proved if what is inside it is, and that is looked at later."""

    def __init__(self, root: Any, worded: set[int], older: bool) -> None:
        self.root = root
        self.worded = worded
        self.older = older
        self.trusted: dict[int, Any] = {}

    def failed(self) -> set[int]:
        """The places taken on trust, and those inside them, that cannot be proved."""
        found: set[int] = set()
        seen: set[int] = set()
        while len(seen) < len(self.trusted):
            for key, place in list(self.trusted.items()):
                if key not in seen:
                    seen.add(key)
                    if not self.holds(place):
                        found.add(key)
        return found

    def holds(self, node: Any, chain: frozenset[int] = frozenset()) -> bool:
        """Whether no value of a schema holds words.

        Args:
            node: The schema.
            chain: The schemas of the same value on the way here: one that comes back to itself
                says nothing.
        """
        if not isinstance(node, Mapping):
            return node is False  # no value at all
        if id(node) in chain:
            return False
        chain |= {id(node)}
        if "const" in node or "enum" in node:
            return True
        if "$ref" in node and self.holds(follow(self.root, node["$ref"]), chain):
            return True
        if any(self.holds(branch, chain) for branch in node.get("allOf", ())):
            return True
        for key in ("anyOf", "oneOf"):
            if node.get(key) and all(self.holds(branch, chain) for branch in node[key]):
                return True
        kinds = _kinds(node)
        return bool(kinds) and all(self._is_wordless(node, kind) for kind in kinds)

    def _is_wordless(self, node: Mapping[str, Any], kind: str) -> bool:
        if kind == "array":
            inside = [*node.get("prefixItems", ()), node.get("items", True)]
        elif kind == "object":
            if node.get("additionalProperties") is not False or node.get("patternProperties"):
                return False
            inside = list(node.get("properties", {}).values())
        else:
            if kind in _SCALARS or self.older:
                return kind in _SCALARS
            return kind == "number" or (kind == "string" and node.get("format") in WORDLESS)
        return all(self._trust(place) for place in inside)

    def _trust(self, place: Any) -> bool:
        if not isinstance(place, Mapping):
            return place is False
        if id(place) in self.worded:
            return False
        self.trusted[id(place)] = place
        return True


def _kinds(node: Mapping[str, Any]) -> list[str]:
    declared = node.get("type", ())
    return [declared] if isinstance(declared, str) else list(declared)


class _Place:
    """Where a pointer leads in the values of a schema."""

    def __init__(self, root: Any, older: bool) -> None:
        self.root = root
        self.older = older

    def holds(self, node: Any, tokens: list[str], chain: frozenset[int]) -> bool:
        """Whether what the rest of a pointer leads to is proved to hold no words."""
        if not tokens:
            return not carries(node, self.root, older=self.older)
        if not isinstance(node, Mapping):
            return node is False
        if id(node) in chain:
            return False
        chain |= {id(node)}
        if "const" in node or "enum" in node:
            return True
        if "$ref" in node and self.holds(follow(self.root, node["$ref"]), tokens, chain):
            return True
        if any(self.holds(branch, tokens, chain) for branch in node.get("allOf", ())):
            return True
        for key in ("anyOf", "oneOf"):
            branches = node.get(key)
            if branches and all(self.holds(branch, tokens, chain) for branch in branches):
                return True
        kinds = _kinds(node) or ["object", "array"]
        return all(self._inside(node, kind, tokens) for kind in kinds)

    def _inside(self, node: Mapping[str, Any], kind: str, tokens: list[str]) -> bool:
        token, rest = tokens[0], tokens[1:]
        if kind == "object":
            properties = node.get("properties", {})
            if token in properties:
                inner = properties[token]
            elif node.get("patternProperties"):
                return False
            else:
                inner = node.get("additionalProperties", True)
        elif kind == "array":
            if not _INDEX.fullmatch(token):
                return True  # leads nowhere
            first = node.get("prefixItems", ())
            inner = first[int(token)] if int(token) < len(first) else node.get("items", True)
        else:
            return True  # nothing is inside a scalar
        return self.holds(inner, rest, frozenset())


def _places(schema: Mapping[str, Any]) -> list[Any] | None:
    """A schema and those of the places inside its values; True for a place that takes anything.

    None where a keyword may add places that are not known here.
    """
    found: list[Any] = []
    seen: set[int] = set()
    todo: list[Any] = [schema]
    while todo:
        node = todo.pop()
        if node is False or id(node) in seen:
            continue
        if not isinstance(node, Mapping) or not node:
            found.append(True)
            continue
        if not node.keys() <= _KNOWN:
            return None
        seen.add(id(node))
        found.append(node)
        if "$ref" in node:
            todo.append(follow(schema, node["$ref"]))
        todo += _inside(node)
    return found


def _inside(node: Mapping[str, Any]) -> Iterator[Any]:
    for key in ("allOf", "anyOf", "oneOf", "prefixItems"):
        yield from node.get(key, ())
    if "const" in node or "enum" in node or {"$ref", "allOf", "anyOf", "oneOf"} & node.keys():
        yield from node.get("properties", {}).values()
        return
    kinds = _kinds(node) or ["object", "array"]
    if "object" in kinds:
        yield from node.get("properties", {}).values()
        yield node.get("additionalProperties", True)
    if "array" in kinds:
        yield node.get("items", True)


def _alone(place: Any, root: Mapping[str, Any]) -> Any:
    if place is True:
        return True
    return {**place, "$defs": root.get("$defs", {})}
