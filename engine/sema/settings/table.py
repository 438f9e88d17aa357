"""The table of settings: what may be written in which body, and what it means.

The checker, the completion of editors and the reference page are made from this table; a setting
that is not in it is an error. Bodies are named as in messages: `model`, `policy`, `on_exit`. Those
of workers and verifiers are with their kinds (`engine.sema.kinds`). Nothing here looks at a syntax
tree; `engine.sema.settings.bodies` reads bodies by this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.sema.settings.values import (
    BlockValue,
    Bool,
    Choice,
    ChoiceOrStrings,
    Computed,
    Constant,
    Duration,
    Int,
    Mode,
    Modes,
    Money,
    Names,
    NumberValue,
    Share,
    ShareOrNumber,
    Size,
    Str,
    Strings,
    Text,
    Value,
    Words,
    written,
)
from engine.sizes import (
    MAX_DECISION_BYTES,
    MAX_INPUT_BYTES,
    MAX_KEPT_BYTES,
    MAX_OUTPUT_BYTES,
    MAX_PROMPT_BYTES,
)

__all__ = ["KINDS", "SHOW", "Kind", "Row", "default_of", "defaults_of"]


class Row(msgspec.Struct, frozen=True):
    """One setting.

    Attributes:
        doc: One line for the reference, the hover and the completion.
        default: What holds where it is not written, as the checker folds it (milliseconds, bytes,
            micro-dollars, a tuple; a mapping for a block). None: nothing does.
        otherwise: What holds where no value can say it: "the inputs".
        missing: The rule that reports a required setting that is missing.
    """

    name: str
    value: Value
    doc: str
    required: bool = False
    default: Any = None
    otherwise: str | None = None
    missing: str = "ORC104"

    @property
    def default_text(self) -> str | None:
        """What holds where it is not written, for people; None where nothing does."""
        return self.otherwise if self.default is None else written(self.value, self.default)


class Kind(msgspec.Struct, frozen=True):
    """A kind of body.

    Attributes:
        title: In messages: "`llm` workers have no setting `x`".
        rows: Its settings.
        numbered: What `INT = value` means in it, or None where that is not allowed.
        assertions: Whether `assert` may be in it.
        without: Settings of its like that it does not have, with what to know instead.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    numbered: Mode | None = None
    assertions: bool = False
    without: Mapping[str, str] = {}

    def row(self, name: str) -> Row | None:
        """The row of a setting, or None."""
        for row in self.rows:
            if row.name == name:
                return row
        return None


_MAX_ROUNDS = 10_000
_HERE = "the file's folder"
_CALLABLES = ("worker", "orchestrator")

#: How other languages call the settings of a step.
_OTHER_NAMES = {
    other: f"did you mean `{own}`?"
    for own, others in {
        "after": ("depends_on", "needs", "wait_for"),
        "call": ("do", "input", "run", "worker"),
        "desc": ("descending", "order", "reverse"),
        "each": ("for", "for_each", "foreach", "map", "over"),
        "label": ("name", "title"),
        "parallel": ("concurrency", "max_parallel"),
        "sort_by": ("order_by", "sort"),
        "take": ("first", "head", "limit", "max", "top"),
        "unique_by": ("distinct", "group_by", "unique"),
        "when": ("condition", "if", "only_if"),
        "where": ("filter", "select"),
    }.items()
    for other in others
}

_RETRY = Row("retry", BlockValue("retry"), "Retries a failed call.")

#: How much of an output a planner sees.
SHOW = Choice(("full", "preview", "shape", "none"))


def _size(name: str, doc: str, default_bytes: int) -> Row:
    return Row(name, Size(), doc, default=default_bytes)


_INHERIT = Row(
    "inherit",
    Strings(),
    "Variables to pass on from the engine's environment, as names or patterns. Keys and secrets "
    'need their full names: `["GIT_*", "OPENAI_API_KEY"]`. '
    "A few, such as `PATH`, are always passed on.",
)
_SET = "Additional variables; null removes one."
_BUDGET = Row("budget", BlockValue("budget"), "Limits on spending.")

#: What may happen if a hook does not pass in the end.
_ENDS = ("abort", "escalate", "warn")

#: What a place in a plan computes, and names of its steps.
_PLAN = Computed("plan")
_PLAN_NAMES = Computed("plan", shape="list")

_TABLE = (
    Kind(
        "model",
        "models",
        (
            Row("id", Str(), 'The model, as LiteLLM names it: `"openai/gpt-5-mini"`.', True),
            Row(
                "temperature",
                NumberValue(0, 2),
                "Sampling temperature: higher values give more varied answers.",
            ),
            Row(
                "top_p", NumberValue(0, 1), "Nucleus sampling: the probability mass to sample from."
            ),
            Row("seed", Int(minimum=0), "Makes answers repeatable, if the provider supports it."),
            Row("stop", Strings(), "Strings that end the answer."),
            Row("frequency_penalty", NumberValue(-2, 2), "Reduces the repetition of words."),
            Row("presence_penalty", NumberValue(-2, 2), "Reduces the repetition of topics."),
            Row(
                "reasoning_effort",
                Choice(("none", "minimal", "low", "medium", "high")),
                "How much effort a reasoning model spends.",
            ),
            Row("max_tokens", Int(), "The maximum length of an answer, in tokens.", default=4_096),
            Row("context", Int(), "The size of its context window, in tokens."),
            _size(
                "max_prompt_bytes",
                "The maximum size of a prompt; a larger one is `context_overflow`.",
                MAX_PROMPT_BYTES,
            ),
            Row(
                "structured",
                Choice(("auto", "native", "prompt")),
                "Whether to pass the schema to the provider or write it into the prompt.",
                default="auto",
            ),
            Row("timeout", Duration(), "The time limit for one attempt.", default=120_000),
            _RETRY,
            Row("fallback", Names(("model",)), "Models to call if this one fails, in order."),
            Row("max_concurrent", Int(), "The maximum number of concurrent calls."),
            Row("rpm", Int(), "The maximum number of requests per minute."),
            Row("tpm", Int(), "The maximum number of tokens per minute."),
            Row("price", BlockValue("price"), "Prices in dollars per million tokens."),
            Row("api_base", Str(), "The address of the server, if it is not the provider's."),
            Row("api_version", Str(), "The version of the provider's API."),
            Row("extra", Constant(), "A map of additional options for the provider's API."),
        ),
    ),
    Kind(
        "price",
        "`price` blocks",
        (
            Row("input", Money(minimum=0), "The price per million prompt tokens.", True),
            Row("output", Money(minimum=0), "The price per million answer tokens.", True),
            Row(
                "cached_input",
                Money(minimum=0),
                "The price per million prompt tokens read from a cache.",
                otherwise="the price of `input`",
            ),
            Row(
                "cache_write",
                Money(minimum=0),
                "The price per million prompt tokens written to a cache.",
                otherwise="the price of `input`",
            ),
        ),
    ),
    Kind(
        "retry",
        "`retry` blocks",
        (
            Row(
                "max",
                Int(minimum=0, maximum=100),
                "The maximum number of additional attempts.",
                True,
                missing="ORC403",
            ),
            Row("on", Modes(), "The failure modes to retry.", otherwise="retryable ones"),
            Row(
                "backoff",
                Duration(),
                "The wait before the first retry; it doubles each time.",
                default=500,
            ),
        ),
    ),
    Kind(
        "repair",
        "`repair` blocks",
        (
            Row(
                "max",
                Int(minimum=0, maximum=100),
                "The maximum number of additional attempts.",
                True,
            ),
        ),
    ),
    Kind(
        "mcp server",
        "`mcp` servers",
        (
            Row(
                "command",
                Strings(),
                "The server program and its arguments, a list; it uses stdin and stdout.",
            ),
            Row(
                "env",
                Computed("none", True, "map", "server env"),
                "Its environment: variables to set, or a block that also selects inherited ones.",
                otherwise="a few variables",
            ),
            Row(
                "cwd",
                Str(),
                "Its working directory, relative to the folder of the file.",
                otherwise=_HERE,
            ),
            Row("url", Str(), "The address of an HTTP server."),
            Row("headers", Computed("none", True, "map"), "Additional HTTP headers."),
            Row("allow", Strings(), "The tools that may be called."),
            Row("timeout", Duration(), "The time limit for one attempt."),
        ),
    ),
    Kind("env", "`env` blocks", (_INHERIT, Row("set", Computed("call", True, "map"), _SET))),
    Kind("server env", "`env` blocks", (_INHERIT, Row("set", Computed("none", True, "map"), _SET))),
    Kind(
        "sandbox",
        "`sandbox` blocks",
        (
            Row(
                "network",
                ChoiceOrStrings(("none", "any")),
                "Where it may connect to: `none`, `any`, or a list of hosts, by HTTP and HTTPS: "
                '`["api.example.org", "*.example.org:8443"]`.',
                default="none",
            ),
            Row(
                "read",
                Strings(),
                "Files and folders that it may read, relative to the folder of the file. It may "
                "always read that folder, the system's programs and libraries, and Python's.",
                default=(),
            ),
            Row(
                "write",
                Strings(),
                "Files and folders that it may change, relative to the folder of the file. "
                "It always has a temporary folder of its own.",
                default=(),
            ),
            Row(
                "env",
                Strings(),
                "Variables to pass on from the engine's environment; never keys or secrets.",
                default=(),
            ),
        ),
    ),
    Kind("on_status", "`on_status` blocks", (), numbered=Mode()),
    Kind("on_exit", "`on_exit` blocks", (), numbered=Mode()),
    Kind(
        "orchestrator",
        "orchestrators",
        (
            Row("model", Names(("model",), "one"), "The model that plans.", True),
            Row("goal", Text(), "The goal; every prompt repeats it exactly.", True),
            Row("instructions", Text(), "How to reach the goal."),
            Row("workers", Names(_CALLABLES), "The workers it may dispatch.", True),
            Row("policy", BlockValue("policy"), "The bounds of the loop.", True, missing="ORC401"),
            Row("limit", BlockValue("limit", _CALLABLES, True), "Bounds of one worker."),
            Row("verify", BlockValue("verify"), "Which verifiers check what, and when."),
            Row("on_escalate", BlockValue("on_escalate"), "The output of an escalated run."),
            _size("max_bytes", "The maximum size of its result.", MAX_OUTPUT_BYTES),
        ),
    ),
    Kind(
        "policy",
        "policies",
        (
            Row(
                "max_rounds",
                Int(maximum=_MAX_ROUNDS),
                "The maximum number of rounds.",
                True,
                missing="ORC401",
            ),
            Row(
                "max_per_round",
                Int(maximum=10_000),
                "The maximum number of tasks in one decision.",
                default=8,
            ),
            Row(
                "max_parallel",
                Int(maximum=10_000),
                "The maximum number of concurrent tasks.",
                default=8,
            ),
            Row("max_dispatches", Int(), "The maximum number of tasks in total."),
            Row(
                "max_items",
                Int(maximum=100_000),
                "Allows steps in decisions; the maximum number of tasks that one decision becomes, "
                "those inside plan workers included.",
                otherwise="decisions have no steps",
            ),
            Row(
                "breaker",
                BlockValue("breaker"),
                "Stops a worker of a step that fails in the same way again and again.",
            ),
            Row("max_depth", Int(maximum=100), "How deeply the orchestrator may call itself."),
            _BUDGET,
            Row("stall", BlockValue("stall"), "What to do if rounds bring nothing new."),
            Row(
                "context", BlockValue("context"), "How much of earlier rounds stays in the prompt."
            ),
            Row(
                "repair",
                BlockValue("repair"),
                "Asks again after an invalid decision.",
                default={"max": 2},
            ),
            _size(
                "max_input_bytes",
                "The maximum size of an input; a task with more fails as `unmet_reference`.",
                MAX_INPUT_BYTES,
            ),
            _size(
                "max_decision_bytes",
                "The maximum size of a decision; after a larger one the model is asked again.",
                MAX_DECISION_BYTES,
            ),
            _size(
                "max_kept_bytes",
                "The maximum size of all answers together; above it the run ends as `exhausted`.",
                MAX_KEPT_BYTES,
            ),
        ),
    ),
    Kind(
        "budget",
        "budgets",
        (
            Row("cost", Money(), "The maximum cost in dollars."),
            Row(
                "tokens", Int(), "The maximum number of tokens of all models, prompts and answers."
            ),
            Row(
                "time", Duration(), "The maximum running time; waiting for a person does not count."
            ),
        ),
    ),
    Kind(
        "breaker",
        "`breaker` blocks",
        (
            Row(
                "after",
                Int(),
                "How many tasks in a row may fail in the same way.",
                default=5,
            ),
            Row(
                "canary",
                Int(minimum=0),
                "How many items of a step run before the others; 0: none.",
                default=1,
            ),
        ),
    ),
    Kind(
        "stall",
        "`stall` blocks",
        (
            Row("after", Int(), "The number of rounds in a row without progress.", True),
            Row("action", Choice(("replan", "escalate", "abort")), "What to do then.", True),
            Row("max_replans", Int(minimum=0), "How often to ask for a new plan.", default=1),
            Row(
                "sensitivity",
                NumberValue(0, 1),
                "How weak the signs may be; 0: only rounds with nothing new at all.",
                default=0.75,
            ),
        ),
    ),
    Kind(
        "context",
        "`context` blocks",
        (
            Row(
                "keep_last",
                Int(),
                "The number of rounds that compaction does not change.",
                default=3,
            ),
            Row(
                "show",
                SHOW,
                "What the planner sees of an output, if neither its worker nor a `limit` says it.",
                default="preview",
            ),
            Row("preview", Size(), "How much of an output the prompt shows.", default=2 * 1024),
            Row(
                "compact_at",
                Share(),
                "The share of the context window at which compaction starts.",
                default=0.6,
            ),
        ),
    ),
    Kind(
        "limit",
        "limits",
        (
            Row("max_dispatches", Int(minimum=0), "The maximum number of tasks of this worker."),
            Row(
                "after",
                Names(_CALLABLES),
                "Workers that must have succeeded before this one starts.",
            ),
            Row(
                "show",
                SHOW,
                "What the planner sees of its outputs.",
                otherwise="what the worker says",
            ),
            _BUDGET,
        ),
    ),
    Kind(
        "verify",
        "`verify` blocks",
        (
            Row(
                "before_round",
                BlockValue("plan hook", (), True),
                "Checks the tasks of a decision before any of them starts.",
            ),
            Row(
                "before_dispatch",
                BlockValue("dispatch hook", _CALLABLES, True, several=True),
                "Checks a task before it starts.",
            ),
            Row(
                "after_dispatch",
                BlockValue("output hook", _CALLABLES, True, several=True),
                "Checks the output of a task.",
            ),
            Row("after_round", BlockValue("round hook", (), True), "Checks after a round."),
            Row("before_finish", BlockValue("hook", (), True), "Checks the result."),
        ),
    ),
    *(
        Kind(
            name,
            "verify hooks",
            (
                Row("with", Names(("verifier",), "either"), "The verifiers.", True),
                Row(
                    "else",
                    Names(("verifier",), "either"),
                    "Verifiers that decide if one of `with` does not pass.",
                ),
                Row(
                    "when",
                    Computed("hook"),
                    "Looks only if this is true.",
                    otherwise="always",
                ),
                Row(
                    "on_fail",
                    Choice(("revise", *ends)),
                    "What happens if a verifier does not pass.",
                    default="abort",
                ),
                Row(
                    "max_revisions",
                    Int(minimum=0, maximum=100),
                    "The maximum number of revisions.",
                    default=0,
                ),
                Row(
                    "then",
                    Choice(ends),
                    "What happens after the last revision.",
                    default="abort",
                ),
                *more,
            ),
        )
        for name, ends, more in (
            ("hook", _ENDS, ()),
            (
                "dispatch hook",
                (*_ENDS, "deny"),
                (
                    Row(
                        "endorse",
                        Words(),
                        "Inputs whose values are trusted in the rest of the run once they pass.",
                    ),
                ),
            ),
            (
                "output hook",
                _ENDS,
                (
                    Row(
                        "endorse",
                        Words(),
                        "Fields of the output, or `output`, whose values are trusted in the rest "
                        "of the run once they pass.",
                    ),
                ),
            ),
            (
                "plan hook",
                _ENDS,
                (
                    Row(
                        "eager",
                        Choice(("none", "reads")),
                        "Which tasks may start while the decision still streams: none, or those "
                        "that change nothing outside (`pure`, `read`).",
                        default="none",
                    ),
                ),
            ),
            ("round hook", _ENDS, (Row("every", Int(), "Check only every Nth round.", default=1),)),
        )
    ),
    Kind(
        "on_escalate",
        "`on_escalate` blocks",
        (Row("output", Computed("escalate"), "The output, from `run` and the inputs.", True),),
    ),
    Kind(
        "test",
        "tests",
        (
            Row("input", Constant(), "The inputs of the orchestrator."),
            Row("params", Constant(), "Values of params, by name."),
            Row(
                "mock",
                BlockValue("mock", ("worker", "verifier", "orchestrator", "model"), True),
                "Replaces a callable in a test.",
            ),
        ),
        assertions=True,
    ),
    Kind(
        "step",
        "steps",
        (
            Row("call", _PLAN, "The worker and its inputs: `review(path=item.path)`."),
            Row(
                "each",
                _PLAN,
                "Makes one task for each value of a list: a step, a part of one, or several: "
                "`a + b`.",
            ),
            Row(
                "reduce",
                _PLAN,
                "Combines the values of a list in a tree of calls, until one value is left.",
            ),
            Row("size", Int(minimum=2, maximum=10_000), "How many values a call of `reduce` gets."),
            Row(
                "empty", _PLAN, "The value of a `reduce` over nothing.", otherwise="the step fails"
            ),
            Row("where", _PLAN, "Keeps the values for which this is true; `item` is the value."),
            Row("unique_by", _PLAN, "Of values for which this is equal, keeps the first."),
            Row("sort_by", _PLAN, "Sorts the values by this; nulls come last."),
            Row("desc", Bool(), "Sorts from the largest to the smallest.", default=False),
            Row("take", _PLAN, "How many values are kept, at most."),
            Row("entries", Bool(), "Makes a list of `{ key, value }` of a map.", default=False),
            Row("flatten", _PLAN, "A list in each value that takes the value's place, or `true`."),
            Row("label", _PLAN, "A text that is shown for an item."),
            Row(
                "parallel",
                Int(maximum=10_000),
                "The maximum number of concurrent items.",
                otherwise="as the policy allows",
            ),
            Row("in_order", Bool(), "Runs the items one at a time, in order.", default=False),
            Row(
                "tolerate",
                ShareOrNumber(),
                "How many items may fail before the step fails: a number, or a share.",
                otherwise="all but one",
            ),
            Row("when", _PLAN, "Skips the step unless this is true."),
            Row("after", _PLAN_NAMES, "Steps whose end it waits for, however they end."),
            Row("repeat", BlockValue("repeat"), "Repeats the steps that follow in this block."),
            Row(
                "step",
                BlockValue("step", ("step",), True, True),
                "A step of each pass of a `repeat`.",
            ),
        ),
        without=_OTHER_NAMES,
    ),
    Kind(
        "repeat",
        "`repeat` blocks",
        (
            Row("max", Int(maximum=10_000), "The maximum number of passes.", True),
            Row("until", _PLAN, "Ends the passes if this is true.", True),
            Row("start", _PLAN, "What `last` is in the first pass.", otherwise="null"),
            Row("gives", _PLAN, "The step whose output a pass gives.", True),
            Row(
                "settle",
                Bool(),
                "Accepts the last pass if `until` was never true.",
                default=False,
            ),
        ),
    ),
    Kind(
        "mock",
        "mocks",
        (
            Row("returns", Constant(), "The output of each call."),
            Row("fails", Mode(), "The failure mode of each call."),
            Row("script", Constant(), "The outputs of the calls, in order."),
            Row("times", Int(), "How many calls it replaces."),
        ),
    ),
)

#: Every kind of body by its name.
KINDS: dict[str, Kind] = {kind.name: kind for kind in _TABLE}


def defaults_of(kind: Kind) -> dict[str, Any]:
    """The defaults of a kind of body by setting; of blocks, only numbered ones: they are empty."""
    found: dict[str, Any] = {}
    for row in kind.rows:
        if not isinstance(row.value, BlockValue):
            if row.default is not None:
                found[row.name] = row.default
        elif KINDS[row.value.kind].numbered is not None:
            found[row.name] = {}
    return found


def default_of(kind: str, setting: str) -> Any:
    """The default of a setting, as the checker folds it; None where it has none.

    Raises:
        LookupError: The table has no such setting: the caller has misspelt it.
    """
    row = KINDS[kind].row(setting)
    if row is None:
        raise LookupError(f"{KINDS[kind].title} have no setting `{setting}`")
    return row.default
