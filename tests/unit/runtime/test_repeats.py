"""What may come twice and what may not: starts, keys of calls, hooks of one point, gates."""

from __future__ import annotations

import asyncio
import json

import pytest

import engine
from engine import Reply
from engine.drive.driver import Driver
from engine.events import (
    CallFailed,
    CallFinished,
    CallLost,
    CallStarted,
    CancelRequested,
    GateOpened,
    RunEnded,
    RunResumed,
    RunRetried,
    RunStarted,
    TaskClosed,
    TimerFired,
)
from engine.models.registry import open_model
from engine.runtime.commands import OpenGate, StartCall
from engine.runtime.machine import fold, step
from engine.runtime.ports import ModelReply, ModelRequest, WorkerReply, WorkerRequest
from engine.runtime.report import run_report
from engine.runtime.state import RunState

TOOLS = """
import pathlib
calls = []
def one(x=1):
    calls.append(x)
    return x
def check(output=None, result=None):
    calls.append("check")
    return {"ok": len(calls) > 2, "feedback": "not yet"}
"""


def keys(run: engine.Run) -> list[str]:
    return [e.key for e in run.journal.read(run.id) if isinstance(e, CallStarted)]


def planned(load, source: str, decision: dict) -> RunState:
    """A run of `source` whose planner has just answered."""
    program = load(source, TOOLS).program
    infos = {name: engine.events.ModelInfo(f"memory/{name}") for name in program.models}
    state = RunState(program)
    step(state, RunStarted(run="r", orchestrator="main", input={}, models=infos, program="p"))
    step(state, CallStarted(key="round 1 / decision 1"))
    step(state, CallFinished(key="round 1 / decision 1", value=json.dumps(decision)))
    return state


SUB = """
model child { id = "scripted/none.json" }
worker one(x: int = 1) -> int via python { call = "tools:one"  effect = pure }
verifier check(output: json) via python { call = "tools:check" }
orchestrator inner() -> { n: int } {
  model = child  goal = "inner"  workers = [one]  policy { max_rounds = 2 }
}
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [%s]  policy { max_rounds = 3  max_parallel = 1 }
  verify { after_dispatch %s { with = check  on_fail = revise  max_revisions = 3 } }
}
"""


def test_a_revised_sub_orchestrator_has_calls_of_its_own_and_hears_why(
    prompted, play, tasks, finish
):
    child = prompted([finish(n=1), finish(n=2), finish(n=3)])
    run = play(
        SUB % ("inner", "inner"),
        [tasks(("i", "inner", {})), finish(n=1)],
        TOOLS,
        models={"child": child},
    )
    assert run.status == "finished", run.reason
    started = keys(run)
    assert len(set(started)) == len(started) == 2 + 3 + 3
    assert "not yet" in child.prompts[1][-1][1]


@pytest.mark.parametrize("effect", ["write", "once"])
def test_a_sub_orchestrator_that_has_changed_something_is_not_asked_again(
    prompted, play, tasks, finish, effect
):
    child = prompted([tasks(("x", "one", {"x": 7})), finish(n=1)])
    source = (SUB % ("inner", "inner")).replace("effect = pure", f"effect = {effect}")
    decisions = [tasks(("i", "inner", {})), finish(n=1)]
    tools = TOOLS.replace('"ok": len(calls) > 2', '"ok": False')
    run = play(source, decisions, tools, models={"child": child})
    assert run.status == "finished", run.reason
    assert [(f.mode, f.message) for f in run.failures] == [("denied", "check: not yet")]
    assert len([key for key in keys(run) if key.endswith("task x")]) == 1


def test_what_did_not_pass_its_check_is_not_looked_up_again(play, tasks, finish):
    decisions = [
        tasks(("a", "one", {"x": 7})),
        tasks(("b", "one", {"x": 7})),
        finish(n=1),
    ]
    tools = TOOLS.replace("len(calls) > 2", "len(calls) not in (4, 5)")
    run = play(SUB % ("one, inner", "one"), decisions, tools)
    assert run.status == "finished", run.reason
    assert len(set(keys(run))) == len(keys(run))


TWO_HOOKS = """
worker one(x: int = 1) -> int via python { call = "tools:one"  effect = %s }
verifier small(x: int) via rules { assert x < 5 else "too large" }
verifier never(x: int) via rules { assert x < 0 else "never" }
verifier person(x: int) via human { message = "{{ x }}?" }
verifier check(result: json) via python { call = "tools:check" }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [one]  policy { max_rounds = 3 }
  verify { %s }
}
"""


def hooks(text: str, effect: str = "read") -> str:
    return TWO_HOOKS % (effect, text)


def test_two_hooks_of_a_point_may_have_the_same_verifier(play, finish):
    text = """
    before_finish { with = check  on_fail = warn }
    before_finish { with = check  on_fail = warn }
    """
    run = play(hooks(text), [finish(n=1)], TOOLS)
    assert run.status == "finished"
    assert len(set(keys(run))) == 3


def test_a_hook_that_only_warns_does_not_hide_those_after_it(play, tasks):
    text = """
    before_dispatch one { with = never  on_fail = warn }
    before_dispatch one { with = small  on_fail = abort }
    """
    run = play(hooks(text), [tasks(("a", "one", {"x": 9}))], TOOLS)
    assert run.status == "aborted"
    assert "too large" in run.reason
    text = text.replace("on_fail = warn", "on_fail = revise  max_revisions = 0  then = warn")
    assert play(hooks(text), [tasks(("a", "one", {"x": 9}))], TOOLS).status == "aborted"


def test_a_yes_to_one_hook_does_not_skip_the_next(play, tasks):
    text = """
    before_dispatch one { with = never  on_fail = escalate }
    before_dispatch one { with = small  on_fail = abort }
    """
    run = play(hooks(text), [tasks(("a", "one", {"x": 9}))], TOOLS)
    assert run.gates[0].kind == "escalation"
    done = engine.resume(
        run.id,
        journal=run.journal,
        models={"planner": engine.Scripted([])},
        reply=Reply(answer="approve"),
    )
    assert done.status == "aborted"
    assert "too large" in done.reason


def test_hooks_after_a_gate_see_the_input_as_the_person_changed_it(play, tasks):
    text = """
    before_dispatch one { with = person  on_fail = abort }
    before_dispatch one { with = small  on_fail = abort }
    """
    run = play(hooks(text), [tasks(("a", "one", {"x": 1}))], TOOLS)
    done = engine.resume(
        run.id,
        journal=run.journal,
        models={"planner": engine.Scripted([])},
        reply=Reply(answer="approve", edit={"x": 99}),
    )
    assert done.status == "aborted"
    assert "too large" in done.reason


def test_an_open_gate_is_watched_over_by_whoever_takes_the_run_over(load, tasks):
    text = "before_dispatch one { with = person  on_fail = abort }"
    source = hooks(text).replace('"{{ x }}?"', '"{{ x }}?"  timeout = 1m')
    state = planned(load, source, tasks(("a", "one", {"x": 1})))
    (key,) = state.gates
    # It crashed before the question was in the journal.
    _, commands = step(state, RunResumed(wall_ms=5_000))
    assert OpenGate(key, 60_000) in commands
    step(state, GateOpened(key=key, wall_ms=5_000))
    _, commands = step(state, RunResumed(wall_ms=25_000))
    assert OpenGate(key, 40_000) in commands


SLOTS = """
model small { id = "scripted/none.json"  fallback = [planner]  retry { max = 2 } }
worker send(x: int) -> int via python { call = "tools:one"  effect = once  timeout = 1s }
worker sign() -> { n: int } via llm {
  model = small  prompt = "?"  effect = once  repair { max = 2 }
}
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [send, sign]
  policy { max_rounds = 3  max_parallel = 1  budget { tokens = 100k } }
}
"""


def test_a_once_task_of_unknown_outcome_gives_its_slot_back(load, tasks):
    decision = tasks(("a", "send", {"x": 1}), ("b", "send", {"x": 2}))
    state = planned(load, SLOTS, decision)
    (first,) = state.calls
    step(state, CallStarted(key=first))
    step(state, CallFailed(key=first, mode="timeout"))
    assert list(state.gates) == [f"{first} / outcome"]
    assert [key.rpartition(" ")[2] for key in state.calls] == ["b"]


def test_a_once_task_of_a_model_is_not_repaired_and_falls_back_to_none(load, tasks):
    for end in (
        CallFinished(key="round 1 / decision 1 / task a", value="no json"),
        CallFailed(key="round 1 / decision 1 / task a", mode="refused", retryable=True),
    ):
        state = planned(load, SLOTS, tasks(("a", "sign", {})))
        step(state, CallStarted(key="round 1 / decision 1 / task a"))
        step(state, end)
        task = state.loop.tasks["a"]
        assert task.attempts == 1
        # What has happened and cannot be read is as good as unknown: a person has to tell.
        unknown = isinstance(end, CallFinished)
        assert task.status == ("unknown" if unknown else "failed")
        assert len(state.gates) == unknown


def test_a_lost_once_call_gives_its_reservation_back(load, tasks):
    state = planned(load, SLOTS, tasks(("a", "sign", {})))
    step(state, CallStarted(key="round 1 / decision 1 / task a"))
    assert state.loop.ledger.reserved_tokens > 0
    step(state, RunResumed())
    assert state.loop.ledger.reserved_tokens == 0
    assert state.loop.ledger.estimated


def test_a_once_call_that_had_not_begun_again_is_not_asked_about_again(load, tasks):
    state = planned(load, SLOTS, tasks(("a", "send", {"x": 1})))
    key = "round 1 / decision 1 / task a"
    step(state, CallStarted(key=key))
    step(state, CallFailed(key=key, mode="timeout"))
    step(state, engine.events.GateAnswered(key=f"{key} / outcome", answer="not_done"))
    _, commands = step(state, RunResumed())
    assert not state.gates
    assert [command.attempt for command in commands] == [2]


def test_a_worker_that_is_no_name_is_a_bad_decision_under_structured_output(play, finish):
    source = """
model strict { id = "scripted/none.json"  structured = native }
worker one(x: int = 1) -> int via python { call = "tools:one"  effect = pure }
orchestrator main() -> { n: int } {
  model = strict  goal = "g"  workers = [one]  policy { max_rounds = 1 }
}
"""
    bad = json.dumps({"assessment": "", "tasks": [{"worker": [], "id": "a", "input": {}}]})
    run = play(source, [], TOOLS, models={"strict": engine.Scripted([bad, finish(n=1)])})
    assert run.status == "finished"


EAGER = """
worker look(x: int) -> int via python { call = "tools:one"  effect = read }
worker post(x: int) -> int via python { call = "tools:one"  effect = write }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [look, post]
  policy { max_rounds = 3  max_per_round = 2 }
}
"""


def streaming(load, *closed: dict) -> RunState:
    program = load(EAGER, TOOLS).program
    state = RunState(program)
    infos = {"planner": engine.events.ModelInfo("memory/planner")}
    step(state, RunStarted(run="r", orchestrator="main", input={}, models=infos, program="p"))
    step(state, CallStarted(key="round 1 / decision 1"))
    for task in closed:
        step(state, TaskClosed(key="round 1 / decision 1", attempt=1, task=task))
    return state


def look(id: str, x: object) -> dict:
    return {"id": id, "worker": "look", "input": {"x": x}}


def decide(state: RunState, attempt: int, *tasks: dict) -> None:
    value = json.dumps({"tasks": list(tasks)})
    step(state, CallFinished(key=f"round 1 / decision {attempt}", value=value))


def test_tasks_that_started_early_count_towards_max_per_round(load):
    state = streaming(load, look("a", 1), look("b", 2))
    decide(state, 1, look("a", 1), look("b", 2), look("c", 3))
    assert set(state.loop.tasks) == {"a", "b"}
    decide(state, 2, look("d", 1))
    assert set(state.loop.tasks) == {"a", "b"}
    decide(state, 3, look("b", 2))
    assert {task.id for task in state.loop.current.tasks} == {"a", "b"}


def test_a_rejected_decision_leaves_nothing_behind_in_what_started_early(load):
    state = streaming(load, look("a", 1))
    post = {"id": "p", "worker": "post", "input": {"x": {"$from": "a"}}}
    decide(state, 1, look("a", 1), post, look("p", 3))
    step(state, CallFinished(key="round 1 / decision 1 / task a", value=1))
    assert set(state.loop.tasks) == {"a"}
    assert set(state.calls) == {"round 1 / decision 2"}


CALLED_OFF = """
model child { id = "scripted/none.json" }
worker one(x: int = 1) -> int via python { call = "tools:one"  effect = write }
orchestrator inner() -> { n: int } {
  model = child  goal = "inner"  workers = [one]
  policy { max_rounds = 2  max_parallel = 1  budget { time = 1h } }
}
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [inner]  policy { max_rounds = 3 }
}
"""


class Hanging:
    """A port whose calls never end by themselves."""

    def __init__(self) -> None:
        self.called: list[str] = []

    async def call(self, request: WorkerRequest) -> WorkerReply:
        self.called.append(request.key)
        await asyncio.Event().wait()
        raise AssertionError


class Unkept:
    """A journal for a run that nobody takes over."""

    async def append(self, events: list[engine.events.Event]) -> None:
        return


def test_a_call_called_off_in_the_turn_that_asked_for_it_is_not_made(load, tasks, finish):
    program = load(CALLED_OFF, TOOLS).program
    infos = {name: engine.events.ModelInfo(f"memory/{name}") for name in program.models}
    scripts = {
        "planner": engine.Scripted([tasks(("i", "inner", {})), finish(n=1)]),
        "child": engine.Scripted([tasks(("a", "one", {}), ("b", "one", {}))]),
    }
    models = {
        name: open_model(program.models[name], infos[name], override=script)
        for name, script in scripts.items()
    }
    port = Hanging()

    def observe(event: engine.events.Event, state: RunState) -> None:
        if isinstance(event, CallStarted) and event.key.endswith("task a"):
            # In one turn: `a` ends and lets `b` go, and the time of both is up.
            path = event.key.removesuffix("round 1 / decision 1 / task a")
            driver.feed(CallFinished(key=event.key, value=1))
            driver.feed(TimerFired(timer=f"{path}time"))

    state = RunState(program)
    driver = Driver(state, Unkept(), models.__getitem__, lambda kind: port, observers=[observe])
    began = RunStarted(run="r", orchestrator="main", input={}, models=infos, program="p")
    asyncio.run(driver.drive([began]))
    assert state.status == "finished"
    assert [key.rpartition(" ")[2] for key in port.called] == ["a"]


ODD = """
worker one() -> int via python { call = "tools:one"  effect = read }
orchestrator main() -> json {
  model = planner  goal = "g"  workers = [one]  policy { max_rounds = 2  repair { max = 0 } }
}
"""


class Says:
    """A model that gives the same answer each time, whatever it is."""

    def __init__(self, value: object) -> None:
        self.value = value

    async def complete(self, request: ModelRequest) -> ModelReply:
        return ModelReply(self.value)

    async def close(self) -> None:
        return


def test_what_a_journal_cannot_hold_does_not_break_a_run(load):
    workflow = load(ODD, 'def one():\n    raise ValueError("half: \\ud800")\n')
    use = {"tasks": [{"id": "a", "worker": "one", "input": {}}]}
    for said, status in (
        ('{"assessment": "\ud800", "finish": 1}', "finished"),
        ('{"assessment": "\\ud800", "finish": 1}', "exhausted"),
        ({"finish": float("nan")}, "failed"),
        ({"finish": (1, 2)}, "finished"),
        ({"finish": {1}}, "failed"),
        (b"bytes", "failed"),
        (None, "exhausted"),
        (use, "exhausted"),
    ):
        run = workflow.run(models={"planner": Says(said)})
        assert run.status == status, (said, run.reason)
        folded = fold(workflow.program, run.journal.read(run.id))
        assert run_report(folded, details=True) == run.report()
    assert "half: ?" in run.failures[0].message


def test_a_lost_call_of_a_model_is_booked_and_made_again(load, tasks):
    source = SLOTS.replace("effect = once  repair { max = 2 }", "effect = read")
    state = planned(load, source, tasks(("a", "sign", {})))
    step(state, CallStarted(key="round 1 / decision 1 / task a"))
    used, reserved = state.loop.ledger.tokens, state.loop.ledger.reserved_tokens
    _, commands = step(state, RunResumed())
    assert [command.key for command in commands] == ["round 1 / decision 1 / task a"]
    # It may have been billed: it counts, and what is made again is reserved for anew.
    assert state.loop.ledger.tokens == used + reserved
    assert state.loop.ledger.reserved_tokens == reserved
    assert state.loop.ledger.estimated


PAIR = """
worker one(x: int) -> int via python { call = "tools:one"  effect = read }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [one]  policy { max_rounds = 3 }
}
"""


def test_one_lost_call_is_made_again_beside_those_that_go_on(load, tasks):
    decision = tasks(("a", "one", {"x": 1}), ("b", "one", {"x": 2}))
    state = planned(load, PAIR, decision)
    first, second = state.calls
    step(state, CallStarted(key=first))
    step(state, CallStarted(key=second))
    _, commands = step(state, CallLost(key=first, reason="no sign of its host"))
    assert [(command.key, command.attempt) for command in commands] == [(first, 1)]
    assert state.lost == 1
    # Told twice, or before it is under way again, it changes nothing.
    assert step(state, CallLost(key=first))[1] == []


def test_a_lost_once_call_is_asked_about(load, tasks):
    state = planned(load, SLOTS, tasks(("a", "send", {"x": 1})))
    (key,) = state.calls
    step(state, CallStarted(key=key))
    step(state, CallLost(key=key, reason="no sign of its host"))
    assert list(state.gates) == [f"{key} / outcome"]
    assert state.loop.tasks["a"].status == "unknown"


def test_a_task_that_two_sides_let_in_after_a_retry_starts_once(load):
    """The task it waits for came to rest after the end: the retry and that end both let it in."""
    state = planned(
        load,
        """
worker pay(x: int) -> int via python { call = "tools:one"  effect = once }
worker note(x: int) -> int via python { call = "tools:one"  effect = read }
orchestrator main() -> int {
  model = planner  goal = "g"  workers = [pay, note]  policy { max_rounds = 2 }
}
""",
        {
            "tasks": [
                {"id": "p", "worker": "pay", "input": {"x": 1}},
                {"id": "q", "worker": "note", "input": {"x": {"$from": "p"}}},
            ]
        },
    )
    key = "round 1 / decision 1 / task p"
    step(state, CallStarted(key=key))
    step(state, CancelRequested(reason="enough"))
    step(state, CallFinished(key=key, value=1))
    assert state.status == "cancelled"
    step(state, RunEnded(status="cancelled"))
    _, commands = step(state, RunRetried())
    started = [c.key for c in commands if isinstance(c, StartCall)]
    assert started == ["round 1 / decision 1 / task q / again 1"]
    assert state.loop.running == 1
    assert state.loop.current.open_tasks == 1
