"""`orch replay`, `orch resume --upgrade|--from|--retry-failed`, `orch diff|tail|export` and
`orch runs rm|prune` as processes, on real journals."""

from __future__ import annotations

import asyncio
import json
import sqlite3

import pytest

from engine.journal import SqliteJournal

PUT = """
worker put(n: int) -> int via python { call = "tools:add"  effect = write }
verifier yes(result: json) via human { message = "Is {{ result }} right?" }
"""
WITH_PUT = "workers = [add, boom, put]"


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def a_run(desk, *script, **more):
    """A run of a program whose workers are `add`, `boom` and the writing `put`; its id."""
    desk.write(*script, declarations=PUT, **more)
    workflow = desk.folder / "a.orch"
    text = workflow.read_text()
    begin = text.index("  workers = [")
    end = text.index("\n", begin)
    workflow.write_text(text[:begin] + f"  {WITH_PUT}" + text[end:])
    desk.orch("run", "a.orch", "count")
    return json.loads(desk.orch("runs", "--format", "json").stdout)[0]["run"]


def edit(desk, old, new):
    workflow = desk.folder / "a.orch"
    text = workflow.read_text()
    assert old in text
    workflow.write_text(text.replace(old, new))


def add_then_put(desk, **more):
    return a_run(
        desk,
        desk.tasks(desk.task("a1", "add", n=1)),
        desk.tasks(desk.task("p1", "put", n=5)),
        desk.finish(7),
        **more,
    )


def seq_of(desk, run, **wanted):
    """The number of the first event of a run with these fields."""
    for event in lines(desk.orch("export", run).stdout):
        if all(event.get(name) == value for name, value in wanted.items()):
            return event["seq"]
    raise AssertionError(wanted)


# ---------------------------------------------------------------- replay


def test_a_replay_calls_nothing_and_finds_no_divergence(desk):
    run = add_then_put(desk)
    made = desk.calls()

    done = desk.orch("replay", run)

    assert done.returncode == 0
    assert "with the program in the journal: no divergence" in done.stdout
    assert "has changed" not in done.stdout
    assert desk.calls() == made


def test_a_changed_prompt_diverges_where_it_was_first_asked(desk):
    run = add_then_put(desk)
    edit(desk, "Count from", "Count on from")

    done = desk.orch("replay", run)
    report = json.loads(desk.orch("replay", run, "--format", "json").stdout)

    assert done.returncode == 1
    assert "orchestrator count: goal: " in done.stdout
    assert report["divergence"] is None
    assert report["file_divergence"]["seq"] == report["matters_from"] == 2
    assert report["file_divergence"]["kind"] == "request"
    assert report["file_divergence"]["key"] == "round 1 / decision 1"


def test_a_change_of_how_a_worker_is_carried_out_matters_but_is_no_divergence(desk):
    run = add_then_put(desk)
    edit(desk, 'call = "tools:add"  effect', 'call = "tools:add"  timeout = 9s  effect')

    done = desk.orch("replay", run, "--format", "json")

    report = json.loads(done.stdout)
    assert (done.returncode, report["file_divergence"]) == (0, None)
    start = seq_of(desk, run, type="call_started", key="round 2 / decision 1 / task p1")
    assert report["first_call"] == {"seq": start, "name": "put"}
    said = desk.orch("replay", run).stdout
    assert "with the file as it is: no divergence\nit matters from event " in said


def test_a_comment_is_no_change_that_a_run_sees(desk):
    run = add_then_put(desk)
    edit(desk, "orch 1\n", "orch 1\n// A word to the reader.\n")

    done = desk.orch("replay", run)

    assert done.returncode == 0
    assert "nothing that a run sees (a.orch)" in done.stdout
    assert "no event is affected" in done.stdout


def test_a_file_that_does_not_check_any_more_ends_a_replay_with_3(desk):
    run = add_then_put(desk)
    edit(desk, "model   = planner", "model   = nobody")

    done = desk.orch("replay", run)

    assert done.returncode == 3
    assert "nobody" in done.stderr


def test_a_replay_goes_without_the_file(desk):
    run = add_then_put(desk)
    (desk.folder / "a.orch").unlink()

    done = desk.orch("replay", run)

    assert done.returncode == 0
    assert "is not there any more" in done.stderr


def test_a_journal_that_tells_of_what_was_never_asked_for_diverges_there(desk):
    run = add_then_put(desk)
    with sqlite3.connect(desk.folder / ".orch" / "journal.db") as database:
        seq = seq_of(desk, run, type="call_started", key="round 1 / decision 1 / task a1")
        body = json.dumps({"type": "call_started", "key": "round 1 / decision 1 / task a9"})
        database.execute("UPDATE events SET body = ? WHERE seq = ?", (body.encode(), seq))

    done = desk.orch("replay", run)

    assert done.returncode == 1
    assert f"divergence at event {seq}: no such call was asked for" in done.stdout


# ---------------------------------------------------------------- upgrade


def waiting(desk, **more):
    """A run that waits for a person before it finishes."""
    hook = "verify { before_finish { with = [yes]  on_fail = abort } }"
    return add_then_put(desk, settings=hook, **more)


def test_an_upgrade_that_the_journal_fits_is_what_the_run_goes_on_with(desk):
    run = waiting(desk)
    made = desk.calls()
    edit(desk, "max_rounds = 3", "max_rounds = 3  max_parallel = 2")

    upgraded = desk.orch("resume", run, "--upgrade")
    approved = desk.orch("approve", run)

    assert (upgraded.returncode, approved.returncode) == (5, 0)
    assert desk.calls() == made
    shown = json.loads(desk.orch("show", run, "--format", "json").stdout)
    assert (shown["status"], shown["upgrades"]) == ("finished", 1)
    replayed = json.loads(desk.orch("replay", run, "--format", "json").stdout)
    assert (replayed["divergence"], replayed["changed"]) == (None, False)


def test_an_upgrade_that_the_journal_does_not_fit_is_refused_with_the_event(desk):
    run = waiting(desk)
    edit(desk, "Count from", "Count on from")
    events = desk.orch("export", run).stdout

    refused = desk.orch("resume", run, "--upgrade")

    assert refused.returncode == 1
    assert "event 2" in refused.stderr
    assert f"orch resume {run} --from 1 --upgrade" in refused.stderr
    assert "--keep-results resumes it anyway" in refused.stderr
    assert desk.orch("export", run).stdout == events


def test_results_can_be_kept_under_another_prompt(desk):
    run = waiting(desk)
    made = desk.calls()
    edit(desk, "Count from", "Count on from")

    kept = desk.orch("resume", run, "--upgrade", "--keep-results")

    assert kept.returncode == 5
    assert desk.calls() == made
    assert (
        json.loads(desk.orch("show", run, "--format", "json").stdout)["goal"] == "Count on from 1."
    )


# ---------------------------------------------------------------- forks


def test_a_fork_keeps_what_had_finished_and_leaves_its_parent_alone(desk):
    run = add_then_put(desk)
    events = desk.orch("export", run).stdout
    made = desk.calls()
    seq = seq_of(desk, run, type="call_finished", key="round 2 / decision 1 / task p1")

    forked = desk.orch("resume", run, "--from", str(seq))

    assert (forked.returncode, forked.stdout) == (0, "7\n")
    assert desk.calls() == made
    assert desk.orch("export", run).stdout == events
    child = json.loads(desk.orch("runs", "--format", "json").stdout)[0]
    assert (child["parent"], child["parent_seq"]) == (run, seq)
    assert f"fork of {run} at {seq}" in desk.orch("runs").stdout
    assert f"fork of       {run}" in desk.orch("show", child["run"]).stdout


def test_what_the_parent_wrote_is_not_written_again_without_a_persons_word(desk):
    run = add_then_put(desk)
    made = desk.calls()
    seq = seq_of(desk, run, type="call_started", key="round 2 / decision 1")

    forked = desk.orch("resume", run, "--from", str(seq))
    child = json.loads(desk.orch("runs", "--format", "json").stdout)[0]["run"]
    taken = desk.orch("approve", child)

    assert forked.returncode == 5
    assert f"run {run} has started `put` already, as task `p1`" in forked.stderr
    assert (taken.returncode, taken.stdout) == (0, "7\n")
    assert desk.calls() == made
    assert desk.orch("diff", run, child).returncode == 1


def test_effects_that_are_allowed_are_made_again(desk):
    run = add_then_put(desk)
    made = desk.calls()
    seq = seq_of(desk, run, type="call_started", key="round 2 / decision 1")

    forked = desk.orch("resume", run, "--from", str(seq), "--allow-effects")

    assert forked.returncode == 0
    assert desk.calls() == [*made, "add 5"]


def test_a_write_that_had_not_begun_is_held_back_too(desk):
    run = add_then_put(desk)
    made = desk.calls()
    seq = seq_of(desk, run, type="call_finished", key="round 2 / decision 1")

    assert desk.orch("resume", run, "--from", str(seq)).returncode == 5
    assert desk.calls() == made


@pytest.mark.parametrize("seq", ["0", "-3", "99"])
def test_a_fork_from_an_event_that_is_not_there_is_refused(desk, seq):
    run = add_then_put(desk)

    refused = desk.orch("resume", run, "--from", seq)

    assert refused.returncode == 2
    assert "has no event" in refused.stderr
    assert len(json.loads(desk.orch("runs", "--format", "json").stdout)) == 1


def test_a_fork_from_the_end_is_refused(desk):
    run = add_then_put(desk)
    last = len(desk.orch("export", run).stdout.splitlines())

    refused = desk.orch("resume", run, "--from", str(last))

    assert refused.returncode == 2
    assert "was over (finished)" in refused.stderr


def test_a_fork_of_a_damaged_run_needs_to_be_allowed_effects(desk):
    run = add_then_put(desk)
    seq = seq_of(desk, run, type="call_started", key="round 2 / decision 1")
    with sqlite3.connect(desk.folder / ".orch" / "journal.db") as database:
        database.execute("UPDATE events SET body = x'00' WHERE seq > ?", (seq,))

    refused = desk.orch("resume", run, "--from", str(seq))
    allowed = desk.orch("resume", run, "--from", str(seq), "--allow-effects")

    assert refused.returncode == 3
    assert "is damaged" in refused.stderr
    assert (allowed.returncode, allowed.stdout) == (0, "7\n")


def test_a_run_under_way_can_be_forked(desk):
    desk.write(desk.tasks(desk.task("a1", "hold", n=1)), desk.finish(2))
    driving = desk.start("run", "a.orch")
    desk.wait_ready(driving)
    (desk.folder / "open").touch()

    forked = desk.orch("resume", "last", "--from", "1")
    driving.kill()
    driving.communicate()

    assert (forked.returncode, forked.stdout) == (0, "2\n")


@pytest.mark.parametrize(
    "options",
    [
        ("--allow-effects",),
        ("--keep-results",),
    ],
)
def test_options_that_say_nothing_together_are_refused(desk, options):
    run = add_then_put(desk)

    assert desk.orch("resume", run, *options).returncode == 2


# ---------------------------------------------------------------- retry


def test_a_failed_task_is_tried_again_with_its_key_and_a_done_one_is_not(desk):
    run = a_run(
        desk,
        desk.tasks(desk.task("a1", "add", n=1), desk.task("b1", "boom", n=2)),
        policy="max_rounds = 1",
    )
    tools = desk.folder / "tools.py"
    before, _, rest = tools.read_text().partition("def boom")
    tools.write_text(f"{before}def boom(n):\n    return n\n\n\ndef {rest.partition('def ')[2]}")
    made = desk.calls()

    retried = desk.orch("resume", run, "--retry-failed")

    assert retried.returncode == 4  # max_rounds is what it was
    assert desk.calls() == made
    (round_one,) = json.loads(desk.orch("show", run, "--format", "json").stdout)["history"]
    assert {t["id"]: t["status"] for t in round_one["tasks"]} == {"a1": "done", "b1": "done"}
    keys = [e["key"] for e in lines(desk.orch("export", run).stdout) if "key" in e]
    assert "round 1 / decision 1 / task b1 / again 1" in keys
    assert desk.orch("replay", run).returncode == 0


def test_a_bound_that_is_raised_lets_an_exhausted_run_go_on(desk):
    run = a_run(
        desk,
        desk.tasks(desk.task("a1", "add", n=1)),
        desk.finish(7),
        policy="max_rounds = 1",
    )
    made = desk.calls()
    again = desk.orch("resume", run, "--retry-failed")
    edit(desk, "max_rounds = 1", "max_rounds = 2")

    went_on = desk.orch("resume", run, "--retry-failed", "--upgrade", "--keep-results")

    assert again.returncode == 2
    assert "would end again at once (exhausted: max_rounds" in again.stderr
    assert (went_on.returncode, went_on.stdout) == (0, "7\n")
    assert desk.calls() == made
    assert desk.orch("replay", run).returncode == 0


def test_a_run_that_finished_has_nothing_to_retry(desk):
    run = add_then_put(desk)

    refused = desk.orch("resume", run, "--retry-failed")

    assert refused.returncode == 2
    assert "has finished" in refused.stderr


# ---------------------------------------------------------------- export, tail, diff


def test_events_are_numbered_alike_everywhere(desk):
    run = add_then_put(desk)

    exported = desk.orch("export", run).stdout
    tailed = desk.orch("tail", run, "--format", "json")
    shown = desk.orch("show", run, "--events").stdout.splitlines()

    assert tailed.stdout == exported
    assert tailed.returncode == 0
    assert [int(line.split()[0]) for line in shown] == [e["seq"] for e in lines(exported)]


def test_a_large_value_is_whole_in_an_export(desk):
    long = "x" * 10_000
    desk.write(desk.finish(long), output="string")
    desk.orch("run", "a.orch")

    events = lines(desk.orch("export").stdout)

    assert any(long in json.dumps(event) for event in events)


def test_tail_follows_a_run_until_it_ends(desk):
    desk.write(desk.tasks(desk.task("a1", "hold", n=1)), desk.finish(2))
    driving = desk.start("run", "a.orch")
    desk.wait_ready(driving)
    following = desk.start("tail", "last", "--format", "json")
    first = following.stdout.readline()

    desk.orch("cancel", "last")
    driving.communicate()
    rest, _ = following.communicate()

    assert json.loads(first)["type"] == "run_started"
    assert json.loads(rest.splitlines()[-1])["type"] == "run_ended"
    assert following.returncode == 7


def test_a_run_is_the_same_as_itself(desk):
    run = add_then_put(desk)

    done = desk.orch("diff", run, run)

    assert done.returncode == 0
    assert "every call had the same outcome" in done.stdout


# ---------------------------------------------------------------- rm, prune


def test_removing_runs_gives_the_room_back(desk):
    long = "word " * 200_000
    desk.write(desk.finish(long), output="string")
    desk.orch("run", "a.orch")
    desk.write(desk.finish("short"), output="string")
    desk.orch("run", "a.orch")
    path = desk.folder / ".orch" / "journal.db"
    large, latest = (
        summary["run"]
        for summary in reversed(json.loads(desk.orch("runs", "--format", "json").stdout))
    )
    before = path.stat().st_size

    removed = desk.orch("runs", "rm", large)

    assert removed.returncode == 0
    assert before - path.stat().st_size > 900_000
    assert desk.orch("show", large).returncode == 2
    assert desk.orch("show", latest).returncode == 0
    assert desk.orch("replay", latest).returncode == 0


def test_a_run_that_can_go_on_is_removed_only_by_force(desk):
    run = waiting(desk)

    refused = desk.orch("runs", "rm", run)
    pruned = desk.orch("runs", "prune", "--keep", "0")
    forced = desk.orch("runs", "rm", run, "--force")

    assert refused.returncode == 2
    assert "waits for a person" in refused.stderr
    assert (pruned.returncode, pruned.stdout) == (0, "")
    assert forced.returncode == 0
    assert json.loads(desk.orch("runs", "--format", "json").stdout) == []


def test_a_run_that_a_process_drives_is_not_removed(desk):
    desk.write(desk.tasks(desk.task("a1", "hold", n=1)), desk.finish(2))
    driving = desk.start("run", "a.orch")
    desk.wait_ready(driving)

    refused = desk.orch("runs", "rm", "last", "--force")
    driving.kill()
    driving.communicate()

    assert refused.returncode == 3
    assert "is being driven by another process" in refused.stderr


def test_a_database_that_another_process_writes_is_left_alone(desk):
    desk.write(desk.finish(1))
    desk.orch("run", "a.orch")
    run = json.loads(desk.orch("runs", "--format", "json").stdout)[0]["run"]
    with SqliteJournal(desk.folder / ".orch") as journal:
        asyncio.run(journal.claim(run))
        refused = desk.orch("runs", "rm", run)

    assert refused.returncode == 3
    assert f"{run} cannot be removed: the process" in refused.stderr
    assert desk.orch("show", run).returncode == 0


def test_pruning_takes_what_all_that_is_said_fits(desk):
    desk.write(desk.finish(1))
    for _ in range(3):
        desk.orch("run", "a.orch")
    desk.write(desk.tasks(desk.task("a1", "add", n=1)), policy="max_rounds = 1")
    desk.orch("run", "a.orch", "count")

    def left():
        runs = json.loads(desk.orch("runs", "--format", "json").stdout)
        return [run["status"] for run in runs]

    nothing_said = desk.orch("runs", "prune")
    tried = desk.orch("runs", "prune", "--status", "finished", "--keep", "1", "--dry-run")
    assert nothing_said.returncode == 2
    assert len(tried.stdout.splitlines()) == 2
    assert left() == ["exhausted", "finished", "finished", "finished"]

    desk.orch("runs", "prune", "--older-than", "1d")
    assert len(left()) == 4
    desk.orch("runs", "prune", "--status", "finished", "--keep", "1")
    assert left() == ["exhausted", "finished"]
    desk.orch("runs", "prune", "--older-than", "0s")
    assert left() == []


@pytest.mark.parametrize("age", ["30", "d", "1y", "-1d"])
def test_an_age_that_is_none_is_refused(desk, age):
    assert desk.orch("runs", "prune", "--older-than", age).returncode == 2
