"""ORC211: workers of which their planner knows nothing but the name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.linter.subject import Subject
from engine.schemes import built_in
from engine.sema.model import Orchestrator, Worker

__all__ = ["missing_description"]


def missing_description(subject: Subject) -> Iterator[Diagnostic]:
    """ORC211: a worker without `///` that a language model chooses by its description.

    Only where most of an orchestrator's workers have one: a file that describes little is a sketch.
    """
    program = subject.program
    callables: dict[str, Worker | Orchestrator] = {**program.workers, **program.orchestrators}
    described = {loop.name for loop in program.orchestrators.values() if _mostly(loop, callables)}
    for name in subject.declared:
        worker = callables.get(name)
        if worker is None or worker.doc:
            continue
        for loop in program.orchestrators.values():
            model = program.models.get(loop.model)
            asked = model is not None and built_in(model.id) not in ("python", "scripted", "memory")
            if asked and name in loop.workers and name != loop.name and loop.name in described:
                yield diagnostic(
                    "ORC211",
                    f"`{name}` has no `///`: the model of `{loop.name}` sees only its name and "
                    "its inputs",
                    worker.span,
                    help="say in a line before it what it does and when to use it",
                    related=(Related("it plans here", loop.span),),
                )
                break


def _mostly(loop: Orchestrator, callables: Mapping[str, Worker | Orchestrator]) -> bool:
    docs = [callables[name].doc for name in loop.workers if name in callables]
    return sum(map(bool, docs)) * 2 > len(docs)
