"""The schedules that the makespans of `make bench-plans` are compared with."""

from __future__ import annotations

import asyncio

from bench.plans import failures
from bench.plans.makespan import Story


def schedule(first: list[float], second: list[float], slots: int) -> Story:
    story = Story(slots, 1.0)
    story.first, story.second = first, second
    return story


def test_a_list_schedule_starts_what_is_ready() -> None:
    # The first slot reads 2, the other reads 1 and judges it before the third can begin.
    story = schedule([2.0, 1.0], [1.0, 1.0], 2)
    assert story.list_schedule_s() == 3.0
    assert story.list_schedule_s(barrier=True) == 3.0
    story = schedule([4.0, 1.0], [1.0, 4.0], 2)
    assert story.list_schedule_s() == story.least_s() == 5.0
    assert story.list_schedule_s(barrier=True) == 8.0


def test_no_schedule_is_shorter_than_the_least() -> None:
    for seed in range(20):
        for slots in (1, 7, 64, 200):
            story = Story(slots, 1.0, seed)
            least, found = story.least_s(), story.list_schedule_s()
            assert least <= found + 1e-9
            assert found <= least + max(story.first) + max(story.second)


def test_a_worker_that_fails_alike_is_called_once() -> None:
    steps = " max_items = 200"
    assert asyncio.run(failures._calls(steps, 0)) == 1
    assert asyncio.run(failures._calls(f"{steps}  breaker {{ canary = 3 }}", 0)) == 3
    assert asyncio.run(failures._calls("", 0)) == failures.ITEMS
