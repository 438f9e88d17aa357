"""The ways by which untrusted text came to a task, as a person reads them.

What is tainted is decided in `engine.runtime.taint`, and where the parts of an input are from in
`engine.runtime.sources`. Here it is put into words, for denials, gates and reports: from the source
on, `task `r` (`read_page`) -> task `a` (`look`) -> a decision of `main``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.runtime import taint
from engine.runtime.shown import in_words
from engine.runtime.sources import Source, record_of, sources
from engine.runtime.state import Loop, RunState, Step, Task

__all__ = ["Ways", "denial"]

#: How many steps of a way are told, from its end.
MOST_STEPS = 8
#: How many parts of an input a denial names.
MOST_PARTS = 5


class Ways:
    """The ways to the inputs of one state; each part of a way is looked up once."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._known: dict[int, str] = {}

    def of(self, task: Task, source: Source) -> str:
        """The way of one source of a task's input; where it is not tainted, the source alone."""
        producer = source.producer
        if producer is not None:
            at = f" at `{source.at}`" if source.at else ""
            return f"{self._to(producer) if source.tainted else _named(producer)}{at}"
        match source.kind:
            case "planner":
                return self._to(task.loop) if source.tainted else _decision_of(task.loop)
            case "person":
                return "a person"
            case "caller":
                return "an input of the run"
            case _:
                return "the program"

    def sources(self, task: Task) -> list[dict[str, Any]]:
        """The sources of a task's input as plain data, each with its `way`."""
        found = sources(self._state, task)
        return [{**record_of(source), "way": self.of(task, source)} for source in found]

    def _to(self, end: Task | Step | Loop) -> str:
        way = self._known.get(id(end))
        if way is None:
            way = self._known[id(end)] = _way(self._state, end)
        return way


def denial(state: RunState, task: Task, tainted: Iterable[Source], *, looked: bool) -> str:
    """Why a task may not start without an approval: the parts that untrusted text can reach, each
    with its way; where it reaches none, the way to what decided that the task runs.

    Args:
        tainted: The sources of these parts.
        looked: Whether hooks have looked at other parts, and passed.
    """
    found = Ways(state)
    ways: dict[str, list[str]] = {}
    for source in tainted:
        ways.setdefault(found.of(task, source), []).append(f"`{source.path[1:]}`")
    if not ways:
        said, way = "it", _way(state, taint.steering_producer(state, task) or task.loop)
    elif len(ways) == 1:
        (way, names), *_ = ways.items()
        said = _listed(names)
    else:
        said = _listed([name for names in ways.values() for name in names])
        told = list(ways.items())[:MOST_PARTS]
        way = "; ".join(f"{_listed(names)}: {way}" for way, names in told)
    passed = "that passed has looked at it" if looked else "has let it pass"
    return f"untrusted text can reach {said}, and no verifier or gate {passed}: {way}"


def _listed(names: list[str]) -> str:
    if len(names) > MOST_PARTS:
        return f"{', '.join(names[:MOST_PARTS])} and {len(names) - MOST_PARTS} more parts"
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])


def _way(state: RunState, end: Task | Step | Loop) -> str:
    """What led to an end, from the source on."""
    at: Task | Step | Loop | None = end
    way: list[str] = []
    seen: set[int] = set()
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        if len(way) == MOST_STEPS:
            way.append("...")
            break
        if isinstance(at, Loop):
            way.append(_decision_of(at))
            marked = _marked(state, at)
            way += [marked] if marked else []
            at = None if marked else _before_loop(state, at)
        else:
            way.append(_named(at))
            at = _before_step(at) if isinstance(at, Step) else _before_task(state, at)
    return " -> ".join(reversed(way))


def _decision_of(loop: Loop) -> str:
    return f"a decision of `{loop.orchestrator.name}`"


def _named(entry: Task | Step) -> str:
    if isinstance(entry, Step):
        return f"step `{entry.id}`"
    return f"task `{entry.id}` (`{entry.worker.name}`)"


def _marked(state: RunState, loop: Loop) -> str:
    """The input or param that makes an orchestrator's decisions tainted by itself, in words."""
    name = taint.tainted_input(loop)
    if name is not None:
        return f"input `{name}`"
    param = taint.tainted_param(state)
    return f"param `{param}`" if param is not None else ""


def _before_loop(state: RunState, loop: Loop) -> Task | Step | Loop | None:
    """What an orchestrator has read: its input, or what came back from a task."""
    parent = loop.task
    if parent is not None and (parent.told or taint.reads_taint(state, parent)):
        return taint.tainted_producer(state, parent) or parent.loop
    return next(
        (
            task
            for task in loop.every_task()
            if task.tainted and task.round < loop.round and in_words(task)
        ),
        None,
    )


def _before_step(step: Step) -> Task | None:
    return next((task for task in step.items.values() if task.tainted), None)


def _before_task(state: RunState, task: Task) -> Task | Step | Loop | None:
    """What a task's words were made from; None where they are a stranger's own."""
    if taint.is_stranger(state, task):
        return None
    if task.child is not None:
        read = (other for other in task.child.every_task() if taint.has_said(state, other))
        return next(read, task.child)
    if task.plan is not None:
        inside = taint.tasks_inside(task)
        said = next((other for other in inside if taint.has_said(state, other)), None)
        if said is not None:
            return said
    return taint.tainted_producer(state, task) or task.loop
