"""A real HTTP server on loopback that plays the OpenAI chat protocol, with faults on request.

The tests queue answers with `play`; each request takes the next one. Nothing here sleeps: an
answer that has to be slow (`hang`, `drip`) waits for the server's own end or the client's, so the
client's timeout is what ends the test. `requests` keeps the bodies the server was sent,
`headers` the headers of each.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

__all__ = [
    "Answer",
    "ModelServer",
    "chunk",
    "cut",
    "drip",
    "error",
    "events",
    "hang",
    "message",
    "raw",
    "reply",
    "stream",
    "unstreamed",
]

#: Writes one answer; the event is set when the server closes.
Answer = Callable[[BaseHTTPRequestHandler, threading.Event], None]

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 3},
}


def raw(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    """Any bytes as an answer."""

    def write(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return write


def reply(
    text: str | None,
    *,
    usage: Mapping[str, Any] | None = USAGE,
    finish_reason: str = "stop",
    refusal: str | None = None,
) -> Answer:
    """A whole answer, streamed where that is asked for; `usage=None` leaves the usage out."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if refusal is not None:
        message["refusal"] = refusal
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "test",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
    }
    if usage is not None:
        body["usage"] = usage
    whole = raw(200, json.dumps(body).encode())
    in_pieces = stream([text or ""], usage=usage, finish_reason=finish_reason)

    def write(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        (in_pieces if handler.wants_stream else whole)(handler, ending)  # type: ignore[attr-defined]

    return write


def unstreamed(text: str) -> Answer:
    """A whole answer, whatever was asked for: a server that knows no streams."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "test", "usage": USAGE}
    return raw(200, json.dumps({**body, "choices": [{"index": 0, **choice}]}).encode())


def error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An error in the provider's format."""
    body = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    return raw(status, json.dumps(body).encode(), headers)


def message(fields: Mapping[str, Any], finish_reason: str | None = "stop") -> Answer:
    """A whole answer with these fields in its message, whatever was asked for."""
    choice = {"index": 0, "message": {"role": "assistant", **fields}}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "test", "usage": USAGE}
    return raw(
        200, json.dumps({**body, "choices": [{**choice, "finish_reason": finish_reason}]}).encode()
    )


def chunk(delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    """One piece of a streamed answer."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "test",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def events(*pieces: Mapping[str, Any] | bytes, done: bool = True, usage: bool = True) -> Answer:
    """A stream of these events: what is not bytes is sent as the data of one."""

    def write(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        _start_stream(handler)
        for piece in pieces:
            data = piece if isinstance(piece, bytes) else _data(piece)
            _send_chunk(handler, data)
        if usage:
            _send_chunk(handler, _data({**chunk({}), "choices": [], "usage": USAGE}))
        if done:
            _send_chunk(handler, b"data: [DONE]\n\n")
        _send_chunk(handler, b"")

    return write


def _data(said: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def _event(delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
    return _data(chunk(delta, finish_reason))


def _start_stream(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()


def _send_chunk(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    handler.wfile.flush()


def stream(
    pieces: Sequence[str],
    *,
    usage: Mapping[str, Any] | None = USAGE,
    finish_reason: str | None = "stop",
    done: bool = True,
) -> Answer:
    """An answer in pieces. Without a finish reason and `done` it ends early, but politely."""

    def write(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        _start_stream(handler)
        _send_chunk(handler, _event({"role": "assistant", "content": ""}))
        for piece in pieces:
            _send_chunk(handler, _event({"content": piece}))
        if finish_reason is not None:
            _send_chunk(handler, _event({}, finish_reason))
        if usage is not None:
            _send_chunk(handler, _data({**chunk({}), "choices": [], "usage": usage}))
        if done:
            _send_chunk(handler, b"data: [DONE]\n\n")
        _send_chunk(handler, b"")

    return write


def cut(pieces: Sequence[str]) -> Answer:
    """A stream whose connection goes away in the middle."""

    def write(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        _start_stream(handler)
        for piece in pieces:
            _send_chunk(handler, _event({"content": piece}))
        handler.close_connection = True

    return write


def hang() -> Answer:
    """Takes the request and never answers."""

    def write(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        ending.wait()
        handler.close_connection = True

    return write


def drip(every_s: float = 0.02) -> Answer:
    """Sends a byte now and then, without end: no single read is slow, the answer as a whole is."""

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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # More connections at once than this are taken up a second later.
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class ModelServer:
    """Serves queued answers on a free port of 127.0.0.1; a context manager.

    Attributes:
        url: What to give as `api_base`.
        requests: The JSON bodies received, in order.
        headers: Their headers, names in lower case.
    """

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._answers: deque[Answer] = deque()
        self._always: Answer | None = None
        self._ending = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # One packet an answer: Nagle's algorithm would hold the body back for 40 ms.
            wbufsize = 1 << 16
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                outer.requests.append(json.loads(body))
                self.wants_stream = outer.requests[-1].get("stream", False)
                outer.headers.append({k.lower(): v for k, v in self.headers.items()})
                if outer._answers:
                    answer = outer._answers.popleft()
                else:
                    answer = outer._always or error(500, f"nothing to answer to {self.path}")
                answer(self, outer._ending)

            def log_message(self, format: str, *args: Any) -> None:
                """Stay silent: the tests check that nothing is printed."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def play(self, *answers: Answer, always: Answer | None = None) -> None:
        """Queue answers, and what comes after the last; what an earlier test left is dropped."""
        self._always = always
        self._answers.clear()
        self._answers.extend(answers)
        self.requests.clear()
        self.headers.clear()

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
