"""Schemas that others wrote (MCP servers), checked in bounded time whatever they say.

A schema from outside may be made to hold a validator up: references that lead to one another many
times over, patterns that take long. So it is laid out first: references are replaced by what they
mean, once in a row each, and the whole may have so many parts. Patterns that are not matched in
time that grows with the text alone, or are very large, are left out, as are formats. The rest
is checked by the engine's own validator; a value that is too large for it is not checked at all.

What a worker may return is its own contract's to say; this is what its server promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec

from engine.sema.types.explain import explain_failure
from engine.sema.types.json_schema import follow, map_subschemas

__all__ = ["ForeignSchema"]

#: Schemas inside a schema, laid out.
_MAX_PARTS = 2_000
#: How large a pattern may be once it is compiled, in bytes.
_MAX_PATTERN = 10_000
#: A value's bytes times the schema's parts: about as many steps of the validator at worst.
_MAX_WORK = 20_000_000
#: A value's bytes times the schema's patterns.
_MAX_MATCHING = 200_000
_DROPPED = frozenset(
    ("$anchor", "$defs", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveRef", "definitions")
)
_REGEX = jsonschema_rs.RegexOptions(size_limit=_MAX_PATTERN)

_encode = msgspec.json.Encoder().encode


class ForeignSchema:
    """One schema, made ready for any number of values.

    Raises:
        ValueError: It is not JSON Schema that can be checked; the message says why.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        layout = _Layout(schema)
        self._schema = layout.laid_out()
        self._parts = layout.parts
        self._patterns = layout.patterns
        try:
            self._compiled = _compile(self._schema)
        except ValueError:
            # A dialect that is not known is read as the newest one.
            if self._schema.pop("$schema", None) is None:
                raise
            self._compiled = _compile(self._schema)

    def problems(self, value: Any, limit: int = 3) -> list[str]:
        """Why a JSON value does not fit, at most `limit` sentences; [] if it does, or if it is
        too large to be checked."""
        try:
            size = len(_encode(value))
        except (TypeError, ValueError, OverflowError, RecursionError):
            return []
        if size * self._parts > _MAX_WORK:
            return []
        schema, compiled = self._schema, self._compiled
        if size * self._patterns > _MAX_MATCHING:
            schema = _without_patterns(schema)
            compiled = _compile(schema)
        if compiled.is_valid(value):
            return []
        found = explain_failure(schema, value, _compile, None, limit)
        return found or ["(root): the value does not fit"]


def _compile(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    try:
        return jsonschema_rs.validator_for(
            dict(schema), offline=True, validate_formats=False, pattern_options=_REGEX
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise ValueError(str(error).splitlines()[0]) from None


class _Layout:
    """A schema without references.

    Attributes:
        parts: How many schemas are in it.
        patterns: How many patterns.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.parts = self.patterns = 0
        self._root = schema
        self._open: list[int] = []

    def laid_out(self) -> dict[str, Any]:
        """The schema.

        Raises:
            ValueError: It is too large, or a reference leads nowhere.
        """
        try:
            result: dict[str, Any] = self._lay(self._root)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if isinstance(self._root.get("$schema"), str):
            result["$schema"] = self._root["$schema"]
        return result

    def _lay(self, schema: Any) -> Any:
        self.parts += 1
        if self.parts > _MAX_PARTS:
            raise ValueError(f"it has more than {_MAX_PARTS} parts")
        if not isinstance(schema, Mapping):
            return schema
        bare = {key: value for key, value in schema.items() if key not in _DROPPED}
        reference = bare.pop("$ref", None)
        result: dict[str, Any] = map_subschemas(bare, self._lay)
        for key in ("items", "dependencies"):  # as older drafts write them
            if isinstance(result.get(key), list):
                result[key] = [self._lay(inner) for inner in result[key]]
            elif key == "dependencies" and isinstance(result.get(key), Mapping):
                result[key] = {
                    name: inner if isinstance(inner, list) else self._lay(inner)
                    for name, inner in result[key].items()
                }
        self._keep_simple_patterns(result)
        if isinstance(reference, str):
            meant = self._meant(reference)
            if meant is not None:
                result["allOf"] = [*result.get("allOf", ()), meant]
        return result

    def _meant(self, reference: str) -> Any:
        """What a reference means, laid out; None where it leads back to where it is."""
        target = follow(self._root, reference)
        if target is None:
            raise ValueError(f"`{reference[:80]}` is not in it")
        if id(target) in self._open:
            return None
        self._open.append(id(target))
        result = self._lay(target)
        self._open.pop()
        return result

    def _keep_simple_patterns(self, schema: dict[str, Any]) -> None:
        if "pattern" in schema and not _is_simple(schema["pattern"]):
            del schema["pattern"]
        keys = schema.get("patternProperties")
        if isinstance(keys, Mapping) and not all(map(_is_simple, keys)):
            # What else there may be depends on what they match.
            for name in ("patternProperties", "additionalProperties", "unevaluatedProperties"):
                schema.pop(name, None)
            keys = None
        self.patterns += ("pattern" in schema) + len(keys or ())


@lru_cache(maxsize=1024)
def _is_simple(pattern: str) -> bool:
    """Whether a pattern is small, and matched in time that grows with the text alone."""
    try:
        _compile({"pattern": pattern})
    except ValueError:
        return False
    return True


def _without_patterns(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    kept: dict[str, Any] = map_subschemas(schema, _without_patterns)
    kept.pop("pattern", None)
    if kept.pop("patternProperties", None):
        kept.pop("additionalProperties", None)
        kept.pop("unevaluatedProperties", None)
    return kept
