"""Questions to people as plain data: what a gate asks, about what, and where that came from.

This is what `orch gates`, the terminal, Python and the event of an opened gate show, so all of them
show the same. An answer is kept in its round together with the question as it was then: what a
person was shown can be told from the journal alone, long after.
"""

from __future__ import annotations

from typing import Any

from engine.events import GateAnswered
from engine.runtime import clearance, forks
from engine.runtime.changed import changes, is_of_plan
from engine.runtime.plan_review import plan_report
from engine.runtime.state import Gate, RunState, Task
from engine.runtime.task_paths import path_in_loop
from engine.runtime.ways import Ways
from engine.sema.plans.selection import number_text

__all__ = ["SHOWN_BYTES", "SHOWN_ITEMS", "gate_report", "gate_reports", "keep"]

#: What is shown of a partial result, or of an input that a person is asked about, in bytes.
SHOWN_BYTES = 1024 * 1024
#: How many items a gate of a step lists.
SHOWN_ITEMS = 1_000
#: How many sources are shown of an input, and of each item of a step; tainted ones come first.
SHOWN_SOURCES = 100
SHOWN_SOURCES_OF_ITEM = 8
#: How many reasons a gate tells, and for how many items of a step they are looked for.
SHOWN_REASONS = 8
REASONED_ITEMS = 100


def keep(state: RunState, gate: Gate, event: GateAnswered) -> None:
    """Keep an answer with what was shown to whoever gave it, in the round that it is about."""
    said = {"answer": event.answer, "by": event.by, "note": event.note}
    chosen = {"edit": event.edit, "output": event.output, "chosen": event.items}
    gate.loop.current.answers.append({**gate_report(state, gate), **said, **chosen})


def gate_report(state: RunState, gate: Gate) -> dict[str, Any]:
    """A question that waits for a person.

    `plan` is what it asks about at `before_round`; `items` are those of a step, as far as they are
    shown. `sources` says where the parts of the input came from, those with a stranger's words
    first, and `changes` what differs from the last question about the same. `why` says for what
    the machine would deny the task, or items, without an answer.
    """
    about = gate.task or (gate.tasks[0] if gate.tasks else None)
    ways = Ways(state)
    report = {
        "key": gate.key,
        "kind": gate.kind,
        "orchestrator": gate.loop.orchestrator.name,
        "message": gate.message,
        "options": list(gate.options),
        "task": path_in_loop(gate.task) if gate.task is not None else None,
        "worker": about.worker.name if about is not None else None,
        "input": _shown_input(gate.task) if gate.task is not None else None,
        "sources": [] if gate.task is None else _sources(ways, gate.task, SHOWN_SOURCES),
        "changes": changes(gate),
        "why": _why(state, gate),
        "plan": plan_report(state, gate.loop) if is_of_plan(gate) else None,
        "opened_ms": gate.opened_ms,
        "timeout_ms": gate.timeout_ms,
        "offers": forks.offers(gate),
    }
    if gate.step is not None:
        report["step"] = path_in_loop(gate.step)
        report["count"] = len(gate.tasks)
        questions = gate.questions or [gate.message] * len(gate.tasks)
        report["items"] = [
            {
                "item": number_text(task.number),
                "task": path_in_loop(task),
                "label": task.label,
                "message": question if question != gate.message else "",
                "input": _shown_input(task),
                "sources": _sources(ways, task, SHOWN_SOURCES_OF_ITEM),
                **({"parent": forks.became(gate, task)} if gate.helds else {}),
            }
            for task, question in zip(gate.tasks[:SHOWN_ITEMS], questions, strict=False)
        ]
    return report


def gate_reports(state: RunState) -> list[dict[str, Any]]:
    """The questions that wait for a person, oldest first."""
    return [gate_report(state, gate) for gate in state.gates.values()]


def _why(state: RunState, gate: Gate) -> list[str]:
    """For what the tasks of a gate would be denied as they are; none once they have started."""
    check = gate.checks[0] if gate.checks else gate.check
    run = gate.resume if check is None else check.hook_run
    if run is None or run.hook.point != "before_dispatch":
        return []
    tasks = gate.tasks[:REASONED_ITEMS] if gate.task is None else [gate.task]
    found = dict.fromkeys(said for task in tasks for said in clearance.reasons(state, task))
    return list(found)[:SHOWN_REASONS]


def _shown_input(task: Task) -> Any:
    """The input that a person is asked about; with its references where it is very large."""
    large = (task.input_bytes or 0) > SHOWN_BYTES and not task.edits
    return task.input if large else task.resolved


def _sources(ways: Ways, task: Task, most: int) -> list[dict[str, Any]]:
    """The sources of what is asked about, those with a stranger's words first."""
    return sorted(ways.sources(task), key=lambda source: not source["tainted"])[:most]
