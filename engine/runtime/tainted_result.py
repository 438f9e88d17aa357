"""Which parts of a run's result may hold a stranger's words.

Such a part was given by reference to tainted output, or typed by a planner that had read strangers'
text, or is marked `@untrusted`, or was made by `on_escalate` after tasks had brought such text.
What a person entered is clean. Only parts that can hold words count: by type, and by value.

Like all of taint, it is computed from the folded state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from engine.runtime import taint
from engine.runtime.origins import is_under, result_origins, under
from engine.runtime.state import Loop, RunState, Step, Task
from engine.sema.plans.values import ABSENT, at_pointer
from engine.sema.trust import carries_at, untrusted_inside
from engine.sema.types.definitions import Array, Constrained, Named, Optional, Record, Type, Union
from engine.sema.types.schema_facts import field_names, subschema_at

__all__ = ["tainted_parts"]


def tainted_parts(state: RunState, loop: Loop) -> tuple[str, ...]:
    """The parts of what an orchestrator gives that may hold a stranger's words.

    Returns:
        JSON Pointers into its result; where there is none (yet), into the result that its planner
        wants to finish with, or into its best partial result. No pointer leads into another one.
    """
    output = loop.orchestrator.output
    if loop.status == "finished":
        value = loop.output
        if loop.by_person:
            found: Iterator[str] = iter(())
        elif loop.escalated and loop.orchestrator.on_escalate is not None:
            found = _words(output.schema, value, "") if taint.has_read(state, loop) else iter(())
        else:
            found = _decided(state, loop, value)
        return _outermost([*found, *_marked(output.type, output.schema, value, "")])
    value = loop.result if loop.best is None else loop.best
    if value is None:
        return ()
    if value is loop.result:
        marked = _marked(output.type, output.schema, value, "")
        return _outermost([*_decided(state, loop, value), *marked])
    return _outermost(_partial(state, loop, value))


def _decided(state: RunState, loop: Loop, value: Any) -> Iterator[str]:
    """Of a result that its planner decided on: what it typed after it had read, and references."""
    schema = loop.orchestrator.output.schema
    clean: set[str] = set()
    for origin in result_origins(loop, taint.result_tree(loop)):
        if taint.is_tainted(state, origin):
            yield from _words(schema, _at(value, origin.path), origin.path)
        else:
            clean.add(origin.path)
    if loop.tainted:
        yield from _words(schema, value, "", clean)


def _partial(state: RunState, loop: Loop, value: Any) -> Iterator[str]:
    """Of what tasks gave before their orchestrator ended without a result."""
    if not taint.has_read(state, loop):
        return
    entries: list[Task | Step] = [*loop.every_task(), *loop.every_step()]
    for entry in entries:
        if entry.output is value or entry.partial is value:
            if entry.tainted:
                yield from _words(True, value, "")
            return
    strange = {entry.worker.name for entry in entries if entry.tainted and entry.worker}
    workers = {entry.worker.name for entry in entries if entry.worker}
    if isinstance(value, dict) and value.keys() <= workers:
        for name in value.keys() & strange:
            yield from _words(True, value[name], under("", name))
    else:
        yield from _words(True, value, "")


def _words(schema: Any, value: Any, path: str, clean: Collection[str] = ()) -> Iterator[str]:
    """The parts of a value that can hold words: fields of records, other values as a whole.

    Args:
        schema: Of the whole result; True where it is not known.
        path: Where the value is in the result.
        clean: Parts that hold none of a stranger's.
    """
    if path in clean or not _has_words(value):
        return
    if isinstance(schema, Mapping) and not carries_at(schema, path):
        return
    inside = any(is_under(part, path) for part in clean)
    if isinstance(value, dict) and (inside or _is_record(schema, value, path)):
        for key, inner in value.items():
            yield from _words(schema, inner, under(path, key), clean)
    elif isinstance(value, list) and inside:
        for place, inner in enumerate(value):
            yield from _words(schema, inner, under(path, place), clean)
    else:
        yield path


def _is_record(schema: Any, value: Mapping[str, Any], path: str) -> bool:
    """Whether the schema names all keys of an object, so that these are no one's words."""
    place = subschema_at(schema, path) if isinstance(schema, Mapping) else None
    return isinstance(place, dict) and value.keys() <= set(field_names(place))


def _has_words(value: Any) -> bool:
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, str) or (isinstance(one, dict) and one):
            return True
        if isinstance(one, list):
            todo += one
    return False


def _marked(type_: Type, schema: Any, value: Any, path: str) -> Iterator[str]:
    """The parts of a result that its type marks `@untrusted`."""
    if not untrusted_inside(type_):
        return
    match type_:
        case Named(definition=definition):
            yield from _marked(definition.type, schema, value, path)
        case Constrained(untrusted=True):
            yield from _words(schema, value, path)
        case Optional(item=inner) | Constrained(item=inner):
            yield from _marked(inner, schema, value, path)
        case Union(options=options):
            for option in options:
                yield from _marked(option, schema, value, path)
        case Array(item=inner) if isinstance(value, list):
            for place, one in enumerate(value):
                yield from _marked(inner, schema, one, under(path, place))
        case Record(fields=fields) if isinstance(value, dict):
            for field in fields:
                if field.name in value:
                    where = under(path, field.name)
                    if field.untrusted:
                        yield from _words(schema, value[field.name], where)
                    else:
                        yield from _marked(field.type, schema, value[field.name], where)


def _at(value: Any, pointer: str) -> Any:
    found = at_pointer(value, pointer)
    return None if found is ABSENT else found


def _outermost(paths: Collection[str] | Iterator[str]) -> tuple[str, ...]:
    """Pointers in order, without those that lead into another of them."""
    found: list[str] = []
    for path in sorted(set(paths), key=lambda one: one.split("/")):
        if not found or not is_under(path, found[-1]):
            found.append(path)
    return tuple(found)
