"""A seccomp filter: which sockets a process may make, as a program for the kernel.

Sockets are refused by family, before any address is looked at. So the filter covers UDP, Unix
sockets (abstract ones too) and rare families. Descriptors that are open already are not affected.

The program is written out here, because bubblewrap takes it as it is and the packages that compile
such programs leave the second table of system calls of x86-64 (x32) open. Format: `struct
sock_filter` in linux/filter.h, `struct seccomp_data` in linux/seccomp.h.
"""

from __future__ import annotations

import errno
import os
import platform
import struct

__all__ = ["NO_SOCKETS", "TCP_ONLY", "compiled"]

#: Families of sockets that may be made.
NO_SOCKETS: tuple[int, ...] = ()
TCP_ONLY = (2, 10)  # AF_INET, AF_INET6; for a network that has no way out but the proxy

#: By machine: the architecture as the kernel names it, and the numbers of `socket`, `socketpair`.
_MACHINES = {"x86_64": (0xC000003E, 41, 53), "aarch64": (0xC00000B7, 198, 199)}
_IO_URING_SETUP = 425  # everywhere; a ring would make sockets without a system call
_X32 = 0x40000000  # numbers from here on are of x32
_SOCK_STREAM, _SOCK_SEQPACKET = 1, 5
_TYPE_MASK = 0xF

_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24  # offsets of words in `seccomp_data`
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_REFUSE = _ERROR | errno.EACCES


def compiled(families: tuple[int, ...]) -> bytes | None:
    """The filter that lets only streams of these families be made; None if not known here.

    `socketpair` stays, also for streams alone: a datagram could be sent elsewhere.
    """
    machine = platform.machine()
    if os.name != "posix" or machine not in _MACHINES:
        return None
    architecture, socket, socketpair = _MACHINES[machine]
    allow, refuse = "allow", "refuse"
    # Each: code, value, where to go if it holds, where if not; None: the next one.
    steps: list[tuple[int, int, str | None, str | None]] = [
        (_LOAD, _ARCHITECTURE, None, None),
        (_EQUAL, architecture, None, refuse),  # 32-bit programs have another table
        (_LOAD, _NUMBER, None, None),
        (_AT_LEAST, _X32, refuse, None),
        (_EQUAL, _IO_URING_SETUP, refuse, None),
        (_EQUAL, socketpair, "stream", None),
        (_EQUAL, socket, None, allow),
        (_LOAD, _FIRST, None, None),
        *((_EQUAL, family, "stream", None) for family in families),
        (_RETURN, _REFUSE, None, None),
        (_LOAD, _SECOND, None, None),
        (_AND, _TYPE_MASK, None, None),
        (_EQUAL, _SOCK_STREAM, allow, None),
        (_EQUAL, _SOCK_SEQPACKET, allow, refuse),
        (_RETURN, _ALLOW, None, None),
        (_RETURN, _REFUSE, None, None),
    ]
    labels = {"stream": len(steps) - 6, allow: len(steps) - 2, refuse: len(steps) - 1}

    def jump(at: int, label: str | None) -> int:
        return 0 if label is None else labels[label] - at - 1

    return b"".join(
        struct.pack("=HBBI", code, jump(at, yes), jump(at, no), value)
        for at, (code, value, yes, no) in enumerate(steps)
    )
