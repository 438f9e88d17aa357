"""Replays, forks and retries of hundreds of simulated runs.

A failure names its seed; `pytest tests/simulation --seed N` (or ORCH_SEED=N) runs it alone.
"""

from __future__ import annotations

import os

import pytest
from simulated_driver import Simulation
from simulated_history import (
    Fork,
    Retried,
    check_noise_diverges,
    check_replay,
    without_noise,
)

from engine.events import RunEnded

SEEDS = int(os.environ.get("ORCH_SIMULATIONS", "200")) // 2
PARTS = 4
_RETRIED = ("failed", "exhausted", "aborted", "cancelled")


def simulated(seed):
    simulation = Simulation(seed)
    simulation.run()
    return simulation


def seeds_of(part, only_seed):
    if only_seed is not None and part > 0:
        pytest.skip("one seed is replayed")
    return range(part, SEEDS, PARTS) if only_seed is None else [only_seed]


@pytest.mark.parametrize("part", range(PARTS))
def test_no_replay_of_a_journal_diverges(part, only_seed):
    for seed in seeds_of(part, only_seed):
        simulation = simulated(seed)
        check_replay(simulation)
        if len(without_noise(simulation.journal)) < len(simulation.journal):
            check_noise_diverges(simulation)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_fork_from_anywhere_keeps_the_invariants(part, only_seed):
    for seed in seeds_of(part, only_seed):
        parent = simulated(seed)
        last = len(parent.journal)
        if isinstance(parent.journal[-1], RunEnded) and parent.state.ended:
            last -= 1
        before = list(parent.journal)
        fork = Fork(parent, parent.rng.randint(1, last))
        fork.run()
        check_replay(fork)
        assert parent.journal == before


@pytest.mark.parametrize("part", range(PARTS))
def test_a_retry_after_the_end_keeps_the_invariants(part, only_seed):
    for seed in seeds_of(part, only_seed):
        simulation = simulated(seed)
        for _ in range(2):
            if simulation.state.status not in _RETRIED:
                break
            simulation = Retried(simulation)
            simulation.run()
            check_replay(simulation)
