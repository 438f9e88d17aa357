"""The shop: a real HTTP server on loopback that keeps count, outside of every process killed here.

It writes each call into the log of the world that makes it, and kills that world's process on
request while a call is under way: before anything is done, or after, with the answer never sent. A
server does not end with its clients, so `late` is an effect after their death here.
An order under a key it knows is the same order.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote_plus

from parcels import tools
from poison.tools import raw

__all__ = ["Hold", "Shop"]


class Hold:
    """A call that is done and not answered until it may be: `arrived`, then `release`."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.release = threading.Event()


class Client:
    """What the shop knows of one world: its folder, and the orders by their key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.orders: dict[str, dict[str, Any]] = {}
        self.asked: defaultdict[str, int] = defaultdict(int)
        self.holds: dict[str, Hold] = {}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is what this is about."""


class Shop:
    """Serves any number of worlds, each under its name; a context manager."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16
            disable_nagle_algorithm = True

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(length)
                if len(body) < length:  # Killed while it was asking.
                    self.close_connection = True
                    return
                path, _, query = self.path.strip("/").partition("?")
                world, _, what = path.partition("/")
                key = self.headers.get("Idempotency-Key", "")
                answer = outer.answer(world, what, query, json.loads(body or b"{}"), key)
                if answer is None:
                    self.close_connection = True
                    return
                status, value = answer
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(data)

            do_GET = do_POST = _answer

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )

    def __enter__(self) -> Shop:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def welcome(self, world: str, folder: Path) -> Client:
        """Know a world from now on."""
        self.clients[world] = Client(folder)
        return self.clients[world]

    def forget(self, world: str) -> None:
        """Know it no more."""
        del self.clients[world]

    def answer(
        self, world: str, what: str, query: str, body: dict[str, Any], key: str
    ) -> tuple[int, Any] | None:
        """Status and value, or None where the one who asked has been killed."""
        if what == "poison":
            return 200, raw(unquote_plus(query.partition("=")[2]))
        client = self.clients[world]
        folder = client.folder
        number = tools.arrive(folder)
        if tools.killed(folder, number, "before"):
            return None
        gone = tools.killed(folder, number, "late")
        said = {"price": query.partition("=")[2], "reserve": body.get("item", ""), "charge": ""}
        line = f"{what} {said[what]}".rstrip()
        tools.note(folder, line)
        with self._lock:
            client.asked[line] += 1
            first = client.asked[line] == 1
            if what == "price":
                status, value = (503, {}) if first else (200, {"cents": 1990})
            elif what == "reserve":
                order = client.orders.setdefault(key, {"id": f"R-{len(client.orders)}", **body})
                status, value = 200, {"id": order["id"]}
            else:
                status, value = 200, {"receipt": f"C-{client.asked[line]}"}
        if gone or tools.killed(folder, number, "after"):
            return None
        hold = client.holds.pop(line, None)
        if hold is not None:
            hold.arrived.set()
            hold.release.wait()
        return status, value
