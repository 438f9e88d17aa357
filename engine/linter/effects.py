"""ORC801: untrusted text that can reach an effect with no verifier between."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import member_span
from engine.linter.shown import better_hidden, limits_said
from engine.linter.subject import Subject
from engine.linter.taint import Place, hidden_from, strangers_of, unchecked_inside, way_inside
from engine.sema.expressions.template import Expression
from engine.sema.model import reached
from engine.sema.trust import clears, inputs_not_seen
from engine.sema.types.definitions import Field
from engine.sema.when import looks_if_tainted
from engine.source import Span
from engine.syntax import ast

__all__ = ["untrusted_to_effect"]


UNTRUSTED_TO_EFFECT = Rule(
    code="ORC801",
    name="untrusted-to-effect",
    severity="error",
    summary=(
        "Text from outside can reach a `write` or `once` worker with no verifier or gate between."
    ),
    why=(
        "A web page could instruct the model to cause an effect. At run time, such a task is "
        "denied. This rule reports it before any money is spent."
    ),
    bad="""\
worker read_page(u: url) -> string via command {
  run = ["fetch", u]  effect = read  trust = untrusted  timeout = 5s  parse = text
}
worker save(text: string) -> string via command {
  run = ["save", text]  effect = write  timeout = 5s  parse = text
}
orchestrator bugfix(topic: string) -> string {
  model   = fast
  goal    = "Fix {{ topic }}."
  workers = [read_page, save]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good="""\
worker read_page(u: url) -> string via command {
  run = ["fetch", u]  effect = read  trust = untrusted  timeout = 5s  parse = text
}
worker save(text: string) -> string via command {
  run = ["save", text]  effect = write  timeout = 5s  parse = text
}
verifier gate(input: json) via human { message = "Save it?"  timeout = 1h }
orchestrator bugfix(topic: string) -> string {
  model   = fast
  goal    = "Fix {{ topic }}."
  workers = [read_page, save]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_dispatch save { with = gate  on_fail = abort } }
}""",
    allowable=True,
)


def untrusted_to_effect(subject: Subject) -> Iterator[Diagnostic]:
    """ORC801: each `write` or `once` worker that may be started by a stranger's words.

    It is told where the entry file can do something about it: in the orchestrator that starts the
    effect, or in the last one of this file on the way to an imported one. A way that is in
    imported files alone is reported in the first of them.
    """
    if not subject.complete:
        return
    program = subject.program
    for effect in subject.flow.reached:
        if effect.kind != "effect":
            continue
        way = subject.flow.way(effect)
        if _is_only_handed(subject, way):
            continue
        places = (_place(file, way) for file in subject.files)
        at = next((place for place in places if place is not None), None)
        if at is None:
            continue
        worker = program.workers[effect.name]
        inside = _acting_inside(subject, effect)
        named = " and ".join(f"`{name}`" for name in inside or [effect.name])
        related = [Related("the untrusted text comes from here", _source(subject, way[0]))]
        related.append(Related(f"`{worker.name}` acts here (`{worker.effect}`)", worker.span))
        yield diagnostic(
            "ORC801",
            f"untrusted text ({_said(subject, way[0])}) can reach {named} "
            f"with no verifier between: {_shown(subject, way, inside)}",
            at,
            help=_help_inside(inside) if inside else _help(subject, way),
            related=tuple(related),
        )


def _is_only_handed(subject: Subject, way: list[Place]) -> bool:
    """Whether text gets to an effect only where a clean planner refers to what it is not shown.

    Such a task is denied, and all others of the worker run: nothing keeps the program from its
    work.
    """
    *_, last, effect = way
    orchestrator = subject.program.orchestrators[effect.orchestrator]
    return (
        last.kind == "task"
        and last.name != effect.name
        and hidden_from(subject.program, orchestrator, last.name)
        and not subject.flow.reaches(Place("loop", effect.orchestrator))
    )


def _said(subject: Subject, source: Place) -> str:
    if source.kind in ("input", "param"):
        return f"{source.kind} `{source.name}`"
    worker = subject.program.workers.get(source.name)
    if worker is not None and worker.plan is not None:
        # A plan says nothing of its own: it is a worker of it that does.
        return next((f"`{one.name}`" for one in strangers_of(subject.program, worker)), "")
    return f"`{source.name}`"


def _acting_inside(subject: Subject, effect: Place) -> list[str]:
    """Where a plan is what acts: the workers of it that do, with no hook that looks at them."""
    program = subject.program
    plan = program.workers[effect.name]
    orchestrator = program.orchestrators[effect.orchestrator]
    found = unchecked_inside(program, orchestrator, plan)
    return sorted(name for name in found if program.workers[name].plan is None)


def _shown(subject: Subject, way: list[Place], inside: list[str]) -> str:
    """The way in words; in a plan, through its steps."""
    if not inside:
        return " -> ".join(dict.fromkeys(str(place) for place in way))
    program, effect = subject.program, way[-1]
    acting = unchecked_inside(
        program, program.orchestrators[effect.orchestrator], program.workers[effect.name]
    )
    if way[-2] == Place("task", effect.orchestrator, effect.name):
        plans = reached(program.workers, [effect.name])
        ways = (way_inside(program, program.workers[plan], acting) for plan in plans)
        return " -> ".join([*map(str, way[:-2]), *next(filter(None, ways), [str(effect)])])
    return " -> ".join([*map(str, way), " or ".join(inside)])


def _help_inside(inside: list[str]) -> str:
    """A hook on a plan looks at the input of the plan; what its steps read comes after that."""
    hooks = "  ".join(
        f"before_dispatch {name} {{ with = ...  on_fail = abort }}" for name in inside
    )
    return f"add `verify {{ {hooks} }}`: a hook on the plan does not see what its steps read"


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


def _operand(test: Expression) -> str:
    """A test as an operand of `or`."""
    return f"({test.text})" if isinstance(test.expr, ast.Conditional) else test.text


def _help(subject: Subject, way: list[Place]) -> str:
    program = subject.program
    effect, source = way[-1], way[0]
    orchestrator = program.orchestrators[effect.orchestrator]
    hook = next(
        (
            hook
            for hook in orchestrator.hooks
            if hook.point == "before_dispatch" and hook.worker == effect.name
        ),
        None,
    )
    if hook is not None and hook.when is not None and not looks_if_tainted(hook):
        return (
            f"its `before_dispatch` hook looks only when `{hook.when.text}`, which keeps nothing "
            f"else out: write `when = tainted or {_operand(hook.when)}`"
        )
    worker = program.workers[effect.name]
    if clears(orchestrator, "before_dispatch", effect.name, program.verifiers):
        unseen = inputs_not_seen(orchestrator, worker, program.verifiers)
        named = " and ".join(f"`{name}`" for name in unseen) or "an input of it"
        return (
            f"no verifier of its `before_dispatch` hook looks at {named}: let one take it, or say "
            "with `@from` where the values that matter may come from"
        )
    if hook is not None:
        weak = ""
        if hook.on_fail == "warn":
            weak = "only warns"
        elif hook.on_fail == "revise" and hook.then == "warn":
            weak = "only warns in the end"
        if not weak:
            return (
                "its `before_dispatch` hook may be skipped, which keeps nothing out: use `when` on "
                "the hook in place of `skip_when`"
            )
        return f"its `before_dispatch` hook {weak}, which keeps nothing out: use `on_fail = abort`"
    help = f"add `verify {{ before_dispatch {effect.name} {{ with = ...  on_fail = abort }} }}`"
    hidden = better_hidden(program, subject.flow, orchestrator)
    if hidden:
        help += f", or let the planner only pass it on: {limits_said(hidden)}"
    if source.kind == "task":
        reader = program.orchestrators[source.orchestrator]
        if clears(reader, "after_dispatch", source.name, program.verifiers):
            help += (
                f"; the `after_dispatch` hook of `{source.name}` sees outputs, "
                "not the text of failures"
            )
    return help
