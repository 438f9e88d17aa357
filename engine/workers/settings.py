"""Values of a worker's settings, where they are computed from the call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import Failure
from engine.runtime.ports import WorkerRequest
from engine.sema.templates import EvaluationError, Expression, Template
from engine.workers.messages import clean

__all__ = ["evaluated"]


def evaluated(request: WorkerRequest, name: str, default: Any = None) -> Any:
    """The value of the setting `name` for this call; `default` where it is not set.

    Raises:
        Failure: `crashed`; the expression cannot be evaluated with these inputs.
    """
    value = request.worker.settings.get(name)
    if value is None:
        return default
    scope = {**request.scope, **request.input}
    try:
        return _evaluate(value, scope)
    except EvaluationError as error:
        message = clean(f"cannot evaluate `{name}`: {error}", request.scope)
        raise Failure("crashed", message) from None


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
