#!/usr/bin/env bash
# The client of mcp 2.3.0 gives HTTP 401 and HTTP 429 the same error, without status or Retry-After.
#
# Both become MCPError -32603 "Server returned an error response" with no data, so a caller cannot
# tell a wrong key from a busy server, or how long the server asked to wait.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check mcp==2.3.0
"$work/venv/bin/python" - <<'PYTHON'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mcp import Client, MCPError


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, **headers):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.answer(405, {})

    do_DELETE = do_GET

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "id" not in message:
            return self.answer(202, {})
        head = {"jsonrpc": "2.0", "id": message["id"]}
        method = message["method"]
        if method == "initialize":
            info = {"name": "x", "version": "1"}
            result = {"protocolVersion": "2025-06-18", "serverInfo": info}
            result["capabilities"] = {"tools": {}}
            return self.answer(200, {**head, "result": result}, Mcp_Session_Id="s1")
        if method == "tools/list":
            return self.answer(200, {**head, "result": {"tools": []}})
        if method == "tools/call" and message["params"]["name"] == "busy":
            return self.answer(429, {"detail": "slow down"}, Retry_After="2")
        if method == "tools/call":
            return self.answer(401, {"detail": "wrong key"})
        error = {"code": -32601, "message": "no such method"}
        return self.answer(200, {**head, "error": error})


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()


async def main():
    found = []
    async with Client(f"http://127.0.0.1:{server.server_port}/mcp") as client:
        for tool in ("busy", "closed"):
            try:
                await client.call_tool(tool, {})
            except MCPError as error:
                found.append((error.code, error.message, error.data))
    print(found)
    wanted = (-32603, "Server returned an error response", None)
    assert found == [wanted, wanted], "the behaviour has changed"


asyncio.run(main())
PYTHON
