"""One condition of the experiment: its `.orch` program, its runs, and what is measured of them."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import engine
from bench.drift.models import Habits, Judge, Place, Planner, WithoutGoal
from engine.runtime.ports import ChatModel

PROGRAM = """\
orch 1

model planner {{
  id      = "scripted/none.json"
  context = {context}
}}
model judge {{ id = "scripted/none.json" }}

worker work(topic: string, step: int) -> {{ topic: string, step: int, text: string }} via python {{
  call = "work:work"
}}

verifier on_track(plan: json) via llm {{
  model  = judge
  prompt = "The plan of this round: {{{{ plan | json }}}}"
}}

orchestrator report(topic: string) -> {{ topic: string, steps: int }} {{
  model   = planner
  goal    = "Write a report on {{{{ topic }}}} in eight steps."
  workers = [work]
  policy {{
    max_rounds = {rounds}
    {stall}
    context {{ keep_last = 3  preview = 200B  compact_at = {compact_at}% }}
  }}
  {verify}
}}
"""

#: The planner's context window where it is small: tokens, of which the engine counts one a byte
#: where no provider has counted any.
WINDOW = 16_000


@dataclass(frozen=True)
class Condition:
    """What is switched on.

    Attributes:
        place: Where the planner is shown the goal: `newest` is the engine as it is.
        verifier: None, one that looks at the plan, or alarms at random, as many of them.
        every: The check's period, in rounds.
        alarm_rate: Of random alarms.
        on_fail: What an alarm leads to.
    """

    place: Place = "newest"
    verifier: Literal["none", "random", "on_track"] = "none"
    every: int = 1
    stall: bool = False
    compaction: bool = False
    hit: float = 0.80
    false_alarm: float = 0.05
    alarm_rate: float = 0.0
    rounds: int = 30
    on_fail: Literal["revise", "warn"] = "revise"
    habits: Habits = field(default_factory=Habits)

    def program(self) -> str:
        verify = ""
        if self.verifier != "none":
            revisions = f"max_revisions = {self.rounds}" if self.on_fail == "revise" else ""
            verify = (
                f"verify {{ after_round {{ with = on_track  every = {self.every}  "
                f"on_fail = {self.on_fail}  {revisions} }} }}"
            )
        return PROGRAM.format(
            context=WINDOW if self.compaction else 1_000_000,
            rounds=self.rounds,
            stall="stall { after = 2  action = replan  max_replans = 30 }" if self.stall else "",
            compact_at=60,
            verify=verify,
        )


@dataclass
class Result:
    """What came out of the runs of one condition.

    Attributes:
        completed: Runs that finished with every step toward the goal done.
        false_done: Runs that finished without.
        delays: Rounds from the first one away from the goal to the first alarm in or after it,
            both counted, of the runs that had one.
        cost_usd: Micro-dollars of all runs together.
        calls: Of the verifier, `alarms` of them alarms.
        largest: Tokens of the longest prompt.
    """

    condition: Condition
    runs: int = 0
    completed: int = 0
    false_done: int = 0
    rounds: int = 0
    delays: list[int] = field(default_factory=list)
    cost_usd: int = 0
    calls: int = 0
    alarms: int = 0
    largest: int = 0

    @property
    def completion(self) -> float:
        return self.completed / self.runs

    @property
    def delay(self) -> float | None:
        return statistics.mean(self.delays) if self.delays else None

    @property
    def cost_per_completed(self) -> float | None:
        """Dollars."""
        return self.cost_usd / 1e6 / self.completed if self.completed else None

    @property
    def alarm_rate(self) -> float:
        return self.alarms / self.calls if self.calls else 0.0


def load(condition: Condition, folder: Path) -> engine.Workflow:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "work.py").write_text((Path(__file__).parent / "work.py").read_text())
    path = folder / "drift.orch"
    path.write_text(condition.program())
    return engine.load(path)


def measure(condition: Condition, seeds: Iterable[int], folder: Path) -> Result:
    return asyncio.run(_measure(condition, seeds, folder))


async def _measure(condition: Condition, seeds: Iterable[int], folder: Path) -> Result:
    workflow = load(condition, folder)
    result = Result(condition)
    for seed in seeds:
        await _one(workflow, condition, seed, result)
    return result


async def _one(workflow: engine.Workflow, condition: Condition, seed: int, result: Result) -> None:
    inner = Planner(condition.habits, seed)
    planner: ChatModel = inner
    if condition.place != "newest":
        planner = WithoutGoal(inner, condition.place)
    if condition.verifier == "random":
        judge = Judge(condition.alarm_rate, condition.alarm_rate, seed)
    else:
        judge = Judge(condition.hit, condition.false_alarm, seed)
    run = await workflow.arun(models={"planner": planner, "judge": judge}, topic="tides")
    history = run.report()["history"]
    done = {
        task["output"]["step"]
        for r in history
        for task in r["tasks"]
        if task["output"]["topic"] == "tides"
    }
    result.runs += 1
    result.rounds += run.rounds
    complete = done >= set(range(1, condition.habits.steps + 1))
    result.completed += run.status == "finished" and complete
    result.false_done += run.status == "finished" and not complete
    result.cost_usd += run.usage.cost_micro_usd or 0
    result.largest = max(result.largest, inner.largest)
    result.calls += judge.calls
    result.alarms += judge.alarms
    delay = _delay(history)
    if delay is not None:
        result.delays.append(delay)


def _delay(history: list[dict[str, Any]]) -> int | None:
    """Rounds from the first departure to the first alarm (a verdict, or a stall's word)."""
    away = None
    for r in history:
        if away is None and str(r["assessment"]).startswith(("elsewhere", "again")):
            away = r["round"]
        if away is None:
            continue
        if any(not verdict["ok"] for verdict in r["verdicts"]):
            return int(r["round"] - away + 1)
        if r["round"] > away and any("stalled" in words for words in r["feedback"]):
            return int(r["round"] - away)
    return None


def matched(condition: Condition, rate: float) -> Condition:
    """The same with random alarms at the rate that was measured."""
    return replace(condition, verifier="random", alarm_rate=rate)
