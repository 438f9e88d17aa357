"""The ways by which untrusted text reaches what must not start unchecked, as findings show them.

Which ways there are is in `engine.linter.taint`; what is wrong with one is said by the rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import NamedTuple

from engine.diagnostics import Related
from engine.linter.lookup import member_span
from engine.linter.subject import Subject
from engine.linter.taint import Place, strangers_of, way_inside
from engine.sema.model import Worker, reached
from engine.sema.starts import Start, unchecked_inside
from engine.sema.types.definitions import Field
from engine.source import Span

__all__ = ["Reached", "reached_starts"]


class Reached(NamedTuple):
    """A start that untrusted text may reach with nothing between.

    Attributes:
        way: One of the shortest ways to it.
        at: Where the file can do something about it.
        worker: What starts; where that is a plan, the workers `inside` it act.
        source: Whose text it is, in words.
        shown: The way in words.
    """

    way: list[Place]
    at: Span
    worker: Worker
    inside: list[str]
    source: str
    shown: str
    related: Related

    @property
    def named(self) -> str:
        """What acts, in words."""
        return " and ".join(f"`{name}`" for name in self.inside or [self.worker.name])


def reached_starts(subject: Subject, kind: Start) -> Iterator[Reached]:
    """The starts of a kind that may be a stranger's.

    Each is told where the entry file can do something about it: in the orchestrator that starts it,
    or in the last one of this file on the way to an imported one. A way that is in imported files
    alone is reported in the first of them.
    """
    if not subject.complete:
        return
    for start in subject.flow.reached:
        if start.kind != kind:
            continue
        way = subject.flow.way(start)
        places = (_place(file, way) for file in subject.files)
        at = next((place for place in places if place is not None), None)
        if at is None:
            continue
        inside = _acting_inside(subject, start, kind)
        yield Reached(
            way,
            at,
            subject.program.workers[start.name],
            inside,
            _said(subject, way[0]),
            _shown(subject, way, inside, kind),
            Related("the untrusted text comes from here", _source(subject, way[0])),
        )


def _said(subject: Subject, source: Place) -> str:
    if source.kind in ("input", "param"):
        return f"{source.kind} `{source.name}`"
    worker = subject.program.workers.get(source.name)
    if worker is not None and worker.plan is not None:
        # A plan says nothing of its own: it is a worker of it that does.
        return next((f"`{one.name}`" for one in strangers_of(subject.program, worker)), "")
    return f"`{source.name}`"


def _acting_inside(subject: Subject, start: Place, kind: Start) -> list[str]:
    """Where a plan is what acts: the workers of it that do, with no hook that looks at them."""
    program = subject.program
    plan = program.workers[start.name]
    orchestrator = program.orchestrators[start.orchestrator]
    found = unchecked_inside(program, orchestrator, plan, kind)
    return sorted(name for name in found if program.workers[name].plan is None)


def _shown(subject: Subject, way: list[Place], inside: list[str], kind: Start) -> str:
    """The way in words; in a plan, through its steps."""
    if not inside:
        return " -> ".join(name for name, _ in groupby(map(str, way)))
    program, start = subject.program, way[-1]
    acting = unchecked_inside(
        program, program.orchestrators[start.orchestrator], program.workers[start.name], kind
    )
    if way[-2] == Place("task", start.orchestrator, start.name):
        plans = reached(program.workers, [start.name])
        ways = (way_inside(program, program.workers[plan], acting) for plan in plans)
        return " -> ".join([*map(str, way[:-2]), *next(filter(None, ways), [str(start)])])
    return " -> ".join([*map(str, way), " or ".join(inside)])


def _place(subject: Subject, way: list[Place]) -> Span | None:
    """Where the way leaves the file: the name in a `workers` list; None if it never does."""
    for place, following in reversed(list(pairwise(way))):
        orchestrator = subject.program.orchestrators[place.orchestrator]
        if not subject.here(orchestrator.span):
            continue
        return member_span(subject, orchestrator, following.name or following.orchestrator)
    return None


def _source(subject: Subject, source: Place) -> Span:
    program = subject.program
    if source.kind == "task":
        known = program.workers.get(source.name) or program.orchestrators[source.name]
        return known.span
    if source.kind == "param":
        return program.params[source.name].span
    orchestrator = program.orchestrators[source.orchestrator]
    fields: tuple[Field, ...] = getattr(orchestrator.inputs.type, "fields", ())
    for field in fields:
        if field.name == source.name and field.span is not None:
            return field.span
    return orchestrator.span
