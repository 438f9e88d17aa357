"""How an orchestrator ends: finished, failed, exhausted, aborted, cancelled, or handed to a person.

Whenever a bound is hit the loop ends as `exhausted` with the bound's name and the best partial
result; a bound is never a silent success.
"""

from __future__ import annotations

from typing import Any

from engine.events import RunStatus
from engine.runtime import attempts, views
from engine.runtime.commands import EndRun
from engine.runtime.state import Loop, RunState, Todo
from engine.sema.templates import EvaluationError

__all__ = ["end", "escalate", "finish", "partial", "subtree"]


def finish(state: RunState, loop: Loop, output: Any) -> None:
    """The result is accepted."""
    loop.output = output
    end(state, loop, "finished")


def end(
    state: RunState, loop: Loop, status: RunStatus, reason: str = "", bound: str | None = None
) -> None:
    """End a loop and everything under it; at the root, the run."""
    if loop.over:
        return
    below = subtree(state, loop)
    for other in below:
        if not other.over:
            other.phase = "over"
            other.status = status if other is loop else "cancelled"
            other.reason = reason
            state.timers.pop(timer_name(other), None)
    loop.bound = bound
    if status != "finished" and loop.best is None:
        loop.best = partial(loop)
    attempts.cancel(state, below)
    if loop.task is not None:
        state.todo(Todo.LOOP_ENDED, loop)
        return
    state.status = status
    state.reason = reason
    state.bound = bound
    state.commands.append(EndRun(status, reason, bound))


def timer_name(loop: Loop) -> str:
    """The name of the timer of a loop's time budget."""
    return f"{loop.path}time"


def subtree(state: RunState, loop: Loop) -> list[Loop]:
    """A loop and the loops under it, outermost first."""
    found = [loop]
    for other in found:
        found.extend(task.child for task in other.tasks.values() if task.child is not None)
    return found


def partial(loop: Loop) -> Any:
    """The best there is: a result that was not let through, else an output of the result's type,
    else the last output of each worker by name; None if nothing has come back."""
    if loop.best is not None:
        return loop.best
    for task in reversed(loop.tasks.values()):
        # An empty schema (`json`) takes anything: then a lone output would say too little.
        if (
            task.status == "done"
            and loop.orchestrator.output.schema.get("type")
            and loop.orchestrator.output.is_valid(task.output)
        ):
            return task.output
    outputs = {name: values[-1] for name, values in loop.outputs.items() if values}
    return outputs or None


def escalate(state: RunState, loop: Loop, reason: str) -> None:
    """Hand the decision over: to `on_escalate`, where it stands, else to a person."""
    expression = loop.orchestrator.on_escalate
    if expression is None:
        loop.reason = reason
        state.waits.append(f"{loop.path}{loop.orchestrator.name}: {reason}")
        return
    scope = {
        **loop.input,
        "param": {name: param.value for name, param in state.program.params.items()},
        "run": {
            "reason": reason,
            "rounds": loop.round,
            "status": "escalated",
            "goal": loop.goal,
        },
        "outputs": {name: values[-1] for name, values in loop.outputs.items() if values},
        "tasks": {task.id: views.task_record(task) for task in loop.tasks.values()},
    }
    contract = loop.orchestrator.output
    try:
        output = contract.with_defaults(expression.evaluate(scope))
    except EvaluationError as error:
        end(state, loop, "aborted", f"{reason}; on_escalate cannot be evaluated: {error}")
        return
    problems = contract.problems(output)
    if problems:
        end(state, loop, "aborted", f"{reason}; on_escalate: {'; '.join(problems)}")
        return
    loop.escalated = True
    loop.reason = reason
    finish(state, loop, output)
