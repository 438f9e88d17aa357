"""Runs first inside a sandbox: closes the rest of it, then becomes the program.

Run as a script: `python -I -S inside.py ORDER PROGRAM [ARGUMENT...]`, where ORDER is JSON,

    {"filter": hex of the seccomp program, or null,
     "proxy": [path of a Unix socket, port], or null: forward the port to the socket,
     "landlock": {"site": folder of the package, "read": [...], "write": [...]}, or null,
     "unshare": "processes", or "network" for that of the network too, or null: leave namespaces}

It needs nothing of the engine's package, and ends with 125 if it cannot do what the order says, 127
if the program cannot be started. Under bubblewrap only the first two are needed. With Landlock it
stays as the parent of the program, so that what the program leaves running ends with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["CANNOT", "OLDEST_LANDLOCK", "landlock_version", "load_filter", "main"]

#: The exit code where the sandbox cannot be made.
CANNOT = 125
_NOT_STARTED = 127

_NEW_IPC, _NEW_USER, _NEW_PID, _NEW_NET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_SECCOMP = 1, 4, 22
_SET_SUBREAPER, _SET_NO_NEW_PRIVS, _FILTER_MODE = 36, 38, 2
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_CHUNK = 65_536
#: The oldest Landlock that can keep files from being cut (Linux 6.2).
OLDEST_LANDLOCK = 3


def load_filter(program: bytes) -> None:
    """Put the calling thread under a seccomp filter, with all that it starts; for good.

    Raises:
        OSError: The kernel does not take it.
    """
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HP", len(program) // 8, ctypes.addressof(buffer))
    _prctl(_SET_NO_NEW_PRIVS, 1)
    _prctl(_SET_SECCOMP, _FILTER_MODE, ctypes.create_string_buffer(head, len(head)))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, *arguments: Any) -> None:
    given = [each if isinstance(each, ctypes.Array) else ctypes.c_ulong(each) for each in arguments]
    if _libc().prctl(option, *given, *[ctypes.c_ulong(0)] * (4 - len(given))) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def main() -> None:
    """Do what the order says, and become the program."""
    # Here and not above: the engine imports this module in every run.
    import json

    order, argv = json.loads(sys.argv[1]), sys.argv[2:]
    try:
        if order["unshare"] is None and order["proxy"]:
            _forward(*order["proxy"])
        if order["unshare"] is not None:
            network = _NEW_NET if order["unshare"] == "network" else 0
            _leave_namespaces(network, needed=order["proxy"] is not None)
            _stay_parent(lambda: _begin(order, argv), order["proxy"])
        _begin(order, argv)
    except OSError as error:
        _give_up(f"cannot make the sandbox: {error}", CANNOT)


def _begin(order: dict[str, Any], argv: list[str]) -> None:
    if order["landlock"] is not None:
        _restrict_files(order["landlock"], order["proxy"], order["filter"] is not None)
    if order["filter"] is not None:
        load_filter(bytes.fromhex(order["filter"]))
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - what the workflow says
    except OSError as error:
        _give_up(f"cannot start {argv[0]} in its sandbox: {error.strerror}", _NOT_STARTED)


def _give_up(said: str, code: int) -> None:
    sys.stderr.write(f"orch: {said}\n")
    sys.stderr.flush()
    os._exit(code)


# ---------------------------------------------------------------- Landlock


def landlock_version() -> int:
    """The version of the kernel's Landlock; 0: it has none. Needs the extra."""
    import landlockpy  # 15 ms, and only where there is no bubblewrap

    return landlockpy.abi_version()


def _restrict_files(files: dict[str, Any], proxy: Any, is_closed: bool) -> None:
    sys.path.append(files["site"])
    from landlockpy import AccessFS, AccessNet, Ruleset, Scope, abi_version, fs_for_abi

    read = AccessFS.READ_FILE | AccessFS.READ_DIR | AccessFS.EXECUTE
    file = AccessFS.READ_FILE | AccessFS.EXECUTE | AccessFS.WRITE_FILE | AccessFS.TRUNCATE
    tree = AccessFS.REMOVE_DIR | AccessFS.REMOVE_FILE | AccessFS.MAKE_DIR | AccessFS.MAKE_REG
    links = AccessFS.MAKE_SYM | AccessFS.MAKE_FIFO | AccessFS.MAKE_SOCK | AccessFS.REFER
    write = file | AccessFS.READ_DIR | tree | links
    # Where there are no namespaces, the ports are the second lock, besides the filter.
    net = AccessNet.CONNECT_TCP | AccessNet.BIND_TCP if is_closed else AccessNet.NONE
    scoped = Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL if is_closed else Scope.SIGNAL
    handled = fs_for_abi(abi_version())
    if not is_closed:
        handled &= ~AccessFS.RESOLVE_UNIX
    with Ruleset(handled_fs=handled, handled_net=net, scoped=scoped) as rules:
        for paths, access in ((files["read"], read), (files["write"], write)):
            for path in paths:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    rules.allow_path(path, access if os.path.isdir(path) else access & file)
        if proxy is not None:
            rules.allow_port(proxy[1], AccessNet.CONNECT_TCP)
        rules.restrict()


def _leave_namespaces(network: int, *, needed: bool) -> None:
    """Leave the processes of the machine, and its network, where that is allowed.

    Raises:
        OSError: It is not, and it is needed.
    """
    user, group = os.geteuid(), os.getegid()
    flags = _NEW_USER | _NEW_PID | _NEW_IPC | network
    if _libc().unshare(flags) == -1:
        if needed:
            number = ctypes.get_errno()
            raise OSError(number, f"no network namespace: {os.strerror(number)}")
        return
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        # Some systems allow the namespaces, and nothing in them: the program has no need of it.
        try:
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        except OSError:
            if needed:
                raise


def _stay_parent(begin: Callable[[], None], proxy: Any) -> None:
    """Start the program in a child, wait for it, and end all that it has left running.

    Where the namespace of processes is new, the child is its first process and starts the program
    in turn: when that process ends, the kernel ends the rest.
    """
    # SIGTERM is for the program, which shares the process group; it ends this one by ending.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _prctl(_SET_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)
        if proxy is not None:
            _loopback_up()
            _forward(*proxy)
        if os.getpid() != 1:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            begin()
        program = os.fork()
        if program == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            begin()
        os._exit(_wait_for(program))
    code = _wait_for(child)
    _end_children()
    os._exit(code)


def _wait_for(child: int) -> int:
    """Wait for one child, and for whatever becomes a child and ends; its exit code."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _end_children() -> None:
    """End what was left running. What its parents leave behind becomes a child of this process."""
    children = f"/proc/self/task/{os.getpid()}/children"
    while True:
        with contextlib.suppress(OSError), open(children) as file:
            for pid in file.read().split():
                os.kill(int(pid), signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


# ---------------------------------------------------------------- the way to the proxy


def _loopback_up() -> None:
    import fcntl
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


def _forward(path: str, port: int) -> None:
    """Listen on a port inside, in a process of its own, and forward it to a Unix socket."""
    import socket

    listener = socket.create_server(("127.0.0.1", port))
    if os.fork():
        listener.close()
        os.wait()
        return
    # Not a child of the program: it must not find one that it has not started.
    if os.fork():
        os._exit(0)
    # The program may not look into this process, which can open Unix sockets.
    _prctl(_SET_DUMPABLE, 0)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    _serve(listener, path)


def _serve(listener: Any, path: str) -> None:
    import socket
    import threading

    while True:
        client, _ = listener.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(path)
        except OSError:
            client.close()
            continue
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=_copy, args=(one, other), daemon=True).start()


def _copy(source: Any, target: Any) -> None:
    import socket

    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
