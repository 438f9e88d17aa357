"""Runs tests: each is one run under the local driver, kept in no journal, then its assertions.

The environment counts for nothing here: params come from the file, the caller and the test, and
secrets are not read at all, because nothing that could use one is called.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from engine import clock
from engine.drive.driver import Driver
from engine.drive.launch import program_hash
from engine.errors import CompileError, InputError
from engine.events import BASE_FORMAT, FORMAT, CancelRequested, Event, RunStarted
from engine.linter.admission import admitted
from engine.runtime.inputs import checked_input
from engine.runtime.report import history, run_report
from engine.runtime.stall import RULES
from engine.runtime.state import Loop, RunState
from engine.runtime.task_paths import path_in_loop
from engine.runtime.verify import rules_verdict
from engine.runtime.views import step_record, task_record
from engine.sema.declarations.mocks import mocked_value
from engine.sema.expressions.template import EvaluationError
from engine.sema.model import Orchestrator, Program, Test, Verifier, reached
from engine.sizes import BOUNDS
from engine.testing.assertions import check
from engine.testing.mock_ports import Desk
from engine.testing.mocks import StandIns, read_mocks, stand_in_for
from engine.testing.prepare import ALONE, alone, rigged
from engine.testing.result import Finding, TestResult

__all__ = ["arun_tests", "run_tests"]


class _NoJournal:
    """A test's run lives no longer than the test."""

    async def append(self, events: list[Event]) -> None:
        return


class _Outcome(msgspec.Struct):
    """What a test's assertions are held against."""

    run: dict[str, Any]
    output: Any
    findings: list[Finding]
    story: list[str]


def run_tests(
    path: str | os.PathLike[str], *, params: Mapping[str, Any] | None = None, select: str = ""
) -> list[TestResult]:
    """Run the tests of a file, in order.

    Args:
        path: The `.orch` file.
        params: Values of params, where a test does not set them itself.
        select: Only tests with this in their title or in the name of what they test; case does
            not count.

    Raises:
        CompileError: It has errors; see `engine.linter.admission`.
        InputError: A param does not fit.
        UnreadableFile: It cannot be read.
    """
    return asyncio.run(arun_tests(path, params=params, select=select))


async def arun_tests(
    path: str | os.PathLike[str], *, params: Mapping[str, Any] | None = None, select: str = ""
) -> list[TestResult]:
    """`run_tests`, for callers with an event loop. Same arguments, same errors."""
    name = os.fspath(path)
    program = admitted(name, params=params, env={})
    word = select.casefold()
    return [
        await _run(name, program, test, number, params or {})
        for number, test in enumerate(program.tests)
        if word in test.title.casefold() or word in test.target.casefold()
    ]


async def _run(
    path: str, program: Program, test: Test, number: int, params: Mapping[str, Any]
) -> TestResult:
    began = clock.running_s()
    outcome: _Outcome | None = None
    findings: list[Finding] = []
    try:
        if test.body.params:
            set_here = mocked_value(test.body.params)
            program = admitted(path, params={**params, **set_here}, env={})
            test = program.tests[number]
        if program.missing_params:
            raise InputError(
                [
                    f"param `{name}` has no value: set it in `params`"
                    for name in program.missing_params
                ]
            )
        outcome = await _carry_out(program, test)
        findings = outcome.findings or _held(program, test, outcome)
    except (InputError, CompileError) as problem:
        findings = [Finding("setup", str(problem), test.span)]
    report = outcome.run if outcome is not None else {}
    return TestResult(
        title=test.title,
        target=test.target,
        file=test.span.source.path,
        line=test.span.begin_position.line,
        ms=(clock.running_s() - began) * 1000,
        findings=tuple(findings),
        status=report.get("status", ""),
        reason=report.get("reason", ""),
        story=tuple(outcome.story) if outcome is not None and findings else (),
    )


def _held(program: Program, test: Test, outcome: _Outcome) -> list[Finding]:
    """The assertions that do not hold; without any, the run must have finished."""
    if not test.body.assertions:
        status = outcome.run["status"]
        if status == "finished":
            return []
        said = f"the run ended as `{status}`, and the test asserts nothing about it"
        return [Finding("run", said, test.span)]
    scope = {
        "run": outcome.run,
        "output": outcome.output,
        "input": outcome.run["input"],
        "param": program.param_values(),
    }
    found = [check(assertion, scope) for assertion in test.body.assertions]
    return [finding for finding in found if finding is not None]


async def _carry_out(program: Program, test: Test) -> _Outcome:
    """Run what is tested.

    Raises:
        InputError: The test's input does not fit.
    """
    mocks = read_mocks(program, test)
    if mocks.findings:
        return _Outcome({}, None, mocks.findings, [])
    given = mocked_value(test.body.input)
    if test.target in program.orchestrators:
        orchestrator = program.orchestrators[test.target]
        values = checked_input(orchestrator.inputs, given)
        return await _drive(rigged(program, mocks), orchestrator, values, mocks, test)
    verifier = program.verifiers.get(test.target)
    inputs = (verifier or program.workers[test.target]).inputs
    values = checked_input(inputs, given)
    if verifier is not None and (
        verifier.facts.done_by == "machine" or _skipped(program, verifier, values)
    ):
        return _judged_at_once(program, verifier, values)
    whole, orchestrator, decisions = alone(program, test.target, values)
    mocks.decisions[ALONE] = stand_in_for(decisions, test.span)
    outcome = await _drive(rigged(whole, mocks), orchestrator, {}, mocks, test)
    return _of_one_task(program, verifier, values, outcome)


async def _drive(
    program: Program,
    orchestrator: Orchestrator,
    values: dict[str, Any],
    mocks: StandIns,
    test: Test,
) -> _Outcome:
    desk = Desk(program, mocks, test)
    state = RunState(program)
    driver = Driver(
        state,
        _NoJournal(),
        lambda name: desk,
        lambda kind: desk,
        observers=[desk.observe],
    )
    desk.call_off = lambda: driver.feed(CancelRequested(reason="the test has failed"))
    began = RunStarted(
        run="test",
        orchestrator=orchestrator.name,
        input=values,
        models=desk.infos(),
        program=program_hash(program),
        params=program.param_values(),
        bounds=BOUNDS,
        format=FORMAT if program.has_steps else BASE_FORMAT,
        stall=RULES,
        verdicts=1,
    )
    await driver.drive([began])
    while state.status == "waiting" and desk.answers and not desk.findings:
        answers, desk.answers = desk.answers, []
        await driver.drive(answers)
    called_off = bool(desk.findings)
    if not called_off:
        await desk.close()
    story = [*desk.notes, *_story(state, called_off)]
    return _Outcome(_report(state), state.loop.output, desk.findings, story)


def _report(state: RunState) -> dict[str, Any]:
    """What assertions see as `run`: the run's report, and its tasks, steps, outputs and verdicts.

    Those inside plan workers have the id of the plan's task in front: `a2/sums[0]`.
    `engine.sema.templates.run_types` says the same for the checker.
    """
    loop = state.loop
    report = run_report(state, details=True, items=True)
    rounds = report["history"]
    return {
        **report,
        "tasks": {path_in_loop(task): task_record(task) for task in loop.every_task()},
        "steps": {path_in_loop(step): step_record(step) for step in loop.every_step()},
        "outputs": loop.last_outputs(),
        "dispatched": _dispatched(state, loop),
        "verdicts": [{"round": r["round"], **verdict} for r in rounds for verdict in r["verdicts"]],
        "feedback": [said for r in rounds for said in r["feedback"]],
    }


def _dispatched(state: RunState, loop: Loop) -> dict[str, int]:
    """How many tasks each worker was given, inside plans too; 0 for those that got none."""
    counts = dict.fromkeys(reached(state.program.workers, loop.orchestrator.workers), 0)
    for task in loop.every_task():
        if task.status == "skipped":
            continue
        counts[task.worker.name] = counts.get(task.worker.name, 0) + 1
    return counts


def _story(state: RunState, called_off: bool) -> list[str]:
    """Why a run went as it did, a line each."""
    report = run_report(state)
    told = []
    if state.status != "finished" and not called_off:
        told.append(f"the run: {state.status}: {report['reason']}")
    if not called_off:
        told += _failures(report["failures"])
    for one in history(state, state.loop):
        told.extend(f"round {one['round']}: {said}" for said in one["feedback"])
        told.extend(
            f"round {one['round']}: {v['verifier']} ({v['hook']}): not passed: {v['feedback']}"
            for v in one["verdicts"]
            if not v["ok"]
        )
    told.extend(state.warnings)
    return told


def _failures(failures: list[dict[str, Any]]) -> Iterator[str]:
    """The tasks that failed, a line each; the items of a step that failed alike, in one."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for failure in failures:
        of = failure.get("step") or failure["key"]
        groups.setdefault((of, failure["mode"]), []).append(failure)
    for (step, mode), group in groups.items():
        first = group[0]
        more = f" and {len(group) - 1} more of `{step}`" if len(group) > 1 else ""
        yield f"task {first['task']} ({first['worker']}){more}: {mode}: {first['message']}"


# ---------------------------------------------------------------- a worker or verifier by itself


def _of_one_task(
    program: Program, verifier: Verifier | None, values: dict[str, Any], outcome: _Outcome
) -> _Outcome:
    """The outcome of a run around one task, told as if the task were the run."""
    task = outcome.run["tasks"].get("test", {"status": "failed"})
    done = task["status"] == "done"
    failure = task.get("failure")
    output = task.get("output")
    if done and verifier is not None:
        output = _judged(program, verifier, values, output)
    status = "waiting" if outcome.run["status"] == "waiting" else "finished" if done else "failed"
    run = {
        **outcome.run,
        **{name: _under_test(outcome.run[name]) for name in ("tasks", "steps")},
        "status": status,
        "reason": f"{failure['mode']}: {failure['message']}" if failure else "",
        "failure": failure,
        "input": values,
    }
    return _Outcome(run, output, outcome.findings, outcome.story)


def _under_test(records: Mapping[str, Any]) -> dict[str, Any]:
    """What is inside a plan that is tested alone, by its own ids; and the plan itself."""
    return {path.removeprefix("test/"): record for path, record in records.items()}


def _scope(program: Program, values: Mapping[str, Any]) -> dict[str, Any]:
    return {**values, "param": program.param_values()}


def _skipped(program: Program, verifier: Verifier, values: Mapping[str, Any]) -> bool:
    if verifier.skip_when is None:
        return False
    try:
        return bool(verifier.skip_when.evaluate(_scope(program, values)))
    except EvaluationError as problem:
        raise InputError([f"skip_when cannot be evaluated: {problem}"]) from None


def _judged_at_once(program: Program, verifier: Verifier, values: dict[str, Any]) -> _Outcome:
    """The verdict of a verifier that needs no mock: `rules`, or one that is skipped."""
    skipped = _skipped(program, verifier, values)
    output = None
    if not skipped:
        ok, feedback = rules_verdict(verifier, _scope(program, values))
        output = _judged(program, verifier, values, {"ok": ok, "feedback": feedback})
    run = {"status": "finished", "reason": "", "input": values, "skipped": skipped}
    return _Outcome(run, output, [], [])


def _judged(
    program: Program, verifier: Verifier, values: Mapping[str, Any], verdict: Mapping[str, Any]
) -> dict[str, Any]:
    """A verdict after `pass_when`."""
    whole = {"ok": False, "feedback": "", "score": None, **verdict}
    if verifier.pass_when is not None:
        try:
            whole["ok"] = bool(verifier.pass_when.evaluate({**_scope(program, values), **whole}))
        except EvaluationError as problem:
            whole.update(ok=False, feedback=f"pass_when cannot be evaluated: {problem}")
    return whole
