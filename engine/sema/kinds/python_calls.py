"""Python callables named in a file: found and read without running any of them.

`"tools.web:readable_text"` is looked up next to the `.orch` file first, then where Python would
look. The module's source is parsed with `ast`; its parameters are compared with the contract. A
module that cannot be read as source (an extension, something generated) is trusted to be right.
No code of the user runs here, not even a package's `__init__`; and whatever a file holds, all that
comes of it is findings.
"""

from __future__ import annotations

import ast as python
import importlib.util
import os
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

from engine.diagnostics import Diagnostic, Edit, Fix, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.project import Project
from engine.reading import CannotRead, read_regular
from engine.sema.kinds.own_names import ReadModule, hidden_names
from engine.sema.suggest import closest, names_list
from engine.source import SourceFile, Span

__all__ = ["check_call", "functions_of", "locate", "modules_beside"]

#: A larger module is not looked into: a tree takes a hundred times its text, and 1.5 s here.
_MAX_BYTES = 1_000_000


class _Module(msgspec.Struct, frozen=True, eq=False):
    """A Python file and its tree, from one reading."""

    source: SourceFile
    tree: python.Module


CALL_NOT_IMPORTABLE = Rule(
    code="ORC506",
    name="call-not-importable",
    severity="error",
    summary="A Python module or function that is named does not exist.",
    why="Modules are looked up next to the file first.",
    bad='worker f(q: string) -> json via python { call = "no_such_module:run" }',
    good='worker f(obj: json) -> json via python { call = "json:dumps" }',
    allowable=True,
)


class _Unread(msgspec.Struct, frozen=True):
    """Why there is no tree of a Python file: half a sentence.

    Attributes:
        code: The rule that says so. A file that is too much for a check may well be imported.
    """

    reason: str
    code: str = "ORC506"


def check_call(
    call: str,
    base_dir: str,
    span: Span,
    *,
    project: Project | None = None,
    inputs: Iterable[str] | None = None,
    owner: str = "",
) -> list[Diagnostic]:
    """What is wrong with `module:function`, and with its parameters.

    Args:
        base_dir: The folder of the declaring file.
        span: Of the string in the `.orch` file, quotes included.
        project: Where a module next to the file may lie; None for anywhere.
        inputs: The names the function is called with, or None if only its existence counts.
        owner: Whose inputs they are, for messages: "worker `search`".
    """
    module, _, function = call.partition(":")
    path = _find(module, base_dir)
    if path is None:
        return [_not_found(call, module, base_dir, span)]
    if not path.endswith(".py"):
        return []
    found = _module(path, module, base_dir, project)
    if isinstance(found, _Unread):
        shown = os.path.relpath(path, base_dir)
        return [diagnostic(found.code, f"`{shown}` {found.reason}", span)]
    problems = _check_function(found, call, function, base_dir, span, inputs, owner)
    return [*problems, *hidden_names(module, _reader(base_dir, project), base_dir, span)]


def _reader(base_dir: str, project: Project | None) -> ReadModule:
    """Reads modules that lie next to the file, and no others."""

    def read(name: str) -> tuple[SourceFile, python.Module] | None:
        path = _below(base_dir, name.split("."))
        if path is None or not path.endswith(".py"):
            return None
        found = _module(path, name, base_dir, project)
        return None if isinstance(found, _Unread) else (found.source, found.tree)

    return read


def locate(call: str, base_dir: str, project: Project | None = None) -> tuple[str, int] | None:
    """The file that `module:function` leads to and the line (from 1) of the function there.

    None if there is no such module or its source cannot be read; line 1 if the function is not
    found in it.
    """
    module, _, function = call.partition(":")
    path = _find(module, base_dir)
    if path is None or not path.endswith(".py"):
        return None
    parsed = _module(path, module, base_dir, project)
    if isinstance(parsed, _Unread):
        return path, 1
    body: list[python.stmt] = parsed.tree.body
    line = 1
    for name in function.split("."):
        kinds = (python.FunctionDef, python.AsyncFunctionDef, python.ClassDef)
        found = next((n for n in _top_level(body) if isinstance(n, kinds) and n.name == name), None)
        if found is None:
            break
        line, body = found.lineno, found.body
    return path, line


def modules_beside(base_dir: str, parent: str) -> list[str]:
    """The names of Python modules and packages in a folder, for completion.

    Args:
        parent: The package to look into, dotted, or an empty string.
    """
    folder = os.path.join(base_dir, *parent.split(".")) if parent else base_dir
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    found = []
    for entry in entries:
        is_file = os.path.isfile(entry.path)
        name = entry.name.removesuffix(".py") if is_file else entry.name
        is_module = entry.name.endswith(".py") if is_file else _holds_python(entry.path)
        if is_module and name.isidentifier() and name != "__init__":
            found.append(name)
    return found


def functions_of(module: str, base_dir: str, project: Project | None = None) -> list[str]:
    """The names of the functions a module defines, for completion; [] where it is not found."""
    path = _find(module, base_dir)
    if path is None or not path.endswith(".py"):
        return []
    parsed = _module(path, module, base_dir, project)
    if isinstance(parsed, _Unread):
        return []
    kinds = (python.FunctionDef, python.AsyncFunctionDef)
    return [node.name for node in _top_level(parsed.tree.body) if isinstance(node, kinds)]


def _holds_python(folder: str) -> bool:
    try:
        return any(name.endswith(".py") for name in os.listdir(folder))
    except OSError:
        return False


def _not_found(call: str, module: str, base_dir: str, span: Span) -> Diagnostic:
    near = None
    parent, _, leaf = module.rpartition(".")
    folder = os.path.join(base_dir, *parent.split(".")) if parent else base_dir
    if os.path.isdir(folder):
        names = {name.removesuffix(".py") for name in os.listdir(folder) if name.endswith(".py")}
        found = closest(leaf, names)
        near = f"{parent}.{found}" if parent and found else found
    looked = f"looked for {os.path.join(base_dir, *module.split('.'))}.py and in Python's path"
    return diagnostic(
        "ORC506",
        f"module `{module}` not found",
        span,
        help=f"did you mean `{near}`? ({looked})" if near else looked,
        fix=_fix(span, call, f"{near}:{call.partition(':')[2]}") if near else None,
    )


def _fix(span: Span, old: str, new: str) -> Fix | None:
    if span.text != f'"{old}"':
        return None
    return Fix(f"write `{new}`", (Edit(span, f'"{new}"'),))


def _find(module: str, base_dir: str) -> str | None:
    """The file of a module: next to the `.orch` file, or where Python finds its top package."""
    parts = module.split(".")
    beside = _below(base_dir, parts)
    if beside is not None:
        return beside
    try:
        # Only the top name: finding `a.b` would import `a`.
        spec = importlib.util.find_spec(parts[0])
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if len(parts) == 1:
        return spec.origin or parts[0]
    for folder in spec.submodule_search_locations or ():
        found = _below(folder, parts[1:])
        if found is not None:
            return found
    return None


def _files_beside(folder: str, parts: list[str]) -> tuple[str, str]:
    """Where the source of a module is looked for in a folder."""
    path = os.path.join(folder, *parts)
    return path + ".py", os.path.join(path, "__init__.py")


def _below(folder: str, parts: list[str]) -> str | None:
    for candidate in _files_beside(folder, parts):
        if os.path.isfile(candidate):
            return candidate
    parent, leaf = os.path.split(os.path.join(folder, *parts))
    try:
        names = os.listdir(parent)
    except OSError:
        return None
    # An extension module: `leaf.cpython-311-x86_64-linux-gnu.so`.
    found = [n for n in names if n.startswith(leaf + ".") and n.endswith((".so", ".pyd"))]
    return os.path.join(parent, found[0]) if found else None


OUTSIDE_PROJECT = Rule(
    code="ORC110",
    name="outside-project",
    severity="error",
    summary=(
        "A file is named, or a link leads there, that lies outside the project: it is not read."
    ),
    why=(
        "A finding quotes what it is about. If a file could name any other, checking a "
        "stranger's file would print parts of your own. The project is the repository "
        "that holds the file, else the folder of the nearest `orch.toml` or "
        "`pyproject.toml`, else the file's own folder; `ORCH_PROJECT` names a larger one."
    ),
    allowable=False,
)


def _module(path: str, name: str, base_dir: str, project: Project | None) -> _Module | _Unread:
    """The file of a module as it is now, or why there is no tree of it."""
    # What Python's path leads to is installed, and may lie anywhere.
    is_beside = path in _files_beside(base_dir, name.split("."))
    if project is not None and is_beside and not project.holds(path):
        return _Unread(f"is a link that leads outside the project {project.root}", "ORC110")
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return _Unread("cannot be read")  # it went away since it was found
    return _parsed(path, (found.st_mtime_ns, found.st_size, found.st_ino))


PYTHON_NOT_CHECKED = Rule(
    code="ORC515",
    name="python-not-checked",
    severity="warning",
    summary=("A Python file is too large, or nested too deeply, for its functions to be checked."),
    why=(
        "The run imports the module anyway; whether the function is there, and "
        "takes the inputs, is found out then."
    ),
    allowable=True,
)


@lru_cache(maxsize=64)
def _parsed(path: str, stamp: tuple[int, int, int]) -> _Module | _Unread:
    """A file as it is at a time, with its text: a span must fit the tree, whatever came since."""
    del stamp  # part of the key only
    try:
        data = read_regular(path, _MAX_BYTES)
    except CannotRead as error:
        code = "ORC515" if "larger" in error.reason else "ORC506"
        return _Unread(f"cannot be checked: it {error.reason}", code)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python thinks of its style is not our business
            tree = python.parse(data, filename=path)
    except (SyntaxError, ValueError) as error:
        lineno = getattr(error, "lineno", None)
        line = f" (line {lineno})" if lineno else ""
        return _Unread(f"is not valid Python: {getattr(error, 'msg', error)}{line}")
    except (RecursionError, MemoryError):
        # Limits of the parser, and of making its tree; an import comes further.
        return _Unread("cannot be checked: it is nested too deeply", "ORC515")
    text = data.decode("utf-8-sig", errors="replace")
    return _Module(SourceFile(path, text), tree)


def _check_function(
    module: _Module,
    call: str,
    function: str,
    base_dir: str,
    span: Span,
    inputs: Iterable[str] | None,
    owner: str,
) -> list[Diagnostic]:
    defined: dict[str, python.AST] = {}
    anything = False
    tree, path = module.tree, module.source.path
    for node in python.walk(tree) if "." not in function else ():
        if isinstance(node, python.ImportFrom) and any(a.name == "*" for a in node.names):
            anything = True
    for node in _top_level(tree.body):
        match node:
            case python.FunctionDef() | python.AsyncFunctionDef() | python.ClassDef():
                defined[node.name] = node
                if node.name == "__getattr__":
                    anything = True
            case python.Import() | python.ImportFrom():
                for alias in node.names:
                    defined[(alias.asname or alias.name).partition(".")[0]] = node
            case python.Assign(targets=targets):
                for target in targets:
                    for part in python.walk(target):
                        if isinstance(part, python.Name):
                            defined[part.id] = node
            case python.AnnAssign(target=python.Name(id=identifier)):
                defined[identifier] = node
    name = function.partition(".")[0]
    if name not in defined:
        if anything:
            return []
        functions = [
            n
            for n, d in defined.items()
            if isinstance(d, (python.FunctionDef, python.AsyncFunctionDef))
        ]
        near = closest(name, functions)
        return [
            diagnostic(
                "ORC506",
                f"`{os.path.relpath(path, base_dir)}` has no function `{name}`",
                span,
                help=f"did you mean `{near}`?"
                if near
                else f"there are {names_list(sorted(functions))}"
                if functions
                else None,
                fix=_fix(span, call, call.partition(":")[0] + f":{near}") if near else None,
            )
        ]
    found = defined[name]
    if inputs is None or "." in function:
        return []
    if not isinstance(found, (python.FunctionDef, python.AsyncFunctionDef)):
        return []
    if found.decorator_list:
        return []  # A decorator may change the signature.
    return _compare(found, call, tuple(inputs), module.source, span, owner)


def _top_level(body: list[python.stmt]) -> Iterator[python.stmt]:
    """Statements of a module, also inside `if` and `try`, in the order they are there."""
    # By a list and not by recursion: a thousand `elif` are a thousand levels.
    todo = list(reversed(body))
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, (python.If, python.Try, python.With)):
            inner = [*node.body, *getattr(node, "orelse", ()), *getattr(node, "finalbody", ())]
            for handler in getattr(node, "handlers", ()):
                inner += handler.body
            todo += reversed(inner)


PYTHON_SIGNATURE_MISMATCH = Rule(
    code="ORC505",
    name="python-signature-mismatch",
    severity="error",
    summary="The parameters of a Python function do not fit the inputs of its callable.",
    why="The function is called with the inputs by name.",
    allowable=True,
)


def _compare(
    found: python.FunctionDef | python.AsyncFunctionDef,
    call: str,
    inputs: tuple[str, ...],
    source: SourceFile,
    span: Span,
    owner: str,
) -> list[Diagnostic]:
    arguments = found.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = len(arguments.defaults)
    needed = [a.arg for a in positional[: len(positional) - defaults]]
    needed += [
        a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is None
    ]
    known = {a.arg for a in [*arguments.args, *arguments.kwonlyargs]}
    related = (Related("the function", _span(source, found)),)
    problems: list[Diagnostic] = []
    for argument in arguments.posonlyargs:
        if argument.arg in needed:
            return [
                diagnostic(
                    "ORC505",
                    f"`{call}` takes `{argument.arg}` by position only; inputs are given by name",
                    span,
                    help="remove the `/` from its parameters",
                    related=related,
                )
            ]
    missing = [n for n in needed if n not in inputs]
    if arguments.kwarg is None:
        for name in inputs:
            if name not in known:
                near = closest(name, missing or known - set(inputs))
                shown = names_list(sorted(known)) or "none"
                problems.append(
                    diagnostic(
                        "ORC505",
                        f"`{call}` has no parameter `{name}`, which is an input of {owner}",
                        span,
                        help=f"did you mean `{near}`? its parameters are {shown}"
                        if near
                        else f"its parameters are {shown}",
                        related=related,
                    )
                )
    # A parameter that goes by another name is reported at the input that does not fit.
    for name in missing if not problems else ():
        problems.append(
            diagnostic(
                "ORC505",
                f"`{call}` needs `{name}`, which is not an input of {owner}",
                span,
                help=f"give the parameter a default, or add `{name}` to the inputs",
                related=related,
            )
        )
    return problems


def _span(source: SourceFile, node: python.FunctionDef | python.AsyncFunctionDef) -> Span:
    """The line a function begins in. Python knows more line ends than we do."""
    line = min(node.lineno, source.line_count)
    start = source.offset(line, node.col_offset + 1)
    return Span(source, start, start + len(source.line(line).strip()))
