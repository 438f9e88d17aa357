"""Params: where their values come from, how they are read, what they fold into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from engine.errors import InputError
from engine.sema.check import CheckResult, check_file
from engine.sema.names.loader import MemoryReader

PROGRAM = """orch 1

param depth: int = 3 @min(1)
param mode: "deep" | "quick" = "quick"
param patience: duration = 90s
param budget: float = 0.5
param must: string

model m { id = "openai/gpt-5-mini"  timeout = param.patience }
worker w(q: string) -> string via llm { model = m  prompt = "{{ q }} {{ param.must }}" }
orchestrator o(t: string) -> string {
  model   = m
  goal    = "{{ t }}"
  workers = [w]
  policy {
    max_rounds = 10 if param.mode == "deep" and param.depth > 2 else param.depth
    budget { cost = param.budget }
  }
}
"""


def check(
    params: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None
) -> CheckResult:
    reader = MemoryReader({"p.orch": PROGRAM}, "/base")
    return check_file("/base/p.orch", params=params, reader=reader, env=env or {})


def rounds(result: CheckResult) -> int:
    assert result.program is not None
    return result.program.orchestrators["o"].policy.max_rounds


def test_defaults_are_folded() -> None:
    result = check()
    assert rounds(result) == 3
    assert result.program is not None
    assert result.program.models["m"].timeout_ms == 90_000
    assert result.program.orchestrators["o"].policy.budget.cost_usd == 500_000
    assert result.program.params["mode"].value == "quick"
    assert result.missing_params == ("must",)
    assert result.program.missing_params == ("must",)


def test_given_values_win_over_the_environment_and_that_over_defaults() -> None:
    env = {"ORCH_PARAM_DEPTH": "7", "ORCH_PARAM_MODE": "deep"}
    assert rounds(check(env=env)) == 10
    assert rounds(check({"mode": "quick"}, env)) == 7
    assert rounds(check({"mode": "quick", "depth": 5}, env)) == 5


@pytest.mark.parametrize("given", [4, "4", 4.0])
def test_texts_are_read_as_their_type_asks(given: object) -> None:
    assert rounds(check({"depth": given})) == 4


def test_a_text_stays_a_text_where_the_type_is_one() -> None:
    result = check({"must": "3"})
    assert result.program is not None
    assert result.program.params["must"].value == "3"
    assert result.program.workers["w"].settings["prompt"].render({"q": "a"}) == "a 3"
    assert result.missing_params == ()


@pytest.mark.parametrize(
    ("params", "env", "message"),
    [
        ({"depth": "many"}, {}, 'param `depth`: "many" is not'),
        ({"depth": 0}, {}, "param `depth`: 0 is less than 1"),
        ({"mode": "slow"}, {}, 'param `mode`: "slow" is not one of'),
        ({}, {"ORCH_PARAM_DEPTH": "x"}, 'ORCH_PARAM_DEPTH: "x" is not'),
        ({"dpeth": 3}, {}, "no param `dpeth`; did you mean `depth`?"),
        ({"other": 3}, {}, "no param `other`; it has `depth`"),
    ],
)
def test_what_the_caller_gives_wrongly_is_no_diagnostic(
    params: dict[str, Any], env: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        check(params, env)
    assert message in caught.value.problems[0]


def test_a_folded_value_is_checked_like_a_written_one() -> None:
    result = check({"budget": -1.0})
    assert result.program is None
    (item,) = result.diagnostics
    assert (item.code, item.span.text) == ("ORC202", "param.budget")
