"""Whether each `@from` of a task's input is kept, and which parts of it break one.

A value keeps `@from` if the program wrote it (as a literal or default), if a person entered it, or
if a hook has endorsed it. It keeps it too if it is from a source that `@from` names: in the
caller's request, or in the named part of what a worker has given, by reference or by value. How
values are compared is defined in `engine.runtime.whole_tokens` and `leaf_values`.

Everything is a function of the folded state. A program without `@from` pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from engine.runtime.known_values import RequestValues, SourceRule
from engine.runtime.leaf_values import key_of, keys_in, leaves_in, parts_at, parts_declared
from engine.runtime.same_call import Sent, Tokens, tokens_of
from engine.runtime.sources import Source, sources, sources_of
from engine.runtime.state import RunState, Step, Task
from engine.sema.model import AllowedSource, InputSources, Worker, fallback_chain
from engine.sema.trust import is_marked, untrusted_inside
from engine.sema.types.definitions import (
    MISSING,
    Array,
    Field,
    Record,
    Type,
    Union,
    is_optional,
    options_of,
    strip,
)
from engine.sema.types.paths import fields_at, is_open, is_recursive, literals_in
from engine.sema.types.schema_facts import pointer_tokens

__all__ = ["Broken", "broken", "is_anchored", "made_before", "note_start", "rules_of"]


_SCALARS = frozenset({str, int, float, bool})


class Broken(msgspec.Struct, frozen=True):
    """A part of an input that breaks its `@from`.

    Attributes:
        path: The part, as a JSON Pointer.
        allowed: What its `@from` names.
        source: Where it is from.
    """

    path: str
    allowed: tuple[AllowedSource, ...]
    source: Source


def broken(state: RunState, task: Task) -> list[Broken]:
    """The parts of a task's input that break an `@from`; of a task that is ready to start."""
    worker = task.worker
    if not isinstance(worker, Worker):
        return []
    found: dict[str, Broken] = {}
    known: tuple[Source, ...] | None = None
    for rule in rules_of(state, worker):
        for part, at, leaf in _values(rule, task):
            if part in found or _is_known(state, leaf, rule):
                continue
            if known is None:  # most values are found by value, and sources take longer
                known = sources(state, task)
            wrong = _wrong(known, at, rule)
            if wrong is not None:
                # In an open type the names of fields may be a stranger's: they are not told.
                path = part if rule.open else at
                found[path] = Broken(path, rule.allowed, wrong)
    return list(found.values())


def _wrong(known: tuple[Source, ...], pointer: str, rule: SourceRule) -> Source | None:
    """A source of a leaf that a rule does not name; None if all are allowed."""
    of_it = sources_of(known, pointer) or (Source(pointer, "planner"),)
    return next((one for one in of_it if not _is_allowed(one, pointer, rule)), None)


def is_anchored(state: RunState, task: Task) -> bool:
    """Whether an input with `@from` has a string or number that is not just its default."""
    return any(True for _ in _anchors(state, task))


# ---------------------------------------------------------------- the same call again


def note_start(state: RunState, task: Task) -> None:
    """Remember what a `once` task whose inputs have `@from` is to be started with."""
    worker = task.worker
    if isinstance(worker, Worker) and worker.effect == "once" and rules_of(state, worker):
        sent = state.known.sent.get(worker.name)
        if sent is None:
            sent = state.known.sent[worker.name] = Sent()
        sent.add(task)


def made_before(state: RunState, task: Task) -> Task | None:
    """An earlier task of the same `once` worker with the same values of `@from`.

    It was started, or its checks are at work.
    """
    worker = task.worker
    if not isinstance(worker, Worker) or worker.effect != "once":
        return None
    sent = state.known.sent.get(worker.name)
    return None if sent is None else sent.before(task, lambda one: _tokens(state, one))


def _tokens(state: RunState, task: Task) -> Tokens:
    return tokens_of(_anchors(state, task))


def _anchors(state: RunState, task: Task) -> Iterator[Any]:
    """The strings and numbers in a task's inputs with `@from`, without defaults and literals."""
    worker = task.worker
    assert isinstance(worker, Worker)
    for rule in rules_of(state, worker):
        for _, _, leaf in _values(rule, task):
            # A bool or one of a few literals is in nearly every request.
            if leaf is not None and leaf.__class__ is not bool and leaf not in rule.literals:
                yield leaf


# ---------------------------------------------------------------- one value


def _is_known(state: RunState, leaf: Any, rule: SourceRule) -> bool:
    """Whether a leaf is endorsed, or is a value of a source that a rule names."""
    known, key = state.known, key_of(leaf)
    if key in known.endorsed:
        return True
    for one in rule.allowed:
        if one.name == "request":
            if (known.request or _request(state)).has(leaf, key):
                return True
        elif one.name != "person" and known.gave(one.name, one.at, key):
            return True
    return False


def _is_allowed(source: Source, pointer: str, rule: SourceRule) -> bool:
    """Whether a source of a leaf is one that a rule names, by reference; or the program's own.

    Args:
        pointer: The leaf.
    """
    if source.kind in ("program", "person"):
        return not source.tainted
    if source.kind == "caller":
        return not source.tainted and any(one.name == "request" for one in rule.allowed)
    if source.kind == "planner" or not _has_given(source.producer):
        return False
    at = None
    if source.at is not None:
        at = _fields(source.at + pointer[len(source.path) :])
    return any(
        one.name == source.worker and (not one.at or (at or ())[: len(one.at)] == one.at)
        for one in rule.allowed
    )


def _has_given(producer: Task | Step | None) -> bool:
    """Whether what an origin leads to is an output, and not why there is none."""
    if isinstance(producer, Step):
        # A `reduce` without a call passes on what its worker has not made.
        return producer.worker is not None and bool(producer.items)
    return producer is not None and producer.failure is None and producer.status == "done"


def _fields(pointer: str) -> tuple[str, ...]:
    """The names of fields in a JSON Pointer; lists on the way are gone through."""
    return tuple(token for token in pointer_tokens(pointer) or () if not token.isdecimal())


def _values(rule: SourceRule, task: Task) -> Iterator[tuple[str, str, Any]]:
    """The leaves that are not just a default, with the JSON Pointers of the part and of the leaf.

    Where any field may be given, the names of fields are values too.
    """
    first = task.resolved.get(rule.path[0])
    if len(rule.path) == 1 and first.__class__ in _SCALARS and rule.path[0] in task.resolved:
        # Nearly every input: one value that is its own leaf.
        if not rule.defaults or not any(_is_same(first, one) for one in rule.defaults):
            at = f"/{rule.path[0]}"
            yield at, at, first
        return
    for pointer, part in _parts(rule, task.resolved):
        if any(_is_same(part, default) for default in rule.defaults):
            continue
        for at, leaf in leaves_in(part, pointer):
            yield pointer, at, leaf
        if rule.open:
            for at, leaf in keys_in(part, pointer):
                yield pointer, at, leaf


def _parts(rule: SourceRule, resolved: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The parts that a rule is about, also where a schema holds itself."""
    name = rule.path[0]
    if rule.deep is None or name not in resolved:
        return parts_at(resolved, rule.path)
    return parts_declared(resolved[name], rule.deep, rule.span, f"/{name}")


def _is_same(part: Any, default: Any) -> bool:
    return bool(part == default) and isinstance(part, bool) is isinstance(default, bool)


def rules_of(state: RunState, worker: Worker) -> list[SourceRule]:
    """The `@from` of a worker and of all that may replace it, with what follows from the types."""
    found = state.known.rules.get(worker.name)
    if found is None:
        workers = state.program.workers
        found = []
        for name in fallback_chain(workers, worker.name):
            fields = getattr(workers[name].inputs.type, "fields", ())
            for one in workers[name].sources:
                deep = _recursive_input(fields, one.path)
                found.append(_rule(one, [*fields_at(fields, one.path)], deep))
        state.known.rules[worker.name] = found
    return found


def _recursive_input(fields: Iterable[Field], path: tuple[str, ...]) -> Type | None:
    """The type of the input that a path begins with, if it leads into a schema in itself."""
    if len(path) == 1:
        return None
    return next((f.type for f in fields if f.name == path[0] and is_recursive(f.type)), None)


def _rule(one: InputSources, fields: list[Field], deep: Type | None) -> SourceRule:
    # A field that is left out is its default, or null.
    defaults = [field.default for field in fields if field.default is not MISSING]
    if any(is_optional(field.type) for field in fields):
        defaults.append(None)
    is_any_open = any(is_open(field.type) for field in fields)
    literals = frozenset[str | int | float]().union(*(literals_in(f.type) for f in fields))
    return SourceRule(one.path, one.allowed, defaults, is_any_open, deep, one.span, literals)


# ---------------------------------------------------------------- the caller's request


def _request(state: RunState) -> RequestValues:
    """The run's own inputs and params, without what is marked `@untrusted`."""
    request = state.known.request
    if request is None:
        request = state.known.request = RequestValues(_trusted_inputs(state))
    return request


def _trusted_inputs(state: RunState) -> Iterator[Any]:
    loop = state.loop
    for field in getattr(loop.orchestrator.inputs.type, "fields", ()):
        if field.name in loop.input and not field.untrusted:
            yield from _trusted(loop.input[field.name], field.type)
    for name, value in state.params.items():
        yield from _trusted(value, state.program.params[name].contract.type)


def _trusted(value: Any, type_: Type) -> Iterator[Any]:
    """The parts of a value that are not marked `@untrusted`."""
    if not untrusted_inside(type_):
        yield value
    elif not is_marked(type_) and not isinstance(strip(type_), Union):
        for option in options_of(type_):
            if isinstance(option, Array) and value.__class__ is list:
                for inner in value:
                    yield from _trusted(inner, option.item)
            elif isinstance(option, Record) and value.__class__ is dict:
                for field in option.fields:
                    if field.name in value and not field.untrusted:
                        yield from _trusted(value[field.name], field.type)
