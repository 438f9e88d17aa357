"""Tests: any of all of conditions, over parts of an item and outputs of earlier steps.

    [[{"value": {"$item": "/risk"}, "is": "==", "than": "high"}]]

The outer list is "any", the inner one "all". The rules need no model to be read twice: a pointer to
nothing is null; `< <= > >= in` with null are false; `==` compares any two values; numbers compare
as numbers, texts by code point, and any other mixture is false.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from engine.sema.plans.values import ABSENT, Computed, FromStep, Leaf, Scope, leaf_value, leaves

__all__ = [
    "ENDS",
    "OPERATORS",
    "Condition",
    "End",
    "Operator",
    "Test",
    "compare",
    "equal",
    "order_key",
]

End = Literal["ok", "failed", "not ok", "not failed"]
Operator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "empty"] | End
#: Those of a decision; `not ok` and `not failed` come from an author's plan.
OPERATORS: Final[tuple[Operator, ...]] = (
    "==", "!=", "<", "<=", ">", ">=", "in", "empty", "ok", "failed",
)  # fmt: skip
#: Those that say how a task or step ended, each with the status that it asks for.
ENDS: Final[Mapping[Operator, str]] = {
    "ok": "done",
    "failed": "failed",
    "not ok": "done",
    "not failed": "failed",
}


class Condition(msgspec.Struct, frozen=True):
    """One condition; `than` is absent for `empty` and where it asks for an end.

    `ok` and `failed` say how the task or step ended that `value` refers to; of one that was
    skipped, neither holds.
    """

    value: Leaf
    operator: Operator
    than: Any = ABSENT


class Test(msgspec.Struct, frozen=True):
    """Any of all of conditions, or an expression of an author's plan that a test cannot say."""

    __test__ = False

    any_of: tuple[tuple[Condition, ...], ...] = ()
    computed: Computed | None = None

    def holds(self, scope: Scope) -> bool:
        """Whether the test holds.

        Raises:
            EvaluationError: An expression cannot be evaluated.
        """
        if self.computed is not None:
            return bool(leaf_value(self.computed, scope))
        return any(all(_holds(condition, scope) for condition in group) for group in self.any_of)

    def leaves(self) -> Iterator[tuple[str, Leaf]]:
        """Each leaf in it, with the JSON Pointer of its place in the JSON form."""
        if self.computed is not None:
            yield "", self.computed
        for i, group in enumerate(self.any_of):
            for j, condition in enumerate(group):
                yield from leaves(condition.value, f"/{i}/{j}/value")
                yield from leaves(condition.than, f"/{i}/{j}/than")


def _holds(condition: Condition, scope: Scope) -> bool:
    value = condition.value
    asked = ENDS.get(condition.operator)
    if asked is not None:
        so = isinstance(value, FromStep) and scope.ended(value.name) == asked
        return so != condition.operator.startswith("not ")
    found = leaf_value(value, scope, absent=True)
    found = None if found is ABSENT else found
    if condition.operator == "empty":
        return found is None or found == "" or found == [] or found == {}
    than = condition.than
    if isinstance(than, Leaf):
        than = leaf_value(than, scope, absent=True)
        than = None if than is ABSENT else than
    return compare(found, condition.operator, than)


def compare(left: Any, operator: Operator, right: Any) -> bool:
    """Compare two JSON values by the rules of tests."""
    if operator == "==":
        return equal(left, right)
    if operator == "!=":
        return not equal(left, right)
    if left is None or right is None:
        return False
    if operator == "in":
        if isinstance(right, list):
            return any(equal(left, item) for item in right)
        return isinstance(left, str) and isinstance(right, str | dict) and left in right
    if not (_is_number(left) and _is_number(right)) and not (
        isinstance(left, str) and isinstance(right, str)
    ):
        return False
    if operator == "<":
        return bool(left < right)
    if operator == "<=":
        return bool(left <= right)
    return bool(left > right if operator == ">" else left >= right)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same: 1 is 1.0, and neither is true."""
    # With a stack of its own: an output may be nested as deep as it likes.
    stack = [(left, right)]
    while stack:
        one, other = stack.pop()
        if isinstance(one, bool) or isinstance(other, bool):
            if one is not other:
                return False
        elif isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            stack.extend((one[key], other[key]) for key in one)
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            stack.extend(zip(one, other, strict=True))
        elif one != other:
            return False
    return True


def order_key(value: Any) -> tuple[int, Any]:
    """What a value that is not null is sorted by: numbers first, then texts, then all else."""
    if _is_number(value):
        return 0, value
    if isinstance(value, str):
        return 1, value
    if isinstance(value, bool):
        return 2, value
    return 3, 0
