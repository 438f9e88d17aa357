"""`orch run` as a process: results, exit codes, JSON, bad input, workers that misbehave."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest


def test_the_result_is_alone_on_stdout(desk):
    desk.write(desk.tasks(desk.task("a1", "add", n=1)), desk.finish(2))

    done = desk.orch("run", "a.orch")

    assert (done.returncode, done.stdout) == (0, "2\n")
    lines = done.stderr.splitlines()
    assert lines[0].startswith("run 2")
    assert lines[1:4] == [
        "round 1 of 3",
        "  plan, 1 task: first things first",
        "  a1 add: started",
    ]
    assert lines[4].startswith("  a1 add: done in ")
    assert lines[5:8] == ["round 2 of 3", "  plan, finish: that is all", "finished"]
    assert lines[8].startswith("2 rounds, 1 task, 3 calls, ")


@pytest.mark.parametrize(
    ("output", "value", "shown"),
    [
        ("string", "as it is\nwith \u00e9 and \x1b[1m", "as it is\nwith \u00e9 and \x1b[1m\n"),
        (
            "{ a: int, b: string[] }",
            {"a": 1, "b": ["\u00e9"]},
            '{\n  "a": 1,\n  "b": [\n    "\u00e9"\n  ]\n}\n',
        ),
        ("bool", False, "false\n"),
    ],
)
def test_a_result_is_text_or_json(desk, output, value, shown):
    desk.write(desk.finish(value), output=output)

    assert desk.orch("run", "a.orch", "--quiet").stdout == shown


def test_quiet_says_nothing_of_a_run_that_finished(desk):
    desk.write(desk.tasks(desk.task("a1", "add", n=1)), desk.finish(2))

    done = desk.orch("run", "a.orch", "--quiet")

    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")


def test_json_is_one_object(desk):
    desk.write(
        desk.tasks(desk.task("a1", "add", n=1), desk.task("a2", "boom", n=1)), desk.finish(2)
    )

    done = desk.orch("run", "a.orch", "--format", "json", "-i", "start=7")

    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert {
        "run", "status", "output", "partial", "failures", "usage", "cost_usd", "rounds",
        "dispatches", "calls", "lost", "time_ms", "bound", "reason", "workflow", "orchestrator",
        "journal",
    } <= set(report)  # fmt: skip
    assert (report["status"], report["output"], report["rounds"]) == ("finished", 2, 2)
    (failure,) = report["failures"]
    assert (failure["task"], failure["worker"], failure["mode"]) == ("a2", "boom", "crashed")
    assert (report["workflow"], report["orchestrator"]) == ("a.orch", "count")


NEVER = 'verifier never(result: int) via rules { assert result < 0 else "too large: {{ result }}" }'
#: What ends a run in each way: arguments of `Desk.write`, the exit code, the result, the words.
ENDS = {
    "failed": (
        [{"$fail": "refused", "message": "no"}],
        {},
        (1, "", "failed: model `planner` failed, refused: no"),
    ),
    "exhausted": (
        [{"assessment": "", "tasks": [{"id": "a1", "worker": "add", "input": {"n": 4}}]}],
        {"policy": "max_rounds = 1"},
        (4, "5\n", "exhausted: max_rounds: max_rounds = 1 is reached"),
    ),
    "waiting": (
        [{"assessment": "", "finish": 3}],
        {
            "declarations": NEVER,
            "settings": "verify { before_finish { with = never  on_fail = escalate } }",
        },
        (5, "3\n", "waiting: never: too large: 3"),
    ),
    "aborted": (
        [{"assessment": "", "finish": 3}],
        {
            "declarations": NEVER,
            "settings": "verify { before_finish { with = never  on_fail = abort } }",
        },
        (6, "3\n", "aborted: never: too large: 3"),
    ),
}


@pytest.mark.parametrize("status", ENDS)
def test_each_end_has_its_exit_code_and_gives_the_best_there_is(desk, status):
    script, program, (code, stdout, words) = ENDS[status]
    desk.write(*script, **program)

    done = desk.orch("run", "a.orch", "--quiet")

    assert (done.returncode, done.stdout) == (code, stdout)
    assert done.stderr.startswith(words)


@pytest.mark.parametrize("status", ENDS)
def test_each_end_is_one_json_object(desk, status):
    script, program, (code, _, _) = ENDS[status]
    desk.write(*script, **program)

    done = desk.orch("run", "a.orch", "--format", "json")

    report = json.loads(done.stdout)
    assert (done.returncode, report["status"]) == (code, status)
    assert report["output"] is None
    assert report["bound"] == ("max_rounds" if status == "exhausted" else None)


LARGE = "y" * 1_500_000


def test_a_large_partial_result_is_cut_and_the_rest_is_a_command_away(desk):
    script = desk.tasks(desk.task("a1", "echo", text=LARGE))
    desk.write(script, output="string", policy="max_rounds = 1")
    done = desk.orch("run", "a.orch", "--quiet")
    assert (done.returncode, done.stdout) == (4, "y" * 1024 * 1024 + "\n")
    cut = done.stderr.splitlines()[-1]
    assert cut.startswith("the partial result takes 1.43 MiB and is cut after 1 MiB; the whole: ")

    command = cut.partition("the whole: orch ")[2].split()
    assert LARGE in desk.orch(*command).stdout
    assert desk.orch("resume", "last", "--full").stdout == LARGE + "\n"


def test_a_large_partial_result_is_left_out_of_json(desk):
    script = desk.tasks(desk.task("a1", "echo", text=LARGE))
    desk.write(script, output="string", policy="max_rounds = 1")
    report = json.loads(desk.orch("run", "a.orch", "--format", "json").stdout)
    assert report["partial"] is None
    assert report["partial_left_out"]["tasks"] == ["a1"]
    assert report["partial_left_out"]["bytes"] >= len(LARGE)
    whole = desk.orch("run", "a.orch", "--no-journal", "--format", "json", "--full")
    report = json.loads(whole.stdout)
    assert (report["partial"], report["partial_left_out"]) == (LARGE, None)


def test_a_large_result_that_was_not_let_through_is_cut_too(desk):
    never = 'verifier never(result: string) via rules { assert result == "" else "no" }'
    hook = "verify { before_finish { with = never  on_fail = abort } }"
    desk.write(desk.finish(LARGE), output="string", declarations=never, settings=hook)
    assert "--full prints it whole" in desk.orch("run", "a.orch", "--no-journal").stderr
    assert "show 2" in desk.orch("run", "a.orch").stderr.splitlines()[-1]


def test_a_finished_result_is_never_cut(desk):
    desk.write(desk.finish(LARGE), output="string")
    assert desk.orch("run", "a.orch").stdout == LARGE + "\n"


def test_a_verdict_that_does_not_pass_is_told(desk):
    desk.write(
        desk.finish(3),
        desk.finish(-1),
        declarations=NEVER,
        settings="verify { before_finish { with = never  on_fail = revise  max_revisions = 1 } }",
    )

    done = desk.orch("run", "a.orch")

    assert (done.returncode, done.stdout) == (0, "-1\n")
    assert "  never (before_finish): not passed: too large: 3\n" in done.stderr
    assert "  never (before_finish): passed\n" in done.stderr


# ---------------------------------------------------------------- inputs


def shown_input(desk):
    return json.loads(desk.orch("show", "last", "--format", "json").stdout)["input"]


def test_inputs_from_the_command_line_count_for_more_than_those_of_a_file(desk):
    desk.write(desk.finish(1))
    (desk.folder / "in.json").write_text('{"start": 1, "note": "from the file", "tags": ["x"]}')

    done = desk.orch(
        "run", "a.orch", "count", "--input", "in.json", "-i", "start=5", "-i", 'tags=["a", "b"]'
    )

    assert done.returncode == 0
    assert shown_input(desk) == {
        "start": 5, "note": "from the file", "tags": ["a", "b"], "mode": "fast",
    }  # fmt: skip


def test_inputs_from_standard_input(desk):
    desk.write(desk.finish(1))

    assert desk.orch("run", "a.orch", "--input", "-", stdin='{"start": 9}').returncode == 0
    assert shown_input(desk)["start"] == 9


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["-i", "strat=1"], "", "there is no input `strat`; did you mean `start`?"),
        (["-i", "start=one"], "", "input `start`: `one` is not JSON"),
        (["-i", "start=1.5"], "", "input `start`: "),
        (["-i", "mode=medium"], "", "input `mode`: "),
        (["-i", "tags=[1]"], "", "input `tags` at /0: "),
        (["-i", "start"], "", "'start' is not of the form NAME=VALUE"),
        (["-i", "start=1", "-i", "start=2"], "", "'start' is given twice"),
        (["--input", "-"], "", "--input: standard input is not JSON: it is empty"),
        (["--input", "-"], "[1]", "--input: standard input must hold a JSON object"),
        (["--input", "-"], '{"start": 1', "at line 1, column "),
        (["--input", "-"], '{"start": NaN}', "--input: standard input is not JSON"),
        (["--input", "-"], "[" * 100_000, "--input: standard input is not JSON"),
        (["--input", "-"], '{"note": "\\ud800"}', "--input: standard input is not JSON"),
        (["--input", "no.json"], "", "--input: cannot read no.json: no such file"),
        (["--input", "."], "", "--input: cannot read .: is a directory"),
        (["--param", "x=1"], "", "the program has no param `x`"),
        (["--model", "plannr=scripted/s.json"], "", "there is no model `plannr` to replace"),
        (["--model", "planner=scripted/no.json"], "", "there is no script"),
        (["--format", "xml"], "", "Invalid value for '--format'"),
        (["other"], "", "has no orchestrator `other`"),
    ],
)
def test_what_does_not_fit_is_a_clear_line_and_exit_2(desk, arguments, stdin, said):
    desk.write(desk.finish(1))

    done = desk.orch("run", "a.orch", *arguments, stdin=stdin)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert not (desk.folder / ".orch").exists()


def test_bytes_that_are_not_text_are_refused(desk):
    desk.write(desk.finish(1))

    done = desk.orch("run", "a.orch", "-i", b"note=\xff")

    assert (done.returncode, done.stdout) == (2, "")
    assert "the value of 'note' is not UTF-8" in done.stderr


def test_each_problem_of_the_inputs_has_its_line(desk):
    desk.write(desk.finish(1))

    done = desk.orch("run", "a.orch", "-i", "nope=1", "-i", "start=x", "--input", "no.json")

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 3


def test_params_are_taken_and_a_missing_one_is_asked_for(desk):
    desk.write(desk.finish(1), declarations="param limit: int", policy="max_rounds = 3")

    missing = desk.orch("run", "a.orch")
    given = desk.orch("run", "a.orch", "--param", "limit=4")

    assert (missing.returncode, missing.stdout) == (2, "")
    assert "param `limit` has no value: give --param limit=..." in missing.stderr
    assert given.returncode == 0


def test_a_missing_secret_is_named_and_a_given_one_is_never_shown(desk):
    desk.write(
        desk.tasks(desk.task("a1", "echo", text="env:API_KEY")),
        desk.finish("no"),
        output="string",
        declarations="secret API_KEY",
        policy="max_rounds = 1",
    )

    missing = desk.orch("run", "a.orch")
    given = desk.orch("run", "a.orch", env={"API_KEY": "hunter2hunter2"})
    shown = desk.orch("show", "--format", "json", env={"API_KEY": "hunter2hunter2"})

    assert missing.returncode == 2
    assert missing.stderr == "error: secret API_KEY is not set in the environment\n"
    assert given.stdout == "[secret API_KEY]\n"
    assert "hunter2hunter2" not in given.stderr + shown.stdout


# ---------------------------------------------------------------- programs and journals


def test_a_program_that_does_not_check_is_shown_like_lint_does(desk):
    desk.write(desk.finish(1), policy="max_round = 3")

    done = desk.orch("run", "a.orch")

    assert (done.returncode, done.stdout) == (3, "")
    assert "did you mean `max_rounds`?" in done.stderr
    assert "a.orch:" in done.stderr


@pytest.mark.parametrize("name", ["missing.orch", ".", "bytes.orch"])
def test_a_file_that_cannot_be_read_is_exit_3(desk, name):
    (desk.folder / "bytes.orch").write_bytes(b"orch 1\n\xff\xfe")

    done = desk.orch("run", name)

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(("error: cannot read", "error[ORC"))


@pytest.mark.parametrize("journal", ["a.orch", "a.orch/below", "/proc/orch"])
def test_a_journal_that_cannot_be_made_is_exit_3(desk, journal):
    desk.write(desk.tasks(desk.task("a1", "add", n=1)), desk.finish(1))

    done = desk.orch("run", "a.orch", "--journal", journal)

    assert (done.returncode, done.stdout) == (3, "")
    assert "journal" in done.stderr
    assert "--journal" in done.stderr
    assert desk.calls() == []


def test_a_journal_that_breaks_on_the_way_stops_the_run(desk):
    desk.write(desk.tasks(desk.task("a1", "wreck", n=1)), desk.tasks(desk.task("a2", "add", n=1)))

    done = desk.orch("run", "a.orch", "--format", "json")

    assert done.returncode == 1
    assert "the journal" in done.stderr
    assert done.stderr.endswith("\ninterrupted\n")
    assert json.loads(done.stdout)["status"] == "interrupted"
    assert desk.calls() == []


def test_no_journal_leaves_nothing_behind(desk):
    desk.write(desk.finish(1))

    assert desk.orch("run", "a.orch", "--no-journal").returncode == 0
    assert not (desk.folder / ".orch").exists()


def test_the_journal_may_stand_elsewhere(desk):
    desk.write(desk.finish(1))

    assert desk.orch("run", "a.orch", env={"ORCH_JOURNAL": "there"}).returncode == 0
    assert (desk.folder / "there").is_dir()
    assert len(desk.orch("runs", "--journal", "there").stdout.splitlines()) == 2


def test_a_model_is_replaced_and_recorded(desk):
    desk.write(desk.finish(1))
    (desk.folder / "other.json").write_text(json.dumps([desk.finish(42)]))

    recorded = desk.orch(
        "run", "a.orch", "--model", "planner=scripted/other.json", "--record", "tape"
    )
    replayed = desk.orch("run", "a.orch", "--model", "planner=recorded/tape")

    assert (recorded.stdout, replayed.stdout) == ("42\n", "42\n")


def test_a_script_that_was_not_played_to_its_end_fails_loudly(desk):
    desk.write(desk.finish(1), desk.finish(2))

    done = desk.orch("run", "a.orch")

    assert (done.returncode, done.stdout) == (1, "1\n")
    assert "error: script.json has entries left over: 1 of 2" in done.stderr


def test_a_run_that_did_not_finish_says_nothing_of_the_rest_of_its_script(desk):
    desk.write({"$fail": "refused"}, desk.finish(2))

    done = desk.orch("run", "a.orch")

    assert done.returncode == 1
    assert "left over" not in done.stderr


# ---------------------------------------------------------------- workers


@pytest.mark.parametrize(
    ("worker", "mode", "said"),
    [
        ("hang", "timeout", "no answer within 0.05 s"),
        ("pool", "timeout", "no answer within 0.05 s"),
        ("boom", "crashed", "ValueError: no luck"),
        ("garbage", "invalid_output", ""),
        ("die", "crashed", "killed by SIGKILL"),
    ],
)
def test_a_worker_that_fails_is_isolated(desk, worker, mode, said):
    desk.write(
        desk.tasks(desk.task("a1", worker, n=1), desk.task("a2", "add", n=1)), desk.finish(2)
    )

    done = desk.orch("run", "a.orch")

    assert (done.returncode, done.stdout) == (0, "2\n")
    (line,) = [line for line in done.stderr.splitlines() if "failed after" in line]
    assert line.startswith(f"  a1 {worker}: failed after ")
    assert f", {mode}" in line
    assert said in line
    assert "\x1b" not in done.stderr
    assert desk.calls() == ["add 1"]


def test_what_a_worker_prints_does_not_reach_stdout(desk):
    desk.write(desk.tasks(desk.task("a1", "noisy", n=1)), desk.finish(2))

    done = desk.orch("run", "a.orch", "--format", "json")

    assert json.loads(done.stdout)["output"] == 2
    for words in ("printed by a worker", "written by a worker", "written to descriptor 1"):
        assert words in done.stderr


def test_what_fails_on_the_side_is_a_warning(desk):
    desk.write(desk.tasks(desk.task("a1", "stray", n=1)), desk.finish(2))

    done = desk.orch("run", "a.orch")

    assert (done.returncode, done.stdout) == (0, "2\n")
    assert "warning: Task exception was never retrieved: ValueError: nobody hears me" in done.stderr


def test_closed_streams_are_no_reason_to_fail(desk):
    desk.write(desk.tasks(desk.task("a1", "noisy", n=1)), desk.finish(2))
    closing = ["sh", "-c", '"$@" <&- 2>&-', "sh", *desk.command("run", "a.orch")]

    done = subprocess.run(
        closing,
        capture_output=True, text=True, cwd=desk.folder, env=desk.environment(),
        timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "2\n")


def test_a_task_that_never_started_is_told_too(desk):
    desk.write(
        desk.tasks(
            desk.task("a1", "boom", n=1),
            {"id": "a2", "worker": "add", "input": {"n": {"$from": "a1"}}},
        ),
        desk.finish(2),
    )

    done = desk.orch("run", "a.orch")

    assert "  a2 add: failed, unmet_reference" in done.stderr
    assert "2 tasks (2 failed)" in done.stderr


def test_text_of_a_model_gives_the_terminal_no_orders(desk):
    desk.write(
        desk.tasks(desk.task("a1", "add", n=1), assessment="\x1b]0;title\x07look\x9b2J\u202e"),
        desk.finish(2, assessment="a\nb\rc"),
    )

    done = desk.orch("run", "a.orch")

    assert "  plan, 1 task: look\ufffd2J\ufffd\n" in done.stderr
    assert "  plan, finish: a b\ufffdc\n" in done.stderr


def test_a_bad_decision_is_told(desk):
    desk.write(desk.tasks(desk.task("a1", "ad", n=1)), '{"assessment": "cut', desk.finish(2))

    done = desk.orch("run", "a.orch")

    assert (done.returncode, done.stdout) == (0, "2\n")
    said = "  decision 1 was not accepted, asking again: task `a1`: unknown worker `ad`"
    assert said in done.stderr
    assert "  decision 2 was not accepted, asking again: the answer breaks off" in done.stderr
    shown = desk.orch("show").stdout
    assert "\n  decision 1 was not accepted: task `a1`: unknown worker `ad`" in shown
    assert "\n  decision 2 was not accepted: the answer breaks off" in shown


NESTED = """orch 1
model planner { id = "scripted/script.json" }
worker boom(n: int) -> int via python { call = "tools:boom" }
orchestrator inner(n: int) -> int {
  model = planner
  goal = "Inner {{ n }}."
  workers = [boom]
  policy { max_rounds = 2 }
}
orchestrator outer() -> int {
  model = planner
  goal = "Outer."
  workers = [inner]
  policy { max_rounds = 3 }
}
"""


def test_nested_orchestrators_are_told_apart(desk):
    inner = [desk.tasks(desk.task("i1", "boom", n=3)), desk.finish(9, assessment="enough")]
    outer = [desk.tasks(desk.task("o1", "inner", n=1)), desk.finish(5)]
    (desk.folder / "a.orch").write_text(NESTED)
    (desk.folder / "script.json").write_text(
        json.dumps({"entries": {"decision:outer": outer, "decision:inner": inner}})
    )

    done = desk.orch("run", "a.orch")
    shown = desk.orch("show", "last", "--task", "o1/i1")

    lines = [line for line in done.stderr.splitlines() if "boom" not in line]
    assert done.stdout == "5\n"
    end = lines.index("finished") + 1
    assert lines[1:end] == [
        "round 1 of 3",
        "  plan, 1 task: first things first",
        "  o1 inner: round 1 of 2",
        "    o1 inner: plan, 1 task: first things first",
        "  o1 inner: round 2 of 2",
        "    o1 inner: plan, finish: enough",
        "round 2 of 3",
        "  plan, finish: that is all",
        "finished",
    ]
    assert "    o1/i1 boom: failed after " in done.stderr
    assert "\no1/i1 boom: crashed: ValueError: no luck" in done.stderr
    assert lines[end] == " --> a.orch:3:41"
    assert lines[-1].startswith("2 rounds, 1 task, 5 calls, ")
    assert shown.stdout.startswith("round 1\ni1 boom: failed in ")


# ---------------------------------------------------------------- terminals, start-up


def test_neither_litellm_nor_rich_is_imported_without_need(desk):
    desk.write(desk.finish(1))
    code = (
        "import sys\nfrom engine.cli import main\n"
        "codes = [int(main(line.split())) for line in ('run a.orch -q', 'runs', 'show')]\n"
        "print(codes, sorted({'litellm', 'rich', 'networkx'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, cwd=desk.folder, env=desk.environment(),
        timeout=60, check=False,
    )  # fmt: skip

    assert done.stdout.splitlines()[-1] == "[0, 0, 0] []", done.stderr


def on_terminal(desk, *arguments, stdout=subprocess.PIPE):
    """What a process wrote to stdout, to the terminal that is its stderr, and its exit code."""
    terminal, other_end = pty.openpty()
    process = desk.start(
        *arguments, stdout=other_end if stdout is None else stdout, stderr=other_end,
        env={"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"},
    )  # fmt: skip
    os.close(other_end)
    shown = b""
    while True:
        try:
            data = os.read(terminal, 65_536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        shown += data
    os.close(terminal)
    written = b"" if process.stdout is None else process.stdout.read()
    if process.stdout is not None:
        process.stdout.close()
    return written.decode(), shown.decode().replace("\r\n", "\n"), process.wait(60)


def test_the_live_view_is_on_the_terminal_and_the_result_on_stdout(desk):
    desk.write(
        desk.tasks(
            desk.task("a1", "noisy", n=1), desk.task("a2", "hang", n=1), assessment="\x1b[5mlook"
        ),
        {
            "$reply": desk.finish(2),
            "usage": {"input_tokens": 1500, "output_tokens": 20, "cost_usd": 0.01},
            "delay_ms": 150,
        },
    )

    stdout, shown, code = on_terminal(desk, "run", "a.orch")

    assert (code, stdout) == (0, "2\n")
    for words in (
        "round 1 of 3", "plan, 2 tasks: look", "a2 hang: failed after", "count decides",
        "1 task done · 1 failed", "printed by a worker", "finished",
    ):  # fmt: skip
        assert words in shown
    assert "\x1b[5m" not in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
    assert "1.5k tokens" in shown


def test_the_live_view_may_be_without_colours(desk):
    desk.write(desk.tasks(desk.task("a1", "boom", n=1)), desk.finish(2))

    _, shown, code = on_terminal(desk, "run", "a.orch", "--color", "never")

    assert code == 0
    assert "\x1b[31m" not in shown


def test_a_result_on_a_terminal_is_printable(desk):
    desk.write(desk.finish("a\x1b[2Jb\x07c\nd"), output="string")

    _, shown, code = on_terminal(desk, "run", "a.orch", "--quiet", stdout=None)

    assert (code, shown) == (0, "ab\ufffdc\nd\n")


def test_a_reader_that_left_is_not_an_error(desk):
    desk.write(desk.finish(1))
    process = desk.start("run", "a.orch", "--quiet")
    process.stdout.close()

    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 141


STAND_IN = """
worker broken(n: int) -> int via python { call = "tools:boom"  fallback = [spare] }
worker spare(n: int) -> int via python { call = "tools:add" }
verifier large(output: int) via rules { assert output > 5 else "too small" }
"""


def test_a_worker_that_another_stands_in_for_has_not_failed(desk):
    desk.write(desk.tasks(desk.task("a1", "broken", n=1)), desk.finish(2), declarations=STAND_IN)
    path = desk.folder / "a.orch"
    path.write_text(path.read_text().replace("workers = [add,", "workers = [broken, add,"))

    done = desk.orch("run", "a.orch")

    assert "  a1 broken: crashed after " in done.stderr
    assert "failed" not in done.stderr


def test_a_verdict_is_told_before_what_it_leads_to(desk):
    hook = "verify { after_dispatch add { with = large  on_fail = revise  max_revisions = 1 } }"
    desk.write(
        desk.tasks(desk.task("a1", "add", n=1)),
        desk.finish(2),
        declarations=STAND_IN,
        settings=hook.replace("max_revisions = 1", "max_revisions = 1  then = warn"),
    )

    lines = desk.orch("run", "a.orch").stderr.splitlines()

    said = next(i for i, line in enumerate(lines) if "not passed: too small" in line)
    again = next(i for i, line in enumerate(lines) if line.endswith(", trying again"))
    assert said < again
    assert lines[again].startswith("  a1 add: done after ")


def test_a_round_is_told_to_its_end_before_the_next(desk):
    desk.write(desk.tasks(*(desk.task(f"a{i}", "add", n=i) for i in range(8))), desk.finish(2))

    lines = desk.orch("run", "a.orch").stderr.splitlines()

    ended = [i for i, line in enumerate(lines) if " add: done in " in line]
    assert len(ended) == 8
    assert max(ended) < lines.index("round 2 of 3")


def test_a_task_that_the_end_of_the_run_has_stopped_is_not_called_done(desk):
    nap = desk.task("a1", "nap", n=1)
    desk.write(desk.tasks(nap), policy="max_rounds = 3  budget { time = 1s }")

    done = desk.orch("run", "a.orch")

    assert "  a1 nap: cancelled\n" in done.stderr
    assert " done in " not in done.stderr
