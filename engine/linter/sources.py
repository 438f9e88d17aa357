"""ORC814 to ORC817, ORC819: what `@from` and `endorse` can and cannot keep out.

Names that lead nowhere are errors of the checker (`engine.sema.provenance`). Here is what follows
from the whole program: values that can never be from where they must be, sources that a stranger
chooses, inputs that were forgotten, and verdicts that endorse what they have not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.subject import Subject
from engine.linter.taint import Place, is_source
from engine.sema.looks import looks_at, looks_at_output
from engine.sema.model import Hook, InputSources, Orchestrator, Program, Worker, called_by
from engine.sema.provenance import runs_of
from engine.sema.trust import inputs_not_seen
from engine.sema.types.definitions import (
    Array,
    Constrained,
    Field,
    Json,
    Named,
    Optional,
    Record,
    Scalar,
    Type,
    Union,
    options_of,
)
from engine.sema.types.paths import fields_at, may_be_equal, types_at

__all__ = [
    "endorsed_unseen",
    "input_without_source",
    "never_from_there",
    "number_of_a_stranger",
    "source_is_free_text",
]

_READ = """\
worker read_page(u: url) -> { text: string, total: int } via command {
  run = ["fetch", u]  effect = read  trust = untrusted  timeout = 5s
}
"""
_ASK = """
orchestrator ask(topic: string) -> string {{
  model   = fast
  goal    = "Explain {{{{ topic }}}}."
  workers = [{workers}]
  policy {{ max_rounds = 3  budget {{ cost = $0.10 }} }}{more}
}}"""


def _pay(inputs: str) -> str:
    return (
        f'worker pay({inputs}) -> string via command {{\n  run = ["pay"]  effect = once  '
        "timeout = 5s  parse = text\n}"
    )


NEVER_FROM_THERE = Rule(
    code="ORC814",
    name="source-never-there",
    severity="error",
    summary="No run can have a value that keeps an `@from`, so the worker never starts.",
    why="Every task of the worker would end as `denied`.",
    bad=_pay("to: email, amount: float @from(request)")
    + """
orchestrator ask(sure: bool) -> string {
  model   = fast
  goal    = "Pay the rent."
  workers = [pay]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good=_pay("to: email, amount: float @from(request)") + _ASK.format(workers="pay", more=""),
    allowable=True,
)


def never_from_there(subject: Subject) -> Iterator[Diagnostic]:
    """ORC814: an input that is always given, and whose sources can never give it."""
    if not subject.complete:
        return
    program = subject.program
    planned = {name for worker in program.workers.values() for name in called_by(worker)}
    for worker in program.workers.values():
        # What a plan calls may get literals of the program.
        if worker.name in planned or _is_endorsed(program, worker):
            continue
        users = [one for one in program.orchestrators.values() if worker.name in one.workers]
        for rule in worker.sources:
            if users and not any(_may_be_kept(program, one, worker, rule) for one in users):
                path = ".".join(name for name in rule.path if name != "*")
                yield diagnostic(
                    "ORC814",
                    f"`{path}` must be from what no run has, so `{worker.name}` never starts",
                    rule.span,
                    help="let an orchestrator take an input that holds the value, name another "
                    "source, or let a person look at the task (`before_dispatch`)",
                    related=tuple(
                        Related(f"`{one.name}` dispatches it", one.span) for one in users
                    ),
                )


def _is_endorsed(program: Program, worker: Worker) -> bool:
    """Whether a hook may endorse a value in a run of a worker."""
    names = set().union(*runs_of(program, worker.name))
    found = (program.orchestrators[name] for name in names if name in program.orchestrators)
    return any(hook.endorse for one in found for hook in one.hooks)


def _may_be_kept(program: Program, user: Orchestrator, worker: Worker, rule: InputSources) -> bool:
    fields = [*fields_at(getattr(worker.inputs.type, "fields", ()), rule.path)]
    if len(rule.path) > 1 or not all(field.required for field in fields):
        return True
    if any(one.name not in ("request", "person") for one in rule.allowed):
        return True  # the checker has looked at these
    if any(_asks_a_person(program, hook, worker) for hook in user.hooks):
        return True
    if not any(one.name == "request" for one in rule.allowed):
        return False
    given = [
        field.type
        for root in program.orchestrators.values()
        if _reaches(program, root, user)
        for field in getattr(root.inputs.type, "fields", ())
        if not field.untrusted
    ]
    given += [param.contract.type for param in program.params.values()]
    return any(may_be_equal(field.type, type_) for field in fields for type_ in given)


def _asks_a_person(program: Program, hook: Hook, worker: Worker) -> bool:
    if hook.point not in ("before_dispatch", "before_round") or hook.worker not in (
        None,
        worker.name,
    ):
        return False
    known = (program.verifiers.get(name) for name in hook.every_verifier)
    return "escalate" in (hook.on_fail, hook.then) or any(
        one is not None and one.facts.done_by == "person" for one in known
    )


def _reaches(program: Program, root: Orchestrator, user: Orchestrator) -> bool:
    found = {root.name}
    waiting = [root.name]
    while waiting:
        for name in program.orchestrators[waiting.pop()].workers:
            if name in program.orchestrators and name not in found:
                found.add(name)
                waiting.append(name)
    return user.name in found


SOURCE_IS_FREE_TEXT = Rule(
    code="ORC815",
    name="source-is-free-text",
    severity="warning",
    summary="`@from` names text that a stranger is free to choose.",
    why="Whatever a stranger writes there keeps the `@from`, so it keeps nothing out.",
    bad=_READ
    + _pay("to: string @from(read_page.text)")
    + _ASK.format(workers="read_page, pay", more=""),
    good=_READ + _pay("to: string @from(request)") + _ASK.format(workers="read_page, pay", more=""),
    allowable=True,
)


def source_is_free_text(subject: Subject) -> Iterator[Diagnostic]:
    """ORC815: a named part of a stranger's output that may be any text."""
    program = subject.program
    if not subject.complete:
        return
    for worker in program.workers.values():
        if not subject.here(worker.span):
            continue
        for rule in worker.sources:
            for one in rule.allowed:
                giver = program.workers.get(one.name) or program.orchestrators.get(one.name)
                if giver is None or not _is_strange(subject, giver):
                    continue
                if any(_is_free(type_) for type_ in types_at(giver.output.type, one.at)):
                    named = ".".join([one.name, *one.at])
                    yield diagnostic(
                        "ORC815",
                        f"a stranger chooses this value: `{named}` is any text",
                        rule.span,
                        help="name a field with a narrower type, such as `email`, or let a hook "
                        "look at the task",
                        related=(Related(f"`{one.name}` reads what strangers write", giver.span),),
                    )


def _is_strange(subject: Subject, giver: Worker | Orchestrator) -> bool:
    """Whether what a source gives is from strangers, and not only made from what they said."""
    if isinstance(giver, Orchestrator) and subject.flow.reaches(Place("loop", giver.name)):
        return True
    return is_source(subject.program, giver)


def _is_free(type_: Type, depth: int = 0) -> bool:
    """Whether a leaf may be any text: no pattern or format bounds it."""
    match type_:
        case _ if depth > 8:
            return False
        case Named(definition=definition):
            return _is_free(definition.type, depth + 1)
        case Constrained(item=inner, keywords=keywords):
            return not keywords.keys() & {"pattern", "format"} and _is_free(inner, depth + 1)
        case Array(item=inner) | Optional(item=inner):
            return _is_free(inner, depth + 1)
        case Union(options=options):
            return any(_is_free(option, depth + 1) for option in options)
        case Record(fields=fields):
            return any(_is_free(field.type, depth + 1) for field in fields)
        case Scalar(name=name):
            return name == "string"
    return isinstance(type_, Json)


INPUT_WITHOUT_SOURCE = Rule(
    code="ORC816",
    name="input-without-source",
    severity="info",
    summary="An effect with `@from` has another input that decides to whom or how much, without.",
    why=(
        "With a kept `@from`, every other input may be a stranger's. An address or amount is "
        "rarely meant to be. Texts count that are named like one, such as `path` or `user_id`."
    ),
    bad=_READ
    + _pay("to: email @from(request), amount: float")
    + _ASK.format(workers="read_page, pay", more=""),
    good=_READ
    + _pay("to: email @from(request), amount: float @from(request)")
    + _ASK.format(workers="read_page, pay", more=""),
    allowable=True,
)


def input_without_source(subject: Subject) -> Iterator[Diagnostic]:
    """ORC816: addresses and amounts next to an `@from`."""
    for worker, _ in _effects_of_strangers(subject):
        if not worker.sources:
            continue
        marked = {rule.path[0] for rule in worker.sources}
        for field in _fields(worker):
            if field.name not in marked and _decides(worker, field):
                yield diagnostic(
                    "ORC816",
                    f"a stranger may choose `{field.name}`: it has no `@from`, and other inputs of "
                    f"`{worker.name}` have",
                    field.span or worker.span,
                    help="say where it may come from, such as `@from(request)`",
                )


#: Names of texts that say to whom or where, as a whole or as the last word.
_TARGETS = frozenset(
    {
        "account",
        "address",
        "addresses",
        "bcc",
        "beneficiary",
        "bic",
        "bucket",
        "cc",
        "channel",
        "destination",
        "domain",
        "endpoint",
        "file",
        "folder",
        "host",
        "hostname",
        "iban",
        "id",
        "ids",
        "link",
        "number",
        "path",
        "payee",
        "phone",
        "receiver",
        "recipient",
        "recipients",
        "repo",
        "repository",
        "target",
        "to",
        "uri",
        "url",
        "user",
        "username",
        "webhook",
    }
)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def _decides(worker: Worker, field: Field) -> bool:
    """Whether a value says to whom, or in a `once` worker how much."""
    words = [word.lower() for word in _WORDS.findall(field.name)]
    named = bool(words) and (words[-1] in _TARGETS or words[-1].removesuffix("s") in _TARGETS)
    for option in options_of(field.type):
        inner = option.item if isinstance(option, Array) else option
        for one in options_of(inner):
            if not isinstance(one, Scalar):
                continue
            if one.name in ("email", "url") or (named and one.name in ("string", "path")):
                return True
            if one.name in ("int", "float") and worker.effect == "once":
                return True
    return False


NUMBER_OF_A_STRANGER = Rule(
    code="ORC817",
    name="number-of-a-stranger",
    severity="info",
    summary="A stranger's number can get into a `once` worker, and nothing looks at it.",
    why=(
        "A number holds no words, so taint does not follow it. In a payment, the number is the "
        "attack."
    ),
    bad=_READ
    + 'verifier known(to: string) via rules { assert to != "" }\n'
    + _pay("to: string, amount: int")
    + _ASK.format(
        workers="read_page, pay",
        more="\n  verify { before_dispatch pay { with = known  on_fail = deny } }",
    ),
    good=_READ
    + _pay("to: string @from(request), amount: int @from(request)")
    + _ASK.format(workers="read_page, pay", more=""),
    allowable=True,
)


def number_of_a_stranger(subject: Subject) -> Iterator[Diagnostic]:
    """ORC817: whole numbers, flags and literals of `once` workers without `@from`."""
    program = subject.program
    told: set[str] = set()
    for worker, owner in _effects_of_strangers(subject):
        if worker.effect != "once" or worker.sources or worker.plan is not None:
            continue
        if inputs_not_seen(owner, worker, program.verifiers):
            continue  # ORC801 is about the task as a whole
        unseen = set(inputs_not_seen(owner, worker, program.verifiers, words=False))
        for field in _fields(worker):
            if field.name in unseen and f"{worker.name}.{field.name}" not in told:
                told.add(f"{worker.name}.{field.name}")
                yield diagnostic(
                    "ORC817",
                    f"a stranger may choose `{field.name}` of `{worker.name}`, and nothing looks "
                    "at it",
                    field.span or worker.span,
                    help="say where it may come from, such as `@from(request)`, or let a hook "
                    "look at it",
                )


def _effects_of_strangers(subject: Subject) -> Iterator[tuple[Worker, Orchestrator]]:
    """The effects of this file that orchestrators dispatch which strangers' text may reach."""
    program = subject.program
    if not subject.complete:
        return
    for owner in program.orchestrators.values():
        if subject.flow.reaches(Place("loop", owner.name)):
            for name in owner.workers:
                worker = program.workers.get(name)
                if worker is not None and worker.changes_something and subject.here(worker.span):
                    yield worker, owner


def _fields(worker: Worker) -> tuple[Field, ...]:
    fields: tuple[Field, ...] = getattr(worker.inputs.type, "fields", ())
    return fields


ENDORSED_UNSEEN = Rule(
    code="ORC819",
    name="endorsed-unseen",
    severity="warning",
    summary="A hook endorses a value that none of its verifiers looks at, or only warns.",
    why="Only what a verifier has looked at is endorsed, so the hook endorses nothing.",
    bad="""\
verifier known(goal: string) via rules { assert goal != "" }
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_dispatch search { with = known  endorse = [query] } }
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
    allowable=True,
)


def endorsed_unseen(subject: Subject) -> Iterator[Diagnostic]:
    """ORC819: names in `endorse` that nothing looks at."""
    program = subject.program
    told: set[tuple[int, str]] = set()
    for orchestrator in subject.orchestrators:
        for hook in orchestrator.hooks:
            for name in hook.endorse:
                why = _why_not_endorsed(program, hook, name)
                if why and (hook.span.start, name) not in told:
                    told.add((hook.span.start, name))
                    yield diagnostic(
                        "ORC819",
                        f"the hook never endorses `{name}`: {why}",
                        hook.span,
                        help="let a verifier of the hook take it, or remove it from `endorse`",
                    )


def _why_not_endorsed(program: Program, hook: Hook, name: str) -> str:
    if hook.on_fail == "warn":
        return "a hook that only warns clears nothing"
    if "escalate" in (hook.on_fail, hook.then):
        return ""  # a person who overrules it has seen all of it
    known = [program.verifiers[one] for one in hook.every_verifier if one in program.verifiers]
    if hook.point == "before_dispatch":
        seen = [looks_at(verifier, (name,)) for verifier in known]
    else:
        seen = [looks_at_output(verifier) for verifier in known]
    if not known or any(looks.whole or name in looks.parts for looks in seen):
        return ""
    return "none of its verifiers looks at it"
