"""The checked program: a `.orch` file with names resolved and params folded.

`engine.sema.check` makes a `Program`, which never changes. A resolved name is the name that a thing
has in the entry file (`search`, or `common.fast` for an import with an alias). Params are folded to
the values from the caller. Settings have been checked against the table in
`engine.sema.settings.table`, so nothing here needs to be checked again.

Units: durations are int milliseconds (`*_ms`), money is int micro-dollars (`*_usd`), sizes are
int bytes (`*_bytes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import msgspec

from engine.prices import Rates
from engine.sema.expressions.template import Expression, Template
from engine.sema.plans.steps import Plan
from engine.sema.settings.table import default_of
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import Type
from engine.sizes import (
    MAX_OUTPUT_BYTES,
)
from engine.source import Span

__all__ = [
    "CHANGING",
    "EVERY_INPUT",
    "AllowedSource",
    "Assertion",
    "Breaker",
    "Budget",
    "Context",
    "Effect",
    "Facts",
    "Hook",
    "HookPoint",
    "InputSources",
    "Mock",
    "Model",
    "OnFail",
    "Orchestrator",
    "Param",
    "Policy",
    "Price",
    "Program",
    "Retry",
    "Sandbox",
    "Server",
    "Show",
    "Stall",
    "Test",
    "TestBody",
    "Verifier",
    "Worker",
    "WorkerLimit",
    "called_by",
    "fallback_chain",
    "reached",
]

Effect = Literal["pure", "read", "write", "once"]
#: The effects that change something outside.
CHANGING: frozenset[Effect] = frozenset(("write", "once"))
HookPoint = Literal[
    "before_round", "before_dispatch", "after_dispatch", "after_round", "before_finish"
]
OnFail = Literal["revise", "abort", "escalate", "warn", "deny"]
#: How much of an output a planner sees.
Show = Literal["full", "preview", "shape", "none"]


class Retry(msgspec.Struct, frozen=True):
    """How often a failed call is made again: at most `max` more times, for the modes in `on`.

    An empty `on` means every failure that says it is retryable, and `timeout`.
    The wait before retry n (from 1) is `min(backoff_ms * 2**(n-1), 60000)`, or what the other
    side asked for if that is longer.
    """

    max: int
    on: tuple[str, ...] = ()
    backoff_ms: int = default_of("retry", "backoff")


class Price(msgspec.Struct, frozen=True):
    """Micro-dollars for a million tokens, of the prompt and of the answer.

    Attributes:
        cached_usd: Of the prompt, where it is read from a cache; None: as `input_usd`.
        written_usd: Of the prompt, where it is written to a cache; None: as `input_usd`.
    """

    input_usd: int
    output_usd: int
    cached_usd: int | None = None
    written_usd: int | None = None


def declared_rates(price: Price) -> Rates:
    """A declared price as the rates that apply to every prompt."""
    return Rates(
        price.input_usd,
        price.output_usd,
        cached_usd=price.cached_usd,
        written_usd=price.written_usd,
    )


class Budget(msgspec.Struct, frozen=True):
    """What may be spent at most; None means no bound of its own."""

    cost_usd: int | None = None
    tokens: int | None = None
    time_ms: int | None = None


class Model(msgspec.Struct, frozen=True):
    """`model NAME { ... }`.

    Attributes:
        id: A LiteLLM id (`openai/gpt-5-mini`), or `scripted/FILE.json`, `recorded/DIR`,
            `python/module:function`, `local/FILE.gguf`.
        base_dir: The folder of the file that declares it; relative ids are looked up there.
        structured: `auto`, `native` or `prompt`.
        context: The context window in tokens, where the file says it.
        options: Further settings handed to the model's API as they are, such as
            `temperature`, `top_p`, `seed`, `api_base`.
    """

    name: str
    id: str
    base_dir: str
    span: Span
    doc: str | None = None
    fallback: tuple[str, ...] = ()
    retry: Retry | None = None
    timeout_ms: int = default_of("model", "timeout")
    max_tokens: int = default_of("model", "max_tokens")
    max_concurrent: int | None = None
    rpm: int | None = None
    tpm: int | None = None
    price: Price | None = None
    structured: Literal["auto", "native", "prompt"] = default_of("model", "structured")
    context: int | None = None
    max_prompt_bytes: int = default_of("model", "max_prompt_bytes")
    options: Mapping[str, Any] = {}


class Server(msgspec.Struct, frozen=True):
    """`server NAME via mcp { ... }`.

    Attributes:
        settings: Its checked settings, as those of a worker.
        tools: Its tools when they were last kept (`engine.sema.kinds.mcp_snapshot.Tool` by name),
            or None where no snapshot lies next to the file.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    base_dir: str
    span: Span
    doc: str | None = None
    tools: Mapping[str, Any] | None = None


class Assertion(msgspec.Struct, frozen=True):
    """`assert test else message`."""

    test: Expression
    message: Template | Expression | None
    span: Span

    def say(self, scope: Mapping[str, Any]) -> str:
        """The message after `else`, in a scope; "" where there is none.

        Raises:
            EvaluationError: It cannot be evaluated there.
        """
        if self.message is None:
            return ""
        if isinstance(self.message, Template):
            return self.message.render(scope)
        return str(self.message.evaluate(scope))


#: `Facts.address` of what may talk to whomever any of its inputs names.
EVERY_INPUT = ("*",)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine must know about how a worker or verifier runs, whatever its kind.

    Attributes:
        done_by: A port, a model that the machine asks, a person at a gate, or the machine itself.
        model: The declared model that is asked, where a model does it.
        server: The declared server that it is reached through.
        waits_outside: Whether it waits for something that this process does not control.
        sends_out: Whether what it is given leaves this machine.
        talks_to: To whom: the same words for the same receiver; "" for one of its own.
        address: The inputs that decide whom it talks to; `EVERY_INPUT` where each of them may.
        network: How much of the network the sandbox that its file demands has: `none`, the `hosts`
            that it lists, or `any`. `unknown` without one, and also with one by default, which not
            every machine can make.
        runs_user_code: Whether it runs code of the user's inside the engine's process, which that
            code may take down.
    """

    done_by: Literal["port", "model", "person", "machine"] = "port"
    model: str | None = None
    server: str | None = None
    waits_outside: bool = False
    sends_out: bool = False
    talks_to: str = ""
    address: tuple[str, ...] = ()
    network: Literal["none", "hosts", "any", "unknown"] = "unknown"
    runs_user_code: bool = False


class Sandbox(msgspec.Struct, frozen=True):
    """`sandbox { network = none  read = [...]  write = [...]  env = [...] }`.

    Attributes:
        network: `none`, `any`, or patterns of hosts: `example.org`, `*.example.org:8443`.
        read: What may be read besides what always may, as it is written.
        write: What may be changed, as it is written.
        env: Variables to pass on.
        demanded: Whether the file says so; if not, it holds where the machine can make one.
        only_network: Whether files and environment are as outside: for a function that runs inside
            the engine's process.
    """

    network: Literal["none", "any"] | tuple[str, ...] = default_of("sandbox", "network")
    read: tuple[str, ...] = default_of("sandbox", "read")
    write: tuple[str, ...] = default_of("sandbox", "write")
    env: tuple[str, ...] = default_of("sandbox", "env")
    demanded: bool = True
    only_network: bool = False

    @property
    def reach(self) -> Literal["none", "hosts", "any"]:
        """How much of the network it has, without the names of hosts."""
        if isinstance(self.network, str):
            return self.network
        return "hosts" if self.network else "none"


class AllowedSource(msgspec.Struct, frozen=True):
    """One name in `@from(...)`.

    Attributes:
        name: `request`, `person`, or the canonical name of a worker or orchestrator.
        at: The field of its output, as names from the outside in; lists on the way are gone
            through. Empty: any part.
    """

    name: str
    at: tuple[str, ...] = ()


class InputSources(msgspec.Struct, frozen=True):
    """Where (a part of) an input may come from: `to: email @from(request, contacts)`.

    Attributes:
        path: The input, then fields in it; `*` is each item of a list.
        allowed: The sources. What the program itself writes, and what a person has approved or
            edited, is always allowed.
        span: Where `@from` is written.
    """

    path: tuple[str, ...]
    allowed: tuple[AllowedSource, ...]
    span: Span


class Worker(msgspec.Struct, frozen=True):
    """A contract and how it runs.

    Attributes:
        inputs: The contract of the input object, one property an input.
        output: The contract of what it returns.
        fails: The failure modes it declares.
        trust: `untrusted` marks its output as coming from outside.
        settings: The settings of its kind (see `engine.sema.settings.table`): constants as plain
            values, templates as `Template`, computed values as `Expression`; a reference to
            a model or server as its name.
        repair_max: How often an output that breaks the contract is asked for again.
        facts: What follows from its kind and settings.
        plan: Its steps, where it is a `via plan` worker.
        commutes: Whether its effects may come in any order, where it has any.
        show: What a planner sees of its output, or None where the file does not say.
        sources: Where its inputs may come from, for those that have `@from`.
    """

    name: str
    kind: str
    inputs: Contract
    output: Contract
    fails: tuple[str, ...]
    effect: Effect
    trust: Literal["trusted", "untrusted"]
    settings: Mapping[str, Any]
    base_dir: str
    span: Span
    doc: str | None = None
    timeout_ms: int | None = None
    retry: Retry | None = None
    repair_max: int = 0
    fallback: tuple[str, ...] = ()
    facts: Facts = Facts()
    plan: Plan | None = None
    commutes: bool = False
    show: Show | None = None
    sources: tuple[InputSources, ...] = ()

    @property
    def changes_something(self) -> bool:
        """Whether carrying it out changes the world outside: a `write` or `once` worker."""
        return self.effect in CHANGING

    @property
    def max_bytes(self) -> int:
        """What one answer of it may take."""
        most: int = self.settings.get("max_bytes", MAX_OUTPUT_BYTES)
        return most


class Verifier(msgspec.Struct, frozen=True):
    """A check; its output is always a verdict `{ok, feedback, score?}`.

    `pass_when` is None for the default, `ok`. `assertions` are for kind `rules`, `on_timeout` is
    for gates.
    """

    name: str
    kind: str
    inputs: Contract
    settings: Mapping[str, Any]
    base_dir: str
    span: Span
    doc: str | None = None
    assertions: tuple[Assertion, ...] = ()
    pass_when: Expression | None = None
    skip_when: Expression | None = None
    timeout_ms: int | None = None
    on_timeout: Literal["abort", "escalate", "reject"] | None = None
    retry: Retry | None = None
    repair_max: int = 0
    facts: Facts = Facts()

    @property
    def max_bytes(self) -> int:
        """What one answer of it may take."""
        most: int = self.settings.get("max_bytes", MAX_OUTPUT_BYTES)
        return most


class Stall(msgspec.Struct, frozen=True):
    """`stall { after = 2  action = replan  sensitivity = 0.75  max_replans = 1 }`.

    Attributes:
        after: So many rounds in a row without progress are a stall.
        sensitivity: How weak the signs of no progress may be for a round to count, 0 to 1; 0:
            only rounds that brought nothing at all.
    """

    after: int
    action: Literal["replan", "escalate", "abort"]
    max_replans: int = default_of("stall", "max_replans")
    sensitivity: float = default_of("stall", "sensitivity")


class Breaker(msgspec.Struct, frozen=True):
    """`breaker { after = 5  canary = 1 }`, in force where `max_items` is set.

    Attributes:
        after: How many tasks of a worker in a row may fail in the same way.
        canary: How many items of a step run before the others.
    """

    after: int = default_of("breaker", "after")
    canary: int = default_of("breaker", "canary")


class Context(msgspec.Struct, frozen=True):
    """`context { show = preview keep_last = 3 preview = 2KiB compact_at = 60% }`."""

    keep_last: int = default_of("context", "keep_last")
    preview_bytes: int = default_of("context", "preview")
    compact_at: float = default_of("context", "compact_at")
    show: Show = default_of("context", "show")


class Policy(msgspec.Struct, frozen=True):
    """The limits of the loop.

    Attributes:
        max_items: How many tasks one decision may become; None: its entries are plain tasks.
        repair_max: How often one bad decision is asked for again.
        max_input_bytes: What a task's input may take, with what it refers to; also the inputs of
            the orchestrator itself where a run starts with it.
        max_decision_bytes: What one decision may take.
        max_kept_bytes: What everything may take that comes back while it runs, in it and below.
    """

    max_rounds: int
    max_per_round: int = default_of("policy", "max_per_round")
    max_parallel: int = default_of("policy", "max_parallel")
    max_dispatches: int | None = None
    max_items: int | None = None
    breaker: Breaker = Breaker()
    max_depth: int | None = None
    repair_max: int = default_of("policy", "repair")["max"]
    budget: Budget = Budget()
    stall: Stall | None = None
    context: Context = Context()
    max_input_bytes: int = default_of("policy", "max_input_bytes")
    max_decision_bytes: int = default_of("policy", "max_decision_bytes")
    max_kept_bytes: int = default_of("policy", "max_kept_bytes")

    @property
    def writes_large(self) -> bool:
        """Whether a decision may write out an input that is too large: not by the defaults."""
        return self.max_decision_bytes > self.max_input_bytes


class WorkerLimit(msgspec.Struct, frozen=True):
    """`limit W { max_dispatches = 3 after = [researcher] show = shape budget { ... } }`."""

    max_dispatches: int | None = None
    after: tuple[str, ...] = ()
    budget: Budget = Budget()
    span: Span | None = None
    show: Show | None = None


class Hook(msgspec.Struct, frozen=True):
    """One entry of a `verify` block. `worker` is set for the dispatch hooks only.

    `then_written` says whether the file itself says what follows the last revision. `eager`: tasks
    that only read may start before a `before_round` hook has looked.

    Attributes:
        when: The hook looks only if this is true, or None.
        otherwise: The verifiers of `else`: they decide if one of `verifiers` does not pass.
        endorse: Inputs (`before_dispatch`) or fields of the output (`after_dispatch`) whose values
            are trusted elsewhere in the run once the hook has passed.
    """

    point: HookPoint
    worker: str | None
    verifiers: tuple[str, ...]
    on_fail: OnFail
    span: Span
    max_revisions: int = default_of("hook", "max_revisions")
    then: OnFail = default_of("hook", "then")
    every: int = default_of("round hook", "every")
    then_written: bool = False
    eager: bool = False
    when: Expression | None = None
    otherwise: tuple[str, ...] = ()
    endorse: tuple[str, ...] = ()

    @property
    def every_verifier(self) -> tuple[str, ...]:
        """The verifiers that it may ask, those of `else` too, each once."""
        if not self.otherwise:
            return self.verifiers
        return tuple(dict.fromkeys((*self.verifiers, *self.otherwise)))


class Orchestrator(msgspec.Struct, frozen=True):
    """The loop: goal, model, workers, policy, limits, verify hooks.

    `workers` may hold names of workers and of other orchestrators.
    `on_escalate` is the expression of `on_escalate { output = ... }`, or None.
    `max_bytes` is what its result may take.
    """

    name: str
    inputs: Contract
    output: Contract
    fails: tuple[str, ...]
    model: str
    goal: Template
    workers: tuple[str, ...]
    policy: Policy
    span: Span
    base_dir: str
    doc: str | None = None
    instructions: Template | None = None
    limits: Mapping[str, WorkerLimit] = {}
    hooks: tuple[Hook, ...] = ()
    on_escalate: Expression | None = None
    max_bytes: int = MAX_OUTPUT_BYTES


class Param(msgspec.Struct, frozen=True):
    """`param NAME: type = default`; `value` is what this program was folded with."""

    name: str
    contract: Contract
    value: Any
    span: Span
    doc: str | None = None


class Mock(msgspec.Struct, frozen=True):
    """`mock NAME { ... }`: what replaces a callable or model in a test.

    `target` is a canonical name, or `orchestrator` for the model of the one under test. Exactly one
    of `returns`, `fails` and `script` is set; a path from `file("x.json")` in them is an
    `engine.sema.settings.constants.FileText`. `times` is the number of calls it replaces, None for
    all.
    """

    target: str | None
    returns: Any
    fails: str | None
    script: Any
    times: int | None
    span: Span


class TestBody(msgspec.Struct, frozen=True):
    """The settings of a test: constants, mocks in order, assertions on `run` and `output`."""

    # Pytest would collect a class of this name.
    __test__: ClassVar[bool] = False

    input: Any
    params: Any
    mocks: tuple[Mock, ...]
    assertions: tuple[Assertion, ...]
    base_dir: str


class Test(msgspec.Struct, frozen=True):
    """`test "title" for name { ... }`, resolved as far as names go; `body` is a `TestBody`."""

    __test__: ClassVar[bool] = False

    title: str
    target: str
    body: Any
    span: Span


class Program(msgspec.Struct, frozen=True):
    """Everything one run needs to know, by name.

    Attributes:
        path: The entry file, as the user named it.
        files: Every file the program was read from (`.orch`, templates, JSON Schemas), by its
            path relative to the entry file's folder, with its text. A run keeps them.
        entry: The one orchestrator no other uses, or None where that is ambiguous.
        missing_params: Params without a default to which no value was given. A run needs them:
            whoever starts one has to refuse while there are any.
    """

    path: str
    base_dir: str
    files: Mapping[str, str]
    params: Mapping[str, Param]
    schemas: Mapping[str, Type]
    secrets: tuple[str, ...]
    models: Mapping[str, Model]
    servers: Mapping[str, Server]
    workers: Mapping[str, Worker]
    verifiers: Mapping[str, Verifier]
    orchestrators: Mapping[str, Orchestrator]
    tests: tuple[Test, ...]
    entry: str | None
    missing_params: tuple[str, ...] = ()

    @property
    def changeable(self) -> tuple[tuple[str, str], ...]:
        """What its sandboxes may change: the folder of the file, and the path as it is written."""
        found: dict[tuple[str, str], None] = {}
        every: list[Worker | Verifier] = [*self.workers.values(), *self.verifiers.values()]
        for one in every:
            sandbox = one.settings.get("sandbox")
            if isinstance(sandbox, Sandbox):
                found.update(dict.fromkeys((one.base_dir, path) for path in sandbox.write))
        return tuple(found)

    @property
    def has_steps(self) -> bool:
        """Whether a run of it can have steps: in decisions, or inside plan workers."""
        return any(one.policy.max_items is not None for one in self.orchestrators.values()) or any(
            worker.plan is not None for worker in self.workers.values()
        )

    def without_steps(self) -> Program:
        """The same program whose decisions are plain tasks, as in journals of format 1."""
        if not self.has_steps:
            return self
        plain = {
            name: msgspec.structs.replace(
                one, policy=msgspec.structs.replace(one.policy, max_items=None)
            )
            for name, one in self.orchestrators.items()
        }
        return msgspec.structs.replace(self, orchestrators=plain)

    def param_values(self) -> dict[str, Any]:
        """The value of each param by name: what templates and expressions see as `param`."""
        return {name: param.value for name, param in self.params.items()}


def called_by(worker: Worker) -> tuple[str, ...]:
    """The workers that run because of one: what its plan calls, and what replaces it."""
    planned = () if worker.plan is None else (name for _, name in worker.plan.calls())
    return tuple(dict.fromkeys((*planned, *worker.fallback)))


def reached(workers: Mapping[str, Worker], names: Iterable[str]) -> list[str]:
    """Names of callables, and of all workers that plans among them call, each once.

    Names that are not those of workers stay as they are. What replaces a worker that fails is
    followed inside plans only.
    """
    found: dict[str, None] = dict.fromkeys(names)
    pending = [name for name in found if name in workers and workers[name].plan is not None]
    while pending:
        for name in called_by(workers[pending.pop()]):
            if name not in found:
                found[name] = None
                if name in workers:
                    pending.append(name)
    return list(found)


def fallback_chain(declared: Mapping[str, Model] | Mapping[str, Worker], name: str) -> list[str]:
    """A model or worker and its fallbacks, each once, depth first.

    Args:
        declared: All models, or all workers.
    """
    found: list[str] = []
    pending = [name]
    while pending:
        current = pending.pop()
        if current not in found:
            found.append(current)
            pending.extend(reversed(declared[current].fallback))
    return found
