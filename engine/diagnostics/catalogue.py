"""The catalogue of rules: code, name, severity, what each finds.

Codes never change their meaning and are never used again. The hundreds are areas: 0 syntax,
1 names and imports, 2 types and schemas, 3 prompts, 4 termination and budget, 5 workers and
models, 6 verifiers and gates, 7 the graph, 8 security, 9 tests, style and the linter itself.
A rule stands here once it is built: `orch lint` can report every code in this table.

The table also says which findings stop a run (every error) and which a comment may allow; the
linter, the commands that run programs and the documentation all read it here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["AREAS", "OPTIONAL", "RULES", "Rule", "Severity"]

Severity = Literal["error", "warning", "info"]


class Rule(msgspec.Struct, frozen=True):
    """One row of the catalogue.

    Attributes:
        summary: A sentence on what the rule finds.
        allowable: Whether an `orch: allow[...]` comment may allow what it finds.
    """

    code: str
    name: str
    severity: Severity
    summary: str
    allowable: bool

    @property
    def blocks(self) -> bool:
        """Whether a program with such a finding is refused before it runs."""
        return self.severity == "error"

    @property
    def weight(self) -> str:
        """The severity, and what it means for a run and for a comment, in words."""
        if self.blocks:
            unless = "unless a comment allows it" if self.allowable else "whatever a comment says"
            return f"{self.severity}, stops a run {unless}"
        return self.severity if self.allowable else f"{self.severity}, no comment allows it"

    @property
    def page(self) -> str:
        """The page of the documentation about it."""
        return f"docs/reference/rules/{self.code}.md"


_ROWS: tuple[tuple[str, str, Severity, str], ...] = (
    ("ORC001", "syntax-error", "error", "The text does not fit the grammar at this place."),
    (
        "ORC002",
        "unclosed-block",
        "error",
        "A `{`, `[` or `(` has no partner; the message names what it opens.",
    ),
    (
        "ORC003",
        "colon-for-setting",
        "error",
        "A setting is written with `:`; settings take `=`, types and map entries take `:`.",
    ),
    (
        "ORC004",
        "missing-equals",
        "error",
        "A setting has a name and a value and nothing between them.",
    ),
    ("ORC005", "unterminated-string", "error", "A string or text block has no closing quotes."),
    (
        "ORC006",
        "unknown-declaration",
        "error",
        "A declaration begins with a word that declares nothing.",
    ),
    (
        "ORC007",
        "missing-version-header",
        "error",
        "The file does not begin with the edition of the language, `orch 1`.",
    ),
    (
        "ORC008",
        "newer-language-version",
        "error",
        "The file asks for an edition this engine does not know.",
    ),
    (
        "ORC101",
        "unknown-name",
        "error",
        "A name is used that nothing declares: a model, worker, param, failure mode, ...",
    ),
    (
        "ORC102",
        "duplicate-name",
        "error",
        "A name is declared twice in one place, or is built in and may not be declared.",
    ),
    ("ORC103", "unknown-setting", "error", "This kind of body has no such setting."),
    (
        "ORC104",
        "missing-setting",
        "error",
        "A setting that this kind of body cannot do without is not there.",
    ),
    (
        "ORC105",
        "duplicate-setting",
        "error",
        "A setting, or a name in a list or union, is given twice.",
    ),
    ("ORC106", "import-not-found", "error", "An imported file or schema cannot be found or read."),
    ("ORC107", "import-cycle", "error", "Files import each other in a circle."),
    (
        "ORC108",
        "wrong-kind",
        "error",
        "A name is known, but what it names is of another kind than is needed here.",
    ),
    (
        "ORC109",
        "shadowed-name",
        "warning",
        "An input has the name of something that expressions see here, and hides it.",
    ),
    (
        "ORC110",
        "outside-project",
        "error",
        "A file is named, or a link leads there, that lies outside the project: it is not read.",
    ),
    ("ORC201", "unknown-type", "error", "A type is named that is neither built in nor declared."),
    (
        "ORC202",
        "type-mismatch",
        "error",
        "A value is of the wrong type, out of range, or in the wrong form for its setting.",
    ),
    (
        "ORC203",
        "missing-unit",
        "error",
        "A duration, size, share or amount of money is a bare number.",
    ),
    ("ORC204", "bad-default", "error", "A default does not fit the type it is the default of."),
    (
        "ORC205",
        "impossible-constraint",
        "error",
        "Constraints that no value can satisfy, or that contradict each other.",
    ),
    (
        "ORC206",
        "recursive-schema",
        "error",
        "A schema contains itself on every path, so no finite value fits it.",
    ),
    (
        "ORC207",
        "external-schema-invalid",
        "error",
        "A JSON Schema file is not JSON, or not a JSON Schema.",
    ),
    ("ORC208", "schema-ref-unresolved", "error", "A JSON Pointer or `$ref` leads to nothing."),
    ("ORC209", "ambiguous-union", "warning", "A value can match two of the records in a union."),
    (
        "ORC210",
        "schema-in-the-prompt",
        "info",
        "A provider cannot hold a model to this schema, so it goes into the prompt.",
    ),
    (
        "ORC211",
        "missing-description",
        "info",
        "A worker has no doc comment, and a model chooses it by its description.",
    ),
    (
        "ORC212",
        "keyword-without-meaning",
        "warning",
        "A JSON Schema has a keyword that counts for nothing in its dialect.",
    ),
    ("ORC301", "template-syntax", "error", "The text of a template is not valid Jinja2."),
    ("ORC302", "unknown-template-field", "error", "A field is read that the type does not have."),
    ("ORC303", "unknown-template-variable", "error", "A name is read that is not defined there."),
    ("ORC304", "unknown-filter-or-test", "error", "A filter or test is used that does not exist."),
    (
        "ORC305",
        "optional-not-guarded",
        "warning",
        "A value that may be null is used as if it were always there.",
    ),
    ("ORC306", "loop-over-scalar", "error", "A loop runs over something that is no list."),
    ("ORC307", "unused-input", "warning", "An input of an `llm` worker never reaches its prompt."),
    (
        "ORC308",
        "record-printed-raw",
        "warning",
        "A record or list is printed where text was probably meant.",
    ),
    (
        "ORC309",
        "template-not-found",
        "error",
        "A file named by `file(...)`, `include` or `import` cannot be found or read.",
    ),
    (
        "ORC310",
        "single-brace-placeholder",
        "warning",
        "A placeholder is literal text: it has one brace, or stands in no template.",
    ),
    (
        "ORC311",
        "prompt-over-context",
        "error",
        "A prompt with its values at their longest does not fit the model's context window.",
    ),
    (
        "ORC312",
        "schema-restated",
        "info",
        "A prompt writes out the schema of the output, which is sent along anyway.",
    ),
    ("ORC313", "template-recursion", "error", "A template includes or needs itself."),
    ("ORC314", "text-in-comment", "warning", "A `{#` in a prompt begins a comment by accident."),
    (
        "ORC401",
        "no-round-bound",
        "error",
        "An orchestrator sets no `max_rounds`, so nothing bounds its loop.",
    ),
    (
        "ORC402",
        "unbounded-revision",
        "error",
        "`on_fail = revise` without `max_revisions` could revise forever.",
    ),
    ("ORC403", "unbounded-retry", "error", "A `retry` block does not say how often."),
    (
        "ORC404",
        "recursive-workflow",
        "error",
        "An orchestrator can call itself and no policy on the way sets `max_depth`.",
    ),
    (
        "ORC405",
        "no-budget",
        "warning",
        "A loop that may spend money has no bound on cost or tokens.",
    ),
    (
        "ORC406",
        "non-constant-bound",
        "error",
        "A setting that must be known before the run is no constant, param or choice of such.",
    ),
    (
        "ORC407",
        "budget-unreachable",
        "warning",
        "A budget is more than the worst case, so it never bites.",
    ),
    (
        "ORC408",
        "budget-below-minimum",
        "error",
        "A budget is too small for a single call, so nothing can ever be done.",
    ),
    (
        "ORC409",
        "child-budget-exceeds-parent",
        "warning",
        "An orchestrator may spend more than the budget of the one that calls it.",
    ),
    (
        "ORC410",
        "dispatches-unreachable",
        "warning",
        "`max_dispatches` is more than the rounds and tasks a round can add up to.",
    ),
    (
        "ORC411",
        "no-stall-rule",
        "info",
        "A loop of many rounds does not say what to do when nothing new comes.",
    ),
    ("ORC413", "timeout-inversion", "warning", "A worker may take longer than the whole run."),
    (
        "ORC414",
        "revision-without-exit",
        "warning",
        "A hook revises, and does not say what follows the last revision.",
    ),
    ("ORC501", "unknown-model", "warning", "The id of a model looks misspelt."),
    ("ORC502", "model-cannot-do", "error", "A model is asked for what it does not do."),
    (
        "ORC503",
        "retry-not-idempotent",
        "error",
        "A `once` or `write` worker could be carried out twice without a common key.",
    ),
    (
        "ORC504",
        "no-timeout",
        "warning",
        "A `command`, `http` or `mcp` worker may hang: it has no `timeout`.",
    ),
    (
        "ORC505",
        "python-signature-mismatch",
        "error",
        "The parameters of a Python function do not fit the inputs of its callable.",
    ),
    (
        "ORC506",
        "call-not-importable",
        "error",
        "A Python module or function that is named does not exist.",
    ),
    (
        "ORC507",
        "mcp-tool-not-allowed",
        "error",
        "A tool is named that the server's `allow` list does not hold.",
    ),
    (
        "ORC508",
        "mcp-package-unpinned",
        "warning",
        "A server's command fetches whatever version of a package is newest.",
    ),
    (
        "ORC509",
        "fallback-weaker",
        "info",
        "A fallback has a smaller context window than the model it stands in for.",
    ),
    (
        "ORC511",
        "shell-interpolation",
        "error",
        "An input becomes part of a text that a shell or interpreter runs.",
    ),
    (
        "ORC512",
        "mcp-tool-unknown",
        "error",
        "A tool is named that the server did not have when its tools were last kept.",
    ),
    (
        "ORC513",
        "mcp-args-mismatch",
        "error",
        "The arguments of a call do not fit the tool, as its schema was last kept.",
    ),
    (
        "ORC514",
        "mcp-snapshot-unreadable",
        "error",
        "The kept tools of a file's MCP servers cannot be read.",
    ),
    (
        "ORC515",
        "python-not-checked",
        "warning",
        "A Python file is too large, or nested too deeply, for its functions to be checked.",
    ),
    (
        "ORC601",
        "no-finish-verifier",
        "warning",
        "Nothing checks the result of an orchestrator before it finishes.",
    ),
    ("ORC602", "verifier-same-model", "warning", "A model judges what the same model made."),
    (
        "ORC603",
        "verifier-input-unbound",
        "error",
        "A verifier needs an input that the hook which names it does not offer.",
    ),
    (
        "ORC604",
        "verifier-always-true",
        "warning",
        "A `pass_when` or an `assert` reads nothing, so it always gives the same.",
    ),
    (
        "ORC605",
        "gate-without-timeout",
        "warning",
        "A human gate waits forever when nobody answers.",
    ),
    ("ORC606", "gate-default-approves", "error", "A human gate would approve when nobody answers."),
    ("ORC607", "verifier-not-used", "warning", "No hook names this verifier."),
    ("ORC701", "unused-worker", "warning", "A worker is in no `workers` list."),
    (
        "ORC702",
        "precedence-cycle",
        "error",
        "Workers wait for each other, so none of them can ever run.",
    ),
    (
        "ORC703",
        "worker-never-runnable",
        "error",
        "A worker waits for, or a block is about, a worker that is not in `workers`.",
    ),
    (
        "ORC704",
        "no-worker-produces-result",
        "info",
        "No worker makes the result: the orchestrator's model writes it itself.",
    ),
    (
        "ORC705",
        "unused-declaration",
        "warning",
        "A schema, model, server, template, param, secret or import is never used.",
    ),
    (
        "ORC801",
        "untrusted-to-effect",
        "error",
        "Text from outside can reach a `write` or `once` worker with no verifier or gate between.",
    ),
    (
        "ORC802",
        "untrusted-unfenced",
        "warning",
        "A prompt prints text from outside without a fence.",
    ),
    (
        "ORC803",
        "secret-in-prompt",
        "error",
        "A secret stands where a model, a person or a log could read it.",
    ),
    ("ORC804", "hardcoded-credential", "error", "A key or password stands in a file."),
    (
        "ORC805",
        "lethal-trifecta",
        "warning",
        "One orchestrator has private data, untrusted text and a way out.",
    ),
    ("ORC806", "untrusted-in-goal", "error", "A goal prints text from outside without a fence."),
    (
        "ORC807",
        "untrusted-network-command",
        "warning",
        "Untrusted text reaches a command that can send anything anywhere.",
    ),
    (
        "ORC808",
        "undeclared-source",
        "warning",
        "A command fetches from the network, and its output passes for trusted.",
    ),
    (
        "ORC809",
        "value-in-path",
        "warning",
        "A text that may hold a `/` is added to the path of an address.",
    ),
    ("ORC901", "unused-suppression", "warning", "An `orch: allow[...]` comment allows nothing."),
    ("ORC902", "no-test", "info", "A file has tests, and none of them runs this orchestrator."),
    (
        "ORC903",
        "mock-type-mismatch",
        "error",
        "What a mock returns does not fit the contract of what it stands for.",
    ),
    ("ORC904", "live-call-in-test", "warning", "A test calls something that nothing stands for."),
    ("ORC905", "not-formatted", "warning", "The file is not laid out as `orch fmt` does."),
    ("ORC906", "naming", "info", "A name is not written as the language writes names."),
    ("ORC907", "hash-comment", "error", "A comment begins with `#`; comments begin with `//`."),
    (
        "ORC908",
        "dangling-doc-comment",
        "warning",
        "A `///` stands before nothing that could be documented.",
    ),
    (
        "ORC909",
        "comment-for-division",
        "warning",
        "A `//` after a value begins a comment; it does not divide.",
    ),
    ("ORC910", "unexplained-suppression", "info", "An `orch: allow[...]` comment gives no reason."),
    (
        "ORC911",
        "script-not-accepted",
        "warning",
        "A scripted decision names a worker there is not, or holds values that do not fit.",
    ),
)

#: What the hundreds are about, by the first digit of a code.
AREAS = {
    "0": "syntax",
    "1": "names and imports",
    "2": "types and schemas",
    "3": "prompts and templates",
    "4": "termination, budget, policy",
    "5": "workers and models",
    "6": "verifiers and gates",
    "7": "the graph",
    "8": "security",
    "9": "tests, style, the linter itself",
}

#: Rules that count only where they are named, and not as a part of `ALL`.
OPTIONAL = frozenset({"ORC905"})

#: Errors that a comment may allow: the program is sound all the same, and what they find may be
#: right when it runs. A run that began under such an error can be resumed.
_SOUND = frozenset(
    (
        "ORC302", "ORC303", "ORC304", "ORC306", "ORC311", "ORC408", "ORC502", "ORC503", "ORC505",
        "ORC506", "ORC507", "ORC511", "ORC512", "ORC513", "ORC801", "ORC804", "ORC806",
    )
)  # fmt: skip

#: Rules about the comments themselves: no comment allows what they find.
_OF_COMMENTS = frozenset({"ORC901", "ORC910"})


def _is_allowable(code: str, severity: Severity) -> bool:
    return code in _SOUND if severity == "error" else code not in _OF_COMMENTS


#: Every rule by its code.
RULES: dict[str, Rule] = {row[0]: Rule(*row, _is_allowable(row[0], row[2])) for row in _ROWS}
