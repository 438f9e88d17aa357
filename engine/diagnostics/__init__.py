"""What is wrong with a program, as values, and the catalogue of rules that can say so."""

from engine.diagnostics.catalogue import OPTIONAL, RULES, RuleRow, explained
from engine.diagnostics.diagnostic import (
    Diagnostic,
    Edit,
    Fix,
    Related,
    diagnostic,
    sort_diagnostics,
)
from engine.diagnostics.rule import Severity

__all__ = [
    "OPTIONAL",
    "RULES",
    "Diagnostic",
    "Edit",
    "Fix",
    "Related",
    "RuleRow",
    "Severity",
    "diagnostic",
    "explained",
    "sort_diagnostics",
]
