"""Bounds on sizes: what is refused, in which mode, and what the planner and a person hear of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import engine
from engine.errors import InputError, UsageError
from engine.events import CallFinished, CallStarted, RunResumed, RunStarted
from engine.history.replay import replay
from engine.models.scripted import Scripted
from engine.runtime.machine import fold, step
from engine.runtime.ports import ModelReply, ModelRequest
from engine.runtime.state import RunState

TOOLS = """
calls = []
def page(size=1000):
    return "x" * size
def many(count):
    return [{} for _ in range(count)]
def join(pages):
    calls.append(pages)
    return len(pages)
def echo(value):
    return value
def say(text):
    return text
def judge(**seen):
    return {"ok": False, "feedback": "no " * 20_000}
def boom():
    raise ValueError("z" * 20_000)
"""
WORKERS = """
worker page(size: int = 1000) -> string via python { call = "tools:page" }
worker join(pages: string[]) -> int via python { call = "tools:join"  effect = pure }
worker echo(value: json) -> json via python { call = "tools:echo" }
"""
MAIN = """
orchestrator main() -> json {
  model = planner  goal = "g"  workers = [%s]
  policy { max_rounds = 6  max_per_round = 20  %s }
}
"""


def main(policy: str = "", workers: str = "page, join, echo") -> str:
    return MAIN % (workers, policy)


def from_(task: str, at: str | None = None) -> dict[str, str]:
    return {"$from": task} if at is None else {"$from": task, "at": at}


def only_failure(run: engine.Run) -> tuple[str, str]:
    (failure,) = run.failures
    return failure.mode, failure.message


# ---------------------------------------------------------------- inputs


def test_an_input_that_is_too_large_with_what_it_refers_to_fails_before_it_is_laid_out(
    prompted, play, tasks
):
    planner = prompted(
        [
            tasks(("a", "page", {})),
            tasks(("b", "join", {"pages": [from_("a")] * 9}), ("c", "join", {"pages": ["x"]})),
            {"finish": 1},
        ]
    )
    run = play(WORKERS + main("max_input_bytes = 8KiB"), planner, TOOLS)
    mode, message = only_failure(run)
    assert mode == "unmet_reference"
    assert "takes more than 8 KiB (`max_input_bytes`)" in message
    assert 'refer to a part of an output with "at", or to fewer outputs' in message
    assert (run.status, run.report()["history"][1]["tasks"][1]["output"]) == ("finished", 1)
    assert message in planner.prompts[-1][-1][1]


@pytest.mark.parametrize(("count", "fits"), [(7, True), (9, False)])
def test_outputs_count_as_often_as_they_are_referred_to(play, tasks, count, fits):
    decisions = [
        tasks(("a", "page", {})),
        tasks(("b", "join", {"pages": [from_("a")] * count})),
        {"finish": 1},
    ]
    run = play(WORKERS + main("max_input_bytes = 8KiB"), decisions, TOOLS)
    assert (run.failures == ()) is fits


def test_a_part_of_a_large_output_counts_by_itself(play, tasks):
    parts = 'worker parts() -> json via python { call = "tools:parts" }'
    tools = TOOLS + 'def parts(): return {"large": "y" * 6000, "small": "z"}\n'
    decisions = [
        tasks(("a", "parts", {})),
        tasks(
            ("b", "echo", {"value": from_("a", "/small")}),
            ("c", "echo", {"value": from_("a", "/large")}),
            ("d", "echo", {"value": from_("a", "/none")}),
        ),
        {"finish": 1},
    ]
    source = WORKERS + parts + main("max_input_bytes = 4KiB", "parts, echo")
    run = play(source, decisions, tools)
    found = {f.task: (f.mode, f.message) for f in run.failures}
    assert list(found) == ["c", "d"]
    assert "takes more than 4 KiB" in found["c"][1]
    assert found["d"] == ("unmet_reference", "a has no key `none`")


def test_what_a_decision_writes_out_is_bounded_too(play, tasks):
    decisions = [tasks(("a", "echo", {"value": "y" * 6000})), {"finish": 1}]
    run = play(WORKERS + main("max_input_bytes = 4KiB"), decisions, TOOLS)
    (said,) = run.report()["history"][0]["rejected"]
    assert "takes more than 4 KiB (`max_input_bytes`): refer to outputs instead" in said


def test_many_small_values_count_as_what_they_take_in_memory(play, tasks):
    many = 'worker many(count: int) -> json via python { call = "tools:many" }'
    decisions = [
        tasks(("a", "many", {"count": 1000})),
        tasks(("b", "echo", {"value": from_("a")})),
        {"finish": 1},
    ]
    source = WORKERS + many + main("max_input_bytes = 64KiB", "many, echo")
    run = play(source, decisions, TOOLS)
    assert len(json.dumps([{}] * 1000)) < 5000
    assert only_failure(run)[0] == "unmet_reference"


def test_defaults_in_the_items_of_a_list_do_not_multiply_beyond_the_bound(play, tasks):
    source = """
schema Item { words: string[] = ["%s"] }
worker take(items: Item[]) -> int via python { call = "tools:take" }
""" % ("w" * 500)
    tools = "def take(items): return len(items)\n"
    decisions = [
        tasks(("a", "take", {"items": [{}] * 5})),
        tasks(("b", "take", {"items": [{}] * 50})),
        {"finish": 1},
    ]
    run = play(source + main("max_input_bytes = 16KiB", "take"), decisions, tools)
    assert run.status == "finished"
    history = run.report()["history"]
    assert history[0]["tasks"][0]["output"] == 5
    assert "its input takes more than 16 KiB" in history[1]["rejected"][0]


def test_a_task_of_a_decision_that_still_streams_is_bounded_too(play, tasks):
    class Streaming:
        def __init__(self, answers: list[Any]) -> None:
            self.answers = list(answers)

        async def complete(self, request: ModelRequest) -> ModelReply:
            text = json.dumps(self.answers.pop(0))
            assert request.on_text is not None
            for at in range(0, len(text), 50):
                request.on_text(text[at : at + 50])
                await asyncio.sleep(0)
            return ModelReply(text)

        async def close(self) -> None:
            return

    planner = Streaming(
        [
            tasks(("a", "page", {})),
            tasks(("b", "join", {"pages": [from_("a")] * 9})),
            {"finish": 1},
        ]
    )
    run = play(WORKERS + main("max_input_bytes = 8KiB"), planner, TOOLS)
    assert only_failure(run)[0] == "unmet_reference"


def test_a_verifier_is_not_asked_about_more_than_an_input_may_take(play, tasks):
    source = (
        WORKERS
        + 'verifier seen(log: json) via python { call = "tools:judge" }'
        + main("max_input_bytes = 4KiB").replace(
            "policy", "verify { after_round { with = seen  on_fail = abort } } policy"
        )
    )
    run = play(source, [tasks(("a", "page", {"size": 5000}))], TOOLS)
    assert run.status == "aborted"
    assert "seen: it was not asked: its inputs take more than 4 KiB" in run.reason


def test_inputs_and_params_of_a_run_are_bounded_before_it_begins(load):
    source = 'param word: string = "w"\n' + main("max_input_bytes = 1KiB", "echo").replace(
        "main()", "main(text: string)"
    )
    workflow = load(source + WORKERS, TOOLS)
    with pytest.raises(InputError, match="the inputs take more than 1 KiB"):
        workflow.run(input={"text": "x" * 2000})
    path = workflow.program.path
    with pytest.raises(InputError, match="the params take more than 1 KiB"):
        engine.load(path, params={"word": "y" * 2000}).run(input={"text": "x"})


# ---------------------------------------------------------------- outputs

KINDS = {
    "python": 'via python { call = "tools:say"  max_bytes = 2KiB }',
    "isolated": 'via python { call = "tools:say"  isolate = true  max_bytes = 2KiB }',
    "command": (
        'via command { run = ["cat"]  stdin = text  parse = text  effect = read  max_bytes = 2KiB }'
    ),
    "llm": 'via llm { model = writer  prompt = "{{ text }}"  max_bytes = 2KiB }',
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_that_is_too_large_is_not_an_output(play, tasks, kind):
    source = (
        'model writer { id = "scripted/none.json" }\n'
        f"worker say(text: string) -> string {KINDS[kind]}\n" + main(workers="say")
    )
    long = "x" * 3000
    decisions = [
        tasks(("a", "say", {"text": "short"}), ("b", "say", {"text": long})),
        {"finish": 1},
    ]
    run = play(source, decisions, TOOLS, models={"writer": Scripted(["short", long])})
    mode, message = only_failure(run)
    assert mode == "invalid_output"
    assert "2 KiB" in message
    # It is not in the journal either.
    ends = [e for e in run.journal.read(run.id) if isinstance(e, CallFinished)]
    assert not any(long in str(event.value) for event in ends if "task" in event.key)


def test_the_result_of_an_orchestrator_is_bounded(play):
    bounded = main().replace("policy", "max_bytes = 1KiB  policy")
    run = play(WORKERS + bounded, [{"finish": "x" * 2000}, {"finish": "short"}], TOOLS)
    assert run.output == "short"
    assert "the result takes more than 1 KiB" in run.report()["history"][0]["rejected"][0]


def test_what_escalation_gives_is_bounded(play, tasks):
    source = (
        WORKERS
        + 'verifier no(outputs: json) via rules { assert false else "no" }'
        + main()
        .replace("main()", "main(text: string)")
        .replace(
            "policy",
            "max_bytes = 1KiB  on_escalate { output = text ~ text }  verify { after_round "
            "{ with = no  on_fail = escalate } }  policy",
        )
    )
    run = play(source, [tasks(("a", "page", {}))], TOOLS, text="x" * 600)
    assert run.status == "aborted"
    assert "on_escalate: it takes more than 1 KiB" in run.reason


def test_what_a_person_gives_is_bounded_where_the_person_can_be_told(play, tasks):
    source = (
        WORKERS
        + 'verifier ok(input: json) via human { message = "ok?" }'
        + main("max_input_bytes = 1KiB").replace(
            "policy", "verify { before_dispatch echo { with = ok } } policy"
        )
    )
    run = play(source, [tasks(("a", "echo", {"value": 1})), {"finish": 1}], TOOLS)
    assert run.status == "waiting"
    reply = engine.Reply("approve", edit={"value": "x" * 2000})
    with pytest.raises(UsageError, match="it takes more than 1 KiB"):
        engine.resume(run.id, journal=run.journal, reply=reply)


# ---------------------------------------------------------------- decisions and prompts


@pytest.mark.parametrize("as_text", [True, False])
def test_a_decision_that_is_too_large_is_asked_for_again_and_only_its_beginning_kept(
    play, tasks, as_text
):
    large = tasks(("a", "echo", {"value": "x" * 20_000}))
    first = json.dumps(large) if as_text else large
    run = play(WORKERS + main("max_decision_bytes = 16KiB"), [first, {"finish": 1}], TOOLS)
    assert run.status == "finished"
    (said,) = run.report()["history"][0]["rejected"]
    assert "may take 16 KiB (`max_decision_bytes`)" in said
    (event, *_) = [e for e in run.journal.read(run.id) if isinstance(e, CallFinished)]
    assert event.whole > 20_000
    assert len(event.value) == 8_000


def test_a_streamed_decision_is_broken_off_when_it_is_too_large(play):
    class Endless:
        sent = 0

        async def complete(self, request: ModelRequest) -> ModelReply:
            if request.key.endswith("decision 2"):
                return ModelReply('{"finish": 1}')
            assert request.on_text is not None
            while True:
                self.sent += 1000
                request.on_text("x" * 1000)
                await asyncio.sleep(0)

        async def close(self) -> None:
            return

    planner = Endless()
    run = play(WORKERS + main("max_decision_bytes = 16KiB"), planner, TOOLS)
    assert (run.status, run.output) == ("finished", 1)
    assert planner.sent < 20_000


def test_a_prompt_that_is_too_large_goes_to_the_next_model_or_fails(play, tasks):
    source = """
model small { id = "scripted/none.json"  max_prompt_bytes = 1KiB  fallback = [large] }
model large { id = "scripted/none.json"  max_prompt_bytes = 4KiB }
worker say(text: string) -> string via llm { model = small  prompt = "{{ text }}" }
"""

    class Reader:
        def __init__(self, name: str) -> None:
            self.name = name

        async def complete(self, request: ModelRequest) -> ModelReply:
            assert request.messages[-1].content
            return ModelReply(self.name)

        async def close(self) -> None:
            return

    texts = {"a": "x" * 100, "b": "x" * 2000, "c": "x" * 5000}
    decision = tasks(*((name, "say", {"text": text}) for name, text in texts.items()))
    run = play(
        source + main(workers="say"),
        [decision, {"finish": 1}],
        models={"small": Reader("small"), "large": Reader("large")},
    )
    first, second, _ = run.report()["history"][0]["tasks"]
    assert (first["output"], second["output"]) == ("small", "large")
    mode, message = only_failure(run)
    assert mode == "context_overflow"
    assert "more than 4 KiB (`max_prompt_bytes` of the model)" in message


# ---------------------------------------------------------------- what a run keeps

DOUBLING = [
    {"tasks": [{"id": "t0", "worker": "page", "input": {}}]},
    *(
        {"tasks": [{"id": f"t{n}", "worker": "echo", "input": {"value": [from_(f"t{n - 1}")] * 2}}]}
        for n in range(1, 5)
    ),
]


def test_a_run_that_keeps_too_much_ends_with_the_best_it_has(play):
    run = play(WORKERS + main("max_kept_bytes = 6KiB"), DOUBLING, TOOLS)
    assert (run.status, run.bound) == ("exhausted", "max_kept_bytes")
    assert "max_kept_bytes = 6 KiB is reached" in run.reason
    assert run.report()["partial"] == {"page": "x" * 1000, "echo": [["x" * 1000] * 2] * 2}


def test_the_result_that_fills_it_up_is_the_result(play):
    run = play(WORKERS + main("max_kept_bytes = 1KiB"), [{"finish": "y" * 2000}], TOOLS)
    assert (run.status, run.output) == ("finished", "y" * 2000)


def test_what_a_child_keeps_counts_for_those_above_it(play, tasks):
    source = (
        WORKERS
        + 'model m { id = "scripted/none.json" }'
        + main("max_kept_bytes = 64KiB").replace("main()", "kid()").replace("= planner", "= m")
        + main("max_kept_bytes = 3KiB", "kid")
    )
    run = play(source, [tasks(("a", "kid", {}))], TOOLS, models={"m": Scripted(DOUBLING)})
    assert (run.status, run.bound) == ("exhausted", "max_kept_bytes")


def test_goals_made_from_large_inputs_count_too(play, tasks):
    source = (
        WORKERS
        + 'model m { id = "scripted/none.json" }'
        + main()
        .replace("main()", "kid(text: string)")
        .replace('"g"', '"do {{ text }}"')
        .replace("= planner", "= m")
        + main("max_kept_bytes = 16KiB", "page, kid")
    )
    kids = tasks(*((f"k{n}", "kid", {"text": from_("a")}) for n in range(20)))
    run = play(
        source,
        [tasks(("a", "page", {"size": 3000})), kids],
        TOOLS,
        models={"m": Scripted([{"finish": 1}] * 20)},
    )
    assert (run.status, run.bound) == ("exhausted", "max_kept_bytes")
    rendered = [task.child.goal for task in run._state.loop.tasks.values() if task.child]
    assert sum(map(len, rendered)) < 20_000


def test_long_words_of_others_are_cut(play, tasks):
    source = (
        WORKERS
        + 'worker boom() -> int via python { call = "tools:boom" }'
        + 'verifier judge(output: json) via python { call = "tools:judge" }'
        + main(workers="page, boom").replace(
            "policy", "verify { after_dispatch page { with = judge  on_fail = warn } } policy"
        )
    )
    run = play(source, [tasks(("a", "page", {}), ("b", "boom", {})), {"finish": 1}], TOOLS)
    (verdict,) = run.report()["history"][0]["verdicts"]
    assert verdict["feedback"].endswith("... (cut: 60,000 characters in total)")
    assert len(verdict["feedback"]) < 9_000
    assert len(only_failure(run)[1]) <= 2_000


# ---------------------------------------------------------------- journals


def begun(load, bounds: int) -> RunState:
    """A run in which `b` refers to nine kilobytes, where an input may take eight."""
    program = load(WORKERS + main("max_input_bytes = 8KiB"), TOOLS).program
    infos = {name: engine.events.ModelInfo(f"memory/{name}") for name in program.models}
    decisions = [
        {"tasks": [{"id": "a", "worker": "page", "input": {}}]},
        {"tasks": [{"id": "b", "worker": "join", "input": {"pages": [from_("a")] * 9}}]},
    ]
    return fold(
        program,
        [
            RunStarted(
                run="r", orchestrator="main", input={}, models=infos, program="p", bounds=bounds
            ),
            CallStarted(key="round 1 / decision 1"),
            CallFinished(key="round 1 / decision 1", value=decisions[0]),
            CallStarted(key="round 1 / decision 1 / task a"),
            CallFinished(key="round 1 / decision 1 / task a", value="x" * 1000),
            CallStarted(key="round 2 / decision 1"),
            CallFinished(key="round 2 / decision 1", value=decisions[1]),
        ],
    )


def test_a_run_of_an_engine_without_bounds_is_folded_as_it_went(load):
    state = begun(load, bounds=0)
    assert list(state.calls) == ["round 2 / decision 1 / task b"]
    assert begun(load, bounds=1).loop.tasks["b"].failure.mode == "unmet_reference"


def test_bounds_hold_from_the_moment_that_this_engine_takes_a_run_over(load):
    state = begun(load, bounds=0)
    step(state, RunResumed(bounds=1))
    # What had been asked for already goes on; what comes now is bounded.
    key = "round 2 / decision 1 / task b"
    step(state, CallStarted(key=key))
    step(state, CallFinished(key=key, value=9))
    again = {"tasks": [{"id": "c", "worker": "join", "input": {"pages": [from_("a")] * 9}}]}
    step(state, CallStarted(key="round 3 / decision 1"))
    step(state, CallFinished(key="round 3 / decision 1", value=again))
    tasks = state.loop.tasks
    assert (tasks["b"].output, tasks["c"].failure.mode) == (9, "unmet_reference")


@pytest.mark.parametrize("policy", ["max_kept_bytes = 6KiB", "max_input_bytes = 3KiB"])
def test_a_journal_in_which_bounds_were_hit_replays_without_divergence(play, load, policy):
    run = play(WORKERS + main(policy), [*DOUBLING, {"finish": 1}], TOOLS)
    assert run.status in ("exhausted", "finished")
    found = replay(load(WORKERS + main(policy), TOOLS).program, run.journal.read(run.id))
    assert found.divergence is None
