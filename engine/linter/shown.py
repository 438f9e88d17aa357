"""ORC810, ORC811, ORC812: what planners are shown of untrusted text, and what of it is not needed.

A planner that reads a stranger's words makes tainted decisions, and each of its effects then needs
a check. Two things keep it clean: `show = shape`, where it only passes outputs on, and workers
whose output has no free text. A suggestion is made only where following it leaves the planner
clean: the flow is computed again for the program as it would be. Hooks are left out of that, for a
check that is there may be what is no longer needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import body_of, member_span, setting_of
from engine.linter.subject import Subject
from engine.linter.taint import Flow, Place, flow_of, hidden_from, is_source
from engine.sema.model import Orchestrator, Program, Worker, WorkerLimit, called_by
from engine.sema.trust import carries, carries_at, may_hand_over
from engine.sema.types.schema_facts import field_names
from engine.source import Span

__all__ = [
    "better_hidden",
    "contradicting_show",
    "free_text_of_strangers",
    "limits_said",
    "shown_in_words",
]

_PAGE = """\
worker read_page(u: url) -> { price: float, text: string } via command {
  run = ["fetch", u]  effect = read  trust = untrusted  timeout = 5s%s
}
worker save(text: string) -> string via command {
  run = ["save", text]  effect = write  timeout = 5s  parse = text
}
"""
_BUGFIX = """\
orchestrator bugfix(topic: string) -> string {
  model   = fast
  goal    = "Fix {{ topic }}."
  workers = [%s, save]
  policy { max_rounds = 3  budget { cost = $0.10 } }%s
}"""
_GATE = """
  verify { before_dispatch save { with = gate  on_fail = abort } }"""
_GATE_VERIFIER = """\
verifier gate(input: json) via human { message = "Save it?"  timeout = 1h }
"""

SHOWN_IN_WORDS = Rule(
    code="ORC810",
    name="untrusted-shown-in-words",
    severity="info",
    summary="A planner with effects is shown untrusted text that it could pass on unseen.",
    why=(
        "A planner that has read text from outside makes tainted decisions, and each of its "
        "effects then needs a check. With `show = shape` it sees numbers, dates and sizes, and "
        "passes the rest on by reference."
    ),
    bad=_PAGE % "" + _GATE_VERIFIER + _BUGFIX % ("read_page", _GATE),
    good=_PAGE % "  show = shape" + _GATE_VERIFIER + _BUGFIX % ("read_page", _GATE),
    allowable=True,
)


def shown_in_words(subject: Subject) -> Iterator[Diagnostic]:
    """ORC810: untrusted outputs that a planner reads, and need not, though effects are checked.

    Where an effect is not checked, the help of ORC801 says so.
    """
    for orchestrator in subject.orchestrators if subject.complete else ():
        effects = _effects(subject.program, orchestrator)
        unchecked = (Place("effect", orchestrator.name, name) for name in effects)
        if any(map(subject.flow.reaches, unchecked)):
            continue
        hidden = better_hidden(subject.program, subject.flow, orchestrator)
        if not hidden:
            continue
        sources = [n for n in hidden if is_source(subject.program, _known(subject.program, n))]
        named = " and ".join(f"`{name}`" for name in sources)
        yield diagnostic(
            "ORC810",
            f"the planner of `{orchestrator.name}` reads untrusted text ({named}), "
            f"so {_effects_said(effects)} a check",
            member_span(subject, orchestrator, sources[0]),
            help=f"where the planner only passes it on, show its shape: {limits_said(hidden)}",
        )


def better_hidden(program: Program, flow: Flow, orchestrator: Orchestrator) -> list[str]:
    """The workers with which a planner that has effects makes clean decisions, if it sees only
    the shape of what they give, and others can take that; empty if there is no such way."""
    read = _read(program, flow, orchestrator)
    effects = _effects(program, orchestrator)
    sources = [
        name
        for name in read
        if is_source(program, _known(program, name)) and _is_passed_on(program, orchestrator, name)
    ]
    # What an effect gives was made from what it was passed.
    hidden = [name for name in read if name in sources or name in effects]
    fits = bool(sources and effects) and _clean(program, orchestrator, hidden)
    return hidden if fits else []


def limits_said(names: list[str]) -> str:
    """The limits that show the shape of some workers."""
    return "  ".join(f"`limit {name} {{ show = shape }}`" for name in names)


FREE_TEXT_OF_STRANGERS = Rule(
    code="ORC811",
    name="free-text-of-strangers",
    severity="info",
    summary="A model reads untrusted text and answers in free text, which taints the planner.",
    why=(
        "What a model writes after reading text from outside counts as that text. Numbers, dates "
        "and listed values cannot hold words: an output of these is clean by its type, and a "
        "planner sees all of it at `show = shape`."
    ),
    bad=_PAGE % "  show = shape"
    + """\
worker rate(text: string) -> { risk: "low" | "high", why: string } via llm {
  model = fast  prompt = "Rate: {{ text | untrusted }}"
}
"""
    + _GATE_VERIFIER
    + _BUGFIX % ("read_page, rate", _GATE),
    good=_PAGE % "  show = shape"
    + """\
worker rate(text: string) -> { risk: "low" | "high" } via llm {
  model = fast  prompt = "Rate: {{ text | untrusted }}"  show = shape
}
"""
    + _GATE_VERIFIER
    + _BUGFIX % ("read_page, rate", _GATE),
    allowable=True,
)


def free_text_of_strangers(subject: Subject) -> Iterator[Diagnostic]:
    """ORC811: a model's free text is what taints a planner with effects."""
    program = subject.program
    told: set[str] = set()
    for orchestrator in program.orchestrators.values() if subject.complete else ():
        effects = _effects(program, orchestrator)
        read = _read(program, subject.flow, orchestrator)
        for name in read if effects else ():
            worker = program.workers.get(name)
            if worker is None or worker.facts.done_by != "model" or is_source(program, worker):
                continue
            if name in told or not subject.here(worker.span) or not _says_more(worker):
                continue
            is_result = str(worker.output.type) == str(orchestrator.output.type)
            if is_result or not _clean(program, orchestrator, read):
                continue
            told.add(name)
            yield diagnostic(
                "ORC811",
                f"`{name}` reads untrusted text and gives free text, which taints what "
                f"`{orchestrator.name}` decides, so {_effects_said(effects)} a check",
                worker.span,
                help='give numbers, dates and listed values (`"low" | "high"`) instead of text, '
                "and set `show = shape`, so that the planner reads no message of a failure either",
            )


CONTRADICTING_SHOW = Rule(
    code="ORC812",
    name="contradicting-show",
    severity="warning",
    summary="A `show` has no effect, or a `limit` shows what the worker's own file hides.",
    why="A reader of one of the two places believes that it is what holds.",
    bad=_PAGE % "  show = none"
    + _GATE_VERIFIER
    + _BUGFIX % ("read_page", _GATE + "\n  limit read_page { show = full }"),
    good=_PAGE % "  show = none" + _GATE_VERIFIER + _BUGFIX % ("read_page", _GATE),
    allowable=True,
)


def contradicting_show(subject: Subject) -> Iterator[Diagnostic]:
    """ORC812: labels that contradict each other, and those that nothing reads."""
    if not subject.complete:
        return
    program = subject.program
    for orchestrator in subject.orchestrators:
        for name, limit in orchestrator.limits.items():
            worker = program.workers.get(name)
            if worker is None or worker.show not in ("shape", "none"):
                continue
            if limit.show in ("full", "preview") and is_source(program, worker):
                yield diagnostic(
                    "ORC812",
                    f"`show = {limit.show}` shows the planner of `{orchestrator.name}` untrusted "
                    f"text that `{name}` hides (`show = {worker.show}`)",
                    limit.span or orchestrator.span,
                    help="remove one of the two: the `limit` is what holds here",
                    related=(Related(f"`{name}` is declared here", worker.span),),
                )
    if subject.orchestrators:
        yield from _without_effect(subject)


def _without_effect(subject: Subject) -> Iterator[Diagnostic]:
    """A `show` of a worker whose outputs no planner gets, not even through a plan."""
    program = subject.program
    read = {name for item in program.orchestrators.values() for name in item.workers}
    called = {name for worker in program.workers.values() for name in called_by(worker)}
    waiting = [name for name in read if name in program.workers]
    while waiting:
        worker = program.workers[waiting.pop()]
        passes_on = worker.plan is None or _written(subject, worker.name) is None
        for name in called_by(worker) if passes_on else ():
            if name not in read and name in program.workers:
                read.add(name)
                waiting.append(name)
    for name in sorted(called - read):
        span = _written(subject, name)
        if span is not None:
            yield diagnostic(
                "ORC812",
                f"`show` of `{name}` has no effect: no planner gets what it gives, and the plans "
                "that call it say themselves what is shown",
                span,
                help="remove it, or say it for the plan",
            )


def _written(subject: Subject, name: str) -> Span | None:
    """Where a worker of the file says what is shown of it."""
    body = body_of(subject, name)
    value = None if body is None else setting_of(body, "show")
    return None if value is None else value.span


# ---------------------------------------------------------------- the program as it would be


def _known(program: Program, name: str) -> Worker | Orchestrator:
    return program.workers.get(name) or program.orchestrators[name]


def _read(program: Program, flow: Flow, orchestrator: Orchestrator) -> list[str]:
    """The workers whose words its planner reads and that may be a stranger's."""
    return [
        name
        for name in orchestrator.workers
        if (name in program.workers or name in program.orchestrators)
        and flow.reaches(Place("task", orchestrator.name, name))
        and not hidden_from(program, orchestrator, name)
    ]


def _says_more(worker: Worker) -> bool:
    """Whether a worker gives free text next to values without words, as a judge does."""
    schema = worker.output.schema
    names = field_names(schema)
    return carries(schema, schema) and not all(carries_at(schema, f"/{name}") for name in names)


def _effects(program: Program, orchestrator: Orchestrator) -> list[str]:
    names = [name for name in orchestrator.workers if name in program.workers]
    return [name for name in names if program.workers[name].changes_something]


def _effects_said(effects: list[str]) -> str:
    named = ", ".join(f"`{name}`" for name in effects[:3])
    more = f" and {len(effects) - 3} more" if len(effects) > 3 else ""
    return f"{named}{more} {'needs' if len(effects) == 1 else 'need'}"


def _is_passed_on(program: Program, orchestrator: Orchestrator, name: str) -> bool:
    """Whether another worker, or the result, can take what one gives."""
    output = _known(program, name).output.schema
    others = [other for other in orchestrator.workers if other != name]
    known = [o for o in others if o in program.workers or o in program.orchestrators]
    takes = [_known(program, other).inputs.schema for other in known]
    if orchestrator.policy.max_items is not None:
        takes.append(orchestrator.output.schema)
    return any(may_hand_over(output, schema) for schema in takes)


def _clean(program: Program, orchestrator: Orchestrator, hidden: Collection[str]) -> bool:
    """Whether a planner would make clean decisions if it were not shown some workers' words."""
    limits = dict(orchestrator.limits)
    for name in hidden:
        limits[name] = msgspec.structs.replace(limits.get(name, WorkerLimit()), show="shape")
    plain = {
        name: msgspec.structs.replace(item, hooks=())
        for name, item in program.orchestrators.items()
    }
    plain[orchestrator.name] = msgspec.structs.replace(plain[orchestrator.name], limits=limits)
    changed = msgspec.structs.replace(program, orchestrators=plain)
    return not flow_of(changed).reaches(Place("loop", orchestrator.name))
