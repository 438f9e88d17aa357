"""A real HTTP server on loopback whose every page is set by the test, with faults on request.

A page is a function that writes one answer; `send`, `chunks` and the rest make such functions.
Nothing here sleeps but `drip`, which has to be slow: a page that hangs waits for the end of the
server. `requests` keeps what was asked, in order.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

__all__ = [
    "Asked",
    "Page",
    "Site",
    "bomb",
    "chunks",
    "cut",
    "drip",
    "drop",
    "hang",
    "redirect",
    "send",
    "take",
]

#: Writes one answer; the event is set when the server closes.
Page = Callable[[BaseHTTPRequestHandler, threading.Event], None]


class Asked(NamedTuple):
    """One request as it came; names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def send(
    body: Any = b"",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    kind: str = "application/json",
) -> Page:
    """A whole answer; anything but bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def write(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        handler.send_response(status)
        sent = {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}
        for name, value in sent.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            with suppress(OSError):
                handler.wfile.write(data)

    return write


def redirect(target: str, status: int = 302) -> Page:
    """A redirect."""
    return send(b"over there", status, {"Location": target}, "text/plain")


def chunks(pieces: Iterable[bytes], headers: Mapping[str, str] | None = None) -> Page:
    """An answer of unknown length, until the client goes away."""

    def write(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        handler.send_response(200)
        for name, value in {"Transfer-Encoding": "chunked", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        with suppress(OSError):
            for piece in pieces:
                handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            handler.wfile.write(b"0\r\n\r\n")

    return write


def take(body: bytes, length: int) -> Page:
    """An answer that promises `length` bytes and breaks off after `body`."""

    def write(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return write


def cut(pieces: Iterable[bytes], headers: Mapping[str, str] | None = None) -> Page:
    """An answer of unknown length that breaks off where its end should be told."""

    def write(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        handler.send_response(200)
        for name, value in {"Transfer-Encoding": "chunked", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        for piece in pieces:
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.close_connection = True

    return write


def drop() -> Page:
    """Takes the request and closes the connection."""

    def write(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        handler.close_connection = True

    return write


def hang() -> Page:
    """Takes the request and never answers."""

    def write(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        ending.wait()
        handler.close_connection = True

    return write


def drip(every_s: float = 0.02) -> Page:
    """Sends a byte now and then, for ever: no single read is slow, the answer as a whole is."""

    def write(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        with suppress(OSError):
            while not ending.wait(every_s):
                handler.wfile.write(b" ")
                handler.wfile.flush()
        handler.close_connection = True

    return write


def bomb(size: int) -> bytes:
    """Zeros, packed a thousand to one."""
    return gzip.compress(bytes(size), 9)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Site:
    """Serves pages on a free port of 127.0.0.1; a context manager.

    Attributes:
        host: `127.0.0.1:PORT`, and `url` with the scheme before it.
        pages: What to answer, by path; a list is answered one by one, its last for ever.
        requests: What was asked.
    """

    def __init__(self) -> None:
        self.pages: dict[str, Page | list[Page]] = {}
        self.requests: list[Asked] = []
        self._ending = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # One packet an answer: Nagle's algorithm would hold the body back for 40 ms.
            wbufsize = 1 << 16
            disable_nagle_algorithm = True

            def _answer(self) -> None:
                body = self.body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                names = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append(Asked(self.command, self.path, names, body))
                page = outer.pages.get(self.path.partition("?")[0])
                if isinstance(page, list):
                    page = page.pop(0) if len(page) > 1 else page[0]
                (page or send({"no": "page"}, 404))(self, outer._ending)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

            def log_message(self, format: str, *args: Any) -> None:
                """Stay silent: the tests check that nothing is printed."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> Site:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
