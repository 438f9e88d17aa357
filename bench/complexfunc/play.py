"""One goal through the engine, and what is checked of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import engine
from bench.complexfunc.data import Goal, reference_of, resolved
from bench.complexfunc.plans import plan_of
from bench.complexfunc.program import worker_name
from bench.complexfunc.replay import RECORD, Mode, Player, Record
from engine.events import CallFinished, CallStarted
from engine.journal import MemoryJournal
from engine.records import TaskReport


@dataclass
class Played:
    """What became of a goal.

    Attributes:
        faults: What differs from the record; empty if every reference was resolved, every
            output is the recorded one and the number of dispatches is right.
        reported: What the engine said is wrong with the calls themselves, by task.
        early: Tasks that started before the stream of their decision had ended.
        steps: How many of the decision's entries are steps.
        starts: How much of the decision had been written when each call was made, as a share.
    """

    faults: list[str] = field(default_factory=list)
    reported: dict[str, str] = field(default_factory=dict)
    calls: int = 0
    references: int = 0
    early: int = 0
    steps: int = 0
    starts: list[float] = field(default_factory=list)


async def play(workflow: engine.Workflow, goal: Goal, mode: Mode) -> Played:
    """Play a goal with the ground truth as decisions, and compare with the record."""
    record = Record(goal)
    player = Player(goal, mode, record)
    journal = MemoryJournal()
    token = RECORD.set(record)
    try:
        run = await workflow.arun(models={"record": player}, journal=journal, request=goal.input)
    finally:
        RECORD.reset(token)
    report = run.report(details=False)
    plan = plan_of(goal) if mode == "plans" else None
    labels = {} if plan is None else {task_id: label for label, task_id in plan.ids.items()}
    tasks = {labels.get(task.id, task.id): task for task in run.tasks}
    played = Played(steps=0 if plan is None else plan.steps)
    if player.problems:
        for problem in player.problems:
            label = problem.partition("`")[2].partition("`")[0]
            earlier = played.reported.get(label)
            played.reported[label] = f"{earlier}; {problem}" if earlier else problem
        return played
    for task_id, task in tasks.items():
        if task.failure is not None:
            played.reported[task_id] = f"{task.failure.mode}: {task.failure.message}"
    if played.reported:
        return played
    played.faults = list(_compare(goal, tasks, report, record))
    if not played.faults:
        played.calls = len(tasks)
        played.references = sum(
            reference_of(value) is not None
            for call in goal.output
            for value in call.arguments.values()
        )
    played.starts = record.starts
    events = journal.read(run.id)
    decided = "round 1 / decision 1"
    streamed = next(
        i for i, e in enumerate(events) if isinstance(e, CallFinished) and e.key == decided
    )
    played.early = sum(isinstance(e, CallStarted) and "/ task" in e.key for e in events[:streamed])
    return played


def _compare(
    goal: Goal, tasks: dict[str, TaskReport], report: dict[str, Any], record: Record
) -> list[str]:
    faults = []
    if report["status"] != "finished":
        faults.append(f"the run ended as {report['status']}: {report['reason']}")
    if report["dispatches"] != len(goal.output) or report["output"] != {"calls": len(goal.output)}:
        faults.append(f"{report['dispatches']} dispatches, {len(goal.output)} in the record")
    if record.left:
        faults.append(f"{record.left} recorded calls were never made")
    for call in goal.output:
        task = tasks.get(call.label)
        if task is None or task.worker != worker_name(call.name):
            faults.append(f"{call.label} is no task of {call.name}")
        elif _text(task.output) != _text(call.response):
            faults.append(f"{call.label} ({call.name}): the output is not the recorded one")
    return faults


def _text(value: Any) -> str:
    # As text, for Python holds 1, 1.0 and True for equal.
    return json.dumps(value, sort_keys=True)


def violations(goal: Goal, schemas: dict[str, Any]) -> dict[str, list[str]]:
    """What jsonschema, without the engine, finds in the calls' arguments: by label."""
    found = {}
    for call in goal.output:
        problems = [
            f"{'/'.join(map(str, error.path)) or 'arguments'}: {error.message}"
            for error in schemas[call.name].iter_errors(resolved(goal, call))
        ]
        if problems:
            found[call.label] = sorted(problems)
    return found
