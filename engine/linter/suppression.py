"""ORC901: a suppression that suppresses nothing, or names a rule there is not.

What suppressions do is in `engine.sema.suppression`; this is the rule about the comments
themselves, so it runs after every other.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import RULES, Diagnostic, Edit, Fix, diagnostic
from engine.sema.check import CheckResult

__all__ = ["unused_suppressions"]


def unused_suppressions(result: CheckResult) -> Iterator[Diagnostic]:
    """Each code of a comment in the entry file that nothing was found for."""
    entry = result.scopes.entry.module.source
    for item in result.suppressions.all:
        if item.span.source is not entry:
            continue
        for code in item.codes or ("",):
            if code in item.used:
                continue
            if code not in RULES:
                help = "write `// orch: allow[ORC302] why`"
                if code.upper() in RULES:
                    help = f"did you mean `{code.upper()}`?"
                message = f"there is no rule `{code}`" if code else "no rule is named here"
                yield diagnostic("ORC901", message, item.span, help=help)
                continue
            fix = None
            if len(item.codes) == 1:
                fix = Fix("remove the comment", (Edit(item.span, ""),))
            yield diagnostic(
                "ORC901",
                f"nothing to allow here: {code} finds nothing on line {item.line}",
                item.span,
                help="remove it",
                fix=fix,
            )
