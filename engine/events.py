"""Everything that can happen to a run, as a closed union of small records.

Events are facts from outside the machine (a call ended, a person answered) or the intent to
touch the outside (a call starts). They are the journal's rows and the only input of
`engine.runtime.machine.step`; what follows from them (rounds, budgets, stalls) is computed by
folding them and is never stored.

Encoding: JSON by msgspec, tagged with `type`. Fields are only ever added, with a default;
`FORMAT` is raised when an old reader would misunderstand a new event.

`at` is milliseconds of *running* time since the run began: waiting for a person and downtime
before a resume do not count. The driver stamps it; the machine only compares.

`key` names a call by its structural path, so a journal survives an engine that reorders code:

    round 3 / decision 1                      the orchestrator's model, first answer of round 3
    round 3 / decision 1 / task a2            a task of that decision
    round 3 / decision 1 / task a2 / round 1 / decision 1      inside a sub-orchestrator
    round 3 / verify on_track                 an `after_round` hook's verifier
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from engine.prices import Rates

__all__ = [
    "FORMAT",
    "Answer",
    "CallFailed",
    "CallFinished",
    "CallLost",
    "CallStarted",
    "CancelRequested",
    "Event",
    "GateAnswered",
    "GateOpened",
    "HeldTask",
    "ModelInfo",
    "RunEnded",
    "RunForked",
    "RunInterrupted",
    "RunResumed",
    "RunRetried",
    "RunStarted",
    "RunStatus",
    "TaskClosed",
    "TimerFired",
    "Usage",
    "decode_event",
    "encode_event",
]

#: Version of the event format; a journal with a higher one is refused.
FORMAT = 1

RunStatus = Literal["running", "waiting", "finished", "failed", "exhausted", "aborted", "cancelled"]


#: What a person (or a gate's timeout) says. `not_done` is for a `once` task of unknown outcome.
Answer = Literal["approve", "reject", "not_done", "timeout"]


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one call used.

    `cost_micro_usd` is micro-dollars, None where no price is known (never zero), and `cost_usd` in
    the journal. `estimated` says that the provider did not report the tokens, so that the
    reservation counts. `cached_tokens` and `cache_write_tokens` are parts of `input_tokens`,
    `reasoning_tokens` of `output_tokens`.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_micro_usd: int | None = msgspec.field(default=0, name="cost_usd")
    estimated: bool = False
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class ModelInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the run knows of a model: resolved once, at the start, and journaled.

    Attributes:
        id: The id in force (after `--model NAME=ID`).
        metered: Whether calls use tokens and money at all (`python/` models do not).
        input_usd: Micro-dollars for a million prompt tokens, or None if unknown.
        output_usd: The same for the answer's tokens.
        context: Context window in tokens, or None if unknown.
        native: Whether the model takes a JSON Schema for its answer.
        dialect: Which schemas it takes (`engine.dialects.table`); "" if that is not known.
        rates: Its prices by kind of token and length of the prompt, the shortest first; empty where
            `input_usd` and `output_usd` say all.
        charges: Whether its provider reports what it charges, and that is what a call did cost.
    """

    id: str
    metered: bool = True
    input_usd: int | None = None
    output_usd: int | None = None
    context: int | None = None
    native: bool = False
    dialect: str = ""
    rates: tuple[Rates, ...] = ()
    charges: bool = False


class _Base(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", kw_only=True):
    at: int = 0


class RunStarted(_Base, frozen=True, tag="run_started", kw_only=True):
    """The first event of every run: all that the machine needs besides the program."""

    run: str
    orchestrator: str
    input: dict[str, Any]
    models: dict[str, ModelInfo]
    program: str
    """Hash of the program's files and params; the files are in the journal's run record."""
    params: dict[str, Any] = {}
    wall_ms: int = 0
    """Wall-clock time of the start, Unix milliseconds; for people only."""
    bounds: int = 0
    """Which bounds on sizes hold (`engine.sizes.BOUNDS`); 0 for a run of an engine without any."""


class CallStarted(_Base, frozen=True, tag="call_started", kw_only=True):
    """The intent of one attempt; durable before the attempt touches the outside."""

    key: str
    attempt: int = 1
    model: str | None = None
    """Which model of a fallback chain is asked, if the call is to a model."""
    isolated: bool = False
    """It is made in a process of its own, because it may have taken the engine's down."""
    most_usd: int = 0
    """What is set aside for it, in micro-dollars: the most it can cost, where its price is known.
    With the two below, for whoever adds up what an attempt without an end may have cost."""
    most_input: int = 0
    """The tokens of its prompt that are set aside, at most."""
    most_output: int = 0
    """The tokens of its answer that are set aside, at most."""


class CallFinished(_Base, frozen=True, tag="call_finished", kw_only=True):
    """An attempt gave a value. For a model call the value is its text, or what a policy returned.

    Whether the value keeps its contract is the machine's to say, not the driver's.
    """

    key: str
    attempt: int = 1
    value: Any = None
    usage: Usage | None = None
    ms: int = 0
    """How long the attempt took."""
    bytes: int = 0
    """What the value takes while it is kept (`engine.sizes`); 0 where it was not measured."""
    whole: int = 0
    """The size of a decision that was too large to be kept; `value` is its beginning, as text."""


class CallFailed(_Base, frozen=True, tag="call_failed", kw_only=True):
    """An attempt ended without a value. `cut` says that a part of a streamed answer had come,
    `died` that the process it had for itself has died, `schema_refused` that the provider did not
    take the schema of the answer. `where` is the setting that it is about (`Failure.where`), where
    the machine cannot know that by itself. `bound` names a bound of more than this run (`spending`)
    that did not let the attempt begin; the run ends with it."""

    key: str
    mode: str
    attempt: int = 1
    message: str = ""
    retryable: bool = False
    retry_after_ms: int | None = None
    usage: Usage | None = None
    ms: int = 0
    cut: bool = False
    died: bool = False
    schema_refused: bool = False
    where: str = ""
    bound: str = ""


class CallLost(_Base, frozen=True, tag="call_lost", kw_only=True):
    """What carried an attempt out is gone: its host on a cluster died or was cut off.

    It is to this attempt what `RunResumed` is to all that were in flight: its outcome is not
    known, so it is made again unless it may happen only once. `reason` says what was seen.
    """

    key: str
    attempt: int = 1
    reason: str = ""


class TaskClosed(_Base, frozen=True, tag="task_closed", kw_only=True):
    """A task's object has closed in a decision that still streams.

    `key` and `attempt` are those of the decision's call. Only whole tasks are events; pieces of
    text never are.
    """

    key: str
    attempt: int
    task: dict[str, Any]


class TimerFired(_Base, frozen=True, tag="timer_fired", kw_only=True):
    """A timer that the machine asked for has run out."""

    timer: str


class GateOpened(_Base, frozen=True, tag="gate_opened", kw_only=True):
    """The run asks a person.

    Attributes:
        wall_ms: What the gate's timeout counts from, Unix milliseconds: time continues while the
            run waits.
        shown: The question as `gate_report` gives it, so that listing what thousands of runs wait
            for compiles no program; empty where it is long, or the gate was open before.
    """

    key: str
    wall_ms: int = 0
    shown: dict[str, Any] = {}


class GateAnswered(_Base, frozen=True, tag="gate_answered", kw_only=True):
    """A person has answered, or the time ran out.

    Attributes:
        output: For a `once` task recorded as done, or a result given instead of one that
            was not let through; None if there is none.
        edit: The task's input as the person changed it, or None.
        letter: The name of the letter it came by (`engine.journal.inbox`), if it did.
    """

    key: str
    answer: Answer
    note: str = ""
    output: Any = None
    edit: dict[str, Any] | None = None
    by: str = ""
    letter: str = ""
    wall_ms: int = 0


class CancelRequested(_Base, frozen=True, tag="cancel_requested", kw_only=True):
    """The run was asked to end (`orch cancel`); `letter` as for `GateAnswered`."""

    reason: str = ""
    letter: str = ""


class RunInterrupted(_Base, frozen=True, tag="run_interrupted", kw_only=True):
    """The process stopped in good order (Ctrl-C): nothing that was in flight took it down."""


class RunResumed(_Base, frozen=True, tag="run_resumed", kw_only=True):
    """Another process took the run over. `lost` are the keys that were in flight, `models` those
    that replace others from here on."""

    lost: list[str] = []
    models: dict[str, ModelInfo] = {}
    program: str = ""
    """Hash of the program it continues with, if that has changed."""
    wall_ms: int = 0
    bounds: int = 0
    """Which bounds on sizes hold from here on, if more than before; see `RunStarted`."""


class HeldTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """A `write` or `once` task that a run's parent started after the fork.

    Attributes:
        key: The task's structural path in the parent.
        workers: Who carried it out: the task's worker, and the fallback that did where one did.
        input: Hash of its input (hex).
        seq: The number of the event that started it, in the parent's journal.
        outcome: Its outcome in the parent: `done`, `failed`, or `unknown`.
        output: What it gave, where it is `done`.
    """

    key: str
    workers: list[str]
    input: str
    seq: int
    outcome: Literal["done", "failed", "unknown"]
    output: Any = None


class RunForked(_Base, frozen=True, tag="run_forked", kw_only=True):
    """The events before this one were copied from another run; from here on it is a run of its own.

    What the parent had started keeps the parent's idempotency keys; what starts from here on has
    keys of the fork. `held` are the tasks that are not started again without a person's word.
    A `RunResumed` follows it.
    """

    run: str
    parent: str
    seq: int
    held: list[HeldTask] = []
    models: dict[str, ModelInfo] = {}
    program: str = ""
    wall_ms: int = 0


class RunRetried(_Base, frozen=True, tag="run_retried", kw_only=True):
    """A run that had ended is taken up again where it ended (`orch resume --retry-failed`)."""

    models: dict[str, ModelInfo] = {}
    program: str = ""
    wall_ms: int = 0
    bounds: int = 0


class RunEnded(_Base, frozen=True, tag="run_ended", kw_only=True):
    """The run is over, or waits; repeats what the fold of the events before it says, for listings.

    `gates` is how many gates are open where it waits: some may have been called off without an
    event of their own.
    """

    status: RunStatus
    reason: str = ""
    bound: str | None = None
    gates: int = 0


Event = (
    RunStarted
    | CallStarted
    | CallFinished
    | CallFailed
    | CallLost
    | TaskClosed
    | TimerFired
    | GateOpened
    | GateAnswered
    | CancelRequested
    | RunInterrupted
    | RunResumed
    | RunForked
    | RunRetried
    | RunEnded
)

#: The events that tell which gates are open (`engine.runtime.waiting`).
ABOUT_GATES = (GateOpened, GateAnswered, RunResumed, RunForked, RunRetried, RunEnded)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    """One event as JSON."""
    return _encoder.encode(event)


def decode_event(data: bytes) -> Event:
    """Read one event back.

    Raises:
        msgspec.ValidationError: It is not an event of this format.
    """
    return _decoder.decode(data)
