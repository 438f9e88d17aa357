"""The greedy fill against every way to hand out the tasks."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bounds.greedy import Option, fill

SMALL = st.integers(0, 9)
OPTIONS = st.builds(
    Option, limit=st.integers(0, 4), work=SMALL, checks=SMALL, cap=st.none() | st.integers(0, 20)
)


def worth(option: Option, count: int) -> int:
    work = option.work * count
    return (work if option.cap is None else min(work, option.cap)) + option.checks * count


@settings(deadline=None)
@given(st.integers(0, 8), st.lists(OPTIONS, max_size=4))
def test_the_fill_is_the_maximum_and_its_counts_reach_it(places, options):
    total, counts = fill(places, options)
    assert total == max(
        sum(worth(option, count) for option, count in zip(options, way, strict=True))
        for way in product(*(range(option.limit + 1) for option in options))
        if sum(way) <= places
    )
    assert sum(counts) <= places
    assert all(count <= option.limit for option, count in zip(options, counts, strict=True))
    assert total == sum(worth(option, n) for option, n in zip(options, counts, strict=True))


@given(st.integers(1, 8), st.lists(OPTIONS, max_size=3), st.integers(1, 4), SMALL)
def test_work_without_a_bound_has_none_unless_it_is_capped(places, options, limit, checks):
    assert fill(places, [*options, Option(limit, None, checks)])[0] is None
    capped = fill(places, [Option(limit, None, checks, cap=11)])[0]
    assert capped == 11 + checks * min(limit, places)
    assert fill(0, [Option(limit, None, checks)])[0] == 0
