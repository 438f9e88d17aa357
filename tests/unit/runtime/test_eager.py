"""Eager dispatch: tasks start while the decision still streams."""

from __future__ import annotations

import json

import pytest

import engine
from engine.errors import Failure
from engine.events import CallStarted, TaskClosed
from engine.runtime.machine import fold
from engine.runtime.ports import ModelReply, ModelRequest
from engine.runtime.report import run_report
from engine.runtime.stream import ClosedTasks

SOURCE = """
worker look(x: int) -> int via python { call = "tools:look"  effect = read }
worker post(x: int) -> int via python { call = "tools:post"  effect = write }
worker held(x: int) -> int via python { call = "tools:look"  effect = read }
verifier small(x: int) via rules { assert x < 10 }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [look, post, held]
  policy { max_rounds = 4  max_per_round = 4 }
  verify { before_dispatch held { with = small  on_fail = abort } }
}
"""
TOOLS = """
import asyncio
started = []
async def look(x):
    started.append(x)
    return x
async def post(x):
    started.append(x)
    return x
"""


class Streaming:
    """A planner that streams each answer piece by piece, and lets the run go on in between."""

    def __init__(self, answers: list) -> None:
        self.answers = list(answers)
        self.prompts: list[str] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        import asyncio

        self.prompts.append(request.messages[-1].content)
        answer = self.answers.pop(0)
        cut = isinstance(answer, tuple)
        text = answer[0] if cut else answer
        text = text if isinstance(text, str) else json.dumps(text)
        assert request.on_text is not None
        for at in range(0, len(text), 3):
            request.on_text(text[at : at + 3])
            for _ in range(8):
                await asyncio.sleep(0)
        if cut:
            raise Failure("unavailable", "the stream broke off", retryable=True)
        return ModelReply(text)

    async def close(self) -> None:
        return


def play(load, answers: list, source: str = SOURCE):
    planner = Streaming(answers)
    run = load(source, TOOLS).run(models={"planner": planner})
    return run, planner, run.journal.read(run.id)


def position(events: list, kind: type, key: str) -> int:
    return next(i for i, e in enumerate(events) if isinstance(e, kind) and e.key.endswith(key))


def end_of_decision(events: list, key: str) -> int:
    return next(
        i for i, e in enumerate(events) if type(e).__name__ == "CallFinished" and e.key == key
    )


def test_a_task_starts_when_its_object_has_closed(load, tasks, finish):
    decision = tasks(
        ("a", "look", {"x": 1}),
        ("b", "look", {"x": {"$from": "a"}}),
        ("w", "post", {"x": 2}),
        ("h", "held", {"x": 3}),
    )
    # The first round loads the tools, so that a task takes a few turns of the loop only.
    run, _, events = play(load, [tasks(("first", "look", {"x": 0})), decision, finish(n=1)])
    assert run.status == "finished"
    ended = end_of_decision(events, "round 2 / decision 1")
    assert position(events, CallStarted, "task a") < ended
    assert position(events, CallStarted, "task b") < ended
    # What changes something, and what a verifier must see, waits for the whole decision.
    assert position(events, CallStarted, "task w") > ended
    assert position(events, CallStarted, "task h") > ended
    assert run.report()["dispatches"] == 5


ONE = {"name": "x", "value": 1}
ITEM = {"item": "", "name": "x"}
#: Entries that are more than plain tasks, in the contract's form and on the wire.
STEPS = [
    {"id": "e1", "worker": "look", "each": {"$from": "first"}, "input": {"x": 1}},
    {"id": "e2", "worker": "look", "when": [[{"value": {"$from": "z"}, "is": "ok"}]], "input": {}},
    {"id": "e3", "worker": "look", "after": ["first"], "input": {"x": 1}},
    {"id": "e4", "worker": "look", "input": {"x": {"$from": "first", "pairs": True}}},
    {"id": "e5", "worker": "look", "input": {"x": {"$item": ""}}},
    {"step": [{"each": "first"}], "worker": "look", "id": "e6", "input": [ITEM]},
    {"step": [{"after": "first"}], "worker": "look", "id": "e7", "input": [ONE]},
    {"step": [{"wrong": 1}], "worker": "look", "id": "e8", "input": [ONE]},
    {"worker": "look", "id": "e9", "input": [{"pairs": "first", "at": "", "name": "x"}]},
]
PLAIN = {"step": [], "worker": "look", "id": "p", "input": [ONE]}


def test_a_step_never_starts_before_its_decision_is_there(load, tasks, finish):
    source = SOURCE.replace("max_per_round = 4", "max_per_round = 20  max_items = 50")
    # An input that takes any value takes references for values too.
    source = source.replace("look(x: int)", "look(x: json)")
    bad = {"tasks": [PLAIN, *STEPS, {"id": "z", "worker": "lok", "input": {}}]}
    answers = [tasks(("first", "look", {"x": 0})), bad, finish(n=1)]
    run, _, events = play(load, answers, source)
    assert run.status == "finished"
    closed = [e.task["id"] for e in events if isinstance(e, TaskClosed)]
    assert set(closed) >= {entry["id"] for entry in STEPS}
    started = {e.key.rpartition(" ")[2] for e in events if isinstance(e, CallStarted)}
    assert "p" in started
    assert not started & {entry["id"] for entry in STEPS}


def test_what_ran_of_a_rejected_decision_is_kept_and_said(load, tasks, finish):
    bad = tasks(("a", "look", {"x": 1}), ("z", "lok", {"x": 2}))
    good = tasks(("b", "look", {"x": {"$from": "a"}}))
    run, planner, _ = play(load, [bad, good, finish(n=1)])
    assert run.status == "finished"
    assert "`a` (look)" in planner.prompts[1]
    assert '<output task="a"' in planner.prompts[2]
    done = {t["id"]: t["output"] for t in run.report()["history"][0]["tasks"]}
    assert done == {"b": 1, "a": 1}


def test_a_stream_that_breaks_off_is_asked_again(load, tmp_path, tasks, finish):
    whole = json.dumps(tasks(("a", "look", {"x": 1}), ("b", "look", {"x": 2})))
    cut = whole[: whole.index('"b"')]
    planner = Streaming([tasks(("first", "look", {"x": 0})), (cut,), whole, finish(n=1)])
    # Without a retry policy the run has failed: what broke off is no bad decision.
    run = load(SOURCE, TOOLS).run(models={"planner": planner})
    assert (run.status, run.bound) == ("failed", None)
    assert len(planner.prompts) == 2
    # With one, the same prompt is sent again, and what had started is part of the whole answer.
    (tmp_path / "main.orch").write_text(
        (tmp_path / "main.orch")
        .read_text()
        .replace('"scripted/none.json"', '"scripted/none.json"  retry { max = 1  backoff = 1ms }')
    )
    planner = Streaming([tasks(("first", "look", {"x": 0})), (cut,), whole, finish(n=1)])
    run = engine.load(tmp_path / "main.orch").run(models={"planner": planner})
    assert run.status == "finished"
    assert run.report()["dispatches"] == 3


@pytest.mark.parametrize("retries", [0, 2])
def test_a_stream_that_always_breaks_off_is_asked_as_often_as_retries_say(load, tmp_path, retries):
    load(SOURCE, TOOLS)
    file = tmp_path / "main.orch"
    policy = f'"scripted/none.json"  retry {{ max = {retries}  backoff = 1ms }}'
    file.write_text(file.read_text().replace('"scripted/none.json"', policy))
    planner = Streaming([('{"tasks": [',)] * 12)
    run = engine.load(file).run(models={"planner": planner})
    assert (run.status, run.bound) == ("failed", None)
    assert len(planner.prompts) == 1 + retries


def test_a_changed_task_of_the_same_id_is_refused(load, tasks, finish):
    bad = tasks(("a", "look", {"x": 1}), ("z", "lok", {"x": 2}))
    changed = tasks(("a", "look", {"x": 5}))
    run, planner, _ = play(load, [bad, changed, tasks(("a", "look", {"x": 1})), finish(n=1)])
    assert "`a` is already taken" in planner.prompts[2]
    assert run.status == "finished"
    assert [t["output"] for t in run.report()["history"][0]["tasks"]] == [1]


def test_a_round_that_fails_waits_for_what_it_started(load, tasks, finish):
    bad = tasks(("a", "look", {"x": 1}), ("z", "lok", {"x": 2}))
    run, planner, _ = play(load, [bad, "no", "no", finish(n=1)])
    assert run.status == "finished"
    assert '<output task="a"' in planner.prompts[3]


def test_the_fold_of_an_eager_run_is_its_state(load, tasks, finish):
    bad = tasks(("a", "look", {"x": 1}), ("z", "lok", {"x": 2}))
    run, _, events = play(load, [bad, tasks(("b", "look", {"x": 3})), finish(n=1)])
    assert any(isinstance(event, TaskClosed) for event in events)
    state = fold(load(SOURCE, TOOLS).program, events)
    assert run_report(state, details=True) == run.report()


def test_limits_hold_while_it_streams(load, tasks, finish):
    many = tasks(*((f"t{i}", "look", {"x": i}) for i in range(6)))
    run, _, _ = play(load, [many, finish(n=1)])
    assert run.report()["dispatches"] == 4


def test_the_scanner_finds_whole_tasks_only():
    text = json.dumps(
        {
            "assessment": 'a "tasks": [{"id": 1}] \\ trap',
            "tasks": [{"id": "a", "input": {"s": '}]{["\\'}}, 3, [{"id": "x"}], {"id": "b"}],
            "finish": None,
        }
    )
    for size in (1, 2, 7, len(text)):
        scanner = ClosedTasks()
        found = []
        for at in range(0, len(text), size):
            found += scanner.feed(text[at : at + size])
        assert [task["id"] for task in found] == ["a", "b"]


def test_a_task_read_from_a_stream_keeps_no_secret(load, monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter22")
    source = """
secret TOKEN
worker say(text: string) -> string via python { call = "tools:say"  effect = read }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [say]  policy { max_rounds = 2 }
}
"""
    task = {"id": "a", "worker": "say", "input": {"text": "it is hunter22"}}
    planner = Streaming(
        [
            {"assessment": "", "tasks": [task]},
            {"assessment": "", "finish": {"n": 1}},
        ]
    )
    workflow = load(source, "def say(text):\n    return text\n")
    run = workflow.run(models={"planner": planner})
    events = run.journal.read(run.id)
    closed = [e for e in events if isinstance(e, TaskClosed)]
    assert closed[0].task["input"] == {"text": "it is [secret TOKEN]"}
    assert all("hunter22" not in repr(e) for e in events)
    assert run.report()["history"][0]["tasks"][0]["output"] == "it is [secret TOKEN]"
