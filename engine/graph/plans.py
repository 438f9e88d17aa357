"""The steps of plans in the graph: what they call, and which steps read which.

A step is a node of its own. Its id is the name of the plan and the step, with a slash between
them, which no name of a file has: `review_all/survey`, `review_all/final/draft`.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.sema.model import Worker
from engine.sema.plans.steps import RepeatStep, Step, kind_of, selection_of, step_leaves
from engine.sema.plans.values import Computed, FromStep, Leaf

__all__ = ["PlanStep", "leaves_read", "reads_of", "steps_of"]


class PlanStep:
    """A step with its place in the graph.

    Attributes:
        id: Its id.
        owner: The id of the plan or the `repeat` that it is in.
        reads: The ids of the steps that it reads or waits for.
    """

    def __init__(self, id: str, owner: str, step: Step, reads: list[str]) -> None:
        self.id = id
        self.owner = owner
        self.step = step
        self.reads = reads

    @property
    def worker(self) -> str | None:
        """The worker that it calls; None for a `repeat`."""
        return None if isinstance(self.step, RepeatStep) else self.step.worker

    @property
    def kind(self) -> str:
        """`task`, `each`, `reduce` or `repeat`."""
        return kind_of(self.step)


def steps_of(worker: Worker) -> Iterator[PlanStep]:
    """Every step of a plan, in order; nothing for other workers."""
    if worker.plan is not None:
        yield from _steps(worker.plan.steps, worker.name, {})


def _steps(steps: tuple[Step, ...], owner: str, seen: dict[str, str]) -> Iterator[PlanStep]:
    known = dict(seen)
    for step in steps:
        id = f"{owner}/{step.id}"
        reads = [known[name] for name in reads_of(step) if name in known]
        yield PlanStep(id, owner, step, reads)
        if isinstance(step, RepeatStep):
            yield from _steps(step.steps, id, known)
        known[step.id] = id


def reads_of(step: Step) -> list[str]:
    """The names of the steps that a step reads or waits for, each once; for a `repeat`, outside."""
    found: dict[str, None] = dict.fromkeys(step.after)
    for leaf in _leaves(step):
        found |= dict.fromkeys(_names(leaf))
    inner = {own.id for own in step.steps} if isinstance(step, RepeatStep) else set()
    return [name for name in found if name not in inner]


def leaves_read(step: Step, name: str) -> list[Leaf]:
    """The leaves by which a step reads another one; none if it only waits for its end."""
    return [leaf for leaf in _leaves(step) if name in _names(leaf)]


def _leaves(step: Step) -> list[Leaf]:
    selection = selection_of(step)
    sources: list[Leaf] = [] if selection is None else list(selection.sources)
    return [leaf for _, leaf in step_leaves(step)] + sources


def _names(leaf: Leaf) -> list[str]:
    if isinstance(leaf, FromStep):
        return [leaf.name]
    return sorted(leaf.names) if isinstance(leaf, Computed) else []
