"""The one table of settings: what may stand in which body, and what it means.

The checker, the completion of editors and the reference page are made from this table; a setting
that is not here is an error. Kinds of bodies are named as in messages: `model`, `llm worker`,
`policy`. Nothing here looks at a syntax tree; `engine.sema.bodies` reads bodies by this table.
"""

from __future__ import annotations

import msgspec

from engine.sema.setting_values import (
    BlockValue,
    Bool,
    CallPath,
    Choice,
    Computed,
    Constant,
    Duration,
    Int,
    Ints,
    Mode,
    Modes,
    Money,
    Names,
    NumberValue,
    Parse,
    Share,
    Size,
    Str,
    Strings,
    Text,
    Value,
)

__all__ = ["CALLABLE_KINDS", "KINDS", "Kind", "Row"]


class Row(msgspec.Struct, frozen=True):
    """One setting.

    Attributes:
        doc: One line for the reference, the hover and the completion.
        default: As a person would write it, or None where there is none.
        missing: The rule that reports a required setting that is missing.
    """

    name: str
    value: Value
    doc: str
    required: bool = False
    default: str | None = None
    missing: str = "ORC104"


class Kind(msgspec.Struct, frozen=True):
    """A kind of body.

    Attributes:
        title: In messages: "`llm` workers have no setting `x`".
        rows: Its settings.
        numbered: What `INT = value` means in it, or None where that is not allowed.
        assertions: Whether `assert` may stand in it.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    numbered: Mode | None = None
    assertions: bool = False

    def row(self, name: str) -> Row | None:
        """The row of a setting, or None."""
        for row in self.rows:
            if row.name == name:
                return row
        return None


_MAX_ROUNDS = 10_000
_CALLABLES = ("worker", "orchestrator")

_RETRY = Row("retry", BlockValue("retry"), "Make a failed call again.")
_REPAIR = Row("repair", BlockValue("repair"), "Ask again for an answer that breaks its contract.")


def _timeout(default: str | None = None) -> Row:
    return Row("timeout", Duration(), "How long one attempt may take.", default=default)


_WORKER = (
    Row(
        "effect",
        Choice(("pure", "read", "write", "once")),
        "What carrying it out does to the world outside.",
        default="read",
    ),
    Row(
        "trust",
        Choice(("trusted", "untrusted")),
        "Whether its output comes from outside and may hold instructions of strangers.",
        default="trusted",
    ),
    _timeout(),
    _RETRY,
    Row("fallback", Names(("worker",)), "Workers of the same contract to try when it fails."),
)
_EFFECT_SAID = Row(
    "effect",
    Choice(("pure", "read", "write", "once")),
    "What carrying it out does to the world outside.",
    required=True,
)
_ACTING = (_EFFECT_SAID, *_WORKER[1:])
#: Of kinds whose output is what somebody else's server says.
_REMOTE_TRUST = Row(
    "trust",
    Choice(("trusted", "untrusted")),
    "Whether its output comes from outside and may hold instructions of strangers.",
    default="untrusted",
)
_VERIFIER = (
    Row(
        "skip_when",
        Computed(scope="inputs"),
        "The hook counts as not run where this holds.",
    ),
)
_CHECKED = (
    Row(
        "pass_when",
        Computed(scope="verdict"),
        "Whether the verdict passes, from `ok`, `score` and `feedback`.",
        default="ok",
    ),
    *_VERIFIER,
    _timeout(),
    _RETRY,
)
_ENV = Row(
    "env",
    Computed(secrets=True, shape="map", block="env"),
    "Its environment: what is set, or a block that also says what is inherited.",
    default="the engine's without keys and secrets",
)
_INHERIT = Row(
    "inherit",
    Strings(),
    "The variables it gets of the engine's environment, keys and secrets only by their full names: "
    '`["GIT_*", "OPENAI_API_KEY"]`. Of all others it gets a few, such as `PATH`.',
)
_SET = "Further variables; null takes one away."
_LLM = (
    Row("model", Names(("model",), "one"), "The model that does the work.", required=True),
    Row("system", Text(), "The system prompt."),
    Row("prompt", Text(), "The prompt.", required=True),
    _REPAIR,
)
_PYTHON = (
    Row("call", CallPath(), 'The function, as `"package.module:function"`.', required=True),
    Row("args", Computed(shape="map"), "Its keyword arguments.", default="the inputs"),
    Row("isolate", Bool(), "Run it in a process of its own.", default="false"),
    _ENV,
)
_COMMAND = (
    Row(
        "run",
        Computed(shape="list"),
        "The program and its arguments, a list; never a shell.",
        required=True,
    ),
    Row("stdin", Computed(), "What the program reads."),
    Row("cwd", Computed(), "Its working folder, relative to the file.", default='"."'),
    _ENV,
    Row("ok_exit", Ints(), "The exit codes that mean success.", default="[0]"),
    Row("on_exit", BlockValue("on_exit"), "The failure mode an exit code means."),
    Row("parse", Parse(), "How to read its output: `json`, `lines` or `text`.", default="json"),
    Row("max_bytes", Size(), "The most output that is read.", default="10MiB"),
)
_BUDGET = Row("budget", BlockValue("budget"), "What may be spent at most.")

_TABLE = (
    Kind(
        "model",
        "models",
        (
            Row("id", Str(), 'The model, as LiteLLM names it: `"openai/gpt-5-mini"`.', True),
            Row("temperature", NumberValue(0, 2), "How freely it samples."),
            Row("top_p", NumberValue(0, 1), "Nucleus sampling."),
            Row("seed", Int(minimum=0), "For answers that can be had again, where supported."),
            Row("stop", Strings(), "Strings that end the answer."),
            Row("frequency_penalty", NumberValue(-2, 2), "Against repetition of words."),
            Row("presence_penalty", NumberValue(-2, 2), "Against repetition of topics."),
            Row(
                "reasoning_effort",
                Choice(("none", "minimal", "low", "medium", "high")),
                "How long a reasoning model thinks.",
            ),
            Row("max_tokens", Int(), "The longest answer, in tokens.", default="4096"),
            Row("context", Int(), "The size of its context window, in tokens."),
            Row(
                "structured",
                Choice(("auto", "native", "prompt")),
                "Hand the schema to the provider, or write it into the prompt.",
                default="auto",
            ),
            _timeout("120s"),
            _RETRY,
            Row("fallback", Names(("model",)), "Models to ask when this one fails, in order."),
            Row("max_concurrent", Int(), "Calls at the same time."),
            Row("rpm", Int(), "Requests a minute."),
            Row("tpm", Int(), "Tokens a minute."),
            Row("price", BlockValue("price"), "Dollars for a million tokens."),
            Row("api_base", Str(), "The address of the server, where it is not the provider's."),
            Row("api_version", Str(), "The version of the provider's API."),
            Row("extra", Constant(), "A map of further options for the provider's API."),
        ),
    ),
    Kind(
        "price",
        "`price` blocks",
        (
            Row("input", Money(minimum=0), "For a million tokens of the prompt.", True),
            Row("output", Money(minimum=0), "For a million tokens of the answer.", True),
        ),
    ),
    Kind(
        "retry",
        "`retry` blocks",
        (
            Row(
                "max",
                Int(minimum=0, maximum=100),
                "How many more times.",
                True,
                missing="ORC403",
            ),
            Row("on", Modes(), "The failure modes that are worth it.", default="retryable ones"),
            Row(
                "backoff",
                Duration(),
                "The wait before the first, doubled each time.",
                False,
                "500ms",
            ),
        ),
    ),
    Kind(
        "repair",
        "`repair` blocks",
        (Row("max", Int(minimum=0, maximum=100), "How many more times.", True),),
    ),
    Kind(
        "mcp server",
        "`mcp` servers",
        (
            Row("command", Strings(), "The program that serves on stdin and stdout, a list."),
            Row(
                "env",
                Computed("none", True, "map", "server env"),
                "Its environment: what is set, or a block that also says what is inherited.",
                default="a few variables",
            ),
            Row("cwd", Str(), "Its working folder, relative to the file.", default='"."'),
            Row("url", Str(), "The address of a server over HTTP."),
            Row("headers", Computed("none", True, "map"), "Further HTTP headers."),
            Row("allow", Strings(), "The tools that may be called."),
            _timeout(),
        ),
    ),
    Kind("env", "`env` blocks", (_INHERIT, Row("set", Computed("call", True, "map"), _SET))),
    Kind("server env", "`env` blocks", (_INHERIT, Row("set", Computed("none", True, "map"), _SET))),
    Kind("llm worker", "`llm` workers", (*_LLM, *_WORKER)),
    Kind("python worker", "`python` workers", (*_PYTHON, *_WORKER)),
    Kind("command worker", "`command` workers", (*_COMMAND, *_ACTING)),
    Kind(
        "http worker",
        "`http` workers",
        (
            Row(
                "method",
                Choice(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")),
                "The HTTP method.",
                default='"GET"',
            ),
            Row("url", Computed(secrets=True), "The address; its host stands in the file.", True),
            Row("hosts", Strings(), "Hosts it may reach, where that of `url` is computed."),
            Row("query", Computed(secrets=True, shape="map"), "Parameters of the address."),
            Row("headers", Computed(secrets=True, shape="map"), "Further HTTP headers."),
            Row("json", Computed(secrets=True), "The body, sent as JSON."),
            Row("form", Computed(secrets=True, shape="map"), "The body, sent as a form."),
            Row(
                "result",
                Computed("response"),
                "The output, from `response` (the body), `status` and `headers`.",
                False,
                "response",
            ),
            Row("on_status", BlockValue("on_status"), "The failure mode an HTTP status means."),
            Row("max_bytes", Size(), "The most of a response that is read.", default="10MiB"),
            _WORKER[0],
            _REMOTE_TRUST,
            *_WORKER[2:],
        ),
    ),
    Kind(
        "mcp worker",
        "`mcp` workers",
        (
            Row("server", Names(("server",), "one"), "The MCP server.", True),
            Row("tool", Str(), "The tool's name there.", True),
            Row("args", Computed(shape="map"), "Its arguments.", default="the inputs"),
            _EFFECT_SAID,
            _REMOTE_TRUST,
            *_WORKER[2:],
        ),
    ),
    Kind("on_status", "`on_status` blocks", (), numbered=Mode()),
    Kind("on_exit", "`on_exit` blocks", (), numbered=Mode()),
    Kind("llm verifier", "`llm` verifiers", (*_LLM, *_CHECKED)),
    Kind("python verifier", "`python` verifiers", (*_PYTHON, *_CHECKED)),
    Kind("command verifier", "`command` verifiers", (*_COMMAND, *_CHECKED)),
    Kind("rules verifier", "`rules` verifiers", _VERIFIER, assertions=True),
    Kind(
        "human verifier",
        "`human` verifiers",
        (
            Row("message", Text(), "What the person is asked.", True),
            Row("options", Strings(), "The answers to choose from."),
            Row("timeout", Duration(), "How long to wait for an answer."),
            Row(
                "on_timeout",
                Choice(("abort", "escalate")),
                "What happens when nobody answers in time.",
                default="abort",
            ),
            *_VERIFIER,
        ),
    ),
    Kind(
        "orchestrator",
        "orchestrators",
        (
            Row("model", Names(("model",), "one"), "The model that plans.", True),
            Row("goal", Text(), "What is to be reached; in every prompt, word for word.", True),
            Row("instructions", Text(), "How to go about it."),
            Row("workers", Names(_CALLABLES), "The workers it may dispatch.", True),
            Row("policy", BlockValue("policy"), "The bounds of the loop.", True, missing="ORC401"),
            Row("limit", BlockValue("limit", _CALLABLES, True), "Bounds of one worker."),
            Row("verify", BlockValue("verify"), "Which verifiers check what, and when."),
            Row("on_escalate", BlockValue("on_escalate"), "The output of an escalated run."),
        ),
    ),
    Kind(
        "policy",
        "policies",
        (
            Row(
                "max_rounds",
                Int(maximum=_MAX_ROUNDS),
                "How many rounds there are at most.",
                True,
                missing="ORC401",
            ),
            Row("max_per_round", Int(maximum=10_000), "Tasks one decision may give.", default="8"),
            Row("max_parallel", Int(maximum=10_000), "Tasks running at once.", default="8"),
            Row("max_dispatches", Int(), "Tasks of the whole run."),
            Row("max_depth", Int(maximum=100), "How deep orchestrators may call themselves."),
            _BUDGET,
            Row("stall", BlockValue("stall"), "When nothing new comes, do something."),
            Row("context", BlockValue("context"), "What of the past stays in the prompt."),
            Row("repair", BlockValue("repair"), "Ask again for a bad decision.", default="max = 2"),
        ),
    ),
    Kind(
        "budget",
        "budgets",
        (
            Row("cost", Money(), "Dollars."),
            Row("tokens", Int(), "Tokens of all models, in and out."),
            Row("time", Duration(), "Time running; waiting for a person does not count."),
        ),
    ),
    Kind(
        "stall",
        "`stall` blocks",
        (
            Row("after", Int(), "Rounds without anything new.", True),
            Row("action", Choice(("replan", "escalate", "abort")), "What to do then.", True),
            Row("max_replans", Int(minimum=0), "How often to ask for a new plan.", default="1"),
        ),
    ),
    Kind(
        "context",
        "`context` blocks",
        (
            Row("keep_last", Int(), "Rounds a compaction leaves as they are.", default="3"),
            Row("preview", Size(), "How much of an output the prompt shows.", default="2KiB"),
            Row("compact_at", Share(), "Fill of the window that compacts.", default="60%"),
        ),
    ),
    Kind(
        "limit",
        "limits",
        (
            Row("max_dispatches", Int(minimum=0), "Tasks of this worker in a run."),
            Row("after", Names(_CALLABLES), "Workers that must have succeeded before."),
            _BUDGET,
        ),
    ),
    Kind(
        "verify",
        "`verify` blocks",
        (
            Row("before_dispatch", BlockValue("hook", _CALLABLES, True), "Before a task starts."),
            Row("after_dispatch", BlockValue("hook", _CALLABLES, True), "On a task's output."),
            Row("after_round", BlockValue("round hook", (), True), "After a round."),
            Row("before_finish", BlockValue("hook", (), True), "On the result."),
        ),
    ),
    *(
        Kind(
            name,
            "verify hooks",
            (
                Row("with", Names(("verifier",), "either"), "The verifiers.", True),
                Row(
                    "on_fail",
                    Choice(("revise", "abort", "escalate", "warn")),
                    "What happens when one does not pass.",
                    default="abort",
                ),
                Row("max_revisions", Int(minimum=0, maximum=100), "How often to revise."),
                Row(
                    "then",
                    Choice(("abort", "escalate", "warn")),
                    "What happens after the last revision.",
                    default="abort",
                ),
                *more,
            ),
        )
        for name, more in (
            ("hook", ()),
            ("round hook", (Row("every", Int(), "Only each so many rounds.", default="1"),)),
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
                "What stands in for a callable.",
            ),
        ),
        assertions=True,
    ),
    Kind(
        "mock",
        "mocks",
        (
            Row("returns", Constant(), "The output of each call."),
            Row("fails", Mode(), "The failure mode of each call."),
            Row("script", Constant(), "The outputs of the calls, in order."),
            Row("times", Int(), "How many calls it stands for."),
        ),
    ),
)

#: Every kind of body by its name.
KINDS: dict[str, Kind] = {kind.name: kind for kind in _TABLE}

#: What may stand after `via`, by declaration.
CALLABLE_KINDS: dict[str, tuple[str, ...]] = {
    "worker": ("llm", "python", "command", "http", "mcp"),
    "verifier": ("llm", "python", "command", "rules", "human"),
    "server": ("mcp",),
}
