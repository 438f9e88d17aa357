"""From a decision to tasks: everything a schema cannot say about a decision.

Ids taken before, limits used up, references to tasks that are not there or failed, pointers that
the producer's schema rules out, precedence that cannot be met, cycles. All of it is found before
any task of the decision starts, so a rejected decision costs nothing but its own call.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from engine.runtime.decision import MAX_PROBLEMS, DecisionError, is_id
from engine.runtime.plain_tasks import is_same, resolve_written, unwire
from engine.runtime.prompts import rejections
from engine.runtime.references import Reference, find_references
from engine.runtime.requests import may_start_early
from engine.runtime.state import Loop, Step, Task
from engine.runtime.step_contract import has_only_outputs
from engine.runtime.steps.decided import MAX_WIRES, make_entries
from engine.sema.suggest import closest
from engine.sema.types.json_schema import may_fit, subschema_at

__all__ = ["OutOfDispatches", "make_early_task", "make_tasks"]


class OutOfDispatches(DecisionError):
    """The decision wants more tasks than the run may still start."""


def make_tasks(
    loop: Loop, decision: dict[str, Any], key: str, *, bounded: bool
) -> list[Task | Step]:
    """The tasks of a decision, and its steps, wired to those they wait for.

    Args:
        key: The decision's structural path, such as `round 2 / decision 1`.
        bounded: Whether inputs are bounded in size; those with references are measured when what
            they refer to is there.

    Raises:
        DecisionError: The decision cannot run; nothing has changed then.
    """
    specs: list[dict[str, Any]] = decision["tasks"]
    early = loop.early
    new = [spec for spec in specs if spec["id"] not in early]
    policy = loop.orchestrator.policy
    if policy.max_items is not None:
        plain = [spec for spec in new if "each" not in spec and "reduce" not in spec]
        _check_limits(loop, plain)
        return make_entries(loop, decision, key, bounded=bounded)
    _check_limits(loop, new)
    problems: list[str] = []
    allowed = policy.max_per_round
    if len(new) + len(early) > allowed:
        problems.append(rejections.too_many_with_early(len(new), len(early), allowed))
    made: dict[str, Task] = {}
    for spec in specs:
        if len(problems) >= MAX_PROBLEMS:
            break  # no more are told, and looking for them may take long
        task_id = spec["id"]
        begun = early.get(task_id)
        if begun is not None and task_id not in made and is_same(begun, spec):
            made[task_id] = begun
            continue
        if task_id in made or task_id in loop.taken:
            problems.append(rejections.id_taken(task_id))
            continue
        worker = loop.decisions.workers[spec["worker"]]
        special, references = find_references(spec["input"])
        task = Task(
            task_id, worker, loop, spec["input"], f"{key} / task {task_id}", special, references
        )
        made[task_id] = task
        if not special:
            problems += resolve_written(task, bounded=bounded)
    wired = False
    wires = 0
    limits = loop.orchestrator.limits
    named: dict[str, list[Task]] = {}
    for task in made.values() if limits else ():
        named.setdefault(task.worker.name, []).append(task)
    for task in made.values():
        if not (task.references or limits):
            continue  # it waits for nothing
        if task.id in early or len(problems) >= MAX_PROBLEMS:
            continue
        for reference in task.references:
            if len(problems) >= MAX_PROBLEMS:
                break
            problem = _wire(loop, made, task, reference)
            if problem is not None:
                problems.append(rejections.problem_of(task.id, problem))
        limit = limits.get(task.worker.name)
        if limit is not None and limit.after:
            problems += _wire_after(loop, named, task, limit.after)
        wires += task.waits
        if wires > MAX_WIRES:
            problems.append(rejections.WAITS_TOO_OFTEN)
            break
        wired = wired or task.waits > 0
    if wired and not problems:
        problems += _cycles(made)
    if problems:
        unwire(loop, made.values())
        raise DecisionError(problems[:MAX_PROBLEMS])
    return list(made.values())


def make_early_task(loop: Loop, spec: dict[str, Any], key: str, *, bounded: bool) -> Task | None:
    """A task of a decision that still streams, or None if it has to wait for the whole.

    It must be beyond doubt: everything it needs is known, within every limit, and valid.
    """
    # Each doubt ends in `None`, not in an error: the whole decision is still to come, and is
    # checked then with every problem at once. Starting a task too late costs a second. Starting one
    # that the decision then rejects costs a call, and its id stays taken.
    if set(spec) != {"id", "worker", "input"} or not isinstance(spec["worker"], str):
        return None
    worker = loop.decisions.workers.get(spec["worker"])
    if worker is None or not may_start_early(loop, worker) or not is_id(spec["id"]):
        return None
    if len(loop.early) >= loop.orchestrator.policy.max_per_round or spec["id"] in loop.taken:
        return None
    if not loop.decisions.tolerant_input(worker.name).is_valid(spec["input"]):
        return None
    if loop.decisions.steps and not has_only_outputs(spec["input"]):
        return None
    limit = loop.orchestrator.limits.get(worker.name)
    if limit is not None and not all(loop.done.get(name) for name in limit.after):
        return None
    try:
        _check_limits(loop, [spec])
    except DecisionError:
        return None
    special, references = find_references(spec["input"])
    if any(reference.task not in loop.tasks for reference in references):
        return None
    task_key = f"{key} / task {spec['id']}"
    task = Task(spec["id"], worker, loop, spec["input"], task_key, special, references)
    if not special:
        return None if resolve_written(task, bounded=bounded) else task
    producers = {reference.task: loop.tasks[reference.task] for reference in references}
    if any(_wire(loop, producers, task, reference) is not None for reference in references):
        for producer in producers.values():
            if task in producer.feeds:
                producer.feeds.remove(task)
        return None
    return task


def _check_limits(loop: Loop, specs: list[dict[str, Any]]) -> None:
    policy = loop.orchestrator.policy
    items = len(specs) + len(loop.early)
    if policy.max_items is not None and items > policy.max_items:
        raise DecisionError([rejections.too_many_items(items, policy.max_items)])
    if policy.max_dispatches is not None:
        left = policy.max_dispatches - loop.dispatches
        if len(specs) > left:
            raise OutOfDispatches(
                [rejections.out_of_dispatches(len(specs), left, policy.max_dispatches)]
            )
    wanted: dict[str, int] = {}
    for spec in specs:
        wanted[spec["worker"]] = wanted.get(spec["worker"], 0) + 1
    problems = []
    for name, count in wanted.items():
        limit = loop.orchestrator.limits.get(name)
        if limit is None or limit.max_dispatches is None:
            continue
        left = limit.max_dispatches - loop.worker_dispatches.get(name, 0)
        if count > left:
            problems.append(rejections.out_of_worker(count, name, left, limit.max_dispatches))
    if problems:
        raise DecisionError(problems)


def _wire(loop: Loop, made: dict[str, Task], task: Task, reference: Reference) -> str | None:
    """Connect a reference, or say why it cannot be."""
    producer = made.get(reference.task)
    if producer is task:
        return rejections.refers_to_itself(reference.path)
    if producer is None:
        producer = loop.tasks.get(reference.task)
        if producer is None:
            close = closest(reference.task, chain(made, loop.tasks))
            named = reference.task if is_id(reference.task) else None
            return rejections.no_such_task(reference.path, named, close)
        if producer.failure is not None:
            return rejections.refers_to_failed(reference.path, producer.id, producer.failure.mode)
    # A task is wired at one go, so where it is fed already, it is the last one.
    if not producer.over and (not producer.feeds or producer.feeds[-1] is not task):
        producer.feeds.append(task)
        task.waits += 1
    offered = subschema_at(producer.worker.output.schema, reference.at)
    if offered is None:
        return rejections.nothing_at(
            reference.path, producer.id, producer.worker.name, reference.at
        )
    wanted = subschema_at(task.worker.inputs.schema, reference.path)
    if isinstance(offered, dict) and isinstance(wanted, dict) and not may_fit(offered, wanted):
        return rejections.does_not_fit(
            reference.path, task.worker.name, producer.id, producer.worker.name, reference.at
        )
    return None


def _wire_after(
    loop: Loop, named: dict[str, list[Task]], task: Task, after: tuple[str, ...]
) -> list[str]:
    """Make a task wait for the workers its limit puts before it."""
    problems = []
    missing = [name for name in after if not loop.done.get(name)]
    task.after = tuple(missing)
    for name in missing:
        earlier = named.get(name, [])
        if not earlier:
            problems.append(rejections.only_after(task.id, task.worker.name, name))
        for other in earlier:
            is_fed = other.feeds and other.feeds[-1] is task
            if other is not task and not other.over and not is_fed:
                other.feeds.append(task)
                task.waits += 1
    return problems


def _cycles(made: dict[str, Task]) -> list[str]:
    # Whoever waits for a task from before this decision waits for no one here.
    waits = dict.fromkeys(made, 0)
    for task in made.values():
        for other in task.feeds:
            if other.id in waits:
                waits[other.id] += 1
    ready = [task for task in made.values() if waits[task.id] == 0]
    while ready:
        task = ready.pop()
        del waits[task.id]
        for other in task.feeds:
            if other.id in waits:
                waits[other.id] -= 1
                if waits[other.id] == 0:
                    ready.append(made[other.id])
    if not waits:
        return []
    return [rejections.cycle(list(waits)[:5])]
