"""Values of a step that are known only when it runs: references, parts of an item, expressions.

A step's input is a tree of plain JSON values whose leaves may be one of the records here. The JSON
form is what a decision contains; an author's plan (`via plan`) also has `Computed`. `read_value`
turns JSON into a tree, `write_value` a tree into JSON, `fill` a tree into the value; `compiled`
makes the function that fills one tree many times.

    {"$from": "a1", "at": "/items"}     (a part of) the output of task or step a1
    {"$from": "r", "pairs": true}       the items of step r with their outputs; also "failures"
    {"$item": "/path"}                  (a part of) the item of an `each`
    {"$index": true}                    its number in the source: 3, or "3.0" after `flatten`
    {"$parts": true}                    the values that one call of a `reduce` combines
    {"$literal": value}                 the value itself, whatever it looks like

Nothing else is taken for a reference. A value that arrives through one is never searched again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal, assert_never

import msgspec

from engine.sema.expressions.compiler import Expression
from engine.sema.types.schema_facts import pointer_tokens

__all__ = [
    "ABSENT",
    "Computed",
    "FromInput",
    "FromItem",
    "FromLast",
    "FromStep",
    "Index",
    "Leaf",
    "NothingThere",
    "Parts",
    "Scope",
    "View",
    "at_pointer",
    "compiled",
    "fill",
    "is_deeper",
    "is_leaf",
    "leaves",
    "names_in",
    "names_of",
    "read_value",
    "write_value",
]

#: The views of a step: its outputs, its items with their outputs, its failures.
View = Literal["outputs", "pairs", "failures"]


class _Absent:
    """The type of `ABSENT`."""

    def __repr__(self) -> str:
        return "ABSENT"


#: What a pointer to nothing leads to, where that differs from null.
ABSENT = _Absent()


class FromStep(msgspec.Struct, frozen=True):
    """(A part of) the output of a task or step of the same plan, or of an earlier one."""

    name: str
    at: str = ""
    view: View = "outputs"


class FromItem(msgspec.Struct, frozen=True):
    """(A part of) the item of an `each`."""

    at: str = ""


class FromInput(msgspec.Struct, frozen=True):
    """(A part of) the inputs of an author's plan; the first token is the input's name."""

    at: str


class FromLast(msgspec.Struct, frozen=True):
    """(A part of) what the last pass of a `repeat` gave."""

    at: str = ""


class Index(msgspec.Struct, frozen=True):
    """The number of an item in its source, before any shaper."""


class Parts(msgspec.Struct, frozen=True):
    """The values that one call of a `reduce` combines: a list."""


class Computed(msgspec.Struct, frozen=True):
    """An expression of an author's plan that is more than a path.

    Attributes:
        names: The names of steps, inputs and item parts that it reads, those in `views` included.
        views: The views of steps that it reads, under the names that it reads them by.
    """

    expression: Expression
    names: frozenset[str]
    views: tuple[tuple[str, FromStep], ...] = ()


Leaf = FromStep | FromItem | FromInput | FromLast | Index | Parts | Computed
_LEAVES = (FromStep, FromItem, FromInput, FromLast, Index, Parts, Computed)


def is_leaf(value: Any) -> bool:
    """Whether a part of a tree is known only when the step runs."""
    return isinstance(value, _LEAVES)


class Scope(msgspec.Struct):
    """What a tree is filled from.

    Attributes:
        output: The output of a task or step, in a view. It raises what the caller wants to see
            where there is none.
        inputs: The inputs of an author's plan.
        item: The item of an `each`; `ABSENT` outside one.
        index: Its number, as `Index` gives it.
        parts: What a call of a `reduce` combines.
        last: What the last pass of a `repeat` gave.
        names: All that an expression may read, by name, in an author's plan.
        ended: How the task or step of a name ended: its status; "" if there is none.
    """

    output: Callable[[str, View], Any]
    inputs: Mapping[str, Any] = {}
    item: Any = ABSENT
    index: int | str | None = None
    parts: list[Any] | None = None
    last: Any = None
    names: Callable[[Scope, frozenset[str]], Mapping[str, Any]] | None = None
    ended: Callable[[str], str] = lambda name: ""


def at_pointer(value: Any, pointer: str) -> Any:
    """What a JSON Pointer (RFC 6901) leads to; `ABSENT` if it leads nowhere."""
    if pointer == "":
        return value
    tokens = pointer_tokens(pointer)
    if tokens is None:
        return ABSENT
    for token in tokens:
        if isinstance(value, dict):
            if token not in value:
                return ABSENT
            value = value[token]
        elif isinstance(value, list):
            if not (token.isdecimal() and token.isascii() and len(token) < 10):
                return ABSENT
            if str(int(token)) != token or int(token) >= len(value):
                return ABSENT
            value = value[int(token)]
        else:
            return ABSENT
    return value


class NothingThere(Exception):
    """A reference leads to a place that the value does not have; the message names it."""


def fill(tree: Any, scope: Scope) -> Any:
    """A tree with every leaf replaced by its value.

    Raises:
        NothingThere: A pointer of a reference leads nowhere.
        EvaluationError: An expression cannot be evaluated.
    """
    kind = tree.__class__
    if kind is str or kind is int:
        return tree
    if kind is dict:
        return {key: fill(value, scope) for key, value in tree.items()}
    if kind is list:
        return [fill(value, scope) for value in tree]
    if isinstance(tree, _LEAVES):
        return leaf_value(tree, scope)
    return tree


def compiled(tree: Any) -> Callable[[Scope], Any]:
    """What fills a tree: the same as `fill`, with what does not depend on the scope done once.

    An `each` fills one tree for each of its items; this takes a third of the time.
    """
    if isinstance(tree, FromItem):
        return _compiled_item(tree)
    if isinstance(tree, _LEAVES):
        return partial(leaf_value, tree)
    if isinstance(tree, dict) and any(True for _ in leaves(tree)):
        fields = [(key, compiled(value)) for key, value in tree.items()]
        return lambda scope: {key: part(scope) for key, part in fields}
    # Also a plain object or list is made for each item: no two tasks share one.
    return partial(fill, tree)


def _compiled_item(leaf: FromItem) -> Callable[[Scope], Any]:
    tokens = pointer_tokens(leaf.at)
    if tokens is None or len(tokens) != 1:
        return partial(leaf_value, leaf)
    first = tokens[0]

    def field(scope: Scope) -> Any:
        item = scope.item
        if item.__class__ is dict and first in item:
            return item[first]
        return leaf_value(leaf, scope)

    return field


def leaf_value(leaf: Leaf, scope: Scope, *, absent: bool = False) -> Any:
    """The value of one leaf.

    Args:
        absent: Whether a pointer that leads nowhere gives `ABSENT` instead of an error.

    Raises:
        NothingThere: A pointer leads nowhere.
        EvaluationError: An expression cannot be evaluated.
    """
    match leaf:
        case FromItem():
            found, where = at_pointer(scope.item, leaf.at), "the item"
        case FromStep():
            found, where = at_pointer(scope.output(leaf.name, leaf.view), leaf.at), leaf.name
        case FromInput():
            found, where = at_pointer(scope.inputs, leaf.at), "the inputs"
        case FromLast():
            found, where = at_pointer(scope.last, leaf.at), "the last pass"
        case Index():
            return scope.index
        case Parts():
            return scope.parts
        case Computed():
            assert scope.names is not None
            # A step of which only a view is read may have failed: its outputs are not asked for.
            known = scope.names(scope, leaf.names & leaf.expression.names)
            if leaf.views:
                views = {name: leaf_value(view, scope) for name, view in leaf.views}
                known = {**known, **views}
            return leaf.expression.evaluate(known)
        case _:
            assert_never(leaf)
    if found is ABSENT and not absent:
        raise NothingThere(f"there is nothing at `{leaf.at}` in {where}")
    return found


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Leaf]]:
    """Each leaf of a tree, with the JSON Pointer of its place."""
    if isinstance(tree, _LEAVES):
        yield path, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            escaped = key.replace("~", "~0").replace("/", "~1")
            yield from leaves(value, f"{path}/{escaped}")
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from leaves(value, f"{path}/{index}")


def is_deeper(value: Any, most: int) -> bool:
    """Whether lists and objects in a JSON value are nested deeper than `most` levels."""
    level = [value]
    for _ in range(most + 1):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def names_in(tree: Any) -> Iterator[str]:
    """The names of tasks and steps that the leaves of a tree refer to."""
    for _, leaf in leaves(tree):
        yield from names_of(leaf)


def names_of(leaf: Leaf) -> Iterator[str]:
    """The names of tasks and steps that a leaf may refer to; of an expression, all its names."""
    if isinstance(leaf, FromStep):
        yield leaf.name
    elif isinstance(leaf, Computed):
        yield from leaf.names


# ---------------------------------------------------------------- the JSON form


def read_value(value: Any) -> Any:
    """A JSON value as a tree: each object that is a reference becomes a leaf."""
    if isinstance(value, list):
        return [read_value(item) for item in value]
    if not isinstance(value, dict):
        return value
    leaf = _read_leaf(value)
    if leaf is not None:
        return leaf
    if len(value) == 1 and "$literal" in value:
        return value["$literal"]
    return {key: read_value(item) for key, item in value.items()}


def _read_leaf(value: dict[str, Any]) -> Leaf | None:
    keys = value.keys()
    if "$from" in keys and keys <= {"$from", "at", "pairs", "failures"}:
        name, at = value["$from"], value.get("at", "")
        views = [view for view in ("pairs", "failures") if value.get(view) is True]
        others = keys - {"$from", "at", *views}
        if isinstance(name, str) and isinstance(at, str) and not others and len(views) < 2:
            return FromStep(name, at, views[0] if views else "outputs")  # type: ignore[arg-type]
    elif len(value) == 1:
        key, inner = next(iter(value.items()))
        if key == "$item" and isinstance(inner, str):
            return FromItem(inner)
        if key == "$index" and inner is True:
            return Index()
        if key == "$parts" and inner is True:
            return Parts()
    return None


def write_value(tree: Any) -> Any:
    """A tree in the JSON form; an expression is written as its text, `{"$expression": "..."}`."""
    match tree:
        case list():
            return [write_value(item) for item in tree]
        case dict():
            written = {key: write_value(item) for key, item in tree.items()}
            # A plain value that looks like a reference was written as a literal.
            looks = _read_leaf(tree) is not None or (len(tree) == 1 and "$literal" in tree)
            return {"$literal": tree} if looks else written
        case FromStep():
            at = {"at": tree.at} if tree.at else {}
            view = {} if tree.view == "outputs" else {tree.view: True}
            return {"$from": tree.name, **at, **view}
        case FromItem():
            return {"$item": tree.at}
        case FromInput():
            return {"$input": tree.at}
        case FromLast():
            return {"$last": tree.at}
        case Index():
            return {"$index": True}
        case Parts():
            return {"$parts": True}
        case Computed():
            return {"$expression": tree.expression.text}
    return tree
