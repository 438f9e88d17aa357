"""The parts of sandboxes that need none: the proxy's rules, the profile of macOS, the paths."""

from __future__ import annotations

import asyncio
import os

import pytest

from engine.sema.check import check_file
from engine.sema.model import Sandbox
from engine.workers.sandbox import macos
from engine.workers.sandbox.links import follow
from engine.workers.sandbox.network_filter import NO_SOCKETS, TCP_ONLY, compiled
from engine.workers.sandbox.policy import Policy, policy_of
from engine.workers.sandbox.proxy import Proxy, allowed

HOSTS = ("api.example.org", "*.example.net", "other.example:8443", "[::1]:80", "10.0.0.1")


@pytest.mark.parametrize(
    ("host", "port", "pattern"),
    [
        ("api.example.org", 80, "api.example.org"),
        ("API.example.org.", 443, "api.example.org"),
        ("api.example.org", 8443, None),
        ("example.org", 443, None),
        ("evil-api.example.org", 443, None),
        ("api.example.org.evil.example", 443, None),
        ("a.example.net", 443, "*.example.net"),
        ("a.b.example.net", 80, "*.example.net"),
        ("example.net", 443, None),
        ("evilexample.net", 443, None),
        ("other.example", 8443, "other.example:8443"),
        ("other.example", 443, None),
        ("::1", 80, "[::1]:80"),
        ("10.0.0.1", 443, "10.0.0.1"),
        ("", 80, None),
    ],
)
def test_which_hosts_are_let_through(host, port, pattern):
    assert allowed(host, port, HOSTS) == pattern


async def _answers(data: bytes, hosts: tuple[str, ...]) -> bytes:
    async with Proxy(hosts) as proxy:
        reader, writer = await asyncio.open_unix_connection(str(proxy.way))
        writer.write(data)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
    assert not os.path.exists(str(proxy.way))
    return answer


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
        b"GET https://a.example/ HTTP/1.1\r\n\r\n",
        b"GET ftp://a.example/ HTTP/1.1\r\n\r\n",
        b"GET http://a.example:port/ HTTP/1.1\r\n\r\n",
        b"GET http://[::1/ HTTP/1.1\r\n\r\n",
        b"CONNECT a.example:99999 HTTP/1.1\r\n\r\n",
        b"CONNECT a.example:443 HTTP/2\r\n\r\n",
        b"\x16\x03\x01 what TLS begins with\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_no_request_to_a_proxy_is_refused(data):
    assert asyncio.run(_answers(data, ("a.example",))).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "data",
    [
        b"CONNECT b.example:443 HTTP/1.1\r\n\r\n",
        b"CONNECT a.example:22 HTTP/1.1\r\n\r\n",
        b"CONNECT a.example@b.example:443 HTTP/1.1\r\n\r\n",
        b"GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
        b"GET http://a.example@b.example/ HTTP/1.1\r\n\r\n",
        b"GET http://b.example#a.example/ HTTP/1.1\r\n\r\n",
        b"GET http://b.example?a.example/ HTTP/1.1\r\n\r\n",
    ],
    ids=lambda data: data.decode().split(" HTTP")[0],
)
def test_another_host_is_refused_however_it_is_written(data):
    answer = asyncio.run(_answers(data, ("a.example",)))
    assert answer.startswith(b"HTTP/1.1 403 ")


def test_a_server_that_is_not_there_is_a_bad_gateway():
    data = b"GET http://127.0.0.1:1/ HTTP/1.1\r\n\r\n"
    assert asyncio.run(_answers(data, ("127.0.0.1:1",))).startswith(b"HTTP/1.1 502 ")


def test_the_profile_of_macos():
    def profile(reach, port=None, *, only_network=False):
        paths = (('/a "b"',), ("/private/tmp/x",))
        policy = Policy(reach, (), *paths, "/a", only_network=only_network)
        return macos.profile(policy, port)

    closed = profile("none")
    assert closed.startswith("(version 1)\n(deny default)\n")
    assert '(allow file-read* (subpath "/a \\"b\\""))' in closed
    assert '(allow file-read* file-write* (subpath "/private/tmp/x"))' in closed
    assert "network" not in closed
    assert '(allow network-outbound (remote ip "localhost:8080"))' in profile("hosts", 8080)
    assert "(allow network*)" in profile("any")
    assert "subpath" not in profile("none", only_network=True).replace('"/dev"', "").replace(
        '(subpath ) (subpath "/private/etc")', ""
    )
    for made in (closed, profile("hosts", 8080), profile("any")):
        assert made.count("(") == made.count(")")


@pytest.mark.skipif(compiled(NO_SOCKETS) is None, reason="there is no filter for this machine")
def test_a_filter_is_a_program_of_the_kernel():
    for families in (NO_SOCKETS, TCP_ONLY):
        program = compiled(families)
        assert program is not None
        assert len(program) % 8 == 0
        codes = [int.from_bytes(program[at : at + 2], "little") for at in range(0, len(program), 8)]
        assert codes[-1] == 0x06
        # No jump leads past the end.
        for at, code in enumerate(codes):
            if code in (0x15, 0x35):
                for offset in program[8 * at + 2 : 8 * at + 4]:
                    assert at + 1 + offset < len(codes)


def test_what_a_program_may_read(tmp_path):
    base = tmp_path / "project"
    tool = tmp_path / "tools" / "bin" / "tool"
    for folder in (base, tool.parent, tmp_path / "tools" / "lib", tmp_path / "tools" / "share"):
        folder.mkdir(parents=True)
    tool.touch(mode=0o755)

    def policy(sandbox, cwd=base, is_python=False):
        return policy_of(sandbox, str(base), str(tool), str(cwd), "/private", is_python=is_python)

    found = policy(Sandbox(read=("..", "no-such-file")))
    assert str(tmp_path) in found.read
    found = policy(Sandbox())
    assert {str(base), str(tool.parent), str(tmp_path / "tools" / "lib")} <= {*found.read}
    assert str(tmp_path / "tools" / "share") not in found.read
    assert found.write == ("/private",)
    assert policy(Sandbox(write=("~",)), is_python=True).write[1] == os.path.expanduser("~")


def test_a_request_knows_what_any_sandbox_of_the_program_may_change(tmp_path):
    file = tmp_path / "main.orch"
    file.write_text("""\
orch 1
model planner { id = "scripted/none.json" }
worker fill() -> string via command {
  run = ["true"]  parse = text  effect = write  timeout = 5s  sandbox { write = ["work"] }
}
verifier sound(output: json) via command {
  run = ["true"]  timeout = 5s  sandbox { write = ["~/checks"] }
}
orchestrator main() -> string {
  model = planner  goal = "Fill."  workers = [fill]  policy { max_rounds = 1 }
  verify { after_dispatch fill { with = sound  on_fail = abort } }
}
""")
    program = check_file(file).program
    assert program is not None
    assert program.changeable == ((str(tmp_path), "work"), (str(tmp_path), "~/checks"))


def test_links_are_followed_as_the_system_follows_them(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "up").symlink_to("../c")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "round").symlink_to("round")
    (tmp_path / "alias").symlink_to(tmp_path / "a")
    for name in ("a/b", "a/up", "alias/up/../a/b", "alias/b/..", "none/x", "a/up/none"):
        assert follow(str(tmp_path / name), ()).real == os.path.realpath(
            os.path.abspath(tmp_path / name)
        )
    changeable = (str(tmp_path / "a"),)
    assert follow(str(tmp_path / "alias" / "b"), changeable).changeable == ()
    assert follow(str(tmp_path / "alias" / "up"), changeable).changeable == changeable
    assert not os.path.exists(follow(str(tmp_path / "c" / "round"), ()).real)
