"""The table of rules, made from the rules: `docs/_generate.py` writes it.

A rule is a `Rule` at the top of a module of `engine.syntax`, `engine.sema` or `engine.linter`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import engine.linter
import engine.sema
import engine.syntax
from engine.diagnostics.rule import Rule

__all__ = ["TABLE", "all_rules", "table_text"]

TABLE = Path(engine.__file__).parent / "diagnostics" / "table.py"

_HEAD = '''\
"""The rules as a table, made from the rules by `docs/_generate.py`; do not change it here.

Code, name, severity, summary, whether a comment may allow it, whether it counts only where it is
named, the module in which it is written (see `engine.diagnostics.rule`).
"""

from __future__ import annotations

from engine.diagnostics.rule import Severity

__all__ = ["ROWS"]

# fmt: off
ROWS: tuple[tuple[str, str, Severity, str, bool, bool, str], ...] = (
'''


def all_rules() -> list[tuple[Rule, str]]:
    """Every rule with the module it is written in, by code.

    Raises:
        ValueError: Two rules have one code or one name.
    """
    found: dict[str, tuple[Rule, str]] = {}
    for package in (engine.syntax, engine.sema, engine.linter):
        for info in walk_packages(package.__path__, f"{package.__name__}."):
            for value in vars(import_module(info.name)).values():
                if isinstance(value, Rule):
                    other = found.setdefault(value.code, (value, info.name))
                    if other[0] is not value:
                        raise ValueError(f"{value.code} is written in {other[1]} and {info.name}")
    rules = [found[code] for code in sorted(found)]
    names = [rule.name for rule, _ in rules]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"two rules have one name: {', '.join(doubled)}")
    return rules


def table_text() -> str:
    """The text of `engine/diagnostics/table.py`."""
    rows = []
    for rule, module in all_rules():
        # As a literal of Python, with the quotes that the rest of the code has.
        words = rule.summary.replace("\\", "\\\\").replace('"', '\\"')
        rows.append(
            f'    ("{rule.code}", "{rule.name}", "{rule.severity}",\n'
            f'     "{words}",\n'
            f'     {rule.allowable}, {rule.optional}, "{module}"),\n'
        )
    return _HEAD + "".join(rows) + ")\n"
