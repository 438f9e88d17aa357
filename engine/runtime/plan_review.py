"""One look at a decision's tasks before any of them starts (`before_round`).

The tasks are made and checked, but not entered: their ids are free, nothing is counted, and what
they refer to does not start them. If the hooks let the plan pass, the round continues as it
would have without them. A person may replace the plan; theirs is checked like a decision, and the
hooks look at it again.

`rounds` says when this happens, and `verify` runs the hooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.events import GateAnswered
from engine.runtime import gates, grants, verify, views
from engine.runtime.changed import is_of_plan
from engine.runtime.counting import entries_of
from engine.runtime.decision import DecisionError
from engine.runtime.estimate import effect_of, estimate, most_cost
from engine.runtime.plain_tasks import unwire
from engine.runtime.planning import make_tasks
from engine.runtime.prompts import rejections
from engine.runtime.sources import sources
from engine.runtime.state import Gate, HookRun, Loop, RunState, Step, Task

__all__ = [
    "bare_plan",
    "edit_problems",
    "listed",
    "passage",
    "plan_report",
    "read_edit",
    "read_plan",
    "replaced",
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
    # At once, and not when it is asked for: what has been spent by then is another number.
    entries = entries_of(state, loop, current.planned)
    current.counts = {entry.id: entry.most for entry in entries}
    found = current.estimate = estimate(state, loop, entries)
    offers = views.hook_offers(state, loop)
    offers["estimate"] = lambda: found
    hooks = loop.hooks("before_round")
    return HookRun(hooks, loop, f"{round_path(loop)} / before_round{edit}", offers, None)


def take(loop: Loop, *, refused: bool = False) -> list[Task | Step]:
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

#: What is shown of an entry of a plan besides its own keys (`listed`, and `plan` in hooks).
SHOWN_OF_ENTRY = frozenset({"effect", "kind", "least", "most", "cost_most", "steps", "tainted"})
#: What is shown of a plan besides its own keys.
SHOWN_OF_PLAN = frozenset({"workflow", "orchestrator", "estimate", "problems"})


def read_plan(state: RunState, loop: Loop, plan: Any) -> tuple[dict[str, Any], list[Task | Step]]:
    """A plan that is not the planner's as a decision, and its tasks: none where it finishes.

    The tasks are wired to those that run already, and to nothing else (`unwire`).

    Raises:
        DecisionError: It is not one that could run now.
    """
    decision = loop.decisions.read(plan)
    if "finish" in decision:
        return decision, []
    key = f"{loop.path}round {loop.round} / decision {loop.current.attempts}"
    key += f" / edit {loop.current.edits + 1}"
    return decision, make_tasks(loop, decision, key, bounded=bool(state.bounds))


def bare_plan(given: Any) -> Any:
    """A person's plan without what is only shown of one, in `orch gates`, `orch plan` and hooks.

    Args:
        given: A decision; or what one of these commands printed about it, perhaps changed.
    """
    gate = given[0] if isinstance(given, list) and len(given) == 1 else given
    if isinstance(gate, dict) and "tasks" not in gate and isinstance(gate.get("plan"), dict):
        given = gate["plan"]
    if not isinstance(given, dict) or not isinstance(given.get("tasks"), list):
        return given
    tasks = [
        {key: value for key, value in entry.items() if key not in SHOWN_OF_ENTRY}
        if isinstance(entry, dict)
        else entry
        for entry in given["tasks"]
    ]
    about = SHOWN_OF_PLAN if "estimate" in given else ()
    rest = {key: value for key, value in given.items() if key not in about}
    if rest.get("finish", 0) is None:
        del rest["finish"]
    return {**rest, "tasks": tasks}


def read_edit(state: RunState, loop: Loop, edit: Any) -> tuple[dict[str, Any], list[Task | Step]]:
    """A person's plan, as `read_plan` gives it; it must have tasks.

    Raises:
        DecisionError: It is not one that could run now.
    """
    decision, tasks = read_plan(state, loop, edit)
    if not tasks:
        raise DecisionError([rejections.PLAN_HAS_NO_TASKS])
    return decision, tasks


def edit_problems(state: RunState, loop: Loop, edit: Any) -> list[str]:
    """What is wrong with a person's plan, as a planner would be told; nothing is changed."""
    try:
        _, tasks = read_edit(state, loop, edit)
    except DecisionError as error:
        return error.problems
    unwire(loop, tasks)
    return []


def replaced(state: RunState, gate: Gate, event: GateAnswered) -> bool:
    """Take in the plan that a person gives instead of an approval, and have the hooks look at it.

    Returns:
        False where the answer has no plan, or the one that they are looking at: it is an answer
        like any other then.
    """
    check, loop = gate.check, gate.loop
    if check is None or not is_of_plan(gate) or event.edit is None or event.answer != "approve":
        return False
    try:
        decision, tasks = read_edit(state, loop, event.edit)
    except DecisionError as error:
        state.warnings.append(f"the edited plan cannot run; asking again: {error}")
        gates.ask(state, gate)
        return True
    if decision["tasks"] == (loop.current.decision or {}).get("tasks"):
        unwire(loop, tasks)
        return False
    verify.supersede(state, check.hook_run)
    _replace(loop, decision, tasks, event.by)
    again = passage(state, loop)
    # The person who wrote it has approved it; the other verifiers have not.
    grants.approve(state, loop, check.verifier.name, tasks)
    verify.begin(state, again)
    return True


def _replace(loop: Loop, decision: dict[str, Any], tasks: list[Task | Step], by: str) -> None:
    """Replace the planner's plan by a person's."""
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


def plan_report(state: RunState, loop: Loop) -> dict[str, Any]:
    """The plan that waits for its hooks: its entries and its estimate.

    Returns:
        `{tasks, estimate}`; see `listed` and `engine.runtime.estimate`.
    """
    current = loop.current
    specs = (current.decision or {}).get("tasks", ())
    tasks = listed(state, loop, specs, current.planned)
    return {"tasks": tasks, "estimate": current.estimate}


def listed(
    state: RunState, loop: Loop, specs: Sequence[Mapping[str, Any]], tasks: list[Task | Step]
) -> list[dict[str, Any]]:
    """The entries of a plan as plain data; money in micro-dollars.

    Args:
        specs: The entries as the decision has them.

    Returns:
        `[{...spec, effect, least, most, cost_most, tainted, steps}]`, with the keys that the
        decision gave; the others are in `SHOWN_OF_ENTRY`, so that a person can give the list back.
        `tainted` are the parts of a task's input that may hold a stranger's words, as JSON
        Pointers; None for a step, whose items are not known yet.
        `steps` are those inside a plan worker: `{step, worker, effect, least, most}`, where the
        numbers are of the tasks of the whole entry.
    """
    written = {spec["id"]: spec for spec in specs}
    by_id = {task.id: task for task in tasks}
    return [
        {
            **written[entry.id],
            "effect": effect_of(entry.worker),
            "least": entry.least,
            "most": entry.most,
            "cost_most": most_cost(state, loop, entry),
            "tainted": _tainted(state, by_id.get(entry.id)),
            "steps": [
                {
                    "step": one.id.partition("/")[2],
                    "worker": one.worker.name,
                    "effect": effect_of(one.worker),
                    "least": one.least,
                    "most": one.most,
                }
                for one in entry.flat()
                if one is not entry
            ],
        }
        for entry in entries_of(state, loop, tasks)
    ]


def _tainted(state: RunState, entry: Task | Step | None) -> list[str] | None:
    if not isinstance(entry, Task):
        return None
    return [*dict.fromkeys(one.path for one in sources(state, entry) if one.tainted)]
