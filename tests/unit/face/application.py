"""An application that uses every part of the public face; mypy checks it and a test runs it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import assert_never

import orch
from orch.events import CallFinished, RunStarted, Usage


def plan(state: orch.PolicyState) -> dict[str, object]:
    """Shout once, fail once, and finish."""
    if state.round == 1:
        texts = {"a": "hello", "b": ""}
        tasks = [{"id": id, "worker": "upper", "input": {"text": t}} for id, t in texts.items()]
        return {"tasks": tasks}
    return {"finish": "HELLO"}


ASKING: list[object] = [
    {"tasks": [{"id": "p", "worker": "pay", "input": {"text": "ann"}}]},
    {"finish": "ANN"},
]


def told(run: orch.Run) -> str:
    """What a person wants to know of a run."""
    usage: orch.Usage = run.usage
    cost: int | None = usage.cost_micro_usd
    lines = [f"{run.id}: {run.status} after {run.rounds} rounds, {usage.input_tokens} in"]
    lines += [f"unpriced: {cost is None}, {usage.output_tokens} out, {usage.cached_tokens} cached"]
    for failure in run.failures:
        lines.append(f"{failure.task} of {failure.worker}: {failure.mode}, {failure.message}")
    for gate in run.gates:
        lines.append(f"{gate.key}: {gate.message} {', '.join(gate.options)} {gate.timeout_ms}")
    for task in run.tasks:
        ms: int = task.duration_ms or 0
        lines.append(f"{task.id} {task.status} {task.attempts} {ms >= 0} {task.failure}")
    return "\n".join([*lines, *run.warnings])


async def follow(workflow: orch.Workflow, folder: Path) -> orch.Run:
    """Show the events of a run as they come."""
    ended: orch.Run | None = None
    async for item in workflow.stream(text="hello", models={"planner": plan}, journal=folder):
        match item:
            case orch.Run():
                ended = item
            case RunStarted(run=run):
                print(run)
            case CallFinished(key=key, usage=Usage(cost_micro_usd=cost)):
                print(key, cost)
            case _:
                print(type(item).__name__, item.at)
    assert ended is not None
    return ended


async def drive(workflow: orch.Workflow, folder: Path) -> list[orch.Run]:
    """Start a run, answer its gate, cancel another."""
    models = {"planner": orch.Scripted(ASKING)}
    handle: orch.RunHandle = await workflow.start(text="ann", models=models, journal=folder)
    kinds = [type(event).__name__ async for event in handle.events()]
    assert kinds[0] == "RunStarted"
    waiting = await handle.result()
    gate: orch.Gate
    (gate,) = orch.gates(folder, run=handle.id)
    reply = orch.Reply("approve", gate=gate.key)
    models = {"planner": orch.Scripted(ASKING)}
    again = await orch.start_resume(handle.id, journal=folder, reply=reply, models=models)
    paid = await again.result()

    models = {"planner": orch.Scripted(ASKING)}
    other = await workflow.start(text="bob", models=models, journal=folder)
    await other.result()
    stopped = await other.cancel(reason="not today")
    return [waiting, paid, stopped]


def look(folder: Path) -> str:
    """What a journal tells."""
    infos: list[orch.RunInfo] = orch.runs(folder, status="finished", limit=None)
    replay: orch.Replay = orch.replay(infos[0].id, journal=folder)
    divergence: orch.Divergence | None = replay.divergence
    changes: tuple[orch.Change, ...] = replay.changes
    return f"{len(infos)} {infos[0].started_ms > 0} {replay.events} {divergence} {changes}"


def end(run: orch.RunInfo, folder: Path) -> str:
    """End a run that has not ended."""
    match run.status:
        case "running" | "waiting" | "interrupted":
            return orch.cancel(run.id, journal=folder, reason="over").status
        case "finished" | "failed" | "exhausted" | "aborted" | "cancelled":
            return orch.resume(run.id, journal=folder).status
        case _:
            assert_never(run.status)


def main(program: Path, folder: Path) -> list[orch.Run]:
    """Use all of it."""
    workflow = orch.load(program)
    try:
        workflow.run(txt="hello")
    except orch.InputError as error:
        print(error.problems)
    runs = [workflow.run(text="hello", models={"planner": plan}, journal=folder)]
    runs.append(asyncio.run(follow(workflow, folder)))
    runs += asyncio.run(drive(workflow, folder))
    for run in runs:
        print(told(run))
    print(look(folder))
    return runs
