"""What a person's approval of a plan is good for: so many starts, and exactly the known inputs.

A `human` verifier that lets a plan pass at `before_round` has approved each of its tasks: with this
input where the decision wrote it out, and otherwise one start of that worker whose input comes by
reference. A task uses its approval up when it is ready. The rest covers a later plan of the same
orchestrator, and only what exceeds it is asked for again.

An approval of an input that was not known lets no untrusted text through: no person has seen it.
Everything here is a function of the folded state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from engine.runtime import clearance, sizes
from engine.runtime.references import resolve
from engine.runtime.state import Loop, RunState, Step, Task

__all__ = ["approve", "covers", "is_granted", "known_input", "use"]

Entry = Task | Step


def approve(state: RunState, loop: Loop, verifier: str, tasks: Iterable[Entry]) -> None:
    """A person has let a plan pass: its tasks may start, and the rest of earlier plans."""
    for key, count in _needs(loop, verifier, tasks).items():
        state.grants[key] = max(state.grants.get(key, 0), count)


def covers(state: RunState, loop: Loop, verifier: str, tasks: Iterable[Entry]) -> bool:
    """Whether a person has approved all of a plan's tasks before, and none is left to ask for."""
    needs = _needs(loop, verifier, tasks)
    return bool(needs) and all(state.grants.get(key, 0) >= n for key, n in needs.items())


def use(state: RunState, task: Task) -> None:
    """A task is ready to start: it uses up what approvals of plans there are for it."""
    if not state.grants or task.granted or task.frame is not None:
        return
    granted = []
    for hook in task.loop.hooks("before_round"):
        for verifier in hook.every_verifier:
            key = _key(task.loop, verifier, task)
            if state.grants.get(key, 0) and verifier not in granted:
                state.grants[key] -= 1
                granted.append(verifier)
    task.granted = tuple(granted)


def is_granted(state: RunState, task: Task, verifier: str) -> bool:
    """Whether a person has approved the start of a task with its plan, and has seen enough."""
    if verifier not in task.granted:
        return False
    return known_input(task) is not None or not clearance.is_denied(state, task)


def _needs(loop: Loop, verifier: str, entries: Iterable[Entry]) -> Counter[bytes]:
    """What a plan takes; tasks that have started already need nothing."""
    needs: Counter[bytes] = Counter()
    for entry in entries:
        if entry.id not in loop.early:
            needs[_key(loop, verifier, entry)] += _most(loop, entry)
    return needs


def _most(loop: Loop, entry: Entry) -> int:
    """How many tasks an entry may become: of a step, what the person has been shown."""
    if isinstance(entry, Task):
        return 1
    most = loop.current.counts.get(entry.id)
    return (loop.orchestrator.policy.max_items or 0) if most is None else most


def _key(loop: Loop, verifier: str, entry: Entry) -> bytes:
    # Orchestrators that run side by side do not use up each other's approvals.
    worker = "" if entry.worker is None else entry.worker.name
    known = known_input(entry) if isinstance(entry, Task) else None
    return sizes.fingerprint([loop.path, verifier, worker, known])


def known_input(task: Task) -> Any:
    """A task's input with its defaults, if the decision says all of it; else None."""
    if task.references or task.step is not None or task.tree is not None:
        return None
    if not task.special:
        return task.worker.inputs.with_defaults(task.input)
    return task.worker.inputs.with_defaults(resolve(task.input, _nothing))


def _nothing(task: str) -> Any:
    raise AssertionError("an input without references refers to nothing")
