"""Which links a sandbox may follow: those that no code in a sandbox can have made.

Each call looks up its paths. Between two calls, code that may change a folder can replace
what is in it by a link to somewhere else, and the next call would be given that. So a link below a
folder that any sandbox of the program may change is followed only within that folder, or to what
the call may reach anyway. A link anywhere else is the author's.

Invariant: no path that a sandbox is given leads out of a changeable folder by a link in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import msgspec

from engine.errors import Failure

__all__ = ["Followed", "follow", "is_in", "names_of"]

#: As many as Linux follows.
_MOST_LINKS = 40


class Followed(msgspec.Struct, frozen=True):
    """Where a path leads.

    Attributes:
        path: The path, absolute.
        real: The same without links.
        changeable: The folders that sandboxes may change in which links of the path are.
    """

    path: str
    real: str
    changeable: tuple[str, ...] = ()

    def check(self, reachable: Iterable[str]) -> None:
        """Check that the path leads to where it may.

        Args:
            reachable: Real paths that may be reached anyway.

        Raises:
            Failure: `crashed`; a link leads out of a folder that code may change.
        """
        outside = next((it for it in self.changeable if not is_in(self.real, (it,))), None)
        if outside is not None and not is_in(self.real, reachable):
            said = (
                f"{self.path} leads through a link out of {outside}, which code in a sandbox may "
                "change: name the file or folder itself"
            )
            raise Failure("crashed", said, where="sandbox")


def follow(path: str, changeable: Sequence[str]) -> Followed:
    """Look up a path, and which links on its way may be of code in a sandbox.

    Args:
        changeable: The folders that sandboxes may change, by their real paths.
    """
    path = os.path.abspath(path)
    real, links, inside = os.sep, 0, set[str]()
    left = path.split(os.sep)[::-1]
    while left:
        name = left.pop()
        if name in ("", os.curdir):
            continue
        if name == os.pardir:
            real = os.path.dirname(real)
            continue
        here = os.path.join(real, name)
        try:
            target = os.readlink(here)
        except OSError:  # it is no link, or not there
            real = here
            continue
        links += 1
        if links > _MOST_LINKS:
            return Followed(path, path)
        inside.update(it for it in changeable if is_in(real, (it,)))
        if os.path.isabs(target):
            real = os.sep
        left += target.split(os.sep)[::-1]
    return Followed(path, real, tuple(sorted(inside)))


def names_of(paths: Iterable[str], changeable: Sequence[str]) -> tuple[str, ...]:
    """The paths that exist, also by their real names, each once and none below another.

    Raises:
        Failure: `crashed`; see `Followed.check`.
    """
    found = [it for it in (follow(path, changeable) for path in paths) if os.path.exists(it.real)]
    reachable = [it.real for it in found if not it.changeable]
    for it in found:
        it.check(reachable)
    kept: list[str] = []
    names = {name for it in found for name in (it.path, it.real)}
    for path in sorted(names, key=len):
        if not is_in(path, kept):
            kept.append(path)
    return tuple(kept)


def is_in(path: str, folders: Iterable[str]) -> bool:
    """Whether a path is one of these, or below one."""
    return any(path == it or path.startswith(it.rstrip(os.sep) + os.sep) for it in folders)
