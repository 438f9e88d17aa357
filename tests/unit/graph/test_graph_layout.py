"""The layout: boxes never overlap, lines run forward and never through a box."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.graph.layout import Box, Link, layout

NAMES = "abcdefgh"
boxes = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(
        Box, st.floats(20, 200), st.floats(20, 60), first=st.integers(0, 2), last=st.booleans()
    ),
    min_size=1,
)


@st.composite
def drawings(draw):
    drawn = draw(boxes)
    ends = st.sampled_from(sorted(drawn))
    links = st.builds(Link, ends, ends, st.floats(0, 90)).filter(lambda it: it.source != it.target)
    return drawn, draw(st.lists(links, max_size=14)) if len(drawn) > 1 else []


@given(drawings())
def test_boxes_do_not_overlap_and_stay_in_the_picture(drawing):
    drawn, links = drawing
    plan = layout(drawn, links)

    for name, (x, y) in plan.corners.items():
        assert x >= 0
        assert y >= 0
        assert x + drawn[name].width <= plan.width
        assert y + drawn[name].height <= plan.height
    for one, other in combinations(drawn, 2):
        (ax, ay), (bx, by) = plan.corners[one], plan.corners[other]
        apart_x = ax + drawn[one].width <= bx or bx + drawn[other].width <= ax
        apart_y = ay + drawn[one].height <= by + 1e-6 or by + drawn[other].height <= ay + 1e-6
        assert apart_x or apart_y


@given(drawings())
def test_lines_join_the_sides_of_their_boxes(drawing):
    drawn, links = drawing
    plan = layout(drawn, links)

    assert len(plan.routes) == len(links)
    for link, route in zip(links, plan.routes, strict=True):
        for name, (x, y) in ((link.source, route.points[0]), (link.target, route.points[-1])):
            left, top = plan.corners[name]
            assert min(abs(x - left), abs(x - left - drawn[name].width)) < 1e-6
            assert top < y < top + drawn[name].height


@given(drawings())
def test_lines_do_not_run_through_boxes(drawing):
    drawn, links = drawing
    plan = layout(drawn, links)

    for route in plan.routes:
        for (ax, ay), (bx, by) in pairwise(sorted(route.points)):
            if ay != by:
                continue  # a bend, which lies between two columns
            for name, (left, top) in plan.corners.items():
                beside = bx <= left + 1e-6 or ax >= left + drawn[name].width - 1e-6
                assert beside or not top < ay < top + drawn[name].height


def test_the_same_drawing_gives_the_same_plan():
    drawn = {name: Box(60, 30) for name in NAMES}
    links = [Link(a, b) for a, b in combinations(NAMES, 2)]

    assert layout(drawn, links) == layout(drawn, links)


def test_a_chain_is_a_straight_line():
    drawn = {name: Box(60, 30) for name in "abc"}
    plan = layout(drawn, [Link("a", "b"), Link("b", "c")])

    assert len({y for _, y in plan.corners.values()}) == 1
    assert sorted(plan.corners, key=lambda name: plan.corners[name][0]) == ["a", "b", "c"]
