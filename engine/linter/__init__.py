"""`lint`: everything that can be said about a file before a cent is spent.

Errors come from `engine.sema.check`; the rules in this package add warnings and advice that need
the checked program. A rule is a function from a `Subject` to diagnostics, one small family to a
file, listed in `RULES`. Rules look at the entry file only: an imported file is linted by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from engine.diagnostics import Diagnostic, sort_diagnostics
from engine.linter.calls import call_without_timeout
from engine.linter.commands import command_on_the_network, shell_interpolation, undeclared_source
from engine.linter.comments import comment_for_division, dangling_doc_comment
from engine.linter.coverage import live_call_in_test, no_test
from engine.linter.credentials import hardcoded_credential
from engine.linter.descriptions import missing_description
from engine.linter.effects import untrusted_to_effect
from engine.linter.fences import untrusted_in_goal, untrusted_unfenced
from engine.linter.gates import (
    constant_pass,
    gate_without_timeout,
    judge_of_its_own_work,
    nothing_checks_the_result,
)
from engine.linter.layout import not_formatted
from engine.linter.limits import (
    dispatches_unreachable,
    no_stall_rule,
    revision_without_exit,
    timeout_inversion,
)
from engine.linter.models import fallback_weaker, model_cannot_do, unknown_model
from engine.linter.naming import naming
from engine.linter.packages import unpinned_package
from engine.linter.prompts import schema_restated
from engine.linter.results import nobody_makes_the_result
from engine.linter.revision import revision_of_effects
from engine.linter.scripts import script_not_accepted
from engine.linter.spending import (
    budget_below_minimum,
    budget_of_child,
    budget_unreachable,
    no_budget,
)
from engine.linter.structured import schema_in_the_prompt
from engine.linter.subject import LintRule, Subject
from engine.linter.suppression import suppressions
from engine.linter.trifecta import lethal_trifecta
from engine.linter.unions import ambiguous_union
from engine.linter.unused import unused_declarations, unused_verifiers, unused_workers
from engine.sema.check import CheckResult, check_file
from engine.sema.loader import DiskReader, OverlayReader, Reader

__all__ = ["OPTIONAL_RULES", "RULES", "lint", "lint_result"]

#: Every rule, in no particular order.
RULES: tuple[LintRule, ...] = (
    ambiguous_union,
    budget_below_minimum,
    budget_of_child,
    budget_unreachable,
    call_without_timeout,
    command_on_the_network,
    comment_for_division,
    constant_pass,
    dangling_doc_comment,
    dispatches_unreachable,
    fallback_weaker,
    gate_without_timeout,
    hardcoded_credential,
    judge_of_its_own_work,
    lethal_trifecta,
    live_call_in_test,
    missing_description,
    model_cannot_do,
    naming,
    no_budget,
    no_stall_rule,
    no_test,
    nobody_makes_the_result,
    nothing_checks_the_result,
    revision_of_effects,
    revision_without_exit,
    schema_in_the_prompt,
    schema_restated,
    script_not_accepted,
    shell_interpolation,
    timeout_inversion,
    undeclared_source,
    unknown_model,
    unpinned_package,
    untrusted_in_goal,
    untrusted_to_effect,
    untrusted_unfenced,
    unused_declarations,
    unused_verifiers,
    unused_workers,
)

#: Rules that are applied only where they are asked for, by their code.
OPTIONAL_RULES: dict[str, LintRule] = {"ORC905": not_formatted}


def lint(
    path: str,
    *,
    reader: Reader | None = None,
    params: Mapping[str, Any] | None = None,
    source_text: str | None = None,
    also: Collection[str] = (),
) -> list[Diagnostic]:
    """Check a file and what it imports, and apply every rule.

    Args:
        path: The entry file, as the user named it.
        reader: Where files come from; the disk by default.
        params: Values of params; without them defaults count.
        source_text: The text of the entry file, where it is not (yet) what is on the disk.
        also: Codes of optional rules to apply as well; others change nothing.

    Raises:
        UnreadableFile: If the entry file gives no text.
        InputError: If a given param is unknown or its value does not fit.
    """
    if source_text is not None:
        reader = OverlayReader(reader or DiskReader(), path, source_text)
    return lint_result(check_file(path, params=params, reader=reader), also)


def lint_result(result: CheckResult, also: Collection[str] = ()) -> list[Diagnostic]:
    """The findings of a check that was made already, and those of every rule; `also` as above."""
    subject = Subject(result)
    found = list(result.diagnostics)
    optional = [rule for code, rule in OPTIONAL_RULES.items() if code in also]
    for rule in (*RULES, *optional):
        for item in rule(subject):
            if not subject.in_doubt(item.span) and not result.suppressions.allows(item):
                found.append(item)
    found.extend(suppressions(result))
    return sort_diagnostics(found)
