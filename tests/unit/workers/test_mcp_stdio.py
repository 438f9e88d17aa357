"""MCP servers on standard input and output: started, watched, started anew, ended."""

import json
import os
import sys
from pathlib import Path

import pytest

from engine.errors import Failure

SCRIPT = str(Path(__file__).parents[2] / "support" / "mcp_servers.py")


def command(variant=""):
    return json.dumps([part for part in (sys.executable, SCRIPT, variant) if part])


def tool(name, output="json", inputs="", body="effect = read"):
    return (
        f'worker {name}({inputs}) -> {output} via mcp {{ server = kb  tool = "{name}"  {body} }}\n'
    )


@pytest.fixture
def call(declare, carry_out, tmp_path):
    """Declares tools of the server and calls them."""

    def call(tools, *calls, variant="", server="", **options):
        log = json.dumps(str(tmp_path / "log"))
        own = server or f"command = {command(variant)}  env = {{ TEST_LOG: {log} }}"
        return carry_out(declare(f"server kb via mcp {{ {own} }}\n{tools}"), *calls, **options)

    return call


@pytest.fixture
def starts(tmp_path):
    """How often the server was started: the process ids."""

    def starts():
        lines = (tmp_path / "log").read_text().split("\n")
        return [int(line.split()[1]) for line in lines if line]

    return starts


def failure_of(function, *args, **options):
    with pytest.raises(Failure) as caught:
        function(*args, **options)
    return caught.value


def test_one_server_serves_a_whole_run_and_ends_with_it(call, starts):
    tools = tool("add", "int", "a: int, b: int") + tool("place")
    calls = [("add", {"a": n, "b": n}) for n in range(20)]
    *sums, place = call(tools, *calls, "place", together=True)
    assert sums == [2 * n for n in range(20)]
    assert starts() == [place["pid"]]
    assert place["group"] == place["pid"]  # not ours
    with pytest.raises(ProcessLookupError):
        os.kill(place["pid"], 0)


def test_where_it_runs_and_what_it_gets(call, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("PRIVATE", "of the user's shell")
    (tmp_path / "inner").mkdir()
    tools = tool("place") + tool("variable", "string?", "name: string") + tool("chatter", "string")
    server = f'command = {command()}  cwd = "inner"  env = {{ KEY: secret.TOKEN, N: 3, NO: null }}'
    asked = [("variable", {"name": name}) for name in ("PRIVATE", "PATH", "KEY", "N", "NO")]
    place, chatter, *variables = call(tools, "place", "chatter", *asked, server=server)
    assert os.path.samefile(place["cwd"], tmp_path / "inner")  # beside the file
    assert variables == [None, os.environ["PATH"], "s3cret-value", "3", None]
    assert chatter == "done"
    assert capfd.readouterr() == ("", "")


def test_one_that_dies_in_the_middle_of_a_call_is_started_anew_for_the_next(call, starts, capfd):
    tools = tool("die") + tool("add", "int", "a: int, b: int")
    died, added = call(tools, "die", ("add", {"a": 1, "b": 1}))
    assert (died.mode, died.retryable) == ("crashed", True)
    assert died.message == (
        "connection lost: server `kb` went away during the call (out of memory)"
    )
    assert added == 2
    assert len(starts()) == 2
    assert capfd.readouterr() == ("", "")


def test_all_calls_under_way_lose_a_server_that_dies(call, starts):
    tools = tool("die") + tool("hang")
    found = call(tools, "hang", "hang", "die", together=True)
    assert {failure.mode for failure in found} == {"crashed"}
    assert all("connection lost" in failure.message for failure in found)
    assert len(starts()) == 1


def test_one_that_cannot_be_started(call):
    failure = failure_of(call, tool("add"), "add", server='command = ["no-such-server"]')
    assert (failure.mode, failure.retryable) == ("crashed", False)
    assert "cannot start server `kb`: No such file or directory" in failure.message
    server = f"command = {command('broken')}  env = {{ KEY: secret.TOKEN }}"
    failure = failure_of(call, tool("add"), "add", server=server)
    assert (failure.mode, failure.retryable) == ("crashed", True)
    assert failure.message == (
        "server `kb` ended before it was ready (cannot log in as [secret TOKEN])"
    )


def test_one_that_never_gets_ready_is_given_up(call):
    server = f"command = {command('mute')}  timeout = 100ms"
    failure = failure_of(call, tool("add"), "add", server=server)
    assert (failure.mode, failure.retryable) == ("timeout", True)
    assert "server `kb` is not ready after 0.1 s" in failure.message
