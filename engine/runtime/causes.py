"""Causes: what in the program a failure is about, as the machine knows it.

A `Cause` names a declaration and, where one is concerned, a setting of it. It holds no lines and
looks nothing up: a failure costs one small record, and `engine.runtime.places` finds the place when
it is shown. The journal keeps a few characters of it (`CallFailed.where`), and only what
the machine cannot know by itself: which setting a worker could not use.
"""

from __future__ import annotations

import re
from typing import Protocol

import msgspec

from engine.events import CallFailed
from engine.runtime.state import Call, Check, Loop, RunState, Task
from engine.source import Span

__all__ = ["OUTPUT", "VIA", "Cause", "in_output", "of_attempt", "of_bound", "of_call", "of_input"]

#: Instead of a setting: what a declaration says after `->`; and what it calls, which is a
#: setting of its kind, or what it says after `via`.
OUTPUT = "->"
VIA = "via"

_WHERE = re.compile(r"(?P<setting>[^@]*)(?:@(?P<start>\d{1,9})-(?P<end>\d{1,9}))?")


class Declared(Protocol):
    """A declaration, a hook or a limit: whatever has a place of its own."""

    @property
    def span(self) -> Span | None:
        """Where its name is written."""
        ...


class Cause(msgspec.Struct, frozen=True):
    """What a failure is about.

    Attributes:
        of: The declaration.
        setting: The path of a setting in it, such as `policy.budget.cost`, or `OUTPUT` or `VIA`;
            "" for all of it. One that is not written is the nearest that is.
        span: The part of the source itself, where an evaluation has failed.
        start: The same, as offsets in the declaration's file; `end` is 0 where it is not known.
        program: The hash of the program whose offsets they are.
        pointer: A JSON Pointer into a value of the output's (or input's) type.
        otherwise: What it is about if the setting is not written.
    """

    of: Declared
    setting: str = ""
    span: Span | None = None
    start: int = 0
    end: int = 0
    program: str = ""
    pointer: str = ""
    otherwise: Cause | None = None


def of_call(state: RunState, call: Call) -> Cause:
    """The declaration whose call it is: a worker, a verifier, or an orchestrator's model."""
    subject = call.subject
    if isinstance(subject, Task):
        return Cause(subject.acting)
    if isinstance(subject, Check):
        return Cause(subject.verifier)
    return Cause(state.program.models[call.chain[call.chain_index]])


def of_attempt(state: RunState, call: Call, event: CallFailed) -> Cause:
    """What an attempt that has failed is about."""
    owner = of_call(state, call)
    if call.chain:
        model = Cause(state.program.models[call.chain[call.chain_index]])
        if event.mode != "timeout":
            return model
        limit = msgspec.structs.replace(model, setting="timeout")
        return msgspec.structs.replace(owner, setting="timeout", otherwise=limit)
    if event.where and (found := _WHERE.fullmatch(event.where)):
        return msgspec.structs.replace(
            owner,
            setting=found["setting"],
            start=int(found["start"] or 0),
            end=int(found["end"] or 0),
            program=state.program_hash,
        )
    if event.mode == "timeout":
        return msgspec.structs.replace(owner, setting="timeout", otherwise=owner)
    if event.mode == "invalid_output":
        return in_output(owner, "")
    return msgspec.structs.replace(owner, setting=VIA)


def in_output(cause: Cause, problem: str) -> Cause:
    """The type of a declaration's output, or the field of it that a problem begins with."""
    pointer = _pointer(problem)
    return msgspec.structs.replace(cause, setting=OUTPUT, pointer=pointer, otherwise=cause)


def of_bound(loop: Loop, bound: str) -> Cause:
    """The setting behind the name of a bound, such as `budget.cost` or `limit w.budget.tokens`."""
    owner, _, setting = bound.rpartition("budget.")
    for at in loop.lineage():
        orchestrator = at.orchestrator
        if owner.startswith("limit "):
            limit = orchestrator.limits.get(owner[len("limit ") : -1])
            if limit is not None:
                return Cause(limit, f"budget.{setting}")
        elif at.task is None or owner == f"{orchestrator.name}.":
            return Cause(orchestrator, f"policy.budget.{setting}")
    return Cause(loop.orchestrator, "policy")


def of_input(worker: Declared, problem: str) -> Cause:
    """The input of a callable that a problem is about, which begins with its JSON Pointer."""
    return Cause(worker, pointer=_pointer(problem))


def _pointer(problem: str) -> str:
    return problem.partition(":")[0] if problem.startswith("/") else ""
