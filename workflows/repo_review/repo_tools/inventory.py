"""The worker `test_inventory`: what is tested, as far as names and imports can tell.

A heuristic, and its results say no more than it knows. Test files are told by their names, in many
languages. For Python, a source module counts as imported if a test file imports its dotted name, or
any tail of it that ends in the module's own name, because tests often put the source folder on the
path. It also counts if a test file names it in a string (`importlib`, `-m`). A test file that does
not parse counts as importing everything it mentions. What tests reach through another module is not
followed; packages' `__init__.py` and `__main__.py`, `conftest.py`, `setup.py` and `conf.py` are not
counted as sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from repo_tools.code import python_sources
from repo_tools.git import Repo
from repo_tools.pysource import analyse_files

__all__ = ["inventory", "is_test_file"]

_TEST_NAME = re.compile(
    r"^(?:test_.*\.py|.*_test\.(?:py|go|cc|cpp|exs?|dart|rb)|.*\.(?:test|spec)\.[cm]?[jt]sx?"
    r"|.*(?:Test|Tests|IT)\.(?:java|kt|cs|scala)|.*_spec\.rb|test_.*\.(?:c|cc|cpp|rb|sh)"
    r"|.*Test\.php|.*Tests?\.swift)$"
)
_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec"})
_CODE = re.compile(r"\.(?:py|go|rs|js|jsx|ts|tsx|java|kt|rb|c|cc|cpp|cs|php|swift|ex|exs|scala)$")
_NOT_SOURCE = frozenset({"__init__.py", "__main__.py", "conftest.py", "setup.py", "conf.py"})
_WORDS = re.compile(r"[A-Za-z_][\w.]*")
_MAX_FILES = 60


def is_test_file(path: str) -> bool:
    """Whether a file's name or folder says that it holds tests, or helps them."""
    pure = PurePosixPath(path)
    if _TEST_NAME.match(pure.name) or pure.name == "conftest.py":
        return True
    return bool(_CODE.search(path)) and not _TEST_FOLDERS.isdisjoint(pure.parts[:-1])


def inventory(repo: str, limit: int = _MAX_FILES) -> dict[str, Any]:
    """Test files, test functions, and Python modules that no test file imports.

    Args:
        repo: A folder of a git work tree.
        limit: How many test files and how many modules to list.

    Raises:
        Failure: `not_a_repository`, `unreadable`.
    """
    folder = Repo(repo)
    tracked = list(folder.files())
    test_files = [path for path in tracked if is_test_file(path)]
    sources, skipped = python_sources(folder, wanted=is_test_file)
    records = analyse_files(sources)
    reached: set[str] = set()
    for record in records:
        if record["error"]:
            # It may import anything it names.
            reached.update(_WORDS.findall(sources[record["path"]].decode("latin-1")))
        reached.update(record["names"])
        reached.update(_absolute(record["path"], record["imports"]))
    functions = {record["path"]: record["test_functions"] for record in records}
    modules = [path for path in tracked if _is_module(path)]
    untested = sorted(
        ((_size(folder, path), path) for path in modules if not _is_reached(path, reached)),
        key=lambda found: (-found[0], found[1]),
    )
    return {
        "test_files": len(test_files),
        "test_functions": sum(functions.values()),
        "source_modules": len(modules),
        "untested": len(untested),
        # A test file that was left out may import anything.
        "complete": skipped == 0,
        "untested_modules": [
            {"path": path, "module": _dotted(path), "bytes": size}
            for size, path in untested[:limit]
        ],
        "files": [
            {"path": path, "test_functions": functions.get(path)} for path in test_files[:limit]
        ],
    }


def _is_module(path: str) -> bool:
    name = PurePosixPath(path).name
    return path.endswith(".py") and name not in _NOT_SOURCE and not is_test_file(path)


def _dotted(path: str) -> str:
    parts = list(PurePosixPath(path).with_suffix("").parts)
    if len(parts) > 1 and parts[0] in {"src", "lib"}:
        parts = parts[1:]
    return ".".join(parts)


def _is_reached(path: str, reached: set[str]) -> bool:
    parts = PurePosixPath(path).with_suffix("").parts
    return any(".".join(parts[start:]) in reached for start in range(len(parts)))


def _size(folder: Repo, path: str) -> int:
    try:
        return (folder.root / path).lstat().st_size
    except OSError:
        return 0


def _absolute(path: str, imports: Sequence[Sequence[Any]]) -> Iterator[str]:
    """The dotted names that a file's imports mean, relative ones resolved by its folder."""
    folder = list(PurePosixPath(path).parent.parts)
    for level, name in imports:
        if level == 0:
            yield name
            continue
        base = folder[: max(0, len(folder) - (level - 1))]
        yield ".".join([*base, *([name] if name else [])])
