"""Snapshots of tools: made, read by the linter, and compared with what a server offers later."""

import json

import pytest

import engine
from engine.cli import main
from engine.sema.kinds.mcp_snapshot import Tool, differences, read_snapshot, write_snapshot

PROGRAM = """\
orch 1
secret TOKEN
server kb via mcp {{
  url     = "{url}"
  headers = {{ Authorization: "Bearer " ~ secret.TOKEN }}
  allow   = ["add", "say", "ticket"]
}}
model planner {{ id = "scripted/none.json" }}
worker add(a: int, b: int) -> int via mcp {{
  server = kb  tool = "add"  effect = read  timeout = 20s
}}
orchestrator main() -> int {{
  model   = planner
  goal    = "Add."
  workers = [add]
  policy  {{ max_rounds = 2 }}
}}
"""
DECISIONS = [
    {"assessment": "", "tasks": [{"id": "t", "worker": "add", "input": {"a": 1, "b": 2}}]},
    {"assessment": "", "finish": 3},
]


@pytest.fixture
def desk(tmp_path, mcp_servers, monkeypatch):
    """A file, a server, and another one that takes its place."""
    monkeypatch.setenv("TOKEN", "s3cret-value")

    class Desk:
        file = str(tmp_path / "main.orch")
        kept = tmp_path / "main.mcp.json"
        first = mcp_servers.WebServer(mcp_servers.server())

        def now(self, variant=""):
            return mcp_servers.WebServer(mcp_servers.server(variant)).at(self.first.url)

        def run(self):
            planner = engine.Scripted(DECISIONS)
            return engine.load(self.file).run("main", models={"planner": planner})

    made = Desk()
    (tmp_path / "main.orch").write_text(PROGRAM.format(url=made.first.url))
    with made.first:
        assert main(["mcp", "snapshot", made.file]) == 0
    return made


def test_a_snapshot_is_small_sorted_and_always_the_same(desk, capsys):
    before = desk.kept.read_text()
    content = json.loads(before)
    assert list(content["servers"]["kb"]) == ["add", "say", "ticket"]
    assert content["servers"]["kb"]["add"]["inputSchema"]["required"] == ["a", "b"]
    assert "s3cret" not in before
    assert write_snapshot(read_snapshot(before)) == before
    desk.kept.unlink()
    capsys.readouterr()
    with desk.now():
        assert main(["mcp", "snapshot", desk.file]) == 0
        assert desk.kept.read_text() == before
        assert main(["mcp", "check", desk.file]) == 0
    assert capsys.readouterr().out == f"{desk.kept}: kb (3 tools)\n"


def test_the_linter_reads_it_and_a_run_keeps_it(desk):
    program = engine.load(desk.file)
    assert program.program.files["main.mcp.json"] == desk.kept.read_text()
    text = PROGRAM.format(url=desk.first.url)
    desk.kept.with_name("main.orch").write_text(text.replace("b: int", "c: int"))
    found = engine.lint(desk.file)
    assert [item.code for item in found if item.severity == "error"] == ["ORC513", "ORC513"]


def test_a_file_that_no_longer_fits_its_snapshot_can_be_given_a_new_one(desk):
    with desk.now("without_add"):
        assert main(["mcp", "snapshot", desk.file]) == 0
    with pytest.raises(engine.CompileError, match="ORC512"):
        engine.load(desk.file)
    desk.kept.write_text("nothing")
    with pytest.raises(engine.CompileError, match="ORC514"):
        engine.load(desk.file)
    with desk.now():
        assert main(["mcp", "snapshot", desk.file]) == 0
    engine.load(desk.file)


def test_check_says_what_has_changed(desk, capsys):
    capsys.readouterr()
    with desk.now("changed"):
        assert main(["mcp", "check", desk.file]) == 1
    assert capsys.readouterr().out == (
        "server `kb`: tool `add` has another input schema and description\n"
    )
    with desk.now("without_add"):
        assert main(["mcp", "check", desk.file, "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found == [{"server": "kb", "change": "tool `add` is gone"}]


def test_what_cannot_be_checked(desk, tmp_path, capsys):
    assert main(["mcp", "check", desk.file]) == 3  # nobody is there
    assert "cannot reach server `kb`" in capsys.readouterr().err
    desk.kept.write_text('{"edition": 9, "servers": {}}')
    assert main(["mcp", "check", desk.file]) == 3
    assert "edition 9 is not known here" in capsys.readouterr().err
    desk.kept.unlink()
    assert main(["mcp", "check", desk.file]) == 3
    assert "make it with `orch mcp snapshot" in capsys.readouterr().err
    bare = tmp_path / "bare.orch"
    bare.write_text("orch 1\n")
    assert main(["mcp", "snapshot", str(bare)]) == 2
    assert "declares no MCP server" in capsys.readouterr().err
    bare.write_text("orch 1\nserver x via mcp { }\n")
    assert main(["mcp", "snapshot", str(bare)]) == 3
    assert "ORC104" in capsys.readouterr().err


# ---------------------------------------------------------------- runs


def test_an_unchanged_server_gives_no_warning(desk):
    with desk.now():
        run = desk.run()
    assert (run.status, run.warnings, run.failures) == ("finished", (), ())


def test_a_harmless_change_is_a_warning(desk):
    with desk.now("described"):
        run = desk.run()
    assert (run.status, run.failures) == ("finished", ())
    assert list(run.warnings) == [
        "server `kb` has changed since its tools were kept: tool `add` has another description"
    ]


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("changed", "takes other arguments than when its tools were kept: "),
        ("without_add", "server `kb` has no tool `add` any more"),
    ],
)
def test_a_call_that_no_longer_fits_is_not_made(desk, variant, words):
    with desk.now(variant):
        run = desk.run()
    (failure,) = run.failures
    assert failure.mode == "crashed"
    assert words in failure.message


# ---------------------------------------------------------------- the format


def test_differences():
    tool = Tool({"type": "object"}, None, "Does it.")
    assert differences({"a": tool}, {"a": tool}) == []
    assert differences({"a": tool, "b": tool}, {"b": Tool({}, {}, "Does it."), "c": tool}) == [
        "tool `a` is gone",
        "tool `b` has another input schema and output schema",
        "tool `c` is new",
    ]
    far = Tool({"type": "object"}, None, "Does it.", True)
    near = Tool({"type": "object"}, None, "Does it.", False)
    assert differences({"a": tool}, {"a": far}) == ["tool `a` has another reach"]
    # Saying nothing, as snapshots of older engines do, is not saying yes.
    assert differences({"a": tool}, {"a": near}) == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"edition": 1}', '{"edition": 1, "servers": {"a": []}}', "[" * 10_000],
)
def test_what_is_no_snapshot(text):
    with pytest.raises(ValueError, match=r".+"):
        read_snapshot(text)
