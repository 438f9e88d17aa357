"""Values of a worker's settings, where they are computed from the call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import Failure
from engine.runtime.ports import WorkerRequest
from engine.sema.expressions.template import EvaluationError, Expression, Template
from engine.source import Span
from engine.workers.messages import clean

__all__ = ["evaluated", "evaluated_in", "text_of"]


def evaluated(request: WorkerRequest, name: str, default: Any = None) -> Any:
    """The value of the setting `name` for this call; `default` where it is not set.

    Raises:
        Failure: `crashed`; the expression cannot be evaluated with these inputs.
    """
    scope = {**request.scope, **request.input}
    return evaluated_in(request.worker.settings, name, scope, default, request.worker.span)


def evaluated_in(
    settings: Mapping[str, Any],
    name: str,
    scope: Mapping[str, Any],
    default: Any = None,
    declared: Span | None = None,
) -> Any:
    """The value of one of `settings` in a scope; `default` where it is not set.

    Args:
        declared: Where the settings' owner is declared, so that a failure can name the place.

    Raises:
        Failure: `crashed`; the expression cannot be evaluated there.
    """
    value = settings.get(name)
    if value is None:
        return default
    try:
        return _evaluate(value, scope)
    except EvaluationError as error:
        message = clean(f"cannot evaluate `{name}`: {error}", scope)
        raise Failure("crashed", message, where=_where(name, error, declared)) from None


def _where(name: str, error: EvaluationError, declared: Span | None) -> str:
    """The setting that cannot be evaluated, with the part of it where that is in the same file."""
    span = error.span
    if span is None or declared is None or span.source is not declared.source:
        return name if declared is not None else ""
    return f"{name}@{span.start}-{span.end}"


def text_of(value: Any, place: str) -> str:
    """A string, number or bool as text: an argument, a variable, a header, a part of an address.

    A list or map is never spread over several.

    Raises:
        Failure: `crashed`; it is something else.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case None:
            kind = "null"
        case Mapping():
            kind = "a map"
        case list() | tuple():
            kind = "a list"
        case _:  # Jinja2's undefined: a field that this input does not have
            kind = "something that is not there"
    said = f"{place} must be a string or a number, not {kind}"
    raise Failure("crashed", said, where=place)


def _evaluate(value: Any, scope: Mapping[str, Any]) -> Any:
    if isinstance(value, Expression):
        return value.evaluate(scope)
    if isinstance(value, Template):
        return value.render(scope)
    if isinstance(value, (list, tuple)):
        return [_evaluate(item, scope) for item in value]
    if isinstance(value, Mapping):
        return {key: _evaluate(item, scope) for key, item in value.items()}
    return value
