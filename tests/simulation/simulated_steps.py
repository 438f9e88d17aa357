"""Steps of decisions by chance: `each` and `reduce` over whatever there is, and hostile sources."""

from __future__ import annotations

import random
from typing import Any

from engine.runtime.state import Loop

#: Lists that are none, too long, empty, and of values that miss what is asked for.
_SOURCES: tuple[Any, ...] = (
    [],
    None,
    7,
    "abc",
    {"a": 1, "b": {"name": "n"}},
    [None, None],
    [1, 2, 3],
    ["a", "b", "c", "d", "e"],
    [{"name": "x", "count": 2, "tags": ["t", "u"]}, {"name": None}, {}, {"count": "many"}],
    [[1, 2], [], [3, [4]]],
    list(range(30)),
)
_POINTERS = ("", "", "", "/name", "/count", "/tags", "/0", "/key", "/item", "/output", "/~2")
_OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "in", "empty", "ok", "failed")


def source(rng: random.Random) -> Any:
    """What a worker gives whose output is to be selected from."""
    if rng.random() < 0.005:
        return [0] * 100_001
    if rng.random() < 0.25:
        return rng.choice(_SOURCES)
    values = rng.choice(([1, 2, 3, 4], ["a", "b", "c"], [{"name": "x", "count": 1}, {"name": "y"}]))
    return [value for value in values * rng.randint(1, 4) if rng.random() < 0.7]


def as_step(
    rng: random.Random, loop: Loop, spec: dict[str, Any], before: list[dict[str, Any]], bad: float
) -> None:
    """Make an entry of a decision a step, or give it a test, by chance.

    Args:
        spec: The entry, a task.
        before: The entries that were made before it.
        bad: How likely what cannot be is asked for.
    """
    if rng.random() < bad:
        names = [spec["id"], "nothing", *loop.tasks, *(one["id"] for one in before)]
        names = [name for name in names if isinstance(name, str)]
    else:
        names = _sources(loop, before)
    if not names or (not before and rng.random() < 0.7):
        spec["worker"], spec["input"] = "any", {"x": rng.randint(0, 9)}
        return
    kind = rng.choice(("task", "each", "each", "each", "reduce"))
    if kind == "each":
        spec["each"] = _selection(rng, names, bad)
        options: dict[str, Any] = {
            "label": {"$item": ""},
            "parallel": rng.randint(1, 5),
            "in_order": rng.random() < 0.5,
            "tolerate": rng.choice((0, 1, 0.5, 2)),
        }
        spec |= {name: value for name, value in options.items() if rng.random() < 0.2}
        _inside(rng, spec)
    elif kind == "reduce":
        spec["worker"], spec["reduce"] = "any", _selection(rng, names, bad)
        spec["size"] = rng.randint(2, 4)
        spec["input"] = {"x": {"$parts": True}}
        if rng.random() < 0.7:
            spec["empty"] = rng.choice((None, [], {"$from": rng.choice(names)}))
    if rng.random() < 0.2:
        spec["when"] = _test(rng, names, inside=False)
    if rng.random() < 0.2:
        spec["after"] = [rng.choice(names)]


def _sources(loop: Loop, before: list[dict[str, Any]]) -> list[str]:
    """What may be selected from: outputs of any kind, and steps."""
    tasks = [task.id for task in loop.tasks.values() if task.worker.name == "any"]
    new = [one["id"] for one in before if one.get("worker") == "any" or "each" in one]
    found = [*tasks[-3:], *loop.steps, *new, *new]
    return [name for name in found if isinstance(name, str)]


def _inside(rng: random.Random, spec: dict[str, Any]) -> None:
    given = spec["input"]
    if isinstance(given, dict):
        for name in given:
            if rng.random() < 0.7:
                item = {"$item": rng.choice(("", "", "", *_POINTERS))}
                given[name] = rng.choice((item, item, {"$index": True}))


def _selection(rng: random.Random, names: list[str], bad: float) -> dict[str, Any]:
    selection: dict[str, Any] = {"$from": rng.choice(names)}
    if rng.random() < 0.15:
        selection["$from"] = [rng.choice(names) for _ in range(rng.randint(1, 3))]
    options: dict[str, Any] = {
        "at": rng.choice(_POINTERS),
        rng.choice(("pairs", "failures", "entries")): True,
        "flatten": rng.choice((True, "/tags")),
        "where": _test(rng, names, inside=True),
        "unique_by": rng.choice(_POINTERS),
        "take": rng.choice((0, 1, 3)),
    }
    selection |= {name: value for name, value in options.items() if rng.random() < 0.07}
    if rng.random() < bad:
        selection["take"] = -1
    if rng.random() < 0.1:
        selection |= {"sort_by": rng.choice(_POINTERS), "desc": rng.random() < 0.5}
    return selection


def _test(rng: random.Random, names: list[str], *, inside: bool) -> list[Any]:
    operator = rng.choice(_OPERATORS)
    value: dict[str, Any] = {"$from": rng.choice(names)}
    if inside and operator not in ("ok", "failed"):
        value = {"$item": rng.choice(_POINTERS)}
    condition: dict[str, Any] = {"value": value, "is": operator}
    if operator not in ("empty", "ok", "failed"):
        condition["than"] = [1, "a"] if operator == "in" else rng.choice((0, 1, "a"))
        if operator in ("==", "!=") and rng.random() < 0.5:
            condition["than"] = rng.choice((None, {"$from": rng.choice(names)}))
    return [[condition]]
