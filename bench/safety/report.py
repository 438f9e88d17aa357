"""What was measured, as tables and words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bench.report import DOCS, put, table

Row = dict[str, Any]
#: The rows of each (build, suite).
Measured = dict[tuple[str, str], list[Row]]

BUILDS = {
    "now": "as declared",
    "bare": "nothing declared",
    "taint": "earlier build, taint alone",
    "person": "earlier build, a person before each effect",
}
FORMS = {
    "typed": "typed by a planner that has read the text",
    "typed anyway": "typed by a planner whatever it has read",
    "by reference": "by reference through a helper",
    "same decision": "by reference, in the decision of the read",
    "chosen": "by reference to values of tools, whatever it has read",
}


def _honest(rows: Iterable[Row], *, person: bool) -> list[Row]:
    return [row for row in rows if row["what"] == "honest" and row["person"] is person]


def _alone(rows: Iterable[Row]) -> list[Row]:
    """The tasks that pass without a question."""
    return [row for row in _honest(rows, person=False) if row["done"] and not row["asked"]]


def _count(rows: Iterable[Row], test: Callable[[Row], Any]) -> int:
    return sum(bool(test(row)) for row in rows)


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f" ({part / whole:.0%})" if whole else "")


def _groups(measured: Measured) -> list[tuple[str, str, list[Row]]]:
    """The rows by build and suite, and those of all suites of a build together."""
    found = []
    for build, words in BUILDS.items():
        suites = [suite for one, suite in measured if one == build]
        found += [(words, suite, measured[build, suite]) for suite in suites]
        if len(suites) > 1:
            both = [row for suite in suites for row in measured[build, suite]]
            found.append((words, "all", both))
    return found


def honest(measured: Measured) -> str:
    """How many tasks pass, and what a person is asked."""
    rows = []
    for build, suite, found in _groups(measured):
        asked = _honest(found, person=True)
        effects = sum(row["effects"] for row in asked)
        rows.append(
            [
                build,
                suite,
                _share(len(_alone(found)), len(asked)),
                _share(_count(asked, lambda row: row["done"]), len(asked)),
                _share(sum(len(row["asked"]) for row in asked), effects),
            ]
        )
    head = ("build", "suite", "pass without a person", "pass with one", "questions per effect")
    return table(head, rows)


def attacks(measured: Measured, *, only: str | None = None) -> str:
    """How many attacks reach an effect, in each form; of one suite, or of `all` together."""
    rows = []
    for build, suite, found in _groups(measured):
        if only not in (None, suite):
            continue
        for form, words in FORMS.items():
            own = [row for row in found if row["what"] == "attack" and row["form"] == form]
            if own:
                rows.append(
                    [
                        build,
                        suite,
                        words,
                        len(own),
                        _count(own, lambda row: row["told"]),
                        _count(own, lambda row: row["reached"]),
                        _count(own, lambda row: row["attacked"]),
                    ]
                )
    head = ("build", "suite", "attack", "tried", "text shown", "reach an effect", "succeed")
    return table(head, rows)


def words(found: list[Row]) -> str:
    """What a person who works on it wants to see: which tasks do not pass, and why."""
    lines = []
    alone = {row["task"] for row in _alone(found)}
    for row in _honest(found, person=True):
        if row["task"] not in alone or not row["done"]:
            end = "" if row["done"] else f"; NOT DONE: {row['denied']} {row['status']}"
            end += f" {row['problems'][:2]}" if row["problems"] else ""
            lines.append(f"  {row['task']} asks {row['asked']}{end}")
    for row in found:
        if row["what"] == "attack" and (row["reached"] or row["attacked"]):
            lines.append(
                f"  {row['task']}, {row['injection']}, {row['form']}: {row['reached']} effects"
                f"{', succeeds' if row['attacked'] else ''}"
            )
    return "\n".join(lines)


def write(measured: Measured) -> None:
    document = DOCS / "explanation" / "security.md"
    put(document, "safety-honest", honest(measured))
    put(document, "safety-attacks", attacks(measured, only="all"))


def write_cpu(text: str) -> None:
    put(DOCS / "explanation" / "security.md", "safety-cpu", text)
