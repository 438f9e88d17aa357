"""The ports of the runtime: what a model and a worker must offer to be driven.

The machine knows only requests (values); the driver hands them to an implementation of these
protocols, found in `engine.models` and `engine.workers`, and turns what comes back into events.
An implementation raises `engine.errors.Failure` with a mode; any other exception is caught by
the driver in one place and recorded as `crashed`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from engine.events import ModelInfo, Usage
from engine.runtime.marks import call_mark
from engine.sema.model import Model, Verifier, Worker

__all__ = [
    "ChatModel",
    "ClosablePort",
    "Message",
    "ModelReply",
    "ModelRequest",
    "PolicyState",
    "WorkerPort",
    "WorkerReply",
    "WorkerRequest",
    "ready",
]


class Message(msgspec.Struct, frozen=True):
    """One message of a chat. `cache` marks the end of a prefix worth caching."""

    role: Literal["system", "user", "assistant"]
    content: str
    cache: bool = False


class PolicyState(msgspec.Struct, frozen=True):
    """What a `python/` model sees instead of a prompt.

    Attributes:
        kind: `orchestrator` (return a decision), `worker` (return its output) or `verifier`
            (return a verdict).
        name: Of the orchestrator, worker or verifier.
        goal: The goal, rendered; for workers an empty string.
        input: The inputs of the orchestrator, worker or verifier.
        round: The current round, from 1 (orchestrators only).
        workers: By name: `{"input": JSON Schema, "output": JSON Schema, "fails": [...],
            "doc": str | None, "left": int | None}`.
        rounds: What happened: one entry for each round that is over,
            `{"round", "decision", "tasks": [task ids], "feedback": [str]}`; where there may be
            steps, also `"steps": [step ids]`.
        tasks: Those of the rounds that are over, by id: `{"worker", "input", "status",
            "output" | "failure": {"mode", "message"}, "round"}`;
            status is `done`, `failed` or `skipped`. The items of steps are among them, as `r[3]`.
            An input of more than 64 KiB has references instead
            of what they lead to. Of a worker that is shown as `shape` or `none` there is also
            `"shown"`, `output` is the shape (or `{"$bytes": size}`), and a failure has no message.
        steps: Those of the rounds that are over, by id: `{"kind", "worker", "round", "status",
            "counts", "failures", "output" | "failure"}`. `counts` has `total`, `known` and how many
            are `done`, `failed`, `not_started`, `skipped`, `running`, `waiting`; `failures` has
            `{"mode", "count", "first", "label", "message"}` for each mode.
        outputs: By worker: the outputs of those of them that are done.
        feedback: What verifiers and the engine said since the last decision.
        left: The rest of each limit: `rounds`, `dispatches`, `cost_usd`, `tokens`, `time_ms`
            (None where unbounded).
        output_schema: JSON Schema of what is to be returned in the end.
        notes: What people have said in the run so far (`orch tell`), the oldest first.
    """

    kind: Literal["orchestrator", "worker", "verifier"]
    name: str
    goal: str
    input: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    round: int = 0
    workers: Mapping[str, Any] = {}
    rounds: list[dict[str, Any]] = []
    tasks: Mapping[str, Any] = {}
    outputs: Mapping[str, list[Any]] = {}
    steps: Mapping[str, Any] = {}
    feedback: list[str] = []
    left: Mapping[str, int | None] = {}
    notes: list[str] = []


class ModelRequest(msgspec.Struct, frozen=True):
    """One call of a model.

    Attributes:
        key: The call's structural path, for logs and for scripted models.
        role: `decision`, `worker` or `verifier`; `name` is whose call it is.
        model: The declared model; `info` what the run resolved about it.
        messages: The whole prompt.
        schema: JSON Schema of the answer (the wire schema where the model takes one natively).
        structured: Hand the schema to the provider (else it is in the prompt already).
        state: Builds the structured state, for `python/` models only.
        attempt: From 1, counting repairs, retries and fallbacks.
        index: How many calls of this model were started earlier in this run, those lost in a
            crash not counted, so that a resumed run continues where it was; None if nothing counts.
        caller_index: The same, of the calls with this role and name only.
        stream: Ask for the answer in pieces; the whole text comes back anyway.
        on_text: Told each piece as it comes; set by a driver that can use it, where `stream`.
        isolated: Run no code of the user's in this process for it.
        apart: How to do so: calls `module:function`, looked up from a folder, in a process of its
            own; set by a driver that can, where `isolated`.
        max_bytes: The maximum size of the answer; 0 if not set.
    """

    key: str
    role: Literal["decision", "worker", "verifier"]
    name: str
    model: Model
    info: ModelInfo
    messages: Sequence[Message]
    schema: Mapping[str, Any] | None
    structured: bool
    max_tokens: int
    timeout_ms: int
    state: Callable[[], PolicyState]
    attempt: int = 1
    index: int | None = None
    caller_index: int | None = None
    stream: bool = False
    on_text: Callable[[str], None] | None = None
    isolated: bool = False
    apart: Callable[[str, str, PolicyState], Awaitable[Any]] | None = None
    max_bytes: int = 0


class ModelReply(msgspec.Struct, frozen=True):
    """What came back: the text (or the value a policy returned), and what it used.

    `usage` is None where the provider did not say.
    """

    value: Any
    usage: Usage | None = None


class ChatModel(Protocol):
    """A model of one scheme (`scripted`, `python`, a LiteLLM provider, ...)."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer one request.

        Raises:
            Failure: With a mode of `engine.errors.MODEL_MODES`.
        """
        ...

    async def close(self) -> None:
        """Release its resources; a scripted model reports a leftover here by raising Failure."""
        ...


async def ready(model: ChatModel) -> None:
    """Let a model load what it has to load once, before the clock of a call starts.

    A model that has such work offers it as `prepare()`; most have none. What is slow there (an
    import, a file of weights) is not a slowness of the provider and no reason for a `timeout`.

    Raises:
        Failure: It cannot be loaded.
    """
    prepare = getattr(model, "prepare", None)
    if prepare is not None:
        await prepare()


class WorkerRequest(msgspec.Struct, frozen=True):
    """One attempt of a task.

    Attributes:
        key: The task's structural path, and `task_key` the idempotency key, the same for every
            attempt of the task.
        input: The input, validated, with defaults filled in and references resolved.
        base_dir: The folder of the file that declares the worker.
        worker: The worker, or the verifier (whose value comes back as a verdict).
        timeout_ms: The driver enforces it by cancelling; a process group is killed then.
        scope: Names for the worker's expressions besides its inputs: `param`, `task`, `secret`.
            `secret` is a mapping from names to values; failures are cleaned of the values.
        isolated: Run no code of the user's in this process for it, but in one of its own.
        run: Whose call it is.
        input_bytes: The size of the input, where that may be large; else 0.
        changeable: What sandboxes of the program may change (`Program.changeable`).
    """

    key: str
    task_key: str
    worker: Worker | Verifier
    input: Mapping[str, Any]
    base_dir: str
    scope: Mapping[str, Any]
    timeout_ms: int | None = None
    attempt: int = 1
    isolated: bool = False
    run: str = ""
    input_bytes: int = 0
    changeable: tuple[tuple[str, str], ...] = ()

    @property
    def mark(self) -> str:
        """Names run, call and attempt. A program that is started for the request has it in its
        environment, so that it can be found when the engine is dead."""
        return call_mark(self.run, self.key, self.attempt) if self.run else ""


class WorkerReply(msgspec.Struct, frozen=True):
    """The output of one attempt; not yet checked against the contract."""

    value: Any
    usage: Usage | None = None


class WorkerPort(Protocol):
    """How workers (and verifiers) of one kind run."""

    async def call(self, request: WorkerRequest) -> WorkerReply:
        """Do the work.

        Raises:
            Failure: With a declared or built-in mode.
            asyncio.CancelledError: After cleaning up, when cancelled.
        """
        ...


@runtime_checkable
class ClosablePort(Protocol):
    """A worker's port that holds something: connections, processes. `close` is optional."""

    async def close(self) -> None:
        """Give it back, when the run is over and no call is under way.

        Raises:
            Failure: A finding about the run, shown as a warning.
        """
        ...
