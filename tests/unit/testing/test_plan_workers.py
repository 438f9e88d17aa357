"""Plans in `test` blocks: replaced as a whole, or run with the workers that they call replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.testing import TestResult, run_tests

PROGRAM = """orch 1

model m { id = "openai/gpt-5-mini" }

schema Note { title: string, words: int, tags: string[] @items(max: 5) }

worker notes(topic: string) -> Note[] via llm { model = m  prompt = "{{ topic }}" }
worker sum_up(title: string, style: string?) -> string via llm {
  model  = m
  prompt = "{{ title }} {{ style or '' }}"
}
worker join(parts: string[]) -> string via llm { model = m  prompt = "{{ parts | json }}" }
worker check(text: string) -> { ok: bool } via llm { model = m  prompt = "{{ text }}" }

worker digest(topic: string, most: int = 10 @max(40), style: string?) -> string via plan {
  max_items = 200
  step all { call = notes(topic=topic) }
  step sums {
    each    = all
    where   = item.words > 200
    sort_by = item.words
    desc    = true
    take    = most
    call    = sum_up(title=item.title, style=style)
  }
  step text { reduce = sums  size = 2  empty = "nothing"  call = join(parts=parts) }
  step better {
    when = sums | length > 2
    repeat       { max = 3  until = checked.ok  start = text  gives = draft }
    step draft   { call = join(parts=[last, topic]) }
    step checked { call = check(text=draft) }
  }
  result = better if better is not none else text
}

worker views(topic: string, style: string?) -> json via plan {
  max_items = 60
  step all { call = notes(topic=topic) }
  step sums { each = all  take = 5  call = sum_up(title=item.title)  tolerate = 50% }
  step again { each = sums.failures  take = 3  call = join(parts=[item.message, item.mode]) }
  step styled { when = style is not none  call = sum_up(title=topic, style=style) }
  step bad { when = sums is failed  call = join(parts=[]) }
  step flat { each = all + all  flatten = item.tags  take = 3  call = join(parts=[item, index]) }
  result = {
    sums: sums, failed: sums.failures | length, first: sums.pairs[0].item.title, again: again,
    styled: styled, bad: bad, flat: flat | length, alone: style is none,
  }
}

orchestrator run(topic: string) -> string {
  model   = m
  goal    = "{{ topic }}"
  workers = [digest]
  policy { max_rounds = 2 }
}
"""

NOTES = """mock notes { returns = [
  { title: "a", words: 300, tags: ["x", "y"] },
  { title: "b", words: 100, tags: [] },
  { title: "c", words: 500, tags: ["z"] },
  { title: "d", words: 400, tags: [] },
] }
"""


@pytest.fixture
def play(tmp_path: Path) -> Any:
    """Run one test with this body, and give its result."""

    def play(target: str, body: str, input: str = '{ topic: "tea" }') -> TestResult:
        path = tmp_path / "main.orch"
        path.write_text(f'{PROGRAM}\ntest "it" for {target} {{ input = {input}\n{body} }}\n')
        (result,) = run_tests(path)
        return result

    return play


def messages(result: TestResult) -> list[str]:
    return [finding.message for finding in result.findings]


def test_a_plan_is_mocked_like_any_worker(play: Any) -> None:
    result = play(
        "run",
        """
        mock orchestrator { script = [
          { tasks: [{ id: "t", worker: "digest", input: { topic: "x" } }] },
          { finish: "done" },
        ] }
        mock digest { returns = "A digest." }
        assert run.outputs.digest == "A digest." and run.dispatches == 1
        """,
    )
    assert messages(result) == []


def test_a_plan_runs_with_its_workers_mocked(play: Any) -> None:
    result = play(
        "digest",
        NOTES
        + """
        mock sum_up { returns = "S" }
        mock join { script = ["C", "D", "one", "two"] }
        mock check { script = [{ ok: false }, { ok: true }] }
        assert output == "two"
        """,
    )
    assert messages(result) == []


def test_what_a_plan_selects_from_may_be_empty(play: Any) -> None:
    result = play("digest", 'mock notes { returns = [] }\nassert output == "nothing"')
    assert messages(result) == []


def test_views_skips_and_optional_inputs(play: Any) -> None:
    body = (
        NOTES
        + """
        mock sum_up { returns = "S"  times = 3 }
        mock sum_up { fails = crashed }
        mock join { returns = "W" }
        assert output.sums == ["S", "S", "S"] and output.failed == 1 and output.again == ["W"]
        assert output.first == "a" and output.styled is none and output.bad is none
        assert output.flat == 3 and output.alone
        """
    )
    assert messages(play("views", body)) == []


def test_an_optional_input_that_is_given(play: Any) -> None:
    body = (
        NOTES
        + """
        mock sum_up { returns = "S" }
        mock join { returns = "W" }
        assert output.styled == "S" and not output.alone and output.again == []
        """
    )
    assert messages(play("views", body, '{ topic: "tea", style: "short" }')) == []


def test_a_call_inside_that_is_not_mocked_fails_the_test(play: Any) -> None:
    result = play("digest", "")
    assert any("worker `notes` is not mocked" in message for message in messages(result))


def test_assertions_see_inside_a_plan_that_is_tested_alone(play: Any) -> None:
    body = (
        NOTES
        + """
        mock sum_up { returns = "S"  times = 3 }
        mock sum_up { fails = crashed }
        mock join { returns = "W" }
        assert run.steps.sums.counts.done == 3 and run.steps.sums.counts.failed == 1
        assert run.steps.sums.failures[0].mode == "crashed" and run.tasks.bad.status == "skipped"
        assert run.tasks["sums[3]"].failure.mode == "crashed" and run.tasks.all.status == "done"
        assert run.tasks.test.worker == "views" and run.dispatched.sum_up == 4
        assert run.history[0].tasks[0].plan.steps[0].items | length == 4
        """
    )
    assert messages(play("views", body)) == []


def test_assertions_see_inside_the_plans_of_a_run(play: Any) -> None:
    result = play(
        "run",
        NOTES
        + """
        mock orchestrator { script = [
          { tasks: [{ id: "t", worker: "digest", input: { topic: "x", most: 2 } }] },
          { finish: "done" },
        ] }
        mock sum_up { returns = "S" }
        mock join { returns = "J" }
        mock check { returns = { ok: true } }
        assert run.tasks["t/sums[2]"].input.title == "c"
        assert run.steps["t/sums"].counts.done == 2 and run.steps["t/better"].status == "skipped"
        """,
    )
    assert messages(result) == []
