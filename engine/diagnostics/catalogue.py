"""The catalogue of rules: code, name, severity, what each finds, and where it is written.

Every program loads it, so it is a table (`engine.diagnostics.table`) that is made from the rules and
imports none of them. `explained` gives the whole of one rule, from the module that holds it.

Codes never change their meaning and are never used again. The hundreds are areas (`AREAS`). The
table also says which findings stop a run (every error) and which a comment may allow; the linter,
the commands that run programs and the documentation all read it here.
"""

from __future__ import annotations

from importlib import import_module

import msgspec

from engine.diagnostics.rule import Rule, Severity
from engine.diagnostics.table import ROWS

__all__ = ["AREAS", "OPTIONAL", "RULES", "RuleRow", "explained"]


class RuleRow(msgspec.Struct, frozen=True):
    """One row of the catalogue: the fields of a `Rule` that every program needs.

    Attributes:
        module: The module that the rule is written in.
    """

    code: str
    name: str
    severity: Severity
    summary: str
    allowable: bool
    optional: bool
    module: str

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

#: Every rule by its code.
RULES: dict[str, RuleRow] = {row[0]: RuleRow(*row) for row in ROWS}

#: Rules that count only where they are named, and not as a part of `ALL`.
OPTIONAL = frozenset(code for code, row in RULES.items() if row.optional)


def explained(code: str) -> Rule:
    """The whole of a rule, with why it is there and its examples.

    Imports the module that it is written in, which is above this one: only what explains a rule
    asks for it, and not what reports one.
    """
    module = import_module(RULES[code].module)
    return next(it for it in vars(module).values() if isinstance(it, Rule) and it.code == code)
