"""ORC825: reads whose address untrusted text may choose.

A request carries data to whoever answers it. So a read from an address of a stranger's choice is a
way out, like an effect: at run time such a task is denied (`engine.runtime.ways_out`). Commands
that are known to use the network have a finding of their own, ORC807.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.commands import is_network_command
from engine.linter.subject import Subject
from engine.linter.ways import Reached, reached_starts
from engine.sema.model import Program, Worker
from engine.sema.trust import facts_of
from engine.sema.types.definitions import Array, Constrained, Named, Optional, Record, Scalar, Type

__all__ = ["address_of_strangers"]


ADDRESS_OF_STRANGERS = Rule(
    code="ORC825",
    name="address-of-strangers",
    severity="warning",
    summary="Text from outside can choose the address that a worker reads from.",
    why=(
        "The address of a request can carry away what was read before: "
        "`https://other.example/?q=...`. At run time, a task whose address a stranger has chosen "
        "is denied, like an effect. `@from` on the input, or a hook, lets it start."
    ),
    bad="""\
schema Hit { title: string, page: url }
worker find(q: string) -> Hit[] via http {
  url = "https://find.example/"  query = { q: q }  timeout = 5s
}
worker fetch(page: url) -> string via http {
  url = page  hosts = ["a.example", "b.example"]  timeout = 5s
}
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [find, fetch]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good="""\
schema Hit { title: string, page: url }
worker find(q: string) -> Hit[] via http {
  url = "https://find.example/"  query = { q: q }  timeout = 5s
}
worker fetch(page: url @from(request, find.page)) -> string via http {
  url = page  hosts = ["a.example", "b.example"]  timeout = 5s
}
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [find, fetch]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    allowable=True,
)


def address_of_strangers(subject: Subject) -> Iterator[Diagnostic]:
    """ORC825: each worker that may go where a stranger says."""
    program = subject.program
    for found in reached_starts(subject, "way_out"):
        acting = [program.workers[name] for name in found.inside or [found.worker.name]]
        worker = next((one for one in acting if not _is_told_by_807(subject, one)), None)
        if worker is None:
            continue
        address = sorted(facts_of(program, worker).address)
        names = " or ".join(f"`{name}`" for name in address)
        yield diagnostic(
            "ORC825",
            f"untrusted text ({found.source}) can choose where `{worker.name}` reads from "
            f"({names}), and so what leaves with the request: {found.shown}",
            found.at,
            help=_help(program, found, worker, address[0]),
            related=(found.related, Related(f"`{worker.name}` reads here", worker.span)),
        )


def _is_told_by_807(subject: Subject, worker: Worker) -> bool:
    return is_network_command(worker) and subject.here(worker.span)


def _help(program: Program, found: Reached, worker: Worker, name: str) -> str:
    orchestrator = program.orchestrators[found.way[-1].orchestrator]
    known = _gives_addresses(program, orchestrator.workers, worker)
    sources = ", ".join(["request", *known])
    return (
        f"say where it may come from, `{name}: ... @from({sources})`, or add `verify {{ "
        f"before_dispatch {worker.name} {{ with = ...  when = tainted }} }}`"
    )


def _gives_addresses(program: Program, members: tuple[str, ...], worker: Worker) -> list[str]:
    """The parts of outputs that are addresses: `find.page`."""
    found = []
    for member in members:
        other = program.workers.get(member) or program.orchestrators.get(member)
        if other is not None and other is not worker:
            found += [".".join((member, *path)) for path in _addresses(other.output.type, 4)]
    return found[:3]


def _addresses(type_: Type, depth: int) -> Iterator[tuple[str, ...]]:
    """The paths to addresses in values of a type, lists gone through."""
    if depth == 0:
        return
    match type_:
        case Named(definition=definition):
            yield from _addresses(definition.type, depth)
        case Scalar(name="url"):
            yield ()
        case Array(item=inner) | Optional(item=inner) | Constrained(item=inner):
            yield from _addresses(inner, depth)
        case Record(fields=fields):
            for field in fields:
                for path in _addresses(field.type, depth - 1):
                    yield (field.name, *path)
