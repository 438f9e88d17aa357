"""Suspects: calls that may have taken the engine's process down, and how they are made again.

When a process dies, what was in flight is suspect, not guilty: one call of twelve may have done
it. Only what runs code of the user's inside the process can: `python` workers and verifiers,
`python/` models, and the function that reads a command's output. These are made again one at a
time, each in a process of its own, before anything else of their kind starts. A process of its own
that dies says which call it was; after `MOST_DEATHS` of them the call has failed as `crashed`.

Programs, servers and providers cannot take the engine down; their calls are made again at once.
The same goes for what other packages bring: nothing here can put it in its own process. What
may happen only once is never made again, so it is never a suspect.

What counts is in the journal, so the rule holds over any number of crashes of the engine.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from engine.errors import Failure
from engine.runtime.ports import ModelRequest, WorkerRequest
from engine.runtime.state import Call, RunState
from engine.schemes import split_id

__all__ = ["MOST_DEATHS", "close", "died", "go_on", "issue", "resume", "runs_here"]

#: How often the process that a suspect has for itself may die before the call has failed.
MOST_DEATHS = 3


def runs_here(request: ModelRequest | WorkerRequest) -> bool:
    """Whether a call runs code of the user's inside the engine's process."""
    if isinstance(request, ModelRequest):
        return split_id(request.info.id)[0] == "python"
    return request.worker.facts.runs_user_code


def issue(state: RunState, call: Call) -> None:
    """Ask for the open attempt of a call: now, or when the suspects have had their turns."""
    assert call.command is not None
    suspects = state.suspects
    if call.suspect:
        if call not in suspects.calls:
            _enter(state, call)
        elif suspects.on_trial is call:
            suspects.on_trial = None  # its attempt was lost: the turn is still its own
    elif suspects.calls and runs_here(call.command.request):
        # User code in the engine's process could crash it again while a suspect runs. That crash
        # would make new suspects out of innocent calls, so such calls wait until the trial is over.
        suspects.kept_back.append(call)
    else:
        state.commands.append(call.command)


def _enter(state: RunState, call: Call) -> None:
    """Let the open attempt of a call have a process of its own, when its turn comes."""
    assert call.command is not None
    call.request = msgspec.structs.replace(call.command.request, isolated=True)
    call.command = msgspec.structs.replace(call.command, request=call.request)
    state.suspects.calls.append(call)


def close(state: RunState, call: Call) -> None:
    """An attempt of a suspect is over, and it is none any more, unless its process has died."""
    suspects = state.suspects
    call.suspect = False
    suspects.calls.remove(call)
    if suspects.on_trial is call:
        suspects.on_trial = None


def resume(state: RunState, in_flight: Iterable[Call]) -> None:
    """Another process takes over: begin again with the first suspect.

    Args:
        in_flight: What was under way and is to be made again. After a stop in good order
            nothing of it is suspect.
    """
    suspects = state.suspects
    suspects.on_trial = None
    suspects.kept_back.clear()
    for call in in_flight:
        assert call.command is not None
        if not state.interrupted and not call.suspect and runs_here(call.command.request):
            call.suspect = True
            suspects.total += 1
            _enter(state, call)
    state.interrupted = False


def go_on(state: RunState) -> None:
    """Ask for the suspect whose turn it is; where none is left, for what was kept back."""
    suspects = state.suspects
    if suspects.calls:
        first = suspects.calls[0]
        if suspects.on_trial is not first:
            assert first.command is not None
            suspects.on_trial = first
            state.commands.append(first.command)
        return
    kept_back, suspects.kept_back = suspects.kept_back, []
    for call in kept_back:
        if call.command is not None:
            state.commands.append(call.command)


def died(call: Call, failure: Failure) -> Failure | None:
    """The process that a suspect had for itself is dead: it stays suspect, or is guilty.

    Returns:
        The failure of the call, if that was the last time.
    """
    # One death proves nothing: most processes that die were killed by something else.
    call.deaths += 1
    if call.deaths < MOST_DEATHS:
        call.suspect = True
        return None
    return Failure(
        "crashed",
        f"its process died {call.deaths} times, while running alone: {failure.message}",
        cause=failure.cause,
    )
