"""Plans and what surrounds them: imports, hooks, taint, preflight, the graph, the page."""

from __future__ import annotations

import pytest

from engine.doc.page import page
from engine.drive.preflight import _used
from engine.graph import collect, to_networkx
from engine.graph.svg import to_svg
from engine.graph.text import to_dot, to_mermaid
from engine.linter.rules import lint_result
from engine.sema.check import CheckResult, check_file
from engine.sema.names.loader import MemoryReader

COMMON = """orch 1

model fast { id = "openai/gpt-5-mini" }

worker search(query: string) -> string via llm { model = fast  prompt = "{{ query }}" }

worker twice(query: string) -> string via plan {
  max_items = 2
  step first { call = search(query=query) }
  step second { when = first != ""  call = search(query=first) }
  result = second or first
}
"""

MAIN = """orch 1

import "common.orch" as common
from "common.orch" import search as find

model planner { id = "openai/gpt-5" }

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
  trust   = trusted
  json    = x
}

verifier fair(x: string) via llm { model = planner  prompt = "{{ x | untrusted }}" }

worker all(q: string) -> string via plan {
  max_items = 20
  step a { call = common.twice(query=q) }
  step b { call = find(query=a) }
  step c { call = FETCH(q=b) }
  step d { call = post(x=c) }
  result = d
}

orchestrator run(topic: string) -> string {
  model   = planner
  goal    = "{{ topic }}"
  workers = [all]
  policy { max_rounds = 2  budget { cost = $1 } }
  verify { HOOK  before_finish { with = sound } }
}

verifier fair_q(q: string) via llm { model = planner  prompt = "{{ q }}" }

verifier sound(result: string) via rules { assert result }
"""


def checked(fetch: str = "fetch(q=b)", hook: str = "") -> CheckResult:
    text = MAIN.replace("FETCH(q=b)", fetch).replace("HOOK", hook)
    reader = MemoryReader({"main.orch": text, "common.orch": COMMON}, "/base")
    result = check_file("/base/main.orch", reader=reader, env={})
    assert result.program is not None, result.diagnostics
    return result


def test_workers_of_imported_files_are_called_by_their_names() -> None:
    program = checked().program
    assert program is not None
    plan = program.workers["all"].plan
    assert plan is not None
    assert [worker for _, worker in plan.calls()] == ["common.twice", "find", "fetch", "post"]


def test_a_run_sees_what_plans_reach() -> None:
    program = checked().program
    assert program is not None
    models, kinds = _used(program, program.orchestrators["run"])
    assert models == {"planner", "common.fast"}
    assert set(kinds) == {"all", "common.twice", "find", "fetch", "post", "sound"}


def codes(result: CheckResult) -> set[str]:
    return {item.code for item in lint_result(result)}


@pytest.mark.parametrize(
    ("fetch", "hook", "reported"),
    [
        ("fetch(q=b)", "", True),
        # A hook on the plan sees its inputs, not what it reads on the way.
        ("fetch(q=b)", "before_dispatch all { with = fair_q }", True),
        ("fetch(q=b)", "before_dispatch post { with = fair }", False),
        ("find(query=b)", "", False),
    ],
)
def test_text_from_outside_that_reaches_an_effect_in_a_plan(
    fetch: str, hook: str, reported: bool
) -> None:
    found = checked(fetch, hook)
    assert ("ORC801" in codes(found)) is reported, lint_result(found)


def test_nothing_that_a_plan_calls_is_unused() -> None:
    assert "ORC701" not in codes(checked())


def test_the_graph_opens_a_plan_to_its_steps() -> None:
    program = checked().program
    assert program is not None
    graph = collect(program)
    assert graph.nodes["all/c"].attributes == {"does": "task", "plan": "all", "max_tasks": 1}
    edges = {(edge.source, edge.target, edge.kind) for edge in graph.edges}
    assert {
        ("all", "all/a", "step"),
        ("all/a", "common.twice", "call"),
        ("all/a", "all/b", "data"),
        ("common.twice", "common.twice/first", "step"),
        ("common.twice/second", "find", "call"),
    } <= edges
    assert set(graph.part("run").nodes) == set(graph.nodes) - {"fair", "fair_q"}
    drawn = to_networkx(program)
    assert drawn.nodes["all/d"]["kind"] == "step"
    assert drawn.edges["all/d", "post"]["kinds"] == "call"
    for text in (to_mermaid(graph), to_dot(graph), to_svg(graph, "run")):
        assert "all/c" in text


def test_the_page_lists_the_steps() -> None:
    program = checked().program
    assert program is not None
    text = page(program)
    assert "Its steps become at most 20 tasks." in text
    assert "| `b` | task | `find` | `a` | 1 |" in text
