"""Regular expressions in schemas, matched in bounded time whatever text comes.

A pattern without look-around and without back references is matched in time that grows with the
text alone (Rust's `regex`). Any other one may take the square of the text's length, and more, so
what it does is counted: one validation may do so much of it, and a text that would need more does
not fit.

Python's `re` matches no pattern of a schema anywhere.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import jsonschema_rs

from engine.sema.types.json_schema import map_subschemas

__all__ = [
    "MAX_KEY",
    "CountedPattern",
    "fits",
    "is_linear",
    "looks_around",
    "one_validation",
    "with_short_keys",
]

#: The longest key of a map whose keys are matched with such a pattern.
MAX_KEY = 128

#: What a validation may spend, in steps of a few nanoseconds.
_BUDGET = 40_000_000
#: Most texts are done after so many steps back; the others are tried once more with the second.
_FEW_STEPS, _MANY_STEPS = 1_000, 100_000
#: What a trial costs beyond the square of the text's length.
_COST_OF_FEW, _COST_OF_MANY = 500, 1_000_000


class _Spending(threading.local):
    left = _BUDGET


_spending = _Spending()


@contextmanager
def one_validation() -> Iterator[None]:
    """Give what is validated inside a budget of its own."""
    _spending.left = _BUDGET
    try:
        yield
    finally:
        _spending.left = _BUDGET


@lru_cache(maxsize=1024)
def is_linear(pattern: str) -> bool:
    """Whether a pattern is matched in time that grows with the text alone."""
    try:
        _validator(pattern, jsonschema_rs.RegexOptions())
    except (ValueError, jsonschema_rs.ValidationError):
        return False
    return True


def fits(pattern: str, text: str) -> bool:
    """Whether a pattern is found in a text; False where finding out would take too long."""
    if is_linear(pattern):
        return _linear(pattern).is_valid(text)
    length = len(text)
    if not _spend(length * length + _COST_OF_FEW):
        return False
    try:
        _looking(pattern, _FEW_STEPS).validate(text)
    except jsonschema_rs.ValidationError as error:
        if not isinstance(error.kind, jsonschema_rs.ValidationErrorKind.BacktrackLimitExceeded):
            return False
        if not _spend(_COST_OF_MANY):
            return False
        return _looking(pattern, _MANY_STEPS).is_valid(text)
    return True


def _spend(steps: int) -> bool:
    _spending.left -= steps
    return _spending.left >= 0


def _validator(pattern: str, options: Any) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=options)


@lru_cache(maxsize=256)
def _linear(pattern: str) -> jsonschema_rs.Draft202012Validator:
    return _validator(pattern, jsonschema_rs.RegexOptions())


@lru_cache(maxsize=256)
def _looking(pattern: str, steps: int) -> jsonschema_rs.Draft202012Validator:
    return _validator(pattern, jsonschema_rs.FancyRegexOptions(backtrack_limit=steps))


class CountedPattern:
    """The keyword `pattern` for jsonschema-rs, in schemas that look around."""

    def __init__(self, parent: Any, pattern: str, path: list[Any]) -> None:
        self.pattern = pattern

    def validate(self, instance: Any) -> None:
        """Raise if a string does not match."""
        if isinstance(instance, str) and not fits(self.pattern, instance):
            raise ValueError(f"does not match {self.pattern!r}")


def looks_around(schema: Any) -> bool:
    """Whether any pattern of a schema is not linear."""
    todo: list[Any] = [schema]
    while todo:
        current = todo.pop()
        if isinstance(current, Mapping):
            pattern = current.get("pattern")
            if isinstance(pattern, str) and not is_linear(pattern):
                return True
            if not _has_linear_keys(current):
                return True
            todo.extend(current.values())
        elif isinstance(current, list):
            todo.extend(current)
    return False


def with_short_keys(schema: Any) -> Any:
    """The schema with keys bounded in length where they are matched with a pattern that is not
    linear: the validator matches keys itself."""
    if not isinstance(schema, Mapping):
        return schema
    result: dict[str, Any] = map_subschemas(schema, with_short_keys)
    if not _has_linear_keys(result):
        short = {"propertyNames": {"maxLength": MAX_KEY}}
        result["allOf"] = [*result.get("allOf", ()), short]
    return result


def _has_linear_keys(schema: Mapping[str, Any]) -> bool:
    keys = schema.get("patternProperties")
    return not isinstance(keys, Mapping) or all(map(is_linear, keys))
