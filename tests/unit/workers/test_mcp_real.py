"""Workers `via mcp` against real servers: `mcp` 1.x and 2.x, FastMCP, and TypeScript's.

The servers are installed from their registries into folders of the test session's own, so these
tests are apart: `make test-mcp`. Where a registry cannot be reached, they are skipped.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import Failure
from engine.workers.registry import close_port, worker_port

pytestmark = pytest.mark.mcpservers

SCRIPT = str(Path(__file__).parents[2] / "support" / "mcp_real.py")
#: Requirements by library; None is what the tests run with.
LIBRARIES = {"mcp1": "mcp<2", "mcp2": None, "fastmcp": "fastmcp"}
VERSIONS = {"mcp1": "2025-11-25", "mcp2": "2026-07-28", "fastmcp": "2026-07-28"}
EVERYTHING = "@modelcontextprotocol/server-everything"
IMAGE = "{ type: string, mime_type: string, data: string }"


def install(command, what):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        last = (done.stderr.strip() or "it says nothing").splitlines()[-1]
        pytest.skip(f"cannot install {what}: {last}")


@pytest.fixture(scope="session")
def pythons(tmp_path_factory):
    """Interpreters that have a library, made when they are asked for."""
    made = {"mcp2": sys.executable}

    def python(library):
        if library not in made:
            folder = tmp_path_factory.mktemp(library)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=300)
            made[library] = str(folder / "bin" / "python")
            pip = [made[library], "-m", "pip", "install", "--quiet"]
            install([*pip, "--disable-pip-version-check", LIBRARIES[library]], LIBRARIES[library])
        return made[library]

    return python


@pytest.fixture(scope="session")
def everything(tmp_path_factory):
    """The script of the TypeScript server."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("there is no npm on this machine")
    folder = tmp_path_factory.mktemp("everything")
    install([npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", EVERYTHING], "npm")
    return str(folder / "node_modules" / EVERYTHING / "dist" / "index.js")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def serving(command, ready, env=None):
    """A server as a process; it has said that it is ready."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(env or {})},
    )
    try:
        for line in process.stdout:
            if ready in line:
                break
        else:
            pytest.fail(f"the server ended: {command}")
        yield
    finally:
        process.kill()
        process.communicate()


def worker(name, inputs, output, tool=None, more=""):
    return (
        f"worker {name}({inputs}) -> {output} fails busy via mcp "
        f'{{ server = s  tool = "{tool or name}"  effect = read  {more} }}\n'
    )


WORKERS = (
    worker("rows", "n: int", "{ v: int }[]")
    + worker("names", "n: int", "string[]")
    + worker("typed", "n: int", "int[]")
    + worker("say", "text: string", "string")
    + worker("maybe", "x: int, y: string?", "string")
    + worker("picture", "", IMAGE)
    + worker("broken", "", "string")
)
CALLS = [
    *(("rows", {"n": n}) for n in range(3)),
    *(("names", {"n": n}) for n in range(3)),
    *(("typed", {"n": n}) for n in range(3)),
    ("say", {"text": "hi"}),
    ("maybe", {"x": 1}),
    ("picture", {}),
]
WANTED = [
    *([{"v": i} for i in range(n)] for n in range(3)),
    *([str(i) for i in range(n)] for n in range(3)),
    *(list(range(n)) for n in range(3)),
    "hi",
    "1 None",
    {"type": "image", "mime_type": "image/png", "data": "aGk="},
]


def check_calls(carry_out, program):
    *values, failure = carry_out(program, *CALLS, "broken")
    assert values == WANTED
    assert isinstance(failure, Failure)
    # `mcp` 2.x keeps the words of an exception to itself.
    assert failure.mode in ("busy", "crashed")


@pytest.mark.parametrize("library", LIBRARIES)
def test_on_standard_input_and_output(declare, carry_out, pythons, library):
    command = json.dumps([pythons(library), SCRIPT, library, "stdio"])
    source = f"server s via mcp {{ command = {command}  timeout = 60s }}\n{WORKERS}"
    check_calls(carry_out, declare(source))


@pytest.mark.parametrize("more", [[], ["stateless"]])
@pytest.mark.parametrize("library", LIBRARIES)
def test_over_http(declare, carry_out, pythons, library, more):
    port = free_port()
    with serving([pythons(library), SCRIPT, library, str(port), *more], "ready"):
        url = f"http://127.0.0.1:{port}/mcp"
        check_calls(carry_out, declare(f'server s via mcp {{ url = "{url}" }}\n{WORKERS}'))


def restarted(program, request, command, ready, env=None):
    """What a call gives before and after a restart of the server, and the version they talk in."""

    async def run():
        port = worker_port("mcp", program)
        try:
            with serving(command, ready, env):
                first = (await port.call(request)).value
                version = port._sessions["s"]._client.protocol_version
            with serving(command, ready, env):
                return first, (await port.call(request)).value, version
        finally:
            await close_port(port)

    return asyncio.run(run())


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_restart_between_calls(declare, request_to, pythons, library):
    port = free_port()
    text = WORKERS.replace("effect = read", "effect = once")
    program = declare(f'server s via mcp {{ url = "http://127.0.0.1:{port}/mcp" }}\n{text}')
    request = request_to(program, "say", {"text": "hi"})
    command = [pythons(library), SCRIPT, library, str(port)]
    assert restarted(program, request, command, "ready") == ("hi", "hi", VERSIONS[library])


# ---------------------------------------------------------------- TypeScript

TYPESCRIPT = (
    worker("echo", "message: string", "string")
    + worker("sum", "a: int, b: int", "string", "get-sum")
    + worker("image", "", f"(string | {IMAGE})[]", "get-tiny-image")
    + worker(
        "links", "count: int", "(string | { uri: string, name: string })[]", "get-resource-links"
    )
    + worker("weather", "location: string", "{ temperature: int }", "get-structured-content")
    + worker("gone", "", "string")
)


def test_typescript_on_standard_input_and_output(declare, carry_out, everything):
    command = json.dumps(["node", everything])
    text = TYPESCRIPT.replace("{ temperature: int }", "json")
    program = declare(f"server s via mcp {{ command = {command}  timeout = 60s }}\n{text}")
    said, total, image, links, weather, gone = carry_out(
        program,
        ("echo", {"message": "hi"}),
        ("sum", {"a": 1, "b": 2}),
        "image",
        ("links", {"count": 2}),
        ("weather", {"location": "Chicago"}),
        "gone",
    )
    assert said == "Echo: hi"
    assert total == "The sum of 1 and 2 is 3."
    assert [type(part) for part in image] == [str, dict, str]
    assert (image[1]["type"], image[1]["mime_type"]) == ("image", "image/png")
    assert [sorted(link) for link in links[1:]] == [["name", "uri"]] * 2
    assert isinstance(weather["temperature"], int)
    assert gone.message == "server `s` has no tool `gone`"


def test_typescript_over_http_with_a_restart(declare, request_to, everything):
    port = free_port()
    program = declare(f'server s via mcp {{ url = "http://127.0.0.1:{port}/mcp" }}\n{TYPESCRIPT}')
    request = request_to(program, "echo", {"message": "hi"})
    command = ["node", everything, "streamableHttp"]
    found = restarted(program, request, command, str(port), {"PORT": str(port)})
    assert found == ("Echo: hi", "Echo: hi", "2025-11-25")
