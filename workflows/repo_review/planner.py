"""The review's planner without a model: a policy that reads what came back and chooses.

`plan` is called once a round with the structured state and returns the decision a model would.
It holds no state of its own; everything is read from what the workers gave:

1. survey the repository, five readers at once;
2. weigh the files (how often changed, how complex, how long, imported by a test or not) and
   read the ones that are notable, around their most complex function: steps of the engine, which
   select from what `notable` gives, and from what was read;
3. follow what was read: the rest of a long function, the syntax tree's word on text that looks
   risky; skipped if nothing asks for it;
4. have the report written, from claims that the outputs prove (`claims`), large values by
   reference;
5. finish, without the claims that a verifier refused.

A worker that failed is gone without and named in the report. Where no report can be written
(nothing there, nothing readable, no rounds left) it finishes with what it knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from claims import Evidence, claims_about, shown
from notable import notable
from repo_tools.git import evidence
from repo_tools.report import counted, facts

from engine.runtime.ports import PolicyState

__all__ = ["plan"]

_SURVEY = ("tracked_files", "churn", "complexity", "todos", "test_inventory")
#: Python text that the syntax tree should be asked about.
_SUSPICIOUS = re.compile(
    r"\bexcept\s*:|\bexcept\s+(?:Base)?Exception\b|\bshell\s*=\s*True|\b(?:eval|exec)\("
    r"|=\s*(?:\[\]|\{\}|(?:list|dict|set)\(\))\s*[,)]"
)

#: Lines read of the rest of a function, at most.
_READ_MORE = 200


def plan(state: PolicyState) -> dict[str, Any]:
    """The decision for this round: `tasks` or `finish`, with the reason in `assessment`."""
    known = Evidence(state.tasks)
    worked = {task["round"] for task in state.tasks.values()}
    rounds_left = state.left.get("rounds")
    if rounds_left is None:
        rounds_left = 99
    if not worked:
        return _survey(state)
    if known.output("write_report") is not None:
        return _finish(state, known)
    if known.is_empty:
        return _by_value(state, known, _nothing(state, known))
    if rounds_left <= 1 or known.failures("write_report"):
        return _by_value(state, known, "No report could be written; this is what was found.")
    if len(worked) == 1 and rounds_left >= 3:
        decision = _look_closer(state, known)
    elif len(worked) == 2 and rounds_left >= 3:
        decision = _follow(state, known)
    else:
        decision = None
    return decision or _write(state, known)


# ---------------------------------------------------------------- rounds 1 to 3: look


def _survey(state: PolicyState) -> dict[str, Any]:
    tasks = [_task(state, name, name, {}) for name in _SURVEY if name in state.workers]
    return {
        "assessment": "Nothing is known yet: survey files, history, complexity, notes and tests.",
        "tasks": tasks,
    }


def _look_closer(state: PolicyState, known: Evidence) -> dict[str, Any] | None:
    """Weigh the files, and read the first few: one step, whatever the number of files."""
    surveys = {
        "files": "tracked_files", "churn": "churn", "complexity": "complexity",
        "tests": "test_inventory",
    }  # fmt: skip
    found = {name: worker for name, worker in surveys.items() if known.done(worker)}
    focus = str(state.input.get("focus") or "")
    most = int(state.input.get("max_files", 5))
    # The same function as the worker's, to say why; the step chooses from the worker's output.
    files = notable(**{name: known.output(w) for name, w in found.items()}, focus=focus)["files"]
    chosen = sorted(files, key=lambda file: -float(file["score"]))[:most]
    if not chosen:
        return None
    weighed, read = f"r{state.round}_notable", f"r{state.round}_read"
    inputs = {name: {"$from": known.done(worker)[0]} for name, worker in found.items()}
    first = {
        "$from": weighed,
        "at": "/files",
        "where": [[{"value": {"$item": "/score"}, "is": ">", "than": 0}]],
        "sort_by": "/score",
        "desc": True,
        "take": most,
    }
    stretch = {name: {"$item": f"/{name}"} for name in ("path", "start", "end")}
    # The survey lists the most complex functions only: ask for those of the files that are read.
    python = {
        "$from": read,
        "pairs": True,
        "where": [[{"value": {"$item": "/item/python"}, "is": "==", "than": True}]],
    }
    functions = {"repo": state.input["repo"], "paths": [{"$item": "/item/path"}], "limit": 200}
    reasons = "; ".join(f"{shown(file['path'])} ({file['why']})" for file in chosen)
    failed = "".join(f" {sentence}" for sentence in _failures(known))
    return {
        "assessment": f"Most notable: {reasons}.{failed}",
        "tasks": [
            {"id": weighed, "worker": "notable", "input": {**inputs, "focus": focus}},
            {
                **_task(state, "read", "read_lines", stretch),
                "each": first,
                "label": {"$item": "/path"},
            },
            {
                "id": f"r{state.round}_functions",
                "worker": "complexity",
                "each": python,
                "label": {"$item": "/item/path"},
                "input": functions,
            },
        ],
    }


def _follow(state: PolicyState, known: Evidence) -> dict[str, Any] | None:
    """What the stretches that were read ask for, or None."""
    tasks = []
    reasons = []
    suspects = []
    for number, excerpt in enumerate(known.excerpts(), 1):
        path = excerpt["path"]
        seen = next((n for n, text in _texts(excerpt) if _SUSPICIOUS.search(text)), None)
        if seen is not None and path.endswith((".py", ".pyi")):
            suspects.append(path)
            reasons.append(f"{shown(path)}:{seen} looks risky")
        cut = _cut_function(known, excerpt)
        if cut is not None:
            stretch = {
                "path": path,
                "start": excerpt["end"] + 1,
                "end": min(int(cut["end_line"]), excerpt["end"] + _READ_MORE),
            }
            tasks.append(_task(state, f"rest{number}", "read_lines", stretch))
            reasons.append(f"`{cut['name']}` in {shown(path)} continues to line {cut['end_line']}")
    if suspects:
        paths = list(dict.fromkeys(suspects))
        tasks.append(_task(state, "risks", "risky_constructs", {"paths": paths}))
    if not tasks:
        return None
    return {"assessment": f"What was read asks for more: {'; '.join(reasons)}.", "tasks": tasks}


def _cut_function(known: Evidence, excerpt: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The function at the excerpt's end that continues below it, if it is a complex one."""
    for function in known.functions(excerpt["path"]):
        if function["line"] <= excerpt["end"] < function["end_line"]:
            return function if function["complexity"] >= 10 else None
    return None


def _texts(excerpt: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    for line in excerpt["lines"]:
        yield line["n"], line["text"]


# ---------------------------------------------------------------- rounds 4 and 5: say it


def _write(state: PolicyState, known: Evidence) -> dict[str, Any]:
    excerpts = known.done("read_lines")
    if not excerpts or known.output("tracked_files") is None:
        return _by_value(state, known, "No file could be read closely.")
    found = claims_about(known)
    surveys = {
        "files": "tracked_files", "churn": "churn", "complexity": "complexity", "todos": "todos",
        "tests": "test_inventory",
    }  # fmt: skip
    task = _task(
        state,
        "report",
        "write_report",
        {
            "findings": found,
            **{
                name: {"$from": known.done(worker)[0]}
                for name, worker in surveys.items()
                if known.done(worker)
            },
            "excerpts": [{"$from": task_id} for task_id in excerpts],
            "summary": _summary(known),
            "not_reviewed": _not_reviewed(state, known),
        },
    )
    return {
        "assessment": f"Enough was read: the outputs prove {counted(len(found), 'claim')}.",
        "tasks": [task],
    }


def _finish(state: PolicyState, known: Evidence) -> dict[str, Any]:
    report = known.output("write_report")
    assert report is not None
    kept, refused = _sift(state, report["findings"])
    if not refused:
        return {"assessment": "The report is written.", "finish": report}
    note = f"Dropped because a check refused it: {counted(len(refused), 'claim')}."
    return {
        "assessment": f"Dropped what was refused: {', '.join(refused)}.",
        "finish": {
            **report,
            "findings": kept,
            "summary": _recount(report["summary"], len(report["findings"]), len(kept)),
            "not_reviewed": [*report["not_reviewed"], note],
        },
    }


def _sift(
    state: PolicyState, findings: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The findings no feedback names, and the places of the others."""
    said = [*state.feedback, *(text for past in state.rounds for text in past["feedback"])]
    kept: list[dict[str, Any]] = []
    refused: list[str] = []
    for finding in findings:
        place = f"{finding['path']}:{finding['line']}"
        if any(f"{place}:" in text for text in said):
            refused.append(place)
        else:
            kept.append(finding)
    return kept, refused


def _recount(summary: str, before: int, after: int) -> str:
    """The summary with the writer's count of findings put right."""
    told = f"{counted(after, 'finding')}." if after else "No findings."
    return re.sub(rf"\b{before:,} findings?(?: \([^)]*\))?\.$", told, summary)


def _by_value(state: PolicyState, known: Evidence, summary: str) -> dict[str, Any]:
    """Finish with a report made here: only claims whose lines were read can be quoted."""
    files = known.output("tracked_files")
    head = files["head"] if files else None
    texts = {(e["path"], n): text for e in known.excerpts() for n, text in _texts(e)}
    quoted = [
        {**claim, "evidence": evidence(texts[claim["path"], claim["line"]])}
        for claim in claims_about(known)
        if texts.get((claim["path"], claim["line"]), "").strip()
    ]
    kept, _ = _sift(state, quoted)
    name = PurePosixPath(str(state.input["repo"])).name or str(state.input["repo"])
    return {
        "assessment": summary,
        "finish": {
            "repo": state.input["repo"],
            "head": head,
            "title": f"Review of {name} at {head[:10] if head else 'no commit'}",
            "summary": summary,
            "facts": facts(
                files,
                known.output("churn"),
                known.output("complexity"),
                known.output("todos"),
                known.output("test_inventory"),
            ),
            "findings": kept,
            "reviewed": [f"{e['path']}:{e['start']}-{e['end']}" for e in known.excerpts()],
            "not_reviewed": _not_reviewed(state, known),
        },
    }


def _nothing(state: PolicyState, known: Evidence) -> str:
    if known.output("tracked_files") is not None:
        return f"Nothing to review: git tracks no files in {state.input['repo']}."
    failed = known.failures(*_SURVEY)
    reason = failed[0][1]["message"] if failed else "no survey succeeded."
    return f"Nothing was reviewed: {reason}"


def _summary(known: Evidence) -> str:
    read = list(dict.fromkeys(excerpt["path"] for excerpt in known.excerpts()))
    named = "; ".join(f"{shown(path)} ({known.reasons(path)})" for path in read)
    tracked = counted(known.total_files, "tracked file")
    return f"Looked closely at {len(read)} of {tracked}: {named}."


def _not_reviewed(state: PolicyState, known: Evidence) -> list[str]:
    notes = _failures(known)
    files = known.output("tracked_files")
    read = {excerpt["path"] for excerpt in known.excerpts()}
    if files and files["total"] > len(read):
        others = counted(files["total"] - len(read), "tracked file")
        notes.append(f"Surveyed by numbers only, not read: {others}.")
    survey = known.output("complexity")
    if survey and survey["skipped_files"]:
        skipped = counted(survey["skipped_files"], "Python file")
        notes.append(f"Not parsed in the survey, for size: {skipped}.")
    focus = str(state.input.get("focus") or "")
    if focus and not any(focus.casefold() in path.casefold() for path in known.paths()):
        notes.append(f"No path of the survey contains the focus `{focus}`.")
    return notes


def _failures(known: Evidence) -> list[str]:
    return [
        f"{task['worker']} failed ({task['failure']['mode']}): {task['failure']['message']}"
        for task in known.failed()
    ]


def _task(state: PolicyState, name: str, worker: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"r{state.round}_{name}",
        "worker": worker,
        "input": {"repo": state.input["repo"], **inputs},
    }
