"""What follows from what plans call: effect, trust, `show`; and errors that need all workers.

The effect of a plan is the strongest of what it calls, its trust the weakest; a plan that does not
say what a planner sees of it shows the least that a worker says which it calls. What replaces a
worker that fails counts as called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter

import msgspec

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.sema.declarations.plans.reading import ReadPlan
from engine.sema.model import Effect, Worker, called_by
from engine.sema.settings.table import SHOW

__all__ = ["derive"]

_EFFECTS: tuple[Effect, ...] = ("pure", "read", "write", "once")


def derive(
    plans: Mapping[str, ReadPlan],
    workers: dict[str, Worker],
    report: Callable[[Diagnostic], None],
) -> None:
    """Complete the plan workers among `workers`, and report what is wrong between plans."""
    for name in _in_order(plans, workers, report):
        if name in plans:
            workers[name] = _derived(workers[name], workers)
    for read in plans.values():
        _reduced(read, workers, report)
        if read.is_sound:
            _unused(read, workers, report)


def _in_order(
    plans: Mapping[str, ReadPlan],
    workers: Mapping[str, Worker],
    report: Callable[[Diagnostic], None],
) -> list[str]:
    """All workers, those that are called first; plans that call themselves are reported."""
    edges = {name: set(called_by(worker)) & workers.keys() for name, worker in workers.items()}
    while True:
        try:
            return list(TopologicalSorter(edges).static_order())
        except CycleError as error:
            # graphlib lists a cycle from what must come first, and repeats the first at the end.
            cycle: list[str] = list(reversed(error.args[1][1:]))
            planned = [name for name in cycle if name in plans]
            if planned:
                start = cycle.index(min(planned, key=list(workers).index))
                cycle = cycle[start:] + cycle[:start]
                _recursive(cycle, plans, workers, report)
            for name in cycle:
                edges[name] -= set(cycle)


def _recursive(
    cycle: list[str],
    plans: Mapping[str, ReadPlan],
    workers: Mapping[str, Worker],
    report: Callable[[Diagnostic], None],
) -> None:
    first, following = cycle[0], cycle[1] if len(cycle) > 1 else cycle[0]
    called = next((c for c in plans[first].calls if c.worker == following), None)
    report(
        diagnostic(
            "ORC422",
            f"plan `{first}` calls itself: {' -> '.join([*cycle, first])}",
            workers[first].span if called is None else called.span,
            help="a plan cannot call itself; for passes over steps, there is `repeat`",
            related=tuple(
                Related(f"`{name}` takes part", workers[name].span) for name in cycle[1:]
            ),
        )
    )


def _derived(worker: Worker, workers: Mapping[str, Worker]) -> Worker:
    called = [workers[name] for name in called_by(worker) if name in workers]
    strongest = max((_EFFECTS.index(other.effect) for other in called), default=0)
    untrusted = any(other.trust == "untrusted" for other in called)
    shows = [other.show for other in called if other.show is not None]
    return msgspec.structs.replace(
        worker,
        effect=_EFFECTS[strongest],
        trust="untrusted" if untrusted else "trusted",
        show=worker.show or max(shows, key=SHOW.options.index, default=None),
    )


def _reduced(
    read: ReadPlan, workers: Mapping[str, Worker], report: Callable[[Diagnostic], None]
) -> None:
    for called in read.reduced:
        worker = workers.get(called.worker)
        if worker is not None and worker.changes_something:
            report(
                diagnostic(
                    "ORC520",
                    f"`reduce` cannot call `{called.name}`, whose effect is `{worker.effect}`",
                    called.span,
                    help="combine the values first, and call it in a step of its own",
                    related=(Related("declared here", worker.span),),
                )
            )


def _unused(
    read: ReadPlan, workers: Mapping[str, Worker], report: Callable[[Diagnostic], None]
) -> None:
    for step in read.steps:
        called = [workers[name] for name in step.workers if name in workers]
        if step.uses or any(worker.changes_something for worker in called):
            continue
        report(
            diagnostic(
                "ORC711",
                f"nothing reads what step `{step.name}` gives",
                step.span,
                help="remove it, or use it in a later step or in `result`",
            )
        )
