"""Tests of `test` blocks: what passes, what fails, and what a failure says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.sema.templates.run_types import RUN_REPORTED
from engine.testing import TestResult, run_tests

EXAMPLES = Path(__file__).parents[2] / "fixtures" / "examples"

PROGRAM = """orch 1

model planner { id = "openai/gpt-5-mini"  retry { max = 1 } }
param least: int = 1

secret TOKEN

/// Looks a word up.
worker look(word: string) -> { text: string, score: int = 0 } fails missing via http {
  method = "GET"  url = "https://x.example/w"  headers = { A: secret.TOKEN }
  retry { max = 2  on = [timeout]  }  trust = trusted
}
worker write(text: string) -> string via llm { model = planner  prompt = "{{ text }}" }
worker local(n: int) -> int via python { call = "tools:local" }
worker send(n: int) -> int via python { call = "tools:local"  effect = once }
worker pure(n: int) -> int via python { call = "tools:local"  effect = pure }

verifier long(result: string) via rules {
  assert result | length >= param.least else "only {{ result | length }} characters"
}
verifier sound(result: string, goal: string) via llm {
  model = planner  prompt = "{{ result }}"  pass_when = score >= 0.5
}
verifier allowed(text: string) via human {
  message = "Write {{ text }}?"  timeout = 1h  on_timeout = abort  skip_when = text == "free"
}

orchestrator inner(word: string) -> string {
  model = planner  goal = "Inner {{ word }}."  workers = [look]
  policy { max_rounds = 2 }
}
orchestrator main(word: string, times: int = 2) -> string {
  model = planner  goal = "Write about {{ word }}."
  workers = [look, write, local, pure, send, inner]
  policy { max_rounds = 4 }
  verify {
    before_dispatch write { with = allowed  on_fail = abort }
    before_finish { with = [long, sound]  on_fail = revise  max_revisions = 1 }
  }
}
"""

TOOLS = """
from pathlib import Path
def local(n):
    Path(__file__).with_name("ran.txt").write_text("it ran")
    return n
"""


def tasks(*specs: tuple[str, str, dict[str, Any]]) -> str:
    return json.dumps(
        {"assessment": "", "tasks": [{"id": i, "worker": w, "input": v} for i, w, v in specs]}
    )


def finish(output: str) -> str:
    return json.dumps({"assessment": "", "finish": output})


SOUND = "mock sound { returns = { ok: true, score: 0.9 } }"
LOOK = tasks(("a", "look", {"word": "x"}))


@pytest.fixture
def play(tmp_path: Path):
    """Run one test with this body, and give its result."""

    def play(body: str, target: str = "main", input: str = '{ word: "tea" }') -> TestResult:
        path = tmp_path / "main.orch"
        given = f"input = {input}" if input else ""
        path.write_text(f'{PROGRAM}\ntest "it" for {target} {{ {given}\n{body} }}\n')
        (tmp_path / "tools.py").write_text(TOOLS)
        (result,) = run_tests(path)
        return result

    return play


def script(*entries: str, name: str = "orchestrator") -> str:
    return f"mock {name} {{ script = [{', '.join(entries)}] }}\n"


def messages(result: TestResult) -> list[str]:
    return [finding.message for finding in result.findings]


def test_a_test_that_holds_passes(play):
    result = play(
        script(LOOK, finish("done"))
        + 'mock look { returns = { text: "t" } }\n'
        + SOUND
        + """
        assert run.status == "finished" and run.rounds == 2 and run.dispatches == 1
        assert output == "done" and input.word == "tea" and input.times == 2
        assert run.tasks.a.output == { text: "t", score: 0 }
        assert run.outputs.look.text == "t" and run.dispatched.look == 1
        assert run.dispatched.write == 0 and not run.escalated and run.bound is none
        assert run.usage.cost_usd == 0 and run.failures == [] and param.least == 1
        assert run.verdicts | map(attribute="verifier") | list == ["long", "sound"]
        """
    )
    assert result.findings == ()
    assert (result.passed, result.status, result.line) == (True, "finished", 42)


def test_the_checker_knows_what_run_holds(play):
    result = play(script(finish("done")) + SOUND + "\nassert run | length == 0")
    ((_, run), *_) = result.findings[0].values
    assert set(run) == {field.name for field in RUN_REPORTED.fields}


def test_a_failed_assertion_shows_its_parts_and_its_place(play):
    result = play(
        script(finish("done")) + SOUND + '\nassert run.rounds > 3 and output | length == 4 else "'
        'only {{ run.rounds }}"'
    )
    (finding,) = result.findings
    assert finding.kind == "assertion"
    assert finding.message == "only 1 (assert run.rounds > 3 and output | length == 4)"
    assert finding.values == (("run.rounds", 1), ("output", "done"), ("output | length", 4))
    at = finding.span.begin_position
    assert finding.span.source.line(at.line)[at.column - 1 :].startswith("run.rounds > 3")


def test_every_failed_assertion_is_told(play):
    result = play(
        script(finish("done")) + SOUND + '\nassert output == "x"\nassert run.rounds == 1\n'
        "assert run.failures[0].mode == 2\nassert output | int > 0"
    )
    assert [m.split(":")[0] for m in messages(result)] == [
        'assert output == "x"',
        "assert run.failures[0].mode == 2",
        "assert output | int > 0",
    ]
    assert "cannot be evaluated" in messages(result)[1]


def test_a_failing_mock_is_what_the_planner_sees(play):
    result = play(
        script(LOOK, finish("none"))
        + "mock look { fails = missing }\n"
        + SOUND
        + '\nassert run.failures[0].mode == "missing" and run.tasks.a.failure.mode == "missing"'
    )
    assert result.findings == ()


def test_mocks_of_one_worker_are_used_in_order_and_retries_do_not_wait(play):
    result = play(
        script(LOOK, finish("done"))
        + "mock look { fails = timeout  times = 2 }\n"
        + 'mock look { returns = { text: "third" } }\n'
        + SOUND
        + '\nassert run.tasks.a.output.text == "third"'
    )
    assert result.findings == ()


def test_a_mocked_model_worker_is_called_again_as_its_model_says(play):
    result = play(
        script(tasks(("a", "write", {"text": "free"})), finish("done"))
        + "mock write { fails = timeout  times = 1 }\n"
        + 'mock write { returns = "second" }\n'
        + SOUND
        + '\nassert run.outputs.write == "second"'
    )
    assert result.findings == ()


def test_a_script_says_no_pauses(play):
    wait = '{ "$fail": "rate_limited", retry_after_ms: 600000 }'
    answer = f'{{ "$reply": {finish("done")}, delay_ms: 600000 }}'
    assert play(script(wait, answer) + SOUND).findings == ()


def test_a_once_worker_of_unknown_outcome_leaves_the_run_waiting(play):
    result = play(
        script(tasks(("a", "send", {"n": 1})))
        + "mock send { fails = timeout }\n"
        + 'assert run.status == "waiting" and run.gates[0].kind == "outcome"'
    )
    assert result.findings == ()


def test_a_used_up_mock_fails_the_test(play):
    body = script(LOOK, tasks(("b", "look", {"word": "y"})), finish("done")) + SOUND
    (finding,) = play(body + '\nmock look { returns = { text: "t" }  times = 1 }').findings
    assert finding.kind == "mock"
    assert finding.message == (
        "the mocks of `look` are used up after 1 call, and it is called again "
        "(round 2 / decision 1 / task b)"
    )
    assert finding.span.text.startswith("mock look")


def test_a_script_that_is_too_short_fails_the_test(play):
    result = play(script(LOOK) + 'mock look { returns = { text: "t" } }')
    assert messages(result) == [
        "the mocks of `main` are used up after 1 call, and it is called again "
        "(round 2 / decision 1)"
    ]


def test_a_script_with_entries_left_over_fails_the_test(play):
    result = play(script(finish("done"), finish("more")) + SOUND)
    assert messages(result) == ["the script of `main` has entries left over: 1 of 2"]
    look = 'mock look { script = [{ text: "a" }, { "$fail": "missing" }] }'
    result = play(script(LOOK, finish("done")) + look + SOUND)
    assert messages(result) == ["the script of `look` has entries left over: 1 of 2"]


@pytest.mark.parametrize(
    ("worker", "input", "said"),
    [
        ("look", {"word": "x"}, "`look` (via http) is not mocked"),
        ("local", {"n": 1}, "`local` (via python) is not mocked"),
        ("pure", {"n": 1}, "`pure` (via python) is not mocked"),
        ("inner", {"word": "x"}, "the decisions of `inner` are not scripted"),
    ],
)
def test_a_live_call_fails_the_test(play, tmp_path, worker, input, said):
    result = play(script(tasks(("a", worker, input)), finish("done")) + SOUND + "\nassert true")
    (finding,) = result.findings
    assert finding.kind == "live"
    assert finding.message.startswith("a live call in a test: ")
    assert said in finding.message
    assert "round 1 / decision 1 / task a" in finding.message
    assert not (tmp_path / "ran.txt").exists()


def test_a_live_model_fails_the_test(play):
    assert messages(play("")) == [
        "a live call in a test: the decisions of `main` are not scripted, and would call model "
        "`openai/gpt-5-mini` (round 1 / decision 1); write `mock orchestrator { script = [...] }`"
    ]
    (message,) = messages(play(script(finish("done"))))
    assert "verifier `sound` is not mocked" in message


def test_a_gate_must_be_mocked(play):
    body = script(tasks(("a", "write", {"text": "x"})), finish("done")) + SOUND
    (message,) = messages(play(body + '\nmock write { returns = "w" }'))
    assert "`allowed` asks a person and is not mocked" in message


def test_a_mocked_person_approves_rejects_or_stays_away(play):
    body = script(tasks(("a", "write", {"text": "x"})), finish("done"))
    written = 'mock write { returns = "w" }\n'
    yes = "mock allowed { returns = { ok: true } }\n"
    approved = play(body + written + SOUND + yes + 'assert run.outputs.write == "w"')
    assert approved.findings == ()
    body = script(tasks(("a", "write", {"text": "x"})))
    no = 'mock allowed { returns = { ok: false, feedback: "too bold" } }\n'
    rejected = play(body + no + 'assert run.status == "aborted" and "too bold" in run.reason')
    assert rejected.findings == ()
    away = play(
        body + 'mock allowed { fails = timeout }\nassert run.status == "aborted" and "in time" in '
        "run.reason"
    )
    assert away.findings == ()


def test_a_skipped_gate_needs_no_mock(play):
    body = script(tasks(("a", "write", {"text": "free"})), finish("done")) + SOUND
    assert play(body + '\nmock write { returns = "w" }').findings == ()


def test_rules_run_for_real_unless_they_are_mocked(play):
    body = script(finish(""), finish("")) + SOUND
    result = play(body + '\nassert run.status == "aborted"')
    assert result.findings == ()
    result = play(body)
    assert messages(result) == ["the run ended as `aborted`, and the test asserts nothing about it"]
    assert "round 1: long (before_finish): not passed: only 0 characters" in result.story
    body = script(finish("")) + SOUND + "\nmock long { returns = { ok: true } }"
    assert play(body).findings == ()


def test_a_mocked_verdict_passes_through_pass_when(play):
    body = script(finish("a"), finish("b")) + "mock sound { returns = { ok: true, score: 0.2 } }"
    result = play(body + '\nassert run.status == "aborted" and run.rounds == 2')
    assert result.findings == ()


def test_a_sub_orchestrator_is_scripted_or_mocked_as_a_whole(play):
    body = script(tasks(("a", "inner", {"word": "x"})), finish("done")) + SOUND
    scripted = (
        script(LOOK, finish("from inside"), name="inner") + 'mock look { returns = { text: "t" } }'
    )
    held = '\nassert run.outputs.inner == "from inside"'
    assert play(body + scripted + held).findings == ()
    assert play(body + 'mock inner { returns = "from inside" }' + held).findings == ()
    failed = 'mock inner { fails = exhausted }\nassert run.failures[0].mode == "exhausted"'
    assert play(body + failed).findings == ()


def test_a_mocked_model_answers_whoever_asks(play):
    result = play(
        f"mock planner {{ script = [{finish('done')}, {{ ok: true, score: 1 }}] }}\n"
        'assert output == "done"'
    )
    assert result.findings == ()
    result = play(
        "mock planner { fails = rate_limited }\n"
        'assert run.status == "failed" and "rate_limited" in run.reason'
    )
    assert result.findings == ()


def test_usage_in_a_script_is_counted(play):
    reply = f'{{ "$reply": {finish("done")}, usage: {{ input_tokens: 10, cost_usd: 0.5 }} }}'
    result = play(script(reply) + SOUND + "\nassert run.usage.cost_usd == 0.5")
    assert result.findings == ()


@pytest.mark.parametrize(
    ("mocks", "said"),
    [
        ("mock look { script = [{ text: 3 }] }", "entry 1: the mock of `look` does not fit"),
        ('mock look { script = [{ "$fail": "lost" }] }', "`look` does not fail with `lost`"),
        ('mock look { script = { text: "t" } }', "a script is a list of answers"),
        ('mock look { returns = { text: "a" } } mock look { fails = missing }', "never reached"),
        ("mock look { script = []  times = 2 }", "`times` has no meaning with `script`"),
        ("mock allowed { fails = crashed }", "`allowed` does not fail with `crashed`"),
        ('mock main { returns = "x" }', "is under test"),
        ('mock planner { script = [{ "$fail": "crashed" }] }', "not a failure mode of models"),
    ],
)
def test_a_mock_that_does_not_fit_is_told_before_the_run(play, mocks, said):
    result = play(script(finish("done")) + SOUND + "\n" + mocks)
    (finding,) = result.findings
    assert (finding.kind, result.status) == ("mock", "")
    assert said in finding.message
    assert finding.span.text.startswith("mock ")


def test_params_of_a_test_count_in_its_run_only(tmp_path):
    body = script(finish("done")) + SOUND
    (tmp_path / "main.orch").write_text(
        PROGRAM
        + f'test "ten" for main {{ input = {{ word: "x" }} params = {{ least: 4 }}\n{body}\n'
        "assert param.least == 4 }\n"
        + f'test "one" for main {{ input = {{ word: "x" }}\n{body}\nassert param.least == 1 }}\n'
    )
    (tmp_path / "tools.py").write_text(TOOLS)
    ten, one = run_tests(tmp_path / "main.orch")
    assert (ten.findings, one.findings) == ((), ())


def test_params_that_are_not_there_are_told_before_any_test(tmp_path):
    body = script(finish("done")) + SOUND
    (tmp_path / "main.orch").write_text(
        PROGRAM
        + f'test "bad" for main {{ input = {{ word: "x" }} params = {{ leest: 4 }}\n{body} }}'
    )
    (tmp_path / "tools.py").write_text(TOOLS)
    with pytest.raises(engine.CompileError, match="no param `leest`; did you mean `least`"):
        run_tests(tmp_path / "main.orch")


def test_the_environment_counts_for_nothing(play, monkeypatch):
    monkeypatch.setenv("ORCH_PARAM_LEAST", "50")
    monkeypatch.delenv("TOKEN", raising=False)
    assert play(script(finish("done")) + SOUND).passed


def test_an_input_that_does_not_fit_is_told(tmp_path, play):
    with pytest.raises(engine.CompileError, match="the input does not fit `main`"):
        play(script(finish("done")), input="{ word: 3 }")
    with pytest.raises(engine.CompileError, match="the input does not fit `main`"):
        play(script(finish("done")), input="{}")


def test_files_are_json_or_text(play, tmp_path):
    (tmp_path / "out.json").write_text('{ "text": "from a file" }')
    (tmp_path / "page.md").write_text("# A page")
    (tmp_path / "decisions.json").write_text(
        json.dumps(
            [
                json.loads(tasks(("a", "look", {"word": "x"}), ("b", "write", {"text": "free"}))),
                json.loads(finish("done")),
            ]
        )
    )
    result = play(
        'mock orchestrator { script = file("decisions.json") }\n'
        'mock look { returns = file("out.json") }\nmock write { returns = file("page.md") }\n'
        + SOUND
        + '\nassert run.outputs == { look: { text: "from a file", score: 0 }, write: "# A page" }'
    )
    assert result.findings == ()


def test_a_worker_by_itself_with_its_model_mocked(play):
    result = play(
        'mock planner { returns = "words" }\nassert output == "words" and run.status == "finished"',
        target="write",
        input='{ text: "x" }',
    )
    assert result.findings == ()
    result = play(
        'mock planner { fails = refused }\nassert run.status == "failed" and run.failure.mode == '
        '"refused"',
        target="write",
        input='{ text: "x" }',
    )
    assert result.findings == ()


def test_an_input_that_looks_like_a_reference_is_none(tmp_path):
    (tmp_path / "main.orch").write_text(
        'orch 1\nmodel m { id = "openai/gpt-5-mini" }\n'
        'worker echo(v: json) -> string via llm { model = m  prompt = "{{ v }}" }\n'
        'test "it" for echo { input = { v: { "$from": "a" } }  mock m { returns = "ok" }\n'
        '  assert output == "ok" and input.v == { "$from": "a" } }\n'
    )
    (result,) = run_tests(tmp_path / "main.orch")
    assert result.findings == ()


def test_a_verifier_by_itself(play):
    held = 'assert not output.ok and output.feedback == "only 0 characters"'
    assert play(held, target="long", input='{ result: "" }').findings == ()
    held = "mock planner { returns = { ok: true, score: 0.4 } }\nassert not output.ok"
    given = '{ result: "r", goal: "g" }'
    assert play(held, target="sound", input=given).findings == ()
    held = "assert run.skipped and output is none"
    assert play(held, target="allowed", input='{ text: "free" }').findings == ()


def test_scripted_models_of_the_file_and_policies_are_offline(tmp_path):
    (tmp_path / "main.orch").write_text(
        'orch 1\nmodel m { id = "scripted/s.json" }\nmodel p { id = "python/tools:decide" }\n'
        'worker w(n: int) -> int via python { call = "tools:w" }\n'
        'orchestrator a(n: int) -> int { model = m  goal = "g"  workers = [w]\n'
        "  policy { max_rounds = 3 } }\n"
        'orchestrator b(n: int) -> int { model = p  goal = "g"  workers = [w]\n'
        "  policy { max_rounds = 3 } }\n"
        'test "script" for a { input = { n: 1 }  assert output == 4 }\n'
        'test "policy" for b { input = { n: 1 }  mock w { returns = 5 }  assert output == 5 }\n'
    )
    (tmp_path / "s.json").write_text(json.dumps([{"assessment": "", "finish": 4}]))
    (tmp_path / "tools.py").write_text(
        "def w(n):\n    raise AssertionError\n"
        "def decide(state):\n"
        "    if 'w' in state.outputs:\n"
        "        return {'assessment': '', 'finish': state.outputs['w'][0]}\n"
        "    task = {'id': 'a', 'worker': 'w', 'input': {'n': 1}}\n"
        "    return {'assessment': '', 'tasks': [task]}\n"
    )
    assert [result.findings for result in run_tests(tmp_path / "main.orch")] == [(), ()]
    (tmp_path / "s.json").write_text(json.dumps([{"assessment": "", "finish": 4}, "more"]))
    left, _ = run_tests(tmp_path / "main.orch")
    assert messages(left) == ["s.json has entries left over: 1 of 2"]


def test_a_decision_that_is_not_accepted_is_told(play):
    bad = tasks(("a", "nobody", {}))
    result = play(script(bad, bad, bad) + 'assert output == "1"')
    assert any("nobody" in line for line in result.story)


def test_select_takes_titles_and_targets(tmp_path, play):
    play(script(finish("done")) + SOUND)
    path = tmp_path / "main.orch"
    assert [r.title for r in run_tests(path, select="IT")] == ["it"]
    assert [r.title for r in run_tests(path, select="mai")] == ["it"]
    assert run_tests(path, select="other") == []


def test_the_example_passes_with_its_own_files(monkeypatch):
    monkeypatch.delenv("SEARCH_KEY", raising=False)
    (result,) = engine.run_tests(EXAMPLES / "report.orch")
    assert result.findings == ()
    assert result.status == "finished"
