"""The way out to listed hosts: an HTTP proxy that lets nothing else through.

It runs in the engine, outside of the sandbox, for one call. `CONNECT` (for HTTPS) and plain HTTP
are all that it speaks, and names are looked up here: inside there is no DNS. Whatever goes through
a tunnel is not looked at, so a listed host can pass on what it is sent.

Patterns: `example.org` (ports 80 and 443), `example.org:8443`, `*.example.org` (any name below it,
at any depth, not itself). What matches a `*` may not lead to an address of this machine or of the
local network: whoever controls a name below could point it there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import shutil
import socket
import tempfile
from types import TracebackType
from urllib.parse import urlsplit

import msgspec

__all__ = ["Proxy", "allowed"]

_USUAL = (80, 443)
_MAX_HEAD = 65_536
_CHUNK = 65_536
_CONNECT_S = 30.0


class _Refused(Exception):
    """A request that gets no way out: a status, and what to say."""

    def __init__(self, status: str, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.said = said


class _Request(msgspec.Struct, frozen=True):
    """What a client asks for: where to, and what to send there first (b"": it is a tunnel)."""

    host: str
    port: int
    head: bytes


def allowed(host: str, port: int, patterns: tuple[str, ...]) -> str | None:
    """The pattern that lets a host and port through, or None."""
    wanted = host.lower().rstrip(".").strip("[]")
    for pattern in patterns:
        name, ports = _split(pattern)
        is_match = wanted.endswith(name[1:]) if name.startswith("*.") else wanted == name
        if is_match and port in ports:
            return pattern
    return None


def _split(pattern: str) -> tuple[str, tuple[int, ...]]:
    name, colon, port = pattern.rpartition(":")
    if not colon or not port.isdigit():
        return pattern.lower().strip("[]"), _USUAL
    return name.lower().strip("[]"), (int(port),)


class Proxy:
    """Lets connections through to hosts while it is open; a context manager.

    Args:
        hosts: The patterns.
        over_tcp: Whether it listens on a port of the loopback, and not on a Unix socket.

    Attributes:
        way: The path of the socket, or the port.
    """

    def __init__(self, hosts: tuple[str, ...], *, over_tcp: bool = False) -> None:
        self._hosts = hosts
        self._over_tcp = over_tcp
        self._folder = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self.way: str | int = ""

    async def __aenter__(self) -> Proxy:
        if self._over_tcp:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_MAX_HEAD)
            self.way = self._server.sockets[0].getsockname()[1]
        else:
            # Not in a folder with a long name: the path of a socket has 107 bytes.
            self._folder = tempfile.mkdtemp(prefix="orch-", dir="/tmp")
            self.way = os.path.join(self._folder, "proxy")
            self._server = await asyncio.start_unix_server(self._serve, self.way, limit=_MAX_HEAD)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._answer(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                try:
                    request = await _asked(reader)
                    out_reader, out_writer = await self._connect(request)
                except _Refused as refused:
                    writer.write(_reply(refused))
                    await writer.drain()
                    return
                try:
                    if request.head:
                        out_writer.write(request.head)
                    else:
                        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    await asyncio.gather(_copy(reader, out_writer), _copy(out_reader, writer))
                finally:
                    out_writer.close()
        finally:
            writer.close()

    async def _connect(self, to: _Request) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        pattern = allowed(to.host, to.port, self._hosts)
        if pattern is None:
            raise _Refused("403 Forbidden", f"the sandbox does not list {to.host}:{to.port}")
        try:
            async with asyncio.timeout(_CONNECT_S):
                address = await _address(to.host, to.port, is_any=pattern.startswith("*."))
                return await asyncio.open_connection(address, to.port)
        except (OSError, TimeoutError) as error:
            said = f"{to.host}:{to.port} cannot be reached: {error or 'no answer'}"
            raise _Refused("502 Bad Gateway", said) from None


async def _address(host: str, port: int, *, is_any: bool) -> str:
    """The address that a host is reached at, looked up once: a second answer could differ."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM
    )
    for *_, name in found:
        if not is_any or ipaddress.ip_address(str(name[0]).partition("%")[0]).is_global:
            return str(name[0])
    raise _Refused("403 Forbidden", f"{host} is in the local network, and only `*` lists it")


async def _asked(reader: asyncio.StreamReader) -> _Request:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise _Refused("400 Bad Request", "that is not a request to a proxy") from None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _Refused("400 Bad Request", "that is not a request to a proxy")
    method, target, _ = parts
    try:
        if method == "CONNECT":
            where = urlsplit(f"//{target}")
            return _Request(where.hostname or "", where.port or 443, b"")
        where = urlsplit(target)
        host, port = where.hostname or "", where.port or 80
    except ValueError:
        raise _Refused("400 Bad Request", f"that is not an address: {target}") from None
    if where.scheme != "http" or not host:
        raise _Refused("400 Bad Request", "a proxy needs the whole address, with `http://`")
    return _Request(host, port, _rewritten(method, where.netloc, _path(target), lines))


def _path(target: str) -> str:
    """What comes after the host."""
    rest = target.partition("://")[2]
    at = min((rest.find(c) for c in "/?" if c in rest), default=len(rest))
    path = rest[at:].partition("#")[0]
    return path if path.startswith("/") else f"/{path}"


def _rewritten(method: str, netloc: str, path: str, lines: list[str]) -> bytes:
    """A request as its server gets it: for the host that was checked, and the only one on it."""
    drop = ("host", "connection", "proxy-connection", "proxy-authorization", "keep-alive")
    kept = [line for line in lines if line.partition(":")[0].strip().lower() not in drop]
    host = netloc.rpartition("@")[2]
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", *kept, "Connection: close", "", ""]
    return "\r\n".join(head).encode("latin-1")


def _reply(refused: _Refused) -> bytes:
    said = f"{refused.said}\n".encode()
    head = f"HTTP/1.1 {refused.status}\r\nContent-Type: text/plain\r\n"
    return f"{head}Content-Length: {len(said)}\r\nConnection: close\r\n\r\n".encode() + said


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
