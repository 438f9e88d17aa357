"""ORC211: workers of which their planner knows nothing but the name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.subject import Subject
from engine.schemes import built_in
from engine.sema.model import Orchestrator, Worker

__all__ = ["missing_description"]


MISSING_DESCRIPTION = Rule(
    code="ORC211",
    name="missing-description",
    severity="info",
    summary="A worker has no doc comment, and a model chooses it by its description.",
    why=(
        "What a planner knows of a worker is its name, its inputs and its doc comment. "
        "Told where most workers of the same orchestrator are described."
    ),
    bad="""\
/// Says less of a topic.
worker less(q: string) -> string via llm { model = fast  prompt = "{{ q }}" }
/// Says more of a topic.
worker more(q: string) -> string via llm { model = fast  prompt = "{{ q }}" }
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search, less, more]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good="""\
/// Says less of a topic.
worker less(q: string) -> string via llm { model = fast  prompt = "{{ q }}" }
/// Says more of a topic.
worker more(q: string) -> string via llm { model = fast  prompt = "{{ q }}" }
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [less, more]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    allowable=True,
)


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
