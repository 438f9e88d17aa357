"""One look at a decision's tasks before any of them starts (`before_round`).

The tasks are made and checked, but not entered: their ids are free, nothing is counted, and what
they refer to does not start them. If the hooks let the plan pass, the round goes on as it would
have without them. A person may put another plan in its place; it is checked like a decision, and
the hooks look at it again.

`rounds` says when this happens, and `verify` runs the hooks.
"""

from __future__ import annotations

from typing import Any

from engine.runtime import views
from engine.runtime.decision import DecisionError
from engine.runtime.estimate import effect_of, entries_of, estimate
from engine.runtime.planning import make_tasks, unwire
from engine.runtime.prompts import rejections
from engine.runtime.state import Gate, HookRun, Loop, RunState, Task

__all__ = [
    "edit_problems",
    "is_of_plan",
    "passage",
    "plan_report",
    "read_edit",
    "replace",
    "round_path",
    "take",
]


def round_path(loop: Loop) -> str:
    """What the keys of a round's checks begin with: another each time the round is retried."""
    again = loop.current.again
    return f"{loop.path}round {loop.round}" + (f" / again {again}" if again else "")


def passage(state: RunState, loop: Loop) -> HookRun:
    """The hooks that look at the plan of the round, and what they are offered."""
    current = loop.current
    edit = f" / edit {current.edits}" if current.edits else ""
    offers = views.hook_offers(loop)
    tasks = current.planned
    offers["estimate"] = lambda: estimate(state, loop, entries_of(tasks))
    hooks = loop.hooks("before_round")
    return HookRun(hooks, loop, f"{round_path(loop)} / before_round{edit}", offers, None)


def take(loop: Loop, *, refused: bool = False) -> list[Task]:
    """The tasks that were looked at; they are held back no more.

    Args:
        refused: None of them will start, and what runs already must not start them either.
    """
    tasks, loop.current.planned = loop.current.planned, []
    if refused:
        loop.current.refused = True
        unwire(loop, tasks)
    return tasks


# ---------------------------------------------------------------- a person's own plan


def read_edit(state: RunState, loop: Loop, edit: Any) -> tuple[dict[str, Any], list[Task]]:
    """A person's plan as a decision, and its tasks; nothing is changed.

    Raises:
        DecisionError: It is not one that could run now.
    """
    decision = loop.decisions.read(edit)
    if "finish" in decision:
        raise DecisionError([rejections.PLAN_HAS_NO_TASKS])
    key = f"{loop.path}round {loop.round} / decision {loop.current.attempts}"
    key += f" / edit {loop.current.edits + 1}"
    return decision, make_tasks(loop, decision, key, bounded=bool(state.bounds))


def edit_problems(state: RunState, loop: Loop, edit: Any) -> list[str]:
    """What is wrong with a person's plan, as a planner would be told; nothing is changed."""
    try:
        _, tasks = read_edit(state, loop, edit)
    except DecisionError as error:
        return error.problems
    unwire(loop, tasks)
    return []


def replace(loop: Loop, decision: dict[str, Any], tasks: list[Task], by: str) -> None:
    """Put a person's plan in the place of the planner's."""
    current = loop.current
    unwire(loop, current.planned)
    before = current.decision or {}
    if current.proposed is None:
        current.proposed = before
    said = {"assessment": before["assessment"]} if "assessment" in before else {}
    current.decision = {**said, **decision}
    current.planned = tasks
    current.edits += 1
    current.edited_by = by


# ---------------------------------------------------------------- for people


def is_of_plan(gate: Gate) -> bool:
    """Whether a gate asks for a plan to be approved."""
    run = gate.resume if gate.check is None else gate.check.hook_run
    return run is not None and run.hook.point == "before_round"


def plan_report(state: RunState, loop: Loop) -> dict[str, Any]:
    """The plan that waits for its hooks: its entries and its estimate.

    Returns:
        `{tasks: [{id, worker, effect, input, least, most}], estimate}`.
    """
    tasks = loop.current.planned
    found = estimate(state, loop, entries_of(tasks))
    return {"tasks": [_entry(task) for task in tasks], "estimate": found}


def _entry(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "worker": task.worker.name,
        "effect": effect_of(task.worker),
        "input": task.input,
        "least": 1,
        "most": 1,
    }
