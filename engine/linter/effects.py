"""ORC801: untrusted text that can reach an effect with no verifier between."""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.shown import better_hidden, limits_said
from engine.linter.subject import Subject
from engine.linter.taint import Place, hidden_from
from engine.linter.ways import reached_starts
from engine.sema.expressions.template import Expression
from engine.sema.trust import clears, inputs_not_seen
from engine.sema.when import looks_if_tainted
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
    """ORC801: each `write` or `once` worker that may be started by a stranger's words."""
    for found in reached_starts(subject, "effect"):
        if _is_only_handed(subject, found.way):
            continue
        worker = found.worker
        acts = Related(f"`{worker.name}` acts here (`{worker.effect}`)", worker.span)
        yield diagnostic(
            "ORC801",
            f"untrusted text ({found.source}) can reach {found.named} "
            f"with no verifier between: {found.shown}",
            found.at,
            help=_help_inside(found.inside) if found.inside else _help(subject, found.way),
            related=(found.related, acts),
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


def _help_inside(inside: list[str]) -> str:
    """A hook on a plan looks at the input of the plan; what its steps read comes after that.

    `@from` on the plan does not hold for what it calls.
    """
    hooks = "  ".join(
        f"before_dispatch {name} {{ with = ...  on_fail = abort }}" for name in inside
    )
    return f"add `verify {{ {hooks} }}`: a hook on the plan does not see what its steps read"


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
