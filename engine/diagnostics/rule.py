"""A `Rule`: what one code means, why it is there, a bad and a good example.

A rule is written where it is implemented: next to its function in `engine.linter`. Errors of the
language, which several files of a subject can raise, have theirs in the `rules.py` of the subject's
folder (`engine/syntax`, the folders of `engine/sema`). Everything else is derived: the table that
every program loads (`engine.diagnostics.table`), `orch explain`, the pages, and the tests that run
the examples.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["PRELUDE", "Rule", "Severity"]

Severity = Literal["error", "warning", "info"]

#: What the examples take for granted, except those that are whole files: they begin with `orch`.
PRELUDE = """orch 1
model fast { id = "openai/gpt-5-mini" }
model judge { id = "gemini/gemini-2.5-pro" }
secret KEY
schema Finding { claim: string, quote: string? }
worker search(query: string) -> string via llm { model = fast  prompt = "{{ query }}" }
verifier sound(result: string) via rules { assert result else "empty" }
"""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule.

    Attributes:
        code: `ORC` and three digits; the first is the area. A code never changes its meaning and
            is never used again.
        name: Its name in words, as comments and the configuration may write it.
        summary: A sentence on what the rule finds.
        why: Why it is there.
        bad: A piece of a file that it reports; empty where the fault is in another file.
        good: The same without the fault.
        allowable: Whether an `orch: allow[...]` comment may allow what it finds. An error is
            allowable where the program is sound anyway and what it finds may be right when
            it runs; a run that began under such an error can be resumed.
        optional: It counts only where it is named, and not as a part of `ALL`.
    """

    code: str
    name: str
    severity: Severity
    summary: str
    why: str
    bad: str = ""
    good: str = ""
    allowable: bool
    optional: bool = False
