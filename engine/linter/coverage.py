"""ORC902, ORC904: orchestrators that no test runs, and tests that call the world outside.

What a test calls is read from the decisions it scripts, and only what is certain is told: a task
that waits for another, or for a hook, may never start.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.diagnostics import Diagnostic, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.subject import Subject
from engine.schemes import built_in
from engine.sema.model import Orchestrator, Program, Test, Verifier, Worker
from engine.sema.plans.steps import TaskStep

__all__ = ["live_call_in_test", "no_test"]

#: Schemes of models that are offline by themselves.
_OFFLINE = ("scripted", "recorded", "python", "memory")


NO_TEST = Rule(
    code="ORC902",
    name="no-test",
    severity="info",
    summary="A file has tests, and none of them runs this orchestrator.",
    why=("A file with tests for only one of its orchestrators looks completely tested."),
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}
test "one" for search { mock fast { returns = "tea" }  input = { query: "tea" } }""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}
test "one" for ask {
  input = { topic: "tea" }
  mock orchestrator { script = [{ finish: "tea" }] }
  mock search { returns = "tea" }
}""",
    allowable=True,
)


def no_test(subject: Subject) -> Iterator[Diagnostic]:
    """ORC902: an orchestrator that no test runs, in a file that has tests.

    A file without any test says so by itself, and its tests may be in another file.
    """
    program = subject.program
    if not program.tests or not subject.complete:
        return
    reached: set[str] = set()
    waiting = [test.target for test in program.tests]
    while waiting:
        name = waiting.pop()
        if name not in reached and name in program.orchestrators:
            waiting += program.orchestrators[name].workers
        reached.add(name)
    for orchestrator in subject.orchestrators:
        if orchestrator.name not in reached:
            yield diagnostic(
                "ORC902",
                f"orchestrator `{orchestrator.name}` has no test",
                orchestrator.span,
                help=f'add `test "..." for {orchestrator.name} {{ ... }}`',
            )


LIVE_CALL_IN_TEST = Rule(
    code="ORC904",
    name="live-call-in-test",
    severity="warning",
    summary="A test calls something that no mock replaces.",
    why="Tests make no real calls. A call without a mock fails the test.",
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
    { tasks: [{ id: "a", worker: "search", input: { query: "tea" } }] },
    { finish: "a drink" },
  ] }
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


def live_call_in_test(subject: Subject) -> Iterator[Diagnostic]:
    """ORC904: something that a test calls and no mock replaces, which fails the test."""
    if not subject.complete:
        return
    for test in subject.program.tests:
        for what, name in dict.fromkeys(_live(subject.program, test)):
            yield diagnostic(
                "ORC904",
                f"{what} mocked, and a test makes no live calls",
                test.span,
                help=f"add `mock {name} {{ ... }}`",
            )


def _live(program: Program, test: Test) -> Iterator[tuple[str, str]]:
    """What a test calls live, in words, and what a mock of it is called."""
    mocked = {mock.target for mock in test.body.mocks}
    loop = program.orchestrators.get(test.target)
    if loop is None:
        owner = program.workers.get(test.target) or program.verifiers.get(test.target)
        is_plan = isinstance(owner, Worker) and owner.plan is not None
        if owner is not None and (owner.facts.model is not None or is_plan):
            yield from _unanswered(program, owner, mocked)
        return
    offline = _is_offline(program, loop.model)
    if "orchestrator" not in mocked and loop.model not in mocked and not offline:
        yield f"the decisions of `{loop.name}` are not", "orchestrator"
    entries = _script(test)
    for name in _dispatched(entries):
        yield from _called(program, loop, name, mocked)
    ends = any(isinstance(entry, dict) and "finish" in entry for entry in entries)
    hooks = [hook for hook in loop.hooks if hook.point == "before_finish"]
    # What `when` and `else` ask for is not certain.
    for name in hooks[0].verifiers if hooks and ends and hooks[0].when is None else ():
        verifier = program.verifiers[name]
        if (
            name not in mocked
            and verifier.facts.done_by != "machine"
            and verifier.skip_when is None
        ):
            yield from _unanswered(program, verifier, mocked)


def _script(test: Test) -> list[Any]:
    """The decisions that a test writes down for the orchestrator under test."""
    scripts = [mock.script for mock in test.body.mocks if mock.target == "orchestrator"]
    return [entry for script in scripts if isinstance(script, list) for entry in script]


def _dispatched(entries: list[Any]) -> Iterator[str]:
    """The workers of the tasks that some decisions give, where those wait for no other."""
    for entry in entries:
        tasks = entry.get("tasks") if isinstance(entry, dict) else None
        for task in tasks if isinstance(tasks, list) else ():
            if isinstance(task, dict) and "$from" not in str(task.get("input")):
                yield str(task.get("worker"))


def _called(
    program: Program, loop: Orchestrator, name: str, mocked: set[str | None]
) -> Iterator[tuple[str, str]]:
    limit = loop.limits.get(name)
    waits = limit is not None and (limit.after or limit.max_dispatches == 0)
    hooked = any(
        hook.point == "before_round" or (hook.point == "before_dispatch" and hook.worker == name)
        for hook in loop.hooks
    )
    if name in mocked or name not in loop.workers or waits or hooked:
        return
    child = program.orchestrators.get(name)
    if child is not None:
        if child.model not in mocked and not _is_offline(program, child.model):
            yield f"orchestrator `{name}` is not", name
    else:
        yield from _unanswered(program, program.workers[name], mocked)


def _unanswered(
    program: Program, owner: Worker | Verifier, mocked: set[str | None]
) -> Iterator[tuple[str, str]]:
    """A worker or verifier without a mock, unless its model answers for it."""
    if isinstance(owner, Worker) and owner.plan is not None:
        for step in owner.plan.steps:
            # What is certain to be called: other steps may be skipped, or have nothing to do.
            if isinstance(step, TaskStep) and step.when is None and step.worker not in mocked:
                yield from _unanswered(program, program.workers[step.worker], mocked)
        return
    what = "worker" if isinstance(owner, Worker) else "verifier"
    if owner.facts.model is None:
        yield f"{what} `{owner.name}` is not", owner.name
        return
    model = owner.facts.model
    if model not in mocked and not _is_offline(program, model):
        yield f"neither {what} `{owner.name}` nor its model is", owner.name


def _is_offline(program: Program, model: str) -> bool:
    known = program.models.get(model)
    return known is not None and built_in(known.id) in _OFFLINE
