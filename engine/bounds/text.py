"""Bounds as people read them, and as programs do.

People get three digits: a bound is an order of magnitude. Programs get every number whole, but
dollars, which are dollars as in every report of a run. A number that is not known is `unknown`
here and null there, and the reasons are with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.bounds.amounts import METRICS, Metric, Number, Spend
from engine.bounds.loop import Bound, Step

__all__ = ["amount", "as_data", "as_text", "dollars", "table"]

_UNKNOWN = "unknown"
_UNITS = (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3))
_HEADS = ("orchestrator", "rounds", "tasks", "model calls", "tokens", "cost")
#: How many parts of the most expensive way are shown; the rest is summed up.
_SHOWN_STEPS = 8
_SHOWN_PATH = 8


def dollars(micro_usd: Number) -> str:
    """Money: `$41.20`, `$0.0043`, `$1.2M`, `unknown`."""
    if micro_usd is None:
        return _UNKNOWN
    usd = micro_usd / 1_000_000
    if usd >= 1_000_000:
        return "$" + amount(micro_usd // 1_000_000)
    if usd >= 0.1 or micro_usd == 0:
        return f"${usd:,.2f}"
    return f"${usd:.3f}" if usd >= 0.01 else f"${usd:.2g}" if usd >= 0.0001 else f"${usd:.6f}"


def amount(number: Number) -> str:
    """A number in three digits: `840`, `12.3k`, `1.2M`, `unknown`."""
    if number is None:
        return _UNKNOWN
    for unit, size in _UNITS:
        if number >= size:
            return f"{number / size:.3g}{unit}" if number < 1_000 * size else f"{number:.1e}"
    return str(number)


def _shown(metric: Metric, number: Number) -> str:
    return dollars(number) if metric == "cost_usd" else amount(number)


def as_text(bounds: Sequence[Bound]) -> str:
    """A table with a line an orchestrator, then the most expensive way of each."""
    lines = table([_HEADS, *(_row(bound) for bound in bounds)])
    if any(bound.caps(metric) for bound in bounds for metric in METRICS):
        lines.append("* stopped there by its own budget")
    for bound in bounds:
        lines += ["", *_way(bound)]
    return "\n".join(lines)


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of cells as lines, the first column to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _row(bound: Bound) -> tuple[str, ...]:
    total = bound.total
    return (
        bound.orchestrator,
        _own(bound.rounds, total.rounds),
        _own(bound.tasks, total.tasks),
        amount(total.model_calls),
        amount(total.tokens) + ("*" if bound.caps("tokens") else ""),
        dollars(total.cost_usd) + ("*" if bound.caps("cost_usd") else ""),
    )


def _own(own: int, in_all: Number) -> str:
    return amount(own) if own == in_all else f"{amount(own)} ({amount(in_all)} in all)"


def _way(bound: Bound) -> list[str]:
    path = bound.path
    if len(path) > _SHOWN_PATH:
        path = (*path[: _SHOWN_PATH - 2], "...", path[-1])
    lines = [" > ".join(path)]
    stopped: list[Metric] = [m for m in METRICS if bound.caps(m)]
    for metric in stopped:
        name = "cost" if metric == "cost_usd" else metric
        without = bound.structure.of(metric)
        could = "" if without is None else f"; without it {_shown(metric, without)}"
        lines.append(f"  budget.{name} = {_shown(metric, bound.total.of(metric))}{could}")
    lines += [f"  {reason}" for reason in bound.unknown]
    shown, rest = bound.steps[:_SHOWN_STEPS], bound.steps[_SHOWN_STEPS:]
    if bound.metric == "model_calls":  # neither money nor tokens
        lines += [f"  {_part(step)}" for step in shown]
    else:
        costs = [dollars(step.total.cost_usd) for step in shown]
        tokens = [amount(step.total.tokens) for step in shown]
        wide, wider = max(map(len, costs)), max(map(len, tokens))
        lines += [
            f"  {cost.rjust(wide)}  {many.rjust(wider)} tokens  {_part(step)}"
            for cost, many, step in zip(costs, tokens, shown, strict=True)
        ]
    if rest:
        lines.append(f"  and {len(rest)} smaller parts")
    return lines


def _part(step: Step) -> str:
    many = "" if step.times == 1 else "s"
    calls = step.total.model_calls
    if step.what == "task":
        said = f"{amount(step.times)} task{many} of {step.name}"
    elif step.what == "decision":
        said = f"{amount(step.times)} decision{many} of {step.name}"
    else:
        where = step.what if step.worker is None else f"{step.what} {step.worker}"
        said = f"{amount(step.times)} check{many} by `{step.name}` ({where})"
    if calls != step.times:
        said += f", {amount(calls)} model call" + ("" if calls == 1 else "s")
    return said


def as_data(bound: Bound) -> dict[str, Any]:
    """A bound as JSON. Fields are only ever added."""
    return {
        "name": bound.orchestrator,
        "rounds": bound.rounds,
        "tasks": bound.tasks,
        "total": _spend(bound.total),
        "without_budget": _spend(bound.structure),
        "stopped_by": [
            "budget.cost" if m == "cost_usd" else f"budget.{m}" for m in METRICS if bound.caps(m)
        ],
        "unknown": list(bound.unknown),
        "path": list(bound.path),
        "worst_of": bound.metric,
        "steps": [
            {
                "what": step.what,
                "name": step.name,
                "worker": step.worker,
                "times": step.times,
                "total": _spend(step.total),
            }
            for step in bound.steps
        ],
    }


def _spend(spend: Spend) -> dict[str, Any]:
    cost = spend.cost_usd
    return {
        "rounds": spend.rounds,
        "tasks": spend.tasks,
        "model_calls": spend.model_calls,
        "tokens": spend.tokens,
        "cost_usd": None if cost is None else cost / 1_000_000,
    }
