"""`python -m bench.stall --data FOLDER`: what stall detection says about recorded runs.

The folder is `Who&When/Hand-Crafted` of https://github.com/mingyin1/Agents_Failure_Attribution
(commit 3d9d568; Zhang et al., "Which Agent Causes Task Failures and When?", arXiv:2505.00212). Only
files with even numbers were looked at when the detectors were made; `--parity odd` are the others.
With `--docs`, the tables and the plot of docs/explanation/drift.md are written anew.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.plot import Lines, page
from bench.report import DOCS, put, table
from bench.stall import figures
from bench.stall.figures import Point, Shares
from bench.stall.recorded import Parity, Run, load
from engine.runtime.stall.memory import Memory, read
from engine.runtime.stall.score import Weights, judge
from engine.sema.settings.table import default_of

#: The share of alarms before the labelled step at which signals are compared.
BEFORE = 0.06
LEVELS = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2)
SENSITIVITIES = (0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85)
GRID = [
    Weights(keeps=keeps, without_facts=least)
    for keeps in (0.7, 0.8, 0.9)
    for least in (0.2, 0.3, 0.4)
]

_WORD = re.compile(r"\w+")


def detected(runs: Sequence[Run], weights: Weights = Weights()) -> list[Point]:  # noqa: B008
    """The engine's own scores."""

    def scores(run: Run) -> list[float]:
        memory = Memory(run.goal)
        found = []
        for one in run.rounds:
            asked = {"instruction": one.instruction}
            entry = read(one.agent, asked, one.answer, failed=one.answer is None)
            found.append(judge(memory, [entry], weights=weights).score)
        return found

    return points(runs, scores)


def points(runs: Sequence[Run], scores: Callable[[Run], Sequence[float]]) -> list[Point]:
    return [
        Point(run.name, one.number, one.late, score)
        for run in runs
        for one, score in zip(run.rounds, scores(run), strict=True)
    ]


def near_repeats(run: Run) -> list[float]:
    """A check of near-repeats alone: the words of an instruction, and of those before it."""
    before: list[tuple[str, set[str]]] = []
    found = []
    for one in run.rounds:
        words = set(_WORD.findall(one.instruction.lower()))
        alike = [
            len(words & other) / len(words | other) for agent, other in before if agent == one.agent
        ]
        found.append(max(alike, default=0.0))
        before.append((one.agent, words))
    return found


def same_again(run: Run) -> list[float]:
    """Byte for byte the same answer as before, or none: what `sensitivity = 0` can see."""
    seen: set[str | None] = {None}
    found = []
    for one in run.rounds:
        found.append(float(one.answer in seen))
        seen.add(one.answer)
    return found


def row(name: str, signal: Sequence[Point], said: Shares) -> list[str]:
    area = figures.area(signal)
    low, high = figures.interval(signal, figures.area)
    after = figures.interval(signal, lambda drawn: figures.at(drawn, BEFORE).after)
    return [
        name,
        percent(said.before),
        f"{percent(said.after)} ({percent(after[0])} to {percent(after[1])})",
        *lifts(said),
        f"{area:.2f} ({low:.2f} to {high:.2f})",
        f"{figures.area_at_same_number(signal):.2f}",
    ]


def percent(share: float) -> str:
    return f"{share * 100:.1f}"


def compared(signals: dict[str, list[Point]]) -> str:
    head = (
        "signal",
        "% before",
        "% after (95 %)",
        "after / before",
        "lift over chance",
        "area (95 %)",
        "area at the same round number",
    )
    rows = [row(name, signal, figures.at(signal, BEFORE)) for name, signal in signals.items()]
    return table(head, rows)


def fixed(runs: Sequence[Run]) -> str:
    """Signals without a threshold: the same answer again, and the ledgers."""
    again = points(runs, same_again)
    rows = [_fixed("the same answer, byte for byte, or none", again)]
    known = [
        Point(run.name, place, late, float(alarm))
        for run in runs
        for place, (late, alarm) in enumerate(run.ledgers)
    ]
    rows.append(_fixed("the runs' own ledgers, written by a model", known))
    head = ("signal", "% before", "% after", "after / before", "lift over chance")
    return table(head, rows)


def _fixed(name: str, signal: Sequence[Point]) -> list[str]:
    said = figures.shares(signal, lambda point: point.score > 0)
    return [name, percent(said.before), percent(said.after), *lifts(said)]


def lifts(said: Shares) -> list[str]:
    """After the step against before it, and against alarms at the same rate by chance."""
    times = f"{said.after / said.before:.1f}" if said.before else "-"
    return [times, f"{said.after / said.rate:.2f}" if said.rate else "-"]


def settings(signal: Sequence[Point]) -> str:
    """What each sensitivity comes to, and what alarms at the same rate come to by chance."""
    rows = []
    for sensitivity in SENSITIVITIES:
        for after in (1, 2):
            alarms = figures.in_a_row(signal, 1 - sensitivity, after)
            said = figures.shares(alarms, lambda point: point.score > 0)
            timed = figures.timed(alarms, lambda point: point.score > 0)
            first = _first(alarms)
            rows.append(
                [
                    f"{sensitivity:g}",
                    after,
                    percent(said.before),
                    percent(said.after),
                    f"{percent(said.rate)} / {percent(said.rate)}",
                    f"{percent(timed.before)} / {percent(timed.after)}",
                    sum(not late for late in first),
                    sum(first),
                ]
            )
    head = (
        "sensitivity",
        "after",
        "% before",
        "% after",
        "chance",
        "chance, by round number",
        "runs: first alarm before",
        "runs: first alarm after",
    )
    return table(head, rows)


def _first(alarms: Sequence[Point]) -> list[bool]:
    """By run with an alarm: whether the first is after the labelled step."""
    found: dict[str, bool] = {}
    for point in alarms:
        if point.score:
            found.setdefault(point.run, point.late)
    return list(found.values())


def held_out(runs: Sequence[Run]) -> str:
    """Leave one run out: threshold and weights from the others, counted on the one."""
    signals = [detected(runs, weights) for weights in GRID]
    default = detected(runs)
    rows = [
        ["threshold", *_held_out(runs, [default])],
        [f"threshold and weights ({len(GRID)} sets)", *_held_out(runs, signals)],
    ]
    areas = [figures.area(signal) for signal in signals]
    afters = [figures.at(signal, BEFORE).after for signal in signals]
    low, high = percent(min(afters)), percent(max(afters))
    spread = (
        f"Over the {len(GRID)} sets of weights, the area is {min(areas):.2f} to {max(areas):.2f}.\n"
        f"With at most {percent(BEFORE)} % of alarms before the step, {low} to {high} % of "
        "the\nrounds after it have one."
    )
    return table(("chosen on the other runs", "% before", "% after"), rows) + "\n\n" + spread


def _held_out(runs: Sequence[Run], signals: Sequence[Sequence[Point]]) -> list[str]:
    alarms: list[Point] = []
    for run in runs:
        others = [[point for point in signal if point.run != run.name] for signal in signals]
        best = max(range(len(signals)), key=lambda place: figures.at(others[place], BEFORE).after)
        threshold = figures.threshold_for(others[best], BEFORE)
        alarms += [
            point._replace(score=float(point.score > threshold))
            for point in signals[best]
            if point.run == run.name
        ]
    said = figures.shares(alarms, lambda point: point.score > 0)
    return [percent(said.before), percent(said.after)]


def plot(signals: dict[str, list[Point]]) -> str:
    names = [*signals, "chance"]
    curves = [[figures.at(signal, level).after for level in LEVELS] for signal in signals.values()]
    return page(
        [
            Lines(
                title="Alarms after the labelled step, by alarms before it",
                across="share of the rounds before the step with an alarm, at most",
                xs=LEVELS,
                series=names,
                points=curves[:1],
                lines=[*curves, list(LEVELS)],
            )
        ],
        width=640,
        height=300,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.stall", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--parity", choices=("even", "odd", "all"), default="even")
    parser.add_argument("--docs", action="store_true", help="write docs/explanation/drift.md anew")
    options = parser.parse_args()
    parity: Parity = options.parity
    runs = load(options.data, parity)
    if not runs:
        parser.error(f"no recorded runs in {options.data}")
    signals = {
        "stall detection": detected(runs),
        "near-repeats alone": points(runs, near_repeats),
        "the round's number alone": points(runs, lambda run: [one.number for one in run.rounds]),
    }
    rounds = [one for run in runs for one in run.rounds]
    early = sum(not one.late for one in rounds)
    say = f"{len(runs)} runs, {len(rounds)} rounds, {early} of them before the labelled step."
    parts = {
        "recorded": compared(signals),
        "recorded-fixed": fixed(runs),
        "recorded-settings": settings(signals["stall detection"]),
        "recorded-held-out": held_out(runs),
    }
    default = default_of("stall", "sensitivity")
    print(f"{say} The default sensitivity is {default:g}.")
    for part in parts.values():
        print(f"\n{part}")
    if options.docs:
        for name, part in parts.items():
            put(DOCS / "explanation" / "drift.md", name, part)
        (DOCS / "images" / "stall.svg").write_text(plot(signals))


if __name__ == "__main__":
    main()
