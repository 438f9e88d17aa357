"""The findings that prevent a program from running: every error, unless a comment allows it.

`orch lint` reports these errors with everything else. `orch run`, `orch test`, `orch.load`, an
upgrade of a run and the hosts of a cluster use this module and refuse the program. Both use the
same rules on the same files, so an error of `orch lint` always stops the others.
`engine.diagnostics.catalogue` defines which rules are errors, and which a comment may allow.

A run that has started is not checked again: see `engine.drive.loading.compile_record`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.diagnostics import Diagnostic, sort_diagnostics
from engine.errors import CompileError
from engine.linter.commands import shell_interpolation
from engine.linter.credentials import hardcoded_credential
from engine.linter.effects import untrusted_to_effect
from engine.linter.fences import untrusted_in_goal
from engine.linter.models import model_cannot_do
from engine.linter.revision import revision_of_effects
from engine.linter.sandboxes import sandbox_host, sandbox_in_process, sandbox_secret
from engine.linter.sources import never_from_there
from engine.linter.spending import budget_below_minimum
from engine.linter.subject import LintRule, Subject
from engine.sema.check import CheckResult, check_file
from engine.sema.model import Program

__all__ = ["BLOCKING", "admit", "admitted", "errors_in", "found_by"]

#: The linter's rules that report errors. Each looks at every file of the program.
BLOCKING: tuple[LintRule, ...] = (
    budget_below_minimum,
    hardcoded_credential,
    model_cannot_do,
    never_from_there,
    revision_of_effects,
    sandbox_host,
    sandbox_in_process,
    sandbox_secret,
    shell_interpolation,
    untrusted_in_goal,
    untrusted_to_effect,
)


def found_by(rules: Iterable[LintRule], result: CheckResult) -> Iterator[Diagnostic]:
    """What rules find in a checked program and no comment allows."""
    subject = Subject(result)
    for rule in rules:
        for item in rule(subject):
            if not subject.in_doubt(item.span) and not result.suppressions.allows(item):
                yield item


def errors_in(result: CheckResult) -> list[Diagnostic]:
    """The errors of a checked program, those of the linter included; empty where it may run."""
    found = [*result.diagnostics, *found_by(BLOCKING, result)]
    return [item for item in sort_diagnostics(found) if item.severity == "error"]


def admit(result: CheckResult) -> Program:
    """The program of a check, if it may run.

    Raises:
        CompileError: It has errors; they are in it.
    """
    errors = errors_in(result)
    if errors or result.program is None:
        raise CompileError(errors)
    return result.program


def admitted(
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Program:
    """Check a file that is to be run, and give its program.

    Args:
        path: The entry file, as the user named it.
        params: Values of params by name.
        env: Where `ORCH_PARAM_*` is looked up; the process's environment by default.

    Raises:
        CompileError: It has errors; they are in it.
        UnreadableFile: The entry file gives no text.
        InputError: A given param is unknown or its value does not fit.
    """
    return admit(check_file(path, params=params, env=env))
