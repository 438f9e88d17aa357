"""ORC209: unions whose options a value cannot tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from engine.diagnostics import Diagnostic, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.subject import Subject
from engine.sema.types.definitions import (
    Array,
    Constrained,
    Named,
    Optional,
    Record,
    Type,
    Union,
    strip,
)
from engine.sema.types.json_schema import schema_of
from engine.sema.types.schema_facts import may_fit
from engine.source import Span
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["ambiguous_union"]


AMBIGUOUS_UNION = Rule(
    code="ORC209",
    name="ambiguous-union",
    severity="warning",
    summary="A value can match two of the records in a union.",
    why=(
        "Where two records fit one value, no one can tell which was meant: neither a "
        "prompt nor the code that reads it."
    ),
    bad="""\
schema Reply { text: string }
schema Question { text: string, to: string? }
worker tell(q: string) -> Reply | Question via llm { model = fast  prompt = "{{ q }}" }""",
    good="""\
schema Reply { kind: "reply", text: string }
schema Question { kind: "question", text: string, to: string? }
worker tell(q: string) -> Reply | Question via llm { model = fast  prompt = "{{ q }}" }""",
    allowable=True,
)


def ambiguous_union(subject: Subject) -> Iterator[Diagnostic]:
    """ORC209: two records of a union that one value may belong to both of."""
    for union, holder in _unions(subject):
        if not subject.here(holder):
            continue
        records = [option for option in union.options if isinstance(strip(option), Record)]
        for one, other in combinations(records, 2):
            if _overlap(one, other):
                yield diagnostic(
                    "ORC209",
                    f"`{one}` and `{other}` overlap: a value can match both",
                    _written(subject, union, holder),
                    help='tell them apart by a field: `kind: "reply"` in one, '
                    '`kind: "question"` in the other',
                )


def _unions(subject: Subject) -> Iterator[tuple[Union, Span]]:
    """Every union with records in the types of callables, and what is declared with it."""
    program = subject.program
    todo: list[tuple[Type, Span]] = []
    for worker in program.workers.values():
        todo += [(worker.inputs.type, worker.span), (worker.output.type, worker.span)]
    for loop in program.orchestrators.values():
        todo += [(loop.inputs.type, loop.span), (loop.output.type, loop.span)]
    todo += [(verifier.inputs.type, verifier.span) for verifier in program.verifiers.values()]
    seen: set[int] = set()
    while todo:
        type_, holder = todo.pop()
        match type_:
            case Named(definition=definition):
                if id(definition) not in seen:
                    seen.add(id(definition))
                    todo.append((definition.type, definition.span or holder))
            case Record(fields=fields):
                todo += [(field.type, field.span or holder) for field in fields]
            case Array(item=item) | Optional(item=item) | Constrained(item=item):
                todo.append((item, holder))
            case Union(options=options):
                todo += [(option, holder) for option in options]
                yield type_, holder


def _overlap(one: Type, other: Type) -> bool:
    """Whether a value can fit both records."""
    return may_fit(schema_of(one), schema_of(other))


def _written(subject: Subject, union: Union, holder: Span) -> Span:
    """Where a union is: in the declaration or field that begins at a place."""
    for declaration in subject.result.scopes.entry.module.document.declarations:
        if not declaration.span.start <= holder.start < declaration.span.end:
            continue
        for node in walk(declaration):
            if isinstance(node, ast.UnionType) and node.span.start >= holder.start:
                named = {inner.span.text for inner in walk(node)}
                if all(str(option) in named for option in union.options):
                    return node.span
    return holder
