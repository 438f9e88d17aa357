"""Steps as text: what is written reads back as the same steps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.sema.check import check_file
from engine.sema.names.loader import MemoryReader
from engine.sema.plans.json_form import write_step
from engine.sema.plans.orch_form import is_name, step_text, value_text
from engine.sema.plans.values import FromInput, FromStep, write_value

PAGES = Path(__file__).parents[3] / "docs"
LITERALS = [
    "plain", 'a "quote"', "two\nlines", "{{ no template }}", "\u202e\u009b\U000e0001",
    "ä→\U0001f600", -3, 0, 1e20, 1e-9, 2.5, True, None, [], {}, [1, ["a"]],
    {"a b": 1, "and": {"x": None}},
]  # fmt: skip
SOURCE = """orch 1
model m {{ id = "memory/m" }}
worker ask(v: json, w: json?) -> json via llm {{ model = m  prompt = "{{{{ v }}}}" }}
worker planned(a: json, list: json[] @items(max: 9)) -> json via plan {{
  max_items = 900
  {steps}
  result = {result}
}}
"""


def plan_of(text, name="planned"):
    reader = MemoryReader({"main.orch": text}, "/p")
    result = check_file("/p/main.orch", reader=reader, env={})
    errors = [d.message for d in result.diagnostics if d.severity == "error"]
    assert not errors, errors
    return result.partial.workers[name].plan


def examples():
    """The plans of the documentation, each as its program."""
    for page in ("howto/plans.md", "reference/language.md"):
        for block in re.findall(r"```orch[^\n]*\n(.*?)```", (PAGES / page).read_text(), re.DOTALL):
            for name in re.findall(r"worker (\w+)\([^{]*?via plan \{\n", block):
                if block.startswith("orch 1"):
                    yield pytest.param(block, name, id=name)


@pytest.mark.parametrize(("program", "name"), list(examples()))
def test_the_plans_of_the_documentation(program, name):
    plan = plan_of(program, name)
    begin = program.index("max_items", program.index(f"worker {name}("))
    end = program.index("\n}\n", begin)
    steps = "\n".join(map(step_text, plan.steps))
    body = f"max_items = {plan.max_items}\n{steps}\nresult = {value_text(plan.result)}"
    again = plan_of(program[:begin] + body + program[end:], name)
    assert [write_step(one) for one in again.steps] == [write_step(one) for one in plan.steps]
    assert write_value(again.result) == write_value(plan.result)


@pytest.mark.parametrize("literal", LITERALS, ids=repr)
def test_a_literal_is_what_it_was(literal):
    text = value_text({"x": literal, "y": [FromStep("s")]})
    assert text.isprintable()
    steps = "step s { call = ask(v=a) }"
    plan = plan_of(SOURCE.format(steps=steps, result=text))
    assert plan.result == {"x": literal, "y": [FromStep("s")]}


@pytest.mark.parametrize(
    "leaf",
    [
        FromStep("s", "/0/a b/10/01/pairs"),
        FromStep("s", "/pairs"),
        FromStep("each", "/0/item/x", "pairs"),
        FromStep("each", "", "failures"),
        FromInput("/a/~0x~1y/not/0"),
        FromInput("/list"),
    ],
    ids=repr,
)
def test_a_reference_is_what_it_was(leaf):
    steps = "step s { call = ask(v=a) }\nstep each { each = list  call = ask(v=item, w=s) }"
    plan = plan_of(SOURCE.format(steps=steps, result=value_text([leaf, FromStep("s")])))
    assert plan.result == [leaf, FromStep("s")]


@pytest.mark.parametrize("name", ["", "1a", "a-b", "and", "none", "a.b", "is"])
def test_what_is_no_name(name):
    assert not is_name(name)


EVERY_SETTING = """
step s { call = ask(v=a) }
step t { when = s.x > 3 and s.y in ["a", "b"] or s is failed  after = [s]  call = ask(v=1) }
step all {
  each      = list
  entries   = false
  flatten   = item.inner
  where     = item.risk == "high" and item.name is not none or item.n <= a.least
  unique_by = item["the name"]
  sort_by   = item.n
  desc      = true
  take      = a.most
  label     = "item " ~ index
  parallel  = 3
  in_order  = true
  tolerate  = 12.5%
  call      = ask(v={ at: index, value: item }, w=[s.x[0], 1])
}
step map  { each = s  entries = true  call = ask(v=item.key, w=item.value) }
step flat { each = all + list  flatten = true  tolerate = 2  call = ask(v=item) }
step bad  { each = all.failures  when = all is ok  call = ask(v=item.message) }
step one  { reduce = all.pairs  take = 5  size = 4  empty = { none: true }  call = ask(v=parts) }
step loop {
  repeat     { max = 3  until = done.ok == true  start = one  gives = draft  settle = true }
  step draft { call = ask(v=last) }
  step done  { when = draft.x != 2  call = ask(v=draft) }
}
"""


def test_every_setting_is_written():
    result = "[t, map, flat, bad, loop]"
    plan = plan_of(SOURCE.format(steps=EVERY_SETTING, result=result))
    text = SOURCE.format(steps="\n".join(map(step_text, plan.steps)), result=result)
    again = plan_of(text)
    assert [write_step(one) for one in again.steps] == [write_step(one) for one in plan.steps]
