"""Taint through steps: by item, by view, and of what decides whether an effect runs."""

from __future__ import annotations

import pytest
from step_runs import StepRun, item, program_with, with_plan

from engine.errors import Failure
from engine.sema.plans.conditions import Condition, Test
from engine.sema.plans.selection import Selection
from engine.sema.plans.steps import EachStep, Plan, ReduceStep, RepeatStep, TaskStep
from engine.sema.plans.values import FromInput, FromItem, FromLast, FromStep, Parts

LIST = {"id": "a", "worker": "list", "input": {}}
PAGES = {"id": "t", "worker": "page", "each": {"$from": "a"}, "input": {"v": item()}}
CLEAN = {"id": "c", "worker": "get", "each": {"$from": "a"}, "input": {"v": item()}}
LENGTHS = {"id": "n", "worker": "measure", "each": {"$from": "t"}, "input": {"v": item()}}


@pytest.fixture(scope="module")
def program():
    return program_with("max_parallel = 4  breaker { after = 99  canary = 0 }")


def gives(worker, input):
    if worker == "list":
        return ["x", "y"]
    if worker in ("measure", "number", "sum"):
        return 1
    return input["parts"] if "parts" in input else input["v"]


def put(**more):
    return {"id": "w", "worker": "put", "input": {"v": 1}, **more}


def wrote(program, *entries, outcome=gives):
    run = StepRun(program, [list(entries)], outcome).run()
    assert run.loop.rounds[0].rejected == []
    return bool(run.made("w")), run


@pytest.mark.parametrize(
    ("entries", "writes"),
    [
        ([CLEAN, put(input={"v": {"$from": "c"}})], True),
        ([PAGES, put(input={"v": {"$from": "t"}})], False),
        ([PAGES, put(input={"v": {"$from": "t[0]"}})], False),
        ([PAGES, LENGTHS, put(input={"v": {"$from": "n"}})], True),
        # The pairs of a step show its items beside what came of them.
        ([PAGES, LENGTHS, put(input={"v": {"$from": "n", "pairs": True}})], False),
        ([PAGES, LENGTHS, put(each={"$from": "n"}, input={"v": item()})], True),
        (
            [PAGES, LENGTHS, put(each={"$from": "n", "pairs": True}, input={"v": item("/item")})],
            False,
        ),
        # What decides whether, how often or in what order an effect runs counts as its input.
        ([PAGES, put(each={"$from": "t"}, input={"v": 1})], False),
        ([PAGES, put(when=[[{"value": {"$from": "t[0]"}, "is": "!=", "than": "q"}]])], False),
        ([PAGES, put(when=[[{"value": {"$from": "t"}, "is": "ok"}]])], True),
        ([PAGES, put(after=["t"])], True),
        (
            [
                PAGES,
                put(
                    each={
                        "$from": "a",
                        "where": [[{"value": item(), "is": "in", "than": {"$from": "t"}}]],
                    },
                    input={"v": item()},
                ),
            ],
            False,
        ),
        # Through a reduce, with a call and without one.
        (
            [
                PAGES,
                {"id": "m", "worker": "fold", "reduce": {"$from": "t"}, "size": 2,
                 "input": {"parts": {"$parts": True}}},
                put(input={"v": {"$from": "m"}}),
            ],
            False,
        ),
        (
            [
                PAGES,
                {"id": "m", "worker": "fold", "reduce": {"$from": "t", "take": 1}, "size": 2,
                 "input": {"parts": {"$parts": True}}},
                put(input={"v": {"$from": "m"}}),
            ],
            False,
        ),
        (
            [
                PAGES,
                {"id": "m", "worker": "fold", "reduce": {"$from": "a", "take": 0}, "size": 2,
                 "input": {"parts": {"$parts": True}}, "empty": {"$from": "t[1]"}},
                put(input={"v": {"$from": "m"}}),
            ],
            False,
        ),
    ],
)  # fmt: skip
def test_what_reaches_an_effect(program, entries, writes):
    wrote_it, run = wrote(program, LIST, *entries)
    assert wrote_it is writes
    if not writes:
        failure = run["w"].failure or next(iter(run["w"].items.values())).failure
        assert failure.mode == "denied"
        assert "untrusted text can reach " in failure.message


def test_items_are_tainted_one_by_one(program):
    """Of two sources only one is a stranger's."""
    entry = put(each={"$from": ["c", "t"]}, input={"v": item()}, after=["t"])
    _, run = wrote(program, LIST, CLEAN, PAGES, entry)
    # The step selects from both, and the stranger decides how many there are: none is let in.
    assert run.made("w") == []
    entry = {"id": "g", "worker": "get", "each": {"$from": ["c", "t"]}, "input": {"v": item()}}
    _, run = wrote(program, LIST, CLEAN, PAGES, entry)
    tainted = {task.id: task.tainted for task in run["g"].items.values()}
    assert tainted == {"g[0.0]": False, "g[0.1]": False, "g[1.0]": True, "g[1.1]": True}
    assert run["g"].tainted


def test_failures_are_text_and_the_item_of_a_value_without_a_task_keeps_its_origin():
    program = program_with("max_parallel = 1")

    def outcome(worker, input):
        return Failure("crashed", "no") if worker == "get" else gives(worker, input)

    broken = {"id": "g", "worker": "get", "each": {"$from": "t"}, "input": {"v": item()}}
    for at in ("/item", ""):
        read = {"id": "r", "worker": "calc", "each": {"$from": "g", "failures": True},
                "input": {"v": item(at)}}  # fmt: skip
        run = StepRun(program, [[LIST, PAGES, broken, read]], outcome).run()
        assert len(run["g"].dropped) == 1  # the breaker let one start
        assert [task.tainted for task in run["r"].items.values()] == [True, True], at


def test_a_tainted_planner_decides_tainted_items(program):
    run = StepRun(program, [[LIST, PAGES], [put(each={"$from": "a"}, input={"v": item()})]], gives)
    run.run()
    assert run.made("w") == []


def test_a_reduce_that_gives_empty_may_give_words_though_its_worker_gives_numbers(program):
    page = {"id": "t", "worker": "page", "input": {"v": 1}}
    total = {"id": "m", "worker": "sum", "reduce": {"$from": "a", "take": 0}, "size": 2,
             "input": {"parts": {"$parts": True}}, "empty": {"$from": "t"}}  # fmt: skip
    write = put(input={"v": {"$from": "m"}})
    writes, run = wrote(program, {**LIST, "worker": "number", "input": {"v": 1}, "id": "z"},
                        LIST, page, total, write,
                        outcome=lambda w, i: [1] if w == "list" else gives(w, i))  # fmt: skip
    assert not writes
    assert run["w"].failure.mode == "denied"


def test_parts_of_a_reduce_are_looked_at_by_group(program):
    mixed = {"id": "m", "worker": "fold", "reduce": {"$from": ["c", "t"]}, "size": 2,
             "input": {"parts": {"$parts": True}}}  # fmt: skip
    _, run = wrote(program, LIST, CLEAN, PAGES, mixed)
    tainted = {task.id: task.tainted for task in run["m"].items.values()}
    assert tainted == {"m[0.0]": False, "m[0.1]": True, "m[1.0]": True}


MORE = """---
worker plan(q: json) -> json via command { run = ["w"]  effect = read }
"""


@pytest.mark.parametrize("way", ["input", "inside", "until", "steered"])
def test_inside_a_plan(way):
    write = TaskStep(id="w", worker="put", input={"v": 1})
    page = TaskStep(id="t", worker="page", input={"v": "x"})
    match way:
        case "input":
            steps = [TaskStep(id="w", worker="put", input={"v": FromInput("/q")})]
        case "inside":
            steps = [page, TaskStep(id="w", worker="put", input={"v": FromStep("t")})]
        case "until":
            test = Test(((Condition(FromStep("t"), "==", "stop"),),))
            steps = [RepeatStep(id="l", steps=(page, write), until=test, max=3, gives="t")]
        case _:
            steps = [page, EachStep(id="w", worker="put", input={"v": FromItem()},
                                    each=Selection((FromStep("t", "/l"),)))]  # fmt: skip
    workers = ("list", "page", "put", "plan", "get")
    program = program_with("max_parallel = 2", MORE, workers)
    program = with_plan(program, "plan", Plan(tuple(steps), 1, 99))
    outcome = lambda w, i: {"l": [1]} if w == "page" else gives(w, i)  # noqa: E731
    read = {"id": "u", "worker": "page", "input": {"v": 1}}
    call = {"id": "p", "worker": "plan", "input": {"q": {"$from": "u"}}}
    run = StepRun(program, [[read, call]], outcome).run()
    writes = [id for id, worker, _ in run.calls if worker == "put"]
    # Before the first page of a loop is read, no stranger has decided anything.
    assert writes == (["l[0].w"] if way == "until" and writes else [])


@pytest.mark.parametrize("way", ["nested", "passed on", "each", "when", "where"])
def test_what_a_pass_gave_stays_tainted(way):
    """Through a `repeat` in another, a `reduce` without a call, and `last` wherever it is read."""
    page = TaskStep(id="t", worker="page", input={"v": "x"})
    never = Test(((Condition(FromStep("n"), "==", 0),),))
    number = TaskStep(id="n", worker="get", input={"v": 1})
    one = {"worker": "put", "id": "w", "after": ("n",)}
    is_text = Test(((Condition(FromLast("/0"), "==", "x"),),))
    match way:
        case "nested":
            inner = RepeatStep(id="i", steps=(page, number), until=never, max=1, settle=True,
                               gives="t")  # fmt: skip
            steps, gives_ = (number, inner), "i"
        case "passed on":
            fold = ReduceStep(id="m", worker="fold", reduce=Selection((FromStep("o"),), take=1),
                              size=2, input={"parts": Parts()})  # fmt: skip
            steps, gives_ = (number, fold), "m"
        case "each":
            write = EachStep(**one, input={"v": FromItem()}, each=Selection((FromLast(),)))
            steps, gives_ = (number, write, page), "t"
        case "when":
            steps = (number, TaskStep(**one, input={"v": 1}, when=is_text), page)
            gives_ = "t"
        case _:
            source = Selection((FromStep("a"),), where=is_text)
            steps = (number, EachStep(**one, input={"v": 1}, each=source), page)
            gives_ = "t"
    loop = RepeatStep(id="l", steps=steps, until=never, max=2, settle=True, gives=gives_,
                      start=["mine"] if way == "each" else None)  # fmt: skip
    before = (TaskStep(id="a", worker="list", input={}), TaskStep(id="o", worker="page",
                                                                 input={"v": "x"}))  # fmt: skip
    after = (TaskStep(id="w", worker="put", input={"v": FromStep("l")}),)
    program = program_with("max_parallel = 2", MORE, ("list", "page", "put", "plan", "get", "fold"))
    plan = Plan((*before, loop, *(after if way in ("nested", "passed on") else ())), 1, 99)
    program = with_plan(program, "plan", plan)
    outcome = lambda w, i: ["x"] if w == "page" else gives(w, i)  # noqa: E731
    run = StepRun(program, [[{"id": "p", "worker": "plan", "input": {"q": 1}}]], outcome).run()
    assert run["p"].over
    writes = [id for id, worker, _ in run.calls if worker == "put"]
    assert writes == (["l[0].w[0]"] if way == "each" else [])
