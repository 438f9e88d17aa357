"""`@from` on the inputs of a worker: from the names that are written to the sources they mean.

`request` and `person` are words of the language; every other name is a worker or orchestrator that
the file knows, with fields of its output after it. What may be wrong with a contract as a whole
(a source that cannot give the type) is in `engine.sema.flow`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.diagnostics import Edit, Fix, diagnostic
from engine.sema.model import AllowedSource, InputSources
from engine.sema.names.scope import Scope
from engine.sema.suggest import closest
from engine.sema.types.definitions import Array, Field, Record, SourceName, Type, options_of

__all__ = ["input_sources"]

_WORDS = ("request", "person")


def input_sources(inputs: Sequence[Field], scope: Scope) -> tuple[InputSources, ...]:
    """Where the inputs of a worker may come from; an unknown name is reported in the scope."""
    return tuple(_of_fields(inputs, (), scope, frozenset()))


def _of_fields(
    fields: Sequence[Field], path: tuple[str, ...], scope: Scope, inside: frozenset[int]
) -> Iterator[InputSources]:
    for field in fields:
        at = (*path, field.name)
        if field.sources is not None and field.sources_span is not None:
            allowed = [_allowed(name, scope) for name in field.sources]
            yield InputSources(
                at, tuple(one for one in allowed if one is not None), field.sources_span
            )
        # What is said of a field inside holds besides what is said of the whole.
        yield from _of_type(field.type, at, scope, inside)


def _of_type(
    type_: Type, path: tuple[str, ...], scope: Scope, inside: frozenset[int]
) -> Iterator[InputSources]:
    """Of the fields inside a type.

    A schema inside itself gives no further paths: the machine follows what is written in it to
    every depth.
    """
    for option in options_of(type_):
        if id(option) in inside:
            continue
        if isinstance(option, Record):
            yield from _of_fields(option.fields, path, scope, inside | {id(option)})
        elif isinstance(option, Array):
            yield from _of_type(option.item, (*path, "*"), scope, inside | {id(option)})


def _allowed(source: SourceName, scope: Scope) -> AllowedSource | None:
    """What a name means: the longest beginning of it that is a worker, and fields after that."""
    if source.name in _WORDS:
        return AllowedSource(source.name)
    parts = source.name.split(".")
    for length in range(len(parts), 0, -1):
        found = scope.find(".".join(parts[:length]))
        if found is not None and found.kind in ("worker", "orchestrator"):
            entity = scope.lookup(
                ".".join(parts[:length]), ("worker", "orchestrator"), source.span, "`@from`"
            )
            if entity is not None:
                return AllowedSource(entity.canonical, tuple(parts[length:]))
    near = None if scope.find(parts[0]) or len(parts) > 1 else closest(source.name, _WORDS)
    others = scope.visible("worker", "orchestrator")
    if near is None or closest(source.name, [*others, *_WORDS]) != near:
        scope.lookup(parts[0], ("worker", "orchestrator"), source.span, "`@from`")
    elif not scope.excused(source.name):
        scope.diagnostics.append(
            diagnostic(
                "ORC101",
                f"unknown source `{source.name}`",
                source.span,
                help=f"did you mean `{near}`?",
                fix=Fix(f"write `{near}`", (Edit(source.span, near),)),
            )
        )
    return None
