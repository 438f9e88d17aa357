"""A client of the Language Server Protocol that keeps nothing from the test.

It starts `orch lsp` as an editor would, speaks JSON-RPC over its pipes, and waits for answers on
a condition. Results are plain JSON, as they came over the wire.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

#: Nothing a test asks for takes so long; a server that hangs fails the test instead of the suite.
_PATIENCE_S = 60


class RequestError(Exception):
    """An error the server has answered a request with."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.code: int = error["code"]
        self.message: str = error["message"]
        super().__init__(f"{self.code}: {self.message}")


class Client:
    """One editor's session.

    Args:
        root: The folder the editor has open, or None.
        capabilities: What the client can do.
    """

    def __init__(
        self, root: Path | None = None, capabilities: dict[str, Any] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "lsp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=root,
        )
        self._changed = threading.Condition()
        self._answers: dict[int, dict[str, Any]] = {}
        self._diagnostics: dict[str, list[dict[str, Any]]] = {}
        self._numbers: dict[str, int] = {}
        self.notifications: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.stderr = ""
        self._ended = False
        self._last = 0
        self._opened: set[str] = set()
        self._folder = root
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_stderr, daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        self.server = self.request(
            "initialize",
            {
                "processId": None,
                "rootUri": None if root is None else root.as_uri(),
                "workspaceFolders": None
                if root is None
                else [{"uri": root.as_uri(), "name": root.name}],
                "capabilities": capabilities or {},
            },
        )
        self.notify("initialized", {})

    # ------------------------------------------------------------ the wire

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while line := stream.readline():
            size = 0
            while line.strip():
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
                line = stream.readline()
            self._receive(json.loads(stream.read(size)))
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.stderr += line.decode(errors="replace")

    def _receive(self, message: dict[str, Any]) -> None:
        with self._changed:
            if "method" in message and "id" in message:
                self.requests.append(message)
                self._send({"id": message["id"], "result": None})
            elif "method" in message:
                self.notifications.append(message)
                if message["method"] == "textDocument/publishDiagnostics":
                    params = message["params"]
                    uri = params["uri"]
                    self._diagnostics[uri] = params["diagnostics"]
                    self._numbers[uri] = self._numbers.get(uri, 0) + 1
                    if params.get("version") is not None:
                        self._numbers[f"{uri} version"] = params["version"]
            else:
                self._answers[message["id"]] = message
            self._changed.notify_all()

    def _wait(self, is_there: Any) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: is_there() or self._ended, _PATIENCE_S):
                raise AssertionError(f"the server is silent\n{self.stderr}")
            if not is_there():
                raise AssertionError(f"the server has ended\n{self.stderr}")

    def request(self, method: str, params: Any) -> Any:
        """Ask, and give the result; raises `RequestError`."""
        self._last += 1
        number = self._last
        message = {"id": number, "method": method}
        self._send(message if params is None else {**message, "params": params})
        self._wait(lambda: number in self._answers)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RequestError(answer["error"])
        return answer.get("result")

    def notify(self, method: str, params: Any) -> None:
        """Tell something that has no answer."""
        self._send({"method": method} if params is None else {"method": method, "params": params})

    # ------------------------------------------------------------ documents

    def open(self, uri: str, text: str, version: int = 1) -> list[dict[str, Any]]:
        """Open a document; gives its diagnostics."""
        self._opened.add(uri)
        item = {"uri": uri, "languageId": "orch", "version": version, "text": text}
        with self._changed:
            self._numbers.pop(f"{uri} version", None)
            seen = self._numbers.get(uri, 0)
        self.notify("textDocument/didOpen", {"textDocument": item})
        if not uri.endswith(".orch") and not uri.startswith("untitled:"):
            return self.diagnostics(uri, seen)
        self._wait(lambda: self._numbers.get(f"{uri} version", 0) >= version)
        return self._diagnostics[uri]

    def close_all(self) -> None:
        """Close every document."""
        for uri in sorted(self._opened):
            self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
        self._opened.clear()

    def folder(self, root: Path) -> None:
        """Have another folder open in place of the one there is."""
        gone = [] if self._folder is None else [self._folder]
        self._folder = root
        event = {
            "added": [{"uri": root.as_uri(), "name": root.name}],
            "removed": [{"uri": folder.as_uri(), "name": folder.name} for folder in gone],
        }
        self.notify("workspace/didChangeWorkspaceFolders", {"event": event})

    def change(self, uri: str, version: int, *changes: dict[str, Any]) -> list[dict[str, Any]]:
        """Change a document; gives the diagnostics of that version."""
        self.notify(
            "textDocument/didChange",
            {"textDocument": {"uri": uri, "version": version}, "contentChanges": list(changes)},
        )
        self._wait(lambda: self._numbers.get(f"{uri} version", 0) >= version)
        return self._diagnostics[uri]

    def published(self, uri: str) -> int:
        """How often the diagnostics of a document were published."""
        with self._changed:
            return self._numbers.get(uri, 0)

    def diagnostics(self, uri: str, seen: int = 0) -> list[dict[str, Any]]:
        """What is published for a document, once it was published more often than `seen`."""
        self._wait(lambda: self._numbers.get(uri, 0) > seen)
        return self._diagnostics[uri]

    def at(self, uri: str, line: int, character: int) -> dict[str, Any]:
        """The parameters of a request about a place."""
        return {
            "textDocument": {"uri": uri},
            "position": {"line": line, "character": character},
        }

    # ------------------------------------------------------------ the end

    def close(self) -> int:
        """Shut the server down as the protocol says; gives its exit code."""
        if self.process.poll() is None:
            self.request("shutdown", None)
            self.notify("exit", None)
        code = self.process.wait(_PATIENCE_S)
        self._finish()
        return code

    def kill(self) -> None:
        """End it in any case."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(_PATIENCE_S)
        self._finish()

    def _finish(self) -> None:
        for thread in self._threads:
            thread.join(_PATIENCE_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
