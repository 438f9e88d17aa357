"""Reading a decision: any text and any JSON gives a decision or a `DecisionError`, nothing else,
and the verdict is that of the contract schema."""

from __future__ import annotations

import copy
import functools
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.events import CallFinished, CallStarted, ModelInfo, RunStarted
from engine.runtime.decision import DecisionContract, DecisionError, read_json
from engine.runtime.machine import step
from engine.runtime.report import run_report
from engine.runtime.state import RunState
from engine.runtime.stream import ClosedTasks
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.sema.names.loader import MemoryReader
from tests.support.second_opinion import second_opinion

SOURCE = """orch 1
model m { id = "memory/m"  structured = %s }
schema Item { name: string @length(min: 1)  count: int = 1  tags: string[]? }
worker one(item: Item, n: int @min(0) = 1) -> Item via command { run = ["w"]  effect = pure }
worker two(x: json, at: string) -> int via command { run = ["w"]  effect = read }
worker none() -> int via command { run = ["w"]  effect = read }
orchestrator main() -> { n: int @max(3), items: Item[] = [] } {
  model = m  goal = "g"  workers = [one, two, none]
  policy { max_rounds = 2  max_per_round = 3 }
}
"""


@functools.cache
def program(structured: str = "prompt") -> Program:
    reader = MemoryReader({"main.orch": SOURCE % structured}, "/p")
    found = check_file("/p/main.orch", reader=reader, env={}).program
    assert found is not None
    return found


@functools.cache
def contract() -> DecisionContract:
    return DecisionContract(program(), program().orchestrators["main"])


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0.5, 1.0, 1e300, -0.0]),
    st.sampled_from(["", "one", "two", "none", "a1", "a b", "$from", "x" * 70, "\n", "é", "a\n"]),
)
SETTINGS = ["assessment", "tasks", "finish", "id", "worker", "input", "$from", "$literal"]
KEYS = st.sampled_from([*SETTINGS, "item", "items", "n", "x", "at", "name", "count", "tags"])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=14,
)
REFERENCES = st.one_of(
    st.sampled_from([{"$from": "a1"}, {"$from": "a1", "at": "/name"}, {"$literal": {"$from": 1}}]),
    st.fixed_dictionaries({"$from": SCALARS}, optional={"at": SCALARS, "n": SCALARS}),
)
ITEM = st.one_of(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["a", "b", ""])},
        optional={"count": SCALARS, "tags": st.lists(st.just("t"), max_size=2) | REFERENCES},
    ),
    REFERENCES,
    JSON,
)
INPUT = st.one_of(
    st.fixed_dictionaries({"item": ITEM}, optional={"n": st.integers(-1, 2) | REFERENCES}),
    st.fixed_dictionaries({"x": JSON | REFERENCES, "at": st.just("a") | REFERENCES}),
    st.just({}),
    JSON,
)
TASK = st.one_of(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["a1", "a2", "b", "x" * 64, "x" * 65, "no good", ""]) | SCALARS,
            "worker": st.sampled_from(["one", "two", "none", "on"]) | JSON,
            "input": INPUT,
        },
        optional={"extra": SCALARS},
    ),
    JSON,
)
FINISH = st.one_of(
    st.fixed_dictionaries({"n": st.integers(0, 4)}, optional={"items": st.lists(ITEM, max_size=2)}),
    JSON,
)
DECISIONS = st.one_of(
    st.fixed_dictionaries({"tasks": st.lists(TASK, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"assessment": st.text(max_size=3), "finish": FINISH}),
    st.fixed_dictionaries(
        {},
        optional={
            "assessment": SCALARS,
            "tasks": st.lists(TASK, max_size=4) | JSON,
            "finish": FINISH,
            "extra": JSON,
        },
    ),
    JSON,
)


def verdict(value: Any) -> bool:
    try:
        decision = contract().read(value)
    except DecisionError as error:
        problems = error.problems
    else:
        assert ("tasks" in decision) != ("finish" in decision)
        return True
    assert problems
    assert all(isinstance(problem, str) and problem for problem in problems)
    return False


@functools.cache
def reference_validator() -> Any:
    return second_opinion(contract().schema)


@settings(deadline=None, max_examples=500)
@given(DECISIONS)
def test_the_verdict_is_that_of_the_contract_schema(value):
    before = copy.deepcopy(value)
    said = verdict(value)
    assert value == before
    bare = value
    if isinstance(value, dict):
        bare = {
            key: item
            for key, item in value.items()
            if item is not None or key not in ("assessment", "tasks", "finish")
        }
    assert said == (isinstance(bare, dict) and reference_validator().is_valid(bare))


@settings(deadline=None, max_examples=300)
@given(DECISIONS, st.data())
def test_text_is_read_like_the_object_it_says(value, data):
    text = json.dumps(value)
    fenced = data.draw(st.sampled_from([text, f"```json\n{text}\n```", f"  {text}\n"]))
    try:
        read = read_json(fenced)
    except DecisionError:
        # JSON numbers that no machine word holds are not taken.
        assert any(len(part) > 18 for part in text.replace(".", " ").split())
        return
    assert read == json.loads(text)
    assert verdict(fenced) == verdict(read)
    cut = text[: data.draw(st.integers(0, len(text)))]
    verdict(cut)


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=60))
@example("[" * 5000)
@example('{"a":' * 5000)
@example('{"finish": {"n": 1e999}}')
@example('{"finish": {"n": 123456789012345678901234567890}}')
@example('{"assessment": "\\ud800", "finish": {"n": 1}}')
@example("```")
@example("``````")
@example('{"finish": {"n": NaN}}')
def test_any_text_is_a_decision_or_a_decision_error(text):
    verdict(text)


@settings(deadline=None, max_examples=300)
@given(DECISIONS, st.data())
def test_tasks_that_close_in_a_stream_are_the_tasks_of_the_whole(value, data):
    text = json.dumps(value)
    scanner = ClosedTasks()
    found: list[Any] = []
    at = 0
    while at < len(text):
        size = data.draw(st.integers(1, 30))
        found += scanner.feed(text[at : at + size])
        at += size
    tasks = value.get("tasks") if isinstance(value, dict) else None
    expected = [t for t in tasks if isinstance(t, dict)] if isinstance(tasks, list) else []
    assert found == json.loads(json.dumps(expected))


HUGE = {"tasks": [{"id": "a1", "worker": "two", "input": {"x": 2**70, "at": "a"}}]}


@settings(deadline=None, max_examples=150)
@example([HUGE], None)
@given(st.lists(st.one_of(DECISIONS, st.text(max_size=10)), min_size=1, max_size=7), st.data())
def test_the_machine_takes_whatever_a_planner_says(values, data):
    for structured in ("prompt", "native"):
        state = begin(structured)
        for value in values:
            decided = [call for call in state.calls.values() if call.key.count("task") == 0]
            if not decided:
                break
            said = value if isinstance(value, str) else json.dumps(value)
            if data is None or data.draw(st.booleans()):
                said = value
            step(state, CallFinished(key=decided[0].key, attempt=1, value=said))
        json.dumps(run_report(state, details=True))
        for block in state.loop.blocks:
            assert isinstance(block.text, str)


def begin(structured: str) -> RunState:
    state = RunState(program(structured))
    models = {"m": ModelInfo("memory/m", native=structured == "native")}
    step(state, RunStarted(run="r", orchestrator="main", input={}, models=models, program="p"))
    (key,) = state.calls
    step(state, CallStarted(key=key))
    return state


@pytest.mark.parametrize("depth", [50, 200, 330, 480, 600, 900, 980, 2000])
@pytest.mark.parametrize("structured", ["prompt", "native"])
@pytest.mark.parametrize("shape", ["[%s]", '{"a": %s}', '{"$literal": %s}', '{"$from": %s}'])
def test_a_deeply_nested_decision_breaks_nothing(depth, structured, shape):
    deep = "1"
    for _ in range(depth):
        deep = shape % deep
    text = f'{{"tasks": [{{"id": "a", "worker": "two", "input": {{"at": "", "x": {deep}}}}}]}}'
    state = begin(structured)
    step(state, CallFinished(key="round 1 / decision 1", value=text))
    for block in state.loop.blocks:
        assert block.text
