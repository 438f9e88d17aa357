"""The verifier of the dependency audit: is every claim of the report in the metadata?

It trusts nothing that the workers or the planner said. It finds the environment that the goal
names, reads the file that each claim names again, compares the quoted line, and proves the claim
once more with code of its own: `importlib.metadata` instead of the tools' reader of headers. A
claim that it cannot prove is refused, and its feedback begins with the number of the claim.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from audit_tools.files import problem_of, record_rows
from audit_tools.metadata import canonical, evidence, lines_of, site_of
from audit_tools.package import is_unclear
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from engine.errors import Failure

__all__ = ["claims_proved", "round_went_well"]

#: Problems told in one verdict; more would drown the planner.
_MAX_PROBLEMS = 30

#: A claim about an absent field: its file and what must not be there.
_ABSENT = {
    "no_license": "METADATA",
    "no_requires_python": "METADATA",
    "no_record": "RECORD",
}


def claims_proved(result: Mapping[str, Any], goal: str) -> dict[str, Any]:
    """The verdict on a report.

    Args:
        result: The report, with `site`, `python` and `claims`.
        goal: The orchestrator's goal, which names the environment between backticks, or none.
    """
    named = re.search(r"Python environment `([^`]+)`", goal)
    try:
        site = site_of(named[1] if named else None)
    except Failure as failure:
        return _verdict([failure.message])
    if (result["site"], result["python"]) != (site.folder, site.python):
        told = f"`{result['site']}` of Python {result['python']}"
        return _verdict(
            [f"The report is on {told}, not on `{site.folder}` of Python {site.python}."]
        )
    check = _Environment(site.folder, site.python)
    problems = []
    for number, claim in enumerate(result["claims"], 1):
        try:
            problem = check.problem(claim)
        except (Failure, ValueError) as error:
            problem = str(error)
        if problem:
            problems.append(f"Claim {number} on {claim['package']}: {problem}")
    return _verdict(problems)


def round_went_well(tasks: Mapping[str, Any], rounds: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The verdict on a round: whether there is a report, or everything that it needs.

    Single packages may fail: the report names them. A step that failed as a whole ends the run.
    """
    latest = rounds[-1]
    problems = [
        f"{name}: {step['failure']['mode']}: {step['failure']['message']}"
        for name, step in {**latest.get("steps", {}), **tasks}.items()
        if step["status"] == "failed" and "[" not in name
    ]
    return _verdict(problems)


def _verdict(problems: list[str]) -> dict[str, Any]:
    told = problems[:_MAX_PROBLEMS]
    if len(problems) > len(told):
        told.append(f"... and {len(problems) - len(told)} more like these.")
    return {"ok": not problems, "feedback": "\n".join(told)}


class _Environment:
    """The metadata of one environment, and the proof of each kind of claim."""

    def __init__(self, site: str, python: str) -> None:
        self._site = site
        self._python = python
        self._versions: dict[str, list[str]] = {}
        self._scripts: dict[str, set[str]] = {}
        for found in importlib.metadata.distributions(path=[site]):
            self._take(found)
        self._distribution = cache(self._open)

    def _take(self, found: importlib.metadata.Distribution) -> None:
        """Know a package and its scripts, unless its metadata cannot be read."""
        try:
            name, version = canonical(found.metadata["Name"] or ""), found.version
            entries = found.entry_points.select(group="console_scripts")
        except (ValueError, KeyError, OSError):
            return
        self._versions.setdefault(name, []).append(version)
        for entry in entries:
            self._scripts.setdefault(entry.name, set()).add(name)

    def _open(self, folder: str) -> importlib.metadata.Distribution:
        return importlib.metadata.Distribution.at(Path(self._site, folder))

    def problem(self, claim: Mapping[str, Any]) -> str | None:
        """Why a claim is not proved, or None."""
        folder, _, file = claim["file"].partition("/")
        name, _, version = folder.removesuffix(".dist-info").partition("-")
        if (canonical(name), version) != (claim["package"], claim["version"]):
            return f"`{folder}` is not the metadata of {claim['package']} {claim['version']}."
        lines = lines_of(self._site, claim["file"])
        if claim["check"] in _ABSENT:
            if claim["line"] is not None or file != _ABSENT[claim["check"]]:
                return "a claim about what is absent has no line."
        else:
            quoted = _quote_problem(lines, claim)
            if quoted:
                return quoted
        proof: Callable[..., str | None] = getattr(self, f"_{claim['check']}")
        return proof(folder, claim, lines)

    # ------------------------------------------------------------ one proof for each kind

    def _all(self, folder: str, field: str) -> list[str]:
        return list(self._distribution(folder).metadata.get_all(field) or [])

    def _licence(self, folder: str) -> list[str]:
        written = [
            value
            for field in ("License-Expression", "License")
            for value in self._all(folder, field)
        ]
        classifiers = self._all(folder, "Classifier")
        return [*written, *(value for value in classifiers if value.startswith("License ::"))]

    def _no_license(self, folder: str, claim: Mapping[str, Any], lines: Any) -> str | None:
        found = self._licence(folder)
        if lines is None:
            return "there is no METADATA."
        return f"the metadata says `{evidence(found[0])}`." if found else None

    def _unclear_license(self, folder: str, claim: Mapping[str, Any], lines: Any) -> str | None:
        clear = self._all(folder, "License-Expression")
        clear += [value for value in self._licence(folder) if value.startswith("License :: ")]
        clear = [value for value in clear if value != "License :: OSI Approved"]
        if clear:
            return f"the metadata says `{evidence(clear[0])}`."
        value = _value(lines, claim)
        if value != "License :: OSI Approved" and not is_unclear(value):
            return f"`{evidence(value)}` is clear."
        return _field_problem(claim, "License", "Classifier")

    def _no_requires_python(self, folder: str, claim: Mapping[str, Any], lines: Any) -> str | None:
        found = self._all(folder, "Requires-Python")
        if lines is None:
            return "there is no METADATA."
        return f"the metadata says `{evidence(found[0])}`." if found else None

    def _python_excluded(self, folder: str, claim: Mapping[str, Any], lines: Any) -> str | None:
        wrong = _field_problem(claim, "Requires-Python")
        if wrong:
            return wrong
        allowed = SpecifierSet(_value(lines, claim))
        return f"`{allowed}` allows Python {self._python}." if self._python in allowed else None

    def _requirement(
        self, claim: Mapping[str, Any], lines: list[str]
    ) -> tuple[Requirement, list[str], str | None]:
        """A requirement, the versions that are installed, and why it does not apply here."""
        wrong = _field_problem(claim, "Requires-Dist")
        required = Requirement(_value(lines, claim))
        short = ".".join(self._python.split(".")[:2])
        here = default_environment() | {"python_full_version": self._python, "extra": ""}
        here["python_version"] = short
        if not wrong and required.marker is not None and not required.marker.evaluate(here):
            wrong = f"`{required.marker}` does not hold here."
        versions = self._versions.get(canonical(required.name), [])
        return required, versions, wrong

    def _requirement_missing(self, folder: str, claim: Mapping[str, Any], lines: Any) -> str | None:
        required, versions, wrong = self._requirement(claim, lines)
        if versions:
            return f"`{required.name}` is installed, as {', '.join(versions)}."
        return wrong

    def _requirement_unmet(self, folder: str, claim: Mapping[str, Any], lines: Any) -> str | None:
        required, versions, wrong = self._requirement(claim, lines)
        if not versions:
            return f"`{required.name}` is not installed."
        met = [v for v in versions if required.specifier.contains(v, prereleases=True)]
        return f"`{required.name}` {met[0]} meets it." if met else wrong

    def _duplicate(self, folder: str, claim: Mapping[str, Any], lines: Any) -> str | None:
        if len(self._versions.get(claim["package"], [])) < 2:
            return "it is installed once."
        return _field_problem(claim, "Name")

    def _no_record(self, folder: str, claim: Mapping[str, Any], lines: Any) -> str | None:
        return None if lines is None else "there is a RECORD."

    def _file_missing(self, folder: str, claim: Mapping[str, Any], lines: Any) -> str | None:
        return self._file(claim, lines)

    def _file_changed(self, folder: str, claim: Mapping[str, Any], lines: Any) -> str | None:
        return self._file(claim, lines)

    def _file(self, claim: Mapping[str, Any], lines: list[str]) -> str | None:
        for number, path, digest, size in record_rows(lines):
            if number == claim["line"] and claim["file"].endswith("/RECORD"):
                found = problem_of(self._site, path, digest, size)
                if found is None:
                    return f"`{path}` is as RECORD lists it."
                if found[0] != claim["check"]:
                    return f"`{path}` {found[1]}."
                return None
        return "RECORD lists no file there."

    def _script_shared(self, folder: str, claim: Mapping[str, Any], lines: Any) -> str | None:
        name = _evidence_of(claim).partition("=")[0].strip()
        owners = self._scripts.get(name, set())
        if claim["package"] not in owners or len(owners) < 2:
            return f"no other package has a script `{name}`."
        return None


def _quote_problem(lines: list[str] | None, claim: Mapping[str, Any]) -> str | None:
    if lines is None:
        return f"there is no `{claim['file']}`."
    line = claim["line"]
    if line is None or not 1 <= line <= len(lines):
        return f"`{claim['file']}` has {len(lines)} lines, and the claim names line {line}."
    written = evidence(lines[line - 1])
    if not written or _evidence_of(claim) != written:
        return f"line {line} reads `{written}`, not `{claim['evidence']}`."
    return None


def _evidence_of(claim: Mapping[str, Any]) -> str:
    return evidence(claim["evidence"] or "")


def _value(lines: list[str], claim: Mapping[str, Any]) -> str:
    """The value on the line of a claim, which is longer than the quotation may be."""
    return lines[claim["line"] - 1].partition(":")[2].strip()


def _field_problem(claim: Mapping[str, Any], *fields: str) -> str | None:
    written = _evidence_of(claim).partition(":")[0]
    if written.casefold() in (field.casefold() for field in fields):
        return None
    return f"line {claim['line']} is not `{fields[0]}`."
