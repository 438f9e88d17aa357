"""The record of a kind of worker or verifier, and what its checks may look at.

A record is data and a few pure functions: it imports no client library and does no I/O, so that
linting a file costs nothing that only running it needs. What does the work is named by `port` and
imported when a run begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.diagnostics import Diagnostic
from engine.project import Project
from engine.sema.kinds.mcp_calls import Snapshots
from engine.sema.model import Facts
from engine.sema.settings.bodies import Settings
from engine.sema.settings.table import Kind, Row
from engine.sema.types.definitions import Field, Type
from engine.source import Span
from engine.syntax import ast

__all__ = ["Declared", "WorkerKind"]


@dataclass(eq=False)
class Declared:
    """One declaration of a kind, its body read: what a check of the kind may look at.

    Attributes:
        node: The declaration in the syntax tree.
        owner: What messages call it: "worker `search`".
        settings: Its body: constants folded, expressions as they are written.
        inputs: Its inputs, in order.
        names: The type of every name that its expressions may use.
        values: The values that every expression of the file sees: `param`.
        base_dir: The folder of the declaring file.
        project: Where files may be read; None for anywhere.
        with_python: Whether Python modules are looked at; not for a run that has begun.
        read: The inputs that its texts and expressions use.
        is_certain: Whether every text could be read; if not, an input may be used anyway.
        is_whole: Whether the file could be parsed; if not, something may be missing in the tree.
        snapshots: The kept tools of MCP servers.
    """

    node: ast.WorkerDecl | ast.VerifierDecl
    owner: str
    settings: Settings
    inputs: Sequence[Field]
    names: Mapping[str, Type]
    values: Mapping[str, Any]
    base_dir: str
    project: Project | None
    with_python: bool
    read: frozenset[str]
    is_certain: bool
    is_whole: bool
    snapshots: Snapshots

    @property
    def at(self) -> Span:
        """Where its name is written: a finding about the whole declaration belongs there."""
        return self.node.name.span


def _nothing_wrong(_: Declared) -> Iterable[Diagnostic]:
    return ()


def _plain_facts(_: Mapping[str, Any]) -> Facts:
    return Facts()


def _nothing_more(_: Declared) -> Mapping[str, Any]:
    return {}


class WorkerKind(msgspec.Struct, frozen=True, kw_only=True):
    """What may follow `via`.

    Attributes:
        name: As it is written after `via`.
        summary: How the work is done, in a phrase: "run by a Python function".
        worker: The settings of workers of this kind; None where there are no such workers.
        verifier: The settings of verifiers of this kind; None where there are no such verifiers.
        assertions: Whether `assert` may be in a verifier's body.
        modes: The failure modes its calls can end with besides those of every call.
        facts: What the engine has to know of a declaration, from its checked settings.
        check: What is wrong with a declaration that its settings alone do not show.
        derived: Further settings that follow from what is written, such as the hosts of a URL.
        inputs_are_arguments: Whether inputs are passed by name, so that renaming one breaks code.
        port: What does the work, as `"package.module:name"`: called with the `Program` (or None)
            for a `WorkerPort`. None: the machine does it.
        calls: The setting that says what is called: a failure that is about no other setting is
            shown there. "" for none; then it is shown at the kind.
        needs: A package that the port imports, and the extra of this package that brings it.
        without: Settings of other kinds that this one does not have, with what to know instead.
    """

    name: str
    summary: str
    worker: tuple[Row, ...] | None = None
    verifier: tuple[Row, ...] | None = None
    assertions: bool = False
    modes: frozenset[str] = frozenset()
    facts: Callable[[Mapping[str, Any]], Facts] = _plain_facts
    check: Callable[[Declared], Iterable[Diagnostic]] = _nothing_wrong
    derived: Callable[[Declared], Mapping[str, Any]] = _nothing_more
    inputs_are_arguments: bool = False
    port: str | None = None
    calls: str = ""
    needs: tuple[str, str] | None = None
    without: Mapping[str, str] = {}

    def body(self, declared: str) -> Kind | None:
        """The body of its `worker`s or `verifier`s, or None where there are none."""
        rows = self.worker if declared == "worker" else self.verifier
        if rows is None:
            return None
        title = f"`{self.name}` {declared}s"
        return Kind(
            f"{self.name} {declared}",
            title,
            rows,
            assertions=self.assertions,
            without=self.without,
        )
