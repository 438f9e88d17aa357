"""ORC508: MCP servers that are whatever their package's newest version is today."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import pairwise

from engine.diagnostics import Diagnostic, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import setting_of
from engine.linter.subject import Subject
from engine.syntax import ast

__all__ = ["unpinned_package"]

#: Programs that fetch a package and run it, and the words between them and the package.
_RUNNERS = {
    "npx": (), "bunx": (), "uvx": (),
    "pnpm": ("dlx",), "yarn": ("dlx",), "pipx": ("run",), "uv": ("tool", "run"), "npm": ("exec",),
}  # fmt: skip
#: Options whose value is the package.
_PACKAGE = ("--package", "-p", "--from", "--spec")
_PYTHON = ("uvx", "pipx", "uv")


MCP_PACKAGE_UNPINNED = Rule(
    code="ORC508",
    name="mcp-package-unpinned",
    severity="warning",
    summary="A server's command fetches whatever version of a package is newest.",
    why=(
        "A server has the rights of its secrets. Whoever can publish a new version of its"
        " package has them too, unless the version is named."
    ),
    bad='server kb via mcp { command = ["npx", "-y", "zendesk-mcp-server"] }',
    good='server kb via mcp { command = ["npx", "-y", "zendesk-mcp-server@1.4.2"] }',
    allowable=True,
)


def unpinned_package(subject: Subject) -> Iterator[Diagnostic]:
    """ORC508: a package that a server's command fetches, without a version."""
    for entity in subject.declared.values():
        node = entity.declaration
        if not isinstance(node, ast.ServerDecl):
            continue
        command = setting_of(node.body, "command")
        if isinstance(command, ast.ListExpr):
            words = [item for item in command.items if isinstance(item, ast.String)]
            package = _package(words) if len(words) == len(command.items) else None
            if package is not None and not _is_pinned(words[0].value, package.value):
                example = "==1.2.3" if _name(words[0].value) in _PYTHON else "@1.2.3"
                yield diagnostic(
                    "ORC508",
                    f"server `{entity.name}` runs whatever version of `{package.value}` is newest",
                    package.span,
                    help=f"name the version you have looked at: `{_bare(package.value)}{example}`",
                )


def _name(program: str) -> str:
    return re.sub(r"\.(?:exe|cmd)$", "", os.path.basename(program))


def _package(words: list[ast.String]) -> ast.String | None:
    """The argument that names what is fetched, or None if the command fetches nothing."""
    if not words or _name(words[0].value) not in _RUNNERS:
        return None
    rest = words[1:]
    for between in _RUNNERS[_name(words[0].value)]:
        if not rest or rest[0].value != between:
            return None
        rest = rest[1:]
    for option, value in pairwise(rest):
        if option.value in _PACKAGE:
            return value
        if not option.value.startswith("-"):
            break
    if any(word.value.startswith(f"{option}=") for word in rest for option in _PACKAGE):
        return None
    plain = [word for word in rest if not word.value.startswith("-")]
    if not plain or re.match(r"[./~]|[a-z+]+:", plain[0].value):
        return None
    return plain[0]


def _bare(package: str) -> str:
    return re.sub(r"(?<=.)@[^/]*$", "", package)


def _is_pinned(runner: str, package: str) -> bool:
    if re.match(r"[./~]|[a-z+]+:", package):
        return True
    if _name(runner) in _PYTHON and re.search(r"==\d|@\d", package):
        return True
    return re.search(r".@v?\d", package) is not None
