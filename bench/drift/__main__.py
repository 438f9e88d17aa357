"""`python -m bench.drift`: every condition with its seeds, beside the exact values.

With `--docs` the tables and the plot of docs/explanation/drift.md are written anew. Ends with 1 if
what was measured is further from an exact value than chance allows (four standard errors).
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
from dataclasses import replace
from pathlib import Path

from bench.drift.experiment import Condition, Result, matched, measure
from bench.drift.models import Habits, Place
from bench.plot import Bars, Lines, page
from bench.report import DOCS, put, table

WORK = Path(__file__).resolve().parents[1] / ".work" / "drift"
PLACES: tuple[Place, ...] = ("absent", "far", "newest")
SHOWN = {"absent": "nowhere", "far": "first block only", "newest": "every newest block"}
PLOTTED = {"absent": "nowhere", "far": "first block", "newest": "newest block"}
HEAD = ("completed", 'false "done"', "rounds to detection", "rounds", "$ per completed goal")


def cells(result: Result) -> list[str]:
    cost = result.cost_per_completed
    return [
        f"{result.completion:.3f}",
        f"{result.false_done / result.runs:.3f}",
        "-" if result.delay is None else f"{result.delay:.2f}",
        f"{result.rounds / result.runs:.1f}",
        "-" if cost is None else f"{cost:.4f}",
    ]


def trio(condition: Condition, seeds: range) -> dict[str, Result]:
    """Without a verifier, with one, and with random alarms at the rate of that one."""
    watched = measure(replace(condition, verifier="on_track"), seeds, WORK)
    chance = measure(matched(condition, watched.alarm_rate), seeds, WORK)
    bare = measure(replace(condition, verifier="none"), seeds, WORK)
    return {"none": bare, "random alarms": chance, "on_track": watched}


class Exact:
    """Measured values beside exact ones."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.wrong = 0

    def add(self, what: str, measured: float, exact: float, error: float) -> None:
        off = abs(measured - exact) / error if error else 0.0
        self.wrong += off > 4
        self.rows.append([what, f"{measured:.3f}", f"{exact:.3f}", f"{off:.1f}"])


def completion_alone(exact: Exact, seeds: range) -> None:
    for leave in (0.05, 0.10, 0.20):
        for steps in (4, 8):
            habits = Habits(steps=steps, far=leave)
            result = measure(Condition(place="far", habits=habits), seeds, WORK)
            value = (1 - leave) ** steps
            error = math.sqrt(value * (1 - value) / result.runs)
            what = f"completion alone, p = {leave:.2f}, K = {steps}"
            exact.add(what, result.completion, value, error)


def computed_completion(leave: float, hit: float, false_alarm: float) -> float:
    """The exact share of completed goals, by following every way through the rounds at once."""
    condition = Condition()
    steps = condition.habits.steps
    completed = 0.0
    # (on the way?, steps it counts, steps toward the goal, alarm in the newest block?)
    ways = {(True, 0, 0, False): 1.0}
    for _ in range(condition.rounds):
        after: dict[tuple[bool, int, int, bool], float] = {}
        for (toward, step, reached, alarm), weight in ways.items():
            if alarm:
                toward, step = True, max(0, step - 1) if toward else reached
            if step >= steps:
                completed += weight if toward else 0.0
                continue
            choices = [(True, 1 - leave), (False, leave)] if toward else [(False, 1.0)]
            for stays, chance in choices:
                far = max(reached, step + 1) if stays else reached
                raised = false_alarm if stays else hit
                for says, share in ((True, raised), (False, 1 - raised)):
                    way = (stays, step + 1, far, says)
                    after[way] = after.get(way, 0.0) + weight * chance * share
        ways = after
    return completed


def completion_with(exact: Exact, place: Place, name: str, result: Result) -> None:
    """Compare a condition of the ablation with its exact value."""
    condition = result.condition
    hit, false_alarm = {
        "none": (0.0, 0.0),
        "random alarms": (condition.alarm_rate, condition.alarm_rate),
        "on_track": (condition.hit, condition.false_alarm),
    }[name]
    value = computed_completion(condition.habits.leave(place), hit, false_alarm)
    error = math.sqrt(value * (1 - value) / result.runs)
    what = f"completion, goal in {SHOWN[place]}, {name if name != 'none' else 'no verifier'}"
    exact.add(what, result.completion, value, error)


def delays(exact: Exact, seeds: range) -> tuple[list[int], list[float], list[float]]:
    """Rounds to detection by the check's period, where the planner leaves at a random round."""
    periods = [1, 2, 3, 4, 6]
    measured, computed = [], []
    hit = 0.80
    for every in periods:
        found: list[int] = []
        onsets = random.Random(every)
        by_onset: dict[int, list[int]] = {}
        for seed in seeds:
            by_onset.setdefault(onsets.randrange(1, 2 * every + 1), []).append(seed)
        for onset, chosen in by_onset.items():
            condition = Condition(
                verifier="on_track",
                every=every,
                on_fail="warn",
                rounds=onset + 8 * every,
                hit=hit,
                habits=Habits(steps=1_000, onset=onset),
            )
            found += measure(condition, chosen, WORK).delays
        value = every / hit - (every - 1) / 2
        error = statistics.stdev(found) / math.sqrt(len(found))
        exact.add(f"rounds to detection, v = {every}", statistics.mean(found), value, error)
        measured.append(statistics.mean(found))
        computed.append(value)
    return periods, measured, computed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.drift", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--docs", action="store_true", help="write the tables and plot anew")
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)

    exact = Exact()
    completion_alone(exact, seeds)
    periods, measured, computed = delays(exact, range(max(20, arguments.seeds // 2)))
    pinned = {place: trio(Condition(place=place), seeds) for place in PLACES}
    for place in PLACES[1:]:
        for name, result in pinned[place].items():
            completion_with(exact, place, name, result)
    exact_table = table(("quantity", "measured", "exact", "standard errors apart"), exact.rows)
    print(exact_table, flush=True)

    rows = [
        [SHOWN[place], name, f"{result.alarm_rate:.3f}", *cells(result)]
        for place, results in pinned.items()
        for name, result in results.items()
    ]
    main_table = table(("goal is in", "verifier", "alarms a check", *HEAD), rows)
    print("\n" + main_table, flush=True)

    rows = []
    for every in (1, 2, 4):
        for name, result in trio(Condition(place="far", every=every), seeds).items():
            if name != "none":
                rows.append([every, name, f"{result.alarm_rate:.3f}", *cells(result)])
    period_table = table(("every", "verifier", "alarms a check", *HEAD), rows)
    print("\n" + period_table, flush=True)

    rows = []
    loops = Habits(loops=0.5)
    for stall in (False, True):
        for name, result in trio(Condition(stall=stall, habits=loops), seeds).items():
            rows.append(["on" if stall else "off", name, *cells(result)])
    stall_table = table(("stall detection", "verifier", *HEAD), rows)
    print("\n" + stall_table, flush=True)

    rows = []
    long = Habits(steps=24)
    for compaction in (False, True):
        for place in PLACES:
            condition = Condition(
                place=place, verifier="on_track", compaction=compaction, rounds=90, habits=long
            )
            result = measure(condition, range(max(20, arguments.seeds // 5)), WORK)
            shown = "on" if compaction else "off"
            rows.append([shown, SHOWN[place], result.largest, *cells(result)])
    head = ("compaction", "goal is in", "longest prompt, tokens", *HEAD)
    compaction_table = table(head, rows)
    print("\n" + compaction_table, flush=True)

    if arguments.docs:
        document = DOCS / "explanation" / "drift.md"
        put(document, "exact", exact_table)
        put(document, "ablation", main_table)
        put(document, "period", period_table)
        put(document, "stall", stall_table)
        put(document, "compaction", compaction_table)
        names = list(pinned["far"])
        bars = Bars(
            "Goals completed, in percent (K = 8, R = 30)",
            [f"goal: {PLOTTED[place]}" for place in PLACES],
            names,
            [[pinned[place][name].completion for name in names] for place in PLACES],
        )
        lines = Lines(
            "Rounds to detection (s = .80): measured, and v/s - (v-1)/2",
            "check period v, in rounds",
            periods,
            ["on_track"],
            [measured],
            [computed],
            colour=2,
        )
        (DOCS / "images" / "drift.svg").write_text(page([bars, lines]))
    raise SystemExit(1 if exact.wrong else 0)


if __name__ == "__main__":
    main()
