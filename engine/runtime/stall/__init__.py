"""Detects rounds without progress, without a model.

Two rules look at each round that closes. The exact one (`exact`) is certain: nothing came back that
was not there before, byte for byte. The other one (`score`) adds up signs of no progress, for loops
that go in circles with small differences; `stall { sensitivity }` says how many are enough. A
verifier with a model is the next line of defence, and `max_rounds` the last.

Everything here is a function of the rounds so far: the same events give the same scores. Each round
takes time in proportion to its tasks, of which a bounded part is read (`reading`), and memory is
bounded (`memory`). A run keeps the rules under which it started (`RULES`).
"""

from __future__ import annotations

from itertools import islice

from engine.runtime.stall import exact
from engine.runtime.stall.exact import Novelty
from engine.runtime.stall.memory import RESULT, Entry, Memory, read
from engine.runtime.stall.score import judge
from engine.runtime.state import Loop, Round, Step, Task

__all__ = ["RULES", "Novelty", "begin_again", "observe"]

#: The rules of this engine (`RunStarted.stall`). 0 is the exact one alone; an engine whose scores
#: differ from these needs another number, and keeps these for runs that began under 1.
RULES = 1
#: How many items of a step are read.
_ITEMS = 8


def observe(loop: Loop, over: Round, rules: int = RULES) -> Novelty:
    """Compare a round with those before it, and remember it."""
    found = exact.observe(loop, over)
    stall = loop.orchestrator.policy.stall
    if not rules or stall is None or not stall.sensitivity:
        return found
    if loop.memory is None:
        loop.memory = Memory(loop.goal)
    checks = [(f"{point} {verifier}", ok) for point, verifier, ok, _ in over.verdicts]
    scored = judge(loop.memory, _entries(loop, over), checks, certain=not found.new)
    if found.new and scored.score > 1 - stall.sensitivity:
        return Novelty(False, scored.why, certain=False)
    return found


def begin_again(loop: Loop) -> None:
    """The planner was asked for a new plan, or a person let it continue: count from here."""
    loop.stalled = 0
    if loop.memory is not None:
        loop.memory.begin_again()


def _entries(loop: Loop, over: Round) -> list[Entry]:
    entries = [
        _step(entry) if isinstance(entry, Step) else _task(entry)
        for entry in over.entries
        if entry.status != "skipped"
    ]
    if over.decision is not None and "finish" in over.decision:
        entries.append(read(RESULT, loop.result, loop.result))
    return entries


def _task(task: Task) -> Entry:
    failed = task.failure is not None
    return read(task.worker.name, task.resolved, task.output, failed=failed)


def _step(step: Step) -> Entry:
    """A step is one task: its first items are its input."""
    tasks = [*islice(step.items.values(), _ITEMS)]
    if not tasks and step.passes:
        tasks = [*islice(step.passes[-1].tasks.values(), _ITEMS)]
    name = step.id if step.worker is None else step.worker.name
    asked = [task.resolved for task in tasks]
    return read(name, asked, step.output, failed=step.failure is not None)
