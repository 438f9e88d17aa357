"""What one process in a sandbox may reach, as absolute paths; nothing is enforced here.

The declaration says what its author thought of (`engine.sema.model.Sandbox`). A program also needs
what every program needs: the system's programs and libraries, the interpreter with its packages,
and a few files of `/etc`. Its own are the folder of its `.orch` file, which it may read, and a
folder for this call alone, which it may change.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from engine.errors import Failure
from engine.sema.model import Sandbox
from engine.workers.sandbox.links import follow, is_in, names_of

__all__ = ["Policy", "policy_of", "program_at"]

#: What every program may read: programs, libraries, and what the C library looks things up in.
_SYSTEM = (
    *("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/sbin", "/usr"),
    *("/nix/store", "/gnu/store", "/Library/Frameworks", "/System", "/private/var/db/dyld"),
)
_ETC = (
    *("alternatives", "ca-certificates", "fonts", "group", "hosts", "ld.so.cache", "ld.so.conf"),
    *("ld.so.conf.d", "localtime", "mime.types", "nsswitch.conf", "os-release", "passwd"),
    *("protocols", "resolv.conf", "services", "terminfo", "timezone"),
    # Not all of it: the keys of servers are there too.
    *("ssl/certs", "ssl/cert.pem", "ssl/openssl.cnf"),
    *("pki/ca-trust", "pki/tls/certs", "pki/tls/cert.pem", "pki/tls/openssl.cnf"),
)
#: The packages of orch, which a function in a process of its own needs.
_ENGINE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PACKAGES = ("engine", "grammar", "orch")
#: Where the interpreter is, looked up once: a later link is not the one that this process is of.
_REAL_INTERPRETER = os.path.realpath(sys.executable)


class Policy(msgspec.Struct, frozen=True):
    """What a process may reach.

    Attributes:
        reach: How much of the network it has.
        hosts: The patterns of hosts, if `reach` is `hosts`.
        read: Files and folders that may be read.
        write: Files and folders that may be changed, the private one first.
        cwd: Where it starts.
        only_network: Whether files are as outside.
    """

    reach: Literal["none", "hosts", "any"]
    hosts: tuple[str, ...]
    read: tuple[str, ...]
    write: tuple[str, ...]
    cwd: str
    only_network: bool = False

    @property
    def private(self) -> str:
        """The folder of this call alone."""
        return self.write[0]


def policy_of(
    sandbox: Sandbox,
    base_dir: str,
    program: str,
    cwd: str,
    private: str,
    *,
    is_python: bool,
    changeable: Iterable[tuple[str, str]] = (),
) -> Policy:
    """What a process may reach.

    Args:
        base_dir: The folder of the declaring file.
        program: The program's file.
        cwd: Where it starts.
        private: An empty folder for this call.
        is_python: Whether it calls a function of the user's, which may import what the engine can.
        changeable: What other sandboxes of the program may change: the folder of the file, and the
            path as it is written there.

    Raises:
        Failure: `crashed`; a path that it may change does not exist, it may not see `cwd`, or a
            path leads to where code in a sandbox may have led it (`links`).
    """
    folders = _folders([*changeable, *((base_dir, path) for path in sandbox.write)])
    if sandbox.only_network:
        folders = []  # its files are as outside
    read = [base_dir, *_of_program(program, folders), *_SYSTEM]
    read += [os.path.join("/etc", name) for name in _ETC]
    read += _interpreter(is_python)
    read += _absolute(sandbox.read, base_dir)
    write = _absolute(sandbox.write, base_dir)
    for path, written in zip(write, sandbox.write, strict=True):
        if not os.path.exists(path):
            raise Failure("crashed", f"no such file or folder: {written}", where="sandbox")
    policy = Policy(
        reach=sandbox.reach,
        hosts=() if isinstance(sandbox.network, str) else sandbox.network,
        read=names_of(read, folders),
        write=(private, *names_of(write, folders)),
        cwd=cwd,
        only_network=sandbox.only_network,
    )
    seen = (*policy.read, *policy.write)
    follow(cwd, folders).check(seen)
    if not sandbox.only_network and not is_in(cwd, seen):
        said = f"its sandbox does not show it the folder that it starts in: {cwd}"
        raise Failure("crashed", said, where="cwd")
    return policy


def program_at(argv: Sequence[str], cwd: str, path: str | None) -> str:
    """The file of the program that is to be started.

    Args:
        path: The `PATH` that it is looked up in.

    Raises:
        FileNotFoundError: There is none.
        PermissionError: It may not be run.
    """
    name = argv[0]
    if os.sep not in name:
        found = shutil.which(name, path=os.defpath if path is None else path)
        if found is None:
            raise FileNotFoundError(name)
        return os.path.join(cwd, found)
    file = os.path.normpath(os.path.join(cwd, name))
    if not os.path.isfile(file):
        raise FileNotFoundError(name)
    if not os.access(file, os.X_OK):
        raise PermissionError(name)
    return file


def _of_program(program: str, changeable: list[str]) -> list[str]:
    """What belongs to a program: its file, and the libraries that are installed with it."""
    paths = [program]
    found = follow(program, changeable)
    for file in (program,) if found.changeable else (program, found.real):
        folder = os.path.dirname(file)
        root = os.path.dirname(folder)
        if os.path.basename(folder) == "bin":
            paths += [os.path.join(root, name) for name in ("bin", "lib", "libexec")]
            if os.path.exists(os.path.join(root, "pyvenv.cfg")):
                paths.append(root)
        elif os.path.basename(folder) == "shims":  # of pyenv and the like: scripts that choose
            paths.append(root)
    return paths


def _interpreter(is_python: bool) -> list[str]:
    paths = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix]
    paths += [os.path.dirname(path) for path in (sys.executable, _REAL_INTERPRETER)]
    paths += [os.path.dirname(os.path.abspath(__file__))]
    if is_python:
        paths += [os.path.join(_ENGINE, package) for package in _PACKAGES]
        paths += [entry for entry in sys.path if entry]
    return paths


def _folders(changeable: Iterable[tuple[str, str]]) -> list[str]:
    """The real paths of what sandboxes may change."""
    return sorted({os.path.realpath(_absolute((path,), base)[0]) for base, path in changeable})


def _absolute(paths: Iterable[str], base_dir: str) -> list[str]:
    return [os.path.normpath(os.path.join(base_dir, os.path.expanduser(path))) for path in paths]
