"""What can hold a stranger's words, what hands them on, and which hooks let nothing by."""

from __future__ import annotations

import pytest

from engine.linter.taint import Place, flow_of
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.sema.names.loader import MemoryReader
from engine.sema.trust import carries, clears, may_hand_over

HEAD = """orch 1
model m { id = "openai/gpt-5-mini" }
schema Color = "red" | "green"
schema Tree { left: Tree?, right: Tree?, color: Color, n: int }
schema Note { id: int, text: string @untrusted }
"""


def program(text: str) -> Program:
    reader = MemoryReader({"t.orch": HEAD + text}, "/t")
    result = check_file("/t/t.orch", reader=reader, env={})
    assert result.program is not None, [item.message for item in result.diagnostics]
    return result.program


def worker(output: str, inputs: str = "q: string", name: str = "w", settings: str = "") -> str:
    return (
        f'worker {name}({inputs}) -> {output} via command {{ run = ["x"]  effect = read  '
        f"timeout = 1s {settings} }}\n"
    )


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("string", True),
        ("json", True),
        ("float", False),
        ("date", False),
        ("datetime?", False),
        ("{ at: duration, n: float }", False),
        ("email", True),
        ("url", True),
        ("string?", True),
        ("int | string", True),
        ("{ a: int, b: string[] }", True),
        ("int", False),
        ("bool[]", False),
        ("Color?", False),
        ("Tree", False),
        ("{ a: int, b: Color[], c: \"x\" | 3 | null }", False),
    ],
)  # fmt: skip
def test_text_is_carried_by_what_can_hold_it(type_, expected):
    schema = program(worker(type_)).workers["w"].output.schema
    assert carries(schema, schema) is expected


@pytest.mark.parametrize(
    ("given", "taken", "expected"),
    [
        ("string", "n: int", False),
        ("{ a: string, n: int }", "n: int", False),
        ("json", "n: int", True),
        ("int | string", "n: int", True),
        ("string?", "n: int?", True),
        ("{ deep: { list: json[] } }", "n: int", True),
        ("string", "color: Color", True),
    ],
)
def test_a_reference_hands_text_on_only_where_it_may_fit(given, taken, expected):
    made = program(worker(given) + worker("int", taken, "v"))
    producer, consumer = made.workers["w"].output.schema, made.workers["v"].inputs.schema
    assert may_hand_over(producer, consumer) is expected


LOOP = """
verifier yes(goal: string) via rules { assert goal }
verifier perhaps(goal: string) via rules { assert goal  skip_when = goal == "x" }
orchestrator o(q: string) -> int {
  model = m  goal = "{{ q }}"  workers = [w]
  policy { max_rounds = 2 }
  verify { before_dispatch w { with = %s } }
}
"""


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ("yes  on_fail = abort", True),
        ("yes  on_fail = escalate", True),
        ("[perhaps, yes]  on_fail = abort", True),
        ("yes  on_fail = revise  max_revisions = 1  then = abort", True),
        ("yes  on_fail = warn", False),
        ("yes  on_fail = revise  max_revisions = 1  then = warn", False),
        ("perhaps  on_fail = abort", False),
        ("yes  on_fail = revise  max_revisions = 1  then = deny", True),
        ("yes  on_fail = deny", True),
        ("yes  else = perhaps  on_fail = deny", True),
        ("perhaps  else = yes  on_fail = deny", False),
        ("yes  else = yes  on_fail = warn", False),
        ("yes  on_fail = deny  when = tainted", True),
        ('yes  on_fail = deny  when = task.tainted or goal == "x"', True),
        ('yes  on_fail = deny  when = (goal == "x" or tainted) and (tainted or goal == "y")', True),
        ('yes  on_fail = deny  when = not (not tainted and goal == "x")', True),
        ('yes  on_fail = deny  when = not (goal == "x" or not tainted)', False),
        ('yes  on_fail = deny  when = tainted and goal == "x"', False),
        ("yes  on_fail = deny  when = not tainted", False),
        ('yes  on_fail = deny  when = goal == "x"', False),
        ("yes  on_fail = deny  when = 1 < 2", True),
        ("yes  on_fail = deny  when = false", False),
    ],
)
def test_a_hook_clears_if_nothing_passes_it_without_a_yes(hook, expected):
    made = program(worker("int") + LOOP % hook)
    loop = made.orchestrators["o"]
    assert clears(loop, "before_dispatch", "w", made.verifiers) is expected
    assert clears(loop, "after_dispatch", "w", made.verifiers) is False
    whatever = expected and loop.hooks[0].when is None
    assert clears(loop, "before_dispatch", "w", made.verifiers, always=True) is whatever


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (worker("Note"), True),
        (worker("Note[]"), True),
        (worker("Tree"), False),
        (worker("Tree", settings="trust = untrusted"), True),
    ],
)
def test_a_field_that_is_marked_makes_its_worker_a_source(text, expected):
    flow = flow_of(program(text + LOOP % "yes"))
    assert flow.reaches(Place("loop", "o")) is expected


def test_a_field_of_an_input_that_is_marked_makes_the_decisions_tainted():
    text = (worker("int") + LOOP % "yes").replace("o(q: string)", "o(q: string, notes: Note[])")
    flow = flow_of(program(text))
    assert flow.way(Place("loop", "o")) == [Place("input", "o", "notes"), Place("loop", "o")]
