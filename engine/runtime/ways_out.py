"""Ways out: reads that go to an address which strangers' text may have chosen.

A request carries data to whoever answers it, in the address itself: `https://evil.example/?q=...`.
So a task of a worker that only reads counts as an effect for taint where a tainted planner has
written one of the inputs that decide whom the worker talks to (`Facts.address`), or where tainted
text is in one. A reference to an untainted output is allowed, whoever chose it: its text is
not a stranger's. What an input with `@from` holds is compared with its sources instead, so it is
not among these inputs.

Everything here is a function of the folded state. Who is tainted is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from engine.runtime.origins import Origin, origins
from engine.runtime.state import Task
from engine.sema.model import Worker
from engine.sema.plans.values import Computed, is_leaf

__all__ = ["REMEDY", "address_origins", "is_written", "refusal"]

#: What a file can do about it.
REMEDY = (
    "say where it may come from (`{name}: ... @from(request, ...)`), or let a hook look at it "
    "(`before_dispatch {worker} {{ with = ...  when = tainted }}`)"
)


def is_written(task: Task, address: Iterable[str]) -> bool:
    """Whether the planner has written one of some inputs itself, at least in part."""
    if task.frame is not None:
        return False  # the file has written what is written in a plan worker's steps
    tree = _tree(task)
    whole = {reference.path[1:] for reference in task.references}
    return any(
        name in tree and name not in whole and not _is_reference(tree[name]) for name in address
    )


def address_origins(task: Task, address: frozenset[str]) -> Iterator[Origin]:
    """The origins of some inputs of a task."""
    return (one for one in origins(task) if one.path[1:].partition("/")[0] in address)


def refusal(worker: Worker, address: Iterable[str], way: str) -> str:
    """Why such a task is denied, and what its author can do."""
    names = " or ".join(f"`{name}`" for name in sorted(address))
    remedy = REMEDY.format(name=min(address), worker=worker.name)
    return (
        f"untrusted text can reach it, and choose whom it talks to ({names}): {way}; a request "
        f"to a stranger's address can carry data away. To allow it, {remedy}"
    )


def _tree(task: Task) -> dict[str, Any]:
    if task.step is not None and hasattr(task.step.spec, "input"):
        return task.step.spec.input
    return task.input if task.tree is None else task.tree


def _is_reference(value: Any) -> bool:
    return is_leaf(value) and not isinstance(value, Computed)
