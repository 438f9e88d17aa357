"""From a call to the request a driver runs: prompts rendered, schemas chosen.

Everything here is pure. The prompt of a decision is the loop's blocks as they are; the prompt
of an `llm` worker or verifier is its template over its inputs, with what repairs added. A prompt
is rendered when it is read, which a `python/` model never does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

from engine.errors import Failure
from engine.events import ModelInfo
from engine.runtime import sizes, views
from engine.runtime.budget import Reservation, prompt_bytes, reservation_for
from engine.runtime.causes import Cause
from engine.runtime.context import prompt_tokens
from engine.runtime.ports import Message, ModelRequest, PolicyState, WorkerRequest
from engine.runtime.prompts.blocks import answer_with, role_and_catalogue, verifier_system
from engine.runtime.state import Call, Check, Loop, RunState, Task
from engine.runtime.wire_schema import WireDecision, wire_output
from engine.sema.expressions.template import EvaluationError, Template
from engine.sema.model import Model, Orchestrator, Verifier, Worker
from engine.sema.types.contract import VERDICT, Contract

__all__ = [
    "LazyMessages",
    "caller_of",
    "is_text",
    "may_start_early",
    "model_request",
    "task_key",
    "worker_request",
]


class LazyMessages(Sequence[Message]):
    """The messages of a prompt, rendered at the first look."""

    def __init__(self, render: Callable[[], tuple[Message, ...]]) -> None:
        self._render: Callable[[], tuple[Message, ...]] | None = render
        self._messages: tuple[Message, ...] = ()

    def _all(self) -> tuple[Message, ...]:
        if self._render is not None:
            self._messages = self._render()
            self._render = None
        return self._messages

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Message, ...]: ...
    def __getitem__(self, index: int | slice) -> Message | tuple[Message, ...]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[Message]:
        return iter(self._all())


def model_request(state: RunState, call: Call) -> tuple[ModelRequest, Reservation | None]:
    """The request of the call's next attempt, and what to reserve for it.

    Raises:
        Failure: A prompt's template could not be rendered (mode `crashed`).
    """
    model = state.program.models[call.chain[call.chain_index]]
    info = state.models[model.name]
    subject = call.subject
    if isinstance(subject, Loop):
        return _decision_request(state, call, subject, model, info)
    if isinstance(subject, Task):
        assert isinstance(subject.acting, Worker)
        return _worker_model_request(state, call, subject, subject.acting, model, info)
    return _verifier_model_request(state, call, subject, model, info)


def _use_native(state: RunState, model: Model, info: ModelInfo) -> bool:
    """Whether the provider is given the schema; one that refused a schema is not given another."""
    if model.name in state.in_prompt:
        return False
    return info.native if model.structured == "auto" else model.structured == "native"


def _reservation(info: ModelInfo, model: Model, bound: Callable[[], int]) -> Reservation | None:
    """What to set aside for a call whose prompt takes at most `bound()` tokens."""
    return reservation_for(info, bound(), model.max_tokens) if info.metered else None


def _number_of_calls(state: RunState, model: str, role: str, name: str) -> tuple[int, int]:
    """How many calls of a model there were: all of them, and this caller's."""
    counted = state.model_calls
    return counted.get(model, 0), counted.get(caller_of(model, role, name), 0)


def _decision_request(
    state: RunState, call: Call, loop: Loop, model: Model, info: ModelInfo
) -> tuple[ModelRequest, Reservation | None]:
    blocks = tuple(loop.blocks)
    form = loop.decisions.wire(info.dialect) if _use_native(state, model, info) else None
    call.form = form

    def render() -> tuple[Message, ...]:
        last = len(blocks) - 1
        first = Message("system", _opening(loop, form), cache=True)
        return (
            first,
            *(
                Message(block.role, block.text, cache=index == last)
                for index, block in enumerate(blocks[1:], start=1)
            ),
        )

    def input_bound() -> int:
        # The opening is counted in the contract's form, and the other may take more.
        more = len(_opening(loop, form).encode()) - len(blocks[0].text.encode()) if form else 0
        return prompt_tokens(loop, model.name) + max(0, more)

    index, caller_index = _number_of_calls(state, model.name, "decision", loop.orchestrator.name)
    request = ModelRequest(
        key=call.key,
        role="decision",
        name=loop.orchestrator.name,
        model=model,
        info=info,
        messages=LazyMessages(render),
        schema=loop.decisions.schema if form is None else form.schema,
        structured=form is not None,
        timeout_ms=model.timeout_ms,
        state=lambda: views.policy_state(state, loop),
        max_bytes=loop.orchestrator.policy.max_decision_bytes,
        stream=any(may_start_early(loop, worker) for worker in loop.decisions.workers.values()),
        max_tokens=model.max_tokens,
        attempt=call.attempt,
        index=index,
        caller_index=caller_index,
    )
    return request, _reservation(info, model, input_bound)


def _opening(loop: Loop, form: WireDecision | None) -> str:
    """The first block, which tells how to answer in the form that is asked for."""
    if form is None:
        return loop.blocks[0].text
    if loop.opening is None or loop.opening[0] is not form:
        loop.opening = (form, role_and_catalogue(loop, form))
    return loop.opening[1]


def caller_of(model: str, role: str, name: str) -> str:
    """What counts the calls of one caller of a model, next to those of the model itself."""
    return f"{model} {role} {name}"


def may_start_early(loop: Loop, worker: Worker | Orchestrator) -> bool:
    """Whether a worker's task may start before the whole decision is there: only what changes
    nothing outside, and only where no verifier has to look at it first."""
    return (
        isinstance(worker, Worker)
        and worker.effect in ("pure", "read")
        and not loop.hooks("before_dispatch", worker.name)
        and all(hook.eager for hook in loop.hooks("before_round"))
    )


def _scope(state: RunState, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **inputs,
        "param": state.params,
    }


def _render(of: Worker | Verifier, setting: str, scope: Mapping[str, Any], what: str) -> str:
    template = of.settings.get(setting)
    if template is None:
        return ""
    if isinstance(template, str):
        return template
    assert isinstance(template, Template)
    try:
        return template.render(scope)
    except EvaluationError as error:
        cause = Cause(of, setting, error.span)
        raise Failure("crashed", f"{what} could not be rendered: {error}", cause=cause) from None


def is_text(contract: Contract) -> bool:
    """Whether a contract's value is a plain string, so that a model's text is the value."""
    return contract.schema.get("type") == "string"


def _worker_model_request(
    state: RunState, call: Call, task: Task, worker: Worker, model: Model, info: ModelInfo
) -> tuple[ModelRequest, Reservation | None]:
    scope = _scope(state, task.resolved)
    system = _render(worker, "system", scope, f"the system prompt of {worker.name}")
    prompt = _render(worker, "prompt", scope, f"the prompt of {worker.name}")
    wire = None
    if not is_text(worker.output):
        if _use_native(state, model, info):
            wire = wire_output(worker.output, info.dialect)
        if wire is None:
            system = "\n\n".join(
                part for part in (system, answer_with(worker.output.schema)) if part
            )
    messages = []
    if system:
        messages.append(Message("system", system, cache=True))
    messages.append(Message("user", prompt))
    whole = (*messages, *call.extra)
    index, caller_index = _number_of_calls(state, model.name, "worker", worker.name)
    request = ModelRequest(
        key=call.key,
        role="worker",
        name=worker.name,
        model=model,
        info=info,
        messages=LazyMessages(lambda: whole),
        schema=None if is_text(worker.output) else (wire or worker.output.schema),
        structured=wire is not None,
        timeout_ms=worker.timeout_ms or model.timeout_ms,
        state=lambda: PolicyState(
            kind="worker",
            name=worker.name,
            goal="",
            input=task.resolved,
            output_schema=worker.output.schema,
        ),
        max_bytes=worker.max_bytes,
        max_tokens=model.max_tokens,
        attempt=call.attempt,
        index=index,
        caller_index=caller_index,
    )
    return request, _reservation(info, model, lambda: prompt_bytes(whole))


def _verifier_model_request(
    state: RunState, call: Call, check: Check, model: Model, info: ModelInfo
) -> tuple[ModelRequest, Reservation | None]:
    verifier = check.verifier
    goal = call.loop.goal
    scope = _scope(state, check.bound)
    system = _render(verifier, "system", scope, f"the system of {verifier.name}")
    prompt = _render(verifier, "prompt", scope, f"the prompt of {verifier.name}")
    wire = wire_output(VERDICT, info.dialect) if _use_native(state, model, info) else None
    shown_schema = VERDICT.schema if wire is None else None
    whole = (
        Message("system", verifier_system(verifier, goal, system, shown_schema), cache=True),
        Message("user", prompt),
        *call.extra,
    )
    index, caller_index = _number_of_calls(state, model.name, "verifier", verifier.name)
    request = ModelRequest(
        key=call.key,
        role="verifier",
        name=verifier.name,
        model=model,
        info=info,
        messages=LazyMessages(lambda: whole),
        schema=wire or VERDICT.schema,
        structured=wire is not None,
        timeout_ms=verifier.timeout_ms or model.timeout_ms,
        state=lambda: PolicyState(
            kind="verifier",
            name=verifier.name,
            goal=goal,
            input=check.bound,
            output_schema=VERDICT.schema,
        ),
        max_bytes=verifier.max_bytes,
        max_tokens=model.max_tokens,
        attempt=call.attempt,
        index=index,
        caller_index=caller_index,
    )
    return request, _reservation(info, model, lambda: prompt_bytes(whole))


def task_key(state: RunState, loop: Loop, key: str) -> str:
    """The idempotency key of a task or a check: the same for each of its attempts, unlike any
    other's. What a fork's parent had started keeps the parent's."""
    return f"{state.owners.get(key, state.run)}/{loop.shown(key).replace(' ', '')}"


def worker_request(state: RunState, call: Call) -> WorkerRequest:
    """The request of the next attempt of a tool: a worker, or a verifier run as one."""
    subject = call.subject
    worker: Worker | Verifier
    input_bytes = 0
    if isinstance(subject, Task):
        assert isinstance(subject.acting, Worker)
        worker, inputs = subject.acting, subject.resolved
        # A fallback does the same work over, so it goes by the same key.
        key = task_key(state, call.loop, subject.key)
        if subject.step is not None or subject.tree is not None:
            # What it is about may change when a run is retried: one key is never for two inputs.
            key += f"#{sizes.digest(subject.resolved)}"
        task = {"id": subject.id, "key": key, "worker": worker.name, "round": subject.round}
        input_bytes = subject.input_bytes or 0
    else:
        assert isinstance(subject, Check)
        worker, inputs = subject.verifier, subject.bound
        key = task_key(state, call.loop, call.key)
        task = {"key": key}
        input_bytes = subject.bound_bytes
    return WorkerRequest(
        key=call.key,
        task_key=key,
        worker=worker,
        input=inputs,
        base_dir=worker.base_dir,
        scope={"param": state.params, "task": task},
        timeout_ms=worker.timeout_ms,
        attempt=call.attempt,
        run=state.run,
        input_bytes=input_bytes,
        changeable=state.program.changeable if worker.settings.get("sandbox") else (),
    )
