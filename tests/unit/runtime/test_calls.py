"""Calls: repair, retry, fallback, timeouts, budgets."""

from __future__ import annotations

import asyncio

import pytest

import engine
from engine.events import CallFailed
from engine.runtime.ports import ModelReply, ModelRequest

LLM = """
model cheap { id = "scripted/none.json"  price { input = $1.00  output = $2.00 }  %s }
model spare { id = "scripted/none.json" }
worker ask(question: string) -> { text: string @length(min: 3) } via llm {
  model = cheap  prompt = "Q: {{ question }}"  %s
}
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [ask]
  policy { max_rounds = 3  %s }
}
"""
ASK = ("a", "ask", {"question": "why?"})


def program(model: str = "", worker: str = "", policy: str = "") -> str:
    return LLM % (model, worker, policy)


def first_task(run: engine.Run) -> dict:
    return run.report()["history"][0]["tasks"][0]


def fail(mode: str, **more: object) -> dict:
    return {"$fail": mode, **more}


def test_an_llm_worker_answers_with_its_type(play, tasks, finish):
    run = play(
        program(),
        [tasks(ASK), finish(n=1)],
        models={"cheap": engine.Scripted(['{"text": "because"}'])},
    )
    assert first_task(run)["output"] == {"text": "because"}


def test_a_bad_output_is_asked_for_again_with_what_was_wrong(prompted, play, tasks, finish):
    cheap = prompted(['{"text": "a"}', "no json", '{"text": "because"}'])
    run = play(
        program(worker="repair { max = 2 }"), [tasks(ASK), finish(n=1)], models={"cheap": cheap}
    )
    assert first_task(run)["output"] == {"text": "because"}
    assert first_task(run)["attempts"] == 3
    assert "/text" in cheap.prompts[1][-1][1]
    assert "not JSON" in cheap.prompts[2][-1][1]


def test_repair_is_bounded(prompted, play, tasks, finish):
    cheap = prompted(['{"text": "a"}'] * 3)
    run = play(
        program(worker="repair { max = 2 }"), [tasks(ASK), finish(n=1)], models={"cheap": cheap}
    )
    assert first_task(run)["failure"]["mode"] == "invalid_output"
    assert first_task(run)["attempts"] == 3
    assert run.status == "finished"


def test_retry_then_fallback_then_report(play, tasks, finish):
    def run_with(cheap, spare, model="fallback = [spare]  retry { max = 1  backoff = 1ms }"):
        return play(
            program(model=model),
            [tasks(ASK), finish(n=1)],
            models={"cheap": engine.Scripted(cheap), "spare": engine.Scripted(spare)},
        )

    limited = fail("rate_limited", retryable=True)
    run = run_with([limited, {"text": "second try"}], [])
    assert first_task(run)["output"] == {"text": "second try"}
    run = run_with([limited, limited], [{"text": "the spare"}])
    assert first_task(run)["output"] == {"text": "the spare"}
    assert first_task(run)["attempts"] == 3
    # What cannot pass is not tried again.
    run = run_with([fail("refused")], [fail("refused", message="no")])
    refused = first_task(run)["failure"]
    assert (refused["mode"], refused["message"]) == ("refused", "no")
    assert first_task(run)["attempts"] == 2


def test_retry_on_names_the_modes(play, tasks, finish):
    run = play(
        program(model="retry { max = 3  on = [rate_limited]  backoff = 1ms }"),
        [tasks(ASK), finish(n=1)],
        models={"cheap": engine.Scripted([fail("unavailable", retryable=True)])},
    )
    assert first_task(run)["attempts"] == 1


def test_a_planner_that_fails_ends_the_run_as_failed(play):
    run = play(program(), [fail("refused", message="not today")])
    assert run.status == "failed"
    assert "refused: not today" in run.reason


def test_a_worker_that_hangs_is_timed_out(play, tasks, finish):
    source = """
worker hang() -> int via python { call = "tools:hang"  timeout = 20ms }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [hang]  policy { max_rounds = 2 }
}
"""
    tools = "import asyncio\nasync def hang():\n    await asyncio.Event().wait()\n"
    run = play(source, [tasks(("h", "hang", {})), finish(n=1)], tools)
    assert first_task(run)["failure"]["mode"] == "timeout"


def used(tokens_in: int, tokens_out: int, value: object) -> dict:
    return {"$reply": value, "usage": {"input_tokens": tokens_in, "output_tokens": tokens_out}}


def test_usage_and_cost_are_added_up(play, tasks, finish):
    run = play(
        program(),
        [tasks(ASK, ("b", "ask", {"question": "how?"})), finish(n=1)],
        models={
            "cheap": engine.Scripted(
                [used(1000, 500, {"text": "one"}), used(2000, 0, {"text": "two"})]
            )
        },
    )
    assert run.usage.input_tokens == 3000
    assert run.usage.output_tokens == 500
    assert run.usage.cost_micro_usd == 4_000


def test_usage_that_is_not_reported_is_settled_at_its_reservation(play, tasks, finish):
    run = play(
        program(model="max_tokens = 1000"),
        [tasks(ASK), finish(n=1)],
        models={"cheap": engine.Scripted([{"$reply": {"text": "one"}, "usage": None}])},
    )
    assert run.usage.estimated
    assert run.usage.output_tokens == 1000
    assert run.usage.cost_micro_usd >= 2_000


def test_parallel_calls_cannot_overshoot_a_budget_together(play, tasks, finish):
    # Each call may use up to 1000 tokens of answer and some hundred of prompt: two fit, not three.
    specs = [(f"a{i}", "ask", {"question": "?"}) for i in range(3)]
    run = play(
        program(model="max_tokens = 1000", policy="budget { tokens = 3500 }"),
        [tasks(*specs), finish(n=1)],
        models={"cheap": engine.Scripted([used(200, 1000, {"text": "one"})] * 2)},
    )
    modes = [t.get("failure", {}).get("mode") for t in run.report()["history"][0]["tasks"]]
    assert modes == [None, None, "over_budget"]
    assert run.usage.input_tokens + run.usage.output_tokens <= 3500


def test_a_call_waits_for_a_reservation_to_settle(play, tasks, finish):
    # Together the reservations pass the budget, one after the other they do not.
    specs = [(f"a{i}", "ask", {"question": "?"}) for i in range(3)]
    run = play(
        program(model="max_tokens = 1000", policy="budget { tokens = 2500 }"),
        [tasks(*specs), finish(n=1)],
        models={"cheap": engine.Scripted([used(10, 10, {"text": "one"})] * 3)},
    )
    assert [t["status"] for t in run.report()["history"][0]["tasks"]] == ["done"] * 3
    assert run.status == "finished"


def test_a_planner_without_budget_exhausts_with_the_bounds_name(play, tasks):
    source = """
model thinker { id = "scripted/none.json"  price { input = $100.00  output = $100.00 } }
orchestrator main() -> { n: int } {
  model = thinker  goal = "g"  workers = [one]
  policy { max_rounds = 9  budget { cost = $2.00 } }
}
worker one() -> int via python { call = "tools:one"  effect = pure }
"""
    thinker = engine.Scripted([used(1000, 4000, tasks((f"t{i}", "one", {}))) for i in range(9)])
    run = play(source, [], "def one():\n    return 1\n", models={"thinker": thinker})
    assert (run.status, run.bound) == ("exhausted", "budget.cost")
    assert run.usage.cost_micro_usd == 1_500_000
    assert run.partial == {"one": 1}


def test_the_time_budget_ends_the_run(play, tasks):
    source = """
worker hang() -> int via python { call = "tools:hang" }
worker one() -> int via python { call = "tools:one"  effect = pure }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [hang, one]
  policy { max_rounds = 2  budget { time = 300ms } }
}
"""
    tools = """
import asyncio
async def hang():
    await asyncio.Event().wait()
def one():
    return 1
"""
    run = play(source, [tasks(("h", "hang", {}), ("o", "one", {}))], tools)
    assert (run.status, run.bound) == ("exhausted", "budget.time")
    assert run.partial == {"one": 1}


def test_a_sub_orchestrator_cannot_spend_what_its_parent_does_not_have(play, tasks, finish):
    source = """
model cheap { id = "scripted/none.json"  max_tokens = 1000 }
model child { id = "scripted/none.json" }
worker ask() -> { text: string } via llm { model = cheap  prompt = "?" }
orchestrator inner() -> { n: int } {
  model = child  goal = "inner goal"  workers = [ask]
  policy { max_rounds = 3  budget { tokens = 100k } }
}
orchestrator main() -> { n: int } {
  model = planner  goal = "outer goal"  workers = [inner]
  policy { max_rounds = 3  budget { tokens = 3k } }
}
"""
    run = play(
        source,
        [tasks(("i", "inner", {})), finish(n=1)],
        models={
            "cheap": engine.Scripted([used(1000, 1000, {"text": "one"})]),
            "child": engine.Scripted(
                [
                    tasks(("a", "ask", {})),
                    tasks(("b", "ask", {}), ("c", "ask", {})),
                    finish(n=3),
                ]
            ),
        },
    )
    inner = first_task(run)
    assert inner["output"] == {"n": 3}
    second = inner["rounds"][1]["tasks"]
    assert [t["failure"]["mode"] for t in second] == ["over_budget", "over_budget"]
    assert run.usage.input_tokens == 1000


def test_a_child_that_is_exhausted_is_a_failure_its_parent_plans_on(play, tasks, finish):
    source = """
model child { id = "scripted/none.json" }
worker one() -> int via python { call = "tools:one"  effect = pure }
orchestrator inner() -> { n: int } {
  model = child  goal = "inner"  workers = [one]  policy { max_rounds = 1 }
}
orchestrator main() -> { n: int } {
  model = planner  goal = "outer"  workers = [inner]  policy { max_rounds = 3 }
}
"""
    run = play(
        source,
        [tasks(("i", "inner", {})), finish(n=1)],
        "def one():\n    return 1\n",
        models={"child": engine.Scripted([tasks(("a", "one", {}))])},
    )
    assert first_task(run)["failure"]["mode"] == "exhausted"
    assert first_task(run)["partial"] == {"one": 1}
    assert run.status == "finished"


def test_a_worker_that_swallows_its_cancellation_does_not_keep_the_run(play, tasks, monkeypatch):
    monkeypatch.setattr("engine.drive.driver.STOP_GRACE_S", 0.05)
    source = """
worker stubborn() -> int via python { call = "tools:stubborn" }
worker one() -> int via python { call = "tools:one" }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [stubborn, one]
  policy { max_rounds = 2  budget { time = 200ms } }
}
"""
    tools = """
import asyncio
async def stubborn():
    for _ in range(20):
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            pass
async def one():
    return 1
"""
    run = play(source, [tasks(("s", "stubborn", {}), ("o", "one", {}))], tools)
    assert (run.status, run.bound) == ("exhausted", "budget.time")


def test_a_reply_without_tokens_costs_nothing_where_no_price_is_known(play, tasks, finish):
    run = play(
        program().replace("price { input = $1.00  output = $2.00 }", ""),
        [tasks(ASK, ("b", "ask", {"question": "how?"})), finish(n=1)],
        models={"cheap": engine.Scripted([{"text": "free"}, used(0, 0, {"text": "free"})])},
    )
    assert run.usage.cost_micro_usd == 0


def test_null_is_a_result_where_the_type_says_so(play):
    source = """
worker one() -> int via python { call = "tools:one" }
orchestrator main() -> int? {
  model = planner  goal = "g"  workers = [one]  policy { max_rounds = 1 }
}
"""
    tools = "def one():\n    return 1\n"
    run = play(source, [{"assessment": "nothing there", "finish": None}], tools)
    assert (run.status, run.output) == ("finished", None)


def test_a_secret_is_no_input(load, monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter22")
    source = """
secret TOKEN
worker one() -> int via python { call = "tools:one" }
orchestrator main(topic: string) -> { n: int } {
  model = planner  goal = "g {{ topic }}"  workers = [one]  policy { max_rounds = 1 }
}
"""
    workflow = load(source, "def one():\n    return 1\n")
    with pytest.raises(engine.InputError, match="secret"):
        workflow.run(models={"planner": engine.Scripted([])}, topic="my hunter22")


def test_the_clock_of_a_call_starts_when_the_model_is_loaded(play, tasks, finish):
    class Slow:
        """Takes longer to load than a call may take, and answers at once."""

        async def prepare(self) -> None:
            loop = asyncio.get_running_loop()
            until = loop.time() + 0.005
            while loop.time() < until:
                await asyncio.sleep(0)

        async def complete(self, request: ModelRequest) -> ModelReply:
            return ModelReply('{"text": "because"}')

        async def close(self) -> None:
            return

    run = play(program("timeout = 1ms"), [tasks(ASK), finish(n=1)], models={"cheap": Slow()})
    assert first_task(run)["output"] == {"text": "because"}


def test_what_a_script_says_of_tokens_costs_nothing_without_a_price(play, tasks, finish):
    source = program().replace("price { input = $1.00  output = $2.00 }", "")
    cheap = engine.Scripted([used(900, 100, {"text": "free"})])
    run = play(source, [tasks(ASK), finish(n=1)], models={"cheap": cheap})
    assert (run.usage.input_tokens, run.usage.cost_micro_usd) == (900, 0)


def test_a_run_inside_an_event_loop_is_told_what_to_call(load):
    workflow = load(program())

    async def within() -> None:
        with pytest.raises(engine.UsageError, match="await `arun`"):
            workflow.run(models={"planner": engine.Scripted([])})
        with pytest.raises(engine.UsageError, match="await `aresume`"):
            engine.resume("last")

    asyncio.run(within())


FALLBACK = """
worker first(x: int) -> int fails gone via python { call = "tools:first"  fallback = [second] }
worker second(x: int) -> int via python { call = "tools:second" }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [first]  policy { max_rounds = 2 }
}
"""


def test_a_worker_that_fails_falls_back_on_another(play, tasks, finish):
    tools = """
import engine
def first(x):
    raise engine.Failure("gone", "no more")
def second(x):
    if x > 1:
        raise ValueError("too much")
    return x * 10
"""
    both = tasks(("a", "first", {"x": 1}), ("b", "first", {"x": 2}))
    run = play(FALLBACK, [both, finish(n=1)], tools)
    done = {t["id"]: t for t in run.report()["history"][0]["tasks"]}
    assert (done["a"]["output"], done["a"]["attempts"]) == (10, 2)
    assert done["b"]["failure"]["message"] == "ValueError: too much"
    assert run.report()["dispatches"] == 2


def test_a_fallback_writes_under_the_key_of_its_task(play, tasks, finish):
    source = FALLBACK.replace(
        'call = "tools:', 'args = { x: x, key: task.key }  effect = write  call = "tools:'
    )
    tools = """
import engine
keys = []
def first(x, key):
    keys.append(key)
    raise engine.Failure("timeout", "perhaps it was done")
def second(x, key):
    keys.append(key)
    return len(set(keys))
"""
    run = play(source, [tasks(("a", "first", {"x": 1})), finish(n=1)], tools)
    (done,) = run.report()["history"][0]["tasks"]
    assert (done["output"], done["attempts"]) == (1, 2)


def test_a_fallback_may_not_have_a_stronger_effect(load):
    with pytest.raises(engine.CompileError, match="stronger than read"):
        load(
            FALLBACK.replace('"tools:second"', '"tools:second"  effect = write'),
            "def first(x):\n    return x\ndef second(x):\n    return x\n",
        )


def test_nothing_is_booked_for_a_call_that_waits_when_the_run_ends(load, tasks):
    slow = fail("rate_limited", retry_after_ms=60_000)
    models = {"planner": engine.Scripted([tasks(ASK)]), "cheap": engine.Scripted([slow, "x"])}

    async def cancelled():
        workflow = load(program(model="retry { max = 2 }"))
        handle = await workflow.start(models=models, journal=None)
        async for event in handle.events():
            if isinstance(event, CallFailed):
                return await handle.cancel()
        raise AssertionError("nothing has failed")

    run = asyncio.run(cancelled())
    assert run.status == "cancelled"
    assert (run.usage.input_tokens, run.usage.estimated) == (0, False)
    assert run.usage.cost_micro_usd == 0
