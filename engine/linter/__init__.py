"""Findings on a checked program: errors, warnings and advice.

`admission` has the rules that report errors, and refuses a program with an error; `rules` has all
rules. A run needs only `admission`, and importing `rules` takes five times as long. So the names
here are loaded when they are first used.
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
