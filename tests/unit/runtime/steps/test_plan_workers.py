"""Plan workers and `repeat`, with records built here: what is in them is run like anything else."""

from __future__ import annotations

import pytest
from step_runs import StepRun, item, program_with, with_plan

import engine
from engine.errors import Failure
from engine.events import CancelRequested
from engine.runtime.report import partial_tasks
from engine.sema.plans.conditions import Condition, Test
from engine.sema.plans.selection import Selection
from engine.sema.plans.steps import EachStep, Plan, ReduceStep, RepeatStep, TaskStep
from engine.sema.plans.values import FromInput, FromItem, FromLast, FromStep, Index, Parts

LIST = {"id": "a", "worker": "list", "input": {}}
MORE = """---
worker plan(q: json) -> json via command { run = ["w"]  effect = read }
worker outer(q: json) -> json via command { run = ["w"]  effect = read }
"""
WORKERS = ("list", "get", "calc", "put", "sum", "number", "pay", "plan", "outer")


def each_of(name, **more):
    return EachStep(
        id="r", worker="get", input={"v": FromItem()}, each=Selection((FromStep(name),)), **more
    )


def planned(steps, result, *, policy="max_parallel = 4", limits="", max_items=100, **changes):
    program = program_with(policy, limits + MORE, WORKERS)
    return with_plan(program, "plan", Plan(tuple(steps), result, max_items), **changes)


SURVEY = TaskStep(id="survey", worker="list", input={})
TOTAL = ReduceStep(id="m", worker="sum", reduce=Selection((FromStep("r"),)), size=2,
                   input={"parts": Parts()})  # fmt: skip
WHOLE = (SURVEY, each_of("survey"), TOTAL)
CALL = {"id": "p", "worker": "plan", "input": {"q": 1}}


def gives(values):
    def outcome(worker, input):
        if worker == "list":
            return values
        return sum(input["parts"]) if "parts" in input else input["v"]

    return outcome


def test_a_plan_gives_its_result_and_its_keys_are_under_its_task():
    run = StepRun(planned(WHOLE, FromStep("m")), [[CALL]], gives([1, 2, 3])).run()
    assert run["p"].output == 6
    assert list(run.state.root.frames[0].tasks) == [
        "survey", "r[0]", "r[1]", "r[2]", "m[0.0]", "m[1.0]",
    ]  # fmt: skip
    assert run.loop.frames[0].tasks["r[1]"].key == "round 1 / decision 1 / task p / step r[1]"
    assert "r[1]" not in run.loop.tasks


def test_a_plan_without_steps_gives_its_result():
    run = StepRun(planned((), FromInput("/q")), [[CALL]], gives([])).run()
    assert run["p"].output == 1


def test_last_is_null_in_the_first_pass_of_an_inner_repeat_without_a_start():
    never = Test(((Condition(FromStep("d"), "==", 0),),))
    inner = RepeatStep(
        id="in", steps=(TaskStep(id="d", worker="get", input={"v": FromLast()}),), gives="d",
        until=never, max=1, settle=True,
    )  # fmt: skip
    outer = RepeatStep(
        id="out", steps=(inner,), gives="in", until=Test(((Condition(FromStep("in"), "==", 0),),)),
        max=1, settle=True, start="mine",
    )  # fmt: skip
    run = StepRun(planned((outer,), FromStep("out")), [[CALL]], gives([])).run()
    assert run["p"].status == "done"
    assert run["p"].output is None


def test_a_mode_of_a_step_that_the_plan_does_not_declare_is_quoted():
    pay = TaskStep(id="s", worker="pay", input={"v": 1})
    program = planned((pay,), FromStep("s"))
    run = StepRun(program, [[CALL]], lambda worker, input: Failure("declined", "no")).run()
    assert run["p"].failure.mode == "crashed"
    assert run["p"].failure.message == "undeclared failure mode `declined`: no"


def test_items_may_be_runs_of_a_plan_and_hold_a_slot_of_their_step():
    program = planned(WHOLE, FromStep("m"), policy="max_parallel = 3  breaker { canary = 0 }")
    entry = {"id": "e", "worker": "plan", "each": {"$from": "a"}, "input": {"q": item()}}
    run = StepRun(program, [[LIST, entry]], gives([1, 2, 3, 4, 5]), 3).run()
    assert run["e"].output == [15] * 5
    assert run.most_open["e"] == 3
    assert run.most_running <= 3


def test_inputs_of_the_plan_and_outputs_by_pointer():
    step = TaskStep(id="t", worker="get", input={"v": [FromInput("/q/x"), {"y": FromInput("/q")}]})
    program = planned([step], {"a": FromStep("t", "/0"), "b": FromInput("/q")})
    call = {**CALL, "input": {"q": {"x": 5}}}
    run = StepRun(program, [[call]]).run()
    assert run["p"].output == {"a": 5, "b": {"x": 5}}


def test_a_plan_in_a_plan():
    program = planned(WHOLE, FromStep("m"))
    inner = TaskStep(id="in", worker="plan", input={"q": 1})
    program = with_plan(program, "outer", Plan((inner,), FromStep("in"), 50))
    run = StepRun(program, [[{"id": "o", "worker": "outer", "input": {"q": 1}}]], gives([4, 5]))
    assert run.run()["o"].output == 9
    assert run.loop.frames[1].tasks["r[0]"].key.endswith("task o / step in / step r[0]")


@pytest.mark.parametrize("bound", ["own", "max_items", "max_dispatches", "limit"])
def test_every_bound_holds_inside(bound):
    policy = f"{bound} = 5" if bound in ("max_items", "max_dispatches") else ""
    limits = "limit get { max_dispatches = 3 }" if bound == "limit" else ""
    program = planned(WHOLE, FromStep("m"), policy=policy, limits=limits,
                      max_items=4 if bound == "own" else 100)  # fmt: skip
    run = StepRun(program, [[CALL]], gives([1, 2, 3, 4])).run()
    assert run["p"].failure.mode == "over_budget"
    if bound == "own":
        assert "3 are left of `max_items = 4` of plan `plan`" in run["r"].failure.message
    assert run.made() == ["survey"]
    assert run.loop.dispatches == 2
    if bound == "own":
        cause = run["p"].failure.cause
        assert (cause.of.name, cause.setting) == ("plan", "max_items")


def test_what_does_not_fit_is_counted_again_in_a_retry():
    steps = [TaskStep(id=f"t{n}", worker="get", input={"v": n}) for n in range(4)]
    program = planned(steps, FromStep("t3"), policy="max_rounds = 1  max_items = 3")
    run = StepRun(program, [[CALL]]).run()
    assert (run["p"].failure.mode, run.made()) == ("over_budget", [])
    again = run.retried().drive()
    assert (again["p"].failure.mode, again.made()) == ("over_budget", [])


def test_a_failure_inside_is_the_plans_own_and_a_result_that_needs_it_not_is_given():
    def outcome(worker, input):
        return Failure("timeout", "no") if worker == "get" else 1

    steps = [TaskStep(id="t", worker="get", input={"v": 1}),
             TaskStep(id="u", worker="calc", input={"v": 2})]  # fmt: skip
    run = StepRun(planned(steps, FromStep("t")), [[CALL]], outcome).run()
    assert run["p"].failure.mode == "timeout"
    run = StepRun(planned(steps, FromStep("u")), [[CALL]], outcome).run()
    assert run["p"].output == 1


def test_a_mode_that_the_plan_does_not_declare_is_told_whole():
    def outcome(worker, input):
        return Failure("strange", "a reason") if worker == "odd" else 1

    odd = 'worker odd(q: json) -> json fails strange via command { run = ["w"]  effect = read }\n'
    program = program_with("max_rounds = 3", f"---\n{odd}{MORE[4:]}", WORKERS)
    plan = Plan((TaskStep(id="t", worker="odd", input={"q": 1}),), FromStep("t"), 9)
    failure = StepRun(with_plan(program, "plan", plan), [[CALL]], outcome).run()["p"].failure
    assert failure.mode == "crashed"
    assert failure.message == "undeclared failure mode `strange`: a reason"
    declared = with_plan(program, "plan", plan, fails=("strange",))
    failure = StepRun(declared, [[CALL]], outcome).run()["p"].failure
    assert (failure.mode, failure.message) == ("strange", "a reason")


def test_a_skipped_step_is_null_in_the_result():
    never = Test(((Condition(FromInput("/q"), "==", 9),),))
    steps = [TaskStep(id="t", worker="get", input={"v": 1}, when=never)]
    run = StepRun(planned(steps, [FromStep("t")]), [[CALL]]).run()
    assert run["p"].output == [None]


def test_limits_and_the_written_order_of_writes_hold_inside():
    steps = [
        SURVEY,
        TaskStep(id="w1", worker="put", input={"v": FromStep("survey")}),
        TaskStep(id="w2", worker="put", input={"v": 2}),
        TaskStep(id="g", worker="get", input={"v": 3}),
        TaskStep(id="c", worker="calc", input={"v": 4}),
    ]
    program = planned(steps, FromStep("w2"), limits="limit calc { after = [get] }", effect="write")
    for order in ("first", "last", 5):
        made = StepRun(program, [[CALL]], gives([]), order).run().made()
        assert made.index("w1") < made.index("w2")
        assert made.index("g") < made.index("c")


# ---------------------------------------------------------------- repeat


def repeat(**more):
    draft = TaskStep(id="draft", worker="get", input={"v": FromLast()})
    test = Test(((Condition(FromStep("draft"), ">=", 3),),))
    given = {"steps": (draft,), "until": test, "max": 5, "gives": "draft", "start": 0, **more}
    return RepeatStep(id="loop", **given)


def counting(worker, input):
    return Failure("crashed", "no") if input["v"] is None else input["v"] + 1


def test_passes_until_the_test_holds():
    run = StepRun(planned([repeat()], FromStep("loop")), [[CALL]], counting).run()
    assert run["p"].output == 3
    assert run.made() == ["loop[0].draft", "loop[1].draft", "loop[2].draft"]
    key = run.loop.frames[2].tasks["draft"].key
    assert key == "round 1 / decision 1 / task p / step loop[1] / step draft"


@pytest.mark.parametrize("settle", [True, False])
def test_until_that_never_holds(settle):
    never = Test(((Condition(FromStep("draft"), "<", 0),),))
    program = planned([repeat(until=never, settle=settle)], FromStep("loop"))
    run = StepRun(program, [[CALL]], counting).run()
    assert len(run.made()) == 5
    if settle:
        assert run["p"].output == 5
    else:
        assert run["p"].failure.mode == "exhausted"
        assert run["loop"].partial == 5


def test_passes_count_in_max_items():
    program = planned([repeat(max=99, until=Test(((Condition(FromLast(), "==", "x"),),)))],
                      FromStep("loop"), policy="max_items = 7")  # fmt: skip
    run = StepRun(program, [[CALL]], counting).run()
    assert len(run.made()) == 6
    assert run.loop.current.items <= 7
    assert "max_items = 7" in run["loop"].failure.message or run["p"].failure is not None


def test_steps_of_a_pass_see_what_is_around_it_and_each_other():
    inner = (
        each_of("survey"),
        ReduceStep(id="m", worker="sum", reduce=Selection((FromStep("r"),)), size=9,
                   input={"parts": Parts()}),
        TaskStep(id="g", worker="get", input={"v": [FromStep("m"), FromLast(), Index()][:2]}),
    )  # fmt: skip
    until = Test(((Condition(FromStep("g", "/1/1"), "!=", None),),))
    program = planned([SURVEY, repeat(steps=inner, gives="g", until=until, start=None)],
                      FromStep("loop"))  # fmt: skip
    run = StepRun(program, [[CALL]], gives([1, 2])).run()
    assert run.loop.rounds[0].rejected == []
    assert run["p"].failure is None or run["p"].failure.mode == "exhausted"


@pytest.mark.parametrize("at", range(2, 60, 4))
@pytest.mark.parametrize("order", ["first", "last"])
def test_a_plan_continues_wherever_it_was_cut_off(at, order):
    steps = [*WHOLE, repeat(start=FromStep("m"), until=Test(((Condition(
        FromStep("draft"), ">=", 40),),)), max=9)]  # fmt: skip
    outcome = lambda w, i: (  # noqa: E731
        [5, 6, 7] if w == "list" else sum(i["parts"]) if "parts" in i else
        i["v"] + 7 if i["v"] > 17 else i["v"]
    )  # fmt: skip
    program = planned(steps, FromStep("loop"))
    decision = [{**CALL}, {"id": "q", "worker": "plan", "input": {"q": 2}}]
    run = StepRun(program, [decision], outcome, order).run()
    again = run.resumed(min(at, len(run.journal) - 2), [decision] if at < 4 else []).drive()
    assert again.end.status == "finished"
    assert again["p"].output == run["p"].output == again["q"].output


@pytest.mark.parametrize("after", range(1, 9))
def test_a_plan_is_retried_where_it_ended(after):
    program = planned([*WHOLE, repeat(start=FromStep("m"), max=9)], FromStep("loop"),
                      policy="max_rounds = 1  max_parallel = 2")  # fmt: skip
    outcome = lambda w, i: (  # noqa: E731
        [0, 1, 0] if w == "list" else sum(i["parts"]) if "parts" in i else min(i["v"] + 1, 4)
    )  # fmt: skip
    run = StepRun(program, [[CALL]], outcome)
    run.begin()
    run.drive(after)
    if not run.state.ended:
        run.happen(CancelRequested(reason="enough"))
    again = run.retried(decisions=[] if run.loop.current.decision else [[CALL]]).drive()
    assert again["p"].output == StepRun(program, [[CALL]], outcome).run()["p"].output
    done = run.finished
    assert not [call for call in again.calls if call in done]


def test_a_failed_pass_is_taken_up_where_it_failed():
    tried = []

    def outcome(worker, input):
        tried.append(input["v"])
        return (
            Failure("crashed", "no")
            if input["v"] == 1 and tried.count(1) == 1
            else (input["v"] + 1)
        )

    program = planned([repeat()], FromStep("loop"), policy="max_rounds = 1")
    run = StepRun(program, [[CALL]], outcome).run()
    assert run["p"].failure.mode == "crashed"
    assert run.retried().drive()["p"].output == 3
    assert tried == [0, 1, 1, 2]


def test_a_step_whose_expression_reads_what_failed_makes_no_items(load):
    program = """
worker fine() -> int[] via python { call = "tools:fine" }
worker bad() -> int[] via python { call = "tools:bad" }
worker add(v: int) -> int via python { call = "tools:add" }
worker q() -> json via plan {
  max_items = 20
  step s { call = fine() }
  step f { call = bad() }
  step r { each = s  call = add(v=item + f[0]) }
  result = r.failures
}
orchestrator main() -> json {
  model = planner  goal = "g"  workers = [q]  policy { max_rounds = 3  max_items = 50 }
}
"""
    tools = """
def fine(): return [1, 2, 3]
def bad(): raise ValueError("no")
def add(v): return v
"""
    script = [{"tasks": [{"id": "t", "worker": "q", "input": {}}]}, {"finish": {"$from": "t"}}]
    run = load(program, tools).run(models={"planner": engine.Scripted(script)})
    (step,) = [one for one in run.steps if one.id == "t/r"]
    assert (step.status, step.total) == ("failed", 0)
    assert "it needs the output of `f`" in step.failure.message


def test_the_partial_result_has_all_items_of_a_step_in_a_plan():
    run = StepRun(planned(WHOLE, FromStep("m")), [[CALL]], gives([1, 2, 3, 4]))
    run.begin()
    while len(run.finished) < 4:  # the survey and three items
        run.turn()
    run.happen(CancelRequested(reason="enough"))
    assert run.loop.best == {"list": [1, 2, 3, 4], "get": [1, 2, 3]}
    assert partial_tasks(run.loop) == ["p/survey", "p/r"]
