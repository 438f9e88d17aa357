"""ORC911: scripted decisions that the orchestrator under test cannot give.

A test may script a bad decision on purpose, to see it repaired; then the finding is allowed with a
comment. Most are slips: a worker or an input that was renamed, a result that has lost a field.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.diagnostics import Diagnostic, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import blocks_of, setting_of
from engine.linter.subject import Subject
from engine.sema.declarations.mocks import mocked_value
from engine.sema.model import Mock, Orchestrator, Program, Test
from engine.sema.settings.params import ROOT
from engine.sema.suggest import closest
from engine.sema.types.contract import Contract
from engine.source import Span
from engine.syntax import ast

__all__ = ["script_not_accepted"]


#: What a value is replaced by at run time; the second ones in steps only.
_MARKS = ("$from", "$literal")
_MARKS_OF_STEPS = ("$item", "$index", "$parts")

SCRIPT_NOT_ACCEPTED = Rule(
    code="ORC911",
    name="script-not-accepted",
    severity="warning",
    summary=("A scripted decision names an unknown worker, or contains values that do not fit."),
    why=(
        "If a decision is not accepted, the planner is asked again, and the test fails for a "
        "reason that is hard to find. This happens if a worker is renamed and a test is not "
        "updated."
    ),
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}
test "one" for ask {
  input = { topic: "tea" }
  mock orchestrator { script = [
    { tasks: [{ id: "a", worker: "search", input: { q: "tea" } }] },
    { finish: "a drink" },
  ] }
  mock search { returns = "a drink" }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}
test "one" for ask {
  input = { topic: "tea" }
  mock orchestrator { script = [
    { tasks: [{ id: "a", worker: "search", input: { query: "tea" } }] },
    { finish: "a drink" },
  ] }
  mock search { returns = "a drink" }
}""",
    allowable=True,
)


def script_not_accepted(subject: Subject) -> Iterator[Diagnostic]:
    """ORC911: a task of no worker, an input or a result that does not fit."""
    if not subject.complete:
        return
    program = subject.program
    nodes = {
        node.title.span.start: node
        for node in subject.result.scopes.entry.module.document.declarations
        if isinstance(node, ast.TestDecl)
    }
    for test in program.tests:
        node = nodes.get(test.span.start)
        for mock in test.body.mocks:
            loop = _decides(program, test, mock)
            written = None if node is None else _written(node, mock)
            script = _script(mock)
            if loop is None or written is None:
                continue
            for entry, value in _placed(written, script):
                yield from _decision(program, loop, entry, value)


def _decides(program: Program, test: Test, mock: Mock) -> Orchestrator | None:
    """The orchestrator whose decisions a mock writes down."""
    target = test.target if mock.target == "orchestrator" else mock.target
    return program.orchestrators.get(target or "")


def _script(mock: Mock) -> list[Any]:
    """The decisions of a mock; none where their file is missing or no JSON (reported)."""
    try:
        found = mocked_value(mock.script)
    except ValueError:
        return []
    return found if isinstance(found, list) else []


def _written(node: ast.TestDecl, mock: Mock) -> ast.Expr | None:
    for block in blocks_of(node.body, "mock"):
        if block.span.start == mock.span.start:
            return setting_of(block.body, "script")
    return None


def _decision(
    program: Program, loop: Orchestrator, entry: ast.Expr, value: Any
) -> Iterator[Diagnostic]:
    if isinstance(value, dict) and "$reply" in value:
        entry, value = _at(entry, "$reply"), value["$reply"]
    if not isinstance(value, dict):
        return
    tasks = value.get("tasks")
    for item, task in _placed(_at(entry, "tasks"), tasks if isinstance(tasks, list) else []):
        if isinstance(task, dict):
            yield from _task(program, loop, item, task)
    if value.get("finish") is not None and not _refers(loop, value["finish"]):
        at = _at(entry, "finish").span
        yield from _fits(loop.output, value["finish"], f"the result of `{loop.name}`", at)


def _task(
    program: Program, loop: Orchestrator, item: ast.Expr, task: dict[str, Any]
) -> Iterator[Diagnostic]:
    name = task.get("worker")
    if name not in loop.workers:
        near = closest(str(name), loop.workers)
        yield diagnostic(
            "ORC911",
            f"`{loop.name}` has no worker `{name}`, so this decision is not accepted",
            _at(item, "worker").span,
            help=f"did you mean `{near}`?" if near else None,
        )
        return
    worker = program.workers.get(name) or program.orchestrators[name]
    given = task.get("input")
    if isinstance(given, dict) and not _refers(loop, given):
        at = _at(item, "input").span
        yield from _fits(worker.inputs, given, f"the input of `{name}`", at)


def _fits(contract: Contract, value: Any, what: str, at: Span) -> Iterator[Diagnostic]:
    wrong = contract.problems(contract.with_defaults(value))
    if wrong:
        yield diagnostic(
            "ORC911",
            f"this decision is not accepted: {what} does not fit: {wrong[0].removeprefix(ROOT)}",
            at,
        )


def _placed(written: ast.Expr, values: list[Any]) -> Iterator[tuple[ast.Expr, Any]]:
    """Each value with its place; what comes from a file has the one where the file is named."""
    if isinstance(written, ast.ListExpr):
        return zip(written.items, values, strict=False)
    return ((written, value) for value in values)


def _at(expr: ast.Expr, key: str) -> ast.Expr:
    """The value under a key of a map that is written out; else the whole."""
    for entry in expr.entries if isinstance(expr, ast.MapExpr) else ():
        if entry.key.text == key:
            return entry.value
    return expr


def _refers(loop: Orchestrator, value: Any) -> bool:
    """Whether a value holds a reference, whose type only the run knows."""
    if isinstance(value, dict):
        marks = _MARKS if loop.policy.max_items is None else (*_MARKS, *_MARKS_OF_STEPS)
        return any(mark in value for mark in marks) or any(
            _refers(loop, inner) for inner in value.values()
        )
    return isinstance(value, list) and any(_refers(loop, inner) for inner in value)
