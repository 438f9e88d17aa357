"""Runs to distill, and plans to run again: real runs in this process, with workers in Python.

The workers note what they are called with and what they give. A plan that was distilled gets its
answers from these notes only, so a call that the run did not make fails.
"""

from __future__ import annotations

import itertools
import json
import sys
import types
from pathlib import Path
from typing import Any

import engine
from engine.formatter.formatting import format_text
from engine.history.distill import Distilled, distill_run
from engine.journal import MemoryJournal
from engine.models.scripted import Scripted

__all__ = ["PROGRAM", "Shop", "file_of", "task"]

PROGRAM = """orch 1

model planner { id = "scripted/none.json" }

schema File { path: string  commits: int  kind: "code" | "text"  owner: string? }

schema Review { path: string  risk: "low" | "high"  lines: int[] }

schema Report { text: string  count: int  about: string? }

worker survey(
  repo: string, deep: bool = false
) -> { files: File[], total: int } fails nowhere via python {
  call   = "MODULE:survey"
  effect = read
}

worker review(path: string, focus: string = "all", level: ("low" | "high")?) -> Review via python {
  call   = "MODULE:review"
  effect = read
}

worker merge(parts: json[], title: string?) -> Report via python {
  call   = "MODULE:merge"
  effect = read
}

worker save(text: string, to: string = "here") -> { id: string } via python {
  call     = "MODULE:save"
  effect   = write
  commutes = true
}

worker broken(path: string) -> string via python { call = "MODULE:broken"  effect = read }

orchestrator helper(path: string) -> string {
  model   = planner
  goal    = "{{ path }}"
  workers = [broken]
  policy { max_rounds = 2 }
}

/// Reviews a repository.
orchestrator main(repo: string, note: string = "none", limit: int = 20) -> json {
  model   = planner
  goal    = "Review {{ repo }}. {{ note }} {{ limit }}"
  workers = [survey, review, merge, save, broken, helper]
  policy { max_rounds = 12  max_per_round = 300  max_depth = 2  ITEMS }
}
"""

_MODULE = """
import json
import sys

SHOP = sys.modules["NOTES"]


def given(name, input, value):
    key = json.dumps([name, input], sort_keys=True)
    if SHOP.answers is None:
        SHOP.calls.append((key, value))
        return value
    if not SHOP.answers.get(key):
        raise ValueError(f"the run made no such call: {key}")
    return SHOP.answers[key].pop(0)


def survey(repo, deep):
    files = [file_of(repo, number) for number in range(SHOP.files)]
    return given("survey", [repo, deep], {"files": files, "total": len(files)})


def file_of(repo, number):
    return {
        "path": f"{repo}/file{number}.py",
        "commits": number * 7 % 5,
        "kind": "text" if number in (2, 4) else "code",
        "owner": f"owner-{number}@{repo}",
    }


def review(path, focus, level):
    if path in SHOP.broken:
        raise ValueError(f"{path} cannot be read")
    risk = "high" if sum(map(ord, path)) % 3 == 0 else "low"
    lines = [1000 + sum(map(ord, path + focus)), len(path)]
    return given("review", [path, focus, level], {"path": path, "risk": risk, "lines": lines})


def merge(parts, title):
    text = json.dumps([parts, title])
    made = {"text": f"merged {hash_of(text)}", "count": len(parts), "about": None}
    return given("merge", [parts, title], made)


def hash_of(text):
    return sum(ord(char) * (place + 1) for place, char in enumerate(text))


def save(text, to):
    return given("save", [text, to], {"id": f"id-{hash_of(text + to)}"})


def broken(path):
    raise ValueError("it is broken")
"""

_NUMBERS = itertools.count()


def task(id: str, worker: str, **input: Any) -> dict[str, Any]:
    """A plain task."""
    return {"id": id, "worker": worker, "input": input}


def file_of(repo: str, number: int) -> str:
    """The path of a file that a survey of a repository gives."""
    return f"{repo}/file{number}.py"


class Shop:
    """A folder with the program and its workers.

    Args:
        steps: Whether decisions may have steps.
        files: How many files a survey finds.
    """

    def __init__(self, folder: Path, *, steps: bool = False, files: int = 6) -> None:
        self.folder = folder
        name = f"distilled_workers_{next(_NUMBERS)}"
        #: What the workers see: how many files there are, which cannot be
        #: read, and the notes of their calls.
        self.notes: Any = types.ModuleType(f"{name}_notes")
        self.notes.files, self.notes.calls, self.notes.answers = files, [], None
        self.notes.broken = []
        sys.modules[self.notes.__name__] = self.notes
        (folder / f"{name}.py").write_text(_MODULE.replace("NOTES", self.notes.__name__))
        items = "max_items = 400" if steps else ""
        self.source = PROGRAM.replace("MODULE", name).replace("ITEMS", items)
        self.path = folder / "main.orch"
        self.path.write_text(self.source)
        self.journal = MemoryJournal()

    def run(self, *decisions: Any, **input: Any) -> engine.Run:
        """A run of `main`; a list is a decision with these tasks, all else is the result."""
        script = [
            {"tasks": said} if isinstance(said, list) else {"finish": said} for said in decisions
        ]
        self.notes.calls.clear()
        return engine.load(self.path).run(
            "main", models={"planner": Scripted(script)}, journal=self.journal, **input
        )

    def output(self, run: engine.Run, id: str) -> Any:
        """The output of a task or step of a run."""
        for one in run.report(items=True)["history"]:
            for entry in [*one["tasks"], *one["steps"]]:
                if entry["id"] == id:
                    return entry["output"]
        raise AssertionError(f"the run has no {id}")

    def distill(self, run: engine.Run, number: int | None = None) -> Distilled:
        return distill_run(self.journal, run.id, number=number, name="planned")

    def with_plan(self, plan: str) -> Path:
        """The program with a plan in it, which an orchestrator uses."""
        path = self.folder / "with_plan.orch"
        again = (
            "\norchestrator again() -> json {\n"
            '  model   = planner\n  goal    = "Repeat."\n  workers = [planned]\n'
            "  policy  { max_rounds = 2 }\n}\n"
        )
        path.write_text(f"{self.source}\n{plan}{again}")
        return path

    def findings(self, plan: str) -> list[str]:
        """What the linter and the formatter have to say about a plan in its program."""
        path = self.with_plan(plan)
        text = path.read_text()
        begin = text.index(plan)
        own = range(begin, begin + len(plan))
        found = [f"{d.code} {d.message}" for d in engine.lint(path) if d.span.start in own]
        if format_text(f"orch 1\n\n{plan}") != f"orch 1\n\n{plan}":
            found.append("it is not formatted")
        return found

    def repeat(self, plan: str, *, own_answers: bool = True, **input: Any) -> Any:
        """The output of a plan, with the answers of the last run only, or with new ones.

        Raises:
            AssertionError: It failed, or did not make every call of the run.
        """
        if own_answers:
            answers: dict[str, list[Any]] = {}
            for key, value in self.notes.calls:
                answers.setdefault(key, []).append(value)
            self.notes.answers = answers
        script = [{"tasks": [task("t", "planned", **input)]}, {"finish": 1}]
        try:
            run = engine.load(self.with_plan(plan)).run(
                "again", models={"planner": Scripted(script)}
            )
        finally:
            self.notes.answers = None
        done = run.report()["history"][0]["tasks"][0]
        assert done["status"] == "done", json.dumps(done.get("failure"))
        return done["output"]
