"""Bad input to steps: each ends in a documented outcome, and nothing that finished is lost."""

from __future__ import annotations

import pytest
from step_runs import StepRun, item, program_with

from engine.errors import Failure
from engine.events import CallFailed, RunRetried, TaskClosed
from engine.runtime.machine import fold

LIST = {"id": "a", "worker": "list", "input": {}}


@pytest.fixture(scope="module")
def program():
    return program_with("max_parallel = 2  max_rounds = 2  repair { max = 0 }")


def each(id, selection, worker="get", **more):
    selection = {"$from": selection} if isinstance(selection, str) else selection
    input = more.pop("input", {"v": item()})
    return {"id": id, "worker": worker, "each": selection, "input": input, **more}


def gives(values):
    return lambda worker, input: values if worker == "list" else input.get("v")


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        ([each("r", "s"), each("s", "r")], "wait for each other"),
        ([each("r", "r")], "refers to the step itself"),
        ([LIST, each("r", "a", after=["r"])], "refers to the step itself"),
        ([each("r", "nothing")], "nothing"),
        ([LIST, each("r", "a", after=["nothing"])], "nothing"),
        ([LIST, each("r", "a", worker="nobody")], "nobody"),
        ([LIST, each("r", {"$from": "a", "take": -1})], "take"),
        ([LIST, each("r", {"$from": "a", "desc": True})], "desc"),
        ([LIST, each("r", {"$from": "a", "at": "no slash"})], "at"),
        ([LIST, each("r", {"$from": []})], "$from"),
        ([LIST, each("r", "a", parallel=0)], "parallel"),
        ([LIST, each("r", "a", tolerate=-1)], "tolerate"),
        ([LIST, {**each("r", "a"), "reduce": {"$from": "a"}}], "reduce"),
        ([LIST, {"id": "m", "worker": "sum", "reduce": {"$from": "a"}, "size": 1,
                 "input": {"parts": {"$parts": True}}}], "size"),
        ([LIST, each("r", "a", when=[])], "when"),
        ([LIST, each("r", "a", when=[[{"value": {"$from": "a"}, "is": "=~", "than": 1}]])], "is"),
        ([LIST, {"id": "r[0]", "worker": "get", "input": {"v": 1}}], "id"),
        ([LIST, {"id": "r", "repeat": [], "until": [], "max": 1, "gives": "x"}], "repeat"),
    ],
)  # fmt: skip
def test_a_decision_that_cannot_be_is_refused_whole(program, decision, said):
    run = StepRun(program, [decision], gives([1])).run()
    assert said in run.loop.rounds[0].rejected[0]
    assert run.made() == []
    assert (run.end.status, run.loop.dispatches) == ("finished", 0)


def test_a_circle_that_a_limit_closes_is_refused():
    program = program_with("repair { max = 0 }", "limit get { after = [put] }")
    write = {"id": "w", "worker": "put", "input": {"v": {"$from": "r"}}}
    run = StepRun(program, [[LIST, each("r", "a"), write]], gives([1])).run()
    assert "`r`, `w` wait for each other" in run.loop.rounds[0].rejected[0] or (
        "`w`, `r` wait for each other" in run.loop.rounds[0].rejected[0]
    )


def test_entries_may_refer_forward(program):
    run = StepRun(program, [[each("s", "r", "calc"), each("r", "a"), LIST]], gives([1, 2])).run()
    assert run["s"].output == [1, 2]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a": 1}, "is not a list"),
        ("text", "is not a list"),
        (None, "is not a list"),
        ([0] * 1_000_000, "at most 100000"),
    ],
)
def test_an_each_over_what_is_no_list_fails_and_the_run_continues(program, values, said):
    run = StepRun(program, [[LIST, each("r", "a"), each("s", "r")]], gives(values)).run()
    assert said in run["r"].failure.message
    assert run["r"].failure.mode == run["s"].failure.mode == "unmet_reference"
    assert run["a"].status == "done"
    assert run.end.status == "finished"


def test_a_pointer_that_one_item_lacks_fails_that_item(program):
    values = [{"n": 1}, {}, {"n": None}, 7]
    run = StepRun(program, [[LIST, each("r", "a", input={"v": item("/n")})]], gives(values)).run()
    assert run["r"].output == [1, None]
    failures = {t.id: t.failure.message for t in run["r"].items.values() if t.failure}
    assert failures == dict.fromkeys(("r[1]", "r[3]"), "there is nothing at `/n` in the item")


def test_an_input_that_does_not_fit_fails_its_item(program):
    outcome = lambda w, i: ["x", 7, None] if w == "list" else {"text": i["v"], "size": 1}  # noqa: E731
    run = StepRun(program, [[LIST, each("r", "a", "text")]], outcome).run()
    assert [task.status for task in run["r"].items.values()] == ["done", "failed", "failed"]
    assert run["r"].items[1,].failure.mode == "unmet_reference"


def test_half_a_decision_and_then_silence(program):
    """Plain tasks that had closed ran early; they are kept, and a retry asks for the decision."""
    run = StepRun(program, [], gives([1, 2]))
    run.begin()
    key = next(iter(run.open))
    plain = {"id": "t", "worker": "get", "input": {"v": 5}}
    for entry in (plain, {**LIST, "input": {}}, each("r", "a"), {"id": 7}, {"id": "x"}):
        run.happen(TaskClosed(key=key, attempt=1, task=entry))
    early = [key for key in run.open if "task" in key]
    assert len(early) == 2  # a step waits for the whole decision
    run.answer(early[0])
    run.open.pop(key)
    run.happen(CallFailed(key=key, attempt=1, mode="timeout", message="no answer"))
    run.drive()
    assert run.end.status == "failed"
    assert run["t"].output == 5
    assert fold(program, run.journal).root.tasks["t"].output == 5
    decision = [plain, LIST, each("r", "a")]
    again = run.retried(decisions=[decision]).drive()
    assert any(isinstance(event, RunRetried) for event in again.journal)
    assert again.end.status == "finished"
    assert again["r"].output == [1, 2]
    assert "t" not in again.made()


def test_early_tasks_count_in_max_items():
    program = program_with("max_items = 3  max_rounds = 1  repair { max = 0 }")
    run = StepRun(program, [], gives([1, 2]))
    run.begin()
    key = next(iter(run.open))
    tasks = [{"id": f"t{n}", "worker": "get", "input": {"v": n}} for n in range(5)]
    for entry in tasks:
        run.happen(TaskClosed(key=key, attempt=1, task=entry))
    assert len([key for key in run.open if "task" in key]) == 3
    run.decisions = [tasks]
    run.drive()
    assert "may become at most 3" in run.loop.rounds[0].rejected[0]


def test_a_reference_of_a_result_to_what_failed_or_is_not_there(program):
    outcome = lambda w, i: [1] if w == "list" else Failure("crashed", "no")  # noqa: E731
    first = [LIST, each("r", "a")]
    for finish, said in (
        ({"$from": "r"}, "failed"),
        ({"$from": "nothing"}, "nothing"),
        ({"$from": "a", "at": "/9"}, "nothing at `/9`"),
        ({"x": [{"$from": "r[0]"}]}, "r[0]"),
    ):
        run = StepRun(program, [first, {"assessment": "", "finish": finish}], outcome).run()
        assert said in run.loop.rounds[1].rejected[0], finish
        assert run.end.status == "exhausted"
    done = {
        "assessment": "",
        "finish": {"all": {"$from": "a"}, "bad": {"$from": "r", "failures": True}},
    }
    run = StepRun(program, [first, done], outcome).run()
    assert run.loop.output["all"] == [1]
    assert run.loop.output["bad"][0]["mode"] == "crashed"


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


def test_values_that_are_nested_deep_are_compared(program):
    same = [[{"value": item(), "is": "==", "than": {"$from": "a", "at": "/1"}}]]
    decision = [LIST, each("r", {"$from": "a", "where": same}, input={"v": 1}),
                each("s", {"$from": "a", "unique_by": ""}, input={"v": 1})]  # fmt: skip
    run = StepRun(program, [decision], gives([nested(800), nested(800)])).run()
    assert (len(run["r"].items), len(run["s"].items)) == (2, 1)


@pytest.mark.parametrize("levels", [300, 900])
def test_a_decision_that_is_nested_too_deep_is_refused(program, levels):
    deep = nested(levels)
    for said in ([{"id": "t", "worker": "get", "input": {"v": deep}}],
                 {"assessment": "", "finish": deep}):  # fmt: skip
        run = StepRun(program, [said], gives([1])).run()
        assert run.loop.rounds[0].rejected == [
            "a decision may be nested 200 levels deep: give less, or refer to an output"
        ]
