"""A run as plain data: what `orch run --format json` and `orch show` give.

Built from the folded state alone, so a live run, a finished one and one read from a journal
years later are reported in the same words.
"""

from __future__ import annotations

from typing import Any

from engine.diagnostics.render_json import place_dict
from engine.errors import Failure
from engine.runtime import forks
from engine.runtime.budget import Ledger
from engine.runtime.causes import Cause
from engine.runtime.places import place_of
from engine.runtime.plan_review import is_of_plan, plan_report
from engine.runtime.prompts.blocks import preview
from engine.runtime.state import Gate, Loop, Round, RunState, Task
from engine.runtime.views import plan_of

__all__ = [
    "SHOWN_BYTES",
    "failures",
    "gate_report",
    "gate_reports",
    "partial_tasks",
    "run_report",
    "usage_report",
    "waits",
]

#: What is shown of a partial result, or of an input that a person is asked about, in bytes.
SHOWN_BYTES = 1024 * 1024


def usage_report(ledger: Ledger) -> dict[str, Any]:
    """Tokens and money. `cost_usd` is dollars, or None where a price is not known."""
    return {
        "input_tokens": ledger.input_tokens,
        "output_tokens": ledger.output_tokens,
        "cached_tokens": ledger.cached_tokens,
        "cache_write_tokens": ledger.cache_write_tokens,
        "reasoning_tokens": ledger.reasoning_tokens,
        "cost_usd": None if ledger.unpriced_calls else ledger.cost_usd / 1_000_000,
        "estimated": ledger.estimated,
    }


def failures(state: RunState, loop: Loop | None = None) -> list[dict[str, Any]]:
    """Every task that failed, in a loop (or the whole run) and in sub-orchestrators, in order."""
    found: list[dict[str, Any]] = []
    loop = loop or state.root
    if loop is None:
        return found
    for task in loop.tasks.values():
        if task.failure is not None:
            found.append(
                {
                    "task": task.id,
                    "worker": task.worker.name,
                    "round": task.round,
                    "key": task.key,
                    "mode": task.failure.mode,
                    "message": task.failure.message,
                    "place": _place(state, task.failure),
                }
            )
        if task.child is not None:
            found.extend(failures(state, task.child))
    return found


def _place(state: RunState, failure: Failure | Cause | None) -> dict[str, Any] | None:
    """`{"file", "range"}` of where something failed, as in `orch lint --format json`."""
    place = place_of(state, failure)
    return None if place is None else place_dict(place)


def gate_report(state: RunState, gate: Gate) -> dict[str, Any]:
    """A question that waits for a person; `plan` is what it asks about at `before_round`."""
    return {
        "key": gate.key,
        "kind": gate.kind,
        "orchestrator": gate.loop.orchestrator.name,
        "message": gate.message,
        "options": list(gate.options),
        "task": gate.task.id if gate.task is not None else None,
        "worker": gate.task.worker.name if gate.task is not None else None,
        "input": _shown_input(gate.task) if gate.task is not None else None,
        "plan": plan_report(state, gate.loop) if is_of_plan(gate) else None,
        "opened_ms": gate.opened_ms,
        "timeout_ms": gate.timeout_ms,
        "offers": forks.offers(gate),
    }


def gate_reports(state: RunState) -> list[dict[str, Any]]:
    """The questions that wait for a person, oldest first."""
    return [gate_report(state, gate) for gate in state.gates.values()]


def _shown_input(task: Task) -> Any:
    """The input that a person is asked about; with its references where it is very large."""
    large = (task.input_bytes or 0) > SHOWN_BYTES and not task.edits
    return task.input if large else task.resolved


def partial_tasks(loop: Loop) -> list[str]:
    """The tasks whose outputs make up a loop's partial result (`engine.runtime.ending.partial`);
    none where it is a result that was not let through."""
    best = loop.best
    done = [task for task in reversed(loop.tasks.values()) if task.status == "done"]
    alone = [task.id for task in done if task.output is best]
    if alone or not isinstance(best, dict):
        return alone[:1]
    last = {task.worker.name: task for task in reversed(done)}
    return [task.id for name, task in last.items() if best.get(name) is task.output]


def run_report(state: RunState, *, details: bool = False) -> dict[str, Any]:
    """The run: status, output, failures, usage, rounds.

    Args:
        details: Whether to give each round's plan, tasks, inputs and outputs.
    """
    loop = state.root
    report: dict[str, Any] = {
        "run": state.run,
        "status": state.status,
        "reason": state.reason or (loop.reason if loop else ""),
        "bound": state.bound,
        "escalated": loop.escalated if loop else False,
        "output": loop.output if loop else None,
        "partial": loop.best if loop and state.status != "finished" else None,
        "place": _place(state, loop.cause) if loop and loop.status != "finished" else None,
        "failures": failures(state),
        "rounds": loop.round if loop else 0,
        "dispatches": loop.dispatches if loop else 0,
        "usage": usage_report(loop.ledger) if loop else None,
        "cost_usd": usage_report(loop.ledger)["cost_usd"] if loop else None,
        "time_ms": state.now,
        "calls": state.starts,
        "lost": state.lost,
        "suspects": state.suspects.total,
        "gates": gate_reports(state),
        "warnings": list(state.warnings),
    }
    if details and loop is not None:
        report["orchestrator"] = loop.orchestrator.name
        report["goal"] = loop.goal
        report["input"] = loop.input
        report["models"] = {name: info.id for name, info in state.models.items()}
        report["history"] = history(state, loop)
        report["waiting"] = waits(state)
    return report


def waits(state: RunState) -> list[dict[str, Any]]:
    """The calls that wait for their next attempt: for how long, and what the last one met."""
    return [
        {
            "call": call.loop.shown(call.key),
            "model": call.chain[call.chain_index] if call.chain else None,
            "ms": call.command.delay_ms,
            "asked": call.last_failure.retry_after_ms == call.command.delay_ms,
            "mode": call.last_failure.mode,
            "message": call.last_failure.message,
        }
        for call in state.calls.values()
        if call.command is not None
        and call.command.delay_ms
        and call.last_failure is not None
        and call.begun != call.attempt
    ]


def history(state: RunState, loop: Loop) -> list[dict[str, Any]]:
    """Each round of a loop: assessment, plan, tasks with inputs and outputs, verdicts."""
    return [
        {
            "round": r.number,
            "assessment": (r.decision or {}).get("assessment"),
            "finish": plan_of(r.decision).get("finish"),
            "decisions": r.attempts,
            "rejected": list(r.rejected),
            "proposed": None if r.proposed is None else plan_of(r.proposed).get("tasks"),
            "edited_by": None if r.proposed is None else r.edited_by,
            "not_started": _not_started(r),
            "feedback": [remark.text for remark in r.feedback],
            "notes": [{"by": note.by, "note": note.text} for note in r.notes],
            "tasks": [_task(state, task) for task in r.tasks],
            "verdicts": [
                {"hook": hook, "verifier": name, "ok": ok, "feedback": feedback}
                for hook, name, ok, feedback in r.verdicts
            ],
        }
        for r in loop.rounds
    ]


def _not_started(r: Round) -> list[dict[str, Any]]:
    """The tasks of a plan that waits for its hooks, or that they did not let pass."""
    if not (r.refused or r.planned) or r.decision is None:
        return []
    begun = {task.id for task in r.tasks}
    return [spec for spec in r.decision["tasks"] if spec["id"] not in begun]


def _task(state: RunState, task: Task) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": task.id,
        "worker": task.worker.name,
        "status": task.status,
        "attempts": task.attempts,
        "input": task.input,
        "ms": (
            None
            if task.started_at is None or task.ended_at is None
            else task.ended_at - task.started_at
        ),
    }
    if task.failure is not None:
        record["failure"] = {
            "mode": task.failure.mode,
            "message": task.failure.message,
            "place": _place(state, task.failure),
        }
    elif task.status == "done":
        record["output"] = task.output
    if task.partial is not None:
        record["partial"] = task.partial
    if task.child is not None:
        record["rounds"] = history(state, task.child)
    return record


def one_line(value: Any, width: int) -> str:
    """A value as one line of JSON, cut to `width` characters, for people."""
    text = preview(value, width * 4)[0].replace("<\\/", "</")
    return text if len(text) <= width else text[: width - 3] + "..."
