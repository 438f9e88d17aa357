"""Starts a module of orch in a process of its own: `python -P .../orch/_start.py MODULE [ARGS]`.

It is started by its path, so no other `orch`, `engine` or `grammar` on Python's path is taken for
ours. `MODULE` is named as the parent knows it: where it is below `orch` there (see `orch._own`),
the plain names are left to the program here too.
"""

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

_FOLDER = os.path.dirname(os.path.abspath(__file__))


def _load(name: str, file: str) -> ModuleType:
    spec = spec_from_file_location(name, os.path.join(_FOLDER, file))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    target = sys.argv.pop(1)
    own = _load("orch._own", "_own.py")
    own.settle(apart=target.startswith("orch.") or None)
    _load("orch", "__init__.py")
    sys.exit(own.own(target.removeprefix("orch.")).main())
