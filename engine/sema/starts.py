"""Which starts nothing checks: of effects, and of reads that go where their input says.

A start is checked if a firm hook looks at what matters, or if `@from` says what may start it. A
plan worker does nothing itself: what it calls starts by itself, with checks of its own. So a plan
needs a check only where something inside it has none (`unchecked_inside`), and then a hook on the
plan is one. `@from` on the plan is none: inner workers have their own.

The machine (`engine.runtime.clearance`) and the linter (`engine.linter.taint`) both go by this, so
they cannot disagree. It holds facts of the program, and nothing of a run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Literal

import msgspec

from engine.sema.model import Orchestrator, Program, Worker, fallback_chain, reached
from engine.sema.plans.steps import EachStep, ReduceStep, RepeatStep, Step, TaskStep, selection_of
from engine.sema.plans.values import FromInput, FromItem, FromStep, Leaf, leaves
from engine.sema.trust import anchors, clears, clears_start, facts_of, inputs_not_seen

__all__ = ["Start", "acts", "is_checked", "unchecked_inside"]

#: What must not start unchecked with a stranger's words.
Start = Literal["effect", "way_out"]

#: A step that calls a worker.
_Call = TaskStep | EachStep | ReduceStep


def acts(program: Program, worker: Worker, kind: Start) -> bool:
    """Whether a worker without a plan has an effect, or else goes where its input says."""
    if kind == "effect" or worker.changes_something:
        return kind == "effect" and worker.changes_something
    return bool(facts_of(program, worker).address)


def is_checked(
    program: Program,
    orchestrator: Orchestrator,
    worker: Worker,
    kind: Start,
    calls: _Calls | None = None,
) -> bool:
    """Whether no stranger's words start it: its hooks look, or `@from` says what may.

    What an `@from` binds is not in the address, so where there is one, another input decides.

    Args:
        calls: The calls of the plan that starts it; None: a planner starts it.
    """
    verifiers = program.verifiers
    is_plan = worker.plan is not None
    if kind == "effect":
        names = frozenset() if is_plan else anchors(worker)
        anchored = bool(names) and (calls is None or calls.are_given(worker.name, names))
        return anchored or clears_start(orchestrator, worker, verifiers)
    if is_plan:
        # Any input may become an address. A plan that only reads is never denied itself, so a
        # hook on it does not look `when = tainted`.
        always = tuple(hook for hook in orchestrator.hooks if hook.when is None)
        orchestrator = msgspec.structs.replace(orchestrator, hooks=always)
        address = facts_of(program, worker).hears
    else:
        address = facts_of(program, worker).address
    return clears(orchestrator, "before_dispatch", worker.name, verifiers) and (
        address.isdisjoint(inputs_not_seen(orchestrator, worker, verifiers))
    )


def unchecked_inside(
    program: Program, orchestrator: Orchestrator, plan: Worker, kind: Start = "effect"
) -> set[str]:
    """The workers that a plan calls whose starts nothing checks, plans among them included."""
    if plan.plan is None:
        return set()
    calls = _Calls(program, plan)
    found = {
        worker.name
        for worker in calls.workers
        if acts(program, worker, kind)
        and not is_checked(program, orchestrator, worker, kind, calls)
        and not (kind == "way_out" and calls.go_where_written(worker))
    }
    return found | {name for name in calls.plans if found & set(reached(program.workers, [name]))}


class _Calls:
    """What a plan calls, and the plans that it calls.

    Attributes:
        plans: The names of these plans, itself the first.
        workers: The other workers that are called, or replace one that is.
    """

    def __init__(self, program: Program, plan: Worker) -> None:
        inside = [program.workers[name] for name in reached(program.workers, [plan.name])]
        self._program = program
        self._root = plan.name
        self.plans = [one.name for one in inside if one.plan is not None]
        self.workers = [one for one in inside if one.plan is None]
        self._steps: dict[str, list[tuple[str, _Call]]] = {}
        for one in inside:
            for step in () if one.plan is None else _calls(one.plan.steps):
                for name in fallback_chain(program.workers, step.worker):
                    self._steps.setdefault(name, []).append((one.name, step))

    def go_where_written(self, worker: Worker) -> bool:
        """Whether each step that calls a worker says in the file whom it talks to."""
        address = facts_of(self._program, worker).address
        calls = self._steps.get(worker.name, ())
        return bool(calls) and not any(
            _first(path) in address for _, step in calls for path, _ in leaves(step.input)
        )

    def are_given(self, worker: str, names: Collection[str]) -> bool:
        """Whether each call of a worker is given a value for one of these inputs from outside.

        What the file has written itself ties a call to no request: strangers could still decide
        that it is made.
        """
        calls = self._steps.get(worker)
        return bool(calls) and all(
            any(
                self._is_given(plan, step, leaf)
                for path, leaf in leaves(step.input)
                if _first(path) in names
            )
            for plan, step in calls or ()
        )

    def _is_given(self, plan: str, step: _Call, leaf: Leaf) -> bool:
        """Whether a leaf is a value from outside the plans, or what a worker has given."""
        match leaf:
            case FromStep(view=view):
                return view == "outputs"
            case FromInput(at=at):
                name = _first(at)
                fields = getattr(self._program.workers[plan].inputs.type, "fields", ())
                if not any(field.name == name and field.required for field in fields):
                    return False
                return plan == self._root or self.are_given(plan, {name})
            case FromItem():
                selection = selection_of(step)
                return selection is not None and all(
                    self._is_given(plan, step, one) for one in selection.sources
                )
        return False


def _first(pointer: str) -> str:
    return pointer[1:].partition("/")[0]


def _calls(steps: Sequence[Step]) -> Iterator[_Call]:
    for step in steps:
        if isinstance(step, RepeatStep):
            yield from _calls(step.steps)
        else:
            yield step
