"""The worker `notable`: how likely a change to each file goes wrong, from what the surveys gave.

How often a file changed, times how hard it is: its most complex function, its length, and whether
a test imports it. Prose, tests and generated files count less; the focus counts more. It also says
which stretch of a file to read first, so a step can read the first few without a look at the list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from claims import Evidence
from repo_tools.files import language_of
from repo_tools.inventory import is_test_file

__all__ = ["notable"]

_NOT_CODE = frozenset(
    {"CSS", "HTML", "JSON", "Markdown", "reStructuredText", "Text", "TOML", "XML", "YAML"}
)
_GENERATED = re.compile(r"(?:^|/)(?:vendor|third_party|node_modules|dist)/|\.min\.|_pb2\.py$")

#: Lines read at first around a function, at most; the rest only if the function continues.
_FIRST_READ = 120


def notable(
    files: Mapping[str, Any] | None = None,
    churn: Mapping[str, Any] | None = None,
    complexity: Mapping[str, Any] | None = None,
    tests: Mapping[str, Any] | None = None,
    focus: str = "",
) -> dict[str, Any]:
    """Every text file that some survey names, with its score; files of one score by path."""
    surveys = {
        "tracked_files": files, "churn": churn, "complexity": complexity, "test_inventory": tests,
    }  # fmt: skip
    known = Evidence(
        {
            worker: {"worker": worker, "status": "done", "output": output}
            for worker, output in surveys.items()
            if output is not None
        }
    )
    return {
        "files": [
            _file(known, path, focus.casefold())
            for path in sorted(known.paths())
            if not known.is_binary(path)
        ]
    }


def _file(known: Evidence, path: str, focus: str) -> dict[str, Any]:
    start, end = _first_stretch(known, path)
    return {
        "path": path,
        "score": _score(known, path, focus),
        "python": path.endswith((".py", ".pyi")),
        "start": start,
        "end": end,
        "why": known.reasons(path),
    }


def _score(known: Evidence, path: str, focus: str) -> float:
    """How likely a change here goes wrong: how often it is made, times how hard it is."""
    often = known.commits(path) / max(1, known.most_commits)
    hard = min(1.0, known.top_complexity(path) / 30)
    long = min(1.0, known.lines(path) / 600)
    score = (0.25 + often) * (0.25 + hard + 0.5 * long + 0.5 * known.is_untested(path))
    language = language_of(path)
    if language is None or language in _NOT_CODE:
        # Prose and data only where there is no code.
        score *= 0.001
    if is_test_file(path):
        score *= 0.3
    if _GENERATED.search(path):
        score *= 0.01
    return score + 10 if focus and focus in path.casefold() else score


def _first_stretch(known: Evidence, path: str) -> tuple[int, int]:
    functions = known.functions(path)
    if not functions:
        return 1, _FIRST_READ
    top = functions[0]
    start = max(1, int(top["line"]) - 5)
    return start, min(int(top["end_line"]), start + _FIRST_READ - 1)
