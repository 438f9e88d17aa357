"""What another library says of a value: jsonschema, given the engine's keywords and formats.

The engine decides with jsonschema-rs alone; that both agree is tested with this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from engine.sema.expressions.formats import ASSERTED, size_in_bytes

__all__ = ["second_opinion"]


def _for_strings(function: Callable[[str], bool]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or function(value)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    # The dialects differ: Python's `$` also matches before a last line end.
    fast = jsonschema_rs.Draft202012Validator({"pattern": pattern})
    if isinstance(instance, str) and not fast.is_valid(instance):
        yield ValidationError("pattern")


def _max_bytes(validator: Any, limit: int, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if size_in_bytes(instance) > limit:
        yield ValidationError("x-max-bytes")


def second_opinion(
    schema: Mapping[str, Any], invariants: Callable[[Any, Any], list[str]] | None = None
) -> Any:
    """A validator of jsonschema for a contract's schema; `invariants` as `Contract` has them."""

    def asserts(
        validator: Any, keys: Mapping[str, str], instance: Any, schema: Any
    ) -> Iterator[ValidationError]:
        for message in invariants(keys, instance) if invariants is not None else ():
            yield ValidationError(message)

    checker = FormatChecker(formats=())
    checker.checkers = {name: (_for_strings(test), ()) for name, test in ASSERTED.items()}
    keywords = {"pattern": _pattern, "x-max-bytes": _max_bytes, "x-asserts": asserts}
    return extend(Draft202012Validator, keywords)(schema, format_checker=checker)
