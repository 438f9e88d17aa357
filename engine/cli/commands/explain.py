"""`orch explain`: what a rule finds, by its code or its name; without one, the list of rules."""

from __future__ import annotations

import json
from textwrap import indent
from typing import Any

import click

from engine.cli import complete
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.options import format_option
from engine.cli.output import echo
from engine.diagnostics import RULES, RuleRow, explained
from engine.diagnostics.catalogue import AREAS
from engine.sema.suggest import closest

__all__ = ["command"]


@click.command("explain")
@click.argument("code", required=False, shell_complete=complete.rules)
@format_option("How to show it.")
def command(code: str | None, style: str) -> int:
    """Explain the rule CODE (ORC302, or its name); without CODE, list all rules."""
    if code is None:
        _list(style)
    else:
        _one(_rule(code), style)
    return Exit.OK


def _rule(code: str) -> RuleRow:
    names = {rule.name: rule for rule in RULES.values()}
    word = code.strip()
    rule = RULES.get(word.upper()) or names.get(word.lower())
    if rule is None:
        near = closest(word.upper(), RULES) or closest(word.lower(), names)
        help = f"did you mean `{near}`?" if near else "`orch explain` lists the rules"
        raise CommandError(f"there is no rule `{code}`", Exit.USAGE, help=help)
    return rule


def _fields(rule: RuleRow) -> dict[str, Any]:
    whole = explained(rule.code)
    return {
        "code": rule.code,
        "name": rule.name,
        "severity": rule.severity,
        "stops_a_run": rule.blocks,
        "allowable": rule.allowable,
        "area": AREAS[rule.code[3]],
        "summary": rule.summary,
        "why": whole.why,
        "bad": whole.bad,
        "good": whole.good,
        "page": rule.page,
    }


def _one(rule: RuleRow, style: str) -> None:
    if style == "json":
        echo(json.dumps(_fields(rule), indent=2))
        return
    echo(f"{rule.code} {rule.name} ({rule.severity})")
    echo(f"area: {AREAS[rule.code[3]]}")
    echo(f"severity: {rule.weight}")
    echo(f"\n{rule.summary}")
    whole = explained(rule.code)
    echo(f"Why: {whole.why}")
    for title, text in (("Reported", whole.bad), ("Fine", whole.good)):
        if text:
            echo(f"\n{title}:\n\n{indent(text.strip(), '    ')}")
    echo(f"\nPage: {rule.page}")


def _list(style: str) -> None:
    if style == "json":
        echo(json.dumps([_fields(rule) for rule in RULES.values()], indent=2))
        return
    area = ""
    for rule in RULES.values():
        if rule.code[3] != area:
            echo(("\n" if area else "") + AREAS[rule.code[3]])
            area = rule.code[3]
        echo(f"  {rule.code}  {rule.severity:<7}  {rule.name}")
