"""The audit's planner without a model: it decides the steps, and finishes with their report.

`plan` is called once a round with the structured state and returns the decision a model would. For
`dependency_audit` that is one decision of seven entries: the size of the environment is no matter,
because `each` makes the tasks, and the planner never sees the list. For `planned_audit` it is one
task of the plan. The report is the result, by reference; without the claims that a check refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from audit_tools.report import counted

from engine.runtime.ports import PolicyState

__all__ = ["plan"]

#: How many audits one call of `merge` combines.
_SIZE = 50

#: A step fails if more than this share of its packages do.
_TOLERATE = 0.1


def plan(state: PolicyState) -> dict[str, Any]:
    """The decision for this round: `tasks` or `finish`, with the reason in `assessment`."""
    report = next((task for task in state.tasks if _is_report(state.tasks[task])), None)
    if report is not None:
        return _finish(state, report)
    if "audit_all" in state.workers:
        return {
            "assessment": "The plan does the whole audit.",
            "tasks": [{"id": "audit", "worker": "audit_all", "input": dict(state.input)}],
        }
    return {
        "assessment": "Audit each package, whatever their number, and combine what is found.",
        "tasks": _steps(state),
    }


def _is_report(task: Mapping[str, Any]) -> bool:
    return task["status"] == "done" and task["worker"] in ("write_report", "audit_all")


def _steps(state: PolicyState) -> list[dict[str, Any]]:
    of_package = {
        "site": {"$from": "listed", "at": "/site"},
        "folder": {"$item": "/folder"},
        "name": {"$item": "/name"},
        "version": {"$item": "/version"},
    }
    packages = {"$from": "listed", "at": "/distributions"}
    most_needed = {
        "where": [[{"value": {"$item": "/needed_by"}, "is": ">", "than": 0}]],
        "sort_by": "/needed_by",
        "desc": True,
        "take": state.input["hashed"],
    }
    each = {"label": {"$item": "/name"}, "tolerate": _TOLERATE}
    python = {"$from": "listed", "at": "/python"}
    return [
        _task("listed", "environment", {"environment": state.input["environment"]}),
        _task("across", "audit_across", {"site": of_package["site"]}),
        _task("audits", "audit_metadata", {**of_package, "python": python}, each=packages, **each),
        _task("files", "audit_files", of_package, each=packages, **each),
        _task(
            "contents",
            "audit_files",
            {**of_package, "hashes": True},
            each={**packages, **most_needed},
            **each,
        ),
        _task(
            "merged",
            "merge",
            {"parts": {"$parts": True}},
            reduce={"$from": ["audits", "files", "contents", "across"]},
            size=_SIZE,
        ),
        _task(
            "report",
            "write_report",
            {
                "environment": {"$from": "listed"},
                "found": {"$from": "merged"},
                "failed": {"$from": "audits", "failures": True},
                "failed_files": {"$from": "files", "failures": True},
            },
        ),
    ]


def _task(name: str, worker: str, inputs: Mapping[str, Any], **keys: Any) -> dict[str, Any]:
    return {"id": name, "worker": worker, "input": dict(inputs), **keys}


def _finish(state: PolicyState, task: str) -> dict[str, Any]:
    """The report by reference, or by value without the claims that the feedback names."""
    said = [*state.feedback, *(text for past in state.rounds for text in past["feedback"])]
    refused = {int(number) for text in said for number in re.findall(r"\bClaim (\d+) on ", text)}
    if not refused:
        return {"assessment": "The report is written.", "finish": {"$from": task}}
    report = state.tasks[task]["output"]
    kept = [claim for number, claim in enumerate(report["claims"], 1) if number not in refused]
    note = f"Dropped because a check refused it: {counted(len(refused), 'claim')}."
    return {
        "assessment": note,
        "finish": {**report, "claims": kept, "summary": f"{report['summary']} {note}"},
    }
