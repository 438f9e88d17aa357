"""What can be said of a checked program: its errors, warnings and advice.

`admission` holds the rules that report errors and refuses a program that has one; `rules` has all
of them. A run needs the first alone, and the second costs five times as much to import: so the
names here are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.linter.rules import OPTIONAL_RULES, RULES, lint, lint_result

__all__ = ["OPTIONAL_RULES", "RULES", "lint", "lint_result"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'engine.linter' has no attribute {name!r}")
    from engine.linter import rules

    value = getattr(rules, name)
    globals()[name] = value
    return value
