"""How a plan and its estimate are told: `orch plan`, and gates that ask for a plan.

Works on plain data, as `engine.runtime.plan_review` and `engine.runtime.estimate` give it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.bounds import dollars
from engine.cli.format_values import compact, count, one_line

__all__ = ["entry_texts", "estimate_text"]


def _entry(entry: Mapping[str, Any]) -> str:
    """One entry in a line: its id, worker, effect and input, and how many tasks it becomes."""
    number = _range(entry["least"], entry["most"])
    times = "" if number == "1" else f", {number} tasks"
    effect = entry["effect"]
    cost = entry["cost_most"]
    price = "" if not cost else f", at most {dollars(cost)}"
    given = compact(entry["input"], 120)
    for kind in ("each", "reduce"):
        if kind in entry:
            given = f"{kind} {compact(entry[kind], 120)}  {given}"
    tainted = ", ".join(path or "all of it" for path in entry["tainted"] or ())
    strange = one_line(f"  tainted: {tainted}", 80) if tainted else ""
    return f"{one_line(entry['id'])}  {entry['worker']} ({effect}{times}{price})  {given}{strange}"


def entry_texts(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The entries of a plan, each with the steps inside below it."""
    for entry in entries:
        yield _entry(entry)
        for step in entry["steps"]:
            tasks = _counted(step["least"], step["most"], "task")
            yield f"  {one_line(step['step'])}  {step['worker']} ({step['effect']}, {tasks})"


def estimate_text(estimate: Mapping[str, Any]) -> str:
    """An estimate in a line."""
    tasks, effects = estimate["tasks"], estimate["effects"]
    calls, most, expected = estimate["calls"], estimate["cost_most"], estimate["cost_expected"]
    parts = [
        _counted(tasks["least"], tasks["most"], "task"),
        _counted(effects["least"], effects["most"], "effect"),
    ]
    if calls == 0:
        return ", ".join([*parts, "no model calls"])
    parts.append(
        "no bound on model calls" if calls is None else f"at most {count(calls, 'model call')}"
    )
    parts.append("most cost not known" if most is None else f"at most {dollars(most)}")
    if expected is not None:
        parts.append(f"about {dollars(expected)} expected")
    return ", ".join(parts)


def _range(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return str(least) if least == most else f"{least} to {most}"


def _counted(least: int, most: int | None, what: str) -> str:
    plural = "" if least == most == 1 else "s"
    return f"{_range(least, most)} {what}{plural}"
