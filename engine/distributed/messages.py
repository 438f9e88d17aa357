"""What travels between commands, the workflow and hosts: a few records, and nothing else.

All of it is JSON by msgspec. A prompt's messages travel one by one, so that what prompts share
is stored once. Secrets never travel: a record carries at most their names, within the program's
texts. Fields are only ever added, with a default, since workflows outlive versions.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from engine.drive.answers import Reply
from engine.drive.telling import Words
from engine.events import (
    CallFailed,
    CallFinished,
    ModelInfo,
    RunStarted,
    RunStatus,
    Usage,
)
from engine.journal import RunRecord, RunSummary
from engine.runtime.ports import Message, PolicyState

__all__ = [
    "NOT_TAKEN",
    "TYPES",
    "Chunk",
    "Json",
    "ModelOrder",
    "Outcome",
    "Page",
    "RunOrder",
    "Terms",
    "WorkerOrder",
]


#: The type of the error that refuses a note that comes too late.
NOT_TAKEN = "not_taken"


class Terms(msgspec.Struct, frozen=True):
    """The settings of a run on a cluster.

    Attributes:
        queue: Where hosts wait; see `engine.distributed.queues`.
        heartbeat_ms: After how long without a sign a host counts as lost.
        patience_ms: How long a call waits for a host that serves it.
        rollover: After how many events of Temporal's history the run continues as a new
            workflow execution, or None for what the server suggests.
        limit_bytes: The largest value that may travel, or None with a blob store.
    """

    queue: str
    heartbeat_ms: int = 15_000
    patience_ms: int = 3_600_000
    rollover: int | None = None
    limit_bytes: int | None = None


class RunOrder(msgspec.Struct, frozen=True):
    """What the workflow starts from, besides the run's record and the events so far.

    Attributes:
        began: The run's first event; taken in where there are no events yet.
        delays: Calls whose retry is put off: by key, the running time at which they are due.
        losses: How often the host of an attempt was lost: by `key#attempt`.
    """

    began: RunStarted
    terms: Terms
    delays: dict[str, int] = {}
    losses: dict[str, int] = {}


class Chunk(msgspec.Struct, frozen=True):
    """Events of one execution of the workflow, in order, as the bytes of a JSON array each.

    Once written it never changes, so a store that goes by content keeps it once, however often
    the run continues as new.
    """

    events: list[msgspec.Raw]


class Page(msgspec.Struct, frozen=True):
    """Events of a run, for whoever reads along.

    Attributes:
        events: Those from the asked position on, at least one if there is one.
        total: How many there are altogether.
    """

    events: list[msgspec.Raw]
    total: int


class Json(msgspec.Struct, frozen=True):
    """Any JSON value."""

    value: Any


class ModelOrder(msgspec.Struct, frozen=True):
    """One attempt of a call to a model; the schema and the messages travel next to it.

    Attributes:
        name: The declared model; `digest` says what its declaration was.
        params: What the program was folded with, for the host's own reading of it.
        caller: Whose call it is: an orchestrator, worker or verifier.
        max_bytes: The maximum size of the answer; 0 if not set.
    """

    run: str
    key: str
    attempt: int
    name: str
    digest: str
    params: dict[str, Any]
    role: Literal["decision", "worker", "verifier"]
    caller: str
    info: ModelInfo
    structured: bool
    max_tokens: int
    timeout_ms: int
    index: int | None = None
    caller_index: int | None = None
    max_bytes: int = 0


class WorkerOrder(msgspec.Struct, frozen=True):
    """One attempt of a worker's or verifier's call; the input travels next to it.

    Attributes:
        task: What the worker's expressions see as `task`.
        input_bytes: The size of the input, where that may be large; else 0.
    """

    run: str
    key: str
    task_key: str
    attempt: int
    name: str
    digest: str
    params: dict[str, Any]
    task: dict[str, Any]
    timeout_ms: int | None = None
    input_bytes: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """How an attempt ended.

    Attributes:
        refused: The host did not begin it: it has another version of the program, say.
    """

    event: CallFinished | CallFailed
    refused: bool = False


class Ending(msgspec.Struct, frozen=True):
    """What the workflow returns; the events say the rest."""

    status: RunStatus
    reason: str = ""
    bound: str | None = None


#: What may travel, by the name that is in a payload's metadata.
TYPES: dict[str, type[Any]] = {
    it.__name__: it
    for it in (
        Chunk,
        Ending,
        Json,
        Message,
        ModelOrder,
        Outcome,
        Page,
        PolicyState,
        Reply,
        RunOrder,
        RunRecord,
        RunSummary,
        Usage,
        Words,
        WorkerOrder,
    )
}
