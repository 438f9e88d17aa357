"""What may be named in `@from(...)` and in `endorse`: for completion, and as text for hover.

It looks at the program as far as it could be read, and knows nothing of the editor's protocol.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.sema.model import Orchestrator, Program, Worker
from engine.sema.names.scope import Scope
from engine.sema.types.definitions import Array, Record, Type, options_of
from engine.sema.types.paths import types_at

__all__ = ["SOURCE_WORDS", "endorsable", "fields_after"]

#: The words of the language, with what they mean.
SOURCE_WORDS = {
    "request": "a value that the caller gave, in the inputs or params of the run",
    "person": "a value that only a person can give or approve",
}


def fields_after(program: Program, scope: Scope, path: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The fields that may follow `mails.` in `@from(mails.`, each with its type.

    Args:
        path: The names before the last dot; the first ones name a worker.
    """
    for length in range(len(path), 0, -1):
        entity = scope.find(".".join(path[:length]))
        if entity is not None:
            giver = program.workers.get(entity.canonical) or program.orchestrators.get(
                entity.canonical
            )
            if giver is not None:
                for type_ in types_at(giver.output.type, tuple(path[length:])):
                    yield from _fields(type_)
            return


def endorsable(program: Program, scope: Scope, header: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What `endorse` may name in a hook, each with its type.

    Args:
        header: The lexemes before the body of the hook: `before_dispatch`, `pay`, `,`, `send`.
    """
    before = "before_dispatch" in header
    if not before and "after_dispatch" in header:
        yield "output", "all of it"
    names = "".join(header[1:]).split(",")
    for name in names:
        entity = scope.find(name)
        target: Worker | Orchestrator | None = None
        if entity is not None:
            target = program.workers.get(entity.canonical) or program.orchestrators.get(
                entity.canonical
            )
        if target is not None:
            yield from _fields(target.inputs.type if before else target.output.type)


def _fields(type_: Type) -> Iterator[tuple[str, str]]:
    for option in options_of(type_):
        if isinstance(option, Array):
            yield from _fields(option.item)
        elif isinstance(option, Record):
            yield from ((field.name, str(field.type)) for field in option.fields)
