"""What the policy decides, on states made by hand, and what the verifier says of reports."""

from __future__ import annotations

from typing import Any

import pytest

from engine.runtime.ports import PolicyState
from engine.sema.plans.json_form import read_step
from engine.sema.plans.selection import arranged, entries_of, expanded
from engine.sema.plans.steps import EachStep
from engine.sema.plans.values import Scope, fill, leaf_value

REPO = "/some/repo"
WORKERS = (
    "tracked_files",
    "churn",
    "complexity",
    "risky_constructs",
    "todos",
    "test_inventory",
    "notable",
    "read_lines",
    "write_report",
)


def files(*rows: tuple[str, int | None]) -> dict[str, Any]:
    return {
        "repo": REPO,
        "head": "f" * 40,
        "total": len(rows),
        "bytes": 10 * len(rows),
        "lines": sum(lines or 0 for _, lines in rows),
        "lines_counted_in": len(rows),
        "skipped": {},
        "languages": [],
        "files": [
            {"path": path, "bytes": 10, "lines": lines, "language": None} for path, lines in rows
        ],
    }


def churn(commits: int, **of: int) -> dict[str, Any]:
    return {
        "commits": commits,
        "complete": True,
        "authors": 1,
        "newest": "2024-01-02",
        "oldest": "2024-01-01",
        "changed_files": len(of),
        "gone_files": 0,
        "files": [
            {
                "path": f"{name}.py",
                "commits": count,
                "added": 1,
                "removed": 1,
                "authors": 1,
                "last_change": "2024-01-02",
            }
            for name, count in of.items()
        ],
    }


def function(path: str, line: int, end: int, complexity: int) -> dict[str, Any]:
    return {
        "path": path,
        "line": line,
        "end_line": end,
        "name": f"f{line}",
        "complexity": complexity,
        "length": end - line + 1,
    }


def functions(*found: dict[str, Any], unparsed: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {
        "parsed_files": 1,
        "skipped_files": 0,
        "total_functions": len(found),
        "functions": list(found),
        "unparsed": list(unparsed),
    }


def inventory(*untested: str, complete: bool = True) -> dict[str, Any]:
    return {
        "test_files": 1,
        "test_functions": 1,
        "source_modules": 3,
        "untested": len(untested),
        "complete": complete,
        "untested_modules": [{"path": f"{m}.py", "module": m, "bytes": 1} for m in untested],
        "files": [],
    }


def excerpt(path: str, start: int, *texts: str) -> dict[str, Any]:
    lines = [{"n": start + number, "text": text} for number, text in enumerate(texts)]
    end = start + len(texts) - 1
    return {"path": path, "start": start, "end": end, "total": 999, "lines": lines}


def done(worker: str, round_: int, output: Any) -> dict[str, Any]:
    return {"worker": worker, "input": {}, "status": "done", "round": round_, "output": output}


def failed(worker: str, round_: int, mode: str, message: str) -> dict[str, Any]:
    return {
        "worker": worker,
        "input": {},
        "status": "failed",
        "round": round_,
        "failure": {"mode": mode, "message": message},
    }


def survey(**changed: Any) -> dict[str, Any]:
    tasks = {
        "files": done("tracked_files", 1, files(("hot.py", 400), ("cold.py", 30), ("a.md", 900))),
        "churn": done("churn", 1, churn(20, hot=12, cold=1)),
        "code": done(
            "complexity",
            1,
            functions(function("hot.py", 50, 300, 31), function("cold.py", 1, 9, 2)),
        ),
        "todos": done("todos", 1, {"total": 0, "files": 0, "items": []}),
        "tests": done("test_inventory", 1, inventory("hot")),
    }
    tasks.update(changed)
    return {task_id: task for task_id, task in tasks.items() if task is not None}


def state(
    tasks: dict[str, Any],
    *,
    rounds_left: int | None = None,
    feedback: tuple[str, ...] = (),
    earlier_feedback: tuple[str, ...] = (),
    **inputs: Any,
) -> PolicyState:
    now = max((task["round"] for task in tasks.values()), default=0) + 1
    return PolicyState(
        kind="orchestrator",
        name="repo_review",
        goal=f"Review `{REPO}`.",
        input={"repo": REPO, "focus": "", "max_files": 5} | inputs,
        output_schema={},
        round=now,
        workers={name: {} for name in WORKERS},
        rounds=[{"round": 1, "decision": {}, "tasks": [], "feedback": list(earlier_feedback)}],
        tasks=tasks,
        feedback=list(feedback),
        left={"rounds": 9 - now if rounds_left is None else rounds_left},
    )


def by_worker(decision: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for task in decision["tasks"]:
        found.setdefault(task["worker"], []).append(task["input"])
    return found


def look_closer(tools: Any, now: PolicyState) -> dict[str, list[dict[str, Any]]]:
    """What the second round becomes: its steps, expanded by the engine's own selections."""
    weigh, *steps = tools.plan(now)["tasks"]
    inputs = {
        name: now.tasks[value["$from"]]["output"] if isinstance(value, dict) else value
        for name, value in weigh["input"].items()
    }
    known: dict[tuple[str, str], Any] = {(weigh["id"], "outputs"): tools.notable(**inputs)}

    def output(name: str, view: str = "outputs") -> Any:
        return known[name, view]

    found: dict[str, list[dict[str, Any]]] = {}
    for entry in steps:
        step = read_step(entry)
        assert isinstance(step, EachStep)
        (source,) = step.each.sources
        scope = Scope(output)
        entries = entries_of(leaf_value(source, scope), step.each, 0, "the source")
        kept = [one for entry in entries for one in expanded(step.each, entry, scope)]
        pairs = []
        for number, item in arranged(step.each, kept, scope):
            made = fill(step.input, Scope(output, item=item, index=number[0]))
            found.setdefault(step.worker, []).append(made)
            pairs.append({"index": number[0], "item": item, "output": None})
        known[step.id, "pairs"] = pairs
    return found


# ---------------------------------------------------------------- rounds


def test_the_first_round_surveys(tools):
    decision = tools.plan(state({}))
    assert [task["worker"] for task in decision["tasks"]] == [
        "tracked_files",
        "churn",
        "complexity",
        "todos",
        "test_inventory",
    ]
    assert all(task["input"] == {"repo": REPO} for task in decision["tasks"])


def test_the_second_round_reads_what_stands_out(tools):
    now = state(survey(), max_files=1)
    decision = tools.plan(now)
    work = look_closer(tools, now)
    assert work["read_lines"] == [{"repo": REPO, "path": "hot.py", "start": 45, "end": 164}]
    assert work["complexity"] == [{"repo": REPO, "paths": ["hot.py"], "limit": 200}]
    assert "hot.py (changed in 12 of 20 commits, complexity up to 31" in decision["assessment"]


def test_code_goes_before_prose_and_tests_and_what_is_generated(tools):
    tasks = survey(
        files=done(
            "tracked_files",
            1,
            files(("a.md", 900), ("tests/t.py", 400), ("vendor/v.py", 900), ("cold.py", 30)),
        ),
        churn=None,
        code=None,
        tests=None,
    )
    read = look_closer(tools, state(tasks))["read_lines"]
    assert [task["path"] for task in read] == ["cold.py", "tests/t.py", "vendor/v.py", "a.md"]


def test_the_focus_goes_first(tools):
    read = look_closer(tools, state(survey(), focus="COLD", max_files=1))["read_lines"]
    assert [task["path"] for task in read] == ["cold.py"]


def test_the_third_round_follows_what_was_read(tools):
    tasks = survey(read=done("read_lines", 2, excerpt("hot.py", 45, *["x"] * 119, "except:")))
    decision = tools.plan(state(tasks))
    work = by_worker(decision)
    assert work["risky_constructs"] == [{"repo": REPO, "paths": ["hot.py"]}]
    assert work["read_lines"] == [{"repo": REPO, "path": "hot.py", "start": 165, "end": 300}]
    assert "hot.py:164 looks risky" in decision["assessment"]


def test_the_third_round_is_skipped_when_nothing_asks_for_it(tools):
    tasks = survey(read=done("read_lines", 2, excerpt("cold.py", 1, *["x = 1"] * 9)))
    assert list(by_worker(tools.plan(state(tasks)))) == ["write_report"]


def test_the_report_gets_large_values_by_reference(tools):
    tasks = survey(
        read=done("read_lines", 2, excerpt("hot.py", 45, *["x"] * 256)),
        risks=done(
            "risky_constructs",
            3,
            {
                "total": 1,
                "items": [
                    {"path": "hot.py", "line": 60, "kind": "shell", "detail": "a command runs"}
                ],
                "unparsed": [],
            },
        ),
    )
    (written,) = by_worker(tools.plan(state(tasks)))["write_report"]
    assert written["files"] == {"$from": "files"}
    assert written["excerpts"] == [{"$from": "read"}]
    assert [(c["claim"], c["line"], c["severity"]) for c in written["findings"]] == [
        (
            "hot.py was changed in 12 of the newest 20 commits, and no tracked test file"
            " imports `hot` directly.",
            50,
            "high",
        ),
        ("Function `f50` has cyclomatic complexity 31 and is 251 lines long.", 50, "high"),
        ("A command runs.", 60, "medium"),
    ]


def test_ids_are_never_used_twice(tools):
    tasks = survey()
    second = tools.plan(state(tasks))
    ids = [task["id"] for task in tools.plan(state({}))["tasks"]]
    ids += [task["id"] for task in second["tasks"]]
    assert len(ids) == len(set(ids))


# ---------------------------------------------------------------- claims


def test_notes_and_unparsed_files_become_claims(tools):
    notes = [
        {"path": "far.py", "line": 3, "tag": "FIXME", "text": "broken"},
        {"path": "far.py", "line": 4, "tag": "TODO", "text": "not worth it"},
        {"path": "hot.py", "line": 5, "tag": "TODO", "text": ""},
    ]
    tasks = survey(
        todos=done("todos", 1, {"total": 3, "files": 2, "items": notes}),
        code=done(
            "complexity",
            1,
            functions(unparsed=({"path": "bad.py", "line": 7, "message": "invalid syntax"},)),
        ),
        tests=done("test_inventory", 1, inventory("hot", complete=False)),
        churn=None,
        read=done("read_lines", 2, excerpt("hot.py", 1, "", "y" * 300, "z" * 300)),
    )
    (written,) = by_worker(tools.plan(state(tasks)))["write_report"]
    assert [(c["path"], c["line"], c["claim"]) for c in written["findings"]] == [
        ("hot.py", 2, "This line has more than 160 characters."),
        ("far.py", 3, "There is a FIXME here: broken"),
        ("hot.py", 5, "There is a TODO here with no text"),
        ("bad.py", 7, "Python does not parse bad.py: invalid syntax."),
    ]


# ---------------------------------------------------------------- failures


def test_a_failed_survey_is_gone_without_and_named(tools):
    tasks = survey(
        churn=failed("churn", 1, "no_history", "There are no commits yet."),
        read=done("read_lines", 2, excerpt("cold.py", 1, "x = 1")),
    )
    (written,) = by_worker(tools.plan(state(tasks)))["write_report"]
    assert "churn" not in written
    assert "churn failed (no_history): There are no commits yet." in written["not_reviewed"]


def test_an_empty_repository_is_finished_at_once(tools):
    tasks = {
        "files": done("tracked_files", 1, files()),
        "churn": failed("churn", 1, "no_history", "No commits."),
    }
    report = tools.plan(state(tasks))["finish"]
    assert report["findings"] == []
    assert report["summary"] == f"Nothing to review: git tracks no files in {REPO}."
    assert report["not_reviewed"] == ["churn failed (no_history): No commits."]


def test_what_is_no_repository_is_finished_at_once(tools):
    tasks = {
        name: failed(name, 1, "not_a_repository", "It is not a repository.")
        for name in ("tracked_files", "churn", "complexity", "todos", "test_inventory")
    }
    report = tools.plan(state(tasks))["finish"]
    assert report["summary"] == "Nothing was reviewed: It is not a repository."
    assert (report["head"], report["findings"], report["facts"]) == (None, [], [])


@pytest.mark.parametrize(
    ("extra", "rounds_left"),
    [
        ({"report": failed("write_report", 3, "crashed", "boom")}, 5),
        ({}, 1),
    ],
)
def test_without_a_writer_it_finishes_with_what_was_read(tools, extra, rounds_left):
    tasks = survey(read=done("read_lines", 2, excerpt("hot.py", 45, *["  some   line"] * 100)))
    report = tools.plan(state(tasks | extra, rounds_left=rounds_left))["finish"]
    assert [(f["line"], f["evidence"]) for f in report["findings"]] == [(50, "some line")] * 2
    assert report["reviewed"] == ["hot.py:45-144"]


def test_unreadable_files_end_in_a_report_without_findings(tools):
    tasks = survey(read=failed("read_lines", 2, "unreadable", "It is binary."))
    report = tools.plan(state(tasks))["finish"]
    assert report["findings"] == []
    assert report["summary"] == "No file could be read closely."
    assert "read_lines failed (unreadable): It is binary." in report["not_reviewed"]


# ---------------------------------------------------------------- finish and revision


def written_report(*places: tuple[str, int]) -> dict[str, Any]:
    found = [
        {"claim": "Claimed.", "path": path, "line": line, "evidence": "e", "severity": "low"}
        for path, line in places
    ]
    return {
        "repo": REPO,
        "head": None,
        "title": "t",
        "summary": f"Read it. {len(found)} findings ({len(found)} low).",
        "facts": [],
        "findings": found,
        "reviewed": [],
        "not_reviewed": [],
    }


def test_the_written_report_is_the_result(tools):
    report = written_report(("a.py", 1), ("b.py", 2))
    decision = tools.plan(state(survey(report=done("write_report", 4, report))))
    assert decision["finish"] == report


def test_refused_claims_are_dropped_and_stay_dropped(tools):
    report = written_report(("a.py", 1), ("b.py", 2), ("b.py", 21))
    tasks = survey(report=done("write_report", 4, report))
    decision = tools.plan(
        state(
            tasks,
            feedback=("the result was not accepted: Finding 2 at b.py:2: the file has 1 lines.",),
            earlier_feedback=("Finding 1 at a.py:1: the line is empty.",),
        )
    )
    finish = decision["finish"]
    assert [(f["path"], f["line"]) for f in finish["findings"]] == [("b.py", 21)]
    assert finish["summary"] == "Read it. 1 finding."
    assert finish["not_reviewed"] == ["Dropped because a check refused it: 2 claims."]


# ---------------------------------------------------------------- verifier


def test_the_verifier_takes_a_report_whose_lines_stand(repo, tools):
    repo.commit({"a b.py": "x =  1\n" + "y" * 400 + "\n"})
    result = {
        "repo": str(repo),
        "findings": [
            {"path": "a b.py", "line": 1, "evidence": "x = 1"},
            {"path": "a b.py", "line": 2, "evidence": "y" * 200},
        ],
    }
    verdict = tools.claims_resolve(result, f"Review `{repo}`.")
    assert verdict == {"ok": True, "feedback": ""}


def test_the_verifier_says_what_is_wrong_with_each_finding(repo, tools):
    repo.commit({"a.py": "one\n\nthree\n", "untouched": "1\n"})
    repo.write("b.bin", b"\0")
    repo.commit()
    wrong = [
        ("a.py", 1, "won"),
        ("a.py", 2, ""),
        ("a.py", 4, "four"),
        ("a.py", 3, ""),
        ("../a.py", 1, "one"),
        ("nope.py", 1, "one"),
        ("b.bin", 1, "x"),
        ("a.py", 3, "three"),
    ]
    result = {
        "repo": str(repo),
        "findings": [{"path": p, "line": line, "evidence": text} for p, line, text in wrong],
    }
    verdict = tools.claims_resolve(result, f"Review `{repo}`.")
    assert verdict["ok"] is False
    assert verdict["feedback"].splitlines() == [
        "Finding 1 at a.py:1: the line reads `one`, not `won`.",
        "Finding 2 at a.py:2: the line is empty and is evidence of nothing.",
        "Finding 3 at a.py:4: the file has 3 lines.",
        "Finding 4 at a.py:3: the line reads `three`, not ``.",
        "Finding 5 at ../a.py:1: `'../a.py'` is not a path inside the repository.",
        "Finding 6 at nope.py:1: `nope.py` is not tracked in this repository.",
        "Finding 7 at b.bin:1: `b.bin` is binary.",
    ]


def test_the_verifier_refuses_a_report_on_something_else(repo, tools, tmp_path):
    repo.commit({"a.py": "1\n"})
    result = {"repo": str(repo), "findings": []}
    assert tools.claims_resolve(result, "Review `/another`.")["ok"] is False
    absent = {"repo": str(tmp_path / "absent"), "findings": []}
    verdict = tools.claims_resolve(absent, f"Review `{tmp_path}/absent`.")
    assert verdict["ok"] is False
    assert "does not exist" in verdict["feedback"]
