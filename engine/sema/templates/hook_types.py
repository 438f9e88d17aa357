"""The names and types that a hook offers to the expression of its `when`.

`engine.runtime.views.hook_offers`, a layer above this one, gives their values; the verifiers of a
hook bind the same names. A name of the hook covers an input of the worker with that name.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.sema.templates.run_types import ESTIMATE
from engine.sema.types.definitions import (
    ANY,
    BOOL,
    INT,
    STRING,
    Array,
    Constant,
    Field,
    Optional,
    Record,
    Type,
    union_of,
)

__all__ = ["SOURCE", "TASK", "hook_names"]

#: One part of a task's input, and where it came from (`engine.runtime.sources`).
SOURCE = Record(
    "Source",
    (
        Field("path", STRING),
        Field(
            "kind",
            union_of([Constant(k) for k in ("planner", "output", "program", "caller", "person")]),
        ),
        Field("task", Optional(STRING)),
        Field("worker", Optional(STRING)),
        Field("at", Optional(STRING)),
        Field("tainted", BOOL),
    ),
)

#: What a dispatch hook offers as `task`.
TASK = Record(
    "Task",
    (
        Field("id", STRING),
        Field("worker", STRING),
        Field("key", STRING),
        Field("round", INT),
        Field("tainted", BOOL),
        Field("unsourced", Array(STRING)),
        Field("sources", Array(SOURCE)),
    ),
)

_ALWAYS: dict[str, Type] = {
    "goal": STRING,
    "plan": ANY,
    "rounds": ANY,
    "outputs": ANY,
    "tasks": ANY,
    "log": ANY,
}


def hook_names(
    point: str, *, result: Type, inputs: Sequence[Field], output: Type
) -> dict[str, Type]:
    """The types of the names that a hook offers.

    Args:
        point: Where it looks: `before_dispatch`, ...
        result: What its orchestrator returns.
        inputs: The inputs of the worker that it is about.
        output: What that worker returns.
    """
    names = {field.name: field.type for field in inputs} if point == "before_dispatch" else {}
    names.update(_ALWAYS)
    match point:
        case "before_dispatch":
            names.update(task=TASK, input=Record(None, tuple(inputs)), tainted=BOOL)
        case "after_dispatch":
            names.update(task=TASK, input=Record(None, tuple(inputs)), output=output, tainted=BOOL)
        case "before_round":
            names.update(estimate=ESTIMATE)
        case "before_finish":
            names.update(result=result, tainted=BOOL)
        case "after_round":
            pass
    return names
