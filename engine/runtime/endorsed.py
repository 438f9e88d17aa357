"""Values that hooks have let pass and endorsed: clean wherever they are in the run.

`endorse = [to]` of a hook adds the leaf values of an input (`before_dispatch`) or of a field of the
output (`after_dispatch`) once the hook has passed. An input whose strings are all endorsed holds no
stranger's words, and an endorsed value keeps every `@from`. The set is a part of the folded state,
so it is the same after a resume, and in every orchestrator of the run. It is bounded: a value that
does not fit is not endorsed.
"""

from __future__ import annotations

from typing import Any

from engine.runtime.leaf_values import key_of, keys_in, leaves_in
from engine.runtime.state import RunState, Task

__all__ = ["MOST_ENDORSED", "add", "is_endorsed"]

#: The most values that a run endorses.
MOST_ENDORSED = 10_000


def add(state: RunState, task: Task, names: frozenset[str], *, output: bool) -> None:
    """Endorse parts of what hooks have let pass.

    Args:
        names: Inputs of the task; or fields of its output, or `output` for all of it.
        output: Whether they are of the output.
    """
    for name in sorted(names):
        of = task.output if output else task.resolved
        part = of if output and name == "output" else _field(of, name)
        for _, leaf in leaves_in(part):
            if leaf.__class__ is bool or leaf in (None, ""):
                continue  # that is in every other input
            if len(state.known.endorsed) >= MOST_ENDORSED:
                return
            state.known.endorsed.add(key_of(leaf))


def is_endorsed(state: RunState, value: Any) -> bool:
    """Whether all strings in a value are endorsed; an object may have words for keys."""
    endorsed = state.known.endorsed
    if not endorsed or any(True for _ in keys_in(value)):
        return False
    return all(key_of(leaf) in endorsed for _, leaf in leaves_in(value) if leaf.__class__ is str)


def _field(value: Any, name: str) -> Any:
    """A field of an output, of each of its items if it is a list."""
    if value.__class__ is list:
        return [_field(inner, name) for inner in value]
    return value.get(name, []) if value.__class__ is dict else []
