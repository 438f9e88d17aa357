"""A run as plain data: what `orch run --format json` and `orch show` give.

Built from the folded state alone, so a live run, a finished one and one read from a journal
years later are reported in the same words.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from engine.diagnostics.render_json import place_dict
from engine.errors import Failure
from engine.runtime import ending
from engine.runtime.budget import Ledger
from engine.runtime.causes import Cause
from engine.runtime.places import place_of
from engine.runtime.prompts.blocks import preview
from engine.runtime.questions import gate_reports
from engine.runtime.state import Frame, Loop, Round, RunState, Step, Task
from engine.runtime.steps.summary import Numbers, summary_of
from engine.runtime.tainted_result import tainted_parts
from engine.runtime.task_paths import path_in_loop
from engine.runtime.views import counts_record, failure_record, plan_of
from engine.runtime.ways import Ways
from engine.sema.model import Worker
from engine.sema.plans import steps as plans

__all__ = [
    "failures",
    "partial_tasks",
    "run_report",
    "usage_report",
    "waits",
]


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
    """Every task that failed, in a loop (or the whole run) and in sub-orchestrators, in order.

    Items of steps are among them, those that got no task are not. Tasks inside a plan worker come
    after it.
    """
    found: list[dict[str, Any]] = []
    loop = loop or state.root
    if loop is None:
        return found
    for task in loop.every_task():
        if task.failure is not None:
            found.append(
                {
                    "task": path_in_loop(task),
                    "worker": task.worker.name,
                    "round": task.round,
                    "key": task.key,
                    "mode": task.failure.mode,
                    "message": task.failure.message,
                    "place": _place(state, task.failure),
                    **_step_of(task),
                }
            )
        if task.child is not None:
            found.extend(failures(state, task.child))
    return found


def _step_of(task: Task) -> dict[str, Any]:
    """What a record says of a task that is an item of a step."""
    if task.step is None:
        return {}
    return {"step": path_in_loop(task.step), "label": task.label or None}


def _place(state: RunState, failure: Failure | Cause | None) -> dict[str, Any] | None:
    """`{"file", "range"}` of where something failed, as in `orch lint --format json`."""
    place = place_of(state, failure)
    return None if place is None else place_dict(place)


def partial_tasks(loop: Loop) -> list[str]:
    """The tasks whose outputs make up a loop's partial result (`engine.runtime.ending.partial`);
    none where it is a result that was not let through."""
    best = loop.best
    done = [task for task in reversed(loop.tasks.values()) if task.status == "done"]
    # Of a step, a partial result has what all of its items gave.
    steps = [(step, ending.given(step)) for step in reversed([*ending.steps_inside_first(loop)])]
    alone = [path_in_loop(step) for step, value in steps if value is not None and value == best]
    alone += [task.id for task in done if task.output is best]
    if alone or not isinstance(best, dict):
        return alone[:1]
    last: dict[str, str] = {}
    for task in loop.every_task():
        if task.status == "done" and best.get(task.worker.name) is task.output:
            last[task.worker.name] = path_in_loop(task)
    for step, value in reversed(steps):
        if step.worker is not None and value is not None and best.get(step.worker.name) == value:
            last[step.worker.name] = path_in_loop(step)
    return [*last.values()]


def run_report(state: RunState, *, details: bool = False, items: bool = False) -> dict[str, Any]:
    """The run: status, output, failures, usage, rounds.

    Args:
        details: Whether to give each round's plan, tasks, inputs and outputs.
        items: Whether to give the items of each step, too.
    """
    loop = state.root
    tainted = [] if loop is None else list(tainted_parts(state, loop))
    report: dict[str, Any] = {
        "run": state.run,
        "status": state.status,
        "reason": state.reason or (loop.reason if loop else ""),
        "bound": state.bound,
        "escalated": loop.escalated if loop else False,
        "output": loop.output if loop else None,
        "partial": loop.best if loop and state.status != "finished" else None,
        "tainted": bool(tainted),
        "tainted_parts": tainted,
        "place": _place(state, loop.cause) if loop and loop.status != "finished" else None,
        "failures": failures(state),
        "rounds": loop.round if loop else 0,
        "dispatches": loop.dispatches if loop else 0,
        "not_started": sum(len(step.dropped) for step in loop.every_step()) if loop else 0,
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
        report["history"] = history(state, loop, Ways(state), items=items)
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


def history(
    state: RunState, loop: Loop, ways: Ways | None = None, *, items: bool = False
) -> list[dict[str, Any]]:
    """Each round of a loop: assessment, plan, tasks with inputs and outputs, steps, verdicts,
    and what people answered, with what they were shown.

    Args:
        ways: What tells the sources of inputs, where the report has one already.
        items: Whether each step has its items.
    """
    ways = ways or Ways(state)
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
            **_entries(state, r.entries, ways, items=items),
            "verdicts": [
                {"hook": hook, "verifier": name, "ok": ok, "feedback": feedback}
                for hook, name, ok, feedback in r.verdicts
            ],
            "answers": list(r.answers),
        }
        for r in loop.rounds
    ]


def _not_started(r: Round) -> list[dict[str, Any]]:
    """The tasks of a plan that waits for its hooks, or that they did not let pass."""
    if not (r.refused or r.planned) or r.decision is None:
        return []
    begun = {task.id for task in r.tasks}
    return [spec for spec in r.decision["tasks"] if spec["id"] not in begun]


def _entries(
    state: RunState, entries: Iterable[Task | Step], ways: Ways, *, items: bool
) -> dict[str, list[dict[str, Any]]]:
    """Tasks and steps as data. `position` says where a step is among them all."""
    found: dict[str, list[dict[str, Any]]] = {"tasks": [], "steps": []}
    for position, entry in enumerate(entries):
        if isinstance(entry, Task):
            found["tasks"].append(_task(state, entry, ways, items=items))
        else:
            step = _step(state, entry, ways, items=items)
            found["steps"].append({"id": step.pop("id"), "position": position, **step})
    return found


def _inside(
    state: RunState, frame: Frame, ways: Ways, *, items: bool
) -> dict[str, list[dict[str, Any]]]:
    """What a plan worker or a pass has in it, as written; the items of its steps are in those."""
    plain = {name: task for name, task in frame.tasks.items() if task.step is None}
    found: dict[str, Task | Step] = {**plain, **frame.steps}
    places = {step.id: place for place, step in enumerate(_written(frame.owner))}
    # The plan of a fallback has other names: those keep their order.
    names = sorted(found, key=lambda name: places.get(name, len(places)))
    return _entries(state, [found[name] for name in names], ways, items=items)


def _written(owner: Task | Step) -> tuple[plans.Step, ...]:
    """The steps that a plan worker or a `repeat` is written with."""
    if isinstance(owner, Step):
        return owner.spec.steps if isinstance(owner.spec, plans.RepeatStep) else ()
    plan = owner.worker.plan if isinstance(owner.worker, Worker) else None
    return () if plan is None else plan.steps


def _ms(entry: Task | Step) -> int | None:
    if entry.started_at is None or entry.ended_at is None:
        return None
    return entry.ended_at - entry.started_at


def _failure(state: RunState, failure: Failure) -> dict[str, Any]:
    place = _place(state, failure)
    raised = {"raised": failure.raised} if failure.raised else {}
    return {"mode": failure.mode, "message": failure.message, "place": place, **raised}


def _task(state: RunState, task: Task, ways: Ways, *, items: bool) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": task.id,
        "worker": task.worker.name,
        "status": task.status,
        "attempts": task.attempts,
        "input": task.input,
        "sources": ways.sources(task),
        "tainted": task.tainted,
        "ms": _ms(task),
    }
    if task.step is not None:
        record["label"] = task.label or None
    if task.failure is not None:
        record["failure"] = _failure(state, task.failure)
    elif task.status == "done":
        record["output"] = task.output
    if task.partial is not None:
        record["partial"] = task.partial
    if task.child is not None:
        record["rounds"] = history(state, task.child, ways, items=items)
    if task.plan is not None:
        record["plan"] = _inside(state, task.plan, ways, items=items)
    return record


#: How many outputs of an `each` are shown without its items.
_SHOWN_OUTPUTS = 5


def _step(state: RunState, step: Step, ways: Ways, *, items: bool) -> dict[str, Any]:
    found = summary_of(step)
    record: dict[str, Any] = {
        "id": step.id,
        "kind": found.kind,
        "worker": None if step.worker is None else step.worker.name,
        "status": step.status,
        "counts": counts_record(step),
        "failures": [failure_record(one) for one in found.failures],
        "numbers": {name: _numbers(one) for name, one in found.numbers.items()},
        "literals": {name: dict(counted) for name, counted in found.literals.items()},
        "ms": _ms(step),
    }
    if step.failure is not None:
        record["failure"] = _failure(state, step.failure)
    if found.kind == "each":
        done = (task.output for _, task in sorted(step.items.items()) if task.status == "done")
        record["first_outputs"] = list(islice(done, _SHOWN_OUTPUTS))
    elif step.status == "done":
        record["output"] = step.output
    if found.kind == "repeat":
        record["passes"] = [_inside(state, frame, ways, items=items) for frame in step.passes]
    elif items:
        record["items"] = [
            _task(state, task, ways, items=True) for _, task in sorted(step.items.items())
        ]
    return record


def _numbers(numbers: Numbers) -> dict[str, Any]:
    return {"least": numbers.least, "mean": numbers.mean, "most": numbers.most}


def one_line(value: Any, width: int) -> str:
    """A value as one line of JSON, cut to `width` characters, for people."""
    text = preview(value, width * 4)[0].replace("<\\/", "</")
    return text if len(text) <= width else text[: width - 3] + "..."
