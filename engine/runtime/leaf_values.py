"""The leaf values of JSON: walked, and told apart as `@from` and `endorse` compare them.

A leaf is a string, a number, a bool or null inside lists and objects. Strings are equal in NFC,
numbers by value (1 and 1.0), bools only to bools. An empty list or object has no leaf. Sets of
leaves are bounded: what does not fit counts as not there, so the only harm is a denial.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from engine.runtime.whole_tokens import as_number, nfc
from engine.sema.types.definitions import Array, Record, Type, options_of
from engine.source import Span

__all__ = [
    "MOST_LEAVES",
    "key_of",
    "keys_in",
    "leaves_in",
    "parts_at",
    "parts_declared",
    "readings",
]

#: The most leaf values that are kept of one source.
MOST_LEAVES = 100_000


def key_of(leaf: Any) -> Hashable:
    """What is equal for equal leaves, and for no others."""
    if leaf.__class__ is str:
        return nfc(leaf)
    if leaf is True or leaf is False or leaf is None:
        return (leaf,)  # for `True == 1` in Python
    key: Hashable = leaf
    return key


def readings(leaf: Any) -> Iterator[Hashable]:
    """The key of a leaf, and of a number in a string or a string of a number: ids are both."""
    yield key_of(leaf)
    if leaf.__class__ is str:
        number = as_number(leaf)
        if number is not None:
            yield number
    elif leaf.__class__ is int:
        yield str(leaf)


def leaves_in(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Each leaf of a value with its JSON Pointer; keys of objects are none."""
    todo = [(pointer, value)]
    while todo:
        at, node = todo.pop()
        if node.__class__ is dict:
            todo += [(f"{at}/{_escaped(key)}", inner) for key, inner in reversed(node.items())]
        elif node.__class__ is list:
            todo += [(f"{at}/{n}", inner) for n, inner in reversed([*enumerate(node)])]
        else:
            yield at, node


def keys_in(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Each key of an object inside a value, with the JSON Pointer of what is under it."""
    todo = [(pointer, value)]
    while todo:
        at, node = todo.pop()
        if node.__class__ is dict:
            for key, inner in node.items():
                yield f"{at}/{_escaped(key)}", key
                todo.append((f"{at}/{_escaped(key)}", inner))
        elif node.__class__ is list:
            todo += [(f"{at}/{n}", inner) for n, inner in enumerate(node)]


def parts_at(value: Any, path: Sequence[str], pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Each part that a path leads to, with its JSON Pointer.

    Args:
        path: Names of fields, from the outside in; `*` is each item of a list. Lists on the way
            are gone through without it too.
    """
    if not path:
        yield pointer, value
    elif value.__class__ is list:
        rest = path[1:] if path[0] == "*" else path
        for number, inner in enumerate(value):
            yield from parts_at(inner, rest, f"{pointer}/{number}")
    elif path[0] == "*":
        yield from parts_at(value, path[1:], pointer)
    elif value.__class__ is dict and path[0] in value:
        yield from parts_at(value[path[0]], path[1:], f"{pointer}/{_escaped(path[0])}")


def parts_declared(
    value: Any, type_: Type, span: Span, pointer: str = ""
) -> Iterator[tuple[str, Any]]:
    """The parts of a value whose `@from` is written at a place, each with its JSON Pointer.

    A schema that holds itself is followed as deep as the value goes.
    """
    todo = [(pointer, value, type_)]
    while todo:
        at, node, of = todo.pop()
        for option in options_of(of):
            if isinstance(option, Array) and node.__class__ is list:
                todo += [(f"{at}/{n}", inner, option.item) for n, inner in enumerate(node)]
            elif isinstance(option, Record) and node.__class__ is dict:
                for field in option.fields:
                    if field.name not in node:
                        continue
                    inside = f"{at}/{_escaped(field.name)}"
                    if field.sources_span == span:
                        yield inside, node[field.name]
                    todo.append((inside, node[field.name], field.type))


def _escaped(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1")
