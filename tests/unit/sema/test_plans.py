"""Plans of authors: what their expressions become, and what follows from what they call."""

from __future__ import annotations

import re
from typing import Any

import pytest

from engine.bounds import bound_of
from engine.sema.check import CheckResult, check_file
from engine.sema.model import Worker, reached
from engine.sema.names.loader import MemoryReader
from engine.sema.plans.conditions import Condition, Test
from engine.sema.plans.counts import reduce_calls
from engine.sema.plans.selection import Selection, entries_of, expanded
from engine.sema.plans.steps import EachStep, ReduceStep, RepeatStep, TaskStep
from engine.sema.plans.values import (
    Computed,
    FromInput,
    FromItem,
    FromLast,
    FromStep,
    Index,
    NothingThere,
    Parts,
    Scope,
    compiled,
    fill,
)

HEAD = """orch 1

param most: int = 7
param words: string[] = ["a", "b"]

model m { id = "openai/gpt-5-mini", context = 1000, price { input = $1, output = $1 } }

schema File {
  path: string
  commits: int
  owner: string?
  done: bool
  tags: string[] @items(max: 3)
}

worker files(q: string) -> File[] @items(max: 10) via llm { model = m  prompt = "{{ q }}" }
worker any(x: json) -> json via llm { model = m  prompt = "{{ x | json }}" }
worker one(f: File) -> File via llm { model = m  prompt = "{{ f.path }}" }
worker join(parts: File[]) -> File via llm { model = m  prompt = "{{ parts | json }}" }
worker fetch(q: string) -> string via http {
  url     = "https://b.example/" ~ q
  timeout = 5s
  trust   = untrusted
}
worker post(x: string) -> string via http {
  url     = "https://a.example/"
  timeout = 5s
  method  = "POST"
  effect  = write
  json    = x
}
"""


def checked(body: str, more: str = "") -> CheckResult:
    text = (
        HEAD
        + "worker p(q: string, top: int?, limit: int = 3 @max(9)) -> json via plan {\n"
        + f"  max_items = 400\n  step s {{ call = files(q=q) }}\n{body}\n}}\n{more}"
    )
    result = check_file("/base/p.orch", reader=MemoryReader({"p.orch": text}, "/base"), env={})
    wrong = [item for item in result.diagnostics if item.severity == "error"]
    assert wrong == [], wrong
    return result


def plan_of(body: str) -> Any:
    return checked(body).partial.workers["p"].plan


def value(expression: str) -> Any:
    """What an expression becomes as the input of a call for each file."""
    plan = plan_of(f"  step e {{ each = s  call = any(x={expression}) }}\n  result = [s, e]")
    return plan.steps[1].input["x"]


def condition_of(condition: str) -> Test:
    plan = plan_of(f"  step e {{ each = s  where = {condition}  call = any(x=1) }}\n  result = e")
    return plan.steps[1].each.where


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("expression", "leaf"),
    [
        ("q", FromInput("/q")),
        ("s", FromStep("s")),
        ("s[0].path", FromStep("s", "/0/path")),
        ("item", FromItem("")),
        ("item.path", FromItem("/path")),
        ('item["path"]', FromItem("/path")),
        ("item.tags[2]", FromItem("/tags/2")),
        ("index", Index()),
        ("3", 3),
        ("-3", -3),
        ('"{ }"', "{ }"),
        ("null", None),
        ("30s", "30s"),
        ("[q, 1]", [FromInput("/q"), 1]),
        ('{ a: item.path, "b c": [index] }', {"a": FromItem("/path"), "b c": [Index()]}),
    ],
)
def test_a_path_is_a_leaf(expression: str, leaf: Any) -> None:
    assert value(expression) == leaf


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('item.path ~ "!"', {"item"}),
        ("s | length", {"s"}),
        ("top or 3", {"top"}),
        ("top is none", {"top"}),
        ("param.most", set()),
        ("s[-1]", {"s"}),
        ("item.commits + index", {"item", "index"}),
    ],
)
def test_anything_else_is_computed(expression: str, names: set[str]) -> None:
    found = value(expression)
    assert isinstance(found, Computed)
    assert found.names == names


def test_views_of_a_step_are_leaves_and_names_of_expressions() -> None:
    plan = plan_of(
        "  step e { each = s  call = any(x=item) }\n"
        "  step f { each = e.pairs  call = any(x=[item.index, e.failures, item.output]) }\n"
        "  result = { n: e.failures | length, all: e, pairs: e.pairs[0].item, f: f }"
    )
    _, _, f = plan.steps
    assert f.each.sources == (FromStep("e", view="pairs"),)
    assert f.input["x"] == [
        FromItem("/index"),
        FromStep("e", view="failures"),
        FromItem("/output"),
    ]
    number = plan.result["n"]
    assert number.names == {"e"}
    [(_, view)] = number.views
    assert view == FromStep("e", view="failures")
    assert plan.result["pairs"] == FromStep("e", "/0/item", "pairs")

    def output(name: str, view: str) -> Any:
        return {"failures": [1, 2], "outputs": [3], "pairs": [{"item": 4}]}[view]

    scope = Scope(output, names=lambda scope, names: {name: [3] for name in names})
    assert fill(plan.result, scope) == {"n": 2, "all": [3], "pairs": 4, "f": [3]}


@pytest.mark.parametrize(
    "tree",
    [
        {"path": FromItem("/owner"), "n": 3, "all": FromItem(), "deep": FromItem("/a/0/b~1c")},
        {"nested": {"owner": FromItem("/owner"), "plain": {"x": [1]}}, "list": [FromItem("/a")]},
        {"index": Index(), "none": FromItem("/done")},
        {},
    ],
)
def test_a_compiled_tree_gives_what_fill_gives(tree: dict[str, Any]) -> None:
    filler = compiled(tree)
    for owner in ("ada", None, {"name": "ada"}):
        value = {"owner": owner, "done": None, "a": [{"b/c": 1}]}
        scope = Scope(lambda name, view: None, item=value, index=7)
        assert filler(scope) == fill(tree, scope)
    for value in ({"other": 1}, ["a list"], "a text", None):
        scope = Scope(lambda name, view: None, item=value, index=7)
        try:
            expected: Any = fill(tree, scope)
        except NothingThere as error:
            with pytest.raises(NothingThere, match=re.escape(str(error))):
                filler(scope)
        else:
            assert filler(scope) == expected


def test_a_compiled_tree_shares_nothing_between_two_values() -> None:
    filler = compiled({"given": FromItem("/x"), "plain": {"list": [1]}, "rows": [{"a": 1}]})
    scope = Scope(lambda name, view: None, item={"x": 1})
    one, other = filler(scope), filler(scope)
    one["plain"]["list"].append(2)
    one["rows"][0]["a"] = 2
    assert other == {"given": 1, "plain": {"list": [1]}, "rows": [{"a": 1}]}


# ---------------------------------------------------------------- tests

OWNER, DONE, COMMITS = FromItem("/owner"), FromItem("/done"), FromItem("/commits")


@pytest.mark.parametrize(
    ("condition", "groups"),
    [
        ("item.commits > 3", [[(COMMITS, ">", 3)]]),
        ("3 < item.commits", [[(COMMITS, ">", 3)]]),
        ("item.commits == limit", [[(COMMITS, "==", FromInput("/limit"))]]),
        ("1 < item.commits <= 9", [[(COMMITS, ">", 1), (COMMITS, "<=", 9)]]),
        ('item.owner in ["x", "y"]', [[(OWNER, "in", ["x", "y"])]]),
        ("item.path in item.tags", [[(FromItem("/path"), "in", FromItem("/tags"))]]),
        ("item.done", [[(DONE, "==", True)]]),
        ("not item.done", [[(DONE, "!=", True)]]),
        ("not item.tags", [[(FromItem("/tags"), "empty")]]),
        ("item.owner is none", [[(OWNER, "==", None)]]),
        ("item.owner is not none", [[(OWNER, "!=", None)]]),
        ("not (item.owner is none)", [[(OWNER, "!=", None)]]),
        ("s is ok", [[(FromStep("s"), "ok")]]),
        ("s is failed", [[(FromStep("s"), "failed")]]),
        ("s is not ok", [[(FromStep("s"), "not ok")]]),
        ("not (s is failed)", [[(FromStep("s"), "not failed")]]),
        ("not (s is not ok)", [[(FromStep("s"), "ok")]]),
        ("item.done and (item.commits > 1 or item.commits < 0)", [
            [(DONE, "==", True), (COMMITS, ">", 1)],
            [(DONE, "==", True), (COMMITS, "<", 0)],
        ]),
        ("not (item.done or item.commits == 1)", [[(DONE, "!=", True), (COMMITS, "!=", 1)]]),
    ],
)  # fmt: skip
def test_a_condition_is_a_test(condition: str, groups: Any) -> None:
    found = condition_of(condition)
    made = tuple(tuple(Condition(*each) for each in group) for group in groups)
    assert (found.any_of, found.computed) == (made, None)


@pytest.mark.parametrize(
    "condition",
    [
        "item.path | length > 3",
        "not (item.commits > 3)",  # with null, neither side holds
        "item.tags",
        "item.commits + 1 > 3",
        "item.commits not in [1]",
        '"x" in item.tags',
        "true",
        " or ".join(f"(item.commits > {n} and item.done)" for n in range(40)),
    ],
)
def test_what_a_test_cannot_say_is_computed(condition: str) -> None:
    found = condition_of(condition)
    assert found.any_of == ()
    assert isinstance(found.computed, Computed)


@pytest.mark.parametrize("item", [{"commits": 1}, {"commits": 5}, {"commits": 9}])
@pytest.mark.parametrize("condition", ["item.commits > 3 and not (item.commits == 9)"])
def test_a_test_and_its_expression_mean_the_same(condition: str, item: dict[str, int]) -> None:
    selection = Selection((FromStep("s"),), where=condition_of(condition))
    scope = Scope(lambda name, view: [item])
    kept = [found for entry in entries_of([item], selection, 0, "s")
            for found in expanded(selection, entry, scope)]  # fmt: skip
    assert bool(kept) == (item["commits"] == 5)


# ---------------------------------------------------------------- steps


def test_every_kind_of_step() -> None:
    plan = plan_of(
        "  step e {\n    each = s\n    flatten = item.tags\n    sort_by = item\n    desc = true\n"
        "    unique_by = item ~ 1\n    take = param.most\n    call = any(x=item)\n"
        "    label = item\n    parallel = 2\n    in_order = true\n    tolerate = 20%\n  }\n"
        "  step r {\n    when = limit > 1\n    after = [e]\n    reduce = s + s\n    size = 2\n"
        "    call = join(parts=parts)\n    empty = null\n  }\n"
        "  step l {\n    repeat { max = 4  until = b.done  start = r  gives = b  settle = true }\n"
        "    step a { call = any(x=last) }\n    step b { call = one(f=s[0]) }\n"
        "    step c { call = any(x=[a, b]) }\n    step d { call = any(x=c) }\n  }\n"
        "  result = { e: e, r: r, l: l.path }"
    )
    task, each, reduce, repeat = plan.steps
    assert isinstance(task, TaskStep)
    assert (task.worker, task.input) == ("files", {"q": FromInput("/q")})
    assert isinstance(each, EachStep)
    assert (each.each.flatten, each.each.sort_by, each.each.desc) == ("/tags", "", True)
    assert isinstance(each.each.unique_by, Computed)
    assert each.each.take == 7
    assert (each.label, each.parallel, each.in_order, each.tolerate) == (FromItem(""), 2, True, 0.2)
    assert isinstance(reduce, ReduceStep)
    assert (reduce.size, reduce.empty, reduce.after) == (2, None, ("e",))
    assert reduce.reduce.several
    assert reduce.input == {"parts": Parts()}
    assert reduce.when == Test(((Condition(FromInput("/limit"), ">", 1),),))
    assert isinstance(repeat, RepeatStep)
    assert [step.id for step in repeat.steps] == ["a", "b", "c", "d"]
    assert (repeat.max, repeat.gives, repeat.settle) == (4, "b", True)
    assert repeat.start == FromStep("r")
    assert repeat.steps[0].input == {"x": FromLast("")}
    assert plan.most == {"s": 1, "e": 7, "r": 19, "l": 16, "l.a": 4, "l.b": 4, "l.c": 4, "l.d": 4}
    assert list(plan.calls())[-1] == ("l.d", "any")


def test_steps_inside_a_repeat_may_have_the_names_of_others() -> None:
    plan = plan_of(
        "  step l {\n    repeat { max = 2  until = b == 1  gives = b }\n"
        "    step a {\n      repeat { max = 3  until = b == 1  gives = b }\n"
        "      step b { call = any(x=last) }\n    }\n    step b { call = any(x=a) }\n  }\n"
        "  step b { call = any(x=l) }\n  result = [b, s]"
    )
    assert plan.most == {"s": 1, "l": 8, "l.a": 6, "l.a.b": 6, "l.b": 2, "b": 1}


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ("each = s", 10),
        ("each = s  take = 4", 4),
        ("each = s  take = limit", 9),
        ("each = s  take = top or 6", None),
        ("each = s  take = 2 if q else 5", 5),
        ("each = s + s", 20),
        ("each = s  flatten = item.tags", 30),
        ("each = s  where = item.done", 10),
        ("each = [1, 2, 3]", 3),
        ("each = param.words", 2),
        ("each = { a: 1, b: 2 }  entries = true", 2),
        ("each = s[0].tags", 3),
    ],
)
def test_how_many_tasks_a_step_becomes(settings: str, most: int | None) -> None:
    plan = plan_of(f"  step e {{ {settings}  call = any(x=item) }}\n  result = [e, s]")
    expected = 10 if most is None else most
    assert plan.most["e"] == expected


def test_calls_of_a_reduce() -> None:
    def made(values: int, size: int) -> int:
        """Combine lists as the machine does."""
        calls, level = 0, [0] * values
        while len(level) > 1:
            groups = [level[at : at + size] for at in range(0, len(level), size)]
            calls += sum(len(group) > 1 for group in groups)
            level = [0] * len(groups)
        return calls

    for size in range(2, 9):
        found = [reduce_calls(values, size) for values in range(200)]
        assert found == [made(values, size) for values in range(200)]
        # So the most values are the most calls.
        assert found == sorted(found)


# ---------------------------------------------------------------- what follows

PLANS = """
worker outer(q: string) -> json via plan { max_items = 3  step a { call = p(q=q) }  result = a }
orchestrator run(q: string) -> string {
  model   = m
  goal    = "{{ q }}"
  workers = [outer]
  policy { max_rounds = 2, max_per_round = 2 }
  limit any { max_dispatches = 5 }
  verify { before_dispatch post { with = fair } }
}
verifier fair(x: string) via llm { model = m  prompt = "{{ x }}" }
"""


def workers(body: str) -> dict[str, Worker]:
    return dict(checked(body, PLANS).partial.workers)


def test_the_effect_is_the_strongest_and_the_trust_the_weakest() -> None:
    plain = checked("  step a { call = any(x=s) }\n  result = a").partial.workers["p"]
    assert (plain.effect, plain.trust) == ("read", "trusted")
    found = workers(
        "  step a { call = fetch(q=q) }\n  step b { call = post(x=a) }\n"
        "  step c { call = any(x=b) }\n  result = [c, s]"
    )
    for name in ("p", "outer"):
        assert (found[name].effect, found[name].trust) == ("write", "untrusted")


def test_hooks_and_limits_of_what_a_plan_calls_are_known() -> None:
    result = checked(
        "  step b { call = post(x=q) }\n  step c { call = any(x=s) }\n  result = [b, c]", PLANS
    )
    loop = result.partial.orchestrators["run"]
    assert set(loop.limits) == {"any"}
    assert [hook.worker for hook in loop.hooks] == ["post"]
    names = reached(result.partial.workers, loop.workers)
    assert set(names) == {"outer", "p", "files", "post", "any"}


def test_the_bound_of_a_run_has_the_tasks_inside() -> None:
    result = checked(
        "  step e { each = s  call = any(x=item) }\n  step b { call = post(x=q) }\n"
        "  result = [b, e]",
        PLANS,
    )
    assert result.program is not None
    bound = bound_of(result.program, "run")
    # Four tasks of `outer`, each of them one of `p`, one of `files`, five of `any`, one of `post`.
    assert bound.total.tasks == 4 * (1 + 1 + 1 + 5 + 1)
    # A call for each decision and each task of a model, and one that checks `post`.
    assert bound.total.model_calls == 2 * 3 + 4 * (1 + 5 + 1)
