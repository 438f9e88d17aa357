"""What can carry a stranger's words, and what cleans: the facts behind taint.

The machine follows taint through a run (`engine.runtime.taint`), the linter through the graph
(`engine.linter.taint`). Both ask here which types can hold text that somebody else chose, where a
contract says that it does, and which hooks let nothing pass unlooked-at, so they cannot disagree.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from engine.sema.model import Hook, Orchestrator, Verifier
from engine.sema.schema_facts import follow, may_fit
from engine.sema.types import Array, Constrained, Field, Named, Optional, Record, Type, Union

__all__ = ["carries", "clears", "may_hand_over", "untrusted_fields", "untrusted_inside"]


def carries(schema: Any, root: Any) -> bool:
    """Whether a value of this schema can hold text that a stranger chose.

    Not ints, bools and members of enums, nor records and lists of such.

    Args:
        root: The document that `$ref` in it refers to.
    """
    return any(_is_text(node) for node in _leaves(schema, root))


def may_hand_over(producer: Mapping[str, Any], consumer: Mapping[str, Any]) -> bool:
    """Whether a reference to a part of one value that carries text may fit a part of another.

    For consumers that take no text themselves: an int may come out of `json`, and an empty list
    of strings is one of ints.
    """
    wanted = [{**node, "$defs": consumer.get("$defs", {})} for node in _nodes(consumer, consumer)
              if isinstance(node, Mapping)]  # fmt: skip
    for node in _nodes(producer, producer):
        if not carries(node, producer):
            continue
        if not isinstance(node, Mapping) or _is_unknown(node):
            return True
        part = {**node, "$defs": producer.get("$defs", {})}
        if any(may_fit(part, place) for place in wanted):
            return True
    return False


def untrusted_fields(fields: tuple[Field, ...]) -> Iterator[Field]:
    """The fields that are marked `@untrusted`, or hold one that is."""
    return (field for field in fields if field.untrusted or untrusted_inside(field.type))


@functools.lru_cache(maxsize=512)
def untrusted_inside(type_: Type) -> bool:
    """Whether a field anywhere in a type is marked `@untrusted`."""
    seen: set[int] = set()
    todo: list[Type] = [type_]
    while todo:
        current = todo.pop()
        match current:
            case Named(definition=definition):
                if id(definition) not in seen:
                    seen.add(id(definition))
                    todo.append(definition.type)
            case Record(fields=fields):
                if any(field.untrusted for field in fields):
                    return True
                todo += [field.type for field in fields]
            case Array(item=inner) | Optional(item=inner) | Constrained(item=inner):
                todo.append(inner)
            case Union(options=options):
                todo += options
    return False


def clears(
    orchestrator: Orchestrator, point: str, worker: str, verifiers: Mapping[str, Verifier]
) -> bool:
    """Whether nothing passes a dispatch hook of a worker without a verifier's or a person's yes.

    A hook that warns, or warns in the end, lets pass what it does not like; verifiers that may
    all be skipped may not look at all.
    """
    return any(
        hook.point == point and hook.worker == worker and _is_firm(hook, verifiers)
        for hook in orchestrator.hooks
    )


def _is_firm(hook: Hook, verifiers: Mapping[str, Verifier]) -> bool:
    if hook.on_fail == "warn" or (hook.on_fail == "revise" and hook.then == "warn"):
        return False
    known = [verifiers[name] for name in hook.verifiers if name in verifiers]
    return any(verifier.skip_when is None for verifier in known)


def _is_text(node: Any) -> bool:
    if not isinstance(node, Mapping):
        return True
    if "const" in node or "enum" in node:
        return False
    kind = node.get("type")
    return kind not in ("integer", "boolean", "null")


def _leaves(schema: Any, root: Any) -> Iterator[Any]:
    """The schemas at the bottom of one: neither choices, nor lists, nor closed records."""
    for node in _nodes(schema, root):
        if not isinstance(node, Mapping) or not _inner(node):
            yield node


def _is_unknown(node: Mapping[str, Any]) -> bool:
    """Whether nothing is said of the values inside it, or of what it is at all."""
    kind = node.get("type")
    if kind in ("object", "array"):
        return not _inner(node)
    return kind is None and not {"anyOf", "oneOf", "const", "enum"} & set(node)


def _nodes(schema: Any, root: Any) -> Iterator[Any]:
    """A schema and those in it, each once, references followed."""
    seen: set[int] = set()
    todo = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, Mapping):
            if id(node) in seen:
                continue
            seen.add(id(node))
            if "$ref" in node:
                todo.append(follow(root, node["$ref"]))
                continue
            todo += _inner(node)
        yield node


def _inner(node: Mapping[str, Any]) -> list[Any]:
    if "const" in node or "enum" in node:
        return []
    options = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    if options:
        return options
    if node.get("type") == "array" and "items" in node:
        return [node["items"]]
    if node.get("type") == "object" and node.get("additionalProperties") is False:
        return list(node.get("properties", {}).values()) or [{"const": {}}]
    return []
