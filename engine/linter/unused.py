"""ORC607, ORC701, ORC705: what is declared and never used.

Never in a file without an orchestrator, which is there to be imported, and never for what is
in another file. Params and secrets are named inside templates too, so any mention in any text of
the program counts as a use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Fix, diagnostic
from engine.diagnostics.edits import removed
from engine.diagnostics.rule import Rule
from engine.linter.subject import Subject
from engine.sema.model import called_by

__all__ = ["unused_declarations", "unused_verifiers", "unused_workers"]


UNUSED_WORKER = Rule(
    code="ORC701",
    name="unused-worker",
    severity="warning",
    summary="A worker is in no `workers` list.",
    why="It can never be dispatched.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}
worker tell(f: Finding) -> string via llm { model = fast  prompt = "{{ f.claim }}" }""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search, tell]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}
worker tell(f: Finding) -> string via llm { model = fast  prompt = "{{ f.claim }}" }""",
    allowable=True,
)


def unused_workers(subject: Subject) -> Iterator[Diagnostic]:
    """ORC701: a worker that is in no `workers` list and no `fallback`, and that no plan calls."""
    if not subject.complete or not subject.orchestrators:
        return
    program = subject.program
    used = {name for item in program.orchestrators.values() for name in item.workers}
    used |= {name for worker in program.workers.values() for name in called_by(worker)}
    for worker in program.workers.values():
        if worker.name not in used and subject.here(worker.span):
            yield diagnostic(
                "ORC701",
                f"worker `{worker.name}` is in no `workers` list",
                worker.span,
                help=f"add `{worker.name}` to the `workers` of an orchestrator, or remove it",
            )


VERIFIER_NOT_USED = Rule(
    code="ORC607",
    name="verifier-not-used",
    severity="warning",
    summary="No hook names this verifier.",
    why="A reader may think that it checks something.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_finish { with = sound } }
}""",
    allowable=True,
)


def unused_verifiers(subject: Subject) -> Iterator[Diagnostic]:
    """ORC607: a verifier that no hook names."""
    if not subject.complete or not subject.orchestrators:
        return
    program = subject.program
    used = {
        name
        for item in program.orchestrators.values()
        for hook in item.hooks
        for name in hook.every_verifier
    }
    for verifier in program.verifiers.values():
        if verifier.name not in used and subject.here(verifier.span):
            yield diagnostic(
                "ORC607",
                f"no hook names verifier `{verifier.name}`, so it never checks anything",
                verifier.span,
                help="name it in a `verify` block, or remove it",
            )


UNUSED_DECLARATION = Rule(
    code="ORC705",
    name="unused-declaration",
    severity="warning",
    summary="A schema, model, server, template, param, secret or import is never used.",
    why="Unused code misleads the reader.",
    bad="""\
orch 1
model fast { id = "openai/gpt-5-mini" }
worker search(query: string) -> string via llm { model = fast  prompt = "{{ query }}" }
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}
schema Unused { x: int }""",
    good="""\
orch 1
model fast { id = "openai/gpt-5-mini" }
worker search(query: string) -> string via llm { model = fast  prompt = "{{ query }}" }
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    allowable=True,
)


def unused_declarations(subject: Subject) -> Iterator[Diagnostic]:
    """ORC705: schemas, models, servers, templates, params, secrets, imports never used."""
    if not subject.complete or not subject.orchestrators:
        return
    scope = subject.result.scopes.entry
    texts = "\n".join(subject.program.files.values())
    for entity in scope.own("schema", "model", "server", "template", "param", "secret"):
        used = entity.uses > 0
        if not used and entity.kind in ("param", "secret"):
            read = rf"\b{entity.kind}\s*(?:\.\s*|\[\s*\\?[\"']){entity.name}\b"
            used = re.search(read, texts) is not None
        if not used and entity.declaration is not None:
            yield diagnostic(
                "ORC705",
                f"{entity.kind} `{entity.name}` is never used",
                entity.name_span,
                help="remove it",
                fix=Fix(f"remove `{entity.name}`", (removed(entity.declaration.span),), "unsafe"),
            )
    for alias in scope.aliases:
        if alias not in scope.alias_uses:
            for node in scope.module.imports:
                local = getattr(node, "alias", None)
                if local is not None and local.text == alias:
                    yield diagnostic(
                        "ORC705",
                        f"import `{alias}` is never used",
                        local.span,
                        help="remove it",
                        fix=Fix(f"remove `{alias}`", (removed(node.span),), "unsafe"),
                    )
