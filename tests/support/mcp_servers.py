"""Real MCP servers for tests, made with the library's own server classes.

Run as a program it serves on standard input and output:

    python mcp_servers.py stdio [VARIANT]

`WebServer` serves the same tools over HTTP on loopback, from a thread. A variant changes what is
offered (`changed`, `without_add`), so that a snapshot made of another one has drifted. Nothing
here sleeps: a tool that hangs waits for something that never comes.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from typing import Any

import mcp.types as types
from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.lowlevel import Server
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent, Tool
from typing_extensions import TypedDict

__all__ = ["WebServer", "low_server", "server"]


class Ticket(TypedDict):
    """A ticket."""

    id: int
    title: str


def server(variant: str = "", log: str | None = None) -> MCPServer[Any]:
    """Tools of every sort, offered through the high-level class.

    Args:
        log: A file to which each start of the server and each call of `note` adds a line.
    """
    made: MCPServer[Any] = MCPServer("test")

    if variant == "changed":

        @made.tool()
        def add(a: int, b: int, c: int) -> int:
            """Adds three numbers."""
            return a + b + c
    elif variant == "described":

        @made.tool()
        def add(a: int, b: int) -> int:
            """Adds two numbers, as before."""
            return a + b
    elif variant != "without_add":

        @made.tool()
        def add(a: int, b: int) -> int:
            """Adds two numbers."""
            return a + b

    @made.tool()
    def tickets(customer: str) -> list[Ticket]:
        """Tickets of a customer."""
        return [{"id": 1, "title": f"for {customer}"}, {"id": 2, "title": "other"}]

    @made.tool()
    def ticket(id: int) -> Ticket:
        """One ticket."""
        if id > 100:
            raise ToolError(f"not_found: there is no ticket {id}")
        return {"id": id, "title": "t"}

    @made.tool(structured_output=False)
    def say(text: str) -> str:
        """Says it back."""
        return text

    @made.tool()
    def crash() -> str:
        """Raises what nobody expects."""
        raise RuntimeError("inner workings")

    @made.tool()
    def die() -> str:
        """Ends the server in the middle of the call."""
        print("out of memory", file=sys.stderr, flush=True)
        os._exit(3)

    @made.tool()
    async def hang() -> str:
        """Never answers; says so in the pipe `TEST_PIPE`, if there is one."""
        if "TEST_PIPE" in os.environ:
            with open(os.environ["TEST_PIPE"], "w", encoding="utf-8") as pipe:
                pipe.write(str(os.getpid()))
        await asyncio.Event().wait()
        return ""

    @made.tool()
    def variable(name: str) -> str | None:
        """A variable of the server's environment."""
        return os.environ.get(name)

    @made.tool()
    def place() -> dict[str, Any]:
        """Where it runs."""
        return {"cwd": os.getcwd(), "pid": os.getpid(), "group": os.getpgid(0)}

    @made.tool()
    def chatter() -> str:
        """Prints where it should not."""
        print("to standard error", file=sys.stderr, flush=True)
        return "done"

    @made.tool()
    def delete_everything() -> str:
        """Nobody allows this."""
        return "gone"

    if log is not None:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"start {os.getpid()}\n")
    return made


async def _list(context: Any, params: Any) -> types.ListToolsResult:
    """Two pages of tools whose answers the high-level class would not give."""
    schema = {"type": "object"}
    names = ["coded", "coded_text", "refused", "image", "mixed", "two_texts", "nothing", "lies"]
    if params is None or params.cursor is None:
        pages, cursor = names[:4], "2"
    else:
        pages, cursor = names[4:], None
    output = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    return types.ListToolsResult(
        tools=[
            Tool(
                name=name,
                description=f"The tool {name}.",
                input_schema=schema,
                output_schema=output if name == "lies" else None,
            )
            for name in pages
        ],
        next_cursor=cursor,
    )


async def _call(context: Any, params: types.CallToolRequestParams) -> CallToolResult:
    def texts(*given: str, **more: Any) -> CallToolResult:
        content = [TextContent(type="text", text=text) for text in given]
        return CallToolResult(content=content, **more)

    match params.name:
        case "coded":
            code = {"error": {"code": "busy", "message": "come back later"}}
            return texts("whatever", structured_content=code, is_error=True)
        case "coded_text":
            return texts('{"code": "busy", "message": "later"}', is_error=True)
        case "refused":
            raise MCPError(code=-32000, message="busy: too many calls")
        case "image":
            block = types.ImageContent(type="image", data="", mime_type="image/png")
            return CallToolResult(content=[block])
        case "mixed":
            return texts('{"a": [1, 2]}')
        case "two_texts":
            return texts("1", "2")
        case "nothing":
            return CallToolResult(content=[])
        case "lies":
            return texts("", structured_content={"n": "no number"})
    raise MCPError(code=-32602, message=f"Unknown tool: {params.name}")


def low_server() -> Server[Any]:
    """The server of `_list` and `_call`."""
    return Server("low", on_list_tools=_list, on_call_tool=_call)


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


class WebServer:
    """Serves over HTTP on a free port of 127.0.0.1; a context manager.

    Attributes:
        url: The server's address.
        headers: The headers of each request, names in lower case.
    """

    def __init__(self, offered: MCPServer[Any] | Server[Any]) -> None:
        self.headers: list[dict[str, str]] = []
        inner = offered.streamable_http_app()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                pairs = scope["headers"]
                self.headers.append({k.decode(): v.decode() for k, v in pairs})
            await inner(scope, receive, send)

        self._socket = _bound(0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/mcp"
        import uvicorn  # the servers on standard input start without it

        config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def at(self, url: str) -> WebServer:
        """Move it to the address of another one that has ended."""
        self._socket.close()
        self._socket = _bound(int(url.split(":")[2].split("/")[0]))
        self.url = url
        return self

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> WebServer:
        # The socket listens before the server accepts, so the first connection waits for it.
        self._socket.listen()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()
        self._socket.close()


def main() -> None:
    """Serve on standard input and output."""
    arguments = sys.argv[1:]
    variant = arguments[0] if arguments else ""
    if variant == "broken":
        print(f"cannot log in as {os.environ.get('KEY')}", file=sys.stderr)
        raise SystemExit(1)
    if variant == "mute":
        sys.stdin.read()
        return
    if variant == "low":
        from mcp.server.stdio import stdio_server

        async def serve() -> None:
            made = low_server()
            async with stdio_server() as (read, write):
                await made.run(read, write, made.create_initialization_options())

        asyncio.run(serve())
        return
    server(variant, os.environ.get("TEST_LOG")).run("stdio")


if __name__ == "__main__":
    main()
