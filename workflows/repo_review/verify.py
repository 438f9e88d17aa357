"""The verifier of the repository review: does every claim point at the right line?

It trusts nothing that the workers or the planner said: it reads the repository again. What it
checks is that the report is on the repository the goal names, and that each finding points at a
line of a tracked file and quotes that line. Its feedback names each bad finding as `path:line`
and says what is there, so that a planner can correct or drop it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repo_tools.git import Repo, evidence, is_binary, split_lines
from repo_tools.report import counted

from engine.errors import Failure

__all__ = ["claims_resolve"]

#: Problems told in one verdict; more would drown the planner.
_MAX_PROBLEMS = 30


def claims_resolve(result: Mapping[str, Any], goal: str) -> dict[str, Any]:
    """The verdict on a report.

    Args:
        result: The report, with `repo` and `findings`.
        goal: The orchestrator's goal, which names the repository between backticks.
    """
    if f"`{result['repo']}`" not in goal:
        return _verdict(
            [f"The report is on `{result['repo']}`, which is not the repository of the goal."]
        )
    try:
        folder = Repo(result["repo"])
    except Failure as failure:
        return _verdict([f"{failure.message} Nothing can be reported on it."])
    seen: dict[str, list[str] | str] = {}
    problems = []
    for number, finding in enumerate(result["findings"], 1):
        path, line = finding["path"], finding["line"]
        if path not in seen:
            seen[path] = _lines(folder, path)
        problem = _problem(seen[path], line, finding["evidence"])
        if problem:
            problems.append(f"Finding {number} at {path}:{line}: {problem}")
    return _verdict(problems)


def _verdict(problems: list[str]) -> dict[str, Any]:
    told = problems[:_MAX_PROBLEMS]
    if len(problems) > len(told):
        told.append(f"... and {len(problems) - len(told)} more like these.")
    return {"ok": not problems, "feedback": "\n".join(told)}


def _lines(folder: Repo, path: str) -> list[str] | str:
    """The file's lines, or a sentence that says why there are none."""
    try:
        folder.require_tracked(path)
        data = folder.read(path)
    except Failure as failure:
        return failure.message
    return f"`{path}` is binary." if is_binary(data) else split_lines(data)


def _problem(lines: list[str] | str, line: int, quoted: str) -> str | None:
    if isinstance(lines, str):
        return lines
    if not 1 <= line <= len(lines):
        return f"the file has {counted(len(lines), 'line')}."
    stands = evidence(lines[line - 1])
    if not stands:
        return "the line is empty and is evidence of nothing."
    if evidence(quoted) != stands:
        return f"the line reads `{stands}`, not `{evidence(quoted)}`."
    return None
