"""ORC516: a Python module next to a file that has the name of one of orch's packages.

Only modules that the program uses count: those its calls name, and those that these import, as far
as they lie next to the file. They are parsed and never run. `engine.callables` says which module
`import` gives then.
"""

from __future__ import annotations

import ast as python
import os
from collections.abc import Callable, Iterator
from functools import lru_cache

import msgspec

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.source import SourceFile, Span

__all__ = ["OUR_PACKAGES", "ReadModule", "hidden_names"]

#: The names of orch's packages.
OUR_PACKAGES = ("orch", "engine", "grammar")

#: How many modules are followed from a call.
_MOST = 50

#: A module's name to its file next to the program and its tree; None where there is none to read.
ReadModule = Callable[[str], tuple[SourceFile, python.Module] | None]


PYTHON_HIDES_ORCH = Rule(
    code="ORC516",
    name="python-hides-orch",
    severity="warning",
    summary="A Python module that the program uses has the name of a package of orch.",
    why=(
        "`orch`, `engine` and `grammar` are orch's own packages. The module is still "
        "found, but `from engine import Failure` gives orch's `Failure`, even where the module "
        "has one."
    ),
    allowable=True,
)


class _Import(msgspec.Struct, frozen=True):
    """A module that a file imports, by its full name, and the line."""

    name: str
    line: int


def hidden_names(module: str, read: ReadModule, base_dir: str, span: Span) -> Iterator[Diagnostic]:
    """The modules of orch's names that a call leads to.

    Args:
        module: The module that the call names, dotted.
        span: Of the call in the `.orch` file.
    """
    top = module.partition(".")[0]
    if top in OUR_PACKAGES and (found := read(top) or read(module)) is not None:
        yield _finding(top, found[0], base_dir, span, ())
    seen = {module}
    told = {top}
    todo = [module]
    while todo and len(seen) <= _MOST:
        current = read(todo.pop())
        if current is None:
            continue
        source, tree = current
        for item in _imports(tree):
            top = item.name.partition(".")[0]
            if top in OUR_PACKAGES and top not in told and (found := read(top)) is not None:
                told.add(top)
                where = Related("it is imported here", _line(source, item.line))
                yield _finding(top, found[0], base_dir, span, (where,))
            if item.name not in seen:
                seen.add(item.name)
                todo.append(item.name)


def _finding(
    name: str, source: SourceFile, base_dir: str, span: Span, related: tuple[Related, ...]
) -> Diagnostic:
    shown = os.path.relpath(source.path, base_dir)
    return diagnostic(
        "ORC516",
        f"`{shown}` has the name of orch's package `{name}`",
        span,
        help=f"rename it: for `import {name}`, the names that orch has too are orch's",
        related=related,
    )


@lru_cache(maxsize=64)
def _imports(tree: python.Module) -> tuple[_Import, ...]:
    """What a module imports by full names, anywhere in it."""
    found = []
    for node in python.walk(tree):
        if isinstance(node, python.Import):
            found += [_Import(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, python.ImportFrom) and not node.level and node.module:
            found.append(_Import(node.module, node.lineno))
            found += [_Import(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return tuple(found)


def _line(source: SourceFile, number: int) -> Span:
    """A line of a Python file. Python knows more line ends than we do."""
    line = min(number, source.line_count)
    start = source.offset(line, 1)
    return Span(source, start, start + len(source.line(line).rstrip()))
