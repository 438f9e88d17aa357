"""The same tools on real servers of other versions and libraries.

Run by an interpreter that has the library, not by the tests' own:

    python mcp_real.py LIBRARY stdio
    python mcp_real.py LIBRARY PORT [stateless]

LIBRARY is `mcp1`, `mcp2` or `fastmcp`. Over HTTP it says `ready` once it listens.
"""

from __future__ import annotations

import socket
import sys
from typing import Any


def made(library: str) -> Any:
    if library == "fastmcp":
        from fastmcp import FastMCP
        from fastmcp.utilities.types import Image

        server, bare = FastMCP("real"), {"output_schema": None}
    elif library == "mcp1":
        from mcp.server.fastmcp import FastMCP, Image

        server, bare = FastMCP("real"), {"structured_output": False}
    else:
        from mcp.server import MCPServer
        from mcp.server.mcpserver import Image

        server, bare = MCPServer("real"), {"structured_output": False}

    @server.tool(**bare)
    def rows(n: int) -> Any:
        """Rows, without a schema."""
        return [{"v": i} for i in range(n)]

    @server.tool(**bare)
    def names(n: int) -> Any:
        """Texts that look like numbers, without a schema."""
        return [str(i) for i in range(n)]

    @server.tool()
    def typed(n: int) -> list[int]:
        """Numbers, with a schema."""
        return list(range(n))

    @server.tool()
    def say(text: str) -> str:
        """Says it back."""
        return text

    @server.tool()
    def maybe(x: int, y: str | None) -> str:
        """Needs `y`, which may be null."""
        return f"{x} {y}"

    @server.tool(**bare)
    def picture() -> Any:
        """An image."""
        return Image(data=b"hi", format="png")

    @server.tool()
    def broken() -> str:
        """Always fails."""
        raise ValueError("busy: come back later")

    return server


def app(library: str, server: Any, *, stateless: bool) -> Any:
    if library == "fastmcp":
        return server.http_app(path="/mcp", stateless_http=stateless)
    if library == "mcp1":
        server.settings.stateless_http = stateless
        return server.streamable_http_app()
    return server.streamable_http_app(stateless_http=stateless)


def main() -> None:
    library, place, *more = sys.argv[1:]
    server = made(library)
    if place == "stdio":
        server.run("stdio")
        return
    import uvicorn

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", int(place)))
        listening.listen()
        print("ready", flush=True)
        served = app(library, server, stateless="stateless" in more)
        uvicorn.Server(uvicorn.Config(served, log_level="critical")).run(sockets=[listening])


if __name__ == "__main__":
    main()
