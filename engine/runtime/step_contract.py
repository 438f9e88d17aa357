"""The form of an entry of a decision that may be a step: its schema, and what is wrong with one.

For orchestrators whose policy has `max_items`; without it an entry is a plain task, and nothing
here is used. The schema is closed, for one kind of entry at a time: a task, an `each`, a `reduce`.
What it cannot say of a place (an item where there is none) is found here too. Whether ids, types
and pointers fit is not: that is `engine.runtime.step_checks`.

Invariant: what passes `misplaced` can be read by `json_form.read_step` without loss.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from engine.runtime.prompts import step_rejections as said
from engine.sema.plans.conditions import OPERATORS
from engine.sema.plans.json_form import DEFINITIONS, KEYS, PROPERTIES, read_step
from engine.sema.plans.steps import EachStep, ReduceStep, Step, step_leaves
from engine.sema.plans.values import FromItem, FromStep, Index, Leaf, Parts, leaves, read_value
from engine.sema.suggest import closest
from engine.sema.types.contract import Contract

__all__ = [
    "BASE_KEYS",
    "entry_definitions",
    "explain_entry",
    "form_of",
    "has_only_outputs",
    "misplaced",
    "misplaced_in_finish",
]

BASE_KEYS = ("worker", "id", "input")


def entry_definitions(task: Mapping[str, Any]) -> dict[str, Any]:
    """The definition of an entry, and those that it needs, by name.

    Args:
        task: The closed schema of a plain task.
    """
    kinds = {}
    for kind, keys in KEYS.items():
        properties = {**task["properties"], **{key: PROPERTIES[key] for key in keys}}
        required = [
            *task["required"],
            *{"each": ["each"], "reduce": ["reduce", "size"]}.get(kind, []),
        ]
        kinds[f"entry.{kind}"] = {**task, "properties": properties, "required": required}
    entry = {
        "if": {"type": "object", "required": ["each"]},
        "then": {"$ref": "#/$defs/entry.each"},
        "else": {
            "if": {"type": "object", "required": ["reduce"]},
            "then": {"$ref": "#/$defs/entry.reduce"},
            "else": {"$ref": "#/$defs/entry.task"},
        },
    }
    return {"task": entry, **kinds, **DEFINITIONS}


# ---------------------------------------------------------------- values in the wrong place


def misplaced(entry: Mapping[str, Any], where: str) -> list[str]:
    """References of an entry that have no value where they are; the entry fits the schema.

    Args:
        where: What messages call the entry.
    """
    step = read_step(entry)
    return [
        problem
        for path, leaf in step_leaves(step)
        if (problem := _misplaced(step, path, leaf, where)) is not None
    ]


def _misplaced(step: Step, path: str, leaf: Leaf, where: str) -> str | None:
    if isinstance(leaf, FromStep):
        return None
    place = place_of(path)
    head = path.split("/")[1]
    if isinstance(leaf, Parts):
        inside = isinstance(step, ReduceStep) and head == "input"
        return None if inside else said.parts_outside(where, place)
    form = form_of(leaf)
    if head == "when":
        return said.item_in_when(where, place, form)
    if isinstance(step, EachStep) or head == "reduce":
        return None
    if isinstance(step, ReduceStep) and head == "input":
        return said.item_in_reduce(where, place, form)
    return said.item_outside(where, place, form)


def misplaced_in_finish(tree: Any) -> list[str]:
    """References in a result that have no value there."""
    return [
        said.only_outputs_in_finish(path, form_of(leaf))
        for path, leaf in leaves(tree)
        if not isinstance(leaf, FromStep)
    ]


def has_only_outputs(value: Any) -> bool:
    """Whether the references of an input are whole outputs and their parts, as in plain tasks."""
    return all(
        isinstance(leaf, FromStep) and leaf.view == "outputs"
        for _, leaf in leaves(read_value(value))
    )


def place_of(path: str) -> str:
    """A place in an entry as messages name it: `input/path`."""
    return path.removeprefix("/")


def form_of(leaf: Leaf) -> str:
    """The key that a leaf is written with."""
    match leaf:
        case FromItem():
            return "$item"
        case Index():
            return "$index"
        case Parts():
            return "$parts"
    return "$from"


# ---------------------------------------------------------------- what is wrong with its keys


def explain_entry(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with the keys of an entry other than `id`, `worker` and `input`."""
    if "each" in entry and "reduce" in entry:
        yield said.both_kinds(where)
        return
    kind = next((kind for kind in ("each", "reduce") if kind in entry), "task")
    for key, value in entry.items():
        if key in BASE_KEYS:
            continue
        if key in KEYS[kind]:
            yield from _explain_value(where, key, value)
        elif key in PROPERTIES:
            yield said.key_of_kind(where, key, "each" if key in KEYS["each"] else "reduce")
        else:
            close = closest(key, [*BASE_KEYS, *PROPERTIES])
            yield said.key_unknown(where, "", key[:60], close)
    if kind == "reduce" and "size" not in entry:
        yield said.size_missing(where)


def _explain_value(where: str, key: str, value: Any) -> Iterator[str]:
    if key in ("each", "reduce"):
        yield from _explain_selection(where, key, value)
    elif key == "when":
        yield from _explain_test(where, key, key, value)
    elif not _fits(key, value):
        yield said.wrong_value(where, key, key)


def _explain_selection(where: str, place: str, value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield said.wrong_value(where, place, place)
        return
    properties = DEFINITIONS["step.selection"]["properties"]
    if "$from" not in value:
        yield said.no_source(where, place)
    if "pairs" in value and "failures" in value:
        yield said.two_views(where, place)
    if "desc" in value and "sort_by" not in value:
        yield said.lone_desc(where, place)
    for key, inner in value.items():
        if key not in properties:
            yield said.key_unknown(where, place, key[:60], closest(key, properties))
        elif key == "where":
            yield from _explain_test(where, key, f"{place}/where", inner)
        elif not _fits(f"step.selection/{key}", inner):
            yield said.wrong_value(where, f"{place}/{key}", key)


def _explain_test(where: str, key: str, place: str, value: Any) -> Iterator[str]:
    groups = value if isinstance(value, list) else []
    if not groups or not all(isinstance(group, list) and group for group in groups):
        yield said.wrong_value(where, place, key)
        return
    for i, group in enumerate(groups):
        for j, condition in enumerate(group):
            yield from _explain_condition(where, f"{place}/{i}/{j}", condition)


def _explain_condition(where: str, place: str, condition: Any) -> Iterator[str]:
    if not isinstance(condition, dict):
        yield said.condition_key_missing(where, place, "value")
        return
    properties = DEFINITIONS["step.condition"]["properties"]
    for key in condition.keys() - properties.keys():
        yield said.condition_key_unknown(where, place, key[:60])
    for key in ("value", "is"):
        if key not in condition:
            yield said.condition_key_missing(where, place, key)
    operator = condition.get("is")
    if "is" in condition and operator not in OPERATORS:
        yield said.operator_unknown(where, f"{place}/is", OPERATORS)
    elif operator in ("empty", "ok", "failed"):
        if "than" in condition:
            yield said.needs_no_than(where, f"{place}/than", operator)
    elif "is" in condition and "than" not in condition:
        yield said.condition_key_missing(where, place, "than")
    for key in ("value", "than"):
        if key in condition and not _fits(f"step.condition/{key}", condition[key]):
            yield said.wrong_value(where, f"{place}/{key}", key)


def _fits(name: str, value: Any) -> bool:
    return _contract(name).is_valid(value)


@functools.cache
def _contract(name: str) -> Contract:
    """The contract of one key: `take` of an entry, or `step.selection/take` of a definition."""
    owner, _, key = name.rpartition("/")
    schema = DEFINITIONS[owner]["properties"][key] if owner else PROPERTIES[key]
    return Contract.of_schema({**schema, "$defs": dict(DEFINITIONS)})
