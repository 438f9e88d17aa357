"""What a rule looks at: a file of a checked program, with the questions rules share.

A program with errors is only partly there. Rules that argue from absence ("nothing uses it") must
keep quiet then, for the use may be what could not be read: they ask `complete`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

from engine.bounds import Bound, bounds_of
from engine.diagnostics import Diagnostic
from engine.linter.taint import Flow, flow_of
from engine.sema.check import CheckResult
from engine.sema.model import Orchestrator, Program, reached
from engine.sema.names.scope import Entity, Scope
from engine.source import Span

__all__ = ["LintRule", "Subject"]

#: Model ids of these schemes cost nothing.
_FREE_SCHEMES = ("scripted/", "recorded/", "python/", "local/")


class Subject:
    """One file of a checked program: the entry, unless another is given.

    Attributes:
        result: What checking gave.
        scope: The file's names.
        program: The whole program, as far as it could be read.
    """

    def __init__(self, result: CheckResult, scope: Scope | None = None) -> None:
        self.result = result
        self.scope = result.scopes.entry if scope is None else scope
        self.program: Program = result.partial

    @cached_property
    def files(self) -> tuple[Subject, ...]:
        """Every file of the program, the entry first. Errors are reported for all of them."""
        others = [scope for scope in self.result.scopes.all if scope is not self.scope]
        return (self, *(Subject(self.result, scope) for scope in others))

    @property
    def complete(self) -> bool:
        """Whether the whole program could be read."""
        return self.result.program is not None

    def here(self, span: Span) -> bool:
        """Whether a place is in this file."""
        return span.source is self.scope.module.source

    @cached_property
    def _faulty(self) -> list[Span]:
        """The declarations of the program's files with an error inside."""
        errors = [item.span for item in self.result.diagnostics if item.severity == "error"]
        return [
            node.span
            for module in (self.result.modules if errors else ())
            for node in module.document.declarations
            if any(
                node.span.source is at.source and node.span.start <= at.start <= node.span.end
                for at in errors
            )
        ]

    def in_doubt(self, span: Span) -> bool:
        """Whether a place is in a declaration with an error, which may be what a rule sees."""
        return any(span.source is d.source and d.start <= span.start < d.end for d in self._faulty)

    @cached_property
    def orchestrators(self) -> list[Orchestrator]:
        """The orchestrators declared in this file."""
        return [o for o in self.program.orchestrators.values() if self.here(o.span)]

    @cached_property
    def children(self) -> frozenset[str]:
        """The orchestrators that are workers of others."""
        return frozenset(
            name
            for orchestrator in self.program.orchestrators.values()
            for name in orchestrator.workers
            if name in self.program.orchestrators and name != orchestrator.name
        )

    @cached_property
    def bounds(self) -> dict[str, Bound]:
        """The worst case of each orchestrator; empty where the program has errors."""
        if self.result.program is None:
            return {}
        return {bound.orchestrator: bound for bound in bounds_of(self.result.program)}

    @cached_property
    def flow(self) -> Flow:
        """Where untrusted text may go."""
        return flow_of(self.program)

    @cached_property
    def declared(self) -> dict[str, Entity]:
        """What this file itself declares, by canonical name; params and secrets left out."""
        scope = self.scope
        return {
            entity.canonical: entity
            for entity in scope.names.values()
            if entity.module is scope.module and entity.declaration is not None
        }

    def local_names(self, canonical: str) -> list[str]:
        """How this file may write the name of something: its own, or an import's."""
        scope = self.scope
        names = [local for local, it in scope.names.items() if it.canonical == canonical]
        for alias, inner in scope.aliases.items():
            found = inner.names.items() if inner is not None else ()
            names += [f"{alias}.{local}" for local, it in found if it.canonical == canonical]
        return names

    def costs(self, orchestrator: Orchestrator) -> bool:
        """Whether any model it may call could cost money."""
        program = self.program
        models = [orchestrator.model]
        for name in reached(program.workers, orchestrator.workers):
            if name in program.workers:
                models.append(program.workers[name].facts.model or "")
        for hook in orchestrator.hooks:
            for name in hook.every_verifier:
                if name in program.verifiers:
                    models.append(program.verifiers[name].facts.model or "")
        known = [program.models[name] for name in models if name in program.models]
        known += [program.models[n] for m in known for n in m.fallback if n in program.models]
        return any(not model.id.startswith(_FREE_SCHEMES) for model in known)


LintRule = Callable[[Subject], Iterable[Diagnostic]]
