"""ORC901, ORC910: suppressions that suppress nothing, name no rule, or do not say why.

What suppressions do is in `engine.sema.names.suppression`; these are the rules about the comments
themselves, so they run after every other.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import RULES, Diagnostic, Edit, Fix, diagnostic
from engine.diagnostics.edits import removed
from engine.diagnostics.rule import Rule
from engine.sema.check import CheckResult
from engine.sema.names.suppression import Suppression
from engine.sema.suggest import closest

__all__ = ["suppressions"]


UNUSED_SUPPRESSION = Rule(
    code="ORC901",
    name="unused-suppression",
    severity="warning",
    summary="An `orch: allow[...]` comment allows nothing.",
    why="A suppression that is no longer needed would hide the next fault.",
    bad='model m { id = "x" }  // orch: allow[ORC302] why',
    good='model m { id = "x" }',
    allowable=False,
)

UNEXPLAINED_SUPPRESSION = Rule(
    code="ORC910",
    name="unexplained-suppression",
    severity="info",
    summary="An `orch: allow[...]` comment gives no reason.",
    why="Who comes next cannot tell whether the reason still holds.",
    bad="""\
// orch: allow[ORC504]
worker get(q: string) -> json via http { url = "https://a.example/"    }""",
    good="""\
// orch: allow[ORC504] it answers at once
worker get(q: string) -> json via http { url = "https://a.example/"    }""",
    allowable=False,
)


def suppressions(result: CheckResult) -> Iterator[Diagnostic]:
    """What is to be said of the suppressions of the entry file."""
    entry = result.scopes.entry.module.source
    for item in result.suppressions.all:
        if item.span.source is not entry:
            continue
        if not item.words:
            yield diagnostic(
                "ORC901",
                "no rule is named here",
                item.span,
                help="write `// orch: allow[ORC302] why`",
                fix=Fix("remove the comment", (removed(item.span),)),
            )
        for number, (word, code) in enumerate(zip(item.words, item.codes, strict=True)):
            if code is None:
                yield _no_rule(item, number, word)
            elif code in item.refused:
                yield diagnostic(
                    "ORC901",
                    f"{word} cannot be allowed here: with it the program cannot run",
                    item.span,
                    help="correct what it is about",
                    fix=_without(item, number),
                )
            elif code not in item.used:
                yield diagnostic(
                    "ORC901",
                    f"nothing to allow here: {word} finds nothing on line {item.line}",
                    item.span,
                    help="remove it",
                    fix=_without(item, number),
                )
        if item.used and not item.reason:
            yield diagnostic(
                "ORC910",
                "this suppression does not say why",
                item.span,
                help=f"write `// orch: allow[{', '.join(item.words)}] why`",
            )


def _no_rule(item: Suppression, number: int, word: str) -> Diagnostic:
    names = [rule.name for rule in RULES.values()]
    near = word.upper() if word.upper() in RULES else closest(word.upper(), RULES)
    near = near or closest(word, names)
    start, end = item.word_spans[number]
    fix = None
    if near is not None and near.lower() == word.lower():
        fix = Fix(f"write `{near}`", (Edit(item.span.sub(start, end), near),))
    return diagnostic(
        "ORC901",
        f"there is no rule `{word}`",
        item.span,
        help=f"did you mean `{near}`?" if near else "`orch explain` lists the rules",
        fix=fix,
    )


def _without(item: Suppression, number: int) -> Fix:
    """Take out one rule with its comma, or the comment if it names no other."""
    if len(item.words) == 1:
        return Fix("remove the comment", (removed(item.span),))
    spans = item.word_spans
    if number + 1 < len(spans):
        gap = item.span.sub(spans[number][0], spans[number + 1][0])
    else:
        gap = item.span.sub(spans[number - 1][1], spans[number][1])
    return Fix(f"remove `{item.words[number]}`", (Edit(gap, ""),))
