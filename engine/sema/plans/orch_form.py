"""Steps as an author writes them: from records to the text of a `via plan` worker.

The other way is `engine.sema.declarations.plans`. What is written here is not laid out; the
formatter does that. Invariant: the text reads back as the same records, but for the places of an
author's own expressions, which are written as they were.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, assert_never

import msgspec

from engine.sema.plans.conditions import Condition, Test
from engine.sema.plans.selection import Selection
from engine.sema.plans.steps import EachStep, ReduceStep, RepeatStep, Step, TaskStep
from engine.sema.plans.values import (
    ABSENT,
    Computed,
    FromInput,
    FromItem,
    FromLast,
    FromStep,
    Index,
    Leaf,
    Parts,
)
from engine.sema.types.schema_facts import pointer_tokens

__all__ = [
    "Chained",
    "Joined",
    "OrNull",
    "call_text",
    "is_name",
    "step_text",
    "test_text",
    "value_text",
]

_NAME = re.compile(r"[^\W\d]\w*")
#: Words that an expression reads as something else.
_WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "true", "false", "null", "none"})


class Joined(msgspec.Struct, frozen=True):
    """A text made of texts and leaves, one after the other: `"Review " ~ path`."""

    parts: tuple[str | Leaf, ...]


class Chained(msgspec.Struct, frozen=True):
    """A list made of lists, one after the other: `reviews + [last]`."""

    parts: tuple[Any, ...]


class OrNull(msgspec.Struct, frozen=True):
    """A value, or null where what it is a part of is null."""

    value: Any
    whole: Any


def is_name(text: str) -> bool:
    """Whether an expression reads a text as a name of the file."""
    return _NAME.fullmatch(text) is not None and text not in _WORDS


# ---------------------------------------------------------------- values


def value_text(tree: Any) -> str:
    """A tree as an expression."""
    if isinstance(tree, Leaf):
        return _leaf_text(tree)
    if isinstance(tree, Joined):
        return " ~ ".join(value_text(part) for part in tree.parts)
    if isinstance(tree, Chained):
        return " + ".join(map(value_text, tree.parts))
    if isinstance(tree, OrNull):
        return f"({value_text(tree.value)} if {value_text(tree.whole)} is not none else null)"
    if isinstance(tree, dict):
        entries = (f"{_key_text(key)}: {value_text(value)}" for key, value in tree.items())
        return "{" + ", ".join(entries) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(value_text, tree)) + "]"
    return _plain_text(tree)


def _plain_text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    # What a terminal or an editor might act on is written as an escape.
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def _key_text(key: str) -> str:
    return key if is_name(key) else _plain_text(key)


def _leaf_text(leaf: Leaf) -> str:
    match leaf:
        case FromStep(name=name, at=at, view=view):
            if view != "outputs":
                return f"{name}.{view}" + _path_text(at)
            # After a dot these two would be the views of the step.
            return name + _path_text(at, quoted=("pairs", "failures"))
        case FromInput(at=at):
            name, *rest = pointer_tokens(at) or []
            return name + _tokens_text(rest)
        case FromItem(at=at):
            return "item" + _path_text(at)
        case FromLast(at=at):
            return "last" + _path_text(at)
        case Index():
            return "index"
        case Parts():
            return "parts"
        case Computed():
            return leaf.expression.text
        case _:
            assert_never(leaf)


def _path_text(pointer: str, quoted: Sequence[str] = ()) -> str:
    tokens = pointer_tokens(pointer) or []
    return _tokens_text(tokens, quoted)


def _tokens_text(tokens: Sequence[str], quoted: Sequence[str] = ()) -> str:
    text = ""
    for place, token in enumerate(tokens):
        if token.isdecimal() and token.isascii() and str(int(token[:18])) == token:
            text += f"[{token}]"
        elif is_name(token) and not (place == 0 and token in quoted):
            text += f".{token}"
        else:
            text += f"[{_plain_text(token)}]"
    return text


# ---------------------------------------------------------------- tests


def test_text(test: Test) -> str:
    """A test as a condition."""
    if test.computed is not None:
        return test.computed.expression.text
    return " or ".join(" and ".join(map(_condition_text, group)) for group in test.any_of)


def _condition_text(condition: Condition) -> str:
    value, operator, than = value_text(condition.value), condition.operator, condition.than
    if operator in ("ok", "failed"):
        return f"{value} is {operator}"
    if operator == "empty":
        return f"not {value}"
    if than is None and operator in ("==", "!="):
        return f"{value} is {'not ' if operator == '!=' else ''}none"
    return f"{value} {operator} {value_text(than)}"


# ---------------------------------------------------------------- steps


def call_text(worker: str, input: dict[str, Any]) -> str:
    """A call of a worker."""
    given = ", ".join(f"{name}={value_text(value)}" for name, value in input.items())
    return f"{worker}({given})"


def step_text(step: Step) -> str:
    """A step with its settings, a line each."""
    if isinstance(step, RepeatStep):
        inner = "\n".join(step_text(one) for one in step.steps)
        return f"step {step.id} {{\n{_lines(_settings(step))}\n{inner}\n}}"
    if isinstance(step, TaskStep) and step.when is None and not step.after:
        return f"step {step.id} {{ call = {call_text(step.worker, step.input)} }}"
    return f"step {step.id} {{\n{_lines(_settings(step))}\n}}"


def _lines(settings: Iterator[tuple[str, str]]) -> str:
    return "\n".join(f"{name} = {text}" if text else name for name, text in settings)


def _settings(step: Step) -> Iterator[tuple[str, str]]:
    if step.when is not None:
        yield "when", test_text(step.when)
    if step.after:
        yield "after", f"[{', '.join(step.after)}]"
    match step:
        case RepeatStep():
            settings = [f"max = {step.max}", f"until = {test_text(step.until)}"]
            if step.start is not None:
                settings.append(f"start = {value_text(step.start)}")
            settings.append(f"gives = {step.gives}")
            if step.settle:
                settings.append("settle = true")
            yield f"repeat {{ {'  '.join(settings)} }}", ""
            return
        case EachStep():
            yield from _selection("each", step.each)
            if step.label is not None:
                yield "label", value_text(step.label)
            if step.parallel is not None:
                yield "parallel", str(step.parallel)
            if step.in_order:
                yield "in_order", "true"
            if step.tolerate is not None:
                yield "tolerate", _share_text(step.tolerate)
        case ReduceStep():
            yield from _selection("reduce", step.reduce)
            yield "size", str(step.size)
            if step.empty is not ABSENT:
                yield "empty", value_text(step.empty)
    yield "call", call_text(step.worker, step.input)


def _share_text(tolerate: int | float) -> str:
    if isinstance(tolerate, float) and not tolerate.is_integer():
        return f"{tolerate * 100:.12g}%"
    return str(int(tolerate))


def _selection(head: str, selection: Selection) -> Iterator[tuple[str, str]]:
    yield head, " + ".join(map(value_text, selection.sources))
    if selection.entries:
        yield "entries", "true"
    if selection.flatten is not None:
        yield "flatten", value_text(FromItem(selection.flatten)) if selection.flatten else "true"
    if selection.where is not None:
        yield "where", test_text(selection.where)
    for name in ("unique_by", "sort_by"):
        by = getattr(selection, name)
        if by is not None:
            yield name, value_text(FromItem(by) if isinstance(by, str) else by)
    if selection.desc:
        yield "desc", "true"
    if selection.take is not None:
        yield "take", value_text(selection.take)
