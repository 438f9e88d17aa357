"""The linter's taint against the machine's: whatever a run taints, the linter saw coming.

How much the linter tells that no run shows is printed by `ORCH_TAINT_RUNS=240 pytest -s` on this
file: that many runs of each program. What came out is in docs/explanation/security.md.
"""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from functools import cache

import networkx
import pytest
from simulated_driver import Simulation
from simulated_programs import SHAPES, program_of

from engine.linter.taint import Flow, Place, flow_of
from engine.runtime.ending import subtree

SEEDS = int(os.environ.get("ORCH_SIMULATIONS", "200"))
PARTS = 4
RUNS = int(os.environ.get("ORCH_TAINT_RUNS", "20"))
_DENIED = "untrusted text can reach "


@cache
def static(shape: int) -> Flow:
    return flow_of(program_of(shape))


def observed(simulation: Simulation) -> set[Place]:
    """Every place the machine found tainted in a run."""
    found: set[Place] = set()
    for loop in subtree(simulation.state.loop):
        own = loop.orchestrator.name
        if loop.tainted:
            found.add(Place("loop", own))
        for task in loop.tasks.values():
            if task.tainted:
                found.add(Place("task", own, task.worker.name))
            if task.failure is not None and _DENIED in task.failure.message:
                found.add(Place("effect", own, task.worker.name))
    return found


@pytest.mark.parametrize("part", range(PARTS))
def test_what_a_run_taints_the_linter_has_seen(part, only_seed):
    if only_seed is not None and part > 0:
        pytest.skip("one seed is replayed")
    seeds = range(part, SEEDS, PARTS) if only_seed is None else [only_seed]
    tainted = 0
    for seed in seeds:
        simulation = Simulation(seed)
        simulation.run()
        flow = static(simulation.shape)
        for place in observed(simulation):
            assert flow.reaches(place), (seed, simulation.shape, place)
            tainted += 1
    assert tainted > 0 or only_seed is not None


def seeds_of(shapes: set[int], runs: int) -> list[int]:
    """So many seeds for each of some shapes; a seed's first number is its shape."""
    wanted = Counter(dict.fromkeys(shapes, runs))
    seeds = []
    for seed in itertools.count():
        shape = random.Random(seed).randrange(SHAPES)
        if wanted[shape] > 0:
            wanted[shape] -= 1
            seeds.append(seed)
        if not +wanted:
            return seeds
    raise AssertionError


def test_most_of_what_the_linter_tells_some_run_shows(only_seed):
    if only_seed is not None:
        pytest.skip("it needs all seeds")
    shapes = {shape for shape in range(SHAPES) if static(shape).sources}
    shapes = set(sorted(shapes)[:: max(1, 240 // RUNS)])
    seen: dict[int, set[Place]] = {shape: set() for shape in shapes}
    for seed in seeds_of(shapes, RUNS):
        simulation = Simulation(seed)
        simulation.run()
        seen[simulation.shape] |= observed(simulation)
    told: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    for shape, places in seen.items():
        for place in static(shape).reached:
            told[place.kind] += 1
            shown[place.kind] += place in places
    print({kind: f"{shown[kind]} of {told[kind]}" for kind in told})
    assert all(shown[kind] for kind in told)


@pytest.mark.parametrize("shape", range(0, SHAPES, 3))
def test_reachability_agrees_with_networkx(shape):
    flow = static(shape)
    graph = networkx.DiGraph([(a, b) for a, ends in flow.edges.items() for b in ends])
    graph.add_nodes_from(flow.sources)
    expected = set(flow.sources)
    for source in flow.sources:
        expected |= networkx.descendants(graph, source)
    assert set(flow.reached) == expected
    for place in flow.reached:
        way = flow.way(place)
        assert way[0] in flow.sources
        assert way[-1] == place
        assert all(networkx.has_path(graph, a, b) for a, b in itertools.pairwise(way))
