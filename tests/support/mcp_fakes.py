"""An MCP server that says what a test tells it to, also what the protocol does not allow.

`Played` answers messages; over HTTP as a page of `http_server.Site`, on standard input and output
as a program:

    python mcp_fakes.py '{"tools": [...], "results": {"TOOL": RESULT}, "errors": {"TOOL": ERROR}}'

Results and errors go out as they are. Nothing here sleeps or needs the library.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

__all__ = ["Played", "Status", "tool"]

VERSION = "2025-06-18"


class Status(NamedTuple):
    """An HTTP answer that is no result."""

    status: int
    body: Any = b""
    headers: Mapping[str, str] = {}


def tool(name: Any, **more: Any) -> dict[str, Any]:
    """A tool as a list gives it."""
    return {"name": name, "inputSchema": {"type": "object"}, **more}


class Played:
    """Answers messages.

    Attributes:
        tools: What is offered: tools, or pages of tools as `{"tools", "nextCursor"}` by cursor.
        results: What a call gives, by tool; a list is given one by one, its last for ever.
        errors: The error that a call gives, likewise.
        statuses: HTTP answers by method, taken from one by one before the method is carried out.
        unknown: The HTTP answer for a session that is not known; None takes any.
        methods: The methods that came.
        arguments: The arguments of the calls that were carried out.
        answers: How HTTP answers: `json` or `sse`.
        initialized: What the handshake gives.
        discovered: What newer versions of the protocol give instead; None for an older server.
        headers: The headers of the last request over HTTP.
    """

    def __init__(
        self,
        tools: Any = (),
        results: Mapping[str, Any] | None = None,
        errors: Mapping[str, Any] | None = None,
        answers: str = "json",
        version: str = VERSION,
    ) -> None:
        self.tools = tools
        self.results = dict(results or {})
        self.errors = dict(errors or {})
        self.answers = answers
        self.statuses: dict[str, list[Status]] = {}
        info = {"name": "played", "version": "1"}
        self.initialized: Any = {
            "protocolVersion": version,
            "capabilities": {"tools": {}},
            "serverInfo": info,
        }
        self.discovered: Any = None
        self.headers: dict[str, str] = {}
        self.unknown: Status | None = Status(404)
        self.methods: list[str] = []
        self.arguments: list[Any] = []
        self._sessions: list[str] = []
        self._forgotten: set[str] = set()
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Lose every session, as a server does that is started anew."""
        self._forgotten.update(self._sessions)

    def answer(self, message: Any) -> Any:
        """The answer to a message; None where there is none."""
        method, params = message.get("method"), message.get("params") or {}
        self.methods.append(method)
        if "id" not in message:
            return None
        answer = {"jsonrpc": "2.0", "id": message["id"]}
        match method:
            case "initialize":
                return {**answer, "result": self.initialized}
            case "server/discover" if self.discovered is not None:
                return {**answer, "result": self.discovered}
            case "tools/list":
                return {**answer, "result": self._listed(params.get("cursor"))}
            case "tools/call":
                self.arguments.append(params.get("arguments"))
                return {**answer, **self._called(params["name"])}
        return {**answer, "error": {"code": -32601, "message": "Method not found"}}

    def _listed(self, cursor: Any) -> Any:
        if isinstance(self.tools, dict):
            return self.tools.get(cursor or "", self.tools[""])
        return {"tools": list(self.tools)}

    def _called(self, name: str) -> dict[str, Any]:
        if name in self.errors:
            error = self.errors[name]
            # An `id` beside the error is that of the whole answer.
            return error if isinstance(error, dict) and "error" in error else {"error": error}
        result = self.results.get(name)
        if isinstance(result, list):
            result = result.pop(0) if len(result) > 1 else result[0]
        return {"result": result}

    # ------------------------------------------------------------ HTTP

    def page(self, handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        """Answer one HTTP request."""
        with self._lock:
            status = self._posted(handler) if handler.command == "POST" else Status(405)
        data = status.body if isinstance(status.body, bytes) else json.dumps(status.body).encode()
        handler.send_response(status.status)
        kind = "application/json" if not isinstance(status.body, bytes) else "text/plain"
        headers = {"Content-Type": kind, "Content-Length": str(len(data)), **status.headers}
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        with suppress(OSError):
            handler.wfile.write(data)

    def _posted(self, handler: Any) -> Status:
        message = json.loads(handler.body)
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        session = handler.headers.get("Mcp-Session-Id")
        waiting = self.statuses.get(message.get("method"))
        if waiting:
            self.methods.append(message["method"])
            return waiting.pop(0)
        if session in self._forgotten and self.unknown is not None:
            return self.unknown
        answer = self.answer(message)
        if answer is None:
            return Status(202)
        if isinstance(answer.get("result"), Status):
            return answer["result"]
        headers = {}
        if message["method"] == "initialize":
            self._sessions.append(f"session-{len(self._sessions)}")
            headers["Mcp-Session-Id"] = self._sessions[-1]
        if self.answers == "json":
            return Status(200, answer, headers)
        event = b"event: message\r\ndata: " + json.dumps(answer).encode() + b"\r\n\r\n"
        return Status(200, event, {**headers, "Content-Type": "text/event-stream"})


def main() -> None:
    """Serve on standard input and output."""
    played = Played(**json.loads(sys.argv[1]))
    for line in sys.stdin:
        answer = played.answer(json.loads(line))
        if answer is not None:
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
