"""What a step costs in a decision: the figures that `make bench-plans` prints keep their bounds."""

from __future__ import annotations

import pytest

from bench.plans.decisions import rows

pytest.importorskip("tiktoken")


def test_a_step_keeps_its_tokens() -> None:
    sizes, steps = rows()
    for name, contract, wire in steps:
        assert contract <= 100, name
        assert wire <= 170, name
    # A step costs the same however many items it has; a list of tasks grows with them.
    assert len({row[4:] for row in sizes}) == 1
    assert sizes[-1][1] > 100_000
    # A plain task costs little more where decisions may have steps.
    assert all(row[3] < 1.2 * row[2] for row in sizes)
