"""What a plan may take, before any of it starts: tasks, effects, model calls and money.

A function of a list of entries, each with a worker and how many tasks it becomes; the steps of plan
workers are entries inside these (`engine.runtime.inside`), and their tasks count too. `most` is a
bound (`engine.bounds`): every retry, repair, fallback and check, at full prompts. `cost_expected`
is what settled tasks of the same workers have cost in this run. None is "not known", never zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from engine.bounds import Number, Rate, Spend, TaskBounds, task_bounds
from engine.bounds.amounts import least, plus, times
from engine.events import ModelInfo
from engine.prices import dearest
from engine.runtime.ending import subtree
from engine.runtime.state import Loop, RunState, Task
from engine.sema.model import Orchestrator, Worker
from engine.sema.plans.counts import times as count_times

__all__ = ["Entry", "effect_of", "estimate", "most_cost", "most_tasks"]


class Entry(msgspec.Struct, frozen=True):
    """One entry of a plan: a worker, and how many tasks of it there will be.

    Attributes:
        id: Of a step inside a plan worker, its path in that: `final.draft`.
        most: None where no number is known.
        inside: The steps that one run of a plan worker has.
        runs: How often one task of it may run them.
    """

    id: str
    worker: Worker | Orchestrator
    least: int = 1
    most: int | None = 1
    inside: tuple[Entry, ...] = ()
    runs: int = 1

    def flat(self) -> Iterator[Entry]:
        """The entry, and the steps inside with the tasks that all its tasks make."""
        yield self
        again = count_times(self.most, self.runs)
        for step in self.inside:
            for one in step.flat():
                yield msgspec.structs.replace(
                    one,
                    id=f"{self.id}/{one.id}",
                    least=self.least * one.least,
                    most=count_times(again, one.most),
                )


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
        total += _spend(bounds, entry)
        for one in entry.flat():
            if _is_effect(one.worker):
                writes_least += one.least
                most_writes = plus(most_writes, one.most)
            elif isinstance(one.worker, Orchestrator) and _writes(state, one.worker):
                each = bounds.whole[one.worker.name].tasks
                below = None if each is None else each - 1  # without the task itself
                most_writes = plus(most_writes, _times(Spend(tasks=below), one.most).tasks)
    cost = total.cost_usd
    max_items = loop.orchestrator.policy.max_items
    return {
        "tasks": {
            "least": sum(one.least for entry in entries for one in entry.flat()),
            "most": least(plus(*(most_tasks(entry) for entry in entries)), max_items),
        },
        "effects": {"least": writes_least, "most": _fewer(most_writes, entries, max_items)},
        "calls": total.model_calls,
        # No more is spent than the budget leaves, whatever the plan could take.
        "cost_most": None if cost is None else least(cost, loop.ledger.left_usd()),
        "cost_expected": _expected(state, entries),
    }


def most_cost(state: RunState, loop: Loop, entry: Entry) -> int | None:
    """The most that one entry can cost, in micro-dollars, whatever the budget leaves."""
    return _spend(_bounds(state, loop), entry).cost_usd


def most_tasks(entry: Entry) -> Number:
    """The most tasks of an entry, those inside included."""
    return count_times(entry.most, plus(1, count_times(entry.runs, _inside(entry))))


def _inside(entry: Entry) -> Number:
    """The most tasks in one run of a plan worker: its own steps, and what is inside these."""
    own = plus(*(step.most for step in entry.inside))
    plan = entry.worker.plan if isinstance(entry.worker, Worker) else None
    if plan is not None:
        own = least(own, plan.max_items)
    below = (
        count_times(step.most, count_times(step.runs, _inside(step)))
        for step in entry.inside
        if step.inside
    )
    return plus(own, *below)


def _fewer(effects: Number, entries: Sequence[Entry], max_items: int | None) -> Number:
    """Effects within the bound on tasks; those under an orchestrator are counted on their own."""
    if any(isinstance(one.worker, Orchestrator) for entry in entries for one in entry.flat()):
        return effects
    return least(effects, max_items)


def _spend(bounds: TaskBounds, entry: Entry) -> Spend:
    """The most that an entry takes: what the file allows, or less where the steps are known."""
    whole = _times(bounds.whole[entry.worker.name], entry.most)
    if not entry.inside:
        return whole
    steps = Spend()
    for step in entry.inside:
        steps += _spend(bounds, step)
    known = _times(bounds.alone[entry.worker.name] + steps * entry.runs, entry.most)
    return Spend(*(least(*both) for both in zip(_numbers(whole), _numbers(known), strict=True)))


def _is_effect(worker: Worker | Orchestrator) -> bool:
    """Whether a task of it changes something outside by itself; a plan leaves that to its steps."""
    return isinstance(worker, Worker) and worker.plan is None and worker.changes_something


def effect_of(worker: Worker | Orchestrator) -> str:
    """The effect of a worker; `orchestrator` for one, whose tasks have effects of their own."""
    return worker.effect if isinstance(worker, Worker) else "orchestrator"


def _times(each: Spend, count: int | None) -> Spend:
    if count is not None:
        return each * count
    return Spend(*(None if number else number for number in _numbers(each)))


def _numbers(spend: Spend) -> tuple[Number, ...]:
    return (spend.rounds, spend.tasks, spend.model_calls, spend.tokens, spend.cost_usd)


def _bounds(state: RunState, loop: Loop) -> TaskBounds:
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
        elif state.program.workers[name].changes_something:
            return True
    return False


def _expected(state: RunState, entries: Sequence[Entry]) -> int | None:
    """The mean of the settled tasks of each worker, times the number of tasks."""
    assert state.root is not None
    wanted: dict[str, Number] = {}
    workers: dict[str, Worker | Orchestrator] = {}
    for one in (one for entry in entries for one in entry.flat()):
        if isinstance(one.worker, Worker) and one.worker.plan is not None:
            continue  # its steps cost something, and not itself
        name = one.worker.name
        wanted[name] = plus(wanted.get(name, 0), one.most)
        workers[name] = one.worker
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
