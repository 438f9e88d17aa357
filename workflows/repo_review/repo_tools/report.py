"""The worker `write_report`: findings and surveys become one typed report.

Writes nothing of its own: facts are numbers out of the surveys it is handed, the evidence of a
claim is the line that is in the repository where the claim points. A claim that points
nowhere keeps an empty evidence; the verifier `claims_resolve` refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import Failure
from repo_tools.git import Repo, evidence, is_binary, split_lines

__all__ = ["counted", "facts", "write_report"]

_SEVERITIES = ("high", "medium", "low")


def write_report(
    repo: str,
    findings: Sequence[Mapping[str, Any]],
    files: Mapping[str, Any] | None = None,
    churn: Mapping[str, Any] | None = None,
    complexity: Mapping[str, Any] | None = None,
    todos: Mapping[str, Any] | None = None,
    tests: Mapping[str, Any] | None = None,
    excerpts: Sequence[Mapping[str, Any]] = (),
    summary: str = "",
    not_reviewed: Sequence[str] = (),
) -> dict[str, Any]:
    """The report on `repo`, its findings in order of severity, then as they were given.

    Args:
        repo: The folder of the git work tree that was reviewed.
        findings: `{claim, path, line, severity, evidence?}`; evidence is looked up if missing.
        files, churn, complexity, todos, tests: What the surveys gave, as far as they did.
        excerpts: What `read_lines` gave: becomes `reviewed`.
        summary: A sentence or two to put before the numbers.
        not_reviewed: What was left out, and why, one sentence each.

    Raises:
        Failure: `not_a_repository`, `unreadable`.
    """
    folder = Repo(repo)
    lines_of: dict[str, list[str]] = {}
    written = []
    for finding in findings:
        quoted = finding.get("evidence") or _line(
            folder, finding["path"], finding["line"], lines_of
        )
        written.append(
            {
                "claim": finding["claim"],
                "path": finding["path"],
                "line": finding["line"],
                "evidence": quoted,
                "severity": finding["severity"],
            }
        )
    written.sort(key=lambda finding: _SEVERITIES.index(finding["severity"]))
    head = folder.head()
    counts = [
        f"{number} {severity}"
        for severity in _SEVERITIES
        if (number := sum(finding["severity"] == severity for finding in written))
    ]
    told = (
        f"{counted(len(written), 'finding')} ({', '.join(counts)})." if written else "No findings."
    )
    return {
        "repo": repo,
        "head": head,
        "title": f"Review of {folder.root.name or '/'} at {head[:10] if head else 'no commit'}",
        "summary": f"{summary} {told if written else 'No findings.'}".strip(),
        "facts": facts(files, churn, complexity, todos, tests),
        "findings": written,
        "reviewed": [
            f"{excerpt['path']}:{excerpt['start']}-{excerpt['end']}" for excerpt in excerpts
        ],
        "not_reviewed": list(not_reviewed),
    }


def _line(folder: Repo, path: str, line: int, lines_of: dict[str, list[str]]) -> str:
    if path not in lines_of:
        try:
            folder.require_tracked(path)
            data = folder.read(path)
            lines_of[path] = [] if is_binary(data) else split_lines(data)
        except Failure:
            lines_of[path] = []
    lines = lines_of[path]
    return evidence(lines[line - 1]) if 1 <= line <= len(lines) else ""


def counted(number: int, noun: str) -> str:
    """`1 file`, `2,000 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def facts(
    files: Mapping[str, Any] | None,
    churn: Mapping[str, Any] | None,
    complexity: Mapping[str, Any] | None,
    todos: Mapping[str, Any] | None,
    tests: Mapping[str, Any] | None,
) -> list[dict[str, str]]:
    """The numbers of the surveys that there are, as a report states them."""
    found: dict[str, str] = {}
    if files:
        found |= _of_files(files)
    if churn:
        found |= _of_churn(churn)
    if complexity:
        found |= _of_complexity(complexity)
    if tests:
        found |= _of_tests(tests)
    if todos:
        where = counted(todos["files"], "file")
        found["notes left in comments"] = f"{todos['total']:,} in {where}"
    return [{"name": name, "value": value} for name, value in found.items()]


def _of_files(files: Mapping[str, Any]) -> dict[str, str]:
    languages = [
        f"{item['language']}: {counted(item['files'], 'file')}, {counted(item['lines'], 'line')}"
        for item in files["languages"][:5]
    ]
    found = {
        "tracked files": f"{files['total']:,} ({counted(files['bytes'], 'byte')})",
        "lines": f"{files['lines']:,} in {counted(files['lines_counted_in'], 'text file')}",
        "languages": "; ".join(languages) or "none",
    }
    skipped = [f"{kind.replace('_', ' ')}: {n}" for kind, n in files["skipped"].items() if n]
    if skipped:
        found["not read as text"] = ", ".join(skipped)
    return found


def _of_churn(churn: Mapping[str, Any]) -> dict[str, str]:
    whole = "the whole history" if churn["complete"] else "the newest part of the history"
    span = f", {churn['oldest']} to {churn['newest']}" if churn["commits"] else ""
    who = counted(churn["authors"], "author")
    found = {"commits read": f"{churn['commits']:,} by {who} ({whole}{span})"}
    if churn["files"]:
        top = churn["files"][0]
        found["most often changed"] = f"{top['path']}, in {counted(top['commits'], 'commit')}"
    return found


def _of_complexity(complexity: Mapping[str, Any]) -> dict[str, str]:
    where = counted(complexity["parsed_files"], "parsed file")
    skipped = complexity["skipped_files"]
    more = f"; {counted(skipped, 'file')} left out for size" if skipped else ""
    found = {"Python functions": f"{complexity['total_functions']:,} in {where}{more}"}
    if complexity["functions"]:
        top = complexity["functions"][0]
        place = f"{top['name']} at {top['path']}:{top['line']}"
        found["most complex function"] = f"{place}, complexity {top['complexity']}"
    return found


def _of_tests(tests: Mapping[str, Any]) -> dict[str, str]:
    functions = counted(tests["test_functions"], "Python test function")
    found = {"tests": f"{counted(tests['test_files'], 'test file')}, {functions}"}
    if tests["source_modules"] and tests["complete"]:
        found["Python modules no test file imports directly"] = (
            f"{tests['untested']:,} of {tests['source_modules']:,}"
        )
    return found
