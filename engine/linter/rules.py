"""`lint`: everything that can be said about a file before a cent is spent.

The checker's findings, the errors of `engine.linter.admission`, and the warnings and advice listed
here. A rule is a function from a `Subject` to diagnostics, one small family to a file. A rule that
reports errors is listed in `admission.BLOCKING`, because a run is refused for them, and looks at
every file of the program. The others look at the entry file: an imported file is linted by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from engine.diagnostics import Diagnostic, sort_diagnostics
from engine.linter.addresses import value_in_path
from engine.linter.admission import BLOCKING, found_by
from engine.linter.commands import command_on_the_network, undeclared_source
from engine.linter.comments import comment_for_division, dangling_doc_comment
from engine.linter.coverage import live_call_in_test, no_test
from engine.linter.decision_size import decision_over_answer
from engine.linter.default_trust import no_trust_said
from engine.linter.descriptions import missing_description
from engine.linter.fences import untrusted_unfenced
from engine.linter.gates import (
    constant_pass,
    gate_without_timeout,
    judge_of_its_own_work,
    nothing_checks_the_result,
)
from engine.linter.hooks import (
    gate_skips_the_tainted,
    hook_looks_always_or_never,
    otherwise_for_nothing,
)
from engine.linter.layout import not_formatted
from engine.linter.limits import (
    dispatches_unreachable,
    no_stall_rule,
    revision_without_exit,
    timeout_inversion,
)
from engine.linter.models import fallback_weaker, unknown_model
from engine.linter.naming import naming
from engine.linter.packages import unpinned_package
from engine.linter.plans import plan_over_policy, undeclared_modes
from engine.linter.prompts import schema_restated
from engine.linter.results import nobody_makes_the_result
from engine.linter.sandboxes import sandbox_path, sandbox_without_network
from engine.linter.scripts import script_not_accepted
from engine.linter.shown import contradicting_show, free_text_of_strangers, shown_in_words
from engine.linter.sources import (
    endorsed_unseen,
    input_without_source,
    number_of_a_stranger,
    source_is_free_text,
)
from engine.linter.spending import (
    budget_of_child,
    budget_unreachable,
    no_budget,
)
from engine.linter.structured import schema_in_the_prompt
from engine.linter.subject import LintRule
from engine.linter.suppression import suppressions
from engine.linter.timeouts import call_without_timeout
from engine.linter.trifecta import lethal_trifecta
from engine.linter.unions import ambiguous_union
from engine.linter.unused import unused_declarations, unused_verifiers, unused_workers
from engine.linter.ways_out import address_of_strangers
from engine.sema.check import CheckResult, check_file
from engine.sema.names.loader import DiskReader, OverlayReader, Reader

__all__ = ["OPTIONAL_RULES", "RULES", "lint", "lint_result"]

#: Every rule, in no particular order.
RULES: tuple[LintRule, ...] = (
    *BLOCKING,
    address_of_strangers,
    ambiguous_union,
    budget_of_child,
    budget_unreachable,
    call_without_timeout,
    command_on_the_network,
    comment_for_division,
    constant_pass,
    contradicting_show,
    dangling_doc_comment,
    decision_over_answer,
    endorsed_unseen,
    input_without_source,
    number_of_a_stranger,
    source_is_free_text,
    dispatches_unreachable,
    fallback_weaker,
    free_text_of_strangers,
    gate_skips_the_tainted,
    gate_without_timeout,
    hook_looks_always_or_never,
    judge_of_its_own_work,
    lethal_trifecta,
    live_call_in_test,
    missing_description,
    naming,
    no_budget,
    no_stall_rule,
    no_test,
    no_trust_said,
    nobody_makes_the_result,
    nothing_checks_the_result,
    otherwise_for_nothing,
    plan_over_policy,
    revision_without_exit,
    sandbox_path,
    sandbox_without_network,
    schema_in_the_prompt,
    schema_restated,
    script_not_accepted,
    shown_in_words,
    timeout_inversion,
    undeclared_modes,
    undeclared_source,
    unknown_model,
    unpinned_package,
    untrusted_unfenced,
    unused_declarations,
    unused_verifiers,
    unused_workers,
    value_in_path,
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
    optional = [rule for code, rule in OPTIONAL_RULES.items() if code in also]
    found = [*result.diagnostics, *found_by((*RULES, *optional), result)]
    # Last: by now every suppression knows what it has allowed.
    return sort_diagnostics([*found, *suppressions(result)])
