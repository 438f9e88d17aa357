"""ORC802, ORC806: text of strangers without a fence in a prompt.

A fence (`| untrusted`) tells a model where a stranger's text begins and ends. Values of a stranger
are only reported if the file leaves no doubt. Such a value is marked `@untrusted`, or is an input
with the type of the output of an untrusted worker next to it. It may also be an input named after
such a worker or after a field of its output. That a planner which has read a page may write
anything into any input is taint, and no fence helps against it: see ORC801.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from engine.diagnostics import Diagnostic, Edit, Fix, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.bare_values import Value, bare_values
from engine.linter.lookup import setting_of
from engine.linter.subject import Subject
from engine.linter.taint import is_source
from engine.sema.declarations.prompts import file_argument
from engine.sema.expressions.positions import Located
from engine.sema.model import Orchestrator, Verifier, Worker, reached
from engine.sema.trust import untrusted_inside
from engine.sema.types.definitions import (
    Array,
    Constrained,
    Field,
    Named,
    Optional,
    Record,
    Scalar,
    Type,
    strip,
)
from engine.source import SourceFile, Span
from engine.syntax import ast

__all__ = ["untrusted_in_goal", "untrusted_unfenced"]


UNTRUSTED_UNFENCED = Rule(
    code="ORC802",
    name="untrusted-unfenced",
    severity="warning",
    summary="A prompt prints text from outside without a fence.",
    why="Without a fence a model cannot tell where the stranger's text ends.",
    bad="""\
worker tell(page: string @untrusted) -> string via llm {
  model = fast
  prompt = "Sum up: {{ page }}"
}""",
    good="""\
worker tell(page: string @untrusted) -> string via llm {
  model = fast
  prompt = "Sum up: {{ page | untrusted }}"
}""",
    allowable=True,
)


def untrusted_unfenced(subject: Subject) -> Iterator[Diagnostic]:
    """ORC802: each place of a prompt that prints a stranger's text without a fence."""
    program = subject.program
    teams = [
        (
            orchestrator,
            frozenset(reached(program.workers, orchestrator.workers)),
            _sources(subject, orchestrator),
        )
        for orchestrator in program.orchestrators.values()
    ]
    teams = [team for team in teams if team[2]]
    for name in subject.declared:
        owner = program.workers.get(name) or program.verifiers.get(name)
        if owner is None or owner.facts.model is None:
            continue
        values = _marked(owner)
        for orchestrator, members, sources in teams:
            evident = (
                _beside(sources, owner if name in members else None)
                if isinstance(owner, Worker)
                else _judged(sources, orchestrator, owner)
            )
            for field, source in evident:
                values.setdefault(field.name, (Value(field.type, True), source))
        if values:
            yield from _found(subject, name, ("prompt", "system"), "ORC802", values)


UNTRUSTED_IN_GOAL = Rule(
    code="ORC806",
    name="untrusted-in-goal",
    severity="error",
    summary="A goal prints text from outside without a fence.",
    why=(
        "Every prompt contains the goal, as an instruction. A model would treat external text in "
        "it as an instruction too."
    ),
    bad="""\
orchestrator ask(topic: string @untrusted) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good="""\
orchestrator ask(topic: string @untrusted) -> string {
  model   = fast
  goal    = "Explain {{ topic | untrusted }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    allowable=True,
)


def untrusted_in_goal(subject: Subject) -> Iterator[Diagnostic]:
    """ORC806: the same in a goal, which is in every prompt of the run."""
    for file in subject.files:
        for orchestrator in file.orchestrators:
            values = _marked(orchestrator)
            if values:
                settings: tuple[str, ...] = ("goal", "instructions")
                yield from _found(file, orchestrator.name, settings, "ORC806", values)


_Values = dict[str, tuple[Value, Span | None]]


def _marked(owner: Worker | Verifier | Orchestrator) -> _Values:
    """The inputs that are marked `@untrusted`, or hold what is."""
    return {
        field.name: (Value(field.type, field.untrusted), field.span)
        for field in getattr(owner.inputs.type, "fields", ())
        if field.untrusted or untrusted_inside(field.type)
    }


def _sources(subject: Subject, orchestrator: Orchestrator) -> list[Worker]:
    """The workers of an orchestrator that give text from outside."""
    workers = subject.program.workers
    known = (workers.get(name) for name in reached(workers, orchestrator.workers))
    return [worker for worker in known if worker and is_source(subject.program, worker)]


def _beside(sources: list[Worker], worker: Worker | None) -> Iterator[tuple[Field, Span]]:
    """The inputs of a worker that are plainly outputs of untrusted workers next to it."""
    fields: tuple[Field, ...] = () if worker is None else getattr(worker.inputs.type, "fields", ())
    for source in sources:
        taken = {field.name for field in getattr(source.inputs.type, "fields", ())}
        for field in fields if source is not worker else ():
            if field.name not in taken and _is_output_of(field, source):
                yield field, source.span


def _judged(
    sources: list[Worker], orchestrator: Orchestrator, verifier: Verifier
) -> Iterator[tuple[Field, Span]]:
    """What an `after_dispatch` hook of an untrusted worker hands to a verifier."""
    for hook in orchestrator.hooks:
        if hook.point != "after_dispatch" or verifier.name not in hook.every_verifier:
            continue
        for source in sources:
            for field in getattr(verifier.inputs.type, "fields", ()):
                if source.name == hook.worker and field.name == "output":
                    yield field, source.span


def _is_output_of(field: Field, source: Worker) -> bool:
    given, made = _names_of(field.type), _names_of(source.output.type)
    if given & made:
        return True
    if not _is_text(field.type):
        return False
    output = strip(source.output.type)
    if isinstance(output, Record):
        return any(each.name == field.name and _is_text(each.type) for each in output.fields)
    words = {word.removesuffix("s") for word in source.name.split("_")}
    return _is_text(source.output.type) and field.name.removesuffix("s") in words


def _names_of(type_: Type) -> set[int]:
    """The declared schemas a type is, or is a list or an optional of."""
    while isinstance(type_, Array | Optional | Constrained):
        type_ = type_.item
    return {id(type_.definition)} if isinstance(type_, Named) else set()


def _is_text(type_: Type) -> bool:
    while isinstance(type_ := strip(type_), Array | Optional):
        type_ = type_.item
    return isinstance(type_, Scalar) and type_.is_text


def _found(
    subject: Subject,
    name: str,
    settings: tuple[str, ...],
    code: Literal["ORC802", "ORC806"],
    values: Mapping[str, tuple[Value, Span | None]],
) -> Iterator[Diagnostic]:
    declaration = subject.declared[name].declaration
    assert isinstance(declaration, ast.WorkerDecl | ast.VerifierDecl | ast.OrchestratorDecl)
    load = _loader(subject)
    for setting in settings:
        for where in _texts(setting_of(declaration.body, setting), load):
            scope = {each: value for each, (value, _) in values.items()}
            for bare in bare_values(where, scope, load):
                source = values[bare.name][1]
                related = (Related("it comes from here", source),) if source is not None else ()
                fix = None
                if bare.span is not None:
                    text = f"{bare.span.text} | untrusted"
                    fix = Fix(f"write `{text}`", (Edit(bare.span, text),))
                yield diagnostic(
                    code,
                    f"`{bare.text}` is untrusted text in the prompt without a fence"
                    if code == "ORC802"
                    else f"`{bare.text}` is untrusted text in the `{setting}`, "
                    "as an instruction in every prompt",
                    bare.span or bare.place,
                    help=f"write `{{{{ {bare.text} | untrusted }}}}`",
                    fix=fix,
                    related=related,
                )


def _loader(subject: Subject) -> Callable[[str], SourceFile | None]:
    """Reads a file next to the subject's from what checking has read already."""
    entry = subject.result.scopes.entry.module
    own = os.path.relpath(subject.scope.module.base_dir, entry.base_dir)
    shown = os.path.dirname(entry.source.path)
    sources: dict[str, SourceFile] = {}

    def load(name: str) -> SourceFile | None:
        key = os.path.normpath(os.path.join(own, name)).replace(os.sep, "/")
        text = subject.program.files.get(key)
        if text is not None and key not in sources:
            sources[key] = SourceFile(os.path.normpath(os.path.join(shown, key)), text)
        return sources.get(key)

    return load


def _texts(expr: ast.Expr | None, load: Callable[[str], SourceFile | None]) -> Iterator[Located]:
    """The templates that a setting is made of, as far as they are written here."""
    if isinstance(expr, ast.String):
        yield Located.in_string(expr)
    elif isinstance(expr, ast.Binary):
        yield from _texts(expr.left, load)
        yield from _texts(expr.right, load)
    elif expr is not None:
        named = file_argument(expr)
        source = load(named.value) if named is not None else None
        if source is not None:
            yield Located.in_file(source)
