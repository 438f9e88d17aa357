"""The makespan bench: its arithmetic, and that every contender carries the whole plan out."""

from __future__ import annotations

import asyncio

import pytest

from bench.eager.contenders import eager, loop, withheld
from bench.eager.job import LENGTHS, Job, ideal_s, lengths


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("contender", [eager, withheld, loop])
def test_every_contender_carries_out_the_whole_plan(contender, linked: bool) -> None:
    job = Job(order=1, linked=linked, scale=0.001)
    asyncio.run(contender(job))
    assert len(job.spans) == len(LENGTHS)


@pytest.mark.parametrize("order", range(5))
def test_the_least_possible_makespan_is_not_below_the_longest_task(order: int) -> None:
    assert max(LENGTHS) < ideal_s(order, linked=False) <= ideal_s(order, linked=True)


def test_an_order_is_the_same_lengths_each_time() -> None:
    assert lengths(3) == lengths(3)
    assert sorted(lengths(3)) == sorted(LENGTHS)
    assert lengths(3) != lengths(4)
