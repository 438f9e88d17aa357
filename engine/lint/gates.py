"""ORC601, ORC605: results nobody checks, and gates that wait forever."""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, diagnostic
from engine.lint.subject import Subject

__all__ = ["gate_without_timeout", "nothing_checks_the_result"]


def nothing_checks_the_result(subject: Subject) -> Iterator[Diagnostic]:
    """ORC601: an orchestrator without a `before_finish` verifier."""
    for orchestrator in subject.orchestrators:
        checked = any(hook.point == "before_finish" for hook in orchestrator.hooks)
        if not checked and orchestrator.name not in subject.children:
            yield diagnostic(
                "ORC601",
                f"nothing checks the result of `{orchestrator.name}` before it finishes",
                orchestrator.span,
                help="add `verify { before_finish { with = ... } }`",
            )


def gate_without_timeout(subject: Subject) -> Iterator[Diagnostic]:
    """ORC605: a human verifier without a timeout."""
    for verifier in subject.program.verifiers.values():
        if verifier.kind == "human" and verifier.timeout_ms is None and subject.here(verifier.span):
            yield diagnostic(
                "ORC605",
                f"the gate `{verifier.name}` waits forever when nobody answers",
                verifier.span,
                help="add `timeout = 24h` and `on_timeout = abort`",
            )
