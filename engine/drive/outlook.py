"""What a plan would come to, before any run: its tasks, its estimate, or what is wrong with it.

The plan is given, or is the first decision of a scripted or recorded planner. Nothing of it starts,
nothing is journaled, and no provider is asked. Inputs and models are checked as before a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.drive.guard import redactor_of
from engine.drive.launch import Options, prepare
from engine.errors import UsageError
from engine.models.registry import open_model
from engine.runtime.commands import StartCall
from engine.runtime.counting import entries_of
from engine.runtime.decision import DecisionError
from engine.runtime.estimate import estimate
from engine.runtime.machine import step
from engine.runtime.plan_review import bare_plan, listed, read_plan
from engine.runtime.ports import ModelRequest
from engine.runtime.state import RunState
from engine.schemes import built_in
from engine.sema.model import Orchestrator, Program

__all__ = ["Outlook", "outlook"]

#: The schemes whose planners can be asked without a provider, and without code of the program.
_ASKED = ("scripted", "recorded")


class Outlook(msgspec.Struct, frozen=True):
    """A plan as the machine sees it when a run begins.

    Attributes:
        tasks: Its entries, as `engine.runtime.plan_review.plan_report` has them.
        estimate: What it may take; None where it cannot run.
        problems: What is wrong with it, as a planner would be told.
        finish: The result, where the decision gives that instead of tasks.
    """

    tasks: list[dict[str, Any]] = []
    estimate: dict[str, Any] | None = None
    problems: list[str] = []
    finish: Any = None


async def outlook(
    program: Program,
    orchestrator: Orchestrator,
    input: Mapping[str, Any],
    options: Options,
    plan: Any = None,
) -> Outlook:
    """Look at a plan as the first decision of a run.

    Args:
        plan: The decision; the planner's own if None.

    Raises:
        InputError: The inputs do not fit.
        UsageError: The run could not start, or its planner cannot be asked here.
        Failure: The script or recording of the planner gives no answer.
    """
    _, began = prepare(program, orchestrator, input, options, {})
    state = RunState(program)
    _, commands = step(state, began)
    asks = [it for it in commands if isinstance(it, StartCall)]
    if not asks:
        raise UsageError(f"the run would end at once: {state.reason}")
    value = bare_plan(plan) if plan is not None else await _asked(state, asks[0], options)
    try:
        decision, tasks = read_plan(state, state.loop, value)
    except DecisionError as error:
        return Outlook(problems=error.problems)
    if "finish" in decision:
        return Outlook(finish=decision["finish"])
    state.loop.current.planned = tasks
    found = estimate(state, state.loop, entries_of(state, state.loop, tasks))
    return Outlook(listed(state, state.loop, decision["tasks"], tasks), found)


async def _asked(state: RunState, command: StartCall, options: Options) -> Any:
    """The first answer of a planner that costs nothing to ask."""
    request = command.request
    assert isinstance(request, ModelRequest)
    model, override = request.model, options.models.get(request.model.name)
    if built_in(request.info.id) not in _ASKED:
        raise UsageError(
            f"the planner `{model.name}` ({request.info.id}) is not asked here: give the plan with "
            "--edit FILE"
        )
    opened = open_model(
        model,
        request.info,
        override=override,
        record_dir=None,
        redactor=redactor_of(state.program),
        resumed=True,
    )
    reply = await opened.complete(request)
    return reply.value
