"""A misspelt declaration is one fault, however often its name is used.

`worker reseacher` next to three uses of `researcher` gives three unknown names and one thing that
is never used. Where that is so, the declaration is what is wrong, and one finding says so.
"""

from __future__ import annotations

from engine.diagnostics import Diagnostic, Edit, Fix, Related, diagnostic
from engine.sema.names.scope import Entity, Scope, Scopes

__all__ = ["with_misspelt_declarations"]

#: One use of an unknown name may as well be the slip; two in the same words are none.
_USES = 2
_SHOWN = 4


def with_misspelt_declarations(found: list[Diagnostic], scopes: Scopes) -> list[Diagnostic]:
    """The findings, with one instead of those that a misspelt declaration has caused."""
    by_source = {id(scope.module.source): scope for scope in scopes.all}
    groups: dict[tuple[int, str, str], list[Diagnostic]] = {}
    for item in found:
        if item.code == "ORC101" and item.fix is not None and len(item.fix.edits) == 1:
            key = (id(item.span.source), item.span.text, item.fix.edits[0].text)
            groups.setdefault(key, []).append(item)
    replaced: dict[int, Diagnostic | None] = {}
    for (source, name, near), uses in groups.items():
        scope = by_source.get(source)
        entity = None if scope is None else _unused(scope, near)
        if entity is None or len(uses) < _USES:
            continue
        replaced.update((id(item), None) for item in uses)
        replaced[id(uses[0])] = diagnostic(
            "ORC101",
            f"`{name}` is used {len(uses)} times and not declared; `{near}` is declared and not "
            "used",
            entity.name_span,
            help=f"did you mean `{name}` here?",
            fix=Fix(f"declare `{name}`", (Edit(entity.name_span, name),)),
            related=tuple(Related("used here", item.span) for item in uses[:_SHOWN]),
        )
    if not replaced:
        return found
    kept = [replaced.get(id(item), item) for item in found]
    return [item for item in kept if item is not None]


def _unused(scope: Scope, name: str) -> Entity | None:
    """What this module declares under a name and nothing refers to."""
    for space in (scope.names, scope.params, scope.secrets):
        entity = space.get(name)
        if entity is not None and entity.declaration is not None:
            return entity if entity.uses == 0 and entity.module is scope.module else None
    return None
