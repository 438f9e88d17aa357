"""Bounds computed by hand, one mechanism at a time, and what is said where none is known."""

from __future__ import annotations

import pytest

from engine.bounds import Bound, Spend, as_data, as_text, bounds_of
from engine.bounds.calls import Rate, least_attempt, rate_of
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.sema.names.loader import MemoryReader

# One attempt at `m` takes 1000 + 100 tokens and 1000 * $1/M + 100 * $10/M = 2000 micro-dollars,
# one at `spare` 500 + 50 tokens and 500 * $2/M = 1000 micro-dollars.
MODELS = """orch 1
model m { id = "openai/m"  context = 1000  max_tokens = 100  price { input = $1  output = $10 } %s }
model spare { id = "openai/s"  context = 500  max_tokens = 50  price { input = $2  output = $0 } }
"""
WORKERS = """
worker ask(q: string) -> string via llm {
  model = m  prompt = "{{ q }}"  repair { max = 2 }
}
worker look(q: string) -> string via command { run = ["look"]  effect = read }
verifier judge(goal: string) via llm { model = spare  prompt = "?"  repair { max = 0 } }
verifier rule(goal: string) via rules { assert goal }
"""


def program(
    body: str, *, workers: str = "look", model: str = "", more: str = "", **params: object
) -> Program:
    head = MODELS if "%s" not in model else model
    text = head % ("" if "%s" in model else model) + WORKERS + more
    text += f'orchestrator o(q: string) -> string {{ model = m  goal = "g"  workers = [{workers}]'
    text += f"  {body} }}\n"
    reader = MemoryReader({"b.orch": text}, "/b")
    result = check_file("/b/b.orch", reader=reader, params=params, env={})
    assert result.program is not None, [item.message for item in result.diagnostics]
    return result.program


def bound(body: str, **more: object) -> Bound:
    return next(b for b in bounds_of(program(body, **more)) if b.orchestrator == "o")


def test_decisions_are_rounds_times_their_repairs():
    found = bound("policy { max_rounds = 3 }")
    assert (found.rounds, found.tasks) == (3, 24)
    assert found.total == Spend(3, 24, 9, 9 * 1100, 9 * 2000)
    found = bound("policy { max_rounds = 3  repair { max = 0 } }")
    assert found.total == Spend(3, 24, 3, 3 * 1100, 3 * 2000)


def test_a_step_is_as_many_tasks_as_max_items_allows():
    body = "policy { max_rounds = 2  repair { max = 0 }  max_items = 500 %s}"
    found = bound(body % "", workers="ask")
    assert (found.tasks, found.total.model_calls) == (1000, 2 + 1000 * 3)
    assert bound(body % " max_dispatches = 30 ", workers="ask").tasks == 30


def test_tasks_inside_plans_are_among_max_items():
    more = """worker all(qs: string[]) -> string[] via plan {
      max_items = 400  step asks { each = qs  call = ask(q=item) }  result = asks
    }"""
    found = bound(
        "policy { max_rounds = 2  repair { max = 0 }  max_items = 500 }", workers="all", more=more
    )
    assert (found.tasks, found.total.tasks, found.total.model_calls) == (1000, 1000, 2 + 1000 * 3)


def test_retries_and_fallbacks_multiply_at_each_model_of_the_chain():
    found = bound(
        "policy { max_rounds = 1  repair { max = 0 } }",
        model="fallback = [spare]  retry { max = 2 }",
    )
    assert found.total == Spend(1, 8, 4, 3 * 1100 + 550, 3 * 2000 + 1000)


def test_tasks_of_a_model_repair_too():
    found = bound("policy { max_rounds = 1  max_per_round = 2  repair { max = 0 } }", workers="ask")
    assert found.total == Spend(1, 2, 1 + 2 * 3, 7 * 1100, 7 * 2000)


def test_a_once_task_has_one_attempt():
    more = """worker sign(q: string) -> string via llm {
      model = m  prompt = "{{ q }}"  effect = once  repair { max = 5 } }"""
    found = bound(
        "policy { max_rounds = 1  max_per_round = 1  repair { max = 0 } }",
        workers="sign", more=more, model="fallback = [spare]",
    )  # fmt: skip
    assert found.total.model_calls == 2 + 1


def test_max_dispatches_and_limits_cap_the_tasks():
    body = """policy { max_rounds = 2  repair { max = 0 }  max_dispatches = 5 }
      limit ask { max_dispatches = 3 }"""
    found = bound(body, workers="ask")
    assert (found.tasks, found.total.tasks) == (3, 3)
    both = bound(body, workers="ask, look")
    assert (both.tasks, both.total.tasks, both.total.model_calls) == (5, 5, 2 + 3 * 3)


def test_hooks_look_before_and_after_each_revision():
    found = bound(
        """policy { max_rounds = 1  max_per_round = 1  repair { max = 0 } }
        verify {
          before_dispatch look { with = [judge, rule]  on_fail = revise  max_revisions = 7 }
          after_dispatch look { with = judge  on_fail = revise  max_revisions = 2 }
        }"""
    )
    assert found.total.model_calls == 1 + 1 + 3


def test_a_hook_in_front_looks_after_the_revisions_of_those_behind():
    found = bound(
        """policy { max_rounds = 9  repair { max = 0 } }
        verify {
          before_finish { with = judge  on_fail = revise  max_revisions = 2 }
          before_finish { with = judge  on_fail = revise  max_revisions = 1 }
        }"""
    )
    assert found.total.model_calls == 9 + (1 + 2 + 1) + (1 + 1)


def test_no_result_is_looked_at_more_often_than_there_are_rounds():
    found = bound(
        """policy { max_rounds = 2  repair { max = 0 } }
        verify { before_finish { with = judge  on_fail = revise  max_revisions = 50 } }"""
    )
    assert found.total.model_calls == 2 + 2


def test_rounds_are_looked_at_each_so_many():
    found = bound(
        """policy { max_rounds = 5  repair { max = 0 } }
        verify { after_round { with = judge  every = 2  on_fail = warn } }"""
    )
    assert found.total.model_calls == 5 + 2


def test_every_plan_may_be_looked_at_and_cost_a_round():
    found = bound(
        """policy { max_rounds = 5  repair { max = 0 } }
        verify { before_round { with = judge  on_fail = revise  max_revisions = 2 } }"""
    )
    assert found.total.model_calls == 5 + 5


def test_a_budget_stops_the_loop_and_says_so():
    found = bound("policy { max_rounds = 3  budget { cost = $0.005  tokens = 1M } }")
    assert (found.total.cost_usd, found.structure.cost_usd) == (5000, 18_000)
    assert [found.caps("cost_usd"), found.caps("tokens")] == [True, False]
    assert as_data(found)["stopped_by"] == ["budget.cost"]


def test_the_budget_of_a_limit_caps_the_work_and_not_its_checks():
    found = bound(
        """policy { max_rounds = 1  max_per_round = 4  repair { max = 0 } }
        limit ask { budget { tokens = 1200  cost = $0.0025 } }
        verify { before_dispatch ask { with = judge } }""",
        workers="ask",
    )
    assert found.total.tokens == 1100 + 1200 + 4 * 550
    assert found.total.cost_usd == 2000 + 2500 + 4 * 1000


CHILD = """orchestrator child(q: string) -> string { model = spare  goal = "g"  workers = [look]
  policy { max_rounds = 2  max_per_round = 1  repair { max = 0 } %s } }
"""


def test_a_task_of_an_orchestrator_is_a_whole_run_of_it():
    body = "policy { max_rounds = 1  max_per_round = 3  repair { max = 0 } }"
    found = bound(body, workers="child", more=CHILD % "")
    assert found.total == Spend(1 + 3 * 2, 3 + 3 * 2, 1 + 3 * 2, 1100 + 6 * 550, 2000 + 6 * 1000)
    assert found.path == ("o", "child", "spare")
    capped = bound(body, workers="child", more=CHILD % "budget { tokens = 700 }")
    assert capped.total.tokens == 1100 + 3 * 700
    twice = bound(
        body + "verify { after_dispatch child { with = rule on_fail = revise max_revisions = 1 } }",
        workers="child",
        more=CHILD % "",
    )
    assert (twice.total.rounds, twice.total.tasks) == (1 + 3 * 2 * 2, 3 + 3 * 2 * 2)


def test_recursion_goes_as_deep_as_it_may():
    found = bound(
        "policy { max_rounds = 1  max_per_round = 2  max_depth = 3  repair { max = 0 } }",
        workers="o",
    )
    # 1 + 2 + 4 loops; the 8 tasks of the last are not started.
    assert (found.total.rounds, found.total.tasks) == (7, 14)


def test_recursion_that_explodes_has_no_bound_but_its_budget():
    body = "policy { max_rounds = 9  max_per_round = 9  max_depth = 90  budget { tokens = 5k } }"
    found = bound(body, workers="o")
    assert found.total.tokens == 5000
    assert found.total.model_calls is None
    assert found.unknown == ("orchestrators call each other too often to be counted",)
    assert "unknown" in as_text([found])


def test_orchestrators_that_call_each_other_in_many_ways_are_bounded_in_time():
    names = [f"p{i}" for i in range(6)]
    more = "".join(
        f'orchestrator {n}(q: string) -> string {{ model = m  goal = "g"  '
        f"workers = [{', '.join(names)}]  "
        "policy { max_rounds = 1  max_per_round = 1  max_depth = 9 } }\n"
        for n in names
    )
    found = bounds_of(program("policy { max_rounds = 1 }", workers="p0", more=more))
    assert len(found) == 7


def test_params_are_folded_in():
    more = "param deep: bool = false\n"
    body = "policy { max_rounds = 8 if param.deep else 3 }"
    assert bound(body, more=more).rounds == 3
    assert bound(body, more=more, deep=True).rounds == 8


PLAIN = 'orch 1\nmodel m { id = "%s" %%s }\nmodel spare { id = "scripted/none.json" }\n'


def test_an_unknown_price_is_unknown_and_never_zero():
    model = PLAIN % "openai/nobody-knows-it"
    found = bound("policy { max_rounds = 1 }", model=model.replace("%s", "context = 10 %s"))
    assert (found.total.tokens, found.total.cost_usd) == (3 * (10 + 4096), None)
    assert found.unknown == ("no price of `m` is known: give it a `price`",)
    found = bound("policy { max_rounds = 1  budget { cost = $1 } }", model=model)
    assert (found.total.tokens, found.total.cost_usd) == (None, 1_000_000)
    assert len(found.unknown) == 2
    assert "the context window of `m` is not known: set `context`" in as_text([found])


@pytest.mark.parametrize("id", ["python/json:loads", "scripted/x.json", "recorded/x"])
def test_a_model_without_a_provider_costs_nothing(id):
    found = bound("policy { max_rounds = 1 }", model=PLAIN % id)
    assert found.total == Spend(1, 8, 3, 0, 0)
    assert as_text([found]).endswith("o > m\n  3 decisions of m")


def test_prices_and_windows_come_from_the_table_the_dearest_of_each():
    def models(id: str, more: str = "") -> Program:
        return program("policy { max_rounds = 1 }", model=(PLAIN % id).replace("%s", f"{more} %s"))

    sonnet = models("anthropic/claude-sonnet-4-5").models["m"]
    # Writing to its cache costs more than reading a prompt.
    assert rate_of(sonnet) == Rate(True, 3_750_000, 15_000_000, 200_000)
    assert least_attempt(sonnet).cost_usd == 4096 * 15
    assert rate_of(models("local/x.gguf").models["m"]) == Rate(True, 0, 0, 4096)
    declared = models("openai/gpt-5-mini", "context = 7  price { input = $1  output = $2 }")
    assert rate_of(declared.models["m"]) == Rate(True, 1_000_000, 2_000_000, 7)


def test_a_script_with_a_price_plays_a_provider():
    priced = program(
        "policy { max_rounds = 1 }",
        model=(PLAIN % "scripted/x.json").replace("%s", "price { input = $1  output = $2 } %s"),
    )
    assert rate_of(priced.models["m"]) == Rate(True, 1_000_000, 2_000_000, None)


def test_the_dearest_part_comes_first_and_every_part_is_shown_with_its_share():
    found = bound(
        """policy { max_rounds = 2  max_dispatches = 6  budget { cost = $0.01 } }
        limit ask { max_dispatches = 2 }
        verify { after_dispatch ask { with = judge  on_fail = warn } }""",
        workers="look, ask",
    )
    assert as_text([found]) == (
        "orchestrator  rounds  tasks  model calls  tokens     cost\n"
        "o                  2      6           14   14.3k  $0.010*\n"
        "* stopped there by its own budget\n"
        "\n"
        "o > m\n"
        "  budget.cost = $0.010; without it $0.026\n"
        "  $0.012  6.6k tokens  6 decisions of m\n"
        "  $0.012  6.6k tokens  2 tasks of ask, 6 model calls\n"
        "  $0.002  1.1k tokens  2 checks by `judge` (after_dispatch ask)"
    )
    data = as_data(found)
    assert data["total"]["cost_usd"] == 0.01
    assert [(step["what"], step["name"], step["times"]) for step in data["steps"]] == [
        ("decision", "m", 6), ("task", "ask", 2), ("after_dispatch", "judge", 2),
    ]  # fmt: skip
    assert sum(step["total"]["cost_usd"] for step in data["steps"]) == pytest.approx(
        data["without_budget"]["cost_usd"]
    )


@pytest.mark.parametrize(
    ("hook", "calls"),
    [
        ("with = judge", 1),
        ("with = rule  else = judge", 1),
        ("with = judge  else = rule", 1),
        ("with = [rule, judge]  else = judge", 1),
        ("with = rule  else = judge  when = tainted", 1),
        ("with = rule", 0),
    ],
)
def test_the_verifiers_of_else_count_as_asked_each_once(hook, calls):
    policy = "policy { max_rounds = 2  repair { max = 0 }  max_per_round = 1 }"
    found = bound(f"{policy} verify {{ before_dispatch look {{ {hook}  on_fail = deny }} }}")
    assert found.total.model_calls == 2 + 2 * calls
