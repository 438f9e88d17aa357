"""ORC210: outputs and decisions whose schema a provider cannot hold a model to."""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.dialects.dialect import Dialect
from engine.dialects.say import Inexpressible, say
from engine.dialects.table import DIALECTS, dialect_of
from engine.linter.lookup import setting_of
from engine.linter.subject import Subject
from engine.prices import look_up
from engine.schemes import built_in
from engine.sema.model import Model, Orchestrator, Worker
from engine.sema.types.contract import Contract
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
            dialect = _dialect(program.models.get(worker.facts.model))
            found = None if dialect is None else _beyond(worker.output, dialect)
            if dialect is not None and found is not None:
                what = f"{_field(found, 'the output')} of `{name}`"
                yield _finding(what, found, dialect, _output(subject, worker))
        elif loop is not None:
            dialect = _dialect(program.models.get(loop.model))
            if dialect is not None:
                yield from _in_decision(subject, loop, dialect)


def _finding(
    what: str,
    found: Inexpressible,
    dialect: Dialect,
    at: Span,
    related: tuple[Related, ...] = (),
    *,
    text: bool = False,
) -> Diagnostic:
    how = "the model writes it as JSON text" if text else "its schema goes into the prompt"
    return diagnostic(
        "ORC210",
        f"{what}: a schema for {dialect.title} cannot express {found.why}; {how}, and need not "
        "keep to it",
        at,
        help="say what is in it (fields, `T[]`), or write `structured = prompt` in the model",
        related=related,
    )


def _in_decision(subject: Subject, loop: Orchestrator, dialect: Dialect) -> Iterator[Diagnostic]:
    """The parts of a loop's decisions that are written as JSON text."""
    program = subject.program
    for name in loop.workers:
        worker = program.workers.get(name) or program.orchestrators.get(name)
        found = None if worker is None else _beyond(worker.inputs, dialect)
        if worker is not None and found is not None:
            related = (Related("this worker", worker.span),)
            what = f"{_field(found, 'the input')} of `{name}`"
            yield _finding(what, found, dialect, _output(subject, loop), related, text=True)
    found = _beyond(loop.output, dialect)
    if found is not None:
        what = f"{_field(found, 'the output')} of `{loop.name}`"
        yield _finding(what, found, dialect, _output(subject, loop), text=True)


def _beyond(contract: Contract, dialect: Dialect) -> Inexpressible | None:
    """What of a contract the dialect cannot say; None if it can, or if it is a text."""
    if contract.schema.get("type") == "string":
        return None
    try:
        say(contract.schema, dialect)
    except Inexpressible as found:
        return found
    return None


def _field(found: Inexpressible, whole: str) -> str:
    return f"`{found.place}`" if found.place else whole


def _output(subject: Subject, owner: Worker | Orchestrator) -> Span:
    node = subject.declared[owner.name].declaration
    assert isinstance(node, ast.WorkerDecl | ast.OrchestratorDecl)
    if isinstance(owner, Orchestrator):
        workers = setting_of(node.body, "workers")
        return owner.span if workers is None else workers.span
    return node.output.span


def _dialect(model: Model | None) -> Dialect | None:
    """The dialect in which a model is given schemas apart from the prompt; None if it is not.

    Where the table of prices does not know a model and the program asks for `native`, the server is
    one of the user's own.
    """
    if model is None or model.structured == "prompt" or built_in(model.id):
        return None
    listed = look_up(model.id)
    dialect = dialect_of(model.id, own_server="api_base" in model.options)
    if model.structured == "native":
        return dialect if dialect.native else DIALECTS["compatible"]
    return dialect if dialect.native and listed is not None and listed.native else None
