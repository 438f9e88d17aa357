"""Find a Python function named in a `.orch` file: `package.module:function`.

Modules next to the `.orch` file come first, as next to a script, but `sys.path` is never touched:
each folder gets a private package name, under which its modules are in `sys.modules`. So the
`tools.py` of two projects in one process stay two modules. An absolute import inside such a
module (`from tools.text import words`) finds its neighbours too, at import and later, because the
module is executed with an `__import__` of its own that looks next to the file first.

The names of orch's packages are shared: where a file is called `orch.py`, `engine.py` or
`grammar.py`, `from orch import Failure` gives orch's, and what orch has not is the file's
(`_Shared`).

Holds no cache besides `sys.modules`; knows nothing of workers, contracts or models.
"""

from __future__ import annotations

import builtins
import difflib
import hashlib
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader, all_suffixes
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from engine.errors import UsageError
from engine.own import own_module, own_orch

__all__ = ["CallableError", "load_callable"]

_PREFIX = "_orch_"
#: The names of orch's own packages.
_OURS = ("orch", "engine", "grammar")


class CallableError(UsageError):
    """The function cannot be had: no such module or name, or the module does not import."""


def load_callable(target: str, base_dir: str) -> Callable[..., Any]:
    """The function that `package.module:function` names.

    Args:
        target: Module and function; the function may be an attribute of a class (`mod:Tool.run`).
        base_dir: The folder looked in first, that of the declaring file.

    Raises:
        CallableError: With one sentence that says what is wrong, and where.
    """
    module_name, colon, path = target.partition(":")
    if not (colon and path and _is_dotted(module_name) and _is_dotted(path)):
        raise CallableError(f"`{target}` is not of the form package.module:function")
    found: Any = _import(module_name, os.path.abspath(base_dir))
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = difflib.get_close_matches(part, dir(found), n=1)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            raise CallableError(f"`{module_name}` has no `{part}`{hint}") from None
    if not callable(found):
        raise CallableError(f"`{target}` is not a function but {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _import(name: str, base_dir: str) -> ModuleType:
    root = _root(base_dir)
    top = name.partition(".")[0]
    full = f"{root}.{name}" if _is_local(base_dir, top) else name
    try:
        # A module written since the folder was last listed must be found.
        importlib.invalidate_caches()
        return importlib.import_module(full)
    except ModuleNotFoundError as error:
        missing = (error.name or "").removeprefix(f"{root}.")
        if error.name is not None and (name == missing or name.startswith(missing + ".")):
            raise CallableError(
                f"no module `{missing}` in {base_dir} or among the installed packages"
            ) from None
        raise CallableError(f"`{name}` cannot be imported: {_where(error, base_dir)}") from None
    except (Exception, SystemExit) as error:  # whatever a user's module does when imported
        raise CallableError(f"`{name}` cannot be imported: {_where(error, base_dir)}") from None


def _where(error: BaseException, base_dir: str) -> str:
    """Type and message of an error, with the user's line it came from."""
    text = str(error).replace(f"{_root(base_dir)}.", "")
    if isinstance(error, SyntaxError) and error.filename is not None:
        text, place = error.msg, f"{os.path.basename(error.filename)}:{error.lineno}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        inside = [f for f in frames if f.filename.startswith(base_dir + os.sep)]
        place = f"{os.path.basename(inside[-1].filename)}:{inside[-1].lineno}" if inside else ""
    return f"{type(error).__name__}: {text}" + (f" ({place})" if place else "")


def _root(base_dir: str) -> str:
    """The private package of a folder, made at the first use."""
    name = _PREFIX + hashlib.sha256(os.path.realpath(base_dir).encode()).hexdigest()[:12]
    if name not in sys.modules:
        package = ModuleType(name, f"The modules of {base_dir}.")
        package.__path__ = [base_dir]
        sys.modules[name] = package
        if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder())
    return name


def _is_local(base_dir: str, top: str) -> bool:
    """Whether a top-level name is the folder's own, by the order Python itself would use.

    A folder without `__init__.py` counts only where no installed package has the name: a
    directory of data called `json` must not hide the standard library's.
    """
    path = os.path.join(base_dir, top)
    if any(os.path.isfile(path + suffix) for suffix in all_suffixes()):
        return True
    if not os.path.isdir(path):
        return False
    if any(os.path.isfile(os.path.join(path, "__init__" + s)) for s in all_suffixes()):
        return True
    return top not in sys.builtin_module_names and find_spec(top) is None


class _Finder(MetaPathFinder):
    """Finds the modules below a private package; answers for nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Executes a module with an `__import__` that looks next to the `.orch` file first."""

    def exec_module(self, module: ModuleType) -> None:
        root = module.__name__.partition(".")[0]
        base_dir = sys.modules[root].__path__[0]
        # Every frame of the module takes its builtins from here, so imports inside functions
        # are answered in the same way, whenever they run.
        module.__dict__["__builtins__"] = {
            **vars(builtins),
            "__import__": _neighbour_import(root, base_dir),
        }
        super().exec_module(module)


def _neighbour_import(root: str, base_dir: str) -> Callable[..., ModuleType]:
    local: dict[str, bool] = {}

    def import_(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0:
            top = name.partition(".")[0]
            if top not in local:
                local[top] = _is_local(base_dir, top)
            if top in _OURS:
                return _shared_import(name, f"{root}.{top}" if local[top] else top, fromlist)
            if local[top]:
                module = importlib.import_module(f"{root}.{name}")
                if not fromlist:
                    return sys.modules[f"{root}.{top}"]
                # The real `__import__` imports the submodules that a `from` names.
                return builtins.__import__(module.__name__, globals, locals, fromlist, 0)
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    return import_


def _shared_import(name: str, theirs: str, fromlist: Sequence[str] | None) -> ModuleType:
    """Import a name of orch's packages for a module of the user's.

    Args:
        theirs: What the user's own module of that name is called in `sys.modules`.
    """
    top, _, rest = name.partition(".")
    ours = own_orch() if top == "orch" else own_module(top)
    is_alone = theirs == top and ours.__name__ == top
    shared = ours if is_alone else _Shared(top, ours, theirs)
    if not rest:
        return shared
    first, second = (ours.__name__, theirs) if name == "orch.kinds" else (theirs, ours.__name__)
    found = _module_of(first, rest) or _module_of(second, rest)
    if found is None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)
    return found if fromlist else shared


def _module_of(package: str, rest: str) -> ModuleType | None:
    """A module below a package, or None if the package has none of that name."""
    full = f"{package}.{rest}"
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError as error:
        if error.name is not None and (full == error.name or full.startswith(error.name + ".")):
            return None
        raise


class _Shared(ModuleType):
    """What a module of the user's gets for `import engine` where it has an `engine.py` too.

    Names of orch's public face are orch's; every other name is that of the user's module, and where
    that has none, again orch's. Assignments go to the user's module.
    """

    def __init__(self, name: str, ours: ModuleType, theirs: str) -> None:
        super().__init__(name)
        self.__dict__.update(_ours=ours, _theirs=theirs)

    def __getattr__(self, name: str) -> Any:
        ours: ModuleType = self.__dict__["_ours"]
        if name in getattr(ours, "__all__", ()) and name != "__all__":
            return getattr(ours, name)
        theirs = importlib.import_module(self.__dict__["_theirs"])
        if hasattr(theirs, name) or name.startswith("__"):
            return getattr(theirs, name)
        found = _module_of(ours.__name__, name)
        if found is not None:
            return found
        raise AttributeError(
            f"neither orch's package `{self.__name__}` nor {theirs.__file__} has `{name}`"
        )

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(importlib.import_module(self.__dict__["_theirs"]), name, value)
