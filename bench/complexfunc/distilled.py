"""Goals as plans: what is distilled from a played goal, on the same record and on another goal.

    python -m bench.complexfunc.distilled [--goals N]

A goal is played one call a round, with every argument written out as a literal: the planner that
says least about what comes from where. The run is distilled, and the plan is run with workers that
answer from the record. Then it is run for another goal with the same calls and the same references,
with that goal's literals as inputs and that goal's record.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import engine
from bench.complexfunc import data, program
from bench.complexfunc.__main__ import MOST_CALLS, WORK
from bench.complexfunc.data import Api, Goal, pointer_of, reference_of, resolved
from bench.complexfunc.program import worker_name
from bench.complexfunc.replay import RECORD, Player, Record
from engine.errors import OrchError
from engine.history.distill import Distilled, distill_run
from engine.journal import MemoryJournal
from engine.sema.plans.steps import EachStep, TaskStep
from engine.sema.plans.values import FromInput, Leaf

AGAIN = """
orchestrator again() -> json {
  model = record  goal = "Repeat."  workers = [planned]
  policy { max_rounds = 2  context { preview = 512B } }
}
"""


class NotSaid(Exception):
    """The second goal does not say what an input of the plan is; the message says which."""


class Script(Player):
    """A model that gives the decisions it is made with."""

    def __init__(self, goal: Goal, record: Record, decisions: list[dict[str, Any]]) -> None:
        super().__init__(goal, "rounds", record)
        self._decisions = decisions


def shape_of(goal: Goal) -> str:
    """What two goals have in common if one plan can serve both."""
    responses = {call.label: call.response for call in goal.output}
    calls = []
    for call in goal.output:
        arguments = {}
        for name, value in sorted(call.arguments.items()):
            found = reference_of(value)
            where = found and [found.label, pointer_of(found, responses[found.label])]
            arguments[name] = where
        calls.append([call.name, call.label, arguments])
    return json.dumps(calls)


async def run_with(
    workflow: engine.Workflow,
    goal: Goal,
    decisions: list[dict[str, Any]],
    name: str,
    input: dict[str, Any],
) -> tuple[Any, Record, MemoryJournal]:
    record, journal = Record(goal), MemoryJournal()
    token = RECORD.set(record)
    try:
        run = await workflow.arun(
            name, models={"record": Script(goal, record, decisions)}, journal=journal, **input
        )
    finally:
        RECORD.reset(token)
    return run, record, journal


async def distilled(path: Path, goal: Goal) -> Distilled:
    """Play a goal with every argument written out, and distill the run."""
    workflow = engine.load(path, params={"rounds": MOST_CALLS + 1, "width": 1})
    tasks = [
        {"id": call.label, "worker": worker_name(call.name), "input": resolved(goal, call)}
        for call in goal.output
    ]
    decisions: list[dict[str, Any]] = [{"assessment": "", "tasks": [task]} for task in tasks]
    decisions.append({"assessment": "", "finish": {"calls": len(tasks)}})
    run, _, journal = await run_with(workflow, goal, decisions, "travel", {"request": goal.input})
    if run.status != "finished":
        raise NotSaid(f"the goal itself ended as {run.status}")
    return distill_run(journal, run.id, name="planned")


def inputs_for(workflow: engine.Workflow, goal: Goal) -> dict[str, Any]:
    """The inputs of the plan for a goal, from the literals at the places that they came from."""
    plan = workflow.program.workers["planned"].plan
    assert plan is not None
    calls = {call.label: resolved(goal, call) for call in goal.output}
    given: dict[str, Any] = {"request": goal.input}
    for step in plan.steps:
        if isinstance(step, EachStep):
            raise NotSaid("several calls are one step with a list")
        assert isinstance(step, TaskStep)
        _note(given, step.input, calls[step.id])
    wanted = workflow.program.workers["planned"].inputs.schema["properties"]
    return {name: value for name, value in given.items() if name in wanted}


def _note(given: dict[str, Any], tree: Any, value: Any) -> None:
    """Note what inputs of the plan are where its tree says them and the value has them."""
    if isinstance(tree, FromInput):
        if given.setdefault(tree.at[1:], value) != value:
            raise NotSaid("one value of the first goal is two values in the second")
    elif isinstance(tree, dict) and isinstance(value, dict):
        for key, inner in tree.items():
            _note(given, inner, value.get(key))
    elif isinstance(tree, list) and isinstance(value, list) and len(tree) == len(value):
        for inner, part in zip(tree, value, strict=True):
            _note(given, inner, part)
    elif not isinstance(tree, Leaf) and tree != value:
        raise NotSaid(f"{tree!r}, which stayed a literal, is {value!r} in the second")


async def again(path: Path, goal: Goal, *, own: bool) -> str:
    """Run a plan on a goal's record; "" if every recorded call was made, and no other.

    Args:
        own: Whether it is the goal that the plan was made from, so that the defaults hold.
    """
    workflow = engine.load(path, params={"rounds": 2, "width": 1})
    wanted = workflow.program.workers["planned"].inputs.schema["properties"]
    if own:
        input = {"request": goal.input} if "request" in wanted else {}
    else:
        input = inputs_for(workflow, goal)
    decisions: list[dict[str, Any]] = [
        {"assessment": "", "tasks": [{"id": "t", "worker": "planned", "input": input}]},
        {"assessment": "", "finish": 1},
    ]
    run, record, _ = await run_with(workflow, goal, decisions, "again", {})
    task = run.report()["history"][0]["tasks"][0]
    if task["status"] != "done":
        return f"{task['failure']['mode']}: {task['failure']['message']}"[:160]
    if record.left:
        return f"{record.left} recorded calls were not made"
    answers = {json.dumps(call.response, sort_keys=True) for call in goal.output}
    output = task["output"]
    parts = [output] if json.dumps(output, sort_keys=True) in answers else output.values()
    told = all(json.dumps(part, sort_keys=True) in answers for part in parts)
    return "" if told else "the output is not what was recorded"


def write_program(apis: list[Api], goals: list[Goal], goal: Goal) -> Path:
    """The program of one goal's APIs."""
    named = {call.name for call in goal.output}
    folder = WORK / "distilled"
    own = [api for api in apis if api.name in named]
    shaped = [Goal(one.input, [c for c in one.output if c.name in named]) for one in goals]
    path = program.write(folder, own, shaped)
    # A module is imported once, so it has the functions of all goals.
    (folder / "recorded.py").write_text(program.functions(apis))
    return path


def findings(path: Path, plan: str) -> str:
    """What the linter finds in the plan."""
    begin = path.read_text().index(plan)
    own = range(begin, begin + len(plan))
    return " ".join(sorted({one.code for one in engine.lint(path) if one.span.start in own}))


async def measure(apis: list[Api], goals: list[Goal], chosen: Iterable[int]) -> Counter[str]:
    shapes: dict[str, list[int]] = defaultdict(list)
    for number, goal in enumerate(goals):
        shapes[shape_of(goal)].append(number)
    told: Counter[str] = Counter()
    for number in chosen:
        goal = goals[number]
        try:
            path = write_program(apis, goals, goal)
            found = await distilled(path, goal)
        except (NotSaid, OrchError) as problem:
            told[f"not distilled: {str(problem)[:140]}"] += 1
            continue
        told["distilled"] += 1
        path.write_text(f"{path.read_text()}\n{found.text}{AGAIN}")
        told[f"lint: {findings(path, found.text) or 'clean'}"] += 1
        said = await again(path, goal, own=True)
        if said:
            print(f"goal {number}: {said}", flush=True)
        told[f"same goal: {said or 'equal'}"] += 1
        others = [other for other in shapes[shape_of(goal)] if other != number]
        if not others:
            told["second goal: none of the same shape"] += 1
            continue
        try:
            said = await again(path, goals[others[0]], own=False)
        except (NotSaid, OrchError) as problem:
            said = str(problem)[:140]
        told[f"second goal: {said or 'equal'}"] += 1
        if said:
            print(f"goals {number} and {others[0]}: {said}", flush=True)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.complexfunc.distilled")
    parser.add_argument("--goals", type=int, default=1000, help="only so many, evenly chosen")
    arguments = parser.parse_args()
    goals, apis = data.read(data.fetch(WORK))
    every = max(1, len(goals) // arguments.goals)
    told = asyncio.run(measure(apis, goals, range(0, len(goals), every)))
    for what, number in sorted(told.items(), key=lambda pair: (-pair[1], pair[0])):
        print(f"{number:5} {what}")


if __name__ == "__main__":
    main()
