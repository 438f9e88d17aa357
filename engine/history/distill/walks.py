"""Lists that the inputs of many tasks walk over, in order: what an `each` says in one step.

    review(path="a.py"), review(path="b.py"), ...  over  [{"path": "a.py", ...}, ...]

A walk counts only if it is certain: over the whole list; over its beginning; or over exactly the
values that one field tells from the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from engine.history.distill.origins import Place, canonical
from engine.sema.declarations.plans.names import escaped
from engine.sema.plans.conditions import Condition, Test
from engine.sema.plans.selection import Selection
from engine.sema.plans.values import ABSENT, FromInput, FromItem, FromStep, at_pointer

__all__ = ["FEWEST", "Walk", "find_walk"]

#: Fewer tasks than this walk over a list only if they are all of it.
FEWEST = 3
#: How deep a value may be inside an item.
_DEEPEST = 3


class Walk(msgspec.Struct, frozen=True):
    """A walk.

    Attributes:
        selection: Which values of the list, in order.
        inputs: By the name of an input: where its value is in the item.
        whole: Whether it is the whole list.
        items: The values that the tasks are about, one each.
    """

    selection: Selection
    inputs: dict[str, FromItem]
    whole: bool
    items: list[Any]


def find_walk(
    tasks: Sequence[dict[str, Any]], names: Sequence[str], lists: Sequence[tuple[Place, list[Any]]]
) -> Walk | None:
    """The list that some tasks walk over, or None.

    Args:
        tasks: The inputs of the tasks, in the order of the decision.
        names: The inputs that are not the same in all of them.
        lists: The lists that may be meant, the likeliest first.
    """
    found: list[Walk] = []
    for place, values in lists:
        if len(values) < len(tasks) or not isinstance(place.leaf, FromInput | FromStep):
            continue
        steps = _steps(tasks, names, values)
        walk = None if steps is None else _walk(place.leaf, values, *steps)
        if walk is not None and walk.whole:
            return walk
        if walk is not None:
            found.append(walk)
    return found[0] if found and len(tasks) >= FEWEST else None


def _steps(
    tasks: Sequence[dict[str, Any]], names: Sequence[str], values: list[Any]
) -> tuple[list[int], dict[str, FromItem]] | None:
    """The places in a list that tasks take one after the other, and where in the items."""
    indexes: list[int] | None = None
    inputs: dict[str, FromItem] = {}
    for name in names:
        wanted = [canonical(task[name]) for task in tasks]
        for pointer in _pointers(values, wanted[0], name):
            taken = _taken(values, pointer, wanted)
            if taken is not None and indexes in (None, taken):
                indexes = taken
                inputs[name] = FromItem(pointer)
                break
        else:
            return None
    return None if indexes is None else (indexes, inputs)


def _pointers(values: list[Any], wanted: bytes, name: str) -> list[str]:
    """Where a value is in some item of a list; what has its name comes first."""
    found: dict[str, None] = {}
    for value in values:
        found.update(dict.fromkeys(_inside(value, wanted, "", 0)))
    return sorted(found, key=lambda at: (at.rpartition("/")[2] != name, at.count("/"), at))


def _inside(value: Any, wanted: bytes, at: str, depth: int) -> Iterator[str]:
    if canonical(value) == wanted:
        yield at
    elif isinstance(value, dict) and depth < _DEEPEST:
        for key, inner in value.items():
            yield from _inside(inner, wanted, f"{at}/{escaped(key)}", depth + 1)


def _taken(values: list[Any], pointer: str, wanted: Sequence[bytes]) -> list[int] | None:
    """The places at which the wanted values are, in order; None if the order is another."""
    taken: list[int] = []
    place = 0
    for code in wanted:
        while place < len(values) and _code(values[place], pointer) != code:
            place += 1
        if place == len(values):
            return None
        taken.append(place)
        place += 1
    return taken


def _code(value: Any, pointer: str) -> bytes | None:
    found = at_pointer(value, pointer)
    return None if found is ABSENT else canonical(found)


def _walk(
    leaf: FromInput | FromStep, values: list[Any], indexes: list[int], inputs: dict[str, FromItem]
) -> Walk | None:
    selection = Selection((leaf,))
    items = [values[place] for place in indexes]
    if len(indexes) == len(values):
        return Walk(selection, inputs, True, items)
    tests = list(_fields(values, set(indexes)))
    is_beginning = indexes == list(range(len(indexes)))
    if is_beginning and not tests:
        return Walk(msgspec.structs.replace(selection, take=len(indexes)), inputs, False, items)
    if len(tests) == 1 and not is_beginning:
        return Walk(msgspec.structs.replace(selection, where=tests[0]), inputs, False, items)
    return None


def _fields(values: list[Any], chosen: set[int]) -> Iterator[Test]:
    """The fields of which one value tells the chosen items from all others."""
    if not all(isinstance(value, dict) for value in values) or len(values) - len(chosen) < 2:
        return
    first = values[min(chosen)]
    for key, value in first.items():
        if not isinstance(value, str | bool):
            continue
        codes = [canonical(item.get(key)) for item in values]
        code = canonical(value)
        if all((codes[place] == code) == (place in chosen) for place in range(len(values))):
            leaf = FromItem(f"/{escaped(key)}")
            yield Test(((Condition(leaf, "==", value),),))
