"""Where a program may be read from: the project that its file belongs to.

A check quotes what it reads. A stranger's file must not make a check quote other people's files.
So all files that a file names must be in its project once symbolic links are resolved: the
repository that holds the file, else the folder of the nearest configuration, else the file's own
folder. The home folder and the root of the file system are never a project, nor is a version
control system's own folder ever part of one. `ORCH_PROJECT` names another folder; a file cannot.

Decides from names alone; reads nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

__all__ = ["CONFIG_FILES", "VARIABLE", "Project"]

#: The variable by which a person widens a project.
VARIABLE = "ORCH_PROJECT"

#: Where a project says how its files are checked (`engine.config`).
CONFIG_FILES = ("orch.toml", "pyproject.toml")

_REPOSITORIES = frozenset((".git", ".hg", ".jj", ".svn"))


class Project(msgspec.Struct, frozen=True):
    """The folder that files may be read from: absolute, its links resolved."""

    root: str

    @classmethod
    def of(cls, folder: str, env: Mapping[str, str] = os.environ) -> Project:
        """The project of the files in a folder, which need not exist."""
        if "\0" in folder:
            return cls(folder)  # there is no file with such a folder name
        folder = os.path.realpath(folder)
        chosen = env.get(VARIABLE)
        if chosen and _holds(os.path.realpath(chosen), folder):
            return cls(os.path.realpath(chosen))
        above = _candidates(folder)
        for names in (_REPOSITORIES, CONFIG_FILES):
            for candidate in above:
                if any(os.path.lexists(os.path.join(candidate, name)) for name in names):
                    return cls(candidate)
        return cls(folder)

    def holds(self, path: str) -> bool:
        """Whether a file is in it, wherever links on the way lead."""
        if "\0" in path:
            return True  # no file has such a name
        found = os.path.realpath(path)
        if not _holds(self.root, found):
            return False
        return _REPOSITORIES.isdisjoint(os.path.relpath(found, self.root).split(os.sep))


def _candidates(folder: str) -> list[str]:
    """A folder and those above it that can be a project, the nearest first."""
    home = os.path.realpath(os.path.expanduser("~"))
    found = []
    while not _holds(folder, home) and folder != os.path.dirname(folder):
        found.append(folder)
        folder = os.path.dirname(folder)
    return found


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
