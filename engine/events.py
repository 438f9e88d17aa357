"""Every event of a run, as a closed union of small records.

An event is a fact from outside the machine (a call ended, a person answered), or the intent to act
on the outside (a call starts). Events are the rows of the journal and the only input of
`engine.runtime.machine.step`. Everything that follows from them (rounds, budgets, stalls) is
computed by folding them and is never stored.

Encoding: JSON by msgspec, tagged with `type`. Fields are only ever added, with a default;
`FORMAT` is raised if an old reader would misunderstand a new event. A journal says the least format
that its events need (`format_of`), so older builds read all that they can understand.

`at` is milliseconds of *running* time since the run began: waiting for a person and downtime
before a resume do not count. The driver sets it; the machine only compares it.

`key` names a call by its structural path, so a journal survives an engine that reorders code:

    round 3 / decision 1                      the orchestrator's model, first answer of round 3
    round 3 / decision 1 / task a2            a task of that decision
    round 3 / decision 1 / task a2 / round 1 / decision 1      inside a sub-orchestrator
    round 3 / verify on_track                 the verifier of an `after_round` hook
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from engine.prices import Rates

__all__ = [
    "BASE_FORMAT",
    "FORMAT",
    "STEPS_FORMAT",
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
    "NoteGiven",
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
    "format_of",
]

#: Version of the event format; a journal with a higher one is refused.
FORMAT = 2
#: From which format on the decisions of a run may have steps.
STEPS_FORMAT = 2
#: The format of a journal whose events are all of the first kinds.
BASE_FORMAT = 1

RunStatus = Literal["running", "waiting", "finished", "failed", "exhausted", "aborted", "cancelled"]


#: The answer of a person, or a timeout. `not_done` is for a `once` task of unknown outcome.
Answer = Literal["approve", "reject", "not_done", "timeout"]


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """The usage of one call.

    `cost_micro_usd` is micro-dollars, or None if no price is known (never zero). In the journal it
    is called `cost_usd`. `estimated` means that the provider did not report the tokens, so the
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
    """The data of a model that a run uses: resolved once, at the start, and journaled.

    Attributes:
        id: The id that is used (after `--model NAME=ID`).
        metered: Whether calls use tokens and money at all (`python/` models do not).
        input_usd: Micro-dollars per million prompt tokens, or None if unknown.
        output_usd: The same for tokens of answers.
        context: Context window in tokens, or None if unknown.
        native: Whether the model accepts a JSON Schema for its answer.
        dialect: Which schemas it accepts (`engine.dialects.table`); "" if unknown.
        rates: Its prices by kind of token and length of the prompt, the shortest first; empty if
            `input_usd` and `output_usd` are the only prices.
        charges: Whether its provider reports the charge of a call, which then is its cost.
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
    """The first event of every run: everything that the machine needs besides the program."""

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
    """Which bounds apply (`engine.sizes.BOUNDS`); 0: none (an older engine)."""
    format: int = 1
    """By the rules of which format the run's decisions are read; from 2 on they may have steps."""
    warnings: list[str] = []
    """What the machine it was started on cannot give it: sandboxes that were not demanded."""
    stall: int = 0
    """By which rules a stall is detected (`engine.runtime.stall.RULES`); 0: exact repeats only."""
    verdicts: int = 0
    """By which rules text of strangers is followed. 0: those of an older engine, in which a verdict
    cleared all of a task, and dates and numbers with a fraction counted as text. 1: a verdict
    clears what its verifier looked at, and these hold no text."""


class CallStarted(_Base, frozen=True, tag="call_started", kw_only=True):
    """The intent of one attempt; durable before the attempt does anything external."""

    key: str
    attempt: int = 1
    model: str | None = None
    """For a call to a model: which model of the fallback chain is called."""
    isolated: bool = False
    """Whether the call runs in a separate process, because it may have crashed the engine."""
    most_usd: int = 0
    """What is set aside for it, in micro-dollars: the most it can cost, where its price is known.
    With the two below, for whoever adds up what an attempt without an end may have cost."""
    most_input: int = 0
    """The tokens of its prompt that are set aside, at most."""
    most_output: int = 0
    """The tokens of its answer that are set aside, at most."""


class CallFinished(_Base, frozen=True, tag="call_finished", kw_only=True):
    """An attempt returned a value: for a model call, its text, or the result of a policy.

    The machine decides whether the value fits its contract, not the driver.
    """

    key: str
    attempt: int = 1
    value: Any = None
    usage: Usage | None = None
    ms: int = 0
    """How long the attempt took."""
    bytes: int = 0
    """The size of the value while it is kept (`engine.sizes`); 0 if it was not measured."""
    whole: int = 0
    """The size of a decision that was too large to be kept; `value` is its beginning, as text."""


class CallFailed(_Base, frozen=True, tag="call_failed", kw_only=True):
    """An attempt ended without a value.

    `cut`: a part of a streamed answer had arrived. `died`: its separate process died.
    `schema_refused`: the provider refused the schema of the answer. `where` is the setting that
    failed (`Failure.where`), if the machine cannot determine it. `bound`: a limit beyond this
    run (`spending`) that refused the attempt; the run ends with it. `raised`: the line of
    Python that raised it, such as `tools.py:12`.
    """

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
    raised: str = ""


class CallLost(_Base, frozen=True, tag="call_lost", kw_only=True):
    """The host that made an attempt is lost: on a cluster, it died or was cut off.

    `RunResumed` means the same for all calls in flight: the outcome of the attempt is not known,
    so it is made again unless it may happen only once. `reason` describes what was observed.
    """

    key: str
    attempt: int = 1
    reason: str = ""


class TaskClosed(_Base, frozen=True, tag="task_closed", kw_only=True):
    """A task's object is complete in a decision that is still streaming.

    `key` and `attempt` are those of the call that makes the decision. Only complete tasks are
    events, never pieces of text.
    """

    key: str
    attempt: int
    task: dict[str, Any]


class TimerFired(_Base, frozen=True, tag="timer_fired", kw_only=True):
    """A timer that the machine had set has expired."""

    timer: str


class GateOpened(_Base, frozen=True, tag="gate_opened", kw_only=True):
    """A gate asks a person.

    Attributes:
        wall_ms: The start of the gate's timeout, in Unix milliseconds. The timeout continues
            while the run waits.
        shown: The question as `gate_report` returns it, so that the gates of thousands of runs can
            be listed without compiling programs. Empty if it is long, or if the gate was already
            open.
    """

    key: str
    wall_ms: int = 0
    shown: dict[str, Any] = {}


class GateAnswered(_Base, frozen=True, tag="gate_answered", kw_only=True):
    """A person has answered, or the timeout has expired.

    Attributes:
        output: The output of a `once` task that was done, or a result that replaces a blocked
            one; None if there is none.
        edit: The task's input as the person changed it, or None.
        letter: The name of the letter that delivered the answer (`engine.journal.inbox`), if any.
        items: The numbers of the items that it is about, where a gate lists items of a step; None:
            all of them. Items that are not named are refused by an approval.
        keep_others: Items that are not named stay open, also where others are approved.
    """

    key: str
    answer: Answer
    note: str = ""
    output: Any = None
    edit: dict[str, Any] | None = None
    by: str = ""
    letter: str = ""
    wall_ms: int = 0
    items: list[str] | None = None
    keep_others: bool = False


class NoteGiven(_Base, frozen=True, tag="note_given", kw_only=True):
    """A person has told a planner something (`orch tell`). Since format 2.

    It reaches the next decision that is asked for. The goal stays as it is.

    Attributes:
        note: What was said. It is trusted, as an answer to a gate is.
        task: The key of the task whose orchestrator gets it; empty for the root.
        by: Who said it.
        letter: As in `GateAnswered`. It is never empty: it tells two equal notes apart.
    """

    note: str
    task: str = ""
    by: str = ""
    wall_ms: int = 0
    letter: str = ""


class CancelRequested(_Base, frozen=True, tag="cancel_requested", kw_only=True):
    """The run was asked to end (`orch cancel`); `letter` as in `GateAnswered`."""

    reason: str = ""
    letter: str = ""


class RunInterrupted(_Base, frozen=True, tag="run_interrupted", kw_only=True):
    """The process stopped in an orderly way (Ctrl-C): no call in flight crashed it."""


class RunResumed(_Base, frozen=True, tag="run_resumed", kw_only=True):
    """A process took over the run.

    `lost` are the keys of the calls that were in flight, `models` the replacements from here on.
    """

    lost: list[str] = []
    models: dict[str, ModelInfo] = {}
    program: str = ""
    """Hash of the program from here on, if it has changed."""
    wall_ms: int = 0
    bounds: int = 0
    """Which bounds apply from here on, if more than before; see `RunStarted`."""


class HeldTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """A `write` or `once` task that a run's parent started after the fork.

    Attributes:
        key: The task's structural path in the parent.
        workers: The workers that ran it: the task's worker, and the fallback, if one ran.
        input: Hash of its input (hex).
        seq: The number of the event that started it, in the parent's journal.
        outcome: Its outcome in the parent: `done`, `failed`, or `unknown`.
        output: Its output, if it is `done`.
    """

    key: str
    workers: list[str]
    input: str
    seq: int
    outcome: Literal["done", "failed", "unknown"]
    output: Any = None


class RunForked(_Base, frozen=True, tag="run_forked", kw_only=True):
    """A fork begins: the events before this one were copied from another run, its parent.

    Tasks that the parent had started keep their idempotency keys; tasks that start from here on
    have keys of the fork. `held` are the tasks that are not started again without approval by a
    person. A `RunResumed` follows.
    """

    run: str
    parent: str
    seq: int
    held: list[HeldTask] = []
    models: dict[str, ModelInfo] = {}
    program: str = ""
    wall_ms: int = 0


class RunRetried(_Base, frozen=True, tag="run_retried", kw_only=True):
    """A run that has ended, or a fork that begins, tries again what failed (`--retry-failed`).

    `unused` says that this includes the last round with tasks if no decision was accepted after
    it: then no plan was made from its results. A fork is only retried so. Since format 2.
    """

    models: dict[str, ModelInfo] = {}
    program: str = ""
    wall_ms: int = 0
    bounds: int = 0
    unused: bool = False


class RunEnded(_Base, frozen=True, tag="run_ended", kw_only=True):
    """The run has ended, or waits. Repeats the result of folding the earlier events, for listings.

    `gates` is the number of open gates if it waits: gates may be closed without a separate
    event.
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
    | NoteGiven
    | CancelRequested
    | RunInterrupted
    | RunResumed
    | RunForked
    | RunRetried
    | RunEnded
)

#: The events that determine which gates are open (`engine.runtime.waiting`).
ABOUT_GATES = (GateOpened, GateAnswered, RunResumed, RunForked, RunRetried, RunEnded)

#: The events that older builds do not know or would misread, each with the format it needs.
_NEWER: dict[type, int] = {NoteGiven: 2, RunRetried: 2}

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


def format_of(kind: type) -> int:
    """The least format of a journal that holds an event of this type.

    A run whose decisions may have steps also needs the one that it says (`RunStarted.format`).
    """
    return _NEWER.get(kind, BASE_FORMAT)
