"""`@from` and `endorse` as contracts: names that lead nowhere, and places where they mean nothing.

These are errors, and need the whole program. What could be proved about a program that is well
formed (a source that can never give a value, a value that a stranger chooses) is in
`engine.linter.sources`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.sema.model import (
    AllowedSource,
    Hook,
    InputSources,
    Orchestrator,
    Program,
    Worker,
    called_by,
)
from engine.sema.suggest import closest, names_list
from engine.sema.types.definitions import Record, Type, options_of
from engine.sema.types.paths import fields_at, first_unknown, may_be_equal, types_at
from engine.source import Span
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["check_provenance", "misplaced_sources", "runs_of"]

Report = Callable[[Diagnostic], None]

SOURCE_CANNOT_GIVE = Rule(
    code="ORC813",
    name="source-cannot-give",
    severity="error",
    summary="`@from` names a worker that cannot give the value.",
    why=(
        "A value that must be from a worker which never runs with this one, or from a field that "
        "does not exist, is denied in every run."
    ),
    bad="""\
worker mails(q: string) -> { sender: email }[] via command {
  run = ["mails", q]  effect = read  timeout = 5s
}
worker reply(to: email @from(mails.author)) -> int via command {
  run = ["reply", to]  effect = write  timeout = 5s
}
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Answer {{ topic }}."
  workers = [mails, reply]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good="""\
worker mails(q: string) -> { sender: email }[] via command {
  run = ["mails", q]  effect = read  timeout = 5s
}
worker reply(to: email @from(mails.sender)) -> int via command {
  run = ["reply", to]  effect = write  timeout = 5s
}
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Answer {{ topic }}."
  workers = [mails, reply]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    allowable=False,
)

ENDORSE_UNKNOWN = Rule(
    code="ORC818",
    name="endorse-unknown",
    severity="error",
    summary="`endorse` names no input of the worker, or no field of its output.",
    why="The hook would endorse nothing, and what relies on it would be denied.",
    bad="""\
verifier known(query: string) via rules { assert query != "" }
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_dispatch search { with = known  endorse = [qeury] } }
}""",
    good="""\
verifier known(query: string) via rules { assert query != "" }
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_dispatch search { with = known  endorse = [query] } }
}""",
    allowable=False,
)


def check_provenance(program: Program, report: Report, doubted: Set[str] = frozenset()) -> None:
    """Report `@from` and `endorse` that name what is not there.

    Args:
        doubted: Names of callables with errors of their own; what they take is not certain.
    """
    for worker in program.workers.values():
        if worker.name not in doubted:
            for rule in worker.sources:
                for one in rule.allowed:
                    if one.name not in doubted:
                        _source(program, worker, rule, one, report)
    told: set[tuple[int, str]] = set()
    for orchestrator in program.orchestrators.values():
        for hook in orchestrator.hooks:
            if hook.worker not in doubted:
                _endorsed(program, hook, told, report)


def misplaced_sources(documents: Iterable[ast.Document], program: Program) -> Iterator[Diagnostic]:
    """Each `@from` that no input of a worker has: on an output, a param, a verifier's input."""
    read = {rule.span for worker in program.workers.values() for rule in worker.sources}
    for document in documents:
        for node in walk(document.declarations):
            if isinstance(node, ast.FieldDecl) and any(
                one.span in read for one in node.constraints
            ):
                read.update(one.span for one in node.constraints)  # a second one is told elsewhere
            is_from = isinstance(node, ast.Constraint) and node.name.text == "from"
            if is_from and node.span not in read:
                yield diagnostic(
                    "ORC202",
                    "`@from` has no meaning here",
                    node.span,
                    help="it belongs on an input of a worker, or on a field of a schema that an "
                    "input has",
                )


def runs_of(program: Program, name: str) -> list[set[str]]:
    """What may run in the same run as a worker, for each orchestrator that a run may begin with."""
    runs = (_reached(program, orchestrator) for orchestrator in program.orchestrators.values())
    return [run for run in runs if name in run]


def _reached(program: Program, root: Orchestrator) -> set[str]:
    """The names of all that may run in a run of an orchestrator."""
    found = {root.name}
    waiting = [root.name]
    while waiting:
        name = waiting.pop()
        following: Iterable[str] = ()
        if name in program.orchestrators:
            following = program.orchestrators[name].workers
        elif name in program.workers:
            following = called_by(program.workers[name])
        for other in following:
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def _source(
    program: Program, worker: Worker, rule: InputSources, one: AllowedSource, report: Report
) -> None:
    giver = program.workers.get(one.name) or program.orchestrators.get(one.name)
    if giver is None:
        return
    named = f"`{'.'.join([one.name, *one.at])}`"
    path = ".".join(name for name in rule.path if name != "*")
    unknown = first_unknown(giver.output.type, one.at)
    if unknown is not None:
        report(_no_field(giver, one, unknown, rule.span))
        return
    wanted = fields_at(getattr(worker.inputs.type, "fields", ()), rule.path)
    given = types_at(giver.output.type, one.at)
    if not any(may_be_equal(field.type, type_) for field in wanted for type_ in given):
        report(
            diagnostic(
                "ORC813",
                f"{named} can never be a value of `{path}`: its type is another",
                rule.span,
                help="name a part of an output with values of the same type",
                related=(Related(f"`{one.name}` is declared here", giver.span),),
            )
        )
        return
    runs = runs_of(program, worker.name)
    if runs and not any(one.name in run for run in runs):
        report(
            diagnostic(
                "ORC813",
                f"`{one.name}` never runs where `{worker.name}` does, so {named} is never a "
                f"source of `{path}`",
                rule.span,
                help=f"add `{one.name}` to the `workers` of an orchestrator that dispatches "
                f"`{worker.name}`, or name another source",
                related=(Related(f"`{one.name}` is declared here", giver.span),),
            )
        )


def _no_field(
    giver: Worker | Orchestrator, one: AllowedSource, place: int, span: Span
) -> Diagnostic:
    name = one.at[place]
    types = types_at(giver.output.type, one.at[:place])
    fields = [*_names_in(types)]
    near = closest(name, fields)
    head = ".".join([one.name, *one.at[:place]])
    return diagnostic(
        "ORC813",
        f"`{head}` gives no `{name}`",
        span,
        help=f"did you mean `{head}.{near}`?"
        if near is not None
        else (f"it has {names_list(fields)}" if fields else "its output has no fields"),
        related=(Related(f"`{one.name}` is declared here", giver.span),),
    )


def _names_in(types: Iterable[Type]) -> Iterator[str]:
    for type_ in types:
        for option in options_of(type_):
            inner = getattr(option, "item", None)
            if isinstance(inner, Type):
                yield from _names_in([inner])
            elif isinstance(option, Record):
                yield from (field.name for field in option.fields)


def _endorsed(program: Program, hook: Hook, told: set[tuple[int, str]], report: Report) -> None:
    """ORC818: names in `endorse`; a hook about several workers is one block, and is told once."""
    target: Worker | Orchestrator | None = program.workers.get(
        hook.worker or ""
    ) or program.orchestrators.get(hook.worker or "")
    if target is None or not hook.endorse:
        return
    if hook.point == "before_dispatch":
        names, what = [*_names_in([target.inputs.type])], "input"
    else:
        names, what = ["output", *_names_in([target.output.type])], "field"
    for name in hook.endorse:
        known = name in names or (
            hook.point == "after_dispatch" and bool(types_at(target.output.type, (name,)))
        )
        if known or (hook.span.start, name) in told:
            continue
        told.add((hook.span.start, name))
        near = closest(name, names)
        report(
            diagnostic(
                "ORC818",
                f"`{target.name}` has no {what} `{name}` to endorse",
                hook.span,
                help=f"did you mean `{near}`?" if near else f"it has {names_list(names)}",
            )
        )
