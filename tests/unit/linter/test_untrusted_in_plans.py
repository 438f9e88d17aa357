"""ORC801 where a plan is what acts: the way through its steps, and the hook that helps."""

from __future__ import annotations

from typing import Any

import pytest

from engine.linter import lint_result
from engine.sema.check import check_file
from engine.sema.names.loader import MemoryReader

PROGRAM = """orch 1
model m {{ id = "memory/m" }}
worker page(v: string?) -> string via command {{
  run = ["w"]  effect = read  trust = untrusted  timeout = 5s  parse = text
}}
worker sizes() -> {{ all: int[], name: string }} via command {{
  run = ["w"]  effect = read  trust = untrusted  timeout = 5s
}}
worker put(v: json) -> int via command {{ run = ["w"]  effect = once  timeout = 5s }}
verifier fine(input: json) via human {{ message = "Good?"  timeout = 1h }}
worker p() -> int via plan {{
  max_items = 10
  {steps}
  result = 1
}}
orchestrator main() -> int {{
  model = m  goal = "g"  workers = [p]
  policy {{ max_rounds = 2  max_items = 20  budget {{ cost = $1 }} }}
  {verify}
}}
"""
READ = "step s { call = page() }  step t { call = page(v=s) }  step w { call = put(v=t) }"


def found(steps: str, hook: str = "") -> list[Any]:
    text = PROGRAM.format(steps=steps, verify=f"verify {{ {hook} }}" if hook else "")
    result = check_file("/p/main.orch", reader=MemoryReader({"main.orch": text}, "/p"), env={})
    assert result.program is not None, [one.message for one in result.diagnostics]
    return [one for one in lint_result(result) if one.code == "ORC801"]


@pytest.mark.parametrize("end", ["", "on_fail = abort", "on_fail = warn"])
def test_a_hook_on_the_plan_is_told_to_be_on_what_acts_in_it(end: str) -> None:
    (one,) = found(READ, f"before_dispatch p {{ with = fine  {end} }}")
    assert one.message == (
        "untrusted text (`page`) can reach `put` with no verifier between: p/t -> p/w"
    )
    assert one.help == (
        "add `verify { before_dispatch put { with = ...  on_fail = abort } }`: "
        "a hook on the plan does not see what its steps read"
    )
    assert found(READ, "before_dispatch put { with = fine  on_fail = abort }") == []


@pytest.mark.parametrize("read", ["s.name", "s"])
def test_a_part_that_can_hold_words_is_followed(read: str) -> None:
    (one,) = found(f"step s {{ call = sizes() }}  step w {{ call = put(v={read}) }}")
    assert one.message.endswith(" between: p/s -> p/w")


@pytest.mark.parametrize(
    "steps",
    [
        "step s { call = sizes() }  step w { each = s.all  call = put(v=item) }",
        "step s { call = page() }  step w { call = put(v=1)  after = [s] }",
    ],
)
def test_numbers_and_ends_carry_no_words(steps: str) -> None:
    """But the planner reads why a step failed, and decides what runs in the next round."""
    (one,) = found(steps)
    assert one.message.endswith(" between: p -> orchestrator main -> p -> put")
    assert found(steps, "before_dispatch p { with = fine  on_fail = abort }") == []
