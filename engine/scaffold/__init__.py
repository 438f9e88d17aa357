"""A new project: a small workflow that lints, tests and runs at once, without a key.

The files are in `starter/` as they are written; the name `starter` in them is replaced by the
project's.
"""

from __future__ import annotations

import re
from pathlib import Path

from engine.errors import UsageError

__all__ = ["checked_name", "name_for", "starter_files", "write_files"]

_STARTER = Path(__file__).parent / "starter"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
#: Words that a declaration cannot be called, or that would hide something in the file.
_TAKEN = frozenset(
    {"planner", "list_notes", "find_todos", "nothing_made_up", "true", "false", "null", "goal"}
)


def name_for(folder: str) -> str:
    """A workflow's name made from a folder's: `My-Review 2` gives `my_review_2`.

    Raises:
        UsageError: Nothing in the folder's name can be a name.
    """
    base = Path(folder).resolve().name
    name = re.sub(r"[^a-z0-9]+", "_", base.lower()).strip("_")
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"no name can be made of the folder `{base}`; give one with --name")
    return checked_name(f"{name}_workflow" if name in _TAKEN else name)


def checked_name(name: str) -> str:
    """The name, if a workflow may have it.

    Raises:
        UsageError: It is not a snake_case name, or the project has something else of that name.
    """
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"`{name}` is not a valid name: use letters, digits and _")
    if name in _TAKEN:
        raise UsageError(f"`{name}` is the name of something else in the new project")
    return name


def starter_files(name: str) -> dict[str, str]:
    """The files of a new project, by path.

    Raises:
        UsageError: The name cannot be used.
    """
    checked_name(name)
    files: dict[str, str] = {}
    for path in sorted(_STARTER.rglob("*")):
        if not path.is_file() or path.suffix == ".pyc":
            continue
        relative = path.relative_to(_STARTER).as_posix()
        # Under its real name it would apply to this package.
        relative = ".gitignore" if relative == "gitignore" else relative
        text = path.read_text(encoding="utf-8")
        files[relative.replace("starter", name)] = re.sub(r"\bstarter\b", name, text)
    return files


def write_files(folder: str, files: dict[str, str]) -> None:
    """Write the files into a folder, which is made if need be. Nothing is written over.

    Raises:
        UsageError: Some of them exist already; nothing was written then.
        OSError: They cannot be written.
    """
    root = Path(folder)
    there = [path for path in files if (root / path).exists()]
    if there:
        raise UsageError(f"{folder} has {', '.join(there)} already; nothing was written")
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        with open(root / path, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
