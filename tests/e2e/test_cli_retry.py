"""`orch resume --retry-failed` where a planner has, or has not, used what failed."""

from __future__ import annotations

import json
import re
import shlex

import pytest

PROGRAM = """orch 1
model planner { id = "scripted/script.json" }
worker review(n: int) -> int via python { call = "work:review"  effect = read }
worker noted(n: int) -> int via python { call = "work:review"  effect = read }
worker list() -> int[] via python { call = "work:list_all"  effect = read }
orchestrator main() -> json {
  model = planner  goal = "Review."  workers = [list, review, noted]
  policy { max_rounds = 3  max_items = 50  breaker { after = 99  canary = 0 } }
}
"""
WORK = """
from pathlib import Path

HERE = Path(__file__).parent

def list_all():
    return [0, 1, 2, 3, 4, 5]

def review(n):
    with open(HERE / "calls.txt", "a") as file:
        file.write(f"{n} ")
    if n in (1, 4) and not (HERE / "mended").exists():
        raise ValueError("not readable")
    return n
"""
STEPS = {
    "tasks": [
        {"id": "s", "worker": "list", "input": {}},
        {"id": "r", "worker": "review", "each": {"$from": "s"}, "input": {"n": {"$item": ""}}},
    ]
}
MORE = {"tasks": [{"id": "m", "worker": "noted", "input": {"n": 7}}]}


@pytest.fixture
def ran(desk):
    """Run the program with a script; then the workers are mended. Returns the run's id."""

    def ran(*script, max_rounds=3, program=PROGRAM):
        text = program.replace("max_rounds = 3", f"max_rounds = {max_rounds}")
        (desk.folder / "a.orch").write_text(text)
        (desk.folder / "work.py").write_text(WORK)
        (desk.folder / "script.json").write_text(json.dumps(script))
        desk.orch("run", "a.orch")
        (desk.folder / "mended").touch()
        (desk.folder / "calls.txt").write_text("")
        return json.loads(desk.orch("runs", "--format", "json").stdout)[0]["run"]

    return ran


def calls(desk):
    return sorted((desk.folder / "calls.txt").read_text().split())


def offered(text):
    """The arguments of the command that a message offers."""
    (found,) = re.findall(r"orch (resume .* --from \d+ .*--retry-failed)$", text, re.M)
    return shlex.split(found)


def test_a_finished_run_says_what_failed_and_a_fork_retries_it(desk, ran):
    run = ran(STEPS, {"finish": "done"})

    refused = desk.orch("resume", run, "--retry-failed")

    assert refused.returncode == 2
    assert "its planner saw what failed (round 1: r[1], r[4]) and decided after" in refused.stderr
    forked = desk.orch(*offered(refused.stderr), "--format", "json")
    assert forked.returncode == 0, forked.stderr
    report = json.loads(forked.stdout)
    assert (report["output"], report["failures"], report["run"] == run) == ("done", [], False)
    assert calls(desk) == ["1", "4"]
    assert desk.orch("replay", report["run"]).returncode == 0
    assert desk.orch("resume", report["run"], "--retry-failed").stderr.count("may be retried") == 1


def test_failures_that_no_decision_has_used_are_retried(desk, ran):
    """The planner's model failed in the round after them: nothing was planned around them."""
    run = ran(STEPS)
    asked_in_vain = {"finish": "never said"}
    script = json.dumps([STEPS, asked_in_vain, {"finish": "done"}])
    (desk.folder / "script.json").write_text(script)

    retried = desk.orch("resume", run, "--retry-failed", "--format", "json")

    assert retried.returncode == 0, retried.stderr
    assert json.loads(retried.stdout)["failures"] == []
    assert calls(desk) == ["1", "4"]
    shown = json.loads(desk.orch("show", run, "--format", "json").stdout)
    assert [one["round"] for one in shown["history"]] == [1, 2]
    assert desk.orch("replay", run).returncode == 0


def test_failures_that_a_decision_has_used_are_told_with_the_fork_that_retries_them(desk, ran):
    run = ran(STEPS, MORE)

    retried = desk.orch("resume", run, "--retry-failed")

    assert retried.returncode == 1
    assert "not retried, because the planner decided after it saw them" in retried.stderr
    assert "round 1: r[1], r[4]" in retried.stderr
    assert calls(desk) == []
    script = json.dumps([STEPS, MORE, {"finish": "done"}])
    (desk.folder / "script.json").write_text(script)
    forked = desk.orch(*offered(retried.stderr))
    assert forked.returncode == 0, forked.stderr
    assert calls(desk) == ["1", "4", "7"]


@pytest.mark.parametrize("before", [0, 1])
def test_a_raised_bound_lets_a_run_continue_that_was_retried_before(desk, ran, before):
    run = ran(STEPS, {"finish": "done"}, max_rounds=1)
    for _ in range(before):
        (desk.folder / "mended").unlink()
        assert desk.orch("resume", run, "--retry-failed").returncode == 4
        (desk.folder / "mended").touch()
        (desk.folder / "calls.txt").write_text("")
    workflow = desk.folder / "a.orch"
    workflow.write_text(workflow.read_text().replace("max_rounds = 1", "max_rounds = 2"))

    raised = desk.orch("resume", run, "--retry-failed", "--upgrade", "--keep-results")

    assert (raised.returncode, raised.stdout) == (0, "done\n"), raised.stderr
    assert calls(desk) == ["1", "4"]
    assert desk.orch("replay", run).returncode == 0


def test_a_refusal_offers_a_fork_that_is_not_refused(desk, ran):
    """The command keeps the options that were given: without them the prompt differs."""
    run = ran(STEPS, MORE, {"finish": "done"})
    workflow = desk.folder / "a.orch"
    workflow.write_text(workflow.read_text().replace("noted", "renamed"))
    last = len(desk.orch("export", run).stdout.splitlines()) - 1

    refused = desk.orch("resume", run, "--from", f"{last}", "--upgrade", "--keep-results")

    assert refused.returncode == 1
    (found,) = re.findall(r"orch (resume .*)$", refused.stderr, re.M)
    forked = desk.orch(*shlex.split(found))
    assert (forked.returncode, forked.stdout) == (0, "done\n"), forked.stderr


def test_a_sub_orchestrator_is_retried_in_its_own_last_results(desk, ran):
    call = {"tasks": [{"id": "c", "worker": "child", "input": {}}]}
    text = PROGRAM.replace("orchestrator main() -> json", "orchestrator child() -> json")
    text = text.replace("model = planner", "model = second")
    text += PROGRAM[PROGRAM.index("orchestrator main") :].replace("[list,", "[child, list,")
    text = text.replace(
        "worker list", 'model second { id = "scripted/second.json" }\nworker list', 1
    )
    (desk.folder / "second.json").write_text(json.dumps([STEPS]))
    run = ran(call, program=text)
    in_vain = {"finish": "never said"}
    (desk.folder / "second.json").write_text(json.dumps([STEPS, in_vain, {"finish": "reviewed"}]))
    (desk.folder / "script.json").write_text(json.dumps([call, in_vain, {"finish": "done"}]))

    retried = desk.orch("resume", run, "--retry-failed", "--format", "json")

    assert retried.returncode == 0, retried.stderr
    report = json.loads(retried.stdout)
    assert (report["output"], report["failures"]) == ("done", [])
    assert calls(desk) == ["1", "4"]
    assert desk.orch("replay", run).returncode == 0
