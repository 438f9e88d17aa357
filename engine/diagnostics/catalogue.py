"""The catalogue of rules: code, name, severity, whether a fix exists.

Codes never change their meaning and are never used again. The hundreds are areas: 0 syntax,
1 names and imports, 2 types and schemas, 3 prompts, 4 termination and budget, 5 workers and
models, 6 verifiers and gates, 7 the graph, 8 security, 9 tests, style and the linter itself.
A rule stands here once it is built: `orch lint` can report every code in this table.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["RULES", "Rule", "Severity"]

Severity = Literal["error", "warning", "info"]


class Rule(msgspec.Struct, frozen=True):
    """One row of the catalogue. `summary` is a sentence on what the rule finds."""

    code: str
    name: str
    severity: Severity
    summary: str


_ROWS: tuple[tuple[str, str, Severity, str], ...] = (
    ("ORC001", "syntax-error", "error", 'expected a value after `timeout =`'),
    ("ORC002", "unclosed-block", "error", '`worker researcher` opened at line 62 is never closed'),
    ("ORC003", "colon-for-setting", "error", 'settings use `=`; write `timeout = 30s`'),
    ("ORC004", "missing-equals", "error", 'did you mean `max_rounds = 6`?'),
    ("ORC005", "unterminated-string", "error", 'this `"""` string is never closed'),
    ("ORC006", "unknown-declaration", "error", 'unknown declaration `wroker`; did you mean `worker`?'),
    ("ORC007", "missing-version-header", "error", 'add `orch 1` as the first line'),
    ("ORC008", "newer-language-version", "error", 'this file needs orch 2; this is orch 1.4'),
    ("ORC101", "unknown-name", "error", 'unknown worker `reseacher`; did you mean `researcher`?'),
    ("ORC102", "duplicate-name", "error", '`Finding` is already declared at line 30'),
    ("ORC103", "unknown-setting", "error", '`llm` workers have no setting `modle`; did you mean `model`?'),
    ("ORC104", "missing-setting", "error", 'worker `researcher` needs `model`'),
    ("ORC105", "duplicate-setting", "error", '`timeout` is set twice'),
    ("ORC106", "import-not-found", "error", 'cannot find `common.orch` (looked in ...)'),
    ("ORC107", "import-cycle", "error", 'a.orch -> b.orch -> a.orch'),
    ("ORC108", "wrong-kind", "error", '`judge` is a model; `workers` needs workers'),
    ("ORC109", "shadowed-name", "warning", "input `goal` hides the orchestrator's pinned goal"),
    ("ORC201", "unknown-type", "error", 'unknown type `strng`; did you mean `string`?'),
    ("ORC202", "type-mismatch", "error", '`max_rounds` needs an int, got a duration'),
    ("ORC203", "missing-unit", "error", '`timeout = 30` has no unit; `30s`?'),
    ("ORC204", "bad-default", "error", 'default "enginer" is not a member of `Audience`'),
    ("ORC205", "impossible-constraint", "error", '`@min(5) @max(3)` accepts nothing'),
    ("ORC206", "recursive-schema", "error", '`A` contains `A` with no optional or list in between'),
    ("ORC207", "external-schema-invalid", "error", 'schemas/ticket.schema.json: `type` must be ...'),
    ("ORC208", "schema-ref-unresolved", "error", '`#/$defs/PullReq` does not exist'),
    ("ORC209", "ambiguous-union", "warning", '`Reply` and `NeedsHuman` overlap: a value can match both'),
    ("ORC210", "unsupported-by-structured-output", "warning", 'provider strict mode does not support `@pattern`; it is checked after the call'),
    ("ORC211", "missing-description", "info", 'field `claim` has no `///`; the model sees only its name'),
    ("ORC301", "template-syntax", "error", 'unexpected `}` in template'),
    ("ORC302", "unknown-template-field", "error", '`Finding` has no field `qoute`; did you mean `quote`?'),
    ("ORC303", "unknown-template-variable", "error", '`quesion` is not an input of `researcher`'),
    ("ORC304", "unknown-filter-or-test", "error", 'no filter `uper`; did you mean `upper`?'),
    ("ORC305", "optional-not-guarded", "warning", '`f.quote` may be null here; use `{% if %}` or `or`'),
    ("ORC306", "loop-over-scalar", "error", '`f.claim` is a string; looping gives single letters'),
    ("ORC307", "unused-input", "warning", 'input `audience` is never used in the prompt'),
    ("ORC308", "record-printed-raw", "warning", '`{{ report }}` prints a Python dict; use `| json`'),
    ("ORC309", "template-not-found", "error", 'prompts/writer.j2 does not exist'),
    ("ORC310", "single-brace-placeholder", "warning", '`{topic}` is literal text; did you mean `{{ topic }}`?'),
    ("ORC311", "prompt-over-context", "error", 'at worst 310k tokens, model `fast` takes 272k'),
    ("ORC312", "schema-restated", "info", 'the prompt repeats the output schema that is added anyway'),
    ("ORC313", "template-recursion", "error", 'a.j2 includes itself'),
    ("ORC401", "no-round-bound", "error", '`policy` must set `max_rounds`'),
    ("ORC402", "unbounded-revision", "error", '`on_fail = revise` needs `max_revisions`'),
    ("ORC403", "unbounded-retry", "error", '`retry` needs `max`'),
    ("ORC404", "recursive-workflow", "error", 'refund -> support_triage -> refund without `max_depth`'),
    ("ORC405", "no-budget", "warning", 'no `budget`; worst case is $41.20'),
    ("ORC406", "non-constant-bound", "error", '`max_rounds` must be a constant, a param or a choice of constants'),
    ("ORC407", "budget-unreachable", "warning", 'worst case $1.10 is under the $3.00 budget: it never bites'),
    ("ORC408", "budget-below-minimum", "error", 'the cheapest round costs $0.09 > budget $0.05'),
    ("ORC409", "child-budget-exceeds-parent", "warning", '`issue_refund` may spend $0.80 of a $0.60 parent budget'),
    ("ORC410", "dispatches-unreachable", "warning", 'max_dispatches 40 > max_rounds 3 * max_per_round 8 = 24'),
    ("ORC411", "no-stall-rule", "info", 'add `stall { after = 2 action = replan }`'),
    ("ORC413", "timeout-inversion", "warning", 'worker timeout 10m > budget time 5m (gates excepted)'),
    ("ORC414", "revision-without-exit", "warning", 'after 2 revisions nothing is said; add `then`'),
    ("ORC501", "unknown-model", "warning", 'litellm does not know `gemnii/...`; did you mean `gemini/...`?'),
    ("ORC502", "model-cannot-do", "error", '`x` does not support structured output / tools / images'),
    ("ORC503", "retry-not-idempotent", "error", 'a `once` worker has `retry`, or a `write` worker retries without passing `task.key`'),
    ("ORC504", "no-timeout", "warning", '`command` worker without `timeout`'),
    ("ORC505", "python-signature-mismatch", "error", 'tools.repo:read_lines has no parameter `start`'),
    ("ORC506", "call-not-importable", "error", 'module `tools.web` not found'),
    ("ORC507", "mcp-tool-not-allowed", "error", '`delete_ticket` is not in `allow` of server kb'),
    ("ORC508", "mcp-package-unpinned", "warning", '`npx zendesk-mcp-server` has no version'),
    ("ORC509", "fallback-weaker", "info", 'fallback takes 32k tokens, prompt needs up to 90k'),
    ("ORC511", "shell-interpolation", "error", 'input `pattern` is pasted in a shell string; use a list'),
    ("ORC601", "no-finish-verifier", "warning", 'nothing checks the result before finish'),
    ("ORC602", "verifier-same-model", "warning", '`grounded` uses the model it judges (`smart`)'),
    ("ORC603", "verifier-input-unbound", "error", 'hook `before_finish` offers no `evidence`, which `grounded` needs'),
    ("ORC604", "verifier-always-true", "warning", '`pass_when` is constant'),
    ("ORC605", "gate-without-timeout", "warning", 'a human gate with no `timeout` waits forever'),
    ("ORC606", "gate-default-approves", "error", '`on_timeout = approve`'),
    ("ORC607", "verifier-not-used", "warning", 'no hook names `on_track`'),
    ("ORC701", "unused-worker", "warning", '`history` is in no `workers` list'),
    ("ORC702", "precedence-cycle", "error", 'a after b after a'),
    ("ORC703", "worker-never-runnable", "error", '`writer` waits for `researcher`, which is not in `workers`'),
    ("ORC704", "no-worker-produces-result", "info", 'no worker produces `Report`: the orchestrator writes it itself'),
    ("ORC705", "unused-declaration", "warning", 'schema `Quote`, param `x`, model `y` ... is never used; never in a file without an orchestrator, nor for what another file imports'),
    ("ORC801", "untrusted-to-effect", "error", 'web text (read_page) can reach `apply_patch` with no verifier between'),
    ("ORC802", "untrusted-unfenced", "warning", 'put `{{ page }}` through `| untrusted`'),
    ("ORC803", "secret-in-prompt", "error", '`secret.STRIPE_KEY` in a prompt'),
    ("ORC804", "hardcoded-credential", "error", 'looks like an API key'),
    ("ORC805", "lethal-trifecta", "warning", 'private data + untrusted text + network in one orchestrator'),
    ("ORC806", "untrusted-in-goal", "error", '`ticket.description` in the pinned goal: instructions from a stranger in every prompt'),
    ("ORC807", "sandbox-network", "warning", '`command` worker on untrusted input with network on'),
    ("ORC901", "unused-suppression", "warning", 'nothing to allow here'),
    ("ORC902", "no-test", "info", 'orchestrator `bugfix` has no test'),
    ("ORC903", "mock-type-mismatch", "error", 'mock of `classify` lacks `queue`'),
    ("ORC904", "live-call-in-test", "warning", 'worker `pay` is not mocked'),
    ("ORC905", "not-formatted", "warning", 'run `orch fmt`'),
    ("ORC906", "naming", "info", 'workers are snake_case, schemas PascalCase'),
    ("ORC907", "hash-comment", "error", 'comments are `//`'),
    ("ORC908", "dangling-doc-comment", "warning", '`///` documents nothing'),
)

#: Every rule by its code.
RULES: dict[str, Rule] = {row[0]: Rule(*row) for row in _ROWS}
