"""How many tasks the steps of a plan worker become, before any of them starts.

Each step that calls a worker is an entry of its own. What the types bound is known from the file
alone. Where the inputs of the task are known, an `each` or `reduce` over them is counted exactly.
An `each` over another one has at most as many tasks as that. What a step reads from a task that is
still to come has no number of its own: then `max_items` of the plan is the bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.bounds import revisions
from engine.runtime.estimate import Entry
from engine.runtime.grants import known_input
from engine.runtime.state import Frame, Loop, RunState, Step, Task
from engine.runtime.steps import selecting
from engine.sema.model import Orchestrator, Worker, fallback_chain
from engine.sema.plans.counts import Count, least_of, plus, reduce_calls
from engine.sema.plans.selection import Selection
from engine.sema.plans.steps import EachStep, ReduceStep, RepeatStep, TaskStep, shaper_leaves
from engine.sema.plans.steps import Step as Spec
from engine.sema.plans.values import FromStep, names_of

__all__ = ["inside", "runs"]


def inside(
    state: RunState, loop: Loop, worker: Worker | Orchestrator, task: Task | None = None
) -> tuple[Entry, ...]:
    """The steps of one run of a plan worker, or of a plan that replaces a worker.

    Args:
        task: The task that runs it, if its inputs are known.

    Returns:
        The steps as entries, by their paths; those of a plan that a step calls are inside that.
        Empty for a worker without a plan.
    """
    if isinstance(worker, Orchestrator):
        return ()
    found: list[Entry] = []
    for name in fallback_chain(state.program.workers, worker.name):
        own = state.program.workers[name]
        if own.plan is None:
            continue
        known = _known(state, task, own)
        for path, alone, spec in _calls(own.plan.steps, "", 1):
            called = state.program.workers.get(spec.worker)
            target = state.program.orchestrators[spec.worker] if called is None else called
            bound = least_of(own.plan.most.get(path), own.plan.max_items)
            fewest, most = known.get(path, (alone, bound))
            # A plan that replaces a worker may not run, and a step that does not fit fails whole.
            may_be_none = name != worker.name or spec.when is not None or fewest > (bound or 0)
            entry = Entry(
                path,
                target,
                0 if may_be_none else fewest,
                least_of(most, bound),
                inside(state, loop, target),
                runs(loop, target),
            )
            found.append(entry)
    return tuple(found)


def runs(loop: Loop, worker: Worker | Orchestrator) -> int:
    """How often one task of a worker may run its steps: again after each revision."""
    return 1 + revisions(loop.orchestrator, "after_dispatch", worker.name)


def _calls(
    steps: tuple[Spec, ...], head: str, least: int
) -> Iterator[tuple[str, int, TaskStep | EachStep | ReduceStep]]:
    """Each step that calls a worker: its path, its fewest tasks, and the step."""
    for spec in steps:
        if isinstance(spec, RepeatStep):
            yield from _calls(spec.steps, f"{head}{spec.id}.", 0 if spec.when else least)
        else:
            yield f"{head}{spec.id}", least if isinstance(spec, TaskStep) else 0, spec


def _known(state: RunState, task: Task | None, worker: Worker) -> Mapping[str, tuple[int, Count]]:
    """The fewest and the most tasks of the steps outside of passes that the inputs decide."""
    if task is None or worker is not task.worker or worker.plan is None:
        return {}
    inputs = known_input(task)
    if inputs is None:
        return {}
    frame = Frame(task, inputs, f"{task.path} / ")
    names = {spec.id for spec in worker.plan.steps}
    found: dict[str, tuple[int, Count]] = {}
    eaches: dict[str, Count] = {}
    for spec in worker.plan.steps:
        if not isinstance(spec, EachStep | ReduceStep):
            continue
        selection = spec.each if isinstance(spec, EachStep) else spec.reduce
        if not names & set(_names(selection)):
            most: Count = _values(state, frame, spec)
            if most is None:
                continue
            fewest = most
        else:
            fewest, most = 0, _streamed(selection, eaches)
        if isinstance(spec, ReduceStep):
            fewest, most = reduce_calls(fewest, spec.size), _reduced(most, spec.size)
        else:
            eaches[spec.id] = most
        found[spec.id] = fewest, most
    return found


def _reduced(values: Count, size: int) -> Count:
    # One value takes a call unless it has the type of the output.
    return None if values is None else max(reduce_calls(values, size), min(1, values))


def _names(selection: Selection) -> Iterator[str]:
    """The names that a selection reads."""
    for leaf in (*selection.sources, *(leaf for _, leaf in shaper_leaves(selection))):
        yield from names_of(leaf)


def _values(state: RunState, frame: Frame, spec: EachStep | ReduceStep) -> int | None:
    """How many values are selected from inputs alone; None if the selection cannot be made."""
    owner = frame.owner
    probe = Step(spec, owner.worker, frame.loop, owner.key, spec.id, frame)
    return selecting.number_of(state, probe)


def _streamed(selection: Selection, eaches: Mapping[str, Count]) -> Count:
    """The most values of a selection from other steps; None where no number is known."""
    taken = selection.take if isinstance(selection.take, int) else None
    if selection.flatten is not None or selection.entries:
        return taken
    sources = [
        eaches.get(source.name) if isinstance(source, FromStep) and not source.at else None
        for source in selection.sources
    ]
    return least_of(taken, plus(*sources))
