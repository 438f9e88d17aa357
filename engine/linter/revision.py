"""ORC503 for orchestrators: a revision that would do again what was done."""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, diagnostic
from engine.linter.subject import Subject
from engine.sema.model import Program, Worker

__all__ = ["revision_of_effects"]


def revision_of_effects(subject: Subject) -> Iterator[Diagnostic]:
    """ORC503: `revise` after a sub-orchestrator that may have changed something outside.

    The machine denies such a revision; that of a worker is told when the file is checked.
    """
    program = subject.program
    for orchestrator in (each for file in subject.files for each in file.orchestrators):
        for hook in orchestrator.hooks:
            if hook.point != "after_dispatch" or hook.on_fail != "revise":
                continue
            effect = _effect_below(program, hook.worker or "")
            if effect is not None:
                yield diagnostic(
                    "ORC503",
                    f"`revise` would run `{hook.worker}` again, whose `{effect.name}` has the "
                    f"effect `{effect.effect}`",
                    hook.span,
                    help="check before it acts (`before_dispatch` inside it), or use "
                    "`on_fail = abort` or `escalate`",
                )


def _effect_below(program: Program, name: str) -> Worker | None:
    """A worker that acts, of an orchestrator or of one it calls; None for a plain worker."""
    seen: set[str] = set()
    waiting = [name] if name in program.orchestrators else []
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for member in program.orchestrators[current].workers:
            if member in program.orchestrators:
                waiting.append(member)
            elif member in program.workers and program.workers[member].changes_something:
                return program.workers[member]
    return None
