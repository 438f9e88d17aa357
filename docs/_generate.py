"""Writes the pages of the reference that are made from tables of the engine.

    python docs/_generate.py

`tests/docs` compares what this gives with the files in the repository, so a page can never be out
of date. The description of a setting is in the table (`engine.sema.settings.table`), that of a
rule next to it (`engine.diagnostics.rule`). This file only describes the types of values, and where
each body may be used.

It also writes the table of rules that every program loads, `engine/diagnostics/table.py`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from _dialects import with_models
from _events import events_page
from _layers import with_layers
from _rules import TABLE, table_text

from engine.diagnostics.catalogue import AREAS, RULES, RuleRow, explained
from engine.diagnostics.rule import PRELUDE
from engine.linter import lint
from engine.sema.kinds import bodies
from engine.sema.settings import values
from engine.sema.settings.table import Kind, Row

__all__ = ["rule_pages", "settings_page"]

FOLDER = Path(__file__).parent

_HEAD = """\
<!-- Made by docs/_generate.py from engine/sema/settings/table.py and engine/sema/kinds. -->
# Settings

Each body accepts only the settings listed for it; any other setting is an error
([ORC103](language.md#findings)). [The language](language.md) describes the bodies.

A setting in **bold** is required. "block" is written `name { ... }`, everything else
`name = value`. A constant is a literal, a `param`, or a choice between these
(`8 if param.depth == "deep" else 3`). Templates and expressions are evaluated during the run, with
the names in the last table of this page.

"""

#: The kinds in reading order, under the headings of the page.
_CHAPTERS = (
    ("Models", ("model", "price", "retry")),
    ("Servers", ("mcp server", "server env")),
    (
        "Workers",
        (
            "llm worker",
            "python worker",
            "command worker",
            "http worker",
            "mcp worker",
            "plan worker",
            "step",
            "repeat",
            "env",
            "sandbox",
            "repair",
            "on_status",
            "on_exit",
        ),
    ),
    (
        "Verifiers",
        (
            "llm verifier",
            "python verifier",
            "command verifier",
            "rules verifier",
            "human verifier",
        ),
    ),
    (
        "Orchestrators",
        (
            "orchestrator",
            "policy",
            "budget",
            "breaker",
            "stall",
            "context",
            "limit",
            "verify",
            "dispatch hook",
            "output hook",
            "hook",
            "plan hook",
            "round hook",
            "on_escalate",
        ),
    ),
    ("Tests", ("test", "mock")),
)

#: Titles of kinds that are not sentences by themselves.
_TITLES = {
    "env": "`env` blocks of workers and verifiers",
    "server env": "`env` blocks of servers",
    "dispatch hook": "Hooks: `before_dispatch`",
    "output hook": "Hooks: `after_dispatch`",
    "hook": "Hooks: `before_finish`",
    "plan hook": "Hooks: `before_round`",
    "round hook": "Hooks: `after_round`",
    "step": "`step` blocks of plans",
    "repeat": "`repeat` blocks of steps",
}

#: Notes on a kind besides its settings.
_NOTES = {
    "mcp server": "Requires exactly one of `command` and `url`.",
    "on_status": "Contains entries `STATUS = failure_mode`; a status is from 100 to 599.",
    "on_exit": "Contains entries `CODE = failure_mode`; a code is from 0 to 255.",
    "rules verifier": 'Contains at least one `assert EXPRESSION else "message"`.',
    "plan worker": "Effect and trust follow from the workers that it calls.",
    "step": "A step without `each`, `reduce` and `repeat` is one task. The settings from `where` "
    "to `flatten` shape what `each` and `reduce` select. They are applied in this order: "
    "`entries`, `flatten`, `where`, `unique_by`, `sort_by` with `desc`, `take`.",
    "test": "May contain any number of `assert EXPRESSION`.",
    "mock": "Requires exactly one of `returns`, `fails` and `script`.",
}

_SCOPES = (
    ("templates", "the inputs, `param`, the templates of the file"),
    ("call", "the inputs, `param`, `task.key`"),
    ("response", "the inputs, `param`, `response`, `status`, `headers`"),
    ("verdict", "the inputs, `param`, `ok`, `feedback`, `score`"),
    ("inputs", "the inputs, `param`"),
    ("escalate", "the inputs, `param`, `run.reason`, `run.rounds`, `run.goal`"),
    ("plan", "the inputs, `param`, earlier steps; `item`, `index`, `parts`, `last` where they are"),
    ("hook", "what the hook offers, `param`"),
    ("none", "`param`"),
)


def settings_page() -> str:
    """The text of `reference/settings.md`."""
    known = bodies()
    parts = [_HEAD]
    for title, names in _CHAPTERS:
        parts.append(f"## {title}\n")
        parts.extend(_kind(known[name]) for name in names)
    parts.append(_scopes())
    return "\n".join(parts)


def _kind(kind: Kind) -> str:
    title = _TITLES.get(kind.name) or kind.title[:1].upper() + kind.title[1:]
    lines = [f"### {title}", ""]
    if kind.name in _NOTES:
        lines += [_NOTES[kind.name], ""]
    if kind.rows:
        lines += ["| setting | value | default | |", "| --- | --- | --- | --- |"]
        lines += [_row(row) for row in kind.rows]
        lines.append("")
    return "\n".join(lines)


def _row(row: Row) -> str:
    name = f"**`{row.name}`**" if row.required else f"`{row.name}`"
    default = "" if row.default_text is None else f"`{row.default_text}`"
    cells = [name, _value(row.value), default, row.doc]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(value: values.Value) -> str:
    match value:
        case values.Int(minimum=low, maximum=high):
            most = "" if high is None else f", at most {high}"
            least = "" if low == 1 else f", at least {low}"
            return f"whole number{least}{most}"
        case values.NumberValue(minimum=low, maximum=high):
            return "number" if low is None else f"number, {low:g} to {high:g}"
        case values.Bool():
            return "`true`, `false`"
        case values.Duration():
            return "duration, `30s`"
        case values.Money():
            return "money, `$2.50`"
        case values.Size():
            return "size, `20KiB`"
        case values.ShareOrNumber():
            return "number or percentage"
        case values.Share():
            return "share, `60%`"
        case values.Str():
            return "string"
        case values.Strings():
            return "list of strings"
        case values.Ints():
            return "list of whole numbers"
        case values.Words():
            return "list of names"
        case values.Choice(options=options):
            return ", ".join(f"`{option}`" for option in options)
        case values.ChoiceOrStrings(options=options):
            return f"{', '.join(f'`{option}`' for option in options)} or list of strings"
        case values.Names(kinds=kinds, many=many):
            return _names(" or ".join(kinds), many)
        case values.Mode():
            return "failure mode"
        case values.Modes():
            return "list of failure modes"
        case values.CallPath():
            return '`"package.module:function"`'
        case values.Parse():
            return '`json`, `lines`, `text` or `"package.module:function"`'
        case values.Constant():
            return 'any constant, `file("x.json")`'
        case values.Text():
            return "template"
        case values.Computed(scope=scope, secrets=secrets, shape=shape, block=block):
            what = "" if shape == "any" else f", a {shape}"
            sees = "; sees `secret`" if secrets else ""
            other = "" if block is None else "; or a block"
            return f"expression ({scope}){what}{sees}{other}"
        case values.BlockValue(label=label, repeated=repeated, words=words):
            named = f", named by a {' or '.join(label)}" if label else ""
            named = ", with a name" if value.declares else named
            instead = "".join(f" or `{word}`" for word in words)
            return f"block{named}{', repeatable' if repeated else ''}{instead}"


def _names(kind: str, many: str) -> str:
    if many == "one":
        return f"a {kind}"
    return (
        "list of " + " or ".join(f"{one}s" for one in kind.split(" or "))
        if many == "list"
        else f"a {kind} or a list"
    )


def _scopes() -> str:
    lines = ["## What expressions see", "", "| expression | names |", "| --- | --- |"]
    lines += [f"| {name} | {seen} |" for name, seen in _SCOPES]
    lines += ["", "`secret.NAME` may be used only where a table says so.", ""]
    return "\n".join(lines)


# ---------------------------------------------------------------- rules

_RULES_HEAD = """\
<!-- Made by docs/_generate.py from engine/diagnostics. Change it there. -->
# Rules

This page lists everything that `orch lint` can report, by area. [Linting](../linting.md) describes
how to select rules and how to fix and allow findings. An error, in any file of a program, stops it
from running. A warning is probably a mistake, and an info is advice. "Stops a run": `orch run`,
`orch test`, `orch.load`, an upgrade of a run and hosts of a cluster refuse the program.
"Comment": an [`orch: allow[...]` comment](../linting.md#suppressions) can allow the finding, and
then it stops nothing. `--fix` applies safe fixes, and `--unsafe-fixes` also unsafe ones.

"""

_RULE_HEAD = "<!-- Made by docs/_generate.py from {}. Change it there. -->\n"

_PRELUDE = """\
The examples are parts of a file that begins with [these declarations](index.md#the-examples).
"""


def rule_pages() -> dict[str, str]:
    """The texts of `reference/rules/*.md`, by the file's name."""
    pages = {f"{rule.code}.md": _rule_page(rule) for rule in RULES.values()}
    parts = [_RULES_HEAD]
    for digit, area in AREAS.items():
        rules = [rule for rule in RULES.values() if rule.code[3] == digit]
        parts.append(f"## {area[:1].upper()}{area[1:]}\n")
        parts.append("| code | name | severity | stops a run | comment | fix | |")
        parts.append("| --- | --- | --- | --- | --- | --- | --- |")
        for rule in rules:
            summary = rule.summary.replace("|", "\\|")
            parts.append(
                f"| [{rule.code}]({rule.code}.md) | {rule.name} | {rule.severity} "
                f"| {'yes' if rule.blocks else ''} | {'allows it' if rule.allowable else ''} "
                f"| {_fix_of(rule.code)} | {summary} |"
            )
        parts.append("")
    parts += ["## The examples\n", "The examples on the pages assume these declarations:\n"]
    parts += [f"```orch-example\n{PRELUDE}```\n"]
    pages["index.md"] = "\n".join(parts)
    return pages


def _rule_page(rule: RuleRow) -> str:
    example = explained(rule.code)
    fix = _fix_of(rule.code)
    source = rule.module.replace(".", "/") + ".py"
    lines = [
        f"{_RULE_HEAD.format(source)}# {rule.code} {rule.name}\n",
        f"{rule.weight} · {AREAS[rule.code[3]]} · {f'{fix} fix' if fix else 'no fix'} · "
        "[all rules](index.md)\n",
        f"{rule.summary}\n",
        f"{example.why}\n",
    ]
    for title, text in (("Reported", example.bad), ("Fine", example.good)):
        if text:
            lines.append(f"## {title}\n\n```orch-example\n{text.strip()}\n```\n")
    if example.bad and not _is_whole(rule.code):
        lines.append(_PRELUDE)
    return "\n".join(lines)


def _is_whole(code: str) -> bool:
    return explained(code).bad.startswith("orch ") or code == "ORC007"


def _fix_of(code: str) -> str:
    """`safe` or `unsafe` if what is reported in the example can be fixed."""
    text = explained(code).bad
    if not text:
        return ""
    found = lint(
        "main.orch", source_text=text if _is_whole(code) else f"{PRELUDE}{text}\n", also={code}
    )
    fixes = [item.fix.safety for item in found if item.code == code and item.fix is not None]
    return fixes[0] if fixes else ""


def main() -> None:
    """Write the pages."""
    rules = table_text()
    if TABLE.read_text(encoding="utf-8") != rules:
        TABLE.write_text(rules, encoding="utf-8")
        # What is loaded has the old table, and the pages are made from the new one.
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606
    (FOLDER / "reference" / "settings.md").write_text(settings_page(), encoding="utf-8")
    (FOLDER / "reference" / "events.md").write_text(events_page(), encoding="utf-8")
    architecture = FOLDER / "explanation" / "architecture.md"
    page = architecture.read_text(encoding="utf-8")
    architecture.write_text(with_layers(page), encoding="utf-8")
    models = FOLDER / "howto" / "models.md"
    models.write_text(with_models(models.read_text(encoding="utf-8")), encoding="utf-8")
    folder = FOLDER / "reference" / "rules"
    folder.mkdir(exist_ok=True)
    for name, text in rule_pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
