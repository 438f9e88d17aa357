"""What the outputs of the readers prove: the policy's evidence, and the claims drawn from it.

`Evidence` looks the workers' outputs up by file. `claims_about` turns them into claims, each a
sentence made of numbers that are in an output, pointing at the line that shows it. Nothing is
claimed that no output says; thresholds decide only what is worth saying, and how severe it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from repo_tools.inventory import is_test_file
from repo_tools.report import counted

__all__ = ["Evidence", "claims_about", "shown"]

#: A function is worth naming from this complexity or this many lines on.
_COMPLEX = 10
_LONG = 80
_LONG_LINE = 160

#: A file changes often if it changed in this share of the commits read, and three times.
_OFTEN = 0.05

#: Claims of one sort in one report, and in one file.
_PER_FILE = 3
_ELSEWHERE = 5
_MAX_CLAIMS = 60

_RISK_SEVERITY = {
    "bare_except": "medium", "swallowed_exception": "medium", "mutable_default": "medium",
    "dynamic_code": "medium", "shell": "medium", "many_parameters": "low",
}  # fmt: skip


class Evidence:
    """The outputs of a run's tasks, looked up by worker and by file.

    Args:
        tasks: By id, as a policy's state has them.
    """

    def __init__(self, tasks: Mapping[str, Any]) -> None:
        self._tasks = tasks
        files = self.output("tracked_files") or {}
        self._files = {file["path"]: file for file in files.get("files", [])}
        churn = self.output("churn") or {}
        self._churn = {file["path"]: file for file in churn.get("files", [])}
        self.commits_read: int = churn.get("commits", 0)
        self.most_commits: int = max((f["commits"] for f in self._churn.values()), default=0)
        tests = self.output("test_inventory") or {}
        self._untested = {
            module["path"]: module["module"]
            for module in (tests.get("untested_modules", []) if tests.get("complete") else [])
        }
        self._functions: dict[str, dict[tuple[int, str], dict[str, Any]]] = {}
        for output in self.outputs("complexity"):
            for function in output["functions"]:
                by_place = self._functions.setdefault(function["path"], {})
                by_place[function["line"], function["name"]] = function
        self.total_files: int = files.get("total", 0)

    def done(self, worker: str) -> list[str]:
        """Ids of a worker's tasks that gave an output, in order."""
        return [
            task_id
            for task_id, task in self._tasks.items()
            if task["worker"] == worker and task["status"] == "done"
        ]

    def outputs(self, worker: str) -> list[dict[str, Any]]:
        """What a worker gave, in order."""
        return [self._tasks[task_id]["output"] for task_id in self.done(worker)]

    def output(self, worker: str) -> dict[str, Any] | None:
        """What a worker gave first, or None: later calls are about single files."""
        outputs = self.outputs(worker)
        return outputs[0] if outputs else None

    def failed(self) -> list[Mapping[str, Any]]:
        """The tasks that failed, in order."""
        return [task for task in self._tasks.values() if task["status"] == "failed"]

    def failures(self, *workers: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Failures of some workers' tasks, each with its worker."""
        return [
            (task["worker"], task["failure"]) for task in self.failed() if task["worker"] in workers
        ]

    @property
    def is_empty(self) -> bool:
        """Whether no survey gave anything to look at."""
        files = self.output("tracked_files")
        if files is not None:
            return int(files["total"]) == 0
        return not (self._churn or self._functions)

    def excerpts(self) -> list[dict[str, Any]]:
        """What was read."""
        return self.outputs("read_lines")

    def paths(self) -> set[str]:
        """Every file that some survey names."""
        return {*self._files, *self._churn, *self._functions, *self._untested}

    def is_binary(self, path: str) -> bool:
        """Whether the survey knows the file and could not count its lines."""
        return path in self._files and self._files[path]["lines"] is None

    def lines(self, path: str) -> int:
        """Lines of a file, 0 where the survey does not say."""
        return int(self._files.get(path, {}).get("lines") or 0)

    def commits(self, path: str) -> int:
        """In how many of the commits read the file changed; 0 where the survey does not say."""
        return int(self._churn.get(path, {}).get("commits", 0))

    def functions(self, path: str) -> list[dict[str, Any]]:
        """The functions known of a file, most complex first."""
        known = self._functions.get(path, {}).values()
        return sorted(known, key=lambda f: (-f["complexity"], -f["length"], f["line"]))

    def top_complexity(self, path: str) -> int:
        """Complexity of the file's most complex function, 0 where none is known."""
        return max((f["complexity"] for f in self._functions.get(path, {}).values()), default=0)

    def is_untested(self, path: str) -> bool:
        """Whether it is known that no test file imports the file."""
        return path in self._untested

    def reasons(self, path: str) -> str:
        """Why a file is notable, in the surveys' numbers."""
        told = []
        if self.commits(path) and self.commits_read > 1:
            told.append(f"changed in {self.commits(path)} of {self.commits_read} commits")
        if self.top_complexity(path):
            told.append(f"complexity up to {self.top_complexity(path)}")
        if self.lines(path):
            told.append(counted(self.lines(path), "line"))
        if self.is_untested(path):
            told.append("no tracked test file imports it")
        return ", ".join(told) or "nothing else is there"

    def untested_name(self, path: str) -> str:
        """The dotted name under which no test file imports the file."""
        return str(self._untested[path])


def shown(path: str) -> str:
    """A path as it may be in a sentence: quoted where it holds what cannot be printed."""
    return path if path.isprintable() else json.dumps(path)


def claims_about(known: Evidence) -> list[dict[str, Any]]:
    """The claims that the outputs prove, without doubles."""
    found: dict[tuple[str, int, str], dict[str, Any]] = {}
    for claim in _all(known):
        found.setdefault((claim["path"], claim["line"], claim["claim"]), claim)
    return list(found.values())[:_MAX_CLAIMS]


def _claim(text: str, path: str, line: int, severity: str) -> dict[str, Any]:
    return {"claim": text[:600], "path": path, "line": line, "severity": severity}


def _all(known: Evidence) -> Iterator[dict[str, Any]]:
    read = list(dict.fromkeys(excerpt["path"] for excerpt in known.excerpts()))
    for path in read:
        yield from _of_file(known, path)
        yield from _of_functions(known, path)
    for output in known.outputs("risky_constructs"):
        for risk in output["items"]:
            text = f"{risk['detail'][:1].upper()}{risk['detail'][1:]}."
            yield _claim(text, risk["path"], risk["line"], _RISK_SEVERITY[risk["kind"]])
    yield from _of_long_lines(known)
    yield from _of_notes(known, read)
    yield from _of_unparsed(known)


def _of_file(known: Evidence, path: str) -> Iterator[dict[str, Any]]:
    """What is to be said of a file as a whole, at its hardest function or first line read."""
    commits, untested = known.commits(path), known.is_untested(path)
    often = commits >= 3 and commits >= _OFTEN * known.commits_read
    functions = known.functions(path)
    line = functions[0]["line"] if functions else _first_line(known, path)
    if line is None or not (often or untested):
        return
    told = f"{shown(path)} was changed in {commits} of the newest {known.commits_read} commits"
    silent = (
        f"no tracked test file imports `{known.untested_name(path)}` directly" if untested else ""
    )
    if often and untested:
        text = f"{told}, and {silent}."
    else:
        text = f"{told if often else silent[:1].upper() + silent[1:]}."
    hard = known.top_complexity(path) >= _COMPLEX
    severity = "high" if often and untested and hard else "medium" if untested and hard else "low"
    yield _claim(text, path, line, severity)


def _first_line(known: Evidence, path: str) -> int | None:
    for excerpt in known.excerpts():
        for line in excerpt["lines"]:
            if excerpt["path"] == path and line["text"].strip():
                return int(line["n"])
    return None


def _of_functions(known: Evidence, path: str) -> Iterator[dict[str, Any]]:
    worth = [
        function
        for function in known.functions(path)
        if function["complexity"] >= _COMPLEX or function["length"] >= _LONG
    ]
    for function in worth[:_PER_FILE]:
        complexity = function["complexity"]
        severity = "high" if complexity >= 25 else "medium" if complexity >= 15 else "low"
        yield _claim(
            f"Function `{function['name']}` has cyclomatic complexity {complexity}"
            f" and is {counted(function['length'], 'line')} long.",
            path,
            function["line"],
            severity,
        )


def _of_long_lines(known: Evidence) -> Iterator[dict[str, Any]]:
    """The first very long line of each file that was read."""
    seen: set[str] = set()
    for excerpt in known.excerpts():
        for line in excerpt["lines"]:
            if len(line["text"]) > _LONG_LINE and line["text"].strip():
                if excerpt["path"] not in seen:
                    text = f"This line has more than {_LONG_LINE} characters."
                    yield _claim(text, excerpt["path"], line["n"], "low")
                seen.add(excerpt["path"])


def _of_notes(known: Evidence, read: list[str]) -> Iterator[dict[str, Any]]:
    """Notes in the files that were read, and the most urgent ones elsewhere."""
    elsewhere = 0
    in_file: dict[str, int] = {}
    survey = known.output("todos")
    for item in survey["items"] if survey else ():
        path, tag = item["path"], item["tag"]
        if path in read:
            in_file[path] = in_file.get(path, 0) + 1
            if in_file[path] > _PER_FILE:
                continue
        elif tag == "FIXME" and elsewhere < _ELSEWHERE:
            elsewhere += 1
        else:
            continue
        said = f": {item['text']}" if item["text"] else " with no text"
        severity = "medium" if tag == "FIXME" else "low"
        yield _claim(f"There is a {tag} here{said}", path, item["line"], severity)


def _of_unparsed(known: Evidence) -> Iterator[dict[str, Any]]:
    survey = known.output("complexity")
    for number, item in enumerate(survey["unparsed"] if survey else ()):
        if number == _ELSEWHERE:
            return
        severity = "low" if is_test_file(item["path"]) else "medium"
        text = f"Python does not parse {shown(item['path'])}: {item['message']}."
        yield _claim(text, item["path"], item["line"], severity)
