"""Verifiers: bound to what a hook offers, asked, and their verdicts turned into an outcome.

A verifier sees the goal, the decision and the record of calls, never the orchestrator's own
reasoning. `rules` are evaluated here, for they are pure; every other kind is a call. A verdict
that is missing or malformed counts as a failed one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from engine.runtime import attempts
from engine.runtime.state import Call, Check, HookRun, Loop, RunState, Todo
from engine.sema.model import Hook, Verifier
from engine.sema.templates import EvaluationError, Expression, Template

__all__ = ["Outcome", "begin", "call_ended", "outcome"]

Action = Literal["pass", "revise", "abort", "escalate", "warn"]


class Outcome(msgspec.Struct, frozen=True):
    """What follows from a hook: the action, and what its verifiers said."""

    action: Action
    feedback: str = ""


def begin(state: RunState, run: HookRun) -> None:
    """Start the checks of the next hook of a passage; with none left, the passage is over."""
    while run.rest and not run.failed:
        run.hook = run.rest.popleft()
        run.waits = len(run.hook.verifiers)
        for name in run.hook.verifiers:
            _look(state, run, state.program.verifiers[name])
        if run.waits:
            return
    state.todo(Todo.HOOK_ENDED, run)


def _look(state: RunState, run: HookRun, verifier: Verifier) -> None:
    names = verifier.inputs.schema.get("properties", {})
    bound = {name: run.offers[name]() for name in names if name in run.offers}
    bound = verifier.inputs.with_defaults(bound)
    check = Check(verifier, run, bound)
    if not verifier.inputs.is_valid(bound):
        problems = "; ".join(verifier.inputs.problems(bound))
        _verdict(run, check, False, f"its inputs do not fit: {problems}")
        return
    scope = {**bound, **_globals(state)}
    if verifier.skip_when is not None:
        try:
            skip = bool(verifier.skip_when.evaluate(scope))
        except EvaluationError as error:
            _verdict(run, check, False, f"skip_when cannot be evaluated: {error}")
            return
        if skip:
            run.waits -= 1
            return
    if verifier.kind == "rules":
        ok, feedback = _rules(verifier, scope)
        _judge(state, run, check, {"ok": ok, "feedback": feedback})
        return
    call = Call(f"{run.key} / verify {verifier.name}", run.loop, check)
    check.call = call
    attempts.begin(state, call, verifier.settings["model"] if verifier.kind == "llm" else None)


def _globals(state: RunState) -> dict[str, Any]:
    return {"param": {name: param.value for name, param in state.program.params.items()}}


def _rules(verifier: Verifier, scope: Mapping[str, Any]) -> tuple[bool, str]:
    said = []
    for assertion in verifier.assertions:
        try:
            if assertion.test.evaluate(scope):
                continue
            said.append(_message(assertion.message, scope) or f"failed: {assertion.test.text}")
        except EvaluationError as error:
            said.append(f"`{assertion.test.text}` cannot be evaluated: {error}")
    return not said, "; ".join(said)


def _message(message: Template | Expression | None, scope: Mapping[str, Any]) -> str:
    if message is None:
        return ""
    if isinstance(message, Template):
        return message.render(scope)
    return str(message.evaluate(scope))


def _judge(state: RunState, run: HookRun, check: Check, verdict: dict[str, Any]) -> None:
    """Apply `pass_when` to a well-formed verdict."""
    verifier = check.verifier
    ok = bool(verdict["ok"])
    feedback = str(verdict.get("feedback") or "")
    if verifier.pass_when is not None:
        scope = {
            **check.bound,
            **_globals(state),
            "ok": ok,
            "feedback": feedback,
            "score": verdict.get("score"),
        }
        try:
            ok = bool(verifier.pass_when.evaluate(scope))
        except EvaluationError as error:
            ok, feedback = False, f"pass_when cannot be evaluated: {error}"
        if not ok and not feedback:
            feedback = f"not `{verifier.pass_when.text}`"
    _verdict(run, check, ok, feedback)


def _verdict(run: HookRun, check: Check, ok: bool, feedback: str) -> None:
    name = check.verifier.name
    run.loop.current.verdicts.append((run.hook.point, name, ok, feedback))
    if not ok:
        run.failed.append((name, feedback or "not ok"))
    run.waits -= 1


def call_ended(state: RunState, call: Call, check: Check) -> None:
    """A verifier's call has ended: with a verdict, or without one, which is a failed one."""
    run = check.hook_run
    if run.loop.over:
        return
    if call.failure is not None:
        message = f"it gave no verdict ({call.failure.mode}: {call.failure.message})"
        _verdict(run, check, False, message)
    else:
        _judge(state, run, check, call.value)
    if run.waits == 0:
        begin(state, run)


def outcome(run: HookRun, subject: str) -> Outcome:
    """What follows from a passage that is over, counting revisions.

    Args:
        subject: What `max_revisions` counts for: a task or worker for dispatch hooks, the run
            otherwise.
    """
    if not run.failed:
        return Outcome("pass")
    feedback = "; ".join(f"{name}: {said}" for name, said in run.failed)
    return Outcome(_action(run.loop, run.hook, subject), feedback)


def _action(loop: Loop, hook: Hook, subject: str) -> Action:
    if hook.on_fail != "revise":
        return hook.on_fail
    key = f"{hook.point} {hook.worker or ''} {hook.span.start} {subject}"
    used = loop.revisions.get(key, 0)
    if used < hook.max_revisions:
        loop.revisions[key] = used + 1
        return "revise"
    return hook.then
