"""Facts from the syntax tree of Python files, found in a child process.

`analyse_files` hands the bytes of many files to a child running this very file and gets one
record a file. The child keeps the review safe from what it reads: a source that exhausts the
parser's memory or stack, or that draws warnings, ends or disturbs only our child. Nothing
is imported or run; the child is started isolated, with no environment of its own (`-I -S`).

A record: `path`, `error` (`{line, message}` where the file does not parse, else None),
`functions`, `risks`, `imports`, `names` (dotted names in string constants), `test_functions`.

Cyclomatic complexity is McCabe's for one function: 1, plus 1 for each `if`, `elif`, conditional
expression, `for`, `while`, `except`, refutable `case`, each `for` and `if` of a comprehension,
and each further operand of `and` and `or`. A nested function counts for itself only.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

__all__ = ["analyse", "analyse_files"]

_TIMEOUT_S = 40.0
_MANY_PARAMETERS = 8
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?=\Z|:)")

_BRANCHES = (
    ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler,
)  # fmt: skip


def analyse_files(sources: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """One record for each file, in order; never raises for what a file holds."""
    records: list[dict[str, Any]] = []
    waiting = list(sources)
    while waiting:
        answered, reason = _ask_child({path: sources[path] for path in waiting})
        records += answered
        waiting = waiting[len(answered) :]
        if waiting and reason == "died":
            # The file whose record is missing is the one that ended the child.
            records.append(_failed(waiting.pop(0), 1, "Python's parser cannot cope with it"))
        elif waiting:
            records += [_failed(path, 1, "no time was left to parse it") for path in waiting]
            break
    return records


def _ask_child(sources: Mapping[str, bytes]) -> tuple[list[dict[str, Any]], str]:
    request = b"".join(
        b"%d %d\n%b%b" % (len(name), len(data), name, data)
        for name, data in ((path.encode("utf-8"), data) for path, data in sources.items())
    )
    with subprocess.Popen(  # noqa: S603 - our own interpreter and file
        [sys.executable, "-I", "-S", "-W", "ignore", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:
        reason = "died"
        try:
            output, _ = child.communicate(request, timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            output, _ = child.communicate()
            reason = "late"
        except BaseException:
            child.kill()
            raise
    lines = output.split(b"\n")
    lines.pop()
    return [json.loads(line) for line in lines], reason


def _failed(path: str, line: int, message: str) -> dict[str, Any]:
    return {
        "path": path,
        "error": {"line": line, "message": message},
        "functions": [],
        "risks": [],
        "imports": [],
        "names": [],
        "test_functions": 0,
    }


def analyse(path: str, data: bytes) -> dict[str, Any]:
    """The record of one file."""
    if b"\r" in data.replace(b"\r\n", b""):
        # Python ends a line at a lone carriage return and git does not: the numbers would differ.
        return _failed(path, 1, "it has carriage returns without line feeds")
    try:
        tree = ast.parse(data)
        return _walk(path, tree)
    except SyntaxError as error:
        return _failed(path, _shown(data, error.lineno or 1), error.msg or "invalid syntax")
    except (ValueError, RecursionError, MemoryError) as error:
        return _failed(path, 1, f"{type(error).__name__}: {error}"[:200])


def _shown(data: bytes, line: int) -> int:
    """The last line up to `line` that is not blank: one that can be shown."""
    lines = data.split(b"\n")[:line]
    while len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    return max(1, len(lines))


def _walk(path: str, tree: ast.Module) -> dict[str, Any]:
    functions: list[dict[str, Any]] = []
    risks: list[dict[str, Any]] = []
    imports: set[tuple[int, str]] = set()
    names: set[str] = set()
    tests = 0
    # (node, index of the function it belongs to, dotted name of what it is in)
    stack: list[tuple[ast.AST, int, str]] = [(tree, -1, "")]
    while stack:
        node, owner, inside = stack.pop()
        weight = _weight(node)
        if weight and owner >= 0:
            functions[owner]["complexity"] += weight
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{inside}.{node.name}" if inside else node.name
            end = node.end_lineno or node.lineno
            functions.append(
                {
                    "path": path,
                    "line": node.lineno,
                    "end_line": end,
                    "name": name,
                    "complexity": 1,
                    "length": end - node.lineno + 1,
                }
            )
            tests += node.name.startswith("test")
            risks += _parameter_risks(path, node, name)
            outer = [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
            stack += [(part, owner, inside) for part in outer]
            index = len(functions) - 1
            stack += [(part, index, name) for part in reversed(node.body)]
            continue
        if isinstance(node, ast.ClassDef):
            inside = f"{inside}.{node.name}" if inside else node.name
        elif isinstance(node, ast.Import):
            imports.update((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            imports.add((node.level, base))
            imports.update((node.level, f"{base}.{a.name}".lstrip(".")) for a in node.names)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and len(node.value) < 200:
                found = _DOTTED.match(node.value)
                if found:
                    names.add(found.group())
            continue
        else:
            risks += _risks(path, node)
        stack += [(child, owner, inside) for child in ast.iter_child_nodes(node)]
    functions.sort(key=lambda function: function["line"])
    risks.sort(key=lambda risk: risk["line"])
    return {
        "path": path,
        "error": None,
        "functions": functions,
        "risks": risks,
        "imports": sorted(imports),
        "names": sorted(names),
        "test_functions": tests,
    }


def _weight(node: ast.AST) -> int:
    if isinstance(node, _BRANCHES):
        return 1
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    if isinstance(node, ast.match_case):
        bare = isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None
        return 0 if bare and node.guard is None else 1
    return 0


def _risk(path: str, line: int, kind: str, detail: str) -> dict[str, Any]:
    return {"path": path, "line": line, "kind": kind, "detail": detail}


def _parameter_risks(
    path: str, node: ast.FunctionDef | ast.AsyncFunctionDef, name: str
) -> list[dict[str, Any]]:
    found = []
    arguments = node.args
    for default in [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]:
        if _is_mutable(default):
            found.append(
                _risk(
                    path,
                    default.lineno,
                    "mutable_default",
                    f"function `{name}` has a mutable default value,"
                    f" `{ast.unparse(default)[:60]}`, which all its calls share",
                )
            )
    count = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)
    if count > _MANY_PARAMETERS:
        found.append(
            _risk(
                path, node.lineno, "many_parameters", f"function `{name}` takes {count} parameters"
            )
        )
    return found


def _is_mutable(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in {"list", "dict", "set", "bytearray"}
    return isinstance(
        node, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    )


def _risks(path: str, node: ast.AST) -> list[dict[str, Any]]:
    if isinstance(node, ast.ExceptHandler):
        if node.type is None:
            return [
                _risk(path, node.lineno, "bare_except", "a bare `except:` catches everything,"
                      " `KeyboardInterrupt` and `SystemExit` too")
            ]  # fmt: skip
        broad = isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}
        if broad and len(node.body) == 1 and isinstance(node.body[0], ast.Pass):
            return [
                _risk(path, node.lineno, "swallowed_exception",
                      "every exception is caught here and nothing is done about it")
            ]  # fmt: skip
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}:
            return [
                _risk(path, node.lineno, "dynamic_code", f"`{node.func.id}` runs computed code")
            ]
        for keyword in node.keywords:
            value = keyword.value
            if keyword.arg == "shell" and isinstance(value, ast.Constant) and value.value is True:
                return [
                    _risk(path, keyword.lineno, "shell", "a command goes through the shell"
                          " (`shell=True`)")
                ]  # fmt: skip
    return []


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    while header := requests.readline():
        name_bytes, data_bytes = map(int, header.split())
        path = requests.read(name_bytes).decode("utf-8")
        record = analyse(path, requests.read(data_bytes))
        answers.write(json.dumps(record).encode("ascii") + b"\n")
        answers.flush()


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
