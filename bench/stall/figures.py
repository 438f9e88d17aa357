"""Shares of alarms before and after the labelled step: curves, areas, intervals, chance.

A *signal* is a list of `Point`: the score of each round of each run. An alarm is a score over the
threshold. Before the labelled step it is counted as false, from it on as true. Two kinds of chance
are computed, not drawn: alarms at the same rate in all rounds, which are as frequent before the
step as after it; and alarms at the same rate in each round number, which know nothing but how long
a run has lasted.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

DRAWS = 1_000


class Point(NamedTuple):
    run: str
    number: int
    late: bool
    score: float


class Shares(NamedTuple):
    """Alarms before and after the step, and of all rounds, each as a share of the rounds there."""

    before: float
    after: float
    rate: float


def shares(points: Sequence[Point], alarm: Callable[[Point], bool]) -> Shares:
    return expected(points, lambda point: float(alarm(point)))


def expected(points: Sequence[Point], chance: Callable[[Point], float]) -> Shares:
    early = [chance(point) for point in points if not point.late]
    late = [chance(point) for point in points if point.late]
    rate = (sum(early) + sum(late)) / len(points)
    return Shares(mean(early), mean(late), rate)


def timed(points: Sequence[Point], alarm: Callable[[Point], bool]) -> Shares:
    """What alarms come to that are as frequent in each round number, in whichever runs."""
    by_number: dict[int, list[float]] = defaultdict(list)
    for point in points:
        by_number[point.number].append(float(alarm(point)))
    return expected(points, lambda point: mean(by_number[point.number]))


def threshold_for(points: Sequence[Point], before: float) -> float:
    """The lowest threshold with at most this share of alarms before the step."""
    early = sorted((point.score for point in points if not point.late), reverse=True)
    allowed = int(before * len(early))
    return early[allowed] if allowed < len(early) else -1.0


def at(points: Sequence[Point], before: float) -> Shares:
    """The shares at the lowest threshold with at most this share of alarms before the step."""
    threshold = threshold_for(points, before)
    return shares(points, lambda point: point.score > threshold)


def area(points: Sequence[Point]) -> float:
    """How likely a round after the step scores higher than one before it (ties count half)."""
    early = sorted(point.score for point in points if not point.late)
    late = [point.score for point in points if point.late]
    if not early or not late:
        return 0.5
    lower = sum(bisect_left(early, score) + bisect_right(early, score) for score in late)
    return lower / (2 * len(early) * len(late))


def area_at_same_number(points: Sequence[Point]) -> float:
    """The same, comparing only rounds of different runs whose numbers differ by at most one."""
    early = [point for point in points if not point.late]
    won = compared = 0.0
    for late in (point for point in points if point.late):
        for point in early:
            if point.run != late.run and abs(point.number - late.number) <= 1:
                compared += 1
                won += (late.score > point.score) + (late.score == point.score) / 2
    return won / compared if compared else 0.5


def interval(
    points: Sequence[Point], value: Callable[[Sequence[Point]], float]
) -> tuple[float, float]:
    """The 95 % interval of a value, by drawing whole runs again."""
    runs: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        runs[point.run].append(point)
    names = sorted(runs)
    draw = random.Random(1)
    values = []
    for _ in range(DRAWS):
        drawn = [point for _ in names for point in runs[draw.choice(names)]]
        if {point.late for point in drawn} == {True, False}:
            values.append(value(drawn))
    values.sort()
    return values[int(0.025 * len(values))], values[int(0.975 * len(values))]


def in_a_row(points: Sequence[Point], threshold: float, after: int) -> list[Point]:
    """The points as alarms (1 or 0), if so many rounds in a row must be over the threshold."""
    alarms = []
    run, row = "", 0
    for point in points:
        row = row + 1 if point.score > threshold and (point.run == run or not row) else 0
        if point.run != run:
            run, row = point.run, int(point.score > threshold)
        alarms.append(point._replace(score=float(row >= after)))
    return alarms


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
