"""Odd MCP servers in whole runs and under the linter: retries, warnings, gates, nulls."""

import json

import pytest

import engine
from engine.cli import main

PROGRAM = """\
orch 1
server kb via mcp {{ url = "{url}/mcp" }}
model planner {{ id = "scripted/none.json" }}
worker a(x: int = 1, y: string? = null) -> {output} via mcp {{
  server = kb  tool = "a"  trust = trusted  {body}
}}
orchestrator main() -> json {{
  model   = planner
  goal    = "Go."
  workers = [a]
  policy  {{ max_rounds = 3 }}
}}
"""
DECISIONS = [
    {"assessment": "", "tasks": [{"id": "t", "worker": "a", "input": {}}]},
    {"assessment": "", "finish": 3},
]
OK = {"content": [{"type": "text", "text": "7"}]}


@pytest.fixture
def play(site, fakes, tmp_path):
    """A played server, and a function that runs or checks a program which calls its tool `a`."""
    played = fakes.Played(tools=[fakes.tool("a")], results={"a": OK})
    site.pages["/mcp"] = played.page
    path = tmp_path / "main.orch"

    def written(body="effect = read", output="int", kept=None):
        path.write_text(PROGRAM.format(url=site.url, body=body, output=output))
        if kept is not None:
            tools = {"a": {"inputSchema": kept}}
            content = {"edition": 1, "servers": {"kb": tools}}
            path.with_name("main.mcp.json").write_text(json.dumps(content))
        return path

    def run(*args, **options):
        program = engine.load(written(*args, **options))
        return program.run("main", models={"planner": engine.Scripted(DECISIONS)})

    played.run, played.written = run, written
    return played


@pytest.mark.parametrize("method", ["tools/call", "initialize"])
@pytest.mark.parametrize("status", [429, 502])
def test_a_status_is_retried(play, fakes, method, status):
    play.statuses[method] = [fakes.Status(status, b"", {"Retry-After": "0"})] * 2
    play.statuses["server/discover"] = [fakes.Status(status)] * 2
    run = play.run("effect = read  retry { max = 2  backoff = 1ms }")
    assert (run.status, run.failures) == ("finished", ())
    assert play.methods.count("tools/call") == (3 if method == "tools/call" else 1)


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_do_not_work_are_not_tried_again(play, fakes, status):
    play.statuses["tools/call"] = [fakes.Status(status)] * 5
    run = play.run("effect = read  retry { max = 2  backoff = 1ms }")
    (failure,) = run.failures
    assert f"HTTP {status} (the credentials in `headers`" in failure.message
    assert play.methods.count("tools/call") == 1


def test_a_once_task_of_unknown_outcome_waits_for_a_person(play, fakes):
    play.statuses["tools/call"] = [fakes.Status(502)]
    run = play.run("effect = once")
    assert run.status == "waiting"
    (gate,) = run.gates
    assert gate.kind == "outcome"


def test_a_once_task_goes_on_after_a_lost_session(play, fakes):
    play.statuses["tools/call"] = [fakes.Status(404, b"no such session")]
    run = play.run("effect = once")
    assert (run.status, run.failures, run.warnings) == ("finished", (), ())


def test_what_an_output_cannot_hold_is_a_warning(play):
    image = {"type": "image", "mimeType": "image/png", "data": "aGk="}
    play.results["a"] = {"content": [*OK["content"], image]}
    run = play.run()
    assert (run.status, run.failures) == ("finished", ())
    assert run.warnings == (
        "tool `a` of server `kb` gave more than the output of worker `a` can hold, which was left "
        "out: image (image/png)",
    )


def test_a_snapshot_leaves_broken_tools_out_and_says_so(play, fakes, capsys):
    play.tools = [fakes.tool("a"), {"name": "b", "inputSchema": None}]
    path = play.written()
    assert main(["mcp", "snapshot", str(path)]) == 0
    said = capsys.readouterr()
    assert "kb (1 tool)" in said.out
    words = "tool `b` of server `kb` breaks the protocol: its inputSchema is null, not an object"
    assert said.err == f"warning: it is left out: {words}\n"


# ---------------------------------------------------------------- nulls


def schema(required, **properties):
    return {"type": "object", "properties": {"x": {}, **properties}, "required": required}


def test_the_kept_schema_says_which_nulls_are_sent(play):
    kept = schema(["x", "y"], y={"type": ["string", "null"]})
    run = play.run(kept=kept)
    assert (run.status, play.arguments) == ("finished", [{"x": 1, "y": None}])


def test_without_a_kept_schema_that_of_the_server_does(play):
    play.tools = [{"name": "a", "inputSchema": schema(["x"], y={"type": ["string", "null"]})}]
    play.run()
    play.tools = [{"name": "a", "inputSchema": schema(["y"], y={"type": ["string", "null"]})}]
    play.run()
    assert play.arguments == [{"x": 1}, {"x": 1, "y": None}]


@pytest.mark.parametrize(
    ("args", "y", "required", "messages"),
    [
        ("{ x: x }", {"type": "string"}, ["x", "y"], ["needs the argument `y`"]),
        ("{ x: x, y: null }", {"type": "string"}, ["y"], ["needs the argument `y`, and null"]),
        ("{ x: x, y: null }", {"type": "string"}, ["x"], []),
        ("{ x: x, y: null }", {"type": ["string", "null"]}, ["y"], []),
        ("{ x: x, y: null }", {"type": "string", "nullable": True}, ["y"], []),
        ("{ x: x, y: null }", {"$ref": "#/$defs/no"}, ["y"], []),
        ("{ x: x, y: 7 }", {"type": "string"}, ["y"], ["argument `y` is `int`"]),
    ],
)
def test_the_linter_knows_what_null_does(play, args, y, required, messages):
    path = play.written(f"effect = read  args = {args}", kept=schema(required, y=y))
    found = [item.message for item in engine.lint(path) if item.code == "ORC513"]
    assert len(found) == len(messages)
    assert all(words in message for words, message in zip(messages, found, strict=True))
