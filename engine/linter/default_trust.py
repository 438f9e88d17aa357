"""ORC826: readers whose output counts as trusted because the file does not say otherwise.

A `python` or `command` worker is trusted by default. Where nothing in a program with effects says
`trust`, and nothing is marked `@untrusted`, its author may not have thought of it, and taint
protects nothing from what these workers read.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import setting_of
from engine.linter.subject import Subject
from engine.linter.taint import Place
from engine.sema.kinds.command import COMMAND
from engine.sema.kinds.python import PYTHON
from engine.sema.model import Orchestrator, Worker, reached
from engine.sema.trust import anchors, carries, clears, untrusted_inside
from engine.syntax import ast

__all__ = ["no_trust_said"]


NO_TRUST_SAID = Rule(
    code="ORC826",
    name="no-trust-said",
    severity="info",
    summary="An orchestrator has unchecked effects, and no worker says whether to trust its text.",
    why=(
        "`python` and `command` workers are trusted unless they say `trust = untrusted`. If one "
        "reads mails, tickets or web pages, their text can reach an effect unchecked."
    ),
    bad="""\
worker read_mail(folder: string) -> string via command {
  run = ["mail", folder]  effect = read  timeout = 5s  parse = text
}
worker pay(to: string, amount: float) -> string via command {
  run = ["pay", to, amount]  effect = once  timeout = 5s  parse = text
}
orchestrator secretary(request: string) -> string {
  model   = fast
  goal    = "{{ request }}"
  workers = [read_mail, pay]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good="""\
worker read_mail(folder: string) -> string via command {
  run = ["mail", folder]  effect = read  trust = untrusted  timeout = 5s  parse = text
}
worker pay(to: string, amount: float) -> string via command {
  run = ["pay", to, amount]  effect = once  timeout = 5s  parse = text
}
verifier approval(input: json) via human { message = "Pay?"  timeout = 1h }
orchestrator secretary(request: string) -> string {
  model   = fast
  goal    = "{{ request }}"
  workers = [read_mail, pay]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_dispatch pay { with = approval  on_fail = abort } }
}""",
    allowable=True,
)


def no_trust_said(subject: Subject) -> Iterator[Diagnostic]:
    """ORC826: once for each orchestrator of the file."""
    if not subject.complete or _says_something(subject):
        return
    for orchestrator in subject.orchestrators:
        if subject.flow.reaches(Place("loop", orchestrator.name)):
            continue  # ORC801 tells of the effect
        effect, readers = _members(subject, orchestrator)
        if effect is None or not readers:
            continue
        names = ", ".join(f"`{reader.name}`" for reader in readers[:3])
        if len(readers) > 3:
            names += f" and {len(readers) - 3} more"
        verb = "gives" if len(readers) == 1 else "give"
        asks = clears(orchestrator, "before_dispatch", effect.name, subject.program.verifiers)
        how = "unchecked unless tainted" if asks else "unchecked"
        yield diagnostic(
            "ORC826",
            f"`{orchestrator.name}` has effects (`{effect.name}`), {how}, and all text that "
            f"{names} {verb} counts as trusted by default",
            orchestrator.span,
            help="write `trust = untrusted` where others can write what it reads (mails, tickets, "
            "pages), and `trust = trusted` where they cannot",
            related=tuple(Related("reads here", reader.span) for reader in readers[:3]),
        )


def _says_something(subject: Subject) -> bool:
    """Whether the program says of anything whether it is a stranger's."""
    program = subject.program
    marked = [it.output.type for it in program.workers.values()]
    marked += [it.output.type for it in program.orchestrators.values()]
    return (
        any(source.kind in ("input", "param") for source in subject.flow.sources)
        or any(map(untrusted_inside, marked))
        or any(
            setting_of(entity.declaration.body, "trust") is not None
            for file in subject.files
            for entity in file.declared.values()
            if isinstance(entity.declaration, ast.WorkerDecl)
        )
    )


def _members(subject: Subject, orchestrator: Orchestrator) -> tuple[Worker | None, list[Worker]]:
    """An effect that an orchestrator may have with no check, and the code that reads text for it.

    Where a verifier or a person looks at each effect, taint is not all that protects it. A hook
    that looks `when = tainted` does not count: as nothing is untrusted, it looks only at tasks
    that break an `@from`.
    """
    workers, verifiers = subject.program.workers, subject.program.verifiers
    found = [workers[name] for name in reached(workers, orchestrator.workers) if name in workers]
    effect = next(
        (
            it
            for it in found
            if it.changes_something
            and it.plan is None
            and not clears(
                orchestrator, "before_dispatch", it.name, verifiers, always=not anchors(it)
            )
        ),
        None,
    )
    return effect, [it for it in found if _reads_text(it)]


def _reads_text(worker: Worker) -> bool:
    schema = worker.output.schema
    own = worker.kind in (PYTHON.name, COMMAND.name)
    return own and worker.effect == "read" and carries(schema, schema)
