#!/usr/bin/env bash
# A tool that raises tells its caller why under mcp 1.30.0, and not under mcp 2.3.0.
#
# The servers of both versions answer with `isError`. 1.30.0 puts the exception's text into the
# content; 2.3.0 only says which tool failed, so a caller that goes by the text has nothing to go by.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
for version in 1.30.0 2.3.0; do
  python3 -m venv --clear "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check "mcp==$version"
  "$work/venv/bin/python" - "$version" <<'PYTHON'
import asyncio
import sys

if sys.argv[1].startswith("1."):
    from mcp.server.fastmcp import FastMCP as Server
    from mcp.shared.memory import create_connected_server_and_client_session as connected
else:
    from mcp import Client as connected
    from mcp.server import MCPServer as Server

server = Server("stock")


@server.tool()
def reserve() -> str:
    raise ValueError("sold_out: none left")


async def main():
    async with connected(server._mcp_server if hasattr(server, "_mcp_server") else server) as client:
        answer = await client.call_tool("reserve", {})
    text = answer.content[0].text
    print(sys.argv[1], text)
    assert ("sold_out" in text) == (sys.argv[1] == "1.30.0"), "the behaviour has changed"


asyncio.run(main())
PYTHON
done
