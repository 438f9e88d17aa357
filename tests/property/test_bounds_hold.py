"""No run passes the bound of its program: random programs, random and hostile outsides.

`ORCH_BOUNDS=2000 pytest -s tests/property/test_bounds_hold.py` runs more and shows how tight the
bound is (most seen / bound).
"""

from __future__ import annotations

import os
import sys
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest

HERE = Path(__file__).parent
# The tests are no package (import mode `importlib`), and these share a simulator.
sys.path[:0] = [str(HERE), str(HERE.parent / "simulation")]

import simulated_driver  # noqa: E402
from bounds_adversary import Adversary, rates_of, spent  # noqa: E402
from simulated_driver import Simulation  # noqa: E402
from simulated_programs import SHAPES, contracts_of, models_of, program_of  # noqa: E402

from engine.bounds import METRICS, Bound, Spend, bound_of  # noqa: E402

RUNS = int(os.environ.get("ORCH_BOUNDS", "60"))
PARTS = 4
#: The programs' models, with windows so small that runs fill them.
WINDOWS = {"planner": 900, "small": 300, "cheap": 50}
INFOS = {name: msgspec.structs.replace(info, context=WINDOWS[name])
         for name, info in models_of(None).items()}  # fmt: skip
INPUTS: dict[str, Any] = {
    "look": {"q": "NEW"}, "page": {"u": "NEW"}, "save": {"text": "NEW"}, "pay": {"amount": 1},
    "ask": {"q": "NEW"}, "say": {"q": "NEW"}, "sign": {"q": "NEW"}, "any": {"x": "NEW"},
    "inner": {"q": "NEW"},
}  # fmt: skip
OUTPUTS: dict[str, Any] = {
    "look": {"name": "NEW", "count": 1, "tags": []}, "page": {"body": "NEW", "size": 1},
    "save": 1, "pay": {"id": "NEW"}, "ask": {"text": "NEW"}, "say": "NEW",
    "sign": {"text": "NEW"}, "any": "NEW",
}  # fmt: skip


def within(taken: Spend, bound: Bound, what: str) -> dict[str, float]:
    """How much of each bound a run took; fails where it took more."""
    shares = {}
    for metric in METRICS:
        most, got = bound.total.of(metric), taken.of(metric)
        if most is not None:
            assert got <= most, f"{what}: {metric} {got} of at most {most}"
            shares[metric] = got / most if most else 1.0
    return shares


def show(title: str, shares: dict[str, list[float]]) -> None:
    print(f"\n{title}: most seen / bound over {max(map(len, shares.values()))} programs")
    for metric, values in shares.items():
        values = sorted(values)
        exact = sum(value == 1 for value in values)
        print(f"  {metric:12} median {values[len(values) // 2]:.2f}  largest {values[-1]:.2f}"
              f"  reached exactly by {exact}")  # fmt: skip


def worst(shape: int) -> dict[str, float]:
    """The largest share of the bound that a hostile outside reaches, for each number."""
    program, contracts = program_of(shape), contracts_of(shape)
    bound = bound_of(program, "main", rates_of(INFOS))
    best = dict.fromkeys(METRICS, 0.0)
    inner = (0, 1) if "inner" in program.orchestrators else (0,)
    hostile = list(product(range(1 + min(3, bound.rounds)), inner, (False, True), ("",)))
    hostile += product((0, 1), inner[-1:], (False,), ("failures", "answers", "verdicts"))
    for results, below, eager, stubborn in hostile:
        finishes = {"main": results, "inner": below}
        journal = Adversary(
            program, INFOS, contracts, INPUTS, OUTPUTS,
            finishes=finishes, eager=eager, stubborn=stubborn,
        ).run()  # fmt: skip
        taken = spent(program, journal, contracts)
        what = f"shape {shape}, {finishes}, eager {eager}, stubborn {stubborn}"
        shares = within(taken, bound, what)
        best = {metric: max(best[metric], shares.get(metric, 0.0)) for metric in METRICS}
    return best


@pytest.mark.parametrize("part", range(PARTS))
def test_no_random_run_passes_its_bound(part, monkeypatch):
    monkeypatch.setattr(simulated_driver, "models_of", lambda context: INFOS)
    shares: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for seed in range(part, RUNS, PARTS):
        simulation = Simulation(seed)
        answer = simulation.world.answer

        def without_more(gate, answer=answer):
            # A person may allow a `once` task another start; that is not in the bound.
            said = answer(gate)
            return said | {"answer": "reject"} if said["answer"] == "not_done" else said

        simulation.world.answer = without_more
        journal = simulation.run()
        shape = simulation.shape
        taken = spent(program_of(shape), journal, contracts_of(shape))
        bound = bound_of(program_of(shape), "main", rates_of(INFOS))
        for metric, share in within(taken, bound, f"seed {seed} (shape {shape})").items():
            shares[metric].append(share)
    show("random runs", shares)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_hostile_outside_makes_a_run_pass_its_bound(part):
    shares: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for shape in range(part, min(SHAPES, max(8, RUNS // 5)), PARTS):
        for metric, share in worst(shape).items():
            shares[metric].append(share)
    show("hostile runs", shares)
    # A bound that no run comes near would hold as well, and say nothing.
    for metric in METRICS:
        assert max(shares[metric]) > 0.9, metric
