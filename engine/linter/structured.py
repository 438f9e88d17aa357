"""ORC210: outputs and decisions whose schema a provider cannot hold a model to."""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import setting_of
from engine.linter.subject import Subject
from engine.prices import look_up
from engine.schemes import built_in
from engine.sema.model import Model, Orchestrator, Worker
from engine.sema.types.contract import Contract
from engine.sema.types.strict_schema import Inexpressible, strict_schema
from engine.source import Span
from engine.syntax import ast

__all__ = ["schema_in_the_prompt"]


SCHEMA_IN_THE_PROMPT = Rule(
    code="ORC210",
    name="schema-in-the-prompt",
    severity="info",
    summary="A provider cannot enforce this schema, so it is written into the prompt.",
    why=(
        "Providers can enforce only closed schemas. Any other schema is text in the prompt, "
        "and more answers have to be repaired."
    ),
    bad="""\
worker tell(q: string) -> { found: json } via llm { model = fast  prompt = "{{ q }}" }""",
    good="""\
worker tell(q: string) -> { found: string[] } via llm { model = fast  prompt = "{{ q }}" }""",
    allowable=True,
)


def schema_in_the_prompt(subject: Subject) -> Iterator[Diagnostic]:
    """ORC210: a model that takes schemas, and a schema that it does not take."""
    if not subject.complete:
        return
    program = subject.program
    for name in subject.declared:
        worker, loop = program.workers.get(name), program.orchestrators.get(name)
        if worker is not None and worker.facts.model is not None:
            place = _loose(worker.output)
            if place is not None and _takes_schemas(program.models.get(worker.facts.model)):
                yield _finding(
                    f"{_field(place, 'the output')} of `{name}` is open",
                    _output(subject, worker),
                )
        elif loop is not None and _takes_schemas(program.models.get(loop.model)):
            found = _in_decision(subject, loop)
            if found is not None:
                what, related = found
                yield _finding(
                    f"{what}, so every decision of `{name}` is", _output(subject, loop), related
                )


def _finding(what: str, at: Span, related: tuple[Related, ...] = ()) -> Diagnostic:
    if what.endswith(" is open"):
        message = f"{what}: its schema goes into the prompt, where the model need not keep to it"
    else:
        message = f"{what} asked for by a schema in the prompt, which the model need not keep to"
    return diagnostic(
        "ORC210",
        message,
        at,
        help="say what is in it (fields, `T[]`), or write `structured = prompt` in the model",
        related=related,
    )


def _in_decision(subject: Subject, loop: Orchestrator) -> tuple[str, tuple[Related, ...]] | None:
    """The first part of the schema of a loop's decisions that is open, in words."""
    program = subject.program
    for name in loop.workers:
        worker = program.workers.get(name) or program.orchestrators.get(name)
        place = None if worker is None else _loose(worker.inputs)
        if worker is not None and place is not None:
            said = f"{_field(place, 'the input')} of `{name}` is open"
            return said, (Related("this worker", worker.span),)
    place = _loose(loop.output)
    return None if place is None else (f"{_field(place, 'the output')} is open", ())


def _loose(contract: Contract) -> str | None:
    """Where a contract is open; None if it is not, or is a text."""
    if contract.schema.get("type") == "string":
        return None
    try:
        strict_schema(contract.schema)
    except Inexpressible as found:
        return found.place
    return None


def _field(place: str, whole: str) -> str:
    return f"`{place}`" if place else whole


def _output(subject: Subject, owner: Worker | Orchestrator) -> Span:
    node = subject.declared[owner.name].declaration
    assert isinstance(node, ast.WorkerDecl | ast.OrchestratorDecl)
    if isinstance(owner, Orchestrator):
        workers = setting_of(node.body, "workers")
        return owner.span if workers is None else workers.span
    return node.output.span


def _takes_schemas(model: Model | None) -> bool:
    """Whether a model is handed the schema next to the prompt, as far as is known."""
    if model is None or model.structured == "prompt" or built_in(model.id):
        return False
    listed = look_up(model.id)
    return model.structured == "native" or (listed is not None and listed.native)
