"""Calls and their attempts: reserve, start, settle; then retry, repair, fall back, or report.

A call runs in attempts. When one ends, this module settles its budget and decides, in
this order: *retry* the same request, where the failure and the policy allow it; *repair*, asking
a model again with the problems of its answer. Then *fall back* to the next model of the chain, and
at last *report* the failure. All of it is bounded: a call makes at most (1 + retries)(1 +
repairs)(1 + fallbacks) attempts, and those that `engine.runtime.suspects` adds after a crash.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from engine.errors import BUILTIN_MODES, MODEL_MODES, Failure
from engine.events import CallFailed, CallFinished, CallLost, CallStarted, Usage
from engine.runtime import causes, sizes, suspects
from engine.runtime.answer_text import spoken
from engine.runtime.budget import booked, may_have_cost
from engine.runtime.commands import CancelCalls, StartCall
from engine.runtime.decision import DecisionError, read_json
from engine.runtime.moves import move_call
from engine.runtime.ports import Message, ModelRequest, WorkerRequest
from engine.runtime.prompts import calls
from engine.runtime.prompts.blocks import repair, revision
from engine.runtime.requests import (
    caller_of,
    is_text,
    model_request,
    worker_request,
)
from engine.runtime.retry_wait import delay_of, no_time
from engine.runtime.state import Call, Check, Loop, RunState, Task, Todo
from engine.runtime.wire_values import read_output
from engine.sema.model import Retry, Worker, fallback_chain
from engine.sema.types.contract import VERDICT, Contract
from engine.sizes import size_of, size_words

__all__ = [
    "again",
    "begin",
    "cancel",
    "effect_of",
    "failed",
    "finished",
    "forked",
    "lost",
    "lost_call",
    "refused",
    "started",
    "take_back",
    "undeclared",
    "withdraw",
]

#: Failures after which it is not known whether the work was done.
_UNKNOWN = frozenset({"timeout", "crashed", "unavailable", "invalid_output"})
#: How much of a model's unusable answer is shown to it again, in characters.
SHOWN_ANSWER = 4_000


def begin(state: RunState, call: Call, model: str | None = None, chain_index: int = 0) -> None:
    """Start a call: of a model (and its fallbacks), or of a tool where `model` is None.

    Args:
        chain_index: The first model of the chain to ask: those before it have been given up.
    """
    if model is not None:
        call.chain = tuple(fallback_chain(state.program.models, model))
        call.chain_index = chain_index
    _attempt(state, call)


def _attempt(state: RunState, call: Call, delay_ms: int = 0) -> None:
    if not call.chain:
        call.attempt += 1
        _open_attempt(state, call, worker_request(state, call), delay_ms)
        return
    call.attempt += 1
    try:
        request, reservation = model_request(state, call)
    except Failure as failure:
        _end(state, call, failure=failure)
        return
    if reservation is not None:
        bound = call.ledger.reserve(reservation)
        if bound is not None:
            call.attempt -= 1
            if any(other.reservation is not None for other in state.calls.values()):
                # What runs now may use less than is set aside for it: wait for it to settle.
                move_call(call, "starved")
                state.starved.append(call)
            else:
                message = (
                    f"{bound}: the next call may use up to {reservation.tokens} tokens"
                    + (
                        f" (${reservation.cost_usd / 1_000_000:.4f})"
                        if reservation.cost_usd
                        else ""
                    )
                    + ", more than is left"
                )
                call.bound = bound
                cause = causes.of_bound(call.loop, bound)
                _end(state, call, failure=Failure("over_budget", message, cause=cause))
            return
    call.reservation = reservation
    caller = caller_of(request.model.name, request.role, request.name)
    state.model_calls[request.model.name] = (request.index or 0) + 1
    state.model_calls[caller] = (request.caller_index or 0) + 1
    _open_attempt(state, call, request, delay_ms)


def _open_attempt(
    state: RunState, call: Call, request: ModelRequest | WorkerRequest, delay_ms: int
) -> None:
    call.status = "asked"
    call.request = request
    call.command = StartCall(call.key, call.attempt, request, delay_ms)
    state.calls[call.key] = call
    suspects.issue(state, call)


def _go_on(state: RunState) -> None:
    """A call is over, or comes again: start what waited for its turn, or for budget."""
    if state.suspects.calls or state.suspects.kept_back:
        suspects.go_on(state)
    if state.starved:
        _feed_starved(state)


def _feed_starved(state: RunState) -> None:
    """Try again the calls that waited for budget."""
    waiting = list(state.starved)
    state.starved.clear()
    for call in waiting:
        if call.loop.over:
            move_call(call, "withdrawn")
        else:
            _attempt(state, call)


def _open(state: RunState, key: str, attempt: int) -> Call | None:
    """The call an event is about, or None: late and doubled completions are ignored."""
    call = state.calls.get(key)
    if call is None or call.command is None or call.attempt != attempt:
        return None
    return call


def started(state: RunState, event: CallStarted) -> None:
    """An attempt has begun."""
    call = _open(state, event.key, event.attempt)
    if call is None or call.begun == event.attempt:
        return
    call.begun = event.attempt
    call.status = "begun"
    state.starts += 1
    if call.started_at is None:
        call.started_at = event.at
    if isinstance(call.subject, Task):
        call.subject.attempts += 1
        if call.subject.started_at is None:
            call.subject.started_at = event.at


def _settle(state: RunState, call: Call, usage: Usage | None, *, spent: bool) -> None:
    """Book what an attempt used. `spent` says whether a call without reported usage may have
    cost something anyway; it is then settled at its reservation."""
    reservation = call.reservation
    call.reservation = None
    if reservation is None:
        if usage is not None and usage != Usage():
            call.ledger.settle(None, usage)
        return
    info = state.models[call.chain[call.chain_index]]
    usage = booked(info, reservation, usage, spent=spent)
    call.ledger.settle(reservation, usage)
    if isinstance(call.subject, Task):
        task, cost = call.subject, usage.cost_micro_usd
        task.cost_usd = None if cost is None or task.cost_usd is None else task.cost_usd + cost
    if isinstance(call.subject, Loop) and not usage.estimated and usage.input_tokens:
        name = call.chain[call.chain_index]
        call.subject.settled_input = (len(call.subject.blocks), usage.input_tokens, name)


def finished(state: RunState, event: CallFinished) -> None:
    """An attempt gave a value: accept it, or ask for it again."""
    call = _open(state, event.key, event.attempt)
    if call is None:
        return
    call.ms += event.ms
    call.raw = event.value
    call.refused = ""
    call.whole = event.whole
    if call.reservation is not None or event.usage is not None:
        _settle(state, call, event.usage, spent=True)
    _close_attempt(state, call)
    accepted, value, problems = _accept(state, call, event.value)
    if accepted:
        _end(state, call, value=value)
    else:
        _bad_output(state, call, event.value, problems)
    _go_on(state)
    if state.bounds:
        sizes.keep(state, call.loop, event.bytes)


def _close_attempt(state: RunState, call: Call) -> None:
    call.status = "closed"
    call.command = None
    del state.calls[call.key]
    if call.suspect:
        suspects.close(state, call)


def _accept(state: RunState, call: Call, value: Any) -> tuple[bool, Any, list[str]]:
    """Whether a value keeps the contract of what was called: (yes, the value, problems)."""
    subject = call.subject
    if isinstance(subject, Task):
        contract = subject.worker.output
        by = subject.acting.facts.done_by if isinstance(subject.acting, Worker) else "port"
    elif isinstance(subject, Loop):
        # A decision is read by the loop, which answers a bad one with a new decision.
        return True, value, []
    else:
        contract, by = VERDICT, subject.verifier.facts.done_by
        if by != "model":
            value = _verdict(value)
    if by == "model":
        try:
            value = _model_value(value, contract)
        except DecisionError as error:
            call.broken_off += error.broken_off
            return False, value, error.problems
    if not contract.is_valid(value):
        return False, value, contract.problems(value)
    filled = contract.with_defaults(value)
    if contract.multiplies and state.bounds and isinstance(subject, Task):
        assert isinstance(subject.acting, Worker)
        most = subject.acting.max_bytes
        if size_of(filled, most) > most:
            return False, value, [calls.output_too_large(size_words(most))]
    return True, filled, []


def _model_value(value: Any, contract: Contract) -> Any:
    """A model's text as a value of the contract's type."""
    if not isinstance(value, str):
        return value
    if is_text(contract):
        return spoken(value)
    return read_output(read_json(value), contract)


def _verdict(value: Any) -> Any:
    """A tool's shorthand for a verdict: true, false, or `[ok, feedback]`."""
    if isinstance(value, bool):
        return {"ok": value}
    if (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and isinstance(value[0], bool)
        and isinstance(value[1], str)
    ):
        return {"ok": value[0], "feedback": value[1]}
    return value


def _bad_output(state: RunState, call: Call, value: Any, problems: list[str]) -> None:
    said = call.refused = sizes.cut(state, "; ".join(problems)) or calls.BREAKS_CONTRACT
    cause = causes.in_output(causes.of_call(state, call), problems[0] if problems else "")
    failure = Failure("invalid_output", said, cause=cause)
    if "invalid_output" in _retry(state, call).on and _try_retry(state, call, failure):
        return
    if effect_of(call) == "once":
        # It has happened, and its outcome cannot be read: it must not be done again for that.
        lose(state, call, failure)
        return
    # An answer that breaks off for a second time would do so at each further try.
    if call.chain and call.repairs < _repair_max(call) and call.broken_off < 2:
        call.repairs += 1
        call.retries = 0
        shown = value if isinstance(value, str) else str(value)
        call.extra = [
            Message("assistant", shown[:SHOWN_ANSWER] or calls.EMPTY_ANSWER),
            Message("user", repair(problems)),
        ]
        _attempt(state, call)
        return
    if _try_fallback(state, call):
        return
    _end(state, call, failure=failure)


def failed(state: RunState, event: CallFailed) -> None:
    """An attempt ended without a value: retry, fall back, or report."""
    call = _open(state, event.key, event.attempt)
    if call is None:
        return
    call.ms += event.ms
    call.cut = event.cut
    _settle(state, call, event.usage, spent=may_have_cost(event))
    on_trial = call.suspect
    in_prompt = event.schema_refused and _without_schema(state, call)
    _close_attempt(state, call)
    if in_prompt:
        _attempt(state, call)
        _go_on(state)
        return
    failure = _reported(
        call,
        Failure(
            event.mode,
            event.message,
            retryable=event.retryable,
            retry_after_ms=event.retry_after_ms,
            cause=causes.of_attempt(state, call, event),
        ),
    )
    if on_trial and event.died:
        guilty = suspects.died(call, failure)
        if guilty is None:
            _attempt(state, call)
        elif not _try_fallback(state, call):
            _end(state, call, failure=guilty)
    elif effect_of(call) == "once" and failure.mode in _UNKNOWN:
        lose(state, call, failure)
    elif not _try_retry(state, call, failure) and not _try_fallback(state, call):
        _end(state, call, failure=_with_wait(state, call, failure))
    _go_on(state)


def refused(state: RunState, event: CallFailed) -> bool:
    """A bound of more than this run (`event.bound`) did not let an attempt begin.

    Returns:
        Whether the attempt was open; the run is to end then.
    """
    call = _open(state, event.key, event.attempt)
    if call is None:
        return False
    call.bound = event.bound
    _settle(state, call, None, spent=False)
    _close_attempt(state, call)
    _end(state, call, failure=Failure("over_budget", event.message))
    return True


def _without_schema(state: RunState, call: Call) -> bool:
    """Put schemas into the prompts of a model whose provider refused one, from here on.

    What a table says of providers cannot be complete: each refuses schemas that it finds too
    large, and none says how large that is. The call is made again for nothing else than that, so
    it costs no retry, and it can happen once a model.
    """
    model = call.chain[call.chain_index]
    if not isinstance(call.request, ModelRequest) or not call.request.structured:
        return False
    if model not in state.in_prompt:
        state.in_prompt.add(model)
        state.warnings.append(
            f"model `{model}`: its provider refused the schema of an answer; schemas go into the "
            "prompt for the rest of this run"
        )
    return True


def lose(state: RunState, call: Call, failure: Failure) -> None:
    """It is not known whether a `once` call was made: report only that."""
    call.unknown = True
    _end(state, call, failure=failure)


def _retry(state: RunState, call: Call) -> Retry:
    subject = call.subject
    own: Retry | None = None
    if isinstance(subject, Task) and isinstance(subject.acting, Worker):
        own = subject.acting.retry
    elif isinstance(subject, Check):
        own = subject.verifier.retry
    if own is None and call.chain:
        own = state.program.models[call.chain[call.chain_index]].retry
    return own or Retry(max=0)


def _repair_max(call: Call) -> int:
    subject = call.subject
    if isinstance(subject, Task) and isinstance(subject.acting, Worker):
        return subject.acting.repair_max
    if isinstance(subject, Check):
        return subject.verifier.repair_max
    return 0


def effect_of(call: Call) -> str:
    """The effect of what a call runs; `read` for everything but a worker's task."""
    subject = call.subject
    if isinstance(subject, Task) and isinstance(subject.acting, Worker):
        return subject.acting.effect
    return "read"


def _may_retry(state: RunState, call: Call, failure: Failure) -> bool:
    policy = _retry(state, call)
    if call.retries >= policy.max or effect_of(call) == "once":
        return False
    return failure.mode in policy.on or (
        not policy.on and (failure.retryable or failure.mode == "timeout")
    )


def _try_retry(state: RunState, call: Call, failure: Failure) -> bool:
    if not _may_retry(state, call, failure):
        return False
    delay_ms = delay_of(_retry(state, call), call.retries + 1, failure)
    if no_time(state, call, failure, delay_ms):
        return False
    call.retries += 1
    call.last_failure = failure
    _attempt(state, call, delay_ms)
    return True


def _with_wait(state: RunState, call: Call, failure: Failure) -> Failure:
    """A failure that says so if a retry would have had to wait for too long."""
    if not _may_retry(state, call, failure):
        return failure
    delay_ms = delay_of(_retry(state, call), call.retries + 1, failure)
    said = no_time(state, call, failure, delay_ms)
    return failure.replace(message=failure.message + said) if said else failure


def _try_fallback(state: RunState, call: Call) -> bool:
    if call.chain_index + 1 >= len(call.chain) or effect_of(call) == "once":
        return False
    call.chain_index += 1
    call.retries = 0
    call.repairs = 0
    call.deaths = 0
    call.broken_off = 0
    call.extra = []
    _attempt(state, call)
    return True


def _reported(call: Call, failure: Failure) -> Failure:
    """A mode that was not declared is `crashed`: the orchestrator plans on declared modes only."""
    known = BUILTIN_MODES
    if call.chain:
        known = known | MODEL_MODES
    subject = call.subject
    if isinstance(subject, Task):
        known = known | set(subject.worker.fails)
    return failure if failure.mode in known else undeclared(failure)


def undeclared(failure: Failure) -> Failure:
    """A failure with a mode that the worker does not declare."""
    return Failure(
        "crashed",
        f"undeclared failure mode `{failure.mode}`: {failure.message}",
        retryable=failure.retryable,
        retry_after_ms=failure.retry_after_ms,
        cause=failure.cause,
    )


def _end(state: RunState, call: Call, *, value: Any = None, failure: Failure | None = None) -> None:
    call.status = "ended"
    call.value = value
    call.failure = failure
    state.todo(Todo.CALL_ENDED, call)


def again(state: RunState, call: Call, feedback: str, *, untrusted: bool) -> None:
    """Make a call that had ended once more, with a verifier's feedback for its model.

    `untrusted` says whether the feedback may hold words of strangers.
    """
    if call.chain:
        shown = call.raw if isinstance(call.raw, str) else str(call.raw)
        call.extra = [
            Message("assistant", shown[:SHOWN_ANSWER] or calls.EMPTY_ANSWER),
            Message("user", revision(feedback, untrusted=untrusted)),
        ]
    call.value = None
    call.failure = None
    call.retries = 0
    _attempt(state, call)


def lost(state: RunState) -> None:
    """Another process takes over: make again what was open, except what may happen only once."""
    calls = list(state.calls.values())
    in_flight = [c for c in calls if c.begun == c.attempt and effect_of(c) != "once"]
    suspects.resume(state, in_flight)
    for call in calls:
        _take_up_again(state, call, "the engine stopped")
    _go_on(state)


def lost_call(state: RunState, event: CallLost) -> None:
    """The host of one attempt is gone, and the rest of the run continues."""
    call = _open(state, event.key, event.attempt)
    if call is None or call.begun != call.attempt:
        return
    state.lost += 1
    _take_up_again(state, call, event.reason or "its host was lost")
    _go_on(state)


def _take_up_again(state: RunState, call: Call, what_happened: str) -> None:
    """Make a call again whose open attempt was lost, or end it if it must not happen twice."""
    if call.command is None:
        return
    # `begun` is set by the journaled start. Only with it may the attempt have reached the outside:
    # without it, even a `once` call has done nothing, and nothing has been billed.
    if call.begun == call.attempt and effect_of(call) == "once":
        _settle(state, call, None, spent=True)
        _close_attempt(state, call)
        said = f"{what_happened} while it was under way"
        lose(state, call, Failure("crashed", said, cause=causes.of_call(state, call)))
    elif call.begun != call.attempt or _pay_for_lost(state, call, what_happened):
        # The same attempt number and key are used again: the journal may hold one end of it only,
        # so a late result of the lost process cannot count as well.
        call.begun = 0
        move_call(call, "asked")
        suspects.issue(state, call)


def _pay_for_lost(state: RunState, call: Call, what_happened: str) -> bool:
    """Book a call that was under way, for it may have been billed, and reserve for the next.

    Returns:
        Whether there is budget left to make it again; if not, the call has ended.
    """
    reservation = call.reservation
    if reservation is None:
        return True
    # The provider may have billed the lost attempt, and no usage will ever arrive for it. Booking
    # nothing would let a run that crashes in a loop spend any amount within its budget.
    _settle(state, call, None, spent=True)
    call.bound = call.ledger.reserve(reservation)
    if call.bound is None:
        call.reservation = reservation
        return True
    _close_attempt(state, call)
    message = f"{call.bound}: what was under way when {what_happened} may have used it up"
    cause = causes.of_bound(call.loop, call.bound)
    _end(state, call, failure=Failure("over_budget", message, cause=cause))
    return False


def forked(state: RunState) -> None:
    """The run has become a fork: what was under way in its parent is not under way here."""
    for call in list(state.calls.values()):
        if call.begun != call.attempt:
            continue
        if effect_of(call) == "once":
            _take_up_again(state, call, "the run was forked")
        else:
            call.begun = 0
            move_call(call, "asked")


def take_back(state: RunState) -> None:
    """Let what was asked of models, and has not begun, be as if it had not been asked.

    So recordings and scripts give the next call what was meant for this one.
    """
    for call in reversed(list(state.calls.values())):
        request = call.request
        if call.command is None or call.begun or not isinstance(request, ModelRequest):
            continue
        caller = caller_of(request.model.name, request.role, request.name)
        for name, index in (
            (request.model.name, request.index or 0),
            (caller, request.caller_index or 0),
        ):
            if state.model_calls.get(name) == index + 1:  # none has begun that was asked later
                state.model_calls[name] = index
        if isinstance(call.subject, Loop):
            call.subject.current.attempts -= 1


def withdraw(state: RunState, call: Call) -> None:
    """Take back a call that was asked for and has not begun."""
    _settle(state, call, None, spent=False)
    if call in state.starved:
        state.starved.remove(call)
    else:
        _close_attempt(state, call)
    move_call(call, "withdrawn")


def cancel(state: RunState, loops: Iterable[Loop]) -> None:
    """Stop every call of these loops; what was reserved for them is booked as used.

    A `once` call that has begun continues: stopping it would leave its outcome unknown.
    """
    members = set(map(id, loops))
    stopped = [
        call
        for call in state.calls.values()
        if id(call.loop) in members
        and not (call.begun == call.attempt and effect_of(call) == "once")
    ]
    for call in stopped:
        # One that waits for its next attempt has settled the last one already.
        _settle(state, call, None, spent=call.begun == call.attempt)
        _close_attempt(state, call)
        move_call(call, "withdrawn")
    if stopped:
        state.commands.append(CancelCalls(tuple(call.key for call in stopped)))
    still: deque[Call] = deque()
    for call in state.starved:
        if id(call.loop) in members:
            move_call(call, "withdrawn")
        else:
            still.append(call)
    state.starved = still
    _go_on(state)
