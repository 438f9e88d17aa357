"""The state of a run: what the machine knows, and nothing a person sees is read from elsewhere.

A `RunState` is a fold of the run's events. It is owned by whoever steps it: `machine.step`
changes it in place and hands it back, because a copy per event would make a run quadratic. To
get the state at an earlier point, fold the events up to there.

A run is a tree of loops. A `Loop` is one orchestrator at work; a task whose worker is an
orchestrator has a loop of its own under it. A `Task` is one unit of work of one worker, a
`Check` one verifier's look at something, and a `Call` is the series of attempts that runs
a decision, a task or a check.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from engine.errors import Failure
from engine.events import HeldTask, ModelInfo, RunStatus
from engine.runtime.budget import Ledger, Reservation
from engine.runtime.clearing import NOTHING, Cleared, by_a_person
from engine.runtime.commands import Command, SetTimer, StartCall
from engine.runtime.known_values import Known
from engine.runtime.ports import Message, ModelRequest, WorkerRequest
from engine.runtime.references import Reference
from engine.sema.model import Hook, HookPoint, OnFail, Orchestrator, Program, Verifier, Worker
from engine.sema.plans.conditions import Test
from engine.sema.plans.selection import Entry, Number
from engine.sema.plans.steps import EachStep, ReduceStep, RepeatStep
from engine.sema.plans.values import Scope, compiled
from engine.sema.trust import Facts

if TYPE_CHECKING:
    from engine.bounds import TaskBounds
    from engine.runtime.causes import Cause
    from engine.runtime.decision import DecisionContract
    from engine.runtime.stall.memory import Memory
    from engine.runtime.wire_schema import WireDecision

__all__ = [
    "Block",
    "Breaker",
    "Call",
    "Check",
    "Flow",
    "Frame",
    "Gate",
    "HookRun",
    "Loop",
    "Note",
    "Remark",
    "Round",
    "RunState",
    "Step",
    "Suspects",
    "Task",
    "Todo",
]

TaskStatus = Literal[
    "blocked", "checking", "queued", "running", "unknown", "verifying", "done", "failed", "skipped"
]
StepStatus = Literal["blocked", "running", "done", "failed", "skipped"]
GateKind = Literal["approval", "outcome", "escalation"]
CallStatus = Literal["new", "starved", "asked", "begun", "closed", "ended", "withdrawn"]
LoopPhase = Literal["deciding", "reviewing", "working", "verifying", "finishing", "ending", "over"]


class Todo:
    """What the machine does next; the agenda holds these with their subject.

    The agenda keeps the machine's modules apart: a module reports that something has happened, and
    only `machine.py` knows which module continues from there.

    It is not an `Enum`: every task reads a dozen of these, and CPython 3.11 takes ten times as long
    to read a member of an `Enum`.
    """

    BEGIN_ROUND: Final = "begin round"
    CALL_ENDED: Final = "call ended"
    TASK_READY: Final = "task ready"
    STEP_READY: Final = "step ready"
    STEP_ASKS: Final = "step asks"
    ITEM_ENDED: Final = "item ended"
    VALUES_CAME: Final = "values came"
    SOURCE_OVER: Final = "source over"
    TASK_AGAIN: Final = "task again"
    INNER_ENDED: Final = "inner ended"
    PLAN_STARTS: Final = "plan starts"
    HOOK_ENDED: Final = "hook ended"
    ROUND_WORKED: Final = "round worked"
    LOOP_ENDED: Final = "loop ended"
    LOOP_FULL: Final = "loop full"


#: Which of them it is.
TodoKind = Literal[
    "begin round",
    "call ended",
    "task ready",
    "step ready",
    "step asks",
    "item ended",
    "values came",
    "source over",
    "task again",
    "inner ended",
    "plan starts",
    "hook ended",
    "round worked",
    "loop ended",
    "loop full",
]


class Block:
    """One message of an orchestrator's prompt, rendered when its text is needed.

    What it is rendered from never changes afterwards, so it gives the same bytes whenever it
    is rendered; a planner that takes no prompt costs no rendering.
    """

    __slots__ = ("_render", "_text", "role")

    def __init__(
        self, role: Literal["system", "user", "assistant"], render: str | Callable[[], str]
    ) -> None:
        self.role = role
        self._text: str | None = render if isinstance(render, str) else None
        self._render = None if isinstance(render, str) else render

    @property
    def text(self) -> str:
        """The block's text."""
        if self._text is None:
            assert self._render is not None
            self._text = self._render()
            self._render = None
        return self._text

    def message(self) -> Message:
        """The block as a message of a chat."""
        return Message(self.role, self.text)


class Remark(msgspec.Struct, frozen=True):
    """What a check, a person or the engine says to a planner.

    Attributes:
        head: The engine's own words: what is said of what.
        words: Theirs; "" where the engine says it all.
        untrusted: Whoever said the words had seen untrusted text, and may have quoted it.
        told: The words as the planner reads them, where it is not shown all of them; else None.
    """

    head: str
    words: str = ""
    untrusted: bool = False
    told: str | None = None

    @property
    def text(self) -> str:
        """Both on end, as people read it."""
        return _on_end(self.head, self.words)

    @property
    def for_planner(self) -> str:
        """Both on end, as a planner reads it."""
        return _on_end(self.head, self.words if self.told is None else self.told)


def _on_end(head: str, words: str) -> str:
    return f"{head}: {words}" if words else head


class Note(msgspec.Struct, frozen=True):
    """What a person has told a planner.

    Attributes:
        text: The words.
        by: Who said them; "" where that is not known.
        id: Tells it from other notes, equal ones too.
    """

    text: str
    by: str = ""
    id: str = ""


class Call:
    """The attempts that run one decision, task or check.

    Attributes:
        key: The structural path, stable over attempts.
        subject: Whose call it is.
        status: `starved` waits for budget, `asked` has an open attempt, `begun` has one that is
            known to have started, `closed` has none and nothing decided yet (within a step).
        attempt: The number of the attempt that is open or was the last, from 1.
        begun: The last attempt that is known to have started.
        chain: Names of the models to try, the first and its fallbacks; empty for a worker.
        extra: Messages added by repairs and revisions.
        command: The open command, until it is answered; `request` outlives it.
        bound: The name of the budget that was in the way, if one did.
        broken_off: How many answers of the model in force broke off in the middle of their JSON.
        cut: A part of a streamed answer had come when its last attempt failed.
        suspect: It may have taken the engine down; see `engine.runtime.suspects`.
        deaths: How often a process that it had for itself has died.
        value: The accepted value, once it has one.
        whole: The size of a decision that was too large to be kept whole, else 0.
        failure: How it failed, once it has.
        last_failure: How its last attempt failed, while it waits for the next.
        refused: What was wrong with the value of its last attempt; "" if it was accepted.
        unknown: It may happen only once, was started, and it is not known whether it was done.
    """

    __slots__ = (
        "attempt",
        "begun",
        "bound",
        "broken_off",
        "chain",
        "chain_index",
        "command",
        "cut",
        "deaths",
        "extra",
        "failure",
        "form",
        "key",
        "last_failure",
        "ledger",
        "loop",
        "ms",
        "raw",
        "refused",
        "repairs",
        "request",
        "reservation",
        "retries",
        "started_at",
        "status",
        "subject",
        "suspect",
        "unknown",
        "value",
        "whole",
    )

    def __init__(self, key: str, loop: Loop, subject: Loop | Task | Check) -> None:
        self.key = key
        self.loop = loop
        self.subject = subject
        self.ledger: Ledger = loop.ledger
        self.status: CallStatus = "new"
        self.chain: tuple[str, ...] = ()
        self.chain_index = 0
        #: The wire form that its last request asked a decision in; None for the contract's own.
        self.form: WireDecision | None = None
        self.attempt = 0
        self.begun = 0
        self.retries = 0
        self.repairs = 0
        self.extra: list[Message] = []
        self.command: StartCall | None = None
        self.request: ModelRequest | WorkerRequest | None = None
        self.bound: str | None = None
        self.broken_off = 0
        self.refused = ""
        self.cut = False
        self.suspect = False
        self.deaths = 0
        self.reservation: Reservation | None = None
        self.started_at: int | None = None
        self.ms = 0
        self.raw: Any = None
        self.value: Any = None
        self.whole = 0
        self.failure: Failure | None = None
        self.last_failure: Failure | None = None
        self.unknown = False


class Task:
    """One unit of work for one worker.

    Attributes:
        input: As the decision gave it, references included.
        resolved: With references replaced and defaults filled in, once the task is ready.
        acting: Who carries it out: the worker, or a fallback of it once the worker has failed.
        waits: How many tasks of the same round it still waits for.
        feeds: The tasks of the same round that wait for it.
        after: Workers of which one task must have succeeded first (`limit W { after }`).
        decided_tainted: The decision it is in was made after reading untrusted text.
        tainted: What it returns is, or was made from, untrusted text.
        tainted_by_marks: Of that, only the parts that the file marks `@untrusted` are a stranger's.
        told: A check that had seen untrusted text has said what was wrong with it.
        told_hidden: A check has said so that had seen what the planner is not shown.
        looked_at: What the hooks before it have looked at.
        cached: Its output is that of an earlier task with the same `pure` work.
        edits: How often a person has changed its input.
        again: The number of the retry of the run that continues it, or 0.
        input_bytes: The size of its input with what it refers to; None before it was measured, or
            where it refers to nothing.
        part_bytes: The sizes of its output and of parts of it, by JSON Pointer, each once someone
            refers to it.
        pure_key: What its output depends on, while it runs (see `dispatch`), or None.
        rested: It ended while its loop was waiting for it to end, and nothing followed from that.
        cost_usd: What its own calls have cost, in micro-dollars; None where a price is not known.
        granted: The `human` verifiers whose approval of a plan covers its start.
        step: The step that it is an item or a call of, or None.
        item: The value that an item is about.
        number: Of the item in its step's source, or the level and group of a call of a `reduce`.
        label: The text that is shown for an item, or "".
        counted: Its step has taken note of its end.
        frame: Where its names are looked up inside a plan worker or a `repeat`; None: in its loop.
        plan: The frame of the plan that it runs, if its worker is a plan.
        tree: Its input with references as records, where it is filled from that; else None.
        when: The test without which it is skipped, or None.
    """

    __slots__ = (
        "acting",
        "after",
        "again",
        "attempts",
        "cached",
        "call",
        "child",
        "cost_usd",
        "counted",
        "decided_tainted",
        "edits",
        "ended_at",
        "failure",
        "feedback",
        "feeds",
        "frame",
        "granted",
        "id",
        "input",
        "input_bytes",
        "item",
        "key",
        "label",
        "ledger",
        "looked_at",
        "loop",
        "number",
        "output",
        "part_bytes",
        "partial",
        "plan",
        "pure_key",
        "references",
        "resolved",
        "rested",
        "round",
        "special",
        "started_at",
        "status",
        "step",
        "tainted",
        "tainted_by_marks",
        "told",
        "told_hidden",
        "tree",
        "waits",
        "when",
        "worker",
    )

    def __init__(
        self,
        id: str,
        worker: Worker | Orchestrator,
        loop: Loop,
        input: dict[str, Any],
        key: str,
        special: bool,
        references: list[Reference],
    ) -> None:
        self.id = id
        self.worker = worker
        self.acting = worker
        self.loop = loop
        self.round = loop.round
        self.input = input
        self.key = key
        self.special = special
        self.references = references
        self.resolved: dict[str, Any] = input
        self.status: TaskStatus = "blocked"
        self.waits = 0
        self.feeds: list[Task | Step] = []
        self.after: tuple[str, ...] = ()
        self.step: Step | None = None
        self.item: Any = None
        self.number: Number = ()
        self.label = ""
        self.counted = False
        self.frame: Frame | None = None
        self.plan: Frame | None = None
        self.tree: dict[str, Any] | None = None
        self.when: Test | None = None
        self.output: Any = None
        self.partial: Any = None
        self.input_bytes: int | None = None
        self.part_bytes: dict[str, int] | None = None
        self.pure_key: bytes | None = None
        self.failure: Failure | None = None
        self.call: Call | None = None
        self.feedback = ""
        self.edits = 0
        self.child: Loop | None = None
        self.ledger: Ledger = loop.ledger
        self.attempts = 0
        self.decided_tainted = loop.tainted
        self.tainted = False
        self.tainted_by_marks = False
        self.told = False
        self.told_hidden = False
        self.looked_at = NOTHING
        self.cached = False
        self.again = 0
        self.rested = False
        self.cost_usd: int | None = 0
        self.granted: tuple[str, ...] = ()
        self.started_at: int | None = None
        self.ended_at: int | None = None

    @property
    def path(self) -> str:
        """What the keys of its calls begin with: its key, and another each time it is retried."""
        return f"{self.key} / again {self.again}" if self.again else self.key

    @property
    def over(self) -> bool:
        """Whether it has ended, one way or the other."""
        return self.status in ("done", "failed", "skipped")


class Flow:
    """One source of a step's selection.

    Attributes:
        producer: The task or step whose output it is; None for inputs and expressions.
        streams: Whether the producer's items are taken as they end.
        over: Whether all of its values have come.
    """

    __slots__ = ("over", "producer", "streams")

    def __init__(self, producer: Task | Step | None, streams: bool) -> None:
        self.producer = producer
        self.streams = streams
        self.over = False


class Step:
    """An `each`, a `reduce` or a `repeat` at work; see `engine.sema.plans.steps`.

    Attributes:
        spec: What was decided, or written by an author.
        worker: The worker of its tasks; None for a `repeat`.
        frame: Where its names are looked up; None: in its loop.
        waits: How many tasks and steps it still waits for.
        feeds: The tasks and steps that wait for its end.
        flows: The steps that take its items as they end, with the number of their source.
        sources: The sources of its selection, once it runs.
        collected: Of a `reduce`: the values that it combines, with their numbers.
        pending: Values that are selected and have no task yet; for a `reduce`, groups.
        items: Its tasks by number, in the order in which they were made.
        kept: Its tasks from before it began again, in a retry of the run.
        open: How many of them are not over.
        most_open: How many of them may be, or 0 before the first is made.
        dropped: Values that get no task, because the breaker is open or the step has failed.
        stopped: Why no more tasks are made, or None.
        probing: Its first items run alone, and are not over.
        allowed: How many tasks it has been counted for in the bounds.
        levels: Of a `reduce`: the values of each level; `ABSENT` where one is still to come.
        passes: Of a `repeat`: its passes.
        after: Workers of which one task must have succeeded first (`limit W { after }`).
        gathers: Whether all of its items are made before a person is asked about them.
        asking: The checks of items that wait for a person's word, each with its question.
        asked: How often it has asked a person; one gate for each verifier each time.
        ready: For how many of its items nothing but a person's word is waited for.
        scope: What the inputs of its tasks are filled from.
        filler: What gives their input, without what refers to a skipped producer.
        again: The number of the retry of the run that continues it, or 0.
    """

    __slots__ = (
        "after",
        "again",
        "allowed",
        "asked",
        "asking",
        "collected",
        "decided_tainted",
        "dropped",
        "ended_at",
        "failure",
        "feeds",
        "filler",
        "flows",
        "frame",
        "gathers",
        "id",
        "items",
        "kept",
        "key",
        "levels",
        "loop",
        "most_open",
        "open",
        "output",
        "part_bytes",
        "partial",
        "passes",
        "pending",
        "probing",
        "ready",
        "references",
        "round",
        "scope",
        "sources",
        "spec",
        "started_at",
        "status",
        "stopped",
        "tainted",
        "waits",
        "worker",
    )

    def __init__(
        self,
        spec: EachStep | ReduceStep | RepeatStep,
        worker: Worker | Orchestrator | None,
        loop: Loop,
        key: str,
        id: str,
        frame: Frame | None = None,
    ) -> None:
        self.spec = spec
        self.id = id
        self.worker = worker
        self.loop = loop
        self.round = loop.round
        self.frame = frame
        self.key = key
        self.status: StepStatus = "blocked"
        self.waits = 0
        self.feeds: list[Task | Step] = []
        self.after: tuple[str, ...] = ()
        self.flows: list[tuple[Step, int]] = []
        self.references: list[Reference] = []
        self.sources: list[Flow] = []
        self.collected: list[Entry] = []
        self.pending: deque[Any] = deque()
        self.items: dict[Number, Task] = {}
        self.kept: dict[Number, Task] = {}
        self.open = 0
        self.most_open = 0
        self.dropped: list[tuple[Number, Any, Failure]] = []
        self.stopped: Failure | None = None
        self.probing = False
        self.allowed = 0
        self.levels: list[list[Any]] = []
        self.passes: list[Frame] = []
        self.gathers = False
        self.asking: list[tuple[Check, str]] = []
        self.asked = 0
        self.ready = 0
        self.scope: Scope | None = None
        self.filler: Callable[[Scope], Any] = compiled({})
        self.again = 0
        self.output: Any = None
        self.partial: Any = None
        self.part_bytes: dict[str, int] | None = None
        self.failure: Failure | None = None
        self.tainted = False
        self.decided_tainted = loop.tainted
        self.started_at: int | None = None
        self.ended_at: int | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended, one way or the other."""
        return self.status in ("done", "failed", "skipped")

    @property
    def path(self) -> str:
        """What the keys inside it begin with: its key, and another each time it is retried."""
        return f"{self.key} / again {self.again}" if self.again else self.key

    @property
    def timer(self) -> str:
        """The timer that continues it where one machine step may make no more tasks."""
        return f"{self.path} / more"


class Frame:
    """The names inside one run of a plan worker, or one pass of a `repeat`.

    Attributes:
        owner: The plan worker's task, or the `repeat`.
        outer: Where a name is looked up that is not here; None in a plan worker.
        inputs: The inputs of the plan worker.
        last: What the pass before gave.
        path: What the keys in it begin with.
        prefix: What the ids of its tasks begin with: `r[0].` in a pass.
        open: How many of its tasks and steps are not over; items are counted by their step.
        made: How many tasks it has become, items of its steps and of passes in it included.
        counted: Its plain tasks have been counted in the bounds.
        reopens: It was done, and something in it is done again in a retry of the run.
    """

    __slots__ = (
        "counted",
        "inputs",
        "last",
        "loop",
        "made",
        "open",
        "outer",
        "owner",
        "path",
        "prefix",
        "reopens",
        "steps",
        "tasks",
    )

    def __init__(
        self,
        owner: Task | Step,
        inputs: Mapping[str, Any],
        path: str,
        *,
        outer: Frame | None = None,
        prefix: str = "",
        last: Any = None,
    ) -> None:
        self.owner = owner
        self.loop = owner.loop
        self.outer = outer
        self.inputs = inputs
        self.last = last
        self.path = path
        self.prefix = prefix
        self.open = 0
        self.made = 0
        self.counted = False
        self.reopens = False
        self.tasks: dict[str, Task] = {}
        self.steps: dict[str, Step] = {}

    def every_task(self) -> Iterator[Task]:
        """Its tasks, those of its steps and of the passes in it included."""
        yield from self.tasks.values()
        for step in self.steps.values():
            for inner in step.passes:
                yield from inner.every_task()


class Breaker:
    """How the tasks of one worker have failed in a row.

    Attributes:
        mode: The mode in which all of them failed.
        count: How many.
        open: Why no more of them start, or None.
    """

    __slots__ = ("count", "mode", "open")

    def __init__(self) -> None:
        self.mode = ""
        self.count = 0
        self.open: Failure | None = None


class HookRun:
    """One passage through the hooks of a point: their checks, one hook after the other.

    Attributes:
        hook: The hook whose verifiers are looking, or the last one that did.
        rest: The hooks still to come; none is looked at after one that did not pass.
        offers: What the hook offers, by name; values are computed when a verifier binds them.
        failed: `(verifier, feedback, cause)` of the checks that did not pass; the cause is why a
            verifier gave no verdict, or None where it gave one.
        chained: The verifiers of the hook's `else` have been asked.
        overruled: What `failed` held when they were, until they have let it pass.
        refused: A person has said no to what the hook asks, and did not just let the time run out.
        passed: How many of the hook's checks did; one that was skipped counts nowhere.
        passes: Those of the hook's verifiers that did.
        cleared: What the hooks of the passage that have passed have looked at.
        number: Of the hook in this passage, from 1.
        parked: How many of the hook's checks wait for a person to be asked about all items.
        ready: Nothing else is waited for; counted in its step.
        forced: The action that follows whatever the hook says, such as a gate's `on_timeout`.
        superseded: A person has changed the input it looked at; another passage looks again.
    """

    __slots__ = (
        "chained",
        "cleared",
        "failed",
        "forced",
        "hook",
        "key",
        "loop",
        "number",
        "offers",
        "overruled",
        "parked",
        "passed",
        "passes",
        "ready",
        "refused",
        "rest",
        "superseded",
        "task",
        "waits",
    )

    def __init__(
        self,
        hooks: Sequence[Hook],
        loop: Loop,
        key: str,
        offers: Mapping[str, Callable[[], Any]],
        task: Task | None,
    ) -> None:
        self.hook = hooks[0]
        self.rest = deque(hooks)
        self.loop = loop
        self.key = key
        self.offers = offers
        self.task = task
        self.waits = 0
        self.failed: list[tuple[str, str, Cause | None]] = []
        self.chained = False
        self.overruled: list[tuple[str, str, Cause | None]] = []
        self.refused = False
        self.passed = 0
        self.passes: list[Verifier] = []
        self.cleared: Cleared = NOTHING
        self.number = 0
        self.parked = 0
        self.ready = False
        self.forced: OnFail | None = None
        self.superseded = False

    @property
    def looked(self) -> tuple[str, ...]:
        """The verifiers that the hook has asked."""
        hook = self.hook
        return hook.every_verifier if self.chained else hook.verifiers

    def next_hook(self) -> None:
        """Give the next hook its turn; there is one."""
        self.hook = self.rest.popleft()
        self.number += 1
        self.chained = self.refused = False
        self.overruled = []

    def ask_otherwise(self) -> None:
        """Let the verifiers of `else` decide in place of those that did not let pass."""
        self.chained = True
        self.overruled, self.failed = self.failed, []
        self.passed, self.forced = 0, None
        # Only what they look at counts: what has said no clears nothing.
        self.passes = []

    def let_pass(self) -> None:
        """A person has overruled the hook: it counts as one that has looked and passed."""
        self.failed.clear()
        self.overruled = []
        self.forced = None
        self.cleared = by_a_person(self.cleared, self.hook)


class Check:
    """One verifier's look at what a hook offers; `bound` is the verifier's input, `bound_bytes` its
    size, or 0 where it was not measured."""

    __slots__ = ("bound", "bound_bytes", "call", "hook_run", "verifier")

    def __init__(self, verifier: Verifier, hook_run: HookRun, bound: dict[str, Any]) -> None:
        self.verifier = verifier
        self.hook_run = hook_run
        self.bound = bound
        self.bound_bytes = 0
        self.call: Call | None = None


class Gate:
    """A question to a person, and what waits for the answer.

    Attributes:
        kind: `approval` (a `human` verifier asks), `outcome` (a `once` task was started and
            it is not known whether it was done) or `escalation` (a hook or a stall asks).
        message: The question.
        options: What a person may choose, for display; empty for yes or no.
        opened_ms: Wall-clock time it was opened (Unix milliseconds), or None.
        helds: By the key of each task that is asked about: what a fork's parent did with it.
        step: The step whose items it is about, in place of one task.
        tasks: These items.
        checks: Of an approval: the check of each of them.
        questions: Of an approval: what each of these checks asks.
        before: What was asked about before (see `engine.runtime.changed`), or None in it; None
            where the gate has not opened.
    """

    __slots__ = (
        "before",
        "check",
        "checks",
        "helds",
        "key",
        "kind",
        "loop",
        "message",
        "opened_ms",
        "options",
        "questions",
        "resume",
        "step",
        "task",
        "tasks",
        "timeout_ms",
    )

    def __init__(
        self,
        key: str,
        kind: GateKind,
        loop: Loop,
        message: str,
        *,
        task: Task | None = None,
        check: Check | None = None,
        options: tuple[str, ...] = (),
        timeout_ms: int | None = None,
        resume: HookRun | None = None,
    ) -> None:
        self.key = key
        self.kind: GateKind = kind
        self.loop = loop
        self.message = message
        self.task = task
        self.check = check
        self.options = options
        self.timeout_ms = timeout_ms
        self.resume = resume
        self.helds: dict[str, HeldTask] = {}
        self.step: Step | None = None
        self.tasks: list[Task] = []
        self.checks: list[Check] = []
        self.questions: list[str] = []
        self.before: tuple[Any] | None = None
        self.opened_ms: int | None = None


class Round:
    """What happened in one round.

    Attributes:
        decision: The accepted decision, or None where the round failed.
        tasks: Its tasks, in the order of the decision.
        steps: Its steps, in the order of the decision.
        items: How many tasks its decision has become, for `max_items`.
        feedback: What verifiers and the engine said in it.
        verdicts: `(hook point, verifier, ok, feedback)` in order.
        answers: What people have answered in it, each with what they were shown (see
            `engine.runtime.questions`).
        rejected: Of each decision that was not accepted, in order, what was wrong with it.
        first_block: Where its blocks begin in the prompt.
        closed: What it brought is in the prompt.
        again: The number of the retry of the run that continues it, or 0.
        chain_index: Which model of the orchestrator's chain decides: the ones before have failed.
        asked_before: How many decisions the models before it were asked for.
        broken_off: How many of its answers broke off in the middle of their JSON.
        notes: What people have said that its decisions were asked with.
        planned: The tasks of its decision, while `before_round` hooks look at them; `estimate` is
            what they may take, and `counts` how many tasks each entry may become, as of the
            moment the hooks began to.
        refused: Those hooks did not let its plan pass.
        proposed: The planner's own decision, where a person has replaced it.
        edits: How often a person has; `edited_by` is who did last.
    """

    __slots__ = (
        "again",
        "answers",
        "asked_before",
        "attempts",
        "broken_off",
        "chain_index",
        "closed",
        "counts",
        "decision",
        "edited_by",
        "edits",
        "estimate",
        "feedback",
        "first_block",
        "items",
        "notes",
        "number",
        "open_tasks",
        "planned",
        "proposed",
        "refused",
        "rejected",
        "steps",
        "tasks",
        "verdicts",
    )

    def __init__(self, number: int, first_block: int) -> None:
        self.number = number
        self.first_block = first_block
        self.attempts = 0
        self.decision: dict[str, Any] | None = None
        self.tasks: list[Task] = []
        self.steps: list[Step] = []
        self.items = 0
        self.open_tasks = 0
        self.feedback: list[Remark] = []
        self.verdicts: list[tuple[str, str, bool, str]] = []
        self.answers: list[dict[str, Any]] = []
        self.rejected: list[str] = []
        self.closed = False
        self.again = 0
        self.chain_index = 0
        self.asked_before = 0
        self.broken_off = 0
        self.notes: list[Note] = []
        self.planned: list[Task | Step] = []
        self.estimate: dict[str, Any] = {}
        self.counts: dict[str, int | None] = {}
        self.refused = False
        self.proposed: dict[str, Any] | None = None
        self.edits = 0
        self.edited_by = ""

    @property
    def entries(self) -> list[Task | Step]:
        """Its tasks and steps, in the order of the decision."""
        if not self.steps:
            return [*self.tasks]
        every: list[Task | Step] = [*self.tasks, *self.steps]
        made = {entry.id: entry for entry in every}
        named = [spec["id"] for spec in (self.decision or {}).get("tasks", ())]
        return [made[name] for name in dict.fromkeys([*named, *made]) if name in made]


class Loop:
    """One orchestrator at work.

    Attributes:
        path: Prefix of the keys of its calls; "" for the root.
        shown_path: The same as workers and checks see it, once it has begun.
        task: The parent's task it runs, or None for the root.
        blocks: Its prompt: append-only.
        cause: What in the program it is about that it did not finish, or None.
        done: By worker: its tasks that are done, in the order of their ends.
        taken: Task ids that cannot be given again.
        taken_back: By number: rounds without a decision that a retry of the run has taken back.
        best: The last result that kept the output contract but was not let through.
        kept_bytes: The size of all that has come back in it and below it, and of its goal.
        seen: Marks of the outputs seen so far, to tell new information from old.
        memory: What the detectors of a stall remember, from the first round that they look at.
        notes: What people have said that no decision was asked with yet.
        steps: Its steps by id; their items are in `tasks`.
        frames: The frames inside it, of plan workers and passes.
        breakers: By worker: how the items of steps have failed since the last decision.
        has_tainted: A task of it has given untrusted text.
        by_person: A person has entered its result.
    """

    __slots__ = (
        "_hooks",
        "best",
        "blocks",
        "bound",
        "breakers",
        "by_person",
        "cause",
        "closing",
        "compactions",
        "decisions",
        "depth",
        "dispatches",
        "done",
        "early",
        "escalated",
        "feedback",
        "frames",
        "goal",
        "has_tainted",
        "held",
        "input",
        "instructions",
        "kept_bytes",
        "ledger",
        "memory",
        "notes",
        "opening",
        "orchestrator",
        "output",
        "path",
        "phase",
        "queue",
        "reason",
        "replans",
        "result",
        "revisions",
        "rounds",
        "running",
        "seen",
        "settled_input",
        "shown_path",
        "stalled",
        "started_at",
        "status",
        "steps",
        "tainted",
        "taken",
        "taken_back",
        "task",
        "tasks",
        "worker_dispatches",
        "worker_ledgers",
    )

    def __init__(
        self,
        orchestrator: Orchestrator,
        decisions: DecisionContract,
        input: dict[str, Any],
        ledger: Ledger,
        task: Task | None = None,
    ) -> None:
        self.orchestrator = orchestrator
        self.decisions = decisions
        self.input = input
        self.ledger = ledger
        self.task = task
        self.path = "" if task is None else _path_under(task)
        self.shown_path = self.path
        self.depth: int = 1 if task is None else task.loop.depth + 1
        self.goal = ""
        self.instructions = ""
        self.phase: LoopPhase = "deciding"
        self.status: RunStatus = "running"
        self.reason = ""
        self.bound: str | None = None
        self.cause: Cause | None = None
        self.escalated = False
        self.tainted = False
        # How it will have ended once nothing that may happen only once is open any more.
        self.held: tuple[RunStatus, str, str | None] | None = None
        self.output: Any = None
        self.best: Any = None
        self.result: Any = None
        self.kept_bytes = 0
        self.rounds: list[Round] = []
        self.tasks: dict[str, Task] = {}
        self.steps: dict[str, Step] = {}
        self.frames: list[Frame] = []
        self.breakers: dict[str, Breaker] = {}
        self.has_tainted = False
        self.by_person = False
        self.taken: set[str] = set()
        self.taken_back: dict[int, Round] = {}
        self.done: dict[str, list[Task]] = {}
        self.blocks: list[Block] = []
        #: The first block in a wire form: the form, and the text.
        self.opening: tuple[WireDecision, str] | None = None
        # (number of blocks, prompt tokens the provider counted for them, the model's name)
        self.settled_input: tuple[int, int, str] | None = None
        self.feedback: list[Remark] = []
        self.notes: list[Note] = []
        self.queue: deque[Task] = deque()
        self.running = 0
        # Tasks of the current round that started before its decision was accepted, and whether
        # the round closes as soon as they are over.
        self.early: dict[str, Task] = {}
        self.closing = False
        self.compactions = 0
        self.dispatches = 0
        self.worker_dispatches: dict[str, int] = {}
        self.worker_ledgers: dict[str, Ledger] = {}
        self.revisions: dict[str, int] = {}
        self.seen: set[int] = set()
        self.memory: Memory | None = None
        #: What `hooks` has found; each task asks twice.
        self._hooks: dict[tuple[HookPoint, str | None], list[Hook]] = {}
        self.started_at = 0
        self.stalled = 0
        self.replans = 0

    @property
    def round(self) -> int:
        """The number of the current round, from 1; 0 before the first."""
        return len(self.rounds)

    @property
    def current(self) -> Round:
        """The current round."""
        return self.rounds[-1]

    @property
    def over(self) -> bool:
        """Whether this orchestrator has ended, or only waits for `once` tasks to come to rest."""
        return self.phase in ("over", "ending")

    def shown(self, key: str) -> str:
        """A key under this loop as workers and checks see it."""
        path, shown_path = self.path, self.shown_path
        return key if path == shown_path else shown_path + key[len(path) :]

    def hooks(self, point: HookPoint, worker: str | None = None) -> list[Hook]:
        """The hooks at a point of this loop (for dispatch hooks: of one worker)."""
        found = self._hooks.get((point, worker))
        if found is None:
            found = self._hooks[point, worker] = [
                hook
                for hook in self.orchestrator.hooks
                if hook.point == point and hook.worker == worker
            ]
        return found

    def last_outputs(self) -> dict[str, Any]:
        """By worker: the output of its last task that is done."""
        return {name: done[-1].output for name, done in self.done.items() if done}

    def entry(self, name: str) -> Task | Step | None:
        """A task or step of it by id; not those inside plan workers."""
        return self.tasks.get(name) or self.steps.get(name)

    def holds_back(self, entry: Task | Step) -> bool:
        """Whether hooks look at the plan of an entry still, so that it may not start."""
        reviewing = self.phase == "reviewing" and entry.frame is None
        return reviewing and self.entry(entry.id) is not entry

    def every_task(self) -> Iterator[Task]:
        """Each task of it, those inside plan workers and passes too; not those of loops below."""
        yield from self.tasks.values()
        for frame in self.frames:
            yield from frame.tasks.values()

    def every_step(self) -> Iterator[Step]:
        """Each step of it, those inside plan workers and passes too; not those of loops below."""
        yield from self.steps.values()
        for frame in self.frames:
            yield from frame.steps.values()

    def lineage(self) -> Iterator[Loop]:
        """This loop and those above it, up to the root."""
        at: Loop | None = self
        while at is not None:
            yield at
            at = at.task.loop if at.task is not None else None


def _path_under(task: Task) -> str:
    """What the keys under a task begin with: another at each time the task runs."""
    again = f"attempt {task.attempts} / " if task.attempts > 1 else ""
    return f"{task.key} / {again}"


class Suspects:
    """The calls that may have taken the engine down; the rule is in `engine.runtime.suspects`.

    Attributes:
        calls: Those that are not over yet, in the order in which they have their turns.
        on_trial: The one whose turn it is.
        kept_back: Calls that may not start while there are suspects.
        total: How many there have been in the run.
    """

    __slots__ = ("calls", "kept_back", "on_trial", "total")

    def __init__(self) -> None:
        self.calls: deque[Call] = deque()
        self.on_trial: Call | None = None
        self.kept_back: list[Call] = []
        self.total = 0


class RunState:
    """The state of one run. See the module's text on who owns it.

    Attributes:
        parent: The run it was forked from, or "".
        owners: By key: the run under whose idempotency key a task or check was started, where
            that is not this one.
        made: How many tasks steps have made in this machine step.
        held: Tasks of the parent that are not started again without a person's word, by key;
            `held_inputs` has them by the hash of their input.
        released: Keys of the tasks that may start anyway.
        retries: How often the run was taken up again after its end.
        retries_unused: What `RunRetried.unused` said the last time.
        edited: By key: the input of a task before a person changed it at a gate, and after.
        kept: By key: the input and the output of a task that is done again if its input differs,
            who gave it, and whether it is tainted.
        entered: By key: the input of a retried plan whose producers run again, and how it failed.
        bounds: Which bounds hold (`engine.sizes.BOUNDS`); 0 is none.
        stall: By which rules a stall is detected (`engine.runtime.stall.RULES`).
        grants: How many starts people have approved with plans (`engine.runtime.grants`).
        task_bounds: By orchestrator: the most that one task of each worker takes.
        asked_about: By worker and whoever asks: what a gate asked about last.
        verdicts: What verdicts clear, as `RunStarted` says.
        known: What it remembers of values, for `@from` and `endorse`.
    """

    __slots__ = (
        "agenda",
        "approved",
        "asked_about",
        "bound",
        "bounds",
        "calls",
        "checks_inside",
        "commands",
        "decisions",
        "edited",
        "ended",
        "entered",
        "facts",
        "gates",
        "grants",
        "held",
        "held_inputs",
        "in_prompt",
        "input",
        "interrupted",
        "kept",
        "known",
        "lost",
        "made",
        "model_calls",
        "models",
        "now",
        "owners",
        "params",
        "parent",
        "program",
        "program_hash",
        "pure",
        "reason",
        "released",
        "retries",
        "retries_unused",
        "root",
        "run",
        "stall",
        "starts",
        "starved",
        "status",
        "suspects",
        "task_bounds",
        "timers",
        "unplayed",
        "verdicts",
        "wall_ms",
        "warnings",
    )

    def __init__(self, program: Program) -> None:
        self.program = program
        self.params = program.param_values()
        self.program_hash = ""
        self.run = ""
        self.status: RunStatus = "running"
        self.reason = ""
        self.bound: str | None = None
        self.ended = False
        self.input: dict[str, Any] = {}
        self.models: dict[str, ModelInfo] = {}
        self.root: Loop | None = None
        self.now = 0
        self.wall_ms = 0
        self.calls: dict[str, Call] = {}
        self.timers: dict[str, SetTimer] = {}
        self.starved: deque[Call] = deque()
        self.model_calls: dict[str, int] = {}
        self.starts = 0
        self.lost = 0
        self.made = 0
        self.parent = ""
        self.owners: dict[str, str] = {}
        self.held: dict[str, HeldTask] = {}
        self.held_inputs: dict[str, list[HeldTask]] = {}
        self.released: set[str] = set()
        self.retries = 0
        self.retries_unused = False
        self.kept: dict[str, tuple[Any, Any, Worker | Orchestrator, bool]] = {}
        self.edited: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self.entered: dict[str, tuple[dict[str, Any], Failure | None]] = {}
        self.bounds = 0
        self.stall = 0
        #: The last process stopped in good order: what was in flight did not take it down.
        self.interrupted = False
        self.suspects = Suspects()
        self.gates: dict[str, Gate] = {}
        self.approved: set[bytes] = set()
        self.asked_about: dict[tuple[str, ...], Any] = {}
        self.grants: dict[bytes, int] = {}
        self.task_bounds: dict[str, TaskBounds] = {}
        #: By worker and input: what `pure` work gave, and who carried it out.
        self.pure: dict[bytes, tuple[Any, Worker]] = {}
        self.facts: dict[str, Facts] = {}
        #: By orchestrator and plan worker: whether all effects inside it have checks of their own.
        self.checks_inside: dict[tuple[str, str], bool] = {}
        self.known = Known()
        self.verdicts = 0
        self.warnings: list[str] = []
        #: Models whose provider refused a schema: theirs go into the prompt.
        self.in_prompt: set[str] = set()
        #: Those of the warnings that say of a script that it was not played to its end.
        self.unplayed: list[str] = []
        self.decisions: dict[str, DecisionContract] = {}
        self.agenda: deque[tuple[TodoKind, Any]] = deque()
        self.commands: list[Command] = []

    @property
    def loop(self) -> Loop:
        """The root loop.

        Raises:
            AssertionError: Before `RunStarted`.
        """
        assert self.root is not None, "the run has not started"
        return self.root

    def todo(self, what: TodoKind, subject: Any) -> None:
        """Put something on the agenda."""
        self.agenda.append((what, subject))

    def open_commands(self) -> list[Command]:
        """What a driver that takes the run over must do again: unanswered calls and timers."""
        if self.ended:
            return []
        commands: list[Command] = [c.command for c in self.calls.values() if c.command is not None]
        commands.extend(self.timers.values())
        return commands
