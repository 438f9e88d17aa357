"""The workflow as a whole, run by the engine on repositories that git made.

What the report says is computed again here in other ways (git's own counts, the text of the
files), so a report that is wrong about the repository fails.
"""

from __future__ import annotations

import ast
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

import engine

FILE = Path(__file__).parent.parent / "repo_review.orch"


@pytest.fixture(scope="module")
def workflow() -> engine.Workflow:
    return engine.load(str(FILE))


def tangled(branches: int) -> str:
    """A function with a known number of branches, a bare except and a shared default."""
    lines = ["def tangled(x, seen=[]):", "    try:"]
    for number in range(branches):
        lines += [f"        if x == {number}:", f"            seen.append({number})"]
    lines += ["    except:", "        pass  # FIXME: what?", "    return seen", ""]
    return "\n".join(lines)


@pytest.fixture
def project(repo: Any) -> Any:
    """A project with one hot, tangled, untested module and a quiet, tested one."""
    quiet = "def quiet(a):\n    return a\n"
    tests = "from quiet import quiet\n\n\ndef test_quiet():\n    assert quiet(1) == 1\n"
    for branches in range(30, 37):
        repo.commit({"hot module.py": tangled(branches)})
    repo.commit({"quiet.py": quiet, "tests/test_quiet.py": tests, "README.md": "# Project\n"})
    return repo


def check_truth(report: dict[str, Any], root: Path) -> None:
    """Compare every number of the report's findings with the repository itself."""
    for finding in report["findings"]:
        path, claim = finding["path"], finding["claim"]
        lines = (root / path).read_text().split("\n")
        assert finding["evidence"] == " ".join(lines[finding["line"] - 1].split())[:200].rstrip()
        if changed := re.search(r"changed in (\d+) of the newest (\d+) commits", claim):
            assert int(changed[1]) == commits(root, "--follow", "--", path)
            assert int(changed[2]) == commits(root)
        if counted := re.search(r"Function `(\w+)` has .* and is (\d+) lines long", claim):
            (node,) = [
                node
                for node in ast.walk(ast.parse("\n".join(lines)))
                if isinstance(node, ast.FunctionDef) and node.name == counted[1]
            ]
            assert node.lineno == finding["line"]
            assert node.end_lineno == node.lineno + int(counted[2]) - 1


def commits(root: Path, *arguments: str) -> int:
    done = subprocess.run(
        ["git", "log", "--no-merges", "--format=%H", *arguments],
        cwd=root,
        capture_output=True,
        check=True,
        text=True,
    )
    return len(done.stdout.split())


def test_the_report_on_a_project_is_true(workflow, project):
    run = workflow.run(repo=str(project))
    assert run.status == "finished", run.reason
    report = run.output
    check_truth(report, project.root)
    found = {(f["path"], f["line"], f["claim"]): f["severity"] for f in report["findings"]}
    module = "hot module.py"
    last = len(tangled(36).splitlines())
    assert found == {
        (
            module,
            1,
            "hot module.py was changed in 7 of the newest 8 commits, and no tracked test file"
            " imports `hot module` directly.",
        ): "high",
        (
            module,
            1,
            # 1, the 36 branches, and the except.
            f"Function `tangled` has cyclomatic complexity 38 and is {last} lines long.",
        ): "high",
        (
            module,
            1,
            "Function `tangled` has a mutable default value, `[]`, which all its calls share.",
        ): "medium",
        (
            module,
            last - 2,
            "A bare `except:` catches everything, `KeyboardInterrupt` and `SystemExit` too.",
        ): "medium",
        (module, last - 1, "There is a FIXME here: what?"): "medium",
    }
    assert report["head"] == project.git("rev-parse", "HEAD")
    assert run.failures == ()


def test_the_same_repository_gives_the_same_report(workflow, project):
    first = workflow.run(repo=str(project))
    second = workflow.run(repo=str(project))
    assert first.output == second.output


def test_a_project_without_python(workflow, repo):
    source = "function f() {\n" + "  return 1; // HACK for now\n" + "}\n" + "x" * 300 + "\n"
    for number in range(6):
        repo.commit({"app.js": source + f"// {number}\n", "style.css": "a {}\n"})
    run = workflow.run(repo=str(repo), max_files=1)
    assert run.status == "finished", run.reason
    assert [(f["line"], f["claim"]) for f in run.output["findings"]] == [
        (1, "app.js was changed in 6 of the newest 6 commits."),
        (4, "This line has more than 160 characters."),
        (2, "There is a HACK here: for now"),
    ]
    check_truth(run.output, repo.root)


def test_an_empty_repository(workflow, repo):
    run = workflow.run(repo=str(repo))
    assert run.status == "finished", run.reason
    assert run.output["findings"] == []
    assert run.output["summary"].startswith("Nothing to review")
    assert [failure.mode for failure in run.failures] == ["no_history"]


def test_files_before_the_first_commit(workflow, repo):
    repo.write("a.py", tangled(12))
    repo.git("add", "-A")
    run = workflow.run(repo=str(repo))
    assert run.status == "finished", run.reason
    assert any("cyclomatic complexity 14" in f["claim"] for f in run.output["findings"])
    assert any("no_history" in note for note in run.output["not_reviewed"])


def test_what_is_no_repository_is_aborted_with_the_reason(workflow, tmp_path):
    run = workflow.run(repo=str(tmp_path / "absent"))
    assert run.status == "aborted"
    assert "does not exist" in run.reason


def test_names_that_need_care(workflow, repo):
    names = ["a b.py", "a\nb.py", 'q"uo`te.py', "grün.py", "-n.py"]
    for _ in range(3):
        repo.commit({name: tangled(10 + repo.day) for name in names})
    run = workflow.run(repo=str(repo), max_files=6)
    assert run.status == "finished", run.reason
    assert {f["path"] for f in run.output["findings"]} == set(names)
    check_truth(run.output, repo.root)


def test_a_model_in_the_planners_place_is_held_to_the_lines(workflow, project):
    """A model's wrong claim is refused, with what stands there, and corrected."""

    def finish(evidence: str) -> dict[str, Any]:
        return {
            "assessment": "One thing stands out.",
            "finish": {
                "repo": str(project),
                "head": None,
                "title": "Review",
                "summary": "One finding.",
                "facts": [],
                "findings": [
                    {
                        "claim": "The function has a mutable default.",
                        "path": "hot module.py",
                        "line": 1,
                        "evidence": evidence,
                        "severity": "low",
                    }
                ],
                "reviewed": ["hot module.py:1-1"],
                "not_reviewed": [],
            },
        }

    replies = [finish("def tangled(x):"), finish("def tangled(x, seen=[]):")]
    run = workflow.run(repo=str(project), models={"planner": engine.Scripted(replies)})
    assert run.status == "finished", run.reason
    assert run.rounds == 2
    assert run.output["findings"][0]["evidence"] == "def tangled(x, seen=[]):"


def test_the_goal_tells_a_model_enough(workflow):
    """What a planner must know stands in the goal and the instructions, not in the policy."""
    program = workflow.program
    orchestrator = program.orchestrators["repo_review"]
    told = orchestrator.instructions.render({"repo": "/r", "max_files": 3, "focus": ""})
    for name in orchestrator.workers:
        assert f"`{name}`" in told
    goal = orchestrator.goal.render({"repo": "/r", "max_files": 3, "focus": "parser"})
    assert "`/r`" in goal
    assert "3 files" in goal
    assert "parser" in goal
    assert textwrap.dedent(goal).strip() == goal.strip()
