"""ORC820, ORC821, ORC822: hooks that look always or never, an `else` for nothing, skipped gates.

Whether a hook keeps a stranger's words out is ORC801's business. A hook about several workers is
one block of the file, and is reported once.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.subject import Subject
from engine.linter.taint import Place
from engine.sema.expressions.template import Expression
from engine.sema.model import Hook, Orchestrator, Program, Verifier, fallback_chain
from engine.sema.trust import facts_of
from engine.sema.when import looks_if_tainted, needs_taint, reads_nothing
from engine.syntax import ast

__all__ = ["gate_skips_the_tainted", "hook_looks_always_or_never", "otherwise_for_nothing"]

_PAY = """\
worker pay(to: string, amount: float) -> string via command {
  run = ["pay", to, amount | string]  effect = once  timeout = 5s  parse = text
}
"""
_PAGE = """\
worker page(u: string) -> string via http {
  url = "https://a.example/" ~ (u | segment)  timeout = 5s
}
"""
_ASK = """\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [%s]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_dispatch pay { %s } }
}"""
_KNOWN = """\
verifier known(to: string, goal: string) via rules { assert to in goal else "not asked for" }
"""
_GATE = """\
verifier gate(to: string, amount: float) via human { message = "Pay?"  timeout = 1h%s }
"""


HOOK_LOOKS_ALWAYS_OR_NEVER = Rule(
    code="ORC820",
    name="hook-when-constant",
    severity="warning",
    summary="The `when` of a hook is always true, or never.",
    why="The hook would look at everything, or at nothing.",
    bad=_PAY + _KNOWN + _ASK % ("pay", "with = known  when = false  on_fail = deny"),
    good=_PAGE
    + _PAY
    + _KNOWN
    + _ASK % ("page, pay", "with = known  when = tainted  on_fail = deny"),
    allowable=True,
)


def hook_looks_always_or_never(subject: Subject) -> Iterator[Diagnostic]:
    """ORC820: a `when` that reads nothing, or `tainted` of tasks that are never denied for it."""
    for orchestrator, hooks in _blocks(subject):
        when = hooks[0].when
        if when is None:
            continue
        if not when.names:
            always = reads_nothing(when)
            if always is not None:
                yield diagnostic(
                    "ORC820",
                    f"`when = {when.text}` is {'always' if always else 'never'} true",
                    when.span,
                    help="remove it" if always else "remove the hook, or say when it looks",
                )
        elif needs_taint(when.expr):
            yield from _never_tainted(subject, orchestrator, hooks, when)


def _never_tainted(
    subject: Subject, orchestrator: Orchestrator, hooks: list[Hook], when: Expression
) -> Iterator[Diagnostic]:
    """ORC820 where no task that the hooks are about can be tainted."""
    names = " and ".join(f"`{hook.worker}`" for hook in hooks)
    if not any(_may_be_denied(subject.program, hook) for hook in hooks):
        yield diagnostic(
            "ORC820",
            f"`{when.text}` is never true here: no task of {names} is denied for its input",
            when.span,
            help="`tainted` is about `write` and `once` workers and about inputs that decide "
            "whom a worker talks to; check what this one gives with `after_dispatch`, or say "
            "`when` of its inputs",
        )
    elif (
        subject.complete
        and not _meets_strangers(subject, orchestrator)
        and not any(_has_from(subject.program, hook) for hook in hooks)
    ):
        yield diagnostic(
            "ORC820",
            f"`{when.text}` is never true here: nothing that `{orchestrator.name}` reads is "
            "declared untrusted, so this hook never looks",
            when.span,
            help="write `trust = untrusted` in the workers that read what others can write "
            "(mails, tickets, pages), or mark such fields and inputs `@untrusted`; to check "
            "every task, remove `when`",
        )


def _meets_strangers(subject: Subject, orchestrator: Orchestrator) -> bool:
    """Whether untrusted text may get to an orchestrator, or to what its tasks give."""
    return any(place.orchestrator == orchestrator.name for place in subject.flow.reached)


def _may_be_denied(program: Program, hook: Hook) -> bool:
    """Whether `tainted` may be true of a task of the worker that a hook is about."""
    if hook.point != "before_dispatch":
        return True
    worker = program.workers.get(hook.worker or "")
    if worker is None:
        return False
    return (
        worker.changes_something
        or _has_from(program, hook)
        or bool(facts_of(program, worker).address)
    )


def _has_from(program: Program, hook: Hook) -> bool:
    """Whether a task that a hook looks at before its start may break an `@from`."""
    name = hook.worker or ""
    if hook.point != "before_dispatch" or name not in program.workers:
        return False
    chain = fallback_chain(program.workers, name)
    return any(program.workers[name].sources for name in chain)


OTHERWISE_FOR_NOTHING = Rule(
    code="ORC821",
    name="hook-else-for-nothing",
    severity="warning",
    summary="The `else` of a hook cannot be reached, or asks a verifier of `with` again.",
    why="`else` decides only where `with` has not passed.",
    bad=_PAY + _KNOWN + _ASK % ("pay", "with = known  else = known  on_fail = deny"),
    good=_PAY + _KNOWN + _GATE % "" + _ASK % ("pay", "with = known  else = gate  on_fail = deny"),
    allowable=True,
)


def otherwise_for_nothing(subject: Subject) -> Iterator[Diagnostic]:
    """ORC821: an `else` that repeats `with`, or that nothing leads to."""
    program = subject.program
    for _, hooks in _blocks(subject):
        hook = hooks[0]
        if not hook.otherwise:
            continue
        for name in hook.otherwise:
            if name in hook.verifiers:
                yield diagnostic(
                    "ORC821",
                    f"`else` asks `{name}` again, which is in `with`",
                    hook.span,
                    help="name another verifier, or remove it from one of the two",
                )
        known = [program.verifiers[name] for name in hook.verifiers if name in program.verifiers]
        reasons = [_never_hands_over(verifier) for verifier in known]
        if known and all(reasons):
            yield diagnostic(
                "ORC821",
                f"`else` is never asked: {'; '.join(filter(None, reasons))}",
                hook.span,
                help="remove `else`, or let a verifier of `with` say no",
                related=tuple(Related(f"`{it.name}`", it.span) for it in known),
            )


def _never_hands_over(verifier: Verifier) -> str:
    """Why a verifier of `with` never leads to `else`; "" where it may."""
    test = verifier.pass_when
    if test is not None:
        always = reads_nothing(test)
        return f"`{verifier.name}` always passes" if always else ""
    if verifier.facts.done_by == "person" and verifier.timeout_ms is None:
        return f"a person's no to `{verifier.name}` is final, and it has no timeout"
    if verifier.facts.done_by == "machine" and all(
        reads_nothing(one.test) for one in verifier.assertions
    ):
        return f"`{verifier.name}` always passes"
    return ""


GATE_SKIPS_THE_TAINTED = Rule(
    code="ORC822",
    name="gate-skips-the-tainted",
    severity="warning",
    summary="A gate before an effect is skipped where untrusted text may have decided.",
    why=(
        "A skipped gate lets nothing tainted pass, so such a task ends as `denied` without a "
        "question. `when` on the hook can ask where it matters."
    ),
    bad=(
        _PAGE
        + _PAY
        + _GATE % "  skip_when = amount < 100"
        + _ASK % ("page, pay", "with = gate  on_fail = deny")
    ),
    good=(
        _PAGE
        + _PAY
        + _GATE % ""
        + _ASK % ("page, pay", "with = gate  when = tainted or amount >= 100  on_fail = deny")
    ),
    allowable=True,
)


def gate_skips_the_tainted(subject: Subject) -> Iterator[Diagnostic]:
    """ORC822: `skip_when` on what alone could clear the tainted tasks of an effect."""
    told: set[str] = set()
    for orchestrator, hooks in _blocks(subject):
        for hook in hooks:
            skipped = _skipped(subject, orchestrator, hook)
            for verifier in skipped:
                test = verifier.skip_when
                if test is None or verifier.name in told:
                    continue
                told.add(verifier.name)
                yield diagnostic(
                    "ORC822",
                    f"where `{test.text}`, `{verifier.name}` is skipped and clears nothing, so a "
                    f"tainted task of `{hook.worker}` ends as `denied`",
                    test.span if subject.here(verifier.span) else hook.span,
                    help=f"remove `skip_when`, and write `when = tainted or {opposite(test)}` in "
                    "the hook",
                    related=(Related("the hook", hook.span),),
                )


def _skipped(subject: Subject, orchestrator: Orchestrator, hook: Hook) -> list[Verifier]:
    """The gates of a hook before an effect, where all of its verifiers may be skipped.

    None where no untrusted text may reach the orchestrator, or where ORC801 has a word on `when`.
    """
    program = subject.program
    worker = program.workers.get(hook.worker or "")
    if hook.point != "before_dispatch" or worker is None or not worker.changes_something:
        return []
    if not subject.flow.reaches(Place("loop", orchestrator.name)) or not looks_if_tainted(hook):
        return []
    known = [program.verifiers[name] for name in hook.verifiers if name in program.verifiers]
    if any(verifier.skip_when is None for verifier in known):
        return []
    return [verifier for verifier in known if verifier.facts.done_by == "person"]


_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


def opposite(test: Expression) -> str:
    """The text of a test that is true where another is not."""
    expr = test.expr
    match expr:
        case ast.Unary(operator="not", operand=operand):
            return operand.span.text
        case ast.Comparison(rest=((operator, right),)) if operator in _OPPOSITE:
            return f"{expr.first.span.text} {_OPPOSITE[operator]} {right.span.text}"
    return f"not ({test.text})"


def _blocks(subject: Subject) -> Iterator[tuple[Orchestrator, list[Hook]]]:
    """The hooks of this file's orchestrators, those of one block together."""
    for orchestrator in subject.orchestrators:
        found: dict[int, list[Hook]] = {}
        for hook in orchestrator.hooks:
            found.setdefault(hook.span.start, []).append(hook)
        for hooks in found.values():
            yield orchestrator, hooks
