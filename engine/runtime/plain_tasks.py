"""What holds for the plain tasks of every decision, with steps or without.

A plain task whose input is written out is checked with its decision. One that began while its
decision still streamed is kept if the decision has it unchanged, and remembers nothing of a
decision that was not accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.runtime.prompts import rejections
from engine.runtime.state import Loop, Step, Task
from engine.sizes import size_of, size_words

__all__ = ["is_same", "resolve_written", "unwire"]


def is_same(task: Task, entry: Mapping[str, Any]) -> bool:
    """Whether an entry of a decision is a task that has begun already."""
    return bool(
        task.worker.name == entry["worker"]
        and task.input == entry["input"]
        and entry.keys() == {"id", "worker", "input"}
    )


def resolve_written(task: Task, *, bounded: bool) -> list[str]:
    """Fill in the defaults of an input without references, and say what is wrong with it."""
    worker = task.worker
    contract = worker.inputs
    task.resolved = contract.with_defaults(task.input)
    policy = task.loop.orchestrator.policy
    if bounded and (policy.writes_large or contract.multiplies):
        most = policy.max_input_bytes
        if size_of(task.resolved, most) > most:
            return [rejections.input_too_large(task.id, worker.name, size_words(most))]
    if contract.is_valid(task.resolved):
        return []
    where = rejections.task_named(task.id)
    return [
        rejections.input_problem(where, worker.name, problem)
        for problem in contract.problems(task.resolved)
    ]


def unwire(loop: Loop, tasks: Iterable[Task | Step]) -> None:
    """Leave nothing behind, in the tasks that run already, of tasks that will not start."""
    gone = {id(task) for task in tasks if loop.early.get(task.id) is not task}
    for begun in loop.early.values():
        begun.feeds = [task for task in begun.feeds if id(task) not in gone]
