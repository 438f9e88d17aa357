"""What a plan may take, before any of it starts: tasks, effects, model calls and money.

A function of a list of entries, each with a worker and how many tasks it becomes. `most` is a
bound (`engine.bounds`): every retry, repair, fallback and check, at full prompts. `cost_expected`
is what settled tasks of the same workers have cost in this run. None is "not known", never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from engine.bounds import Number, Rate, Spend, task_bounds
from engine.bounds.amounts import least, plus, times
from engine.events import ModelInfo
from engine.prices import dearest
from engine.runtime.ending import subtree
from engine.runtime.state import Loop, RunState, Task
from engine.sema.model import Orchestrator, Worker

__all__ = ["Entry", "effect_of", "estimate", "most_cost"]


class Entry(msgspec.Struct, frozen=True):
    """One entry of a plan: a worker, and how many tasks of it there will be.

    Attributes:
        most: None where no number is known.
    """

    id: str
    worker: Worker | Orchestrator
    least: int = 1
    most: int | None = 1


def estimate(state: RunState, loop: Loop, entries: Sequence[Entry]) -> dict[str, Any]:
    """The estimate of a plan, as hooks, gates and `orch plan` show it.

    Returns:
        `{tasks: {least, most}, effects: {least, most}, calls, cost_most, cost_expected}`; money in
        micro-dollars.
    """
    bounds = _bounds(state, loop)
    total = Spend()
    writes_least = 0
    most_writes: Number = 0
    for entry in entries:
        each = bounds[entry.worker.name]
        total += _times(each, entry.most)
        if effect_of(entry.worker) in ("write", "once"):
            writes_least += entry.least
            most_writes = plus(most_writes, entry.most)
        elif isinstance(entry.worker, Orchestrator) and _writes(state, entry.worker):
            below = None if each.tasks is None else each.tasks - 1  # without the task itself
            most_writes = plus(most_writes, _times(Spend(tasks=below), entry.most).tasks)
    cost = total.cost_usd
    total_most = plus(*(entry.most for entry in entries))
    return {
        "tasks": {
            "least": sum(entry.least for entry in entries),
            "most": least(total_most, loop.orchestrator.policy.max_items),
        },
        "effects": {"least": writes_least, "most": most_writes},
        "calls": total.model_calls,
        # No more is spent than the budget leaves, whatever the plan could take.
        "cost_most": None if cost is None else least(cost, loop.ledger.left_usd()),
        "cost_expected": _expected(state, entries),
    }


def most_cost(state: RunState, loop: Loop, entry: Entry) -> int | None:
    """The most that one entry can cost, in micro-dollars, whatever the budget leaves."""
    return _times(_bounds(state, loop)[entry.worker.name], entry.most).cost_usd


def effect_of(worker: Worker | Orchestrator) -> str:
    """The effect of a worker; `orchestrator` for one, whose tasks have effects of their own."""
    return worker.effect if isinstance(worker, Worker) else "orchestrator"


def _times(each: Spend, count: int | None) -> Spend:
    if count is not None:
        return each * count
    return Spend(*(None if number else number for number in _numbers(each)))


def _numbers(spend: Spend) -> tuple[Number, ...]:
    return (spend.rounds, spend.tasks, spend.model_calls, spend.tokens, spend.cost_usd)


def _bounds(state: RunState, loop: Loop) -> dict[str, Spend]:
    """The most that a task of each worker takes, once a state."""
    name = loop.orchestrator.name
    found = state.task_bounds.get(name)
    if found is None:
        rates = {model: _rate(info) for model, info in state.models.items()}
        found = state.task_bounds[name] = task_bounds(state.program, name, rates)
    return found


def _rate(info: ModelInfo) -> Rate:
    """What the run knows of a model, as bounds take it."""
    if not info.metered:
        return Rate(metered=False, input_usd=0, output_usd=0)
    if info.rates:
        return Rate(True, *dearest(info.rates, info.context), info.context)
    return Rate(True, info.input_usd, info.output_usd, info.context)


def _writes(state: RunState, orchestrator: Orchestrator) -> bool:
    """Whether a task under an orchestrator may change something outside."""
    pending, seen = [orchestrator.name], set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        found = state.program.orchestrators.get(name)
        if found is not None:
            pending += found.workers
        elif state.program.workers[name].effect in ("write", "once"):
            return True
    return False


def _expected(state: RunState, entries: Sequence[Entry]) -> int | None:
    """The mean of the settled tasks of each worker, times the number of tasks."""
    assert state.root is not None
    wanted: dict[str, Number] = {}
    workers: dict[str, Worker | Orchestrator] = {}
    for entry in entries:
        name = entry.worker.name
        wanted[name] = plus(wanted.get(name, 0), entry.most)
        workers[name] = entry.worker
    spent: dict[str, list[int | None]] = {name: [] for name in wanted}
    for loop in subtree(state.root):
        for task in loop.every_task():
            if task.over and task.attempts and task.worker.name in spent:
                spent[task.worker.name].append(_cost(task))
    total: Number = 0
    for name, count in wanted.items():
        total = plus(total, _of_worker(workers[name], spent[name], count))
    return total


def _of_worker(worker: Worker | Orchestrator, spent: Sequence[int | None], count: Number) -> Number:
    if isinstance(worker, Worker) and worker.facts.model is None and not worker.fallback:
        return 0
    known = [cost for cost in spent if cost is not None]
    if not known or len(known) < len(spent) or count is None:
        return None
    whole = times(sum(known), count)
    return None if whole is None else round(whole / len(known))


def _cost(task: Task) -> int | None:
    """What a task has cost, in micro-dollars; None where a price is not known."""
    if task.child is None:
        return task.cost_usd
    ledger = task.child.ledger
    return None if ledger.unpriced_calls else ledger.cost_usd
