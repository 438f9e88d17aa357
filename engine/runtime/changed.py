"""How one question to a person differs from the one before it about the same.

The machine keeps, for each worker and whoever asks about it, the input that a gate asked about
last; of plans, the entries. A gate that opens is compared with that. Both are parts of the state
anyway, so nothing is copied, and a resume compares the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from engine.runtime.origins import under
from engine.runtime.state import Gate, RunState
from engine.sema.plans.conditions import equal
from engine.sizes import beginning, size_of

__all__ = ["MOST_CHANGES", "changes", "difference", "is_of_plan", "remember"]

#: How many changes are told.
MOST_CHANGES = 50
#: A value that takes more is told by its beginning, in bytes and in characters.
MOST_BYTES = 1024
MOST_CHARACTERS = 200


def remember(state: RunState, gate: Gate) -> None:
    """A gate opens: keep what it asks about, and what the one before it asked about."""
    subject = _subject(gate)
    if subject is None or gate.before is not None:
        return
    who = _who(gate)
    gate.before = (state.asked_about.get(who),)
    state.asked_about[who] = subject


def changes(gate: Gate) -> list[dict[str, Any]] | None:
    """What differs from what was asked about before; None where nothing was.

    Returns:
        As `difference` gives it; empty where the same is asked about again.
    """
    before = None if gate.before is None else gate.before[0]
    return None if before is None else difference(before, _subject(gate))


def difference(before: Any, now: Any) -> list[dict[str, Any]]:
    """What differs between two values, the first `MOST_CHANGES`.

    Returns:
        `[{at, is, was, now}]`: a JSON Pointer, and `added`, `removed` or `changed`. A large value
        is given by the beginning of its JSON.
    """
    return [
        {"at": at, "is": kind, "was": _bounded(old), "now": _bounded(new)}
        for at, kind, old, new in islice(_differences(before, now), MOST_CHANGES)
    ]


def _differences(before: Any, now: Any) -> Iterator[tuple[str, str, Any, Any]]:
    # With a stack of its own: an input may be nested as deep as it likes.
    todo: list[tuple[str, str, Any, Any]] = [("", "changed", before, now)]
    while todo:
        at, kind, old, new = todo.pop()
        if kind != "changed":
            yield at, kind, old, new
        elif equal(old, new):
            continue
        elif isinstance(old, dict) and isinstance(new, dict):
            todo += reversed([*_of_keys(at, old, new)])
        elif isinstance(old, list) and isinstance(new, list):
            todo += reversed([*_of_keys(at, dict(enumerate(old)), dict(enumerate(new)))])
        else:
            yield at, kind, old, new


def _of_keys(
    at: str, old: dict[Any, Any], new: dict[Any, Any]
) -> Iterator[tuple[str, str, Any, Any]]:
    for key, value in new.items():
        known = key in old
        yield under(at, key), "changed" if known else "added", old.get(key), value
    for key, value in old.items():
        if key not in new:
            yield under(at, key), "removed", value, None


def _bounded(value: Any) -> Any:
    if size_of(value, MOST_BYTES) <= MOST_BYTES:
        return value
    return beginning(value, MOST_CHARACTERS) + "..."


def is_of_plan(gate: Gate) -> bool:
    """Whether a gate asks for a plan to be approved."""
    run = gate.resume if gate.check is None else gate.check.hook_run
    return run is not None and run.hook.point == "before_round"


def _subject(gate: Gate) -> Any:
    """What a gate asks about: an input, or the entries of a plan by id; None for anything else."""
    if is_of_plan(gate):
        entries = (gate.loop.current.decision or {}).get("tasks", ())
        return {entry["id"]: {k: v for k, v in entry.items() if k != "id"} for entry in entries}
    return None if gate.task is None else gate.task.resolved


def _who(gate: Gate) -> tuple[str, ...]:
    """Which worker a gate is about, and who asks."""
    worker = gate.loop.orchestrator.name if gate.task is None else gate.task.worker.name
    if gate.check is not None:
        return worker, gate.check.verifier.name
    asks = () if gate.resume is None else (gate.resume.hook.point, *gate.resume.hook.verifiers)
    return (worker, gate.kind, *asks)
