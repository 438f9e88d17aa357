"""ORC805: private data, untrusted text and a way out in the hands of one orchestrator.

Each is harmless alone; together a stranger's text can have private data sent away. What counts:

- Private data is what a `secret` opens: the output of a worker that uses one and is `trusted`, and
  of a tool of an MCP server that is given one (a mailbox, a database, a ticket system). An `http`
  worker with a key whose output is untrusted reads the public web through an account.
- Untrusted text is what taint follows (`engine.linter.taint`).
- A way out carries text to another place than the private data came from. It is a worker whose
  kind sends out what it is given (`http`, `mcp`), a command that is known to use the network, or
  code whose sandbox has one. Code whose sandbox has no network is not a way out.

Writes are ORC801's business; a `before_dispatch` hook that can block closes the way out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import member_span
from engine.linter.subject import Subject
from engine.linter.taint import Place
from engine.sema.expressions.template import Expression
from engine.sema.model import Orchestrator, Program, Worker, reached
from engine.sema.trust import bound_inputs, carries, clears, facts_of

__all__ = ["lethal_trifecta"]


class _End(NamedTuple):
    """A worker that reads private data or sends something out, and whom it talks to."""

    worker: Worker
    host: str


LETHAL_TRIFECTA = Rule(
    code="ORC805",
    name="lethal-trifecta",
    severity="warning",
    summary="One orchestrator has private data, untrusted text and a way out.",
    why=("External text can instruct the planner to read private data and send it to an address."),
    bad="""\
worker mail(q: string) -> string via http {
  url = "https://mail.example/"  query = { q: q }  headers = { "X-Key": secret.KEY }
  trust = trusted  timeout = 5s
}
worker page(u: string) -> string via http {
  url = "https://a.example/" ~ (u | segment)  timeout = 5s
}
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [mail, page]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good="""\
worker mail(q: string) -> string via http {
  url = "https://mail.example/"  query = { q: q }  headers = { "X-Key": secret.KEY }
  trust = trusted  timeout = 5s
}
worker page(u: string) -> string via http {
  url = "https://a.example/" ~ (u | segment)  timeout = 5s
}
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [mail]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    allowable=True,
)


def lethal_trifecta(subject: Subject) -> Iterator[Diagnostic]:
    """ORC805: an orchestrator that has all three."""
    if not subject.complete:
        return
    program = subject.program
    for orchestrator in subject.orchestrators:
        loop = Place("loop", orchestrator.name)
        if not subject.flow.reaches(loop):
            continue
        members = list(_members(program, orchestrator))
        private = [end for _, end in members if _is_private(program, end.worker)]
        ways = [end for owner, end in members if _is_way_out(program, owner, end.worker)]
        found = next(((end, way) for end in private for way in ways if end.host != way.host), None)
        if found is None:
            continue
        end, way = found
        source = subject.flow.way(loop)[0]
        at = member_span(subject, orchestrator, way.worker.name)
        yield diagnostic(
            "ORC805",
            f"untrusted text ({source}) can make `{orchestrator.name}` read private data "
            f"(`{end.worker.name}`) and send it away (`{way.worker.name}`)",
            at,
            help="take one of the three away, read the untrusted text in an orchestrator of its "
            f"own, or let a `before_dispatch` hook look at what `{way.worker.name}` is given",
            related=(
                Related("private data", end.worker.span),
                Related("the way out", way.worker.span),
            ),
        )


def _members(program: Program, orchestrator: Orchestrator) -> Iterator[tuple[Orchestrator, _End]]:
    """The workers of an orchestrator and of those it calls, with the orchestrator of each."""
    seen: set[str] = set()
    waiting = [orchestrator.name]
    while waiting:
        owner = program.orchestrators[waiting.pop(0)]
        if owner.name in seen:
            continue
        seen.add(owner.name)
        for name in reached(program.workers, owner.workers):
            if name in program.orchestrators:
                waiting.append(name)
            elif name in program.workers:
                worker = program.workers[name]
                yield owner, _End(worker, _host(worker))


def _host(worker: Worker) -> str:
    """Whom a worker talks to."""
    return worker.facts.talks_to or worker.name


def _is_private(program: Program, worker: Worker) -> bool:
    schema = worker.output.schema
    if worker.changes_something or not carries(schema, schema):
        return False
    if worker.facts.server is not None:
        server = program.servers.get(worker.facts.server)
        return server is not None and _uses_secret(program, server.settings)
    return worker.trust == "trusted" and _uses_secret(program, worker.settings)


def _uses_secret(program: Program, settings: Mapping[str, Any]) -> bool:
    if not set(program.secrets).isdisjoint(settings.get("inherit", ())):
        return True
    return any(isinstance(it, Expression) and "secret" in it.names for it in settings.values())


def _is_way_out(program: Program, owner: Orchestrator, worker: Worker) -> bool:
    # `when = tainted` looks at addresses only, not at all that a worker sends.
    if worker.changes_something or clears(
        owner, "before_dispatch", worker.name, program.verifiers, always=True
    ):
        return False
    if worker.facts.network == "none":
        return False
    # What `@from` binds is a stranger's only where the file says so.
    if facts_of(program, worker).hears <= bound_inputs(worker):
        return False
    return worker.facts.sends_out or bool(worker.facts.address)
