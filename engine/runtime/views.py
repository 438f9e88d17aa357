"""The state of a loop as plain data: for `python/` policies, verifiers and reports.

Everything here is built on demand from the state and holds no secrets and no orchestrator's
reasoning (`assessment`) where a verifier looks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from engine.runtime import clearance, shown, taint
from engine.runtime.ports import PolicyState
from engine.runtime.prompts import denials
from engine.runtime.sources import record_of, sources
from engine.runtime.state import Loop, Round, RunState, Step, Task
from engine.runtime.steps.most import with_kind_and_most
from engine.runtime.steps.summary import FailureKind, counts_of, failures_of, kind
from engine.runtime.tainted_result import tainted_parts
from engine.runtime.task_paths import path_in_loop
from engine.sema.model import Worker
from engine.sema.types.schema_facts import field_names, subschema_at

__all__ = [
    "About",
    "counts_record",
    "failure_record",
    "hook_offers",
    "left",
    "plan_of",
    "policy_state",
    "step_record",
    "task_record",
]


#: An input that takes more with what it refers to is shown as the decision wrote it, in bytes.
SHOWN_INPUT = 64 * 1024


def task_record(task: Task) -> dict[str, Any]:
    """A task as data: worker, input, status and output or failure.

    A large input that refers to outputs is shown with its references: what they lead to is in
    the records of other tasks, and all of them together may take more than the run keeps.
    """
    large = (task.input_bytes or 0) > SHOWN_INPUT and not task.edits
    record: dict[str, Any] = {
        "worker": task.worker.name,
        "input": task.input if large else task.resolved,
        "round": task.round,
        "status": task.status,
    }
    if task.failure is not None:
        record["failure"] = {"mode": task.failure.mode, "message": task.failure.message}
        if task.partial is not None:
            record["partial"] = task.partial
    elif task.status == "done":
        record["output"] = task.output
    return record


def step_record(step: Step) -> dict[str, Any]:
    """A step as data: how far it has come, its failures by kind, its output.

    The records of its items are among the tasks.
    """
    record: dict[str, Any] = {
        "kind": kind(step),
        "worker": None if step.worker is None else step.worker.name,
        "round": step.round,
        "status": step.status,
        "counts": counts_record(step),
        "failures": [failure_record(one) for one in failures_of(step)],
    }
    if step.failure is not None:
        record["failure"] = {"mode": step.failure.mode, "message": step.failure.message}
        if step.partial is not None:
            record["partial"] = step.partial
    elif step.status == "done":
        record["output"] = step.output
    return record


def counts_record(step: Step) -> dict[str, Any]:
    """How many of a step's items have ended in which way; see `summary.Counts`."""
    counts = counts_of(step)
    return {
        "total": counts.total,
        "known": counts.known,
        "done": counts.done,
        "failed": counts.failed,
        "not_started": counts.dropped,
        "skipped": counts.skipped,
        "running": counts.running,
        "waiting": counts.waiting,
    }


def failure_record(one: FailureKind) -> dict[str, Any]:
    """The failures of one mode: how many, and the first."""
    return {
        "mode": one.mode,
        "count": one.count,
        "first": one.first,
        "label": one.label or None,
        "message": one.message,
    }


def left(state: RunState, loop: Loop) -> dict[str, int | None]:
    """The rest of each limit; None where unbounded."""
    policy = loop.orchestrator.policy
    time_ms = policy.budget.time_ms
    return {
        "rounds": policy.max_rounds - loop.round + 1,
        "dispatches": (
            None if policy.max_dispatches is None else policy.max_dispatches - loop.dispatches
        ),
        "cost_usd": loop.ledger.left_usd(),
        "tokens": loop.ledger.left_tokens(),
        "time_ms": None if time_ms is None else max(0, time_ms - (state.now - loop.started_at)),
    }


def policy_state(state: RunState, loop: Loop) -> PolicyState:
    """What a `python/` planner sees.

    As a prompt does, it shows the rounds that are over: what tasks of this one have given is
    nothing that the planner has read, however early they started, and taint goes by that.
    """
    known = [task for task in loop.tasks.values() if task.round < loop.round]
    workers = {}
    for name, worker in loop.decisions.workers.items():
        limit = loop.orchestrator.limits.get(name)
        cap = limit.max_dispatches if limit is not None else None
        workers[name] = {
            "input": worker.inputs.schema,
            "output": worker.output.schema,
            "fails": list(worker.fails),
            "doc": worker.doc,
            "left": None if cap is None else cap - loop.worker_dispatches.get(name, 0),
        }
        if isinstance(worker, Worker) and worker.sources:
            workers[name]["from"] = [denials.must_be_from(rule) for rule in worker.sources]
    steps = loop.orchestrator.policy.max_items is not None
    hides = shown.hides(loop)
    return PolicyState(
        kind="orchestrator",
        name=loop.orchestrator.name,
        goal=loop.goal,
        input=loop.input,
        output_schema=loop.orchestrator.output.schema,
        round=loop.round,
        workers=workers,
        rounds=[
            {
                "round": r.number,
                "decision": r.decision,
                "tasks": [t.id for t in r.tasks],
                **({"steps": [step.id for step in r.steps]} if steps else {}),
                "feedback": [remark.for_planner for remark in r.feedback],
            }
            for r in loop.rounds[:-1]
        ],
        tasks={t.id: _task_shown(t) if hides else task_record(t) for t in known},
        steps={
            step.id: _step_shown(step) if hides else step_record(step)
            for step in loop.steps.values()
            if step.round < loop.round
        },
        outputs=_outputs_shown(known) if hides else _outputs(loop, known),
        feedback=[remark.for_planner for remark in loop.feedback],
        left=left(state, loop),
        notes=[note.text for r in loop.rounds for note in r.notes],
    )


def _outputs(loop: Loop, known: list[Task]) -> dict[str, list[Any]]:
    """By worker: what its tasks have given, of those that are known."""
    if len(known) == len(loop.tasks):
        return {name: [task.output for task in done] for name, done in loop.done.items()}
    outputs: dict[str, list[Any]] = {}
    for task in known:
        if task.status == "done":
            outputs.setdefault(task.worker.name, []).append(task.output)
    return outputs


def _task_shown(task: Task) -> dict[str, Any]:
    """A task as data, with what its planner sees of it."""
    record = task_record(task)
    if shown.reads_hidden(task):
        record["input"] = shown.input_shown(task)
    return _as_shown(task, record)


def _step_shown(step: Step) -> dict[str, Any]:
    """A step as data, with what its planner sees of it."""
    record = step_record(step)
    labels, why = shown.label_shown(step), shown.why_shown(step)
    record["failures"] = [
        {
            **one,
            "label": one["label"] if labels else None,
            "message": one["message"] if why else "",
        }
        for one in record["failures"]
    ]
    return _as_shown(step, record)


def _as_shown(entry: Task | Step, record: dict[str, Any]) -> dict[str, Any]:
    if "failure" in record and not shown.why_shown(entry):
        record["failure"] = {"mode": record["failure"]["mode"], "message": ""}
        record.pop("partial", None)
    if not shown.in_words(entry):
        record["shown"] = shown.show_of(entry)
        if "output" in record:
            record["output"] = shown.given_shown(entry)
    return record


def _outputs_shown(known: list[Task]) -> dict[str, list[Any]]:
    """As `_outputs`, with what a planner sees of each."""
    outputs: dict[str, list[Any]] = {}
    for task in known:
        if task.status == "done":
            value = task.output if shown.in_words(task) else shown.given_shown(task)
            outputs.setdefault(task.worker.name, []).append(value)
    return outputs


def plan_of(decision: Mapping[str, Any] | None) -> dict[str, Any]:
    """A decision without the orchestrator's own reasoning."""
    if decision is None:
        return {}
    return {key: value for key, value in decision.items() if key != "assessment"}


def _plan_for_hooks(loop: Loop, r: Round) -> dict[str, Any]:
    """A decision as hooks see it: where there may be steps, entries have `kind` and `most`."""
    plan = plan_of(r.decision)
    if loop.orchestrator.policy.max_items is not None and "tasks" in plan:
        plan["tasks"] = with_kind_and_most(loop, plan["tasks"], r.number)
    return plan


def _rounds(loop: Loop) -> list[dict[str, Any]]:
    if loop.orchestrator.policy.max_items is None:
        return [_round_view(loop, r) for r in loop.rounds]
    items: dict[int, list[Task]] = {}
    for task in loop.tasks.values():
        if task.step is not None:
            items.setdefault(task.round, []).append(task)
    return [
        {
            **_round_view(loop, r, items.get(r.number, ())),
            "steps": {step.id: step_record(step) for step in r.steps},
        }
        for r in loop.rounds
    ]


def _round_view(loop: Loop, r: Round, items: Sequence[Task] = ()) -> dict[str, Any]:
    return {
        "round": r.number,
        "plan": _plan_for_hooks(loop, r),
        "tasks": {task.id: task_record(task) for task in (*r.tasks, *items)},
    }


def _log(loop: Loop) -> list[dict[str, Any]]:
    """Each task that was started, in order; those inside plan workers come last."""
    return [
        {
            "key": loop.shown(task.key),
            "task": path_in_loop(task),
            "worker": task.worker.name,
            "attempts": task.attempts,
            **{k: v for k, v in task_record(task).items() if k in ("status", "failure", "output")},
        }
        for task in loop.every_task()
        if task.attempts
    ]


def hook_offers(
    state: RunState,
    loop: Loop,
    task: Task | None = None,
    result: Any = None,
    has_result: bool = False,
) -> dict[str, Callable[[], Any]]:
    """What a hook offers to its verifiers, by name; computed only when a verifier binds it.

    For dispatch hooks the worker's own inputs come first in the map and are then covered by the
    hook's own names; `input` always reaches them. `tainted` says of a task that has not started
    whether the machine would deny it as it is, of one that is done whether its output holds
    strangers' words, and of a result whether that does.
    """
    offers: dict[str, Callable[[], Any]] = {}
    if task is not None:
        resolved = task.resolved
        for name, value in resolved.items():
            offers[name] = lambda value=value: value  # type: ignore[misc]
        offers["input"] = lambda: resolved
        done = task.status == "verifying"
        offers["task"] = about = About(state, task, done)
        offers["tainted"] = about.tainted
        if done:
            offers["output"] = lambda: task.output
    offers["goal"] = lambda: loop.goal
    offers["plan"] = lambda: _plan_for_hooks(loop, loop.current)
    offers["rounds"] = lambda: _rounds(loop)
    offers["outputs"] = loop.last_outputs
    offers["tasks"] = lambda: {t.id: task_record(t) for t in loop.tasks.values()}
    offers["log"] = lambda: _log(loop)
    if has_result:
        offers["result"] = lambda: result
        offers["tainted"] = lambda: bool(tainted_parts(state, loop))
    return offers


class About:
    """What a dispatch hook says of its task besides input and output, each field when it is asked
    for: a verifier need not take all of them, and the sources cost the most."""

    __slots__ = ("_done", "_state", "_task")

    def __init__(self, state: RunState, task: Task, done: bool) -> None:
        self._state = state
        self._task = task
        self._done = done

    def __call__(self) -> dict[str, Any]:
        """All of it."""
        return {name: field(self) for name, field in _ABOUT.items()}

    def some(self, names: Collection[str]) -> dict[str, Any]:
        """These of its fields."""
        return {name: field(self) for name, field in _ABOUT.items() if name in names}

    def as_taken(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """As much of it as an input of a verifier takes.

        Args:
            schema: Of all inputs of the verifier; `task` is one of them.
        """
        place = subschema_at(schema, "/task")
        names = set(field_names(place)) if isinstance(place, dict) else set()
        return self.some(names) if names else self()

    def tainted(self) -> bool:
        """What a hook offers as `tainted`; see `hook_offers`."""
        if self._done:
            return taint.gives_taint(self._state, self._task)
        return clearance.is_denied(self._state, self._task)

    def sources(self) -> list[dict[str, Any]]:
        """The sources of the task's input."""
        return [record_of(source) for source in sources(self._state, self._task)]


_ABOUT: dict[str, Callable[[About], Any]] = {
    "id": lambda about: about._task.id,
    "worker": lambda about: about._task.worker.name,
    "key": lambda about: about._task.loop.shown(about._task.key),
    "round": lambda about: about._task.round,
    "tainted": About.tainted,
    "unsourced": lambda about: list(clearance.unsourced(about._state, about._task)),
    "sources": About.sources,
}
