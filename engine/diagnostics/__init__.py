"""What is wrong with a program, as values, and the catalogue of rules that can say so."""

from engine.diagnostics.catalogue import OPTIONAL, RULES, Rule, Severity
from engine.diagnostics.diagnostic import (
    Diagnostic,
    Edit,
    Fix,
    Related,
    diagnostic,
    sort_diagnostics,
)

__all__ = [
    "OPTIONAL",
    "RULES",
    "Diagnostic",
    "Edit",
    "Fix",
    "Related",
    "Rule",
    "Severity",
    "diagnostic",
    "sort_diagnostics",
]
