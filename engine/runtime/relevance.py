"""Whether a hook looks at all: its `when`, an expression over what the hook offers.

A hook that does not look lets nothing be blocked and clears nothing: the passage goes to the hook
after it. Where `when` cannot be evaluated the hook looks, and the run has a warning: a slip in a
test must not switch a check off.

Everything here is a function of the folded state, so a resume decides the same.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from engine.runtime import sizes
from engine.runtime.state import HookRun, RunState
from engine.runtime.views import About
from engine.sema.expressions.template import EvaluationError, Expression
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["looks"]

#: How much of what is wrong with a `when` is told, in characters.
SHOWN_PROBLEM = 300


def looks(state: RunState, run: HookRun) -> bool:
    """Whether the hook whose turn it is looks at what the passage is about."""
    when = run.hook.when
    if when is None:
        return True
    try:
        return bool(when.evaluate(_scope(state, run, when)))
    except EvaluationError as error:
        _warn(state, run, error)
        return True


def _scope(state: RunState, run: HookRun, when: Expression) -> dict[str, Any]:
    """The values of the names that the expression reads; the others are not computed."""
    scope: dict[str, Any] = {"param": state.params}
    inputs = {} if run.task is None else run.task.worker.inputs.schema.get("properties", {})
    for name in when.names:
        if name not in run.offers:
            if name in inputs:
                scope[name] = None  # an optional input that was not given
            continue
        offer = run.offers[name]
        fields = _fields_of_task(when) if isinstance(offer, About) else None
        scope[name] = offer.some(fields) if isinstance(offer, About) and fields else offer()
    return scope


@lru_cache(maxsize=256)
def _fields_of_task(when: Expression) -> frozenset[str]:
    """The fields of `task` that a test reads; none where it reads all of it."""
    fields: set[str] = set()
    whole = 0
    for node in walk(when.expr):
        match node:
            case ast.Variable(name="task"):
                whole += 1
            case ast.Attribute(object=ast.Variable(name="task"), name=name):
                fields.add(name)
                whole -= 1
    return frozenset() if whole else frozenset(fields)


def _warn(state: RunState, run: HookRun, error: EvaluationError) -> None:
    """Say once for each hook that its `when` could not be evaluated."""
    hook = run.hook
    point = hook.point if hook.worker is None else f"{hook.point} {hook.worker}"
    head = f"`when` of `{point}` of `{run.loop.orchestrator.name}` cannot be evaluated"
    if not any(warning.startswith(head) for warning in state.warnings):
        said = sizes.cut(state, str(error), SHOWN_PROBLEM)
        state.warnings.append(f"{head}, so its verifiers looked: {said}")
