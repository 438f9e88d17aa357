"""The shape questions, against networkx on random graphs."""

from __future__ import annotations

from itertools import pairwise

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.graph import cycles, reachable, strong_components

NAMES = "abcdefg"
graphs = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), unique=True, max_size=4)
)


def as_networkx(successors):
    graph = networkx.DiGraph()
    graph.add_nodes_from(successors)
    graph.add_edges_from((s, t) for s, targets in successors.items() for t in targets)
    return graph


@given(graphs, st.sampled_from(NAMES))
def test_reachable_is_descendants_and_the_start(successors, start):
    graph = as_networkx(successors)
    graph.add_node(start)

    assert reachable(successors, [start]) == networkx.descendants(graph, start) | {start}


@given(graphs)
def test_strong_components(successors):
    expected = {
        frozenset(c) for c in networkx.strongly_connected_components(as_networkx(successors))
    }

    assert {frozenset(c) for c in strong_components(successors)} == expected


@given(graphs)
def test_there_is_a_cycle_for_each_knot_and_each_cycle_is_real(successors):
    graph = as_networkx(successors)
    found = cycles(successors)

    assert (not found) == networkx.is_directed_acyclic_graph(graph)
    knots = [
        component
        for component in networkx.strongly_connected_components(graph)
        if len(component) > 1 or graph.has_edge(*component, *component)
    ]
    assert len(found) == len(knots)
    for cycle in found:
        assert all(graph.has_edge(one, other) for one, other in pairwise([*cycle, cycle[0]]))
        assert len(set(cycle)) == len(cycle)


@pytest.mark.parametrize(
    ("successors", "expected"),
    [
        ({"a": ["b"], "b": []}, []),
        ({"a": ["a"]}, [["a"]]),
        ({"a": ["b"], "b": ["c"], "c": ["a", "b"]}, [["a", "b", "c"]]),
        ({"x": ["y"], "y": ["x"], "a": ["x", "b"], "b": ["a"]}, [["x", "y"], ["a", "b"]]),
    ],
)
def test_cycles_are_named_once_from_their_first_node(successors, expected):
    assert cycles(successors) == expected


def test_a_deep_chain_does_not_hit_the_recursion_limit():
    deep = {str(n): [str(n + 1)] for n in range(50_000)} | {"50000": ["0"]}

    assert len(cycles(deep)[0]) == 50_001
