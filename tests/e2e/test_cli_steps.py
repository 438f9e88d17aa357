"""Steps on the command line: run, show, tail, diff, and names of items."""

from __future__ import annotations

import json

import pytest

PROGRAM = """orch 1
model planner { id = "scripted/script.json" }
worker files() -> { path: string, size: int }[] via python { call = "work:files"  effect = read }
worker review(path: string) -> { risk: "low" | "high", path: string } via python {
  call = "work:review"  effect = read
}
worker fetch(path: string) -> string via command {
  run = ["sh", "-c", "exit 0"]  effect = once  parse = text
}
verifier yes(path: string) via human { message = "Fetch {{ path }}?" }
orchestrator main() -> json {
  model = planner  goal = "Review."  workers = [files, review, fetch]
  verify { before_dispatch fetch { with = yes } }
  policy { max_rounds = 3  max_items = 500  breaker { after = BREAK  canary = 1 } }
}
"""

WORK = """
def files():
    return [{"path": f"f{i}.py", "size": i} for i in range(40)]

def review(path):
    if path.endswith("7.py") or ALL:
        raise ValueError("not readable")
    return {"risk": "high" if path.endswith("3.py") else "low", "path": path}
"""


@pytest.fixture
def reviewed(desk):
    """Write a program with an `each` over 40 files, and run it; returns the process."""

    def reviewed(*, fails=False, after=1000):
        (desk.folder / "a.orch").write_text(PROGRAM.replace("BREAK", str(after)))
        (desk.folder / "work.py").write_text(WORK.replace("ALL", str(fails)))
        step = {
            "id": "r",
            "worker": "review",
            "each": {"$from": "s"},
            "input": {"path": {"$item": "/path"}},
            "label": {"$item": "/path"},
        }
        script = [
            {"tasks": [{"id": "s", "worker": "files", "input": {}}, step]},
            {"finish": "done"},
        ]
        (desk.folder / "script.json").write_text(json.dumps(script))
        return desk.orch("run", "a.orch")

    return reviewed


def test_a_run_shows_a_step_in_a_few_lines(reviewed):
    ended = reviewed()
    assert ended.returncode == 0
    lines = [line.strip() for line in ended.stderr.splitlines()]
    assert "r review: started, 40 items" in lines
    assert any("36 of 40 done, 4 failed (crashed 4)" in line for line in lines)
    assert not any(line.startswith("r[8]") for line in lines)
    assert "r review, 4 of 40, first r[7] (f7.py): crashed: ValueError: not readable" in lines


def test_show_has_a_step_its_items_and_one_item(desk, reviewed):
    reviewed()
    shown = desk.orch("show").stdout
    assert "r review: each, done in " in shown
    assert "36 of 40 done, 4 failed (crashed 4)" in shown
    assert 'risk: "low" 32, "high" 4' in shown
    assert "r[8]" not in shown
    assert "  r[8] (f8.py): done in " in desk.orch("show", "--items").stdout
    listed = desk.orch("show", "--task", "r").stdout
    assert len([line for line in listed.splitlines() if line.startswith("  r[")]) == 40
    by_number = desk.orch("show", "--task", "r:7")
    assert "r[7] (f7.py) review: failed" in by_number.stdout
    assert desk.orch("show", "--task", "f7.py").stdout == by_number.stdout
    missing = desk.orch("show", "--task", "r:99")
    assert missing.returncode == 2
    assert "no task `r[99]`" in missing.stderr
    assert len(missing.stderr) < 500
    assert "step `r` has 40 items: 0 to 39" in missing.stderr


def test_a_label_can_be_narrowed_to_a_step(desk, reviewed):
    reviewed()
    item = json.loads(desk.orch("show", "--task", "r:f8.py", "--format", "json").stdout)
    assert item["id"] == "r[8]"
    for wrong in ("s:f8.py", "r:f99.py"):
        assert desk.orch("show", "--task", wrong).returncode == 2


def test_a_plan_that_was_replaced_is_shown_with_its_selections(desk, reviewed):
    reviewed()
    workflow = desk.folder / "a.orch"
    looked = workflow.read_text().replace(
        "verify {",
        "verify { before_round { with = plan }",
    )
    workflow.write_text(looked + 'verifier plan() via human { message = "Run this?" }\n')
    assert desk.orch("run", "a.orch").returncode == 5
    plan = {"tasks": [{"id": "s", "worker": "files", "input": {}}]}
    (desk.folder / "plan.json").write_text(json.dumps(plan))
    assert desk.orch("approve", "last", "--edit", "plan.json").returncode == 0
    shown = desk.orch("show").stdout.splitlines()
    at = next(i for i, line in enumerate(shown) if "replaced the plan, which was:" in line)
    told = [line.strip() for line in shown[at:]]
    assert 'each: {"$from": "s"}' in told
    assert 'label: {"$item": "/path"}' in told


def test_show_as_json_has_steps_and_items_on_request(desk, reviewed):
    reviewed()
    (step,) = json.loads(desk.orch("show", "--format", "json").stdout)["history"][0]["steps"]
    assert step["counts"] == {
        "total": 40,
        "known": True,
        "done": 36,
        "failed": 4,
        "not_started": 0,
        "skipped": 0,
        "running": 0,
        "waiting": 0,
    }
    assert "items" not in step
    report = json.loads(desk.orch("show", "--items", "--format", "json").stdout)
    assert len(report["history"][0]["steps"][0]["items"]) == 40
    assert {one["step"] for one in report["failures"]} == {"r"}
    item = json.loads(desk.orch("show", "--task", "r:3", "--format", "json").stdout)
    assert item["output"] == {"risk": "high", "path": "f3.py"}


def test_tail_adds_the_events_of_items_up(desk, reviewed):
    reviewed()
    told = desk.orch("tail").stdout.splitlines()
    step = [line for line in told if "r review" in line]
    assert len(step) == 1
    assert step[0].endswith("  r review: calls: 40 started, 36 done, 4 crashed")
    each = desk.orch("tail", "--items").stdout.splitlines()
    assert len(each) > 80
    assert any(line.endswith("  r[8] (f8.py) review: started") for line in each)
    assert any(" r[7] (f7.py) review: crashed: ValueError: not readable" in line for line in each)
    assert not any("task r" in line for line in each)
    assert len(desk.orch("tail", "--format", "json").stdout.splitlines()) > 80


def test_diff_compares_steps_by_counts_and_by_items(desk, reviewed):
    reviewed()
    reviewed(fails=True)
    runs = [one["run"] for one in json.loads(desk.orch("runs", "--format", "json").stdout)]
    told = desk.orch("diff", runs[1], runs[0])
    assert told.returncode == 1
    lines = told.stdout.splitlines()
    key = "round 1 / decision 1 / task r"
    at = lines.index(f"{key}: 40 items with another outcome")
    assert lines[at + 1] == "  - 40 items, failed: 4 crashed"
    assert lines[at + 2] == "  + 1 item, failed: 1 crashed"
    assert "  and 37 more; --items shows them" in lines
    assert desk.orch("diff", *runs, "--items").stdout.count(f"  {key}[") == 40
    report = json.loads(desk.orch("diff", *runs, "--format", "json").stdout)
    assert report["steps"][0]["first"] == {"items": 1, "failed": {"crashed": 1}}


def test_values_that_are_not_accepted_are_failures_everywhere(desk, reviewed):
    reviewed()
    work = desk.folder / "work.py"
    bad = work.read_text().replace('"high" if path', '"extreme" if path')
    work.write_text(bad)
    desk.orch("run", "a.orch")
    shown = json.loads(desk.orch("show", "--format", "json").stdout)
    (step,) = (one for one in shown["history"][0]["steps"] if one["id"] == "r")
    assert {one["mode"]: one["count"] for one in step["failures"]}["invalid_output"] == 4
    assert "r review: calls: 40 started, 32 done, 4 invalid_output, 4 crashed" in (
        desk.orch("tail").stdout
    )
    runs = [one["run"] for one in json.loads(desk.orch("runs", "--format", "json").stdout)]
    told = desk.orch("diff", runs[1], runs[0]).stdout
    assert "  + 40 items, failed: 4 invalid_output, 4 crashed" in told
    assert "    + invalid_output: " in told
    assert "extreme" not in told.partition("invalid_output: ")[0]


def test_failures_that_are_alike_are_one_paragraph(reviewed):
    ended = reviewed(fails=True, after=1000)
    lines = ended.stderr.splitlines()
    heads = [line for line in lines if line.startswith("r")]
    assert [head.partition(":")[0] for head in heads if " of 40" in head or "r[0]" in head] == [
        "r[0] (f0.py) review",
        "r review, 39 of 40, first r[1]",
    ]
    assert len(lines) < 40
    assert "tasks (1 failed, 39 not started)" in lines[-1]


PLAN = """orch 1
model planner { id = "scripted/script.json" }
worker files() -> { path: string, size: int }[] via python { call = "work:files"  effect = read }
worker review(path: string) -> { risk: "low" | "high", path: string } via python {
  call = "work:review"  effect = read
}
worker all(start: int) -> json via plan {
  max_items = 100
  step s { call = files() }
  step r {
    each  = s
    where = item.size >= start
    label = item.path
    call  = review(path=item.path)
  }
  result = r
}
orchestrator main() -> json {
  model = planner  goal = "Review."  workers = [files, all]
  policy { max_rounds = 3  max_items = 500  breaker { after = 1000  canary = 0 } }
}
"""


def test_steps_of_plans_have_the_path_of_their_task(desk):
    (desk.folder / "a.orch").write_text(PLAN)
    (desk.folder / "work.py").write_text(WORK.replace("ALL", "False"))
    many = {
        "id": "many",
        "worker": "all",
        "each": {"$from": "s", "where": [[{"value": {"$item": "/size"}, "is": ">", "than": 19}]]},
        "input": {"start": {"$item": "/size"}},
    }
    tasks = [
        {"id": "s", "worker": "files", "input": {}},
        {"id": "t", "worker": "all", "input": {"start": 5}},
        many,
    ]
    (desk.folder / "script.json").write_text(json.dumps([{"tasks": tasks}, {"finish": "done"}]))
    ended = desk.orch("run", "a.orch")
    assert ended.returncode == 0
    lines = [line.strip() for line in ended.stderr.splitlines()]
    assert any(line.startswith("t/r review: done in") for line in lines)
    assert "t all: done" in lines
    assert any("many all: done in" in line and "20 of 20 done" in line for line in lines)
    # What happens inside many items is not shown.
    assert not any(line.startswith("many[20]/") and "started" in line for line in lines)
    assert len([line for line in lines if "ValueError: not readable" in line]) <= 4
    inner = desk.orch("show", "--task", "many:20/r:27").stdout
    assert "r[27] (f27.py) review: failed" in inner
    assert "many[20]/r[27]" not in desk.orch("show").stdout.partition("totals:")[0]


def test_a_gate_about_an_item_is_named_without_quotes(desk):
    (desk.folder / "a.orch").write_text(PROGRAM.replace("BREAK", "9"))
    (desk.folder / "work.py").write_text(WORK.replace("ALL", "False"))
    step = {
        "id": "g",
        "worker": "fetch",
        "each": {"$from": "s", "take": 1},
        "input": {"path": {"$item": "/path"}},
    }
    script = [
        {"tasks": [{"id": "s", "worker": "files", "input": {}}, step]},
        {"finish": "done"},
    ]
    (desk.folder / "script.json").write_text(json.dumps(script))
    assert desk.orch("run", "a.orch").returncode == 5
    ended = desk.orch("approve", "last", "--task", "g:0")
    assert ended.returncode == 0, ended.stderr


def test_a_gate_lists_the_items_and_takes_their_labels(desk):
    (desk.folder / "a.orch").write_text(PROGRAM.replace("BREAK", "1000"))
    (desk.folder / "work.py").write_text(WORK.replace("ALL", "False"))
    step = {
        "id": "g",
        "worker": "fetch",
        "each": {"$from": "s", "take": 5},
        "input": {"path": {"$item": "/path"}},
        "label": {"$item": "/path"},
    }
    tasks = [{"id": "s", "worker": "files", "input": {}}, step]
    (desk.folder / "script.json").write_text(json.dumps([{"tasks": tasks}, {"finish": "done"}]))
    assert desk.orch("run", "a.orch").returncode == 5
    listed = desk.orch("gates").stdout
    assert '    3 f3.py  Fetch f3.py?  {"path": "f3.py"}' in listed
    waiting = desk.orch("show", "--items").stdout
    assert '    g[3] (f3.py): checking, input {"path": "f3.py"}' in waiting
    backwards = desk.orch("approve", "last", "--items", "4-2")
    assert (backwards.returncode, "is backwards: write `2-4`" in backwards.stderr) == (2, True)
    wrong = desk.orch("approve", "last", "--items", "f33.py")
    assert (wrong.returncode, "did you mean `f3.py`?" in wrong.stderr) == (2, True)
    done = desk.orch("approve", "last", "--items", "0,f3.py")
    lines = [line.strip() for line in done.stderr.splitlines()]
    assert "yes (before_dispatch): passed, 2 times" in lines
    assert [line for line in lines if "not passed" in line] == [
        "yes (before_dispatch): not passed, 3 times: rejected"
    ]
