"""What a step costs in a decision: the figures that `make bench-plans` prints keep their bounds."""

from __future__ import annotations

import pytest

from bench.plans import next_prompt
from bench.plans.decisions import rows
from engine.runtime.prompts.steps import STEP_TOKENS

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


def test_the_next_prompt_does_not_grow_with_the_items_of_a_step() -> None:
    few, many = next_prompt.rows((20, 200))
    assert many[1] > 5 * few[1]
    assert abs(many[2] - few[2]) < 20
    assert many[2] <= STEP_TOKENS
