"""This package under the name it has in this process, and how to start it in another one.

The name is `engine`, or `orch.engine` where a program has an `engine.py` of its own (`orch._own`
says how). An `import` statement works under both names; a name in a string does not, and is looked
up here.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

__all__ = ["own_command", "own_module", "own_orch"]

#: What is before `engine`: nothing, or `orch.`.
_PREFIX = __name__.removesuffix("engine.own")
_ORCH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "orch")


def own_module(name: str) -> ModuleType:
    """A module of orch, by its plain name: `engine.cli.app`."""
    return import_module(_PREFIX + name)


def own_command(module: str) -> list[str]:
    """The command that calls `main` of a module of orch in a new process.

    It is found by its path, so nothing in the working folder or in `PYTHONPATH` is imported in its
    place.
    """
    return [sys.executable, "-P", os.path.join(_ORCH, "_start.py"), _PREFIX + module]


def own_orch() -> ModuleType:
    """The package `orch`, loaded if it is not yet.

    Where the program has an `orch.py` of its own and has imported it, the name stays with that.
    """
    place = os.path.join(_ORCH, "__init__.py")
    for name in ("orch", "_own_orch"):
        known = sys.modules.get(name)
        if known is None:
            break
        if os.path.realpath(getattr(known, "__file__", None) or "") == os.path.realpath(place):
            return known
    spec = spec_from_file_location(name, place)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
