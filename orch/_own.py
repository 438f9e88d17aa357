"""Finds orch's own packages, whatever else is called `engine` or `grammar`.

The code lives in the top-level packages `engine` and `grammar`. A program that has an `engine.py`
of its own would shadow them. Where that is so, both are loaded as `orch.engine` and `orch.grammar`,
and the plain names are left to the program. Then every module of orch has an `__import__` of its
own, which takes `engine` for `orch.engine`.

Invariant: one process has one copy of orch. Imports nothing of orch itself.
"""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from types import ModuleType

__all__ = ["own", "settle"]

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PACKAGES = ("engine", "grammar")
_PREFIX = "orch."

_prefix: str | None = None


def own(name: str) -> ModuleType:
    """A module of orch, by its plain name: `engine.cli`."""
    return import_module(settle() + name)


def settle(*, apart: bool | None = None) -> str:
    """Decide once what the packages are called here: what is before the plain names.

    Args:
        apart: Whether to leave the plain names to the program; None to look who has them.
    """
    global _prefix
    if _prefix is None:
        if apart is None:
            apart = any(map(_is_foreign, _PACKAGES))
        if apart:
            sys.meta_path.insert(0, _Finder())
        _prefix = _PREFIX if apart else ""
    return _prefix


def _is_foreign(package: str) -> bool:
    """Whether a plain `import` would give something that is not orch's."""
    ours = os.path.join(_HOME, package, "__init__.py")
    if not os.path.isfile(ours):
        return False  # an installation that keeps its packages elsewhere
    loaded = sys.modules.get(package)
    if loaded is not None:
        place = getattr(loaded, "__file__", None)
    else:
        spec = find_spec(package)
        place = None if spec is None else spec.origin
    return place is None or os.path.realpath(place) != os.path.realpath(ours)


class _Finder(MetaPathFinder):
    """Finds `orch.engine`, `orch.grammar` and what is below `orch`; answers for nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX):
            return None
        places = [_HOME] if fullname.removeprefix(_PREFIX) in _PACKAGES else path
        spec = PathFinder.find_spec(fullname, places, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Executes a module of orch with an `__import__` that knows the names of orch's packages."""

    def exec_module(self, module: ModuleType) -> None:
        # Every frame of the module takes its builtins from here, so imports inside functions
        # are answered in the same way.
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import}
        super().exec_module(module)


def _import(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    top = name.partition(".")[0]
    if level or top not in _PACKAGES:
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    module = import_module(_PREFIX + name)
    if not fromlist:
        return sys.modules[_PREFIX + top]
    # The real `__import__` imports the submodules that a `from` names.
    return builtins.__import__(module.__name__, globals, locals, fromlist, 0)
