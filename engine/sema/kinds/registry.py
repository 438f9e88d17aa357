"""Which kinds there are: those built in, and those that installed packages bring.

A package brings a kind by an entry point of the group `orch.workers`: its name is the kind's, its
object a `WorkerKind`. The built-in kinds are tables in this folder; nothing of a package is looked
at while a file uses only those.

What is loaded when:

- The names of entry points come from package metadata. They are read (22 ms) when a file has a
  kind that is not built in, for `orch kinds`, and for completion after `via`. No code runs.
- The record of a kind is imported when a file that uses it is checked, by `orch lint` and in
  editors too: an installed package is code that its user chose to trust, as a plugin of a linter
  is. A module next to the file is never imported for it.
- The port is imported when a run begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from engine.sema.kinds.command import COMMAND
from engine.sema.kinds.http import HTTP
from engine.sema.kinds.human import HUMAN
from engine.sema.kinds.kind import WorkerKind
from engine.sema.kinds.llm import LLM
from engine.sema.kinds.mcp import MCP
from engine.sema.kinds.plan import PLAN
from engine.sema.kinds.python import PYTHON
from engine.sema.kinds.record_check import record_problem
from engine.sema.kinds.rules import RULES
from engine.sema.settings.table import KINDS, Kind

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "BUILT_IN",
    "GROUP",
    "SERVER_KINDS",
    "KindError",
    "asked",
    "bodies",
    "body_of",
    "find_kind",
    "installed",
    "kind_names",
    "problems",
    "usable",
]

#: The group of entry points that bring further kinds.
GROUP = "orch.workers"

#: The kinds of this package, in the order in which messages list them.
BUILT_IN: dict[str, WorkerKind] = {
    kind.name: kind for kind in (LLM, PYTHON, COMMAND, HTTP, MCP, PLAN, RULES, HUMAN)
}

#: What may follow `via` of a `server`.
SERVER_KINDS = ("mcp",)

_A = TypeVar("_A")
_R = TypeVar("_R")

_DECLARED = ("worker", "verifier")


class KindError(Exception):
    """A package brings this kind, and it cannot be used.

    Attributes:
        help: What to do about it.
    """

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.help = help


def find_kind(name: str) -> WorkerKind | None:
    """The kind of a name, or None where neither this package nor an installed one has it.

    Raises:
        KindError: A package has it, and it cannot be used.
    """
    known = BUILT_IN.get(name)
    return known if known is not None else _from_package(name)


def usable(name: str) -> WorkerKind | None:
    """As `find_kind`, and None as well for a kind that cannot be used: the checker reports it."""
    try:
        return find_kind(name)
    except KindError:
        return None


def kind_names(declared: str) -> tuple[str, ...]:
    """The names that may follow `via` of a `worker`, `verifier` or `server`.

    Those of kinds that packages bring are listed without loading them, for workers and verifiers
    alike.
    """
    if declared == "server":
        return SERVER_KINDS
    if declared not in _DECLARED:
        return ()
    found = [kind.name for kind in BUILT_IN.values() if kind.body(declared) is not None]
    return (*found, *(name for name in installed() if name not in BUILT_IN))


def body_of(name: str, declared: str) -> Kind | None:
    """The body after `via NAME` of a `worker`, `verifier` or `server`; None where it is not known.

    A kind that cannot be used has no body: the checker reports it.
    """
    if declared in _DECLARED:
        kind = usable(name)
        return None if kind is None else kind.body(declared)
    return KINDS.get(f"{name} {declared}")


def bodies() -> dict[str, Kind]:
    """Every body of this package by its name: `policy`, `llm worker`, `human verifier`, ..."""
    found = dict(KINDS)
    for kind in BUILT_IN.values():
        for declared in _DECLARED:
            body = kind.body(declared)
            if body is not None:
                found[body.name] = body
    return found


def installed() -> dict[str, list[EntryPoint]]:
    """The entry points of installed packages by the kind they bring, in order of names."""
    # 22 ms to import, and needed only for kinds that are not built in.
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda it: it.name):
        found.setdefault(entry.name, []).append(entry)
    return found


def package_of(entry: EntryPoint) -> str:
    """The distribution of an entry point, with its version, for messages."""
    return "an unknown package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


@lru_cache(maxsize=64)
def _from_package(name: str) -> WorkerKind | None:
    entries = installed().get(name, [])
    if not entries:
        return None
    if len(entries) > 1:
        packages = " and ".join(sorted(package_of(entry) for entry in entries))
        raise KindError(f"{packages} both bring the kind `{name}`", "uninstall one of them")
    return _loaded(entries[0])


def _loaded(entry: EntryPoint) -> WorkerKind:
    package = package_of(entry)
    help = f"update or uninstall {package}"
    try:
        kind = entry.load()
    # Whatever importing the code of a package raises, SystemExit included, is about that package.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        why = f"{type(error).__name__}: {error}"
        raise KindError(
            f"the kind `{entry.name}` of {package} cannot be loaded: {why}", help
        ) from None
    if not isinstance(kind, WorkerKind):
        wrong = f"{entry.value} is a {type(kind).__name__}, not a WorkerKind"
    elif kind.name != entry.name:
        wrong = f"{entry.value} is named `{kind.name}`"
    else:
        wrong = record_problem(kind) or ("" if kind.port else "it has no `port`")
    if wrong:
        raise KindError(f"the kind `{entry.name}` of {package} cannot be used: {wrong}", help)
    assert isinstance(kind, WorkerKind)
    return kind


def asked(
    kind: WorkerKind, what: str, function: Callable[[_A], object], argument: _A, result: type[_R]
) -> _R:
    """Call a function of a kind's record.

    Args:
        what: What the function is, for messages: "check".
        result: What it has to give.

    Raises:
        KindError: The kind is of a package, and its function raised something, or gave something
            else.
    """
    try:
        given = function(argument)
        if not isinstance(given, result):
            raise TypeError(f"it gave a {type(given).__name__}, not a {result.__name__}")
        return given
    except (Exception, SystemExit) as error:
        if BUILT_IN.get(kind.name) is kind:
            raise
        package = " and ".join(map(package_of, installed().get(kind.name, [])))
        raise KindError(
            f"the {what} of the kind `{kind.name}` of {package} failed: "
            f"{type(error).__name__}: {error}",
            f"update or uninstall {package}",
        ) from error


def problems() -> Iterator[str]:
    """What is wrong with the kinds that installed packages bring; loads each of them."""
    for name, entries in installed().items():
        if name in BUILT_IN:
            for entry in entries:
                yield f"{package_of(entry)} brings `{name}`, which is built in: it is not used"
            continue
        try:
            _from_package(name)
        except KindError as error:
            yield f"{error}; {error.help}"
