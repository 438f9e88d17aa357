"""Steps with other leaves: each reference of a step replaced, wherever it is in it.

A change gives what a leaf becomes. In a test and as a source of a selection only another leaf can
take its place; there, what becomes a plain value stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from engine.sema.plans.conditions import Test
from engine.sema.plans.orch_form import Chained, Joined, OrNull
from engine.sema.plans.selection import Selection
from engine.sema.plans.steps import EachStep, ReduceStep, RepeatStep, Step
from engine.sema.plans.values import ABSENT, FromInput, FromStep, Leaf

__all__ = ["Change", "has_leaf", "map_step", "map_tree", "step_sources", "tree_leaves"]

Change = Callable[[Leaf], Any]


def map_tree(tree: Any, change: Change) -> Any:
    """A tree with each leaf replaced."""
    if isinstance(tree, Leaf):
        return change(tree)
    if isinstance(tree, Joined):
        parts = (part if isinstance(part, str) else change(part) for part in tree.parts)
        return Joined(tuple(parts))
    if isinstance(tree, Chained):
        return Chained(tuple(map_tree(part, change) for part in tree.parts))
    if isinstance(tree, OrNull):
        return tree  # its reference has what it needs
    if isinstance(tree, dict):
        return {key: map_tree(value, change) for key, value in tree.items()}
    if isinstance(tree, list):
        return [map_tree(value, change) for value in tree]
    return tree


def map_step(step: Step, change: Change) -> Step:
    """A step with each leaf replaced."""
    if isinstance(step, RepeatStep):
        return step  # a decision has none
    changes: dict[str, Any] = {"input": map_tree(step.input, change)}
    if step.when is not None:
        changes["when"] = _test(step.when, change)
    if isinstance(step, EachStep):
        changes["each"] = _selection(step.each, change)
        changes["label"] = map_tree(step.label, change)
    if isinstance(step, ReduceStep):
        changes["reduce"] = _selection(step.reduce, change)
        if step.empty is not ABSENT:
            changes["empty"] = map_tree(step.empty, change)
    return msgspec.structs.replace(step, **changes)


def _test(test: Test, change: Change) -> Test:
    groups = tuple(
        tuple(
            msgspec.structs.replace(
                condition,
                value=_leaf(condition.value, change),
                than=map_tree(condition.than, change),
            )
            for condition in group
        )
        for group in test.any_of
    )
    return msgspec.structs.replace(test, any_of=groups)


def _selection(selection: Selection, change: Change) -> Selection:
    sources = tuple(_leaf(source, change) for source in selection.sources)
    take = selection.take
    changes: dict[str, Any] = {"sources": sources, "take": map_tree(take, change)}
    if selection.where is not None:
        changes["where"] = _test(selection.where, change)
    return msgspec.structs.replace(selection, **changes)


def _leaf(leaf: Leaf, change: Change) -> Any:
    changed = change(leaf)
    return changed if isinstance(changed, Leaf) else leaf


def has_leaf(tree: Any) -> bool:
    """Whether anything in a tree is known only when the plan runs."""
    if isinstance(tree, dict):
        return any(map(has_leaf, tree.values()))
    if isinstance(tree, list):
        return any(map(has_leaf, tree))
    return isinstance(tree, Leaf | Joined | Chained | OrNull)


def tree_leaves(tree: Any) -> list[FromStep | FromInput]:
    """The references of a tree to steps and inputs."""
    found, note = _noting()
    map_tree(tree, note)
    return found


def step_sources(step: Step) -> list[FromStep | FromInput]:
    """The references of a step to steps and inputs, its selection and tests included."""
    found, note = _noting()
    map_step(step, note)
    return found


def _noting() -> tuple[list[FromStep | FromInput], Change]:
    """A list, and a change that changes nothing but adds each reference to it."""
    found: list[FromStep | FromInput] = []

    def note(leaf: Leaf) -> Leaf:
        if isinstance(leaf, FromStep | FromInput):
            found.append(leaf)
        return leaf

    return found, note
