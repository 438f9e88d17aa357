"""`timeout = 10 s` before a block: a unit that is separated from its number, which still parses.

Most numbers in pieces do not parse and are described in `engine.syntax.common_mistakes`. Before a
block the unit reads as the block's name, and the block's own name as a label: here both are put
right, so that one slip is one finding.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator

import msgspec

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.syntax import ast
from engine.syntax.common_mistakes import UNITS

__all__ = ["without_lone_units"]


def without_lone_units(
    members: Iterable[ast.Member], known: Container[str], report: Callable[[Diagnostic], None]
) -> Iterator[ast.Member]:
    """The members of a body, each block by its own name; a setting without its unit is left out.

    Args:
        known: The names that a block may have here, which are not units.
        report: Where findings go (ORC203).
    """
    before: ast.Setting | None = None
    for member in members:
        if before is not None and not _is_unit_of(before, member, known):
            yield before
            before = None
        if isinstance(member, ast.Setting) and isinstance(member.value, ast.Number):
            before = member
            continue
        if before is None or not isinstance(member, ast.Block):
            yield member
            continue
        number, name = before.value.span, member.labels[0]
        better = number.text + member.name.text
        span = number.to(member.name.span)
        report(
            diagnostic(
                "ORC203",
                f"a unit is part of its number; write `{better}`",
                span,
                fix=Fix(f"write `{better}`", (Edit(span, better),)),
            )
        )
        before = None
        yield msgspec.structs.replace(
            member, name=name, labels=member.labels[1:], span=name.span.to(member.span)
        )
    if before is not None:
        yield before


def _is_unit_of(setting: ast.Setting, member: ast.Member, known: Container[str]) -> bool:
    if not isinstance(member, ast.Block) or not member.labels:
        return False
    name, end = member.name, setting.value.span.end
    between = name.span.source.text[end : name.span.start]
    return (
        name.text in UNITS
        and name.text not in known
        and between.isspace()
        and ("\n" not in between)
    )
